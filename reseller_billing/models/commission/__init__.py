"""What resellers earn of what the provider invoices to their clients. Uses books and what is below."""

from . import (
    account_move,
    res_company,
    res_config_settings,
    reseller_commission,
    reseller_commission_earned,
    reseller_commission_line,
    reseller_commission_rate,
    reseller_reseller,
)
