from odoo import api, fields, models
from odoo.tools import SQL

from . import reseller_lockout_debtor  # noqa: F401


class ResellerReseller(models.Model):
    """A reseller's lock-out, for debts of its own."""

    _name = "reseller.reseller"
    _inherit = ["reseller.reseller", "reseller.lockout.debtor.mixin"]

    # Lock-out
    lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out of Clients",
        check_company=True,
        tracking=True,
        default=lambda self: self.env.company.reseller_lockout_policy_id,
        help="What happens to clients whose invoices are overdue, unless their group says otherwise. "
        "Empty: nothing.",
    )
    own_lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out of the Reseller",
        check_company=True,
        tracking=True,
        default=lambda self: self.env.company.reseller_own_lockout_policy_id,
        help="What happens when the reseller itself has overdue invoices. Empty: nothing.",
    )
    lockout_ids = fields.One2many(
        "reseller.lockout", "reseller_id", string="Lock-out", domain=[("client_id", "=", False)]
    )
    lockout_exception_ids = fields.One2many(
        "reseller.lockout.exception", "reseller_id", string="Promises and Overrides"
    )

    def _get_lockout_policy(self, day):
        self.ensure_one()
        return self.own_lockout_policy_id.filtered("active")

    def _debtors_sql(self, days):
        return SQL(
            """
            SELECT reseller.id, asked.day, reseller.company_id, reseller.currency_id,
                   %s AS invoice_to, partner.commercial_partner_id AS partner_id
              FROM unnest(%s::int[], %s::date[]) AS asked (reseller_id, day)
              JOIN reseller_reseller reseller ON reseller.id = asked.reseller_id
              JOIN res_partner partner ON partner.id = reseller.partner_id
            """,
            self._invoice_to_sql(),
            self.ids,
            days,
        ), SQL(
            "JOIN res_partner partner ON partner.commercial_partner_id = debtor.partner_id "
            "JOIN account_move_line line ON line.partner_id = partner.id "
            # Clients that pay themselves may be contacts of the reseller; its buyer's account has a ladder.
            "AND NOT EXISTS (SELECT FROM account_move own "
            "JOIN reseller_client client ON client.id = own.reseller_client_id "
            "WHERE own.id = line.move_id "
            "AND (debtor.invoice_to != 'reseller' OR client.buys_for_id IS NOT NULL))"
        )

    def _invoice_to_sql(self):
        """Hook: return to whom invoices of a `reseller`'s clients go as SQL."""
        return SQL("reseller.invoice_to")

    @api.model
    def _find_lockout_candidates(self):
        """Override of the mixin: all who have a policy, or are not clear."""
        candidates = self.with_context(active_test=False).search(
            ["|", ("own_lockout_policy_id", "!=", False), ("lockout_ids.state", "!=", "clear")],
            order="id",
        )
        return candidates.ids

    def _get_debt_domain(self):
        domain = [("commercial_partner_id", "=", self.partner_id.commercial_partner_id.id)]
        if self._get_invoice_to() != "reseller":
            domain.append(("reseller_client_id", "=", False))
        return domain
