from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ... import rating

# The terms that the form in the portal has.
SETTABLE = ("recurring_fee", "unit_price", "included_quantity")


class ResellerPriceFloor(models.Model):
    """A feature that a reseller may price in the portal, and what it may not go under."""

    _name = "reseller.price.floor"
    _description = "Price That a Reseller May Set"
    _order = "reseller_id, feature_id"

    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="reseller_id.currency_id")
    feature_id = fields.Many2one("reseller.feature", required=True, index=True, ondelete="cascade")
    unit_price = fields.Float(
        string="Lowest Unit Price",
        min_display_digits="Product Price",
        help="In the reseller's currency.",
    )
    recurring_fee = fields.Float(string="Lowest Fee", min_display_digits="Product Price")
    included_quantity = fields.Float(
        string="Most Included",
        min_display_digits=0,
        help="Included units, at most: free ones would go under any floor.",
    )

    max_unit_price = fields.Float(
        string="Highest Unit Price",
        min_display_digits="Product Price",
        compute="_compute_ceilings",
        store=True,
        readonly=False,
        help="A slip of the hand is refused, not billed. 0: any.",
    )
    max_recurring_fee = fields.Float(
        string="Highest Fee",
        min_display_digits="Product Price",
        compute="_compute_ceilings",
        store=True,
        readonly=False,
        help="0: any.",
    )

    _feature_uniq = models.Constraint(
        "UNIQUE (reseller_id, feature_id)", "This reseller has a line for this feature already."
    )
    _floors_positive = models.Constraint(
        "CHECK (COALESCE(unit_price, 0) >= 0 AND COALESCE(recurring_fee, 0) >= 0 "
        "AND COALESCE(included_quantity, 0) >= 0 AND COALESCE(max_unit_price, 0) >= 0 "
        "AND COALESCE(max_recurring_fee, 0) >= 0)",
        "Lowest and highest prices must not be negative.",
    )

    @api.depends("reseller_id.currency_id")
    def _compute_ceilings(self):
        for floor in self:
            scale = floor.currency_id._scale_ceiling
            floor.max_unit_price = scale(1000)
            floor.max_recurring_fee = scale(10000)

    @api.constrains("feature_id", "reseller_id")
    def _check_feature_company(self):
        for floor in self:
            company = floor.feature_id.company_id
            if company and company != floor.reseller_id.company_id:
                raise ValidationError(
                    self.env._(
                        "%(feature)s belongs to another company than %(reseller)s.",
                        feature=floor.feature_id.name,
                        reseller=floor.reseller_id.display_name,
                    )
                )

    def _explain_refusal(self, base, scope):
        """Return why a reseller may not set a price instead of the one that holds, in words; or None.

        :param base: the price that holds, or none
        :param str scope: "client_id" or "group_id": whose price would be set
        """
        self.ensure_one()
        if not base:
            return self.env._(
                "%s has no price yet: ask your provider for one.", self.feature_id.name
            )
        if base[scope] and not base.is_of_portal:
            return self.env._("Your provider has set this price: ask there.")
        if base.pricing_model != "per_unit" or base.level_price_ids:
            return self.env._(
                "%s has a price of several parts: ask your provider to change it.",
                self.feature_id.name,
            )
        return None

    def _check_terms(self, terms):
        """Return {field: what is wrong} of what a reseller wants to set; empty when it may.

        :param dict terms: ``unit_price``, ``recurring_fee`` and ``included_quantity`` as floats
        """
        self.ensure_one()
        money = self.currency_id._format_exact
        wrong = {}
        for name in ("unit_price", "recurring_fee"):
            if terms[name] < self[name]:
                wrong[name] = self.env._(
                    "Not under %s, please.", money(rating.exact_of(self[name]))
                )
            highest = self[f"max_{name}"]
            if highest and terms[name] > highest:
                wrong[name] = self.env._("Not above %s, please.", money(rating.exact_of(highest)))
        if terms["included_quantity"] > self.included_quantity:
            wrong["included_quantity"] = self.env._(
                "At most %s, please.",
                self.env["res.lang"]._format_exact(rating.exact_of(self.included_quantity)),
            )
        return wrong
