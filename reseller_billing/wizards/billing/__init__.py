"""What use comes to, and the bills: rating, runs, statements, charges, invoices. Uses usage and what is below."""

from . import (
    account_move_reversal,
    reseller_client_change,
    reseller_price_simulation,
    reseller_statement_void,
)
