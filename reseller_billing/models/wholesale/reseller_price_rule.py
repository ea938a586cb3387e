from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

# The replayed accounts of a price that is looked at; the simulation replays any number.
MAX_REPLAYED = 200
# Losses that are told one by one.
MAX_TOLD = 5


class ResellerPriceRule(models.Model):
    """Prices and what they cost: cost beside price, and prices below it (wholesale W16)."""

    _inherit = "reseller.price.rule"

    cost_text = fields.Char(
        string="Wholesale",
        compute="_compute_cost_text",
        help="The wholesale price of the same, today or from its first day on.",
    )
    below_cost_text = fields.Text(
        string="Below Cost",
        compute="_compute_below_cost_text",
        help="Whom it loses money on, by the use of the last closed period.",
    )

    def _find_with_use(self, found, features):
        """Override of billing: of buyers, use of the accounts beneath."""
        buyers = self.env["reseller.client"].union(*found).filtered("buys_for_id")
        return super()._find_with_use(found, features) | self.env[
            "reseller.usage.daily"
        ]._find_buyers_with_use(buyers, SQL("bucket.feature_id = ANY(%s)", features.ids))

    def _get_reseller_in_scope(self):
        """Return the reseller whose clients this price reaches, none of a default."""
        self.ensure_one()
        return self.reseller_id or self.group_id.reseller_id or self.client_id.reseller_id

    def _compute_cost_text(self):
        for rule in self:
            cost = rule._find_cost() if rule.book == "retail" and rule.feature_id else None
            rule.cost_text = cost._get_terms_in_words() if cost else False

    def _find_cost(self):
        """Return the wholesale price that the reseller of this retail price pays; of a default, the one that any
        does without a price of its own. Empty for none.
        """
        self.ensure_one()
        today = fields.Date.context_today(self)
        day = max(filter(None, (self.date_from, today)))
        reseller = self._get_reseller_in_scope()
        if reseller:
            buyer = reseller.buyer_id
            return buyer._find_price(self.feature_id, day) if buyer else self.browse()
        buying = [("company_id", "=", self.company_id.id), ("buys_for_id", "!=", False)]
        if not self.env["reseller.client"].search_count(buying, limit=1):
            return self.browse()
        return self.search(
            [
                ("book", "=", "wholesale"),
                ("scope", "=", "default"),
                ("feature_id", "=", self.feature_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                *("|", ("date_from", "=", False), ("date_from", "<=", day)),
                *("|", ("date_to", "=", False), ("date_to", ">=", day)),
            ],
            limit=1,
        )

    def _compute_below_cost_text(self):
        for rule in self:
            # Not while it is typed: it is replayed as it is stored.
            rule.below_cost_text = rule._origin == rule and rule._describe_below_cost()

    def _describe_below_cost(self):
        """Return whom this price loses money on by the use of the last closed period; False for nobody, for a price
        that is over, and where it reaches too many to replay.
        """
        self.ensure_one()
        if self.date_to and self.date_to < fields.Date.context_today(self):
            return False
        clients = self.env["reseller.client"]
        simulation = self.env["reseller.price.simulation"].new(
            {"draft_ids": self.ids, "periods": 1}
        )
        domain = simulation._get_reached_domain(self)
        if self.book == "retail":
            domain &= Domain("reseller_id.buyer_ids", "!=", False)
        reached = clients.search(domain, limit=MAX_REPLAYED + 1)
        if not reached or len(reached) > MAX_REPLAYED:
            return False
        losses = sorted(
            (row["new_margin"], row["client_id"])
            for row in simulation._prepare_lines(reached)
            if row.get("has_margin") and row["new_margin"] < 0
        )
        if not losses:
            return False
        lines = [
            self.env._("By the use of the last closed period this price loses money on:"),
            *(
                self.env._(
                    "%(client)s: %(amount)s",
                    client=clients.browse(client).display_name,
                    amount=self.currency_id.format(-margin),
                )
                for margin, client in losses[:MAX_TOLD]
            ),
        ]
        if len(losses) > MAX_TOLD:
            lines.append(self.env._("Further accounts: %s", len(losses) - MAX_TOLD))
        return "\n".join(lines)
