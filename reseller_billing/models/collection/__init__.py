"""Charges of saved payment methods. Uses prepaid and what is below."""

from . import (
    payment_transaction,
    reseller_client_charging,
)
