"""Making statements of commissions, and accruing them. Uses books and what is below."""

from . import reseller_commission_make, reseller_month_end
