from odoo import fields, models

from . import reseller_price_part  # noqa: F401


class ResellerPriceLevel(models.Model):
    _name = "reseller.price.level"
    _description = "Price of a Level"
    _inherit = "reseller.price.part.mixin"
    _order = "rule_id, id"

    rule_id = fields.Many2one(
        "reseller.price.rule", string="Price", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="rule_id.company_id", store=True, index=True)
    feature_id = fields.Many2one(related="rule_id.feature_id")
    level_id = fields.Many2one(
        "reseller.feature.level",
        required=True,
        index=True,
        ondelete="restrict",
        domain="[('feature_id', '=', feature_id)]",
    )
    unit_price = fields.Float(min_display_digits="Product Price")
    is_rated_by_rule = fields.Boolean(
        string="Rule's Price",
        help="The level has an allotment of its own, but its units cost what the rule says.",
    )
    included_quantity = fields.Float(
        string="Included",
        min_display_digits=0,
        help="An allotment of this level's own. None: it shares the rule's.",
    )

    _level_uniq = models.Constraint(
        "UNIQUE (rule_id, level_id)", "A level has one price in a rule."
    )
