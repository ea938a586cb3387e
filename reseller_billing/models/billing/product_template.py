from odoo import fields, models
from odoo.exceptions import UserError

from ... import rating


class ProductTemplate(models.Model):
    """The sales taxes that bills take from products."""

    _inherit = "product.template"

    reseller_untaxed = fields.Boolean(
        string="Billed Without Sales Tax",
        company_dependent=True,
        help="That this product has no sales tax is meant so: bills of resellers' clients that sell it are "
        "not held up for want of one.",
    )

    def _lacks_sales_tax(self, company):
        """Whether nobody has chosen a sales tax in a company that has a default one."""
        self.ensure_one()
        product = self.with_company(company)
        return (
            bool((company | company.root_id).account_sale_tax_id)
            and not product.reseller_untaxed
            and not product._get_sales_taxes(company)
        )

    def _check_has_sales_tax(self, company):
        """Refuse products for which nobody has chosen a tax: a bill without it would be wrong for good."""
        for product in self:
            if product._lacks_sales_tax(company):
                raise UserError(
                    self.env._(
                        "%(product)s has no sales tax at %(company)s: choose one on the product, or "
                        "tick there that it is billed without.",
                        product=product.display_name,
                        company=company.name,
                    )
                )

    def _get_sales_taxes(self, company, position=None, day=None):
        """Return the taxes that Odoo gives an invoice line of this: its own, or else its account's.

        :param position: an account.fiscal.position, which maps the account, and not the taxes
        :param date day: of the service; with the rates of that day. None: as the product has them
        """
        taxes = self.taxes_id._filter_taxes_by_company(company)
        if not taxes and self:
            account = self.with_company(company).get_product_accounts(position)["income"]
            if account:
                taxes = account.tax_ids.filtered(lambda tax: tax.type_tax_use == "sale")
        return self.env["reseller.tax.change"]._apply(taxes, company, day) if day else taxes

    def _adapt_price(self, amount, currency, taxes, mapped):
        """Return an amount as priced, exact, as invoices with other taxes have it: as Odoo does, a price
        that includes taxes is without them where a fiscal position takes them away.

        :param Decimal amount: as priced
        :param taxes: those of the product
        :param mapped: those of the invoice's line
        """
        if not taxes or taxes == mapped:
            return amount
        product = self.product_variant_id
        found = taxes._adapt_price_unit_to_another_taxes(float(amount), product, taxes, mapped)
        if found == float(amount):
            return amount
        return rating.round_to(rating.exact_of(found), currency._get_exact_rounding())
