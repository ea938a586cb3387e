from odoo import api, models


class ResellerUsageAlert(models.Model):
    _inherit = "reseller.usage.alert"

    @api.model
    def _find_using(self, company, features):
        """Override of gate: with the accounts of resellers that pay for that use."""
        clients = super()._find_using(company, features)
        buyers = clients._get_buyers().filtered(lambda buyer: buyer.state == "active")
        return clients | buyers.sudo(False)  # as clients are
