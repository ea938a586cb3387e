"""The dialog that has a reseller buy, and what new prices leave to one. Uses what the room's models use."""

from . import reseller_buyer_make, reseller_price_simulation
