"""Charges of saved payment methods. Uses prepaid and what is below."""

from . import (
    payment_transaction,
    res_company,
    reseller_client_collecting,
    reseller_client_collection,
    reseller_manual_charge,
    reseller_statement,
)
