from . import (
    authorize,
    portal,
    portal_api,
    portal_client,
    portal_login,
    portal_pricing,
    portal_reseller,
    usage,
)
