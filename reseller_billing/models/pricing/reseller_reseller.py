from odoo import fields, models

from ..base.notice import list_action
from .scopes import RANKS


class ResellerReseller(models.Model):
    """The prices of a reseller."""

    _inherit = "reseller.reseller"

    price_rule_count = fields.Integer(compute="_compute_price_rule_count")

    def _compute_price_rule_count(self):
        counts = dict(
            self.env["reseller.price.rule"]._read_group(
                [("reseller_id", "in", self.ids)], ["reseller_id"], ["__count"]
            )
        )
        for reseller in self:
            reseller.price_rule_count = counts.get(reseller, 0)

    def _get_pricing(self, day, group, client=None, features=None):
        """Return the rule of every feature that wins on a day, with what it overrides.

        :param group: a reseller.client.group, or empty
        :param client: a reseller.client, or none: as for clients without prices of their own
        :param features: of these reseller.feature alone
        :return: a dict per feature: ``feature``, ``winner`` (may be empty), ``overridden``, and
            ``scopes``, the names of scopes
        """
        self.ensure_one()
        if features is None:
            features = self.env["reseller.feature"].search(
                [("company_id", "in", [False, self.company_id.id])]
            )
        rules = self.env["reseller.price.rule"].search(
            [
                ("feature_id", "in", features.ids),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("book", "=", client.book if client else "retail"),
                "|",
                ("date_from", "=", False),
                ("date_from", "<=", day),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", day),
                "|",
                "|",
                ("scope", "=", "default"),
                ("reseller_id", "=", self.id),
                "|",
                ("client_id", "in", client.ids if client else []),
                ("group_id", "in", group.ids),
            ]
        )
        scopes = dict(rules._fields["scope"]._description_selection(self.env))
        by_feature = rules.grouped("feature_id")
        rows = []
        for feature in features:
            candidates = by_feature.get(feature, rules.browse()).sorted(
                lambda rule: -RANKS[rule.scope]
            )
            rows.append(
                {
                    "feature": feature,
                    "winner": candidates[:1],
                    "overridden": candidates[1:],
                    "scopes": scopes,
                }
            )
        return rows

    def action_view_price_rules(self):
        """Open the prices that hold for all of the reseller's clients."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_price_rule_action",
            self.env._("Prices"),
            [("reseller_id", "=", self.id)],
            default_reseller_id=self.id,
            default_date_from=fields.Date.context_today(self),
        )
