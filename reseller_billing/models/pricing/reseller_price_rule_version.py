from odoo import models
from odoo.exceptions import UserError
from odoo.tools import date_utils

from .scopes import SCOPE_FIELDS


class ResellerPriceRule(models.Model):
    """Versions of a price: one ends the day before the next begins."""

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
        return {
            "book": self.book,
            **{name: self[name].id for name in ("reseller_id", "group_id", "client_id")},
        }

    def _end_before(self, date, scope):
        """End the prices of this one's feature at a scope on the day before; return them."""
        self.ensure_one()
        there = self.search(
            [
                ("feature_id", "=", self.feature_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                *((name, "=", value) for name, value in {"book": self.book, **scope}.items()),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", date),
            ]
        )
        there.filtered(
            lambda version: not version.date_from or version.date_from < date
        ).date_to = date_utils.subtract(date, days=1)
        return there

    def _make_copy(self, rule, date, scope, terms=None):
        """Return a copy of a rule at a scope from a day on, up to where a later price begins.

        :param dict terms: what differs
        """
        later = [rule.date_from for rule in self if rule.date_from and rule.date_from >= date]
        until = date_utils.subtract(min(later), days=1) if later else False
        if until and until < date:
            raise UserError(
                self.env._("%s begins on that day there already: change it itself.", self[0].name)
            )
        [copied] = rule.copy_data({"date_from": date, "date_to": until, "active": True})
        if any(scope.get(name) for name in SCOPE_FIELDS.values()):
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
