from odoo import http
from odoo.http import request

from ...models.portal.ir_http import LOGIN_AS, RETURN
from .portal_client import SERVICE
from .portal_reseller import CLIENTS, ResellerPortal, page


class ResellerLoginPortal(ResellerPortal):
    """A reseller's user works as a client's, and comes back."""

    @page(f"{CLIENTS}/<int:client_id>/login", methods=["GET", "POST"])
    def reseller_client_login(self, client_id, **post):
        """Ask why, then go on as the client's user."""
        client_sudo = self._find_client(client_id)
        reseller_sudo = client_sudo.reseller_id
        self._check_right(reseller_sudo, "portal_login_as")
        users_sudo = client_sudo._get_portal_users()
        errors = {}
        if request.httprequest.method == "POST":
            wanted = self._read_id(post, "user")
            target_sudo = users_sudo.filtered(lambda user: user.id == wanted)
            if not target_sudo:
                errors["form"] = request.env._("Choose one of the client's users.")
            else:
                with self._refusals(errors):
                    self._become(client_sudo, target_sudo, post)
            if not errors:
                return request.redirect(f"{SERVICE}/{client_id}")
        return self._render_reseller(
            "portal_reseller_login",
            reseller_sudo,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            users=users_sudo,
            locked=any(user.partner_id._get_closed_lockouts() for user in users_sudo),
            values=post,
            errors=errors,
        )

    def _become(self, client, target, post):
        """Turn this session into one of a client's user, which knows the way back."""
        logs_sudo = request.env["reseller.login"].sudo()  # the system keeps the log
        reason = self._read_text(post, "reason", 500)
        kept = logs_sudo._begin(request.env.user, client, target, reason)
        self._switch(target)
        request.session[LOGIN_AS] = kept

    def _switch(self, user):
        """Make this session another user's, under another id: the former one is worth nothing."""
        session = request.session
        session.uid = user.id
        session.login = user.login
        session.context = dict(user.with_user(user).context_get())
        session.pop("portal_counters", None)
        # The list of the user's devices has this session, too, and can end it.
        session["_trace"] = []
        session.should_rotate = True

    @http.route(RETURN, type="http", auth="user", methods=["GET", "POST"], website=True)
    def reseller_return(self, **_post):
        """End working as a client, for whatever reason, and give the user its own session back."""
        kept = request.session.get(LOGIN_AS)
        if not kept:
            return request.redirect(CLIENTS)
        if request.httprequest.method != "POST":
            # A link that somebody else made ends nobody's work.
            return self._render_portal("portal_reseller_return", "reseller_return", brand=None)
        logs_sudo = request.env["reseller.login"].sudo()  # the system keeps the log
        log_sudo = logs_sudo.browse(kept["id"]).exists()
        cause = log_sudo and log_sudo._find_end(kept)
        if log_sudo:
            log_sudo._end(cause or "returned")
        if cause:
            causes = dict(log_sudo._fields["end_cause"]._description_selection(request.env))
            request.session["reseller_wrong"] = request.env._(
                "You are logged in as the client no more. The reason: %s.", causes[cause]
            )
        request.session.pop(LOGIN_AS)
        if not log_sudo or not log_sudo._knows(kept):
            # Its password was changed, or it is no user any more.
            request.session.logout(keep_db=True)
            return request.redirect("/web/login")
        self._switch(log_sudo.by_user_id)
        return request.redirect(f"{CLIENTS}?filterby=all")
