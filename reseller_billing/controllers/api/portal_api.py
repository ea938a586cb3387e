from odoo import fields, http
from odoo.exceptions import AccessDenied, AccessError, UserError
from odoo.http import request

from ...models.portal.ir_http import API_SCOPE
from ..portal.portal_reseller import HOME, MAX_DAYS, ResellerPortal, page
from .answer import answers_json, metering_route

# Days that a key works.
LASTS = 365
MAX_KEYS = 20
# Of one page of all clients' use.
MAX_CLIENTS = 100


class ResellerApi(http.Controller):
    @metering_route(
        "/reseller_billing/v1/clients/usage", auth="reseller_key", methods=["GET"], readonly=True
    )
    @answers_json
    def client_usage(self, client=None, first=None, last=None, after="", limit=None, **_unknown):
        """Return the use of one of the key's owner's clients: by day, and what is used now; without
        ``client`` that of all of them by day, in pages.

        ``client`` is a reference; ``first`` and ``last`` are days of the client's time zone, or of all, of
        the reseller's, inclusive; without them this month to today. ``after`` is the reference that the
        page before ended with, its ``next``; ``limit`` how many clients a page has. Quantities are exact
        decimal strings. 404 for a client of another reseller as for none.
        """
        resellers_sudo, _clients = request.env.user._get_portal_roles()
        resellers_sudo = resellers_sudo.filtered("portal_use_api")
        if not resellers_sudo:
            raise AccessError(request.env._("The key's owner may not use the API."))
        if client is None:
            return self._get_usage_of_all(resellers_sudo, first, last, after, limit)
        client_sudo = resellers_sudo.env["reseller.client"].search(
            [
                ("ref", "=", client.replace("\0", "")),
                ("reseller_id", "in", resellers_sudo.ids),
            ],
            limit=1,
        )
        if not client_sudo:
            raise request.not_found()
        first, last = self._read_days(client_sudo._today(), first, last)
        now = client_sudo.current_usage() if client_sudo.state == "active" else []
        return {
            "client": client_sudo.ref,
            "first": str(first),
            "last": str(last),
            "days": self._get_days(client_sudo._get_report(first, last)),
            "now": [
                {
                    "feature": entry["code"],
                    "cycle_start": str(entry["cycle_start"]),
                    "cycle_end": str(entry["cycle_end"]) if entry["cycle_end"] else None,
                    **{name: entry[name] for name in ("used", "included_left", "prepaid_left")},
                    "maximum": entry["maximum"] or None,
                }
                for entry in now
            ],
        }

    def _get_usage_of_all(self, resellers, first, last, after, limit):
        first, last = self._read_days(resellers[0]._today(), first, last)
        if limit is None:
            most = MAX_CLIENTS
        elif limit.isdecimal() and 0 < int(limit[:9]) <= MAX_CLIENTS:
            most = int(limit)
        else:
            raise UserError(request.env._("Ask for 1 to %s clients at once.", MAX_CLIENTS))
        clients = resellers.env["reseller.client"].search(
            [
                ("reseller_id", "in", resellers.ids),
                # In the order of the database's letters, as they are sorted.
                ("ref", ">", after.replace("\0", "")),
            ],
            order="ref",
            limit=most + 1,
        )
        page_clients = clients[:most]
        reports = page_clients._load_reports(first, last)
        return {
            "first": str(first),
            "last": str(last),
            "clients": [
                {"client": one.ref, "days": self._get_days(reports.get(one.id, []))}
                for one in page_clients
            ],
            "next": page_clients[-1].ref if len(clients) > most else None,
        }

    def _read_days(self, today, first, last):
        try:
            first = fields.Date.to_date(first) or today.replace(day=1)
            last = fields.Date.to_date(last) or today
        except ValueError as error:
            raise UserError(request.env._("Give days as in 2026-01-31.")) from error
        if not 0 <= (last - first).days < MAX_DAYS:
            raise UserError(request.env._("Ask for 1 to %s days at once.", MAX_DAYS))
        return first, last

    def _get_days(self, rows):
        return [
            {
                "day": str(day),
                "feature": row["feature"].code,
                "level": row["level"].code or None,
                "quantity": quantity or "0",
            }
            for row in rows
            for day, quantity in row["days"].items()
        ]


class ResellerApiPortal(ResellerPortal):
    """The keys of a reseller's user."""

    @page(f"{HOME}/<int:reseller_id>/api", methods=["GET", "POST"])
    def reseller_api(self, reseller_id, **post):
        """Show the user's keys; make one, which is shown once, or withdraw one."""
        reseller_sudo = self._find_reseller(reseller_id)
        self._check_right(reseller_sudo, "portal_use_api")
        user = request.env.user
        keys_sudo = request.env["res.users.apikeys"].sudo()  # portal users read none, own neither
        # Not every key of the user: those of this scope.
        mine = [("user_id", "=", user.id), ("scope", "=", API_SCOPE)]
        errors, made = {}, None
        if request.httprequest.method == "POST":
            number = self._read_id(post, "withdraw")
            name = self._read_text(post, "name", 80)
            if number:
                self._find_own(keys_sudo, [*mine, ("id", "=", number)]).unlink()
                return request.redirect(f"{HOME}/{reseller_id}/api")
            if not self._knows_password(post):
                errors["password"] = request.env._("This is not your password.")
            if not name:
                errors["name"] = request.env._("Say what the key is for.")
            elif keys_sudo.search_count(mine) >= MAX_KEYS:
                errors["name"] = request.env._("There are %s keys: withdraw one first.", MAX_KEYS)
            elif not errors:
                until = fields.Datetime.add(fields.Datetime.now(), days=LASTS)
                made = keys_sudo._generate(API_SCOPE, name, until)
        return self._render_reseller(
            "portal_reseller_api",
            reseller_sudo,
            "api",
            keys=keys_sudo.search(mine),
            made=made,
            errors=errors,
            base_url=reseller_sudo.get_base_url(),
        )

    def _knows_password(self, post):
        """Whether the form has the user's password: a key outlasts the session that made it."""
        user = request.env.user
        credential = {
            "type": "password",
            "login": user.login,
            "password": self._read_raw(post, "password"),
        }
        try:
            # As at the log-in: who guesses has to wait.
            with user._assert_can_auth(user=user.id):
                user._check_credentials(credential, {"interactive": True})
        except AccessDenied:
            return False
        return True
