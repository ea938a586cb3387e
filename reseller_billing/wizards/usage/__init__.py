"""Usage on its way in: events, days, files, imports and keys. Uses pricing and what is below."""

from . import (
    reseller_usage_entry,
    reseller_usage_repair,
)
