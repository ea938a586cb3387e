"""The pages of resellers and clients. Uses the models of portal."""

from . import (
    portal,
    portal_client,
    portal_login,
    portal_pricing,
    portal_reseller,
)
