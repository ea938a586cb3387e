"""What use comes to, and the bills: rating, runs, statements, charges, invoices. Uses usage and what is below."""

from . import (
    account_move,
    account_move_line,
    reseller_billing_run,
    reseller_billing_run_line,
    reseller_billing_run_review,
    reseller_charge,
    reseller_charge_explanation,
    reseller_client,
    reseller_manual_charge,
    reseller_rating,
    reseller_statement,
    reseller_statement_given_back,
    reseller_statement_review,
    reseller_statement_void,
    reseller_tax_change,
)
