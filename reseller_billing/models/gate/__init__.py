"""What metering systems ask before use: authorize, consume, alerts. Uses lockout and what is below."""

from . import (
    reseller_client,
    reseller_gate,
    reseller_usage_alert,
)
