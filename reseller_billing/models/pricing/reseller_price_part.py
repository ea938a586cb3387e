from odoo import api, models


class ResellerPricePartMixin(models.AbstractModel):
    _name = "reseller.price.part.mixin"
    _description = "Part of a Price"

    @api.model_create_multi
    def create(self, vals_list):
        rules = self.env["reseller.price.rule"].browse({vals["rule_id"] for vals in vals_list})
        with rules._guard_billed_days(rules.feature_id):
            parts = super().create(vals_list)
            rules._check_terms()
            return parts

    def write(self, vals):
        with self.rule_id._guard_billed_days(self.rule_id.feature_id):
            done = super().write(vals)
            self.rule_id._check_terms()
            return done

    def unlink(self):
        rules = self.rule_id
        with rules._guard_billed_days(rules.feature_id):
            done = super().unlink()
            rules.exists()._check_terms()
            return done
