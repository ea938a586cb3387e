"""Resellers, their clients, groups, service and contracts. Uses base."""

from . import (
    reseller_client_change,
)
