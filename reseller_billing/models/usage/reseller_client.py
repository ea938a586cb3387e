from odoo import models


class ResellerClient(models.Model):
    _inherit = "reseller.client"

    def action_view_usage(self):
        """Open the client's use by day."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Usage"),
            "res_model": "reseller.usage.daily",
            "view_mode": "list,pivot,graph",
            "domain": [("client_id", "=", self.id)],
        }

    def _get_oldest_day(self):
        """Override: use of earlier days is not taken in any more."""
        return self.env["reseller.usage.line"]._get_oldest_day(self.company_id)
