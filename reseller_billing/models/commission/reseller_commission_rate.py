from odoo import api, fields, models
from odoo.exceptions import ValidationError


class ResellerCommissionRate(models.Model):
    """The share of net revenue that a reseller earns, by feature and level, from a day on."""

    _name = "reseller.commission.rate"
    _description = "Commission Rate"
    _order = "reseller_id, feature_id, level_id, date_from desc, id"

    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    feature_id = fields.Many2one(
        "reseller.feature", ondelete="restrict", help="Empty: all that has no rate of its own."
    )
    level_id = fields.Many2one(
        "reseller.feature.level",
        ondelete="restrict",
        domain="[('feature_id', '=', feature_id)]",
        help="Empty: all levels that have no rate of their own.",
    )
    date_from = fields.Date(
        string="From",
        required=True,
        default=lambda self: fields.Date.context_today(self),
        help="Of invoices dated this day or later, until another rate begins.",
    )
    percent = fields.Float(string="%", required=True, digits=(16, 4))

    _percent_sane = models.Constraint(
        "CHECK (percent >= 0 AND percent <= 100)", "A commission is between 0 and 100 %."
    )
    _rate_uniq = models.UniqueIndex(
        "(reseller_id, COALESCE(feature_id, 0), COALESCE(level_id, 0), date_from)",
        "There is a rate of this feature and level from that day on already.",
    )

    @api.constrains("feature_id", "level_id")
    def _check_level(self):
        for rate in self:
            if rate.level_id and rate.level_id.feature_id != rate.feature_id:
                raise ValidationError(
                    self.env._(
                        "The level %(level)s is not one of %(feature)s.",
                        level=rate.level_id.name,
                        feature=rate.feature_id.name or self.env._("all features"),
                    )
                )

    def _check_stated(self):
        """Refuse to change the rates of days that a commission statement covers."""
        for rate in self:
            last = rate.reseller_id._get_last_commission().date_to
            if last and rate.date_from <= last:
                raise ValidationError(
                    self.env._(
                        "Commissions of %(reseller)s are stated until %(last)s: choose a later day, and "
                        "end a rate by another one that begins then.",
                        reseller=rate.reseller_id.name,
                        last=last,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        rates = super().create(vals_list)
        rates._check_stated()
        return rates

    def write(self, vals):
        self._check_stated()
        done = super().write(vals)
        self._check_stated()
        return done

    @api.ondelete(at_uninstall=False)
    def _unlink_except_stated(self):
        self._check_stated()

    def _get_percent(self, feature_id, level_id, day):
        """Return the rate, among these, of a feature and level on a day: the most specific one that holds.

        :return: the percentage as a float, 0.0 where there is none
        """
        for wanted in ((feature_id, level_id), (feature_id, False), (False, False)):
            held = [
                rate
                for rate in self
                if (rate.feature_id.id, rate.level_id.id) == wanted and rate.date_from <= day
            ]
            if held:
                return max(held, key=lambda rate: rate.date_from).percent
        return 0.0
