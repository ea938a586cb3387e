from odoo import fields, models


class ResellerClient(models.Model):
    """The prices of a client."""

    _inherit = "reseller.client"

    price_rule_ids = fields.One2many("reseller.price.rule", "client_id", string="Own Prices")
    pricing_html = fields.Html(compute="_compute_pricing_html", sanitize=False)

    def _compute_pricing_html(self):
        for client in self:
            rows = client._get_pricing()
            client.pricing_html = self.env["ir.qweb"]._render(
                "reseller_billing.client_pricing",
                {
                    "rows": [row for row in rows if row["winner"]],
                    "unpriced": [row["feature"].name for row in rows if not row["winner"]],
                },
            )

    def _get_pricing(self):
        """Return the winning rule of every feature today, with what it overrides."""
        self.ensure_one()
        if not self.reseller_id:  # of a form that is not filled in yet
            return []
        day = self._today()
        return self.reseller_id._get_pricing(day, self._membership_on(day).group_id, self)
