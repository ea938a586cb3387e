from datetime import date
from decimal import Decimal

from odoo import fields, models
from odoo.tools.misc import format_date

from ... import rating
from ..pricing.scopes import NAMES

# The fields of a price by what the rating core calls its terms.
TERMS = {
    "recurring_fee": "recurring_fee",
    "advance_cycles": "advance_cycles",
    "refund_on_close": "refund_on_close",
    "enrolment": "enrolment",
    "trial_days": "trial_days",
    "setup_fee": "setup_fee",
    "bonus": "bonus_quantity",
    "bonus_days": "bonus_valid_days",
    "included": "included_quantity",
    "rollover_cycles": "rollover_cycles",
    "model": "pricing_model",
    "unit_price": "unit_price",
    "package_size": "package_size",
    "minimum_quantity": "minimum_quantity",
    "minimum_amount": "minimum_amount",
}


class ResellerCharge(models.Model):
    """Why this price? A charge in words, from its frozen trace alone."""

    _inherit = "reseller.charge"

    def _compute_explanation_html(self):
        for charge in self:
            charge.explanation_html = self.env["ir.qweb"]._render(
                "reseller_billing.charge_explanation",
                {
                    "steps": charge._get_explanation(with_scopes=True),
                    "bars": charge._get_waterfall_bars(),
                },
            )

    def _get_waterfall_bars(self):
        """Return how the cycle's use came to payable units, as a picture shows it: a bar for each step.

        :return: dicts with ``name`` and ``units`` (in words), ``left`` and ``width`` (per cent of the use), and
            ``kind`` (used, free or payable); nothing where nothing is free, or corrections go below zero
        """
        self.ensure_one()
        rated = (self.trace or {}).get("rated") or {}
        if "used" not in rated or self.is_flat_fee:
            return []
        names = {
            "used": self.env._("Used"),
            "trial": self.env._("Free on trial"),
            "rolled_over": self.env._("Rolled over"),
            "included": self.env._("Included"),
            "bonus": self.env._("Bonus"),
            "prepaid": self.env._("Prepaid"),
            "payable": self.env._("Payable"),
        }
        used = Decimal(rated["used"])
        free = [(name, Decimal(rated.get(name, "0"))) for name in rating.FREE_KINDS]
        free = [(name, units) for name, units in free if units > 0]
        payable = Decimal(rated["payable"])
        if used <= 0 or payable < 0 or not free:
            return []
        bars, left = [("used", used, Decimal(0))], used
        for name, units in free:
            left -= units
            bars.append((name, units, left))
        bars.append(("payable", payable, Decimal(0)))
        return [
            {
                "name": names[name],
                "units": self.env["res.lang"]._format_exact(units),
                "left": float(max(round(100 * start / used, 2), 0)),
                "width": float(min(max(round(100 * units / used, 2), Decimal("0.5")), 100)),
                "kind": name if name in ("used", "payable") else "free",
            }
            for name, units, start in bars
        ]

    def _get_notes(self, explained):
        """Return [(title, text)] that stand under a charge on the statement."""
        self.ensure_one()
        if explained:
            return [(title, "; ".join(lines)) for title, lines in self._get_explanation()]
        waterfall = self._get_waterfall()
        return [("", waterfall)] if waterfall else []

    def _get_explanation(self, with_scopes=False):
        """Return [(title, lines)] that say in words how this charge came about.

        :param bool with_scopes: with the prices of levels that were overridden, which are not for
            the client to see
        """
        self.ensure_one()
        rated = (self.trace or {}).get("rated")
        steps = []
        if (self.trace or {}).get("considered"):
            steps.append((self.env._("Price"), self._explain_price(with_scopes)))
        if rated:
            if "used" in rated and not self.is_flat_fee:
                steps.append((self.env._("Quantity"), self._explain_quantity(rated)))
            if self.tier:
                steps.append((self.env._("Tier"), self._explain_tier()))
            if "parts" in rated:
                steps.append((self.env._("Days"), self._explain_days(rated)))
            if self.kind == "minimum":
                steps.append((self.env._("Minimum"), self._explain_minimum(rated)))
        steps.append((self.env._("Amount"), self._explain_amount(rated)))
        return [(title, lines) for title, lines in steps if lines]

    def _words(self):
        """Return functions that format amounts, units and days."""

        def money(value):
            return self.currency_id._format_exact(Decimal(value))

        def units(value):
            return self.env["res.lang"]._format_exact(Decimal(value))

        def day(value):
            return format_date(self.env, date.fromisoformat(value))

        return money, units, day

    def _explain_price(self, with_scopes):
        considered = (self.trace or {}).get("considered") or []
        rules = [self._thaw(frozen) for frozen in considered]
        if not with_scopes:
            return [rule._get_terms_in_words() for rule in rules[:1]]
        names = dict(self.price_rule_id._fields["scope"]._description_selection(self.env))
        lines = []
        for number, (frozen, rule) in enumerate(zip(considered, rules, strict=True)):
            text = self.env._(
                "%(scope)s: %(terms)s",
                scope=names[NAMES[frozen["rank"]]],
                terms=rule._get_terms_in_words(),
            )
            if len(considered) > 1 and not number:
                text = self.env._("%s — this one holds: it is the most specific", text)
            elif number:
                text = self.env._("%s — overridden", text)
            lines.append(text)
        return lines

    def _thaw(self, frozen):
        """Return a rule of a trace as a reseller.price.rule that only this explanation has.

        Prices that were overridden may have changed, or gone, since.
        """
        terms = frozen["terms"]
        model = self.env["reseller.price.rule"]
        vals = {
            name: float(terms[term]) if model._fields[name].type == "float" else terms[term]
            for term, name in TERMS.items()
            if term in terms
        }
        if not terms.get("in_advance", True):
            vals["fee_timing"] = "arrears"
        if not terms.get("prorated", True):
            vals["proration"] = "none"
        if "interval" in terms:
            months, days = terms["interval"]["months"], terms["interval"]["days"]
            vals["interval_count"] = months or days
            vals["interval_unit"] = "month" if months else "day"
        return model.new(
            {
                **vals,
                "currency_id": self.currency_id.id,
                "max_quantity": float(frozen["maximum"] or 0),
                "tier_ids": [
                    fields.Command.create(
                        {
                            "is_last": tier["up_to"] is None,
                            "up_to": float(tier["up_to"] or 0),
                            "unit_price": float(tier["unit_price"]),
                            "flat_fee": float(tier.get("flat_fee", 0)),
                        }
                    )
                    for tier in terms.get("tiers", ())
                ],
                "level_price_ids": [
                    fields.Command.create(
                        {
                            "level_id": level["level"],
                            "is_rated_by_rule": level["unit_price"] is None,
                            "unit_price": float(level["unit_price"] or 0),
                            "included_quantity": float(level.get("included") or 0),
                        }
                    )
                    for level in terms.get("levels", ())
                ],
            }
        )

    def _explain_quantity(self, rated):
        _money, units, _day = self._words()
        texts = {
            "used": self.env._("Used in the cycle: %s"),
            "trial": self.env._("Free on trial: − %s"),
            "rolled_over": self.env._("Free, left over from earlier cycles: − %s"),
            "included": self.env._("Free, included in the price: − %s"),
            "bonus": self.env._("Free, from the bonus: − %s"),
            "prepaid": self.env._("Paid by packages: − %s"),
            "payable": self.env._("To be paid: %s"),
        }
        free = [name for name in rating.FREE_KINDS if Decimal(rated.get(name, "0"))]
        lines = [texts[name] % units(rated[name]) for name in ("used", *free, "payable")]
        if "unmatched" in rated:
            lines.append(
                self.env._(
                    "Corrections of %s wait for use that they can be set off against.",
                    units(rated["unmatched"].lstrip("-")),
                )
            )
        if "package_size" in rated:
            lines.append(
                self.env._(
                    "Packages of %(size)s, every started one counts: %(count)s",
                    size=units(rated["package_size"]),
                    count=units(rated["quantity"]),
                )
            )
        return lines

    def _explain_tier(self):
        money, units, _day = self._words()
        terms = self.trace["considered"][0]["terms"]
        tier = terms["tiers"][self.tier - 1]
        low = terms["tiers"][self.tier - 2]["up_to"] if self.tier > 1 else "0"
        values = {
            "number": self.tier,
            "low": units(low),
            "high": tier["up_to"] and units(tier["up_to"]),
            "price": money(tier["unit_price"]),
        }
        if tier["up_to"] is None:
            lines = [self.env._("Tier %(number)s, above %(low)s units: %(price)s each", **values)]
        else:
            lines = [
                self.env._(
                    "Tier %(number)s, above %(low)s up to %(high)s units: %(price)s each", **values
                )
            ]
        if terms["model"] == "volume":
            lines.append(
                self.env._("All units of the cycle cost what the tier of their total says.")
            )
        return lines

    def _explain_days(self, rated):
        money, units, day = self._words()
        lines = []
        for part in rated["parts"]:
            values = {
                "units": units(part["units"]),
                "fee": money(rated["fee"]),
                "first": day(part["first"]),
                "last": day(part["last"]),
                "days": part["until"] - part["before"],
                "of": rated["cycle_days"],
            }
            if not rated["prorated"]:
                lines.append(self.env._("%(units)s × %(fee)s, whole for the cycle", **values))
            elif values["days"] >= values["of"]:
                lines.append(
                    self.env._(
                        "%(units)s × %(fee)s for the whole cycle, %(first)s to %(last)s", **values
                    )
                )
            else:
                lines.append(
                    self.env._(
                        "%(units)s × %(fee)s for %(days)s of the cycle's %(of)s days, "
                        "%(first)s to %(last)s",
                        **values,
                    )
                )
        return lines

    def _explain_minimum(self, rated):
        money, units, _day = self._words()
        lines = []
        if Decimal(rated["required"]):
            lines.append(
                self.env._(
                    "At least %(required)s units are paid, %(payable)s were used: %(missing)s are "
                    "missing and cost %(amount)s",
                    required=units(rated["required"]),
                    payable=units(rated["payable"]),
                    missing=units(rated["missing"]),
                    amount=money(rated["missing_amount"]),
                )
            )
        if Decimal(rated["minimum_amount"]):
            lines.append(
                self.env._(
                    "Use comes to at least %(minimum)s; it came to %(amount)s",
                    minimum=money(rated["minimum_amount"]),
                    amount=money(rated["use_amount"]),
                )
            )
        return lines

    def _explain_amount(self, rated):
        money, units, _day = self._words()
        if not rated:
            lines = [
                self.env._(
                    "Billed before: %s. It is not due any more.", money(self.trace["billed_before"])
                )
            ]
        else:
            due = self._amount_from_trace() + Decimal(self.trace["billed_before"])
            exact = Decimal(rated["quantity"]) * Decimal(rated["unit_price"])
            lines = []
            if "parts" in rated or self.kind == "minimum":
                lines.append(self.env._("Due: %s", money(str(due))))
            else:
                lines.append(
                    self.env._(
                        "%(quantity)s × %(price)s = %(amount)s",
                        quantity=units(rated["quantity"]),
                        price=money(rated["unit_price"]),
                        amount=money(str(exact)),
                    )
                )
                if exact != due:
                    lines.append(self.env._("Rounded once: %s", money(str(due))))
            if Decimal(self.trace["billed_before"]):
                lines.append(self.env._("Billed before: − %s", money(self.trace["billed_before"])))
        lines.append(self.env._("This charge: %s", money(str(self._amount_from_trace()))))
        return lines
