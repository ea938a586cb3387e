from decimal import ROUND_HALF_UP, Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import date_utils

from ... import rating

PRICES = ("recurring_fee", "setup_fee", "unit_price", "minimum_amount")


class ResellerPriceChange(models.TransientModel):
    """Raises or lowers prices by a percentage from a day on, or copies them to others."""

    _name = "reseller.price.change"
    _description = "Change or Copy Prices"

    rule_ids = fields.Many2many(
        "reseller.price.rule",
        string="Prices",
        required=True,
        default=lambda self: self._default_rule_ids(),
    )
    mode = fields.Selection(
        [("percent", "Change by a percentage"), ("copy", "Copy to others")],
        required=True,
        default="percent",
    )
    date = fields.Date(
        string="From",
        required=True,
        default=fields.Date.context_today,
        help="The first day of the new prices. Those before end on the day before.",
    )
    percent = fields.Float(digits=(16, 4), help="5 makes 10.00 to 10.50, -5 to 9.50.")
    digits = fields.Selection(
        [("exact", "As many as it takes"), *((str(n), str(n)) for n in range(2, 9))],
        string="Decimal Places",
        required=True,
        default="exact",
        help="New prices are rounded to so many, half up.",
    )
    reseller_ids = fields.Many2many("reseller.reseller", string="Resellers")
    group_ids = fields.Many2many("reseller.client.group", string="Client Groups")
    client_ids = fields.Many2many("reseller.client", string="Clients")

    @api.model
    def _default_rule_ids(self):
        if self.env.context.get("active_model") == "reseller.price.rule":
            return self.env.context.get("active_ids")
        return False

    def action_apply(self):
        """Make the new versions or copies, and open them.

        :raise UserError: when a day of them is billed already, or a price ends before
        """
        self.ensure_one()
        made = self._change() if self.mode == "percent" else self._copy()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Prices"),
            "res_model": "reseller.price.rule",
            "view_mode": "list,form",
            "domain": [("id", "in", made.ids)],
        }

    def _change(self):
        made = self.rule_ids.browse()
        for rule in self.rule_ids:
            made |= rule._make_version(self.date, self._prepare_prices(rule))
        return made

    def _prepare_prices(self, rule):
        """Return the values of a rule's new version: its prices, changed by the percentage."""
        return {
            **{name: self._get_changed(rule[name]) for name in PRICES},
            "tier_ids": [
                Command.create(
                    {
                        **tier.copy_data()[0],
                        "unit_price": self._get_changed(tier.unit_price),
                        "flat_fee": self._get_changed(tier.flat_fee),
                    }
                )
                for tier in rule.tier_ids
            ],
            "level_price_ids": [
                Command.create(
                    {**line.copy_data()[0], "unit_price": self._get_changed(line.unit_price)}
                )
                for line in rule.level_price_ids
            ],
        }

    def _get_changed(self, value):
        factor = (100 + rating.exact_of(self.percent)) / 100
        if factor < 0:
            raise UserError(self.env._("Prices cannot fall by more than 100 %."))
        before = rating.exact_of(value)
        price = before * factor
        if self.digits != "exact":
            price = price.quantize(Decimal(1).scaleb(-int(self.digits)), ROUND_HALF_UP)
        if before and factor and not price:
            raise UserError(
                self.env._("A price of %s would become free: take more decimal places.", before)
            )
        if rating.exact_of(float(price)) != price:
            raise UserError(
                self.env._("%s has more digits than a price can hold: round the prices.", price)
            )
        return float(price)

    def _copy(self):
        scopes = (
            [{"reseller_id": one.id} for one in self.reseller_ids]
            + [{"group_id": one.id} for one in self.group_ids]
            + [{"client_id": one.id} for one in self.client_ids]
        )
        if not scopes:
            raise UserError(self.env._("Choose the resellers, groups or clients to copy to."))
        nobody = {"reseller_id": False, "group_id": False, "client_id": False}
        made = self.rule_ids.browse()
        for rule in self.rule_ids:
            for scope in scopes:
                target = {**nobody, **scope}
                made |= rule._end_before(self.date, target)._make_copy(rule, self.date, target)
        return made


class ResellerPriceRule(models.Model):
    _inherit = "reseller.price.rule"

    def _make_version(self, date, vals):
        """End this price on the day before, and return a version with other values from then on.

        :param date date: the first day of the new version
        :param dict vals: what differs; tiers and level prices replace all
        """
        self.ensure_one()
        if self.date_to and self.date_to < date:
            raise UserError(
                self.env._(
                    "%(price)s ends on %(last)s already: choose one that holds on %(day)s.",
                    price=self.name,
                    last=self.date_to,
                    day=date,
                )
            )
        if self.date_from and self.date_from >= date:
            raise UserError(
                self.env._(
                    "%(price)s begins on %(first)s only: choose a later day, or change it itself.",
                    price=self.name,
                    first=self.date_from,
                )
            )
        last = self.date_to
        [copied] = self.copy_data({"date_from": date, "date_to": last, "active": True})
        with self._guard_billed_days(self.feature_id):
            self.date_to = date_utils.subtract(date, days=1)
            return self.create({**copied, **vals})

    def _get_own_scope(self):
        """Return the scope of this price, as `_end_before` takes it."""
        self.ensure_one()
        return {name: self[name].id for name in ("reseller_id", "group_id", "client_id")}

    def _end_before(self, date, scope):
        """End the prices of this one's feature at a scope on the day before; return them."""
        self.ensure_one()
        there = self.search(
            [
                ("feature_id", "=", self.feature_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                *((name, "=", value) for name, value in scope.items()),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", date),
            ]
        )
        there.filtered(
            lambda one: not one.date_from or one.date_from < date
        ).date_to = date_utils.subtract(date, days=1)
        return there

    def _make_copy(self, rule, date, scope, terms=None):
        """Return a copy of a rule at a scope from a day on, up to where a later price begins.

        :param dict terms: what differs
        """
        later = [one.date_from for one in self if one.date_from and one.date_from >= date]
        until = date_utils.subtract(min(later), days=1) if later else False
        if until and until < date:
            raise UserError(
                self.env._("%s begins on that day there already: change it itself.", self[0].name)
            )
        [copied] = rule.copy_data({"date_from": date, "date_to": until, "active": True})
        if any(scope.values()):
            # That of whom the copy is for; a price for all keeps its own.
            copied.pop("currency_id", None)
        made = self.create({**copied, **scope, **(terms or {})})
        if made.currency_id != rule.currency_id:
            raise UserError(
                self.env._(
                    "%(price)s is in %(currency)s; a copy for another currency would change what it "
                    "costs. Make that one by hand.",
                    price=rule.name,
                    currency=rule.currency_id.name,
                )
            )
        return made
