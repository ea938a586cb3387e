"""Who owes too long is locked out. Uses prepaid and what is below."""

from . import (
    reseller_lockout_forecast,
)
