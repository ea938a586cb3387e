"""What resellers pay for what their clients use: the second book. Uses gate and what is below."""

from . import (
    reseller_charge,
    reseller_charge_share,
    reseller_client,
    reseller_client_floors,
    reseller_lot,
    reseller_price_rule,
    reseller_rating,
    reseller_reseller,
    reseller_statement,
    reseller_usage_alert,
    reseller_usage_daily,
)
