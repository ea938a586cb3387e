"""What accountants read: accounts, reports, month's ends, and how long things are kept. Uses lockout and what is below."""

from . import (
    account_move,
    res_company,
    res_config_settings,
    reseller_aged_debt,
    reseller_analysis,
    reseller_dashboard,
    reseller_dashboard_steps,
    reseller_margin,
    reseller_recurring_revenue,
    reseller_report_mixin,
    reseller_reseller,
    reseller_retention,
    reseller_rollforward,
    reseller_tax_summary,
)
