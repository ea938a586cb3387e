from odoo import api, fields, models
from odoo.exceptions import UserError


class ResellerFeature(models.Model):
    _name = "reseller.feature"
    _description = "Billable Feature"
    _order = "sequence, name, id"
    _check_company_auto = True
    _rec_names_search = ["name", "code"]

    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    name = fields.Char(required=True, translate=True)
    code = fields.Char(
        required=True, copy=False, help="Usage events name the feature by this code."
    )
    category = fields.Selection(
        [
            ("account", "Account"),
            ("data", "Data and Storage"),
            ("messaging", "Messaging"),
            ("lead", "Leads"),
            ("telephony", "Telephony"),
            ("other", "Other"),
        ],
        required=True,
        default="other",
    )
    company_id = fields.Many2one(
        "res.company",
        index=True,
        ondelete="cascade",
        help="Empty: a feature of every company.",
    )
    product_id = fields.Many2one(
        "product.product",
        check_company=True,
        ondelete="restrict",
        help="Gives the charges their taxes and income account. "
        "Empty: the company's generic usage product.",
    )
    uom_id = fields.Many2one(
        "uom.uom",
        string="Unit",
        ondelete="restrict",
        help="What one unit of use is, on statements.",
    )
    aggregation = fields.Selection(
        [
            ("sum", "Sum of quantities"),
            ("count", "Number of events"),
            ("max", "Highest value"),
            ("last", "Last value"),
        ],
        required=True,
        default="sum",
        help="How a cycle's use is made out of its events.",
    )
    quantity_digits = fields.Integer(
        string="Decimal Places",
        default=6,
        required=True,
        help="Shares of an allotment are rounded to this many places: 0 for things that come whole.",
    )
    level_ids = fields.One2many("reseller.feature.level", "feature_id", string="Price Levels")
    price_rule_ids = fields.One2many("reseller.price.rule", "feature_id", string="Prices")

    _code_uniq = models.UniqueIndex(
        "(COALESCE(company_id, 0), code)", "Another feature of this company has this code already."
    )
    _quantity_digits_range = models.Constraint(
        "CHECK (quantity_digits BETWEEN 0 AND 15)", "Decimal places must be from 0 to 15."
    )

    @api.constrains("aggregation")
    def _check_aggregation(self):
        self.price_rule_ids._check_terms()
        self.price_rule_ids._check_book()

    def write(self, vals):
        for name in ("aggregation", "quantity_digits"):
            if name in vals and any(feature[name] != vals[name] for feature in self):
                self._check_unused(name)
        return super().write(vals)

    def _check_unused(self, name):
        """Refuse to change how use is counted once there is some: bills rest on it."""
        # Use of every company counts, seen or not.
        used = (
            self.env["reseller.usage.daily"]
            .sudo()
            .search([("feature_id", "in", self.ids)], limit=1)
        )
        if used:
            raise UserError(
                self.env._(
                    "%(feature)s has use already, so that '%(field)s' stays: make another feature.",
                    feature=used.feature_id.name,
                    field=self._fields[name]._description_string(self.env),
                )
            )

    def _get_product(self, company):
        """Return the product whose taxes and account the charges of this feature take."""
        self.ensure_one()
        return self.product_id or company.reseller_usage_product_id
