from odoo import models


class ContractLine(models.Model):
    _inherit = "contract.line"

    def _prepare_charge_vals(self, first, last):
        """Override: a line may sell a package."""
        vals = super()._prepare_charge_vals(first, last)
        company = self.contract_id.company_id
        grant = self.product_id and self.product_id._prepare_reseller_grant(
            self.currency_id, company, first
        )
        if grant:
            vals["kind"] = "package"
            vals |= grant
        return vals
