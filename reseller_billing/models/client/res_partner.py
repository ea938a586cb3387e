from odoo import fields, models

from ..base.notice import list_action


class ResPartner(models.Model):
    _inherit = "res.partner"

    reseller_ids = fields.One2many("reseller.reseller", "partner_id", string="Resellers")
    reseller_client_ids = fields.One2many(
        "reseller.client", "partner_id", string="Billing Accounts"
    )
    reseller_client_count = fields.Integer(compute="_compute_reseller_client_count")

    def _compute_reseller_client_count(self):
        counts = dict(
            self.env["reseller.client"]._read_group(
                [("partner_id", "in", self.ids)], ["partner_id"], ["__count"]
            )
        )
        for partner in self:
            partner.reseller_client_count = counts.get(partner, 0)

    def action_view_reseller_clients(self):
        """Open the billing accounts of this contact."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_client_action",
            self.env._("Billing Accounts"),
            [("partner_id", "=", self.id)],
        )
