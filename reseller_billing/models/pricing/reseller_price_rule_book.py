from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..client.reseller_client import BOOKS
from .scopes import scope_of


class ResellerPriceRule(models.Model):
    """Which side of a reseller's business a price is of: what clients pay, or what it pays (wholesale W5)."""

    _inherit = "reseller.price.rule"

    book = fields.Selection(
        BOOKS,
        required=True,
        default="retail",
        help="Retail: what clients pay. Wholesale: what a reseller pays that buys, for all that its clients use "
        "together.",
    )

    @api.constrains("book", "feature_id", "client_id", "group_id", "reseller_id")
    def _check_book(self):
        """Wholesale prices are of those who buy from a house, retail ones of all others (wholesale W5)."""
        for rule in self:
            scope, record = scope_of(rule)
            if rule.client_id and rule.client_id.book != rule.book:
                if rule.client_id.book == "wholesale":
                    text = self.env._(
                        "%s is a buyer's account: its prices are wholesale.", record.display_name
                    )
                else:
                    text = self.env._(
                        "%s is a client's account, and pays retail prices: a wholesale price is of a buyer's "
                        "account.",
                        record.display_name,
                    )
                raise ValidationError(text)
            if rule.book != "wholesale":
                continue
            if scope in ("reseller", "group"):
                seller = rule.reseller_id or rule.group_id.reseller_id
                if not seller.is_house:
                    raise ValidationError(
                        self.env._(
                            "%s sells to its clients: a wholesale price is of a house, one of its groups, or a "
                            "buyer's account.",
                            record.display_name,
                        )
                    )
            if rule.feature_id.aggregation in ("max", "last"):
                raise ValidationError(
                    self.env._(
                        "%s is billed by its highest or last value, which several clients do not have together: "
                        "it cannot have a wholesale price for all of them.",
                        rule.feature_id.name,
                    )
                )
