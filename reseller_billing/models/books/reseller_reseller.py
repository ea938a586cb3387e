from odoo import fields, models
from odoo.tools import date_utils


class ResellerReseller(models.Model):
    """What a reseller that buys is left with, see reseller.margin."""

    _inherit = "reseller.reseller"

    last_margin = fields.Monetary(
        string="Margin of Last Month",
        compute="_compute_last_margin",
        help="What its clients are asked for last month's service, less what it pays for that.",
    )

    def _compute_last_margin(self):
        this = date_utils.start_of(fields.Date.context_today(self), "month")
        last = date_utils.subtract(this, months=1)
        rows = self.env["reseller.margin"]._load_months(self, last)
        margins = {row[0]: float(row[3] - row[4]) for row in rows if row[2] == last}
        for reseller in self:
            reseller.last_margin = margins.get(reseller.id, 0.0)

    def action_view_margin(self):
        """Open the margins of this reseller by client and month."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "reseller_billing.reseller_margin_action"
        )
        return {
            **action,
            "domain": [("reseller_id", "=", self.id)],
            "context": {"pivot_row_groupby": ["client_id", "feature_id"]},
        }
