from odoo import models

from ..base.notice import list_action


class ResellerClient(models.Model):
    _inherit = "reseller.client"

    def action_view_usage(self):
        """Open the client's use by day."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_usage_daily_action",
            self.env._("Usage"),
            [("client_id", "=", self.id)],
        )

    def _get_oldest_day(self):
        """Override: use of earlier days is not taken in any more."""
        return self.env["reseller.usage.line"]._get_oldest_day(self.company_id)
