from datetime import timedelta

from odoo import fields
from odoo.addons.portal.controllers.portal import pager
from odoo.fields import Domain
from odoo.http import request
from odoo.tools import date_utils
from odoo.tools.misc import format_date

from ...models.base.states import LIVE
from .portal_billing import BillingPortal
from .portal_reseller import HOME, page

STATEMENTS = f"{HOME}/statements"
# Statements of one file, at most: pages are printed while the browser waits.
MAX_STATEMENTS = {"pdf": 50, "xlsx": 200}


class StatementsPortal(BillingPortal):
    """The statements of all clients of a reseller, by month, one by one or in one file."""

    @page(STATEMENTS, f"{STATEMENTS}/page/<int:number>")
    def reseller_statements(self, number=1, filterby="", state="all", **kw):
        """List statements: the newest month that has any, unless another is asked for."""
        resellers_sudo = self._get_readable_resellers()
        months = self._get_months(resellers_sudo)
        states = self._get_states()
        filterby = filterby if filterby in months else next(iter(months))
        state = state if state in states else "all"
        domain = self._get_domain(resellers_sudo, filterby, state)
        statements_sudo = resellers_sudo.env["reseller.statement"]
        count = statements_sudo.search_count(domain)
        pages = pager(
            STATEMENTS,
            count,
            number,
            self._items_per_page,
            url_args={"filterby": filterby, "state": state},
        )
        return self._render_reseller(
            "portal_reseller_statements",
            resellers_sudo[0],
            "statements",
            statements=statements_sudo.search(
                domain, limit=self._items_per_page, offset=pages["offset"]
            ),
            sums=statements_sudo._read_group(domain, ["currency_id"], ["amount_total:sum"]),
            count=count,
            files=self._get_files(count),
            pager=pages,
            months=months,
            states=states,
            filterby=filterby,
            state=state,
            wrong=request.session.pop("reseller_wrong", None),
        )

    @page(f"{STATEMENTS}.<any(pdf, xlsx):kind>")
    def reseller_statements_file(self, kind, filterby="", state="all", part="1", **kw):
        """Send the statements of a list in one file, or a part of them, see _get_files."""
        resellers_sudo = self._get_readable_resellers()
        months = self._get_months(resellers_sudo)
        if filterby not in months:
            raise request.not_found()
        domain = self._get_domain(resellers_sudo, filterby, state)
        statements_sudo = resellers_sudo.env["reseller.statement"]
        most = MAX_STATEMENTS[kind]
        number = int(part) if part.isdecimal() and len(part) < 6 else 0
        if number:
            # The oldest first: what is billed meanwhile moves nothing into another part.
            statements_sudo = statements_sudo.search(
                domain, limit=most, offset=(number - 1) * most, order="bill_date, id"
            )
        if not number or not statements_sudo:
            request.session["reseller_wrong"] = request.env._(
                "There are no statements for this file: choose another part of them."
            )
            return request.redirect(f"{STATEMENTS}?filterby={filterby}")
        name = request.env._("Statements %s", filterby)
        if number > 1:
            name = f"{name} ({number})"
        return self._send_statement(statements_sudo, kind, name)

    def _get_files(self, count):
        """Return {kind of file: [(number of its part, its first statement, its last)]} of so many statements."""
        return {
            kind: [
                (number, first, min(first + most - 1, count))
                for number, first in enumerate(range(1, count + 1, most), 1)
            ]
            for kind, most in MAX_STATEMENTS.items()
        }

    def _get_readable_resellers(self):
        """Return the user's resellers that see what their clients pay, as the system."""
        resellers_sudo = self._get_resellers()
        readable = resellers_sudo.filtered(self._lists_statements)
        if not readable:
            self._check_sees_money(resellers_sudo[0])
            self._check_right(resellers_sudo[0], "portal_see_prices")
        return readable

    def _get_months(self, resellers):
        """Return {month as YYYY-MM: its name}, those with statements, the newest first."""
        today = resellers[0]._today()
        rows = resellers.env["reseller.statement"]._read_group(
            [
                ("reseller_id", "in", resellers.ids),
                ("state", "in", LIVE),
            ],
            ["bill_date:month"],
        )
        months = sorted((month for (month,) in rows), reverse=True) or [today.replace(day=1)]
        return {
            month.strftime("%Y-%m"): format_date(request.env, month, date_format="MMMM yyyy")
            for month in months
        }

    def _get_states(self):
        """Return {name: (label, domain)} of what is to be paid of statements."""
        owed = Domain("invoice_id.move_type", "=", "out_invoice")
        owed &= Domain("invoice_id.state", "=", "posted")
        owed &= Domain("invoice_id.reseller_is_offer", "=", False)
        paid = Domain("invoice_id.payment_state", "in", ("paid", "in_payment", "reversed"))
        has = Domain("invoice_id", "!=", False)
        return {
            "all": (request.env._("All"), Domain.TRUE),
            "open": (request.env._("To be paid"), owed & ~paid),
            "paid": (request.env._("Paid"), has & paid),
        }

    def _get_domain(self, resellers, month, state):
        first = fields.Date.to_date(f"{month}-01")
        last = date_utils.add(first, months=1) - timedelta(days=1)
        states = self._get_states()
        return (
            Domain("reseller_id", "in", resellers.ids)
            & Domain("state", "in", LIVE)
            & Domain("bill_date", ">=", first)
            & Domain("bill_date", "<=", last)
            & states[state if state in states else "all"][1]
        )
