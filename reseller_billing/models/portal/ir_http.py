import re

import werkzeug.exceptions
from odoo import models
from odoo.exceptions import AccessDenied, AccessError, UserError
from odoo.http import SessionExpiredException, request
from werkzeug.datastructures import WWWAuthenticate

from ..usage.reseller_usage_key import CONTEXT_KEY, PREFIX, get_digest

# The interface for systems: what goes wrong below it is told as JSON.
API = "/reseller_billing/v1/"
PRIVATE_TREES = (API, "/my/reseller", "/my/service")
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
# Where a client pays all that it owes.
PAY = re.compile(r"/my/service/\d+/pay(/transaction)?")
# The messages of an invoice that is shown.
MESSAGES = ("/portal/chatter_init", "/mail/chatter_fetch", "/mail/data")


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _auth_method_reseller_key(cls):
        """Know the user by a key of a reseller's portal, sent as bearer; never by a session."""
        key = cls._get_bearer()
        keys = request.env["res.users.apikeys"]
        uid = keys._check_credentials(scope=API_SCOPE, key=key) if key else None
        if not uid:
            cls._refuse_key()
        request.update_env(user=uid)
        request.update_context(**request.env.user.context_get())
        request.session.can_save = False

    @classmethod
    def _auth_method_reseller_ingest(cls):
        """Know a metering system by its key (reseller.usage.key), or by one of Odoo's own API keys,
        whose user may send usage.
        """
        key = cls._get_bearer()
        # Before anything is asked of the database: who sends too much sends on.
        if key:
            request.env["reseller.usage.tally"]._check_exhausted(get_digest(key))
        if not key.startswith(PREFIX):
            cls._auth_method_bearer()
            return
        keys_sudo = request.env["reseller.usage.key"].sudo()  # nobody is known yet
        key_sudo = keys_sudo._find(key)
        if not key_sudo:
            cls._refuse_key()
        request.update_env(user=request.env.ref("reseller_billing.user_usage_meters").id)
        request.update_context(
            allowed_company_ids=key_sudo.company_id.ids, **{CONTEXT_KEY: key_sudo.id}
        )
        request.session.can_save = False

    @classmethod
    def _get_bearer(cls):
        """Return the key that a request bears; empty without one."""
        kind, _space, key = request.httprequest.headers.get("Authorization", "").partition(" ")
        return key.strip() if kind.lower() == "bearer" else ""

    @classmethod
    def _refuse_key(cls):
        raise werkzeug.exceptions.Unauthorized(
            "Invalid apikey", www_authenticate=WWWAuthenticate("bearer")
        )

    # Headers of what is personal

    @classmethod
    def _post_dispatch(cls, response):
        """Override of `base`: pages of ours are kept by nobody and framed by nobody else.

        No script-src or form-action: Odoo's client compiles its templates, and payment forms post to
        their providers.
        """
        done = super()._post_dispatch(response)
        path = request.httprequest.path
        if path.startswith(PRIVATE_TREES):
            response.headers["Cache-Control"] = "no-store"
            response.headers["Referrer-Policy"] = "same-origin"
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            if not path.startswith(API):
                # A page that says more says it itself.
                response.headers.setdefault(
                    "Content-Security-Policy",
                    "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
                )
        return done

    # Errors of the interface for systems

    @classmethod
    def _match(cls, path_info):
        """Override of `base`: a method that an address does not take is told as JSON, too."""
        try:
            return super()._match(path_info)
        except werkzeug.exceptions.MethodNotAllowed as error:
            if path_info.startswith(API):
                error.error_response = cls._answer_error(error)
            raise

    @classmethod
    def _handle_error(cls, exception):
        """Override of `base`: systems get JSON, whatever went wrong."""
        if request.httprequest.path.startswith(API):
            return cls._answer_error(exception)
        return super()._handle_error(exception)

    @classmethod
    def _answer_error(cls, error):
        """Return an error as a JSON answer, its text as the member ``message``.

        400 for bad input, 403 without the right; what a werkzeug exception says of itself; 500 for
        what nobody foresaw, without its text.
        """
        headers = [("Cache-Control", "no-store")]
        if isinstance(error, werkzeug.exceptions.HTTPException):
            if error.response is not None:
                return error
            message, status = error.description or error.name, error.code
            headers += [
                (name, value)
                for name, value in error.get_headers()
                if name.lower() not in ("content-type", "content-length")
            ]
        elif isinstance(error, (SessionExpiredException, AccessDenied)):
            message, status = "Invalid apikey", 401
        elif isinstance(error, AccessError):
            message, status = str(error), 403
        elif isinstance(error, UserError):
            message, status = str(error), 400
        else:
            message, status = "The server failed: its log says why.", 500
        # A message may repeat what came from outside, which need not be text that can be sent.
        message = message.encode(errors="replace").decode()
        return request.make_json_response({"message": message}, headers, status=status)

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
        if PAY.fullmatch(path):
            return True
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
