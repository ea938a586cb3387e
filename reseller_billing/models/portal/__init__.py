"""What resellers and clients see and do in the portal. Uses all rooms below."""

from . import (
    account_move,
    ir_http,
    ir_qweb,
    portal_wizard_user,
    res_users,
    reseller_client_buys,
    reseller_client_portal,
    reseller_invitation,
    reseller_login,
    reseller_reseller_margin,
    reseller_reseller_portal,
    reseller_reseller_report,
)
