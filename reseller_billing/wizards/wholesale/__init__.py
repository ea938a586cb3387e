from . import reseller_buyer_make
