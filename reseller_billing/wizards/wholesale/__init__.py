"""The dialog that has a reseller buy. Uses what the room's models use."""

from . import reseller_buyer_make
