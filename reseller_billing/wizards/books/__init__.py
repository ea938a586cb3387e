"""What accountants read: accounts, reports, month's ends, and how long things are kept. Uses lockout and what is below."""

from . import (
    reseller_month_end,
    reseller_month_end_entry,
    reseller_month_end_load,
    reseller_month_end_prepaid,
    reseller_privacy,
    reseller_report_period,
    reseller_unbilled,
)
