"""Features, their levels, and prices by scope. Uses client and what is below."""

from . import (
    reseller_price_change,
)
