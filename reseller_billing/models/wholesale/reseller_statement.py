from odoo import fields, models
from odoo.exceptions import UserError

from ..base.states import LIVE


class ResellerStatement(models.Model):
    """Papers: what a reseller asks of its clients, and has ticked off as paid (wholesale W4)."""

    _inherit = "reseller.statement"

    is_paper_paid = fields.Boolean(
        string="Paid to the Reseller",
        readonly=True,
        copy=False,
        help="As the reseller says: what its client paid it is in nobody's ledger here.",
    )
    paper_paid_on = fields.Date(string="Paid On", readonly=True, copy=False)

    def action_mark_paid(self, date=None):
        """Tick papers off as paid to the reseller.

        :param date date: the day of payment; today where None
        :raise UserError: for what is no paper that stands
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        self._mark_paid(date)

    def action_mark_unpaid(self):
        """Take the tick of papers back.

        :raise UserError: once units were used that the paper has sold
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        self._mark_unpaid()

    def _mark_paid(self, date=None):
        """See action_mark_paid; whoever may has been asked."""
        for statement in self:
            if statement.state not in LIVE or not statement.paper_total:
                raise UserError(
                    self.env._(
                        "%s is no paper that stands: what is invoiced is paid in the ledger.",
                        statement.name,
                    )
                )
        vals = {"is_paper_paid": True, "paper_paid_on": date or fields.Date.context_today(self)}
        statements_sudo = self.sudo()  # statements and lots are closed to all users
        statements_sudo.write(vals)
        self._conflict_over_lots()
        for lots in statements_sudo._find_sold_lots():
            lots.filtered(lambda lot: lot.state == "waiting" and lot._is_paid())._release()

    def _mark_unpaid(self):
        """See action_mark_unpaid; whoever may has been asked."""
        statements_sudo = self.sudo()  # as above
        self._conflict_over_lots()
        for lots in statements_sudo._find_sold_lots():
            lots._withdraw()
        statements_sudo.write({"is_paper_paid": False, "paper_paid_on": False})

    def _conflict_over_lots(self):
        """Have bills and systems that draw on what these sold, and a tick, not pass each other."""
        self.client_id._conflict_with_others()
        self.client_id._take_turn()
