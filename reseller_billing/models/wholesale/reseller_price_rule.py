from odoo import models


class ResellerPriceRule(models.Model):
    _inherit = "reseller.price.rule"

    def _find_with_use(self, found, features):
        """Override of billing: of buyers, use of the accounts beneath."""
        using = super()._find_with_use(found, features)
        buyers = self.env["reseller.client"].union(*found).filtered("buys_for_id")
        for buyer in buyers:
            unpriced = self.env["reseller.usage.daily"]._load_unpriced_beneath(
                buyer, [], buyer._today()
            )
            if unpriced.keys() & set(features.ids):
                using.add(buyer.id)
        return using
