from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import date_utils

from ..base.notice import list_action


class ResellerReseller(models.Model):
    """What a reseller owes itself."""

    _inherit = "reseller.reseller"

    open_balance = fields.Monetary(
        compute="_compute_balance", help="What the reseller itself owes, by the invoices it pays."
    )
    overdue_balance = fields.Monetary(compute="_compute_balance")
    month_amount = fields.Monetary(
        string="This Month",
        compute="_compute_bills",
        help="What the bills of this month come to, of all its clients, before added taxes.",
    )
    statement_count = fields.Integer(compute="_compute_bills")

    def _get_bills_domain(self):
        """Return the domain of the bills of these resellers' clients."""
        billed = self.env["reseller.statement"]._get_billed_domain()
        return Domain("reseller_id", "in", self.ids) & billed

    def _get_month_domain(self):
        """Return the domain of the bills of this month, where the reseller is."""
        first = self._today().replace(day=1)
        last = date_utils.end_of(first, "month")
        days = Domain("bill_date", ">=", first) & Domain("bill_date", "<=", last)
        # Of former currencies none is added up.
        return self._get_bills_domain() & days & Domain("currency_id", "=", self.currency_id.id)

    @api.depends("client_ids")
    def _compute_bills(self):
        bills = self.env["reseller.statement"]
        counts = dict(bills._read_group(self._get_bills_domain(), ["reseller_id"], ["__count"]))
        for reseller in self:  # a form has one
            reseller.statement_count = counts.get(reseller._origin, 0)
            [[amount]] = bills._read_group(reseller._get_month_domain(), [], ["amount_total:sum"])
            reseller.month_amount = amount

    def action_view_statements(self):
        """Open the bills of all the reseller's clients."""
        self.ensure_one()
        return self.env["reseller.statement"]._get_list_action(self._get_bills_domain())

    def action_view_month(self):
        """Open the bills of this month."""
        return {**self.action_view_statements(), "domain": list(self._get_month_domain())}

    def action_view_usage(self):
        """Open what the reseller's clients have used, by feature and month."""
        self.ensure_one()
        action = list_action(
            self.env,
            "reseller_billing.reseller_usage_daily_action",
            self.env._("Use"),
            [("reseller_id", "=", self.id)],
        )
        views = sorted(action["views"], key=lambda view: view[1] == "list")
        return {**action, "view_mode": "pivot,graph,list", "views": views}

    def _is_paper_on(self, day):
        """Hook: whether what clients are charged from a day on is on paper: the provider invoices none of it,
        and has none of it in its ledger (wholesale W4).

        :param date day: the first of a cycle, or of what is charged
        """
        self.ensure_one()
        return self.invoice_to == "none"

    def _get_last_invoiced_day(self, until):
        """Return the last day up to one of which what clients are charged is not on paper; None without one."""
        self.ensure_one()
        return None if self._is_paper_on(until) else until

    def _get_invoice_to(self):
        """Hook: return whom the provider invoices, as `invoice_to`, for what is not on paper; nobody where there
        is no reseller yet.
        """
        return self.invoice_to

    def _find_paying_contacts(self):
        """Return {reseller: clients} that pay themselves and are contacts of the reseller.

        What they owe is in the ledger of its contact, and no debt of its own.
        """
        payers = self.partner_id.commercial_partner_id
        clients_sudo = self.env["reseller.client"].sudo()  # who asks need not see every client
        found = clients_sudo.with_context(active_test=False).search(
            [("partner_id.commercial_partner_id", "in", payers.ids)]
        )
        by_payer = found.grouped(lambda client: client.partner_id.commercial_partner_id)
        return {
            reseller: clients_sudo
            if reseller.invoice_to == "reseller"
            else by_payer.get(reseller.partner_id.commercial_partner_id, clients_sudo)
            for reseller in self
        }

    def _get_entries_domain(self):
        """Return the domain of the entries of this reseller's own account."""
        self.ensure_one()
        return Domain(
            [
                ("partner_id", "=", self.partner_id.commercial_partner_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("client_id", "not in", self._find_paying_contacts()[self].ids),
            ]
        )

    @api.depends("partner_id", "invoice_to")
    def _compute_balance(self):
        keys = ("partner_id", "company_id", "currency_id", "client_id")
        payers = self.partner_id.commercial_partner_id
        sums = self.env["reseller.account.entry"]._load_balances(
            [("partner_id", "in", payers.ids), ("company_id", "in", self.company_id.ids)],
            fields.Date.context_today(self),
            keys,
        )
        others = self._find_paying_contacts()
        for reseller in self:
            mine = (
                reseller.partner_id.commercial_partner_id,
                reseller.company_id,
                reseller.currency_id,
            )
            left_out = set(others[reseller].ids)
            found = [
                amounts
                for (*key, client), amounts in sums.items()
                if tuple(key) == mine and client.id not in left_out
            ]
            reseller.open_balance = sum(amounts[0] for amounts in found)
            reseller.overdue_balance = sum(amounts[1] for amounts in found)

    def action_view_account(self):
        """Open the itemised history of what the reseller itself pays, with the balance."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_account_entry_action",
            self.env._("Account of %s", self.display_name),
            self._get_entries_domain(),
        )

    def action_view_overdue(self):
        """Open the documents of the reseller's own that are overdue."""
        today = fields.Date.context_today(self)
        overdue = [("date_due", "<", today), ("residual", "!=", 0), ("is_offer", "=", False)]
        return {
            **self.action_view_account(),
            "domain": list(self._get_entries_domain() & Domain(overdue)),
        }

    def action_view_invoices(self):
        """Open the invoices and credit notes of the reseller's clients, whoever pays them."""
        self.ensure_one()
        return self.env["account.move"]._get_bills_action(
            [("reseller_reseller_id", "=", self.id)], search_default_group_reseller_client=1
        )
