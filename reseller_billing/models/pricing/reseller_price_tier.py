from odoo import fields, models

from . import reseller_price_part  # noqa: F401


class ResellerPriceTier(models.Model):
    _name = "reseller.price.tier"
    _description = "Price Tier"
    _inherit = "reseller.price.part.mixin"
    _order = "rule_id, sequence, id"

    rule_id = fields.Many2one(
        "reseller.price.rule", string="Price", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="rule_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="rule_id.currency_id")
    sequence = fields.Integer(default=10)
    is_last = fields.Boolean(
        string="No Limit",
        help="The last tier has no bound: it takes all units above the one before.",
    )
    up_to = fields.Float(min_display_digits=0, help="The last unit of this tier, inclusive.")
    unit_price = fields.Float(min_display_digits="Product Price")
    flat_fee = fields.Float(
        min_display_digits="Product Price",
        help="Due once per cycle when the tier is entered.",
    )

    def _get_terms_in_words(self, money, units):
        """Return this tier in words; `money` and `units` format amounts and units."""
        self.ensure_one()
        text = money(self.unit_price)
        if not self.is_last:
            text = self.env._("%(price)s up to %(bound)s", price=text, bound=units(self.up_to))
        if self.flat_fee:
            text = self.env._("%(fee)s + %(price)s", fee=money(self.flat_fee), price=text)
        return text
