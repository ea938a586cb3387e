from . import (
    account_move_reversal,
    reseller_client_change,
    reseller_lockout_forecast,
    reseller_month_end,
    reseller_month_end_prepaid,
    reseller_price_change,
    reseller_price_simulation,
    reseller_privacy,
    reseller_statement_void,
    reseller_usage_entry,
    reseller_usage_repair,
)
