from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from ...models.base.notice import make_notice


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
        # Payments to those that have left may still be taken back.
        resellers = self.env["reseller.reseller"].with_context(active_test=False)
        return resellers.search(
            [("settlement", "=", "referral"), ("company_id", "in", self.env.companies.ids)]
        )

    def action_make(self):
        """Make the statements, and say for whom there is none, and why.

        :raise UserError: with the reasons, where none can be made
        """
        self.ensure_one()
        self.env["res.users"]._check_billing_manager()
        if self.date >= fields.Date.context_today(self):
            raise UserError(self.env._("Choose a day that is over."))
        commissions, left_out = self.env["reseller.commission"], []
        for reseller in self.reseller_ids:
            try:
                with self.env.cr.savepoint():
                    commissions |= commissions._make(reseller, self.date)
            except UserError as error:
                left_out.append(str(error))
        if not commissions:
            raise UserError("\n".join(left_out))
        message = self.env._("%s commission statements are made.", len(commissions))
        return make_notice(
            commissions,
            "\n".join([message, *left_out]),
            kind="warning" if left_out else "success",
            name=self.env._("Commissions"),
        )
