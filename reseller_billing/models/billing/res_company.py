from odoo import api, models


class ResCompany(models.Model):
    _inherit = "res.company"

    @api.model
    def _set_reseller_usage_product(self):
        """Give companies that have none the generic usage product, on installation."""
        product = self.env.ref("reseller_billing.product_usage")
        companies = self.with_context(active_test=False).search(
            [("reseller_usage_product_id", "=", False)]
        )
        companies.reseller_usage_product_id = product
        companies._tax_shipped_product()

    def _tax_shipped_product(self):
        """Give the shipped usage product the default sales taxes of these companies.

        Odoo does so for products that have a tax elsewhere; this one is there before any has.
        """
        product = self.env.ref("reseller_billing.product_usage", raise_if_not_found=False)
        if product:
            template_sudo = product.product_tmpl_id.sudo()  # of all companies
            for company in self.sudo():  # as above
                if template_sudo._lacks_sales_tax(company):
                    template_sudo._force_default_sale_tax(company)

    def write(self, vals):
        """Override of `base`: the shipped product follows the default tax."""
        done = super().write(vals)
        if vals.get("account_sale_tax_id"):
            self._tax_shipped_product()
        return done
