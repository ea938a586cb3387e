"""Making statements of commissions. Uses books and what is below."""

from . import reseller_commission_make
