from collections import namedtuple
from decimal import Decimal

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import rating
from ..base.notice import list_action
from .reseller_lockout_policy import SEVERITY, STATES

# What is overdue, exact and taxes included; days since the oldest of it was due.
Debt = namedtuple("Debt", "owed days")
NOTHING = Debt(Decimal(0), 0)


class ResellerLockoutDebtorMixin(models.AbstractModel):
    """Who may owe and be locked out: clients, and resellers for debts of their own.

    Each has `lockout_ids` (one at most) and `lockout_exception_ids`, and says below, where nothing
    is implemented here, which policy it follows and where its debt stands in the ledger.
    """

    _name = "reseller.lockout.debtor.mixin"
    _description = "Debtor of Lock-outs"

    lockout_state = fields.Selection(
        STATES, compute="_compute_lockout_state", search="_search_lockout_state"
    )
    lockout_since = fields.Datetime(compute="_compute_lockout_state")

    @api.depends("lockout_ids.state", "lockout_ids.state_since")
    def _compute_lockout_state(self):
        for debtor in self:
            lockout = debtor.lockout_ids[:1]
            debtor.lockout_state = lockout.state or "clear"
            debtor.lockout_since = lockout.state != "clear" and lockout.state_since

    @api.model
    def _search_lockout_state(self, operator, value):
        if operator != "in":
            return NotImplemented
        if "clear" in value:
            others = [state for state, _label in STATES if state not in value]
            return [("lockout_ids", "not any", [("state", "in", others)])]
        return [("lockout_ids", "any", [("state", "in", list(value))])]

    def _get_lockout_policy(self, day):
        """Return the policy that a debt follows on a day, empty for none."""
        raise NotImplementedError

    def _is_lockout_exempt(self, day):
        """Whether a debtor is never locked out, by its group of a day."""
        return False

    def _get_lockout_stage(self, debt, day=None):
        """Return the stage that a debt is at on a day, and what has kept it from a higher one.

        :param Debt debt: what is overdue then
        :param day: today where None
        :return: (stage, reason, exception); the reason is one of "policy", "exempt", "promise" and
            "override", "ended" where the last of these ended, None for the debt itself
        """
        self.ensure_one()
        day = day or self._today()
        policy = self._get_lockout_policy(day)
        stages = self.env["reseller.lockout.stage"]
        if not policy:
            return stages, "policy", None
        if self._is_lockout_exempt(day):
            return stages, "exempt", None
        stage = policy._get_stage(debt)
        holding = self.lockout_exception_ids.filtered(
            lambda exception: not exception.is_withdrawn and exception.date_until >= day
        )
        if holding:
            lowest = min(holding, key=lambda exception: (SEVERITY[exception.state], exception.id))
            held = policy._get_stage(debt, lowest.state)
            if held != stage:
                return held, lowest.kind, lowest
        last = self.lockout_ids.step_ids.sorted("id")[-1:].exception_id
        return stage, "ended" if last - holding else None, None

    def _load_debts(self, day=None):
        """Return {id: Debt} of what is overdue on a day, as if nothing more were paid until then.

        Open credits count off; invoices that are blocked for payment do not count, nor what is less
        than the company's setting. Amounts are in the currency of the bills.

        :param day: today, where each debtor is, if None
        """
        self.env.flush_all()
        found = dict.fromkeys(self.ids, NOTHING)
        days = [day or debtor._today() for debtor in self]
        companies_sudo = self.company_id.sudo()  # whoever asks need not read the setting
        minimums = {company.id: company.reseller_lockout_minimum for company in companies_sudo}
        least = {debtor.id: rating.exact_of(minimums[debtor.company_id.id]) for debtor in self}
        for debtor, owed, overdue in self.env.execute_query(self._debts_sql(days)):
            if overdue and owed > 0 and owed >= least[debtor]:
                found[debtor] = Debt(owed, overdue)
        return found

    def _debts_sql(self, days):
        """Return the query for (id, net overdue amount, days overdue) of these debtors.

        :param days: a day for each
        """
        debtors, joins = self._debtors_sql(days)
        return SQL(
            """
            WITH item AS (
                SELECT debtor.id AS debtor_id, line.id, line.amount_residual_currency AS residual,
                       payer.commercial_partner_id AS payer_id,
                       debtor.day - COALESCE(line.date_maturity, line.date) AS days
                  FROM (%s) AS debtor
                  %s
                  LEFT JOIN res_partner payer ON payer.id = line.partner_id
                  %s
                   AND line.company_id = debtor.company_id
                   AND line.currency_id = debtor.currency_id
            )
            %s
            """,
            debtors,
            joins,
            self._open_items_sql(),
            self._owed_sql(),
        )

    def _open_items_sql(self):
        """Return the joins and conditions of what is open of receivable `line`s."""
        return SQL(
            """
              JOIN account_account account ON account.id = line.account_id
              JOIN account_move document ON document.id = line.move_id
             WHERE line.parent_state = 'posted'
               AND line.reconciled IS NOT TRUE
               AND document.reseller_is_offer IS NOT TRUE
               AND (document.move_type NOT IN ('out_invoice', 'out_receipt')
                    OR document.payment_state IN ('not_paid', 'partial'))
               AND account.account_type = 'asset_receivable'
            """
        )

    def _owed_sql(self):
        """Return the query for (id, net overdue amount, days overdue) of each debtor of `item`."""
        return SQL(
            """
            , credit AS (
                SELECT debtor_id, -sum(residual) AS amount FROM item
                 WHERE residual < 0 GROUP BY debtor_id
            ), overdue AS (
                -- Credits pay the oldest first.
                SELECT debtor_id, days, residual,
                       sum(residual) OVER (PARTITION BY debtor_id ORDER BY days DESC, id) AS running
                  FROM item WHERE residual > 0 AND days > 0
            )
            SELECT overdue.debtor_id, sum(overdue.residual) - COALESCE(max(credit.amount), 0),
                   max(overdue.days) FILTER (WHERE running > COALESCE(credit.amount, 0))
              FROM overdue LEFT JOIN credit ON credit.debtor_id = overdue.debtor_id
             GROUP BY overdue.debtor_id
            """
        )

    def _debtors_sql(self, days):
        """Return the query for the debtors (id, day, company_id, currency_id, …) and the joins that
        find their journal items as `line`."""
        raise NotImplementedError

    def _find_lockout_candidates(self):
        """Return ids of all who may have to move: who owe something due, or are not clear."""
        raise NotImplementedError

    def _get_overdue_invoices(self):
        """Return the invoices of this debt that are overdue, oldest first."""
        self.ensure_one()
        today = self._today()
        return self._get_owed_invoices().filtered(
            lambda move: not move.reseller_is_offer and move._get_next_due() < today
        )

    def _get_owed_invoices(self):
        """Return the open invoices of this debt, oldest first."""
        self.ensure_one()
        return self.env["account.move"].search(
            [*self._get_debt_domain(), *self._get_owed_domain()], order="invoice_date_due, id"
        )

    def _get_owed_domain(self):
        """Return the domain of open invoices of these debtors' companies."""
        return [
            ("company_id", "in", self.company_id.ids),
            ("state", "=", "posted"),
            ("move_type", "in", ("out_invoice", "out_receipt")),
            ("payment_state", "in", ("not_paid", "partial")),
        ]

    def _get_payable_domain(self):
        """Return the domain of what these debtors' companies may have paid: open invoices and offers."""
        owed = Domain(self._get_owed_domain())
        offers = self.env["account.move"]._get_offers_domain()
        return owed | (Domain("company_id", "in", self.company_id.ids) & offers)

    def _get_debt_domain(self):
        """Return the domain of this debtor's invoices."""
        raise NotImplementedError

    def action_view_lockouts(self):
        """Open the history of the lock-outs."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_lockout_step_action",
            self.env._("Lock-out of %s", self.display_name),
            [("lockout_id", "in", self.lockout_ids.ids)],
        )

    def _after_payment(self):
        """Hook: something was paid of what these debtors owe, in the transaction that ends."""
