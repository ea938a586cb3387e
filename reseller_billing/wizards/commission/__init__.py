from . import reseller_commission_make
