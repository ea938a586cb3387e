import werkzeug.exceptions
from odoo import models
from odoo.exceptions import AccessError
from odoo.http import request

OWED = "/my/reseller_billing/owed"
# What those reach whose portal is closed: what they owe, the pages to pay it, and what pages need.
OPEN_PATHS = (
    OWED,
    "/my/invoices/overdue",
    "/my/payment_method",
    "/invoice/transaction/",
    "/payment/",
    # The messages of an invoice that is shown.
    "/portal/chatter_init",
    "/mail/data",
    "/mail/chatter_fetch",
    "/web/assets/",
    "/web/bundle/",
    "/web/image",
    "/web/login",
    "/web/session/",
    "/web/static/",
    "/web/webclient/",
    "/website/translations",
    "/web/offline",
    "/websocket",
    "/bus/",
)
INVOICE = "/my/invoices/"


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _pre_dispatch(cls, rule, args):
        """Override of `base`: who is locked out of the portal reaches what is owed, no more."""
        super()._pre_dispatch(rule, args)
        user = request.env.user
        if not user or user._is_public() or not user.share:
            return
        # The user need not read the own account's lock-out.
        locked_sudo = user.partner_id.sudo()._get_closed_lockouts()
        if not locked_sudo or cls._is_open_to_locked(args, locked_sudo):
            return
        if rule.endpoint.routing["type"] != "http" or request.httprequest.method != "GET":
            raise AccessError(request.env._("The account is locked: pay what it owes first."))
        werkzeug.exceptions.abort(request.redirect(OWED))

    @classmethod
    def _is_open_to_locked(cls, args, lockouts):
        """Whether a page is one of those that are left to who is locked out."""
        path = request.httprequest.path
        if path.startswith(OPEN_PATHS):
            return True
        # Of invoices, those that are owed.
        number = args.get("invoice_id")
        return (
            path.startswith(INVOICE)
            and number is not None
            and number in lockouts._get_owed_invoices().ids
        )
