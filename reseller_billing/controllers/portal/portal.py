from contextlib import contextmanager
from decimal import Decimal, InvalidOperation

from odoo import fields, http
from odoo.addons.portal.controllers.portal import CustomerPortal
from odoo.exceptions import AccessError, UserError
from odoo.http import request
from psycopg2 import IntegrityError
from werkzeug.exceptions import TooManyRequests

from ... import rating
from ...models.portal.ir_http import LOGIN_AS, OWED
from ...models.portal.ir_qweb import WAS_LOCKED


def get_html_data():
    """Return the attributes of a page's root: the language that it is read out in."""
    return {"lang": (request.env.lang or "en_US").replace("_", "-")}


class ResellerBillingPortal(CustomerPortal):
    """What pages of resellers and of clients have in common.

    Portal users have no rights on the addon's models. A page gets its records from `_get_roles`,
    `_find_client` and the like, which know whose they are, and works with them as the system.
    """

    def _get_roles(self):
        """Return (resellers, clients) of the user, as the system.

        Who works as a client has that client alone, whatever else its user stands for.
        """
        resellers_sudo, clients_sudo = request.env.user._get_portal_roles()
        kept = request.session.get(LOGIN_AS)
        if kept:
            logs_sudo = request.env["reseller.login"].sudo()  # not for portal users to read
            log_sudo = logs_sudo.browse(kept["id"])
            return resellers_sudo.browse(), clients_sudo & log_sudo.client_id
        return resellers_sudo, clients_sudo

    def _find_client(self, client_id):
        """Return a client of the user's reseller, as the system.

        :raise NotFound: when it is another's, and when there is none
        """
        resellers_sudo, _clients = self._get_roles()
        return self._find_own(
            resellers_sudo.env["reseller.client"].with_context(active_test=False),
            [("id", "=", client_id), ("reseller_id", "in", resellers_sudo.ids)],
        ).with_context(active_test=True)

    def _find_own(self, records, domain):
        found = records.search(domain, limit=1)
        if not found:
            raise request.not_found()
        return found

    def _check_right(self, reseller, name):
        """Refuse what the provider does not let a reseller do."""
        if not reseller[name]:
            raise AccessError(request.env._("Your provider has not opened this to you."))

    def _render_portal(self, template, page_name, **values):
        return request.render(
            f"reseller_billing.{template}",
            {
                **self._prepare_portal_layout_values(),
                "page_name": page_name,
                "errors": {},
                "html_data": get_html_data(),
                "exact": request.env["res.lang"]._format_exact,
                "decimal": lambda value: rating.exact_of(value or 0.0),
                "decimal_text": Decimal,
                "done": None,
                "wrong": None,
                **values,
            },
        )

    @contextmanager
    def _refusals(self, errors):
        """Turn what models refuse into a message of the form, and undo what was begun.

        :param dict errors: gets the text under ``form``
        """
        try:
            with request.env.cr.savepoint():
                yield
                request.env.flush_all()
        except (UserError, IntegrityError) as error:
            if isinstance(error, IntegrityError):
                # The database's words are for programmers.
                text = request.env._("This does not go together with what is there already.")
            else:
                text = str(error)
            errors["form"] = text

    # How often

    def _count_pace(self, what):
        """Count something that the user does; return how often it was in this minute."""
        tallies_sudo = request.env["reseller.usage.tally"].sudo()  # nobody may write them
        return tallies_sudo._count(f"{what}, user {request.env.uid}", requests=1)[0]

    def _check_pace(self, what, most):
        """Refuse what a user does more often than so many times a minute."""
        if self._count_pace(what) > most:
            raise TooManyRequests(request.env._("Too often: wait a minute."))

    def _take_export(self):
        """Let a user have one file made at a time: others are to be served meanwhile."""
        request.env.cr.execute(
            "SELECT pg_try_advisory_xact_lock(hashtext('reseller_billing/export'), %s)",
            [request.env.uid],
        )
        if request.env.cr.fetchone() != (True,):
            raise TooManyRequests(
                request.env._("Another file of yours is being made: wait for it.")
            )

    # What forms hold

    def _read_raw(self, post, name):
        """Return what a form has under a name as text: files and other things are none."""
        value = post.get(name)
        return str(value).strip() if isinstance(value, str | int) else ""

    def _read_text(self, post, name, longest=200, lines=False):
        """Return a text of a form, without characters that control anything.

        :param bool lines: whether it may have several; a line that goes into a mail's header may not
        """
        text = "".join(
            one
            for one in self._read_raw(post, name)
            if one.isprintable() or (lines and one == "\n")
        )
        return text.strip()[:longest]

    def _read_number(self, post, name, errors):
        """Return a number of a form as a float, 0 where it is empty; note what is not one.

        Browsers send what is in a number's field with a point, whatever the language.
        """
        try:
            number = Decimal(self._read_raw(post, name) or 0)
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite() or not 0 <= number < 10**12:
            errors[name] = request.env._("A number, not below zero.")
            return 0.0
        if rating.exact_of(float(number)) != number:
            errors[name] = request.env._("Fewer digits, please.")
        return float(number)

    def _read_date(self, post, name, errors, required=True):
        """Return a date of a form; note what is none."""
        try:
            day = fields.Date.to_date(self._read_raw(post, name) or None)
        except ValueError:
            day = None
        if required and not day:
            errors[name] = request.env._("A day, as in 2026-01-31.")
        return day

    def _read_near_date(self, post, name, errors):
        """Return a date of a form that service or a price may change on: not before today."""
        day = self._read_date(post, name, errors)
        # Somewhere it is yesterday still.
        days = (day - fields.Date.today()).days if day else 0
        if not -1 <= days <= 366:
            errors[name] = request.env._("From today on, within a year, please.")
        return day

    def _read_id(self, post, name):
        """Return the id that a form names, or nothing: whose it is has to be looked up."""
        text = self._read_raw(post, name)
        return int(text) if text.isdecimal() and len(text) < 10 else None


class LockedPortal(CustomerPortal):
    @http.route(OWED, type="http", auth="user", methods=["GET"], website=True)
    def owed(self):
        """Show who is locked out what is owed, with a way to pay each invoice."""
        partner = request.env.user.partner_id
        lockouts_sudo = partner.sudo()._get_closed_lockouts()  # users read none, their own neither
        if not lockouts_sudo:
            return request.redirect("/my")
        request.session[WAS_LOCKED] = True
        # Of the debts' invoices, those that the user's company pays: no other payer's.
        payer = partner.commercial_partner_id
        invoices = lockouts_sudo._get_owed_invoices().filtered(
            lambda move: move.commercial_partner_id == payer
        )
        account = self._get_account(invoices)
        together = invoices._filter_paid_together()
        today = fields.Date.context_today(
            lockouts_sudo.with_context(tz=lockouts_sudo[0].reseller_id.tz)
        )
        return request.render(
            "reseller_billing.portal_owed",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "owed",
                "html_data": get_html_data(),
                "lockouts": lockouts_sudo,
                "account": account,
                "total": account and together._get_sum_to_pay(),
                "invoices": [
                    (invoice, invoice._get_next_due(), invoice._get_next_due() < today)
                    for invoice in invoices
                ],
            },
        )

    def _get_account(self, invoices):
        """Return the user's account whose invoices these are; none where they are of several."""
        _resellers, clients_sudo = request.env.user._get_portal_roles()
        account = invoices.reseller_client_id
        return clients_sudo & account if len(account) == 1 else clients_sudo.browse()
