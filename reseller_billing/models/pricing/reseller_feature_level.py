from odoo import fields, models


class ResellerFeatureLevel(models.Model):
    _name = "reseller.feature.level"
    _description = "Price Level of a Feature"
    _order = "feature_id, sequence, id"

    sequence = fields.Integer(default=10)
    feature_id = fields.Many2one("reseller.feature", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="feature_id.company_id", store=True, index=True)
    code = fields.Char(required=True, help="Usage events name the level by this code.")
    name = fields.Char(required=True, translate=True)

    _code_uniq = models.Constraint(
        "UNIQUE (feature_id, code)", "Another level of this feature has this code already."
    )
