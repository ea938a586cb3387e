from odoo import api, fields, models

from ... import rating
from .scopes import scope_of


class ResellerPriceRule(models.Model):
    """A price in words."""

    _inherit = "reseller.price.rule"

    terms_text = fields.Char(
        string="In Words",
        compute="_compute_terms_text",
        help="What the price says, as a client reads it.",
    )

    @api.depends(
        *("feature_id", "currency_id", "reseller_id", "group_id", "client_id", "date_from"),
        *("date_to", "recurring_fee", "fee_timing", "advance_cycles", "refund_on_close"),
        *("setup_fee", "trial_days", "interval_count", "interval_unit", "enrolment", "proration"),
        *("included_quantity", "rollover_cycles", "bonus_quantity", "bonus_valid_days"),
        *("pricing_model", "unit_price", "package_size", "minimum_quantity", "minimum_amount"),
        *("max_quantity", "limit_action", "replenish_quantity", "replenish_price"),
        *("replenish_threshold", "lockout_when_owing", "tier_ids.up_to", "tier_ids.is_last"),
        *("tier_ids.unit_price", "tier_ids.flat_fee", "level_price_ids.level_id"),
        *("level_price_ids.unit_price", "level_price_ids.is_rated_by_rule"),
        "level_price_ids.included_quantity",
    )
    def _compute_terms_text(self):
        for rule in self:
            if not (rule.feature_id and rule.currency_id):
                rule.terms_text = False
                continue
            _scope, record = scope_of(rule)
            rule.terms_text = self.env._(
                "%(feature)s, for %(whose)s, %(days)s: %(terms)s.",
                feature=rule.feature_id.name,
                whose=record.display_name if record else self.env._("all clients"),
                days=rule._get_days_in_words(),
                terms=rule._get_terms_in_words(),
            )

    def _get_terms_in_words(self):
        """Return this price in a line that a client understands."""
        self.ensure_one()

        def money(value):
            return self.currency_id._format_exact(rating.exact_of(value))

        def units(value):
            return self.env["res.lang"]._format_exact(rating.exact_of(value))

        parts = [
            *self._get_fee_in_words(money),
            *self._get_free_in_words(units),
            *self._get_use_in_words(money, units),
        ]
        who = {
            "opt_in": self.env._("for those who are switched on"),
            "on_use": self.env._("for whoever uses it"),
        }
        if self.enrolment in who:
            parts.append(who[self.enrolment])
        limits = [
            (self.minimum_quantity, self.env._("at least %s units"), units),
            (self.minimum_amount, self.env._("at least %s"), money),
            (
                self.max_quantity,
                self.env._("no more than %s units")
                if self.limit_action == "block"
                else self.env._("at most %s units"),
                units,
            ),
        ]
        parts += [text % words(value) for value, text, words in limits if value]
        if self.replenish_quantity:
            parts.append(
                self.env._(
                    "%(units)s units more for %(price)s when %(threshold)s are left",
                    units=units(self.replenish_quantity),
                    price=money(self.replenish_price),
                    threshold=units(self.replenish_threshold),
                )
            )
        if self.lockout_when_owing:
            parts.append(self.env._("locked out when owing"))
        return ", ".join(parts) or self.env._("free")

    def _get_fee_in_words(self, money):
        parts = []
        if self.recurring_fee:
            fee = self.env._("%s per cycle", money(self.recurring_fee))
            if self.interval_count:
                every = {
                    "day": self.env._("%(fee)s every %(count)s days"),
                    "week": self.env._("%(fee)s every %(count)s weeks"),
                    "month": self.env._("%(fee)s every %(count)s months"),
                    "year": self.env._("%(fee)s every %(count)s years"),
                }
                fee = every[self.interval_unit] % {
                    "fee": money(self.recurring_fee),
                    "count": self.interval_count,
                }
            if self.fee_timing == "arrears":
                fee = self.env._("%s in arrears", fee)
            parts.append(fee)
            if self.advance_cycles > 1:
                parts.append(self.env._("%s cycles at once", self.advance_cycles))
            if self.proration == "none":
                parts.append(self.env._("whole, not by the day"))
            if self.fee_timing == "advance" and not self.refund_on_close:
                parts.append(self.env._("not given back on closing"))
        if self.setup_fee:
            parts.append(self.env._("%s once for set-up", money(self.setup_fee)))
        return parts

    def _get_free_in_words(self, units):
        parts = []
        if self.trial_days:
            parts.append(self.env._("%s days free trial", self.trial_days))
        if self.included_quantity:
            included = self.env._("%s included", units(self.included_quantity))
            if self.rollover_cycles:
                included = self.env._(
                    "%(units)s included, kept for %(cycles)s more cycles",
                    units=units(self.included_quantity),
                    cycles=self.rollover_cycles,
                )
            parts.append(included)
        if self.bonus_quantity:
            bonus = self.env._("bonus of %s", units(self.bonus_quantity))
            if self.bonus_valid_days:
                bonus = self.env._(
                    "bonus of %(units)s for %(days)s days",
                    units=units(self.bonus_quantity),
                    days=self.bonus_valid_days,
                )
            parts.append(bonus)
        return parts

    def _get_use_in_words(self, money, units):
        parts = []
        match self.pricing_model:
            case "unlimited":
                parts.append(self.env._("unlimited use"))
            case "per_unit" if self.unit_price:
                parts.append(self.env._("%s per unit", money(self.unit_price)))
            case "package":
                parts.append(
                    self.env._(
                        "%(price)s per package of %(size)s",
                        price=money(self.unit_price),
                        size=units(self.package_size),
                    )
                )
            case "graduated" | "volume":
                prices = "; ".join(tier._get_terms_in_words(money, units) for tier in self.tier_ids)
                parts.append(
                    self.env._("graduated: %s", prices)
                    if self.pricing_model == "graduated"
                    else self.env._("by volume: %s", prices)
                )
        for line in self.level_price_ids:
            text = line.level_id.name
            if not line.is_rated_by_rule:
                text = f"{text} {money(line.unit_price)}"
            if line.included_quantity:
                text = self.env._(
                    "%(level)s (%(units)s of its own included)",
                    level=text,
                    units=units(line.included_quantity),
                )
            parts.append(text)
        return parts
