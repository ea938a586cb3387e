from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ...models.base.intervals import INTERVAL_UNITS
from ...models.client.reseller_client import BILLING_ANCHORS


class ResellerBuyerMake(models.TransientModel):
    """Has a reseller buy what its clients use: its account, cycle, group and prices in one step."""

    _name = "reseller.buyer.make"
    _description = "Have a Reseller Buy"

    reseller_id = fields.Many2one("reseller.reseller", required=True)
    company_id = fields.Many2one(related="reseller_id.company_id")
    currency_id = fields.Many2one(related="reseller_id.currency_id")
    date = fields.Date(
        string="From",
        required=True,
        compute="_compute_from_reseller",
        store=True,
        readonly=False,
        precompute=True,
        help="The first day that it buys. Cycles of its clients end on the day before, and are billed as they "
        "were; from this day on what its clients pay stands on papers between it and them.",
    )
    ref = fields.Char(
        string="Reference",
        required=True,
        compute="_compute_from_reseller",
        store=True,
        readonly=False,
        precompute=True,
        help="By which events name the reseller's own use, if it has any.",
    )
    interval_count = fields.Integer(string="Bill Every", required=True, default=1)
    interval_unit = fields.Selection(
        INTERVAL_UNITS, string="Cycle Unit", required=True, default="month"
    )
    billing_anchor = fields.Selection(
        BILLING_ANCHORS, string="Cycles Begin On", required=True, default="month"
    )
    house_id = fields.Many2one("reseller.reseller", compute="_compute_house_id")
    group_id = fields.Many2one(
        "reseller.client.group",
        domain="[('reseller_id', '=', house_id)]",
        help="Of the house: resellers of one group share wholesale prices, as Gold or Silver partners.",
    )
    price_ids = fields.Many2many(
        "reseller.price.rule",
        string="Prices to Begin With",
        domain="[('book', '=', 'retail'), ('feature_id.aggregation', 'in', ('sum', 'count')), "
        "('currency_id', '=', currency_id), ('company_id', '=', company_id), "
        "('client_id', '=', False), ('group_id', '=', False), "
        "('reseller_id', 'in', (False, reseller_id)), "
        "'|', ('date_from', '=', False), ('date_from', '<=', date), "
        "'|', ('date_to', '=', False), ('date_to', '>=', date)]",
        help="Retail prices to make wholesale prices of, for this reseller alone: of a feature with two, its own. "
        "Fees and included units are then once for all clients together. Empty: it pays the prices that are "
        "there for all, or for its group.",
    )
    percent = fields.Float(string="Change by (%)", digits=(16, 4), help="-40 makes 0.05 to 0.03.")
    wholesale_count = fields.Integer(compute="_compute_wholesale_count")
    unpooled_text = fields.Text(compute="_compute_unpooled_text")

    @api.depends("reseller_id")
    def _compute_from_reseller(self):
        for wizard in self:
            today = wizard.reseller_id and wizard.reseller_id._today()
            following = today and fields.Date.start_of(fields.Date.add(today, months=1), "month")
            wizard.date = wizard.date or following
            wizard.ref = wizard.ref or (
                wizard.reseller_id and wizard.reseller_id._get_free_reference()
            )

    @api.depends("reseller_id")
    def _compute_house_id(self):
        houses = self.env["reseller.reseller"]
        for wizard in self:
            wizard.house_id = houses.search(
                [
                    ("is_house", "=", True),
                    ("company_id", "=", wizard.company_id.id),
                    ("currency_id", "=", wizard.currency_id.id),
                ],
                limit=1,
            )

    @api.depends("group_id", "company_id", "currency_id", "date")
    def _compute_wholesale_count(self):
        rules = self.env["reseller.price.rule"]
        for wizard in self:
            whose = Domain("scope", "=", "default") | Domain("reseller_id", "=", wizard.house_id.id)
            if wizard.group_id:
                whose |= Domain("group_id", "=", wizard.group_id.id)
            wizard.wholesale_count = rules.search_count(
                whose
                & Domain("book", "=", "wholesale")
                & Domain("company_id", "=", wizard.company_id.id)
                & Domain("currency_id", "=", wizard.currency_id.id)
                & (Domain("date_from", "=", False) | Domain("date_from", "<=", wizard.date))
                & (Domain("date_to", "=", False) | Domain("date_to", ">=", wizard.date))
            )

    @api.depends("reseller_id")
    def _compute_unpooled_text(self):
        """Name what its clients use that no wholesale price can be of."""
        for wizard in self:
            rows = self.env["reseller.usage.daily"]._read_group(
                [
                    ("client_id.reseller_id", "=", wizard.reseller_id.id),
                    ("feature_id.aggregation", "in", ("max", "last")),
                ],
                ["feature_id"],
            )
            names = ", ".join(feature.name for (feature,) in rows)
            wizard.unpooled_text = names and self.env._(
                "Counted by the highest or last value of each client, so that it has no wholesale price: %s. "
                "Charge the reseller for that by hand.",
                names,
            )

    def _get_prices_to_copy(self):
        """Return the prices to begin with: of a feature with several, the reseller's own."""
        return self.price_ids.browse(
            prices.sorted(lambda price: not price.reseller_id)[0].id
            for prices in self.price_ids.grouped("feature_id").values()
        )

    def action_make(self):
        """Make the buyer's account and its prices, and open it.

        :raise UserError: for a reseller that buys already
        :raise ValidationError: where a client is billed for that day, or has paid ahead
        :raise AccessError: without the group Billing Manager
        """
        self.ensure_one()
        self.env["res.users"]._check_billing_manager()
        reseller = self.reseller_id
        if reseller.is_house or reseller.buyer_id.state in ("draft", "active"):
            raise UserError(
                self.env._("%s buys already, or is the provider itself.", reseller.name)
            )
        buyer = reseller._begin_buying(
            self.date,
            {
                "ref": self.ref,
                "group_id": self.group_id.id,
                "interval_count": self.interval_count,
                "interval_unit": self.interval_unit,
                "billing_anchor": self.billing_anchor,
            },
        )
        if self.price_ids:
            self.env["reseller.price.change"].create(
                {
                    "rule_ids": [fields.Command.set(self._get_prices_to_copy().ids)],
                    "mode": "copy",
                    "book": "wholesale",
                    "date": self.date,
                    "percent": self.percent,
                    "leaves_options_out": True,
                    "client_ids": [fields.Command.set(buyer.ids)],
                }
            ).action_apply()
        return reseller.action_view_buyer()
