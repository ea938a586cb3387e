from odoo import models
from odoo.tools import SQL


class ResellerPriceRule(models.Model):
    _inherit = "reseller.price.rule"

    def _find_with_use(self, found, features):
        """Override of billing: of buyers, use of the accounts beneath."""
        buyers = self.env["reseller.client"].union(*found).filtered("buys_for_id")
        return super()._find_with_use(found, features) | self.env[
            "reseller.usage.daily"
        ]._find_buyers_with_use(buyers, SQL("bucket.feature_id = ANY(%s)", features.ids))
