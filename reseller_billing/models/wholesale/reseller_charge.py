from odoo import api, fields, models

from ..base.states import LIVE


class ResellerCharge(models.Model):
    """What accounts beneath cost of a buyer's charge, and what of a paper's is tax (wholesale W15)."""

    _inherit = "reseller.charge"

    share_ids = fields.One2many(
        "reseller.charge.share",
        "charge_id",
        string="Cost by Client",
        domain=[("statement_id.state", "in", LIVE)],
        readonly=True,
    )
    included_tax = fields.Monetary(
        string="Tax in the Price",
        readonly=True,
        help="Of what is on paper, by the taxes of its product; an invoice has its own.",
    )

    @api.model
    def _insert(self, rows):
        """Override of billing: what no use makes costs the buyer's own account; papers say what is tax of them."""
        charges = super()._insert(rows)
        bought, papers = [], []
        for number, row in zip(charges.ids, rows, strict=True):
            if row["book"] == "wholesale" and not row["price_rule_id"]:
                bought.append(number)
            elif row["is_paper"]:
                papers.append(number)
        shares_sudo = self.env["reseller.charge.share"].sudo()  # they are made as charges are
        shares_sudo._keep(self.browse(bought))
        self.browse(papers)._set_included_tax()
        return charges

    def _set_included_tax(self):
        """Set what of the prices of these papers is tax, where their products' taxes are in the price."""
        for company, of_company in self.grouped("company_id").items():
            # Most have none.
            taxes_sudo = self.env["account.tax"].sudo()  # whoever bills
            sales = taxes_sudo.search(
                [("company_id", "parent_of", company.ids), ("type_tax_use", "=", "sale")]
            )
            if not any(sales.flatten_taxes_hierarchy().mapped("price_include")):
                continue
            for product, charges in of_company.grouped(lambda one: one._get_product()).items():
                taxes_of = product.product_tmpl_id._get_sales_taxes
                if not any(taxes_of(company).flatten_taxes_hierarchy().mapped("price_include")):
                    continue
                for charge in charges:
                    # As an invoice would have it: in parts, where rates change.
                    whole = [(None, None, charge.amount)]
                    net = 0.0
                    for _first, last, amount in charge._get_spans() or whole:
                        taxes = taxes_of(company, day=charge._get_tax_day(last))
                        sums = taxes.compute_all(float(amount), charge.currency_id, product=product)
                        net += sums["total_excluded"]
                    tax = charge.currency_id.round(charge.amount - net)
                    charge.sudo().included_tax = tax  # as charges are made
