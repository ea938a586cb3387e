"""What is paid ahead: packages, wallets, refills and offers. Uses billing and what is below."""

from . import (
    reseller_offer_payment,
)
