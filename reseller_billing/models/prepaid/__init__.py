"""What is paid ahead: packages, wallets, refills and offers. Uses billing and what is below."""

from . import (
    account_move_offer,
    product_template,
    reseller_client_balance,
    reseller_client_prepaid,
    reseller_client_refill,
    reseller_client_wallet,
    reseller_lot,
    reseller_prepaid_entry,
    reseller_prepaid_lot,
    reseller_refill,
    reseller_statement_prepaid,
    reseller_statement_wallet,
    reseller_wallet_check,
    reseller_wallet_entry,
    reseller_wallet_lot,
    reseller_wallet_request,
)
