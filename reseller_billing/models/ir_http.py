import werkzeug.exceptions
from odoo import models
from odoo.exceptions import AccessError
from odoo.http import request
from werkzeug.datastructures import WWWAuthenticate

OWED = "/my/reseller_billing/owed"
RETURN = "/my/reseller_billing/return"
# What those reach whose portal is closed: what they owe, the pages to pay it, and what pages need.
# Paths, and all below those that end in a slash.
OPEN_PATHS = frozenset(
    (
        OWED,
        RETURN,
        "/my/invoices/overdue",
        "/my/payment_method",
        "/web/image",
        "/web/login",
        "/web/reset_password",
        "/web/offline",
        "/website/translations",
        "/websocket",
    )
)
OPEN_TREES = (
    "/invoice/transaction/",
    "/payment/",
    "/web/assets/",
    "/web/bundle/",
    "/web/image/",
    "/web/session/",
    "/web/static/",
    "/web/webclient/",
    "/website/lang/",
    "/websocket/",
    "/bus/",
)
# The session's key for a reseller's user who works as a client's, see reseller.login.
LOGIN_AS = "reseller_login"
LOGOUT = "/web/session/logout"
# Of keys that open the resellers' interface and nothing else.
API_SCOPE = "reseller_billing.usage"
# What pages of who works as a client need, beside the routes that say `reseller_login=True`.
PAGE_TREES = ("/web/assets/", "/web/bundle/", "/web/static/", "/web/webclient/")
PAGE_PATHS = frozenset(("/logo.png", "/web/offline", "/website/translations"))
INVOICE = "/my/invoices/"
# The messages of an invoice that is shown.
MESSAGES = ("/portal/chatter_init", "/mail/chatter_fetch", "/mail/data")


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _auth_method_reseller_key(cls):
        """Know the user by a key of a reseller's portal, sent as bearer; never by a session."""
        kind, _space, key = request.httprequest.headers.get("Authorization", "").partition(" ")
        keys = request.env["res.users.apikeys"]
        uid = None
        if kind.lower() == "bearer" and key.strip():
            uid = keys._check_credentials(scope=API_SCOPE, key=key.strip())
        if not uid:
            raise werkzeug.exceptions.Unauthorized(
                "Invalid apikey", www_authenticate=WWWAuthenticate("bearer")
            )
        request.update_env(user=uid)
        request.update_context(**request.env.user.context_get())
        request.session.can_save = False

    @classmethod
    def _pre_dispatch(cls, rule, args):
        """Override of `base`: who is locked out of the portal reaches what is owed, no more, and
        a reseller's user who works as a client's reaches the client's pages, while it may.
        """
        super()._pre_dispatch(rule, args)
        if request.session.get(LOGIN_AS):
            cls._guard_login_as(rule)
        user = request.env.user
        path = request.httprequest.path
        if not user or not user.share or user._is_public():
            return
        if path in OPEN_PATHS or path.startswith(OPEN_TREES):
            return
        partner_sudo = user.partner_id.sudo()  # users read no lock-outs, their own neither
        locked_sudo = partner_sudo._get_closed_lockouts()
        if not locked_sudo or cls._is_open_to_locked(path, args, locked_sudo):
            return
        routing = rule.endpoint.routing
        is_page = routing["type"] == "http" and routing["auth"] != "reseller_key"
        if not is_page or request.httprequest.method != "GET":
            raise AccessError(request.env._("The account is locked: pay what it owes first."))
        werkzeug.exceptions.abort(request.redirect(OWED))

    @classmethod
    def _guard_login_as(cls, rule):
        """Let who works as a client through to what is open to that, else refuse.

        When it is over, pages lead to where the session is given back.
        """
        path, routing = request.httprequest.path, rule.endpoint.routing
        if path == RETURN or path in PAGE_PATHS or path.startswith(PAGE_TREES):
            return
        kept = request.session[LOGIN_AS]
        logs_sudo = request.env["reseller.login"].sudo()  # nobody in the portal reads it
        log_sudo = logs_sudo.browse(kept["id"]).exists()
        if path == LOGOUT:
            log_sudo._end("logout")
            # Where this needs another transaction, it has to show before the session is cleared.
            log_sudo.flush_recordset()
            return
        over = (
            not log_sudo or log_sudo.user_id.id != request.session.uid or log_sudo._find_end(kept)
        )
        if over and routing["type"] == "http" and request.httprequest.method == "GET":
            werkzeug.exceptions.abort(request.redirect(RETURN))
        if path in ("/my", "/my/home") and not over:
            # The portal's home has more than this client's.
            werkzeug.exceptions.abort(request.redirect("/my/service"))
        if over or not routing.get("reseller_login"):
            raise AccessError(
                request.env._("This is not possible while you are logged in as a client.")
            )

    @classmethod
    def _is_open_to_locked(cls, path, args, lockouts):
        """Whether a page, or the messages of one, is of an invoice that is owed."""
        if path in MESSAGES:
            threads = list(_find_threads(request.get_json_data().get("params")))
            owed = lockouts._get_owed_invoices().ids if threads else []
            return all(model == "account.move" and number in owed for model, number in threads)
        number = args.get("invoice_id")
        return (
            path.startswith(INVOICE)
            and number is not None
            and number in lockouts._get_owed_invoices().ids
        )


def _find_threads(value):
    """Yield (model, id) of the documents that a request for messages names, however deep."""
    if isinstance(value, dict):
        if "thread_model" in value:
            yield value["thread_model"], value.get("thread_id")
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _find_threads(one)
