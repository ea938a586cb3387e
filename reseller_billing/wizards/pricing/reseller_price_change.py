from decimal import ROUND_HALF_UP, Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ... import rating
from ...models.client.reseller_client import BOOKS

# What a copy may leave out: gifts, limits and sales by themselves, which are the client's own.
OPTIONS = {
    **dict.fromkeys(("setup_fee", "minimum_quantity", "minimum_amount", "max_quantity"), 0.0),
    **dict.fromkeys(("bonus_quantity", "replenish_quantity", "replenish_price"), 0.0),
    **dict.fromkeys(("trial_days", "bonus_valid_days", "rollover_cycles"), 0),
    "replenish_threshold": 0.0,
    "limit_action": "notify",
    "lockout_when_owing": False,
}
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
    book = fields.Selection(
        BOOKS,
        string="Into the Book",
        help="Wholesale prices are made of retail ones, and back. Empty: each price stays in its own. Without "
        "anybody below, the copies in another book are for all.",
    )
    leaves_options_out = fields.Boolean(
        string="Prices Alone",
        help="Leave out set-up fees, trials, bonuses, rollover, minimums, maximums, refills and lock-out.",
    )

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
        left_out = OPTIONS if self.mode == "copy" and self.leaves_options_out else ()
        return {
            **{name: self._get_changed(rule[name]) for name in PRICES if name not in left_out},
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
            [{"reseller_id": reseller.id} for reseller in self.reseller_ids]
            + [{"group_id": group.id} for group in self.group_ids]
            + [{"client_id": client.id} for client in self.client_ids]
        )
        if not scopes and not self._crosses_books():
            raise UserError(self.env._("Choose the resellers, groups or clients to copy to."))
        nobody = {"reseller_id": False, "group_id": False, "client_id": False}
        made = self.rule_ids.browse()
        for rule in self.rule_ids:
            for scope in scopes or [{}]:
                target = {**nobody, **scope, "book": self.book or rule.book}
                there = rule._end_before(self.date, target)
                made |= there._make_copy(rule, self.date, target, self._prepare_terms(rule))
        return made

    def _crosses_books(self):
        """Whether prices are copied from one book into the other."""
        return bool(self.book) and all(rule.book != self.book for rule in self.rule_ids)

    def _prepare_terms(self, rule):
        """Return what a copy of a rule has that the rule has not."""
        terms = self._prepare_prices(rule) if self.percent or self.digits != "exact" else {}
        if not self.leaves_options_out:
            return terms
        # Who was switched on by hand is so for other prices.
        opted = {"enrolment": "automatic"} if rule.enrolment == "opt_in" else {}
        return {**OPTIONS, **terms, **opted}
