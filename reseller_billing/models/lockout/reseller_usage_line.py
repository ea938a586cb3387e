from odoo import api, models


class ResellerUsageLine(models.Model):
    _inherit = "reseller.usage.line"

    @api.model
    def _rejected_from_sql(self):
        """Override: from when a lock-out on rejects events."""
        return self.env["reseller.lockout"]._rejects_events_sql()
