from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError


class ResellerCommissionMake(models.TransientModel):
    """Makes the commission statements of resellers until a day."""

    _name = "reseller.commission.make"
    _description = "Make Commission Statements"

    date = fields.Date(
        string="Until",
        required=True,
        default=lambda self: fields.Date.context_today(self).replace(day=1) - timedelta(days=1),
        help="The last day that counts: invoices, credit notes and payments until then.",
    )
    reseller_ids = fields.Many2many(
        "reseller.reseller",
        string="Resellers",
        required=True,
        default=lambda self: self._default_reseller_ids(),
        domain="[('settlement', '=', 'referral')]",
    )

    @api.model
    def _default_reseller_ids(self):
        return self.env["reseller.reseller"].search(
            [("settlement", "=", "referral"), ("company_id", "in", self.env.companies.ids)]
        )

    def action_make(self):
        """Make the statements, and open them.

        :raise UserError: with the reason, where one of the resellers cannot have one
        """
        self.ensure_one()
        self.env["res.users"]._check_billing_manager()
        if self.date >= fields.Date.context_today(self):
            raise UserError(self.env._("Choose a day that is over."))
        commissions = self.env["reseller.commission"]
        for reseller in self.reseller_ids:
            commissions |= commissions._make(reseller, self.date)
        return commissions._get_records_action(name=self.env._("Commissions"))
