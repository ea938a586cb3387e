from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models

from .. import rating
from . import reseller_lot  # noqa: F401


class ResellerWalletLot(models.Model):
    """Money that a client has ahead: what it paid in, with a bonus, or was given.

    A lot is never changed. What is left of it is the sum of its entries, and the deposit account
    owes the client the cost that is left: what was paid, less its share of what was drawn.
    """

    _name = "reseller.wallet.lot"
    _description = "Money Lot of a Wallet"
    _inherit = ["reseller.lot.mixin"]
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(
        "res.currency", required=True, readonly=True, help="The client's bills are in it."
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Paid By",
        readonly=True,
        ondelete="restrict",
        help="Whose money it is: it pays this payer's invoices alone, and is refunded to it.",
    )
    kind = fields.Selection(
        [("payment", "Paid in"), ("purchase", "Topped up by invoice"), ("gift", "Given")],
        required=True,
        readonly=True,
    )
    reason = fields.Char(required=True, readonly=True)
    key = fields.Char(
        required=True, readonly=True, help="What the lot was made from: nothing is credited twice."
    )
    date = fields.Date(required=True, readonly=True, help="The first day it may be drawn on.")
    date_until = fields.Date(
        string="Valid Until", readonly=True, help="The last day; empty: it does not expire."
    )
    priority = fields.Integer(
        required=True, readonly=True, default=10, help="Lower ones are drawn first."
    )
    granted = fields.Monetary(required=True, readonly=True, help="What may be drawn in all.")
    cost = fields.Monetary(readonly=True, help="What was paid for it, and is owed until drawn.")
    left = fields.Monetary(compute="_compute_left")
    cost_left = fields.Monetary(compute="_compute_left")
    entry_ids = fields.One2many("reseller.wallet.entry", "lot_id", readonly=True)

    _key_uniq = models.Constraint(
        "UNIQUE (client_id, key)", "This is in the wallet already: nothing is credited twice."
    )
    _amounts = models.Constraint(
        "CHECK (granted > 0 AND COALESCE(cost, 0) >= 0 AND COALESCE(cost, 0) <= granted)",
        "A lot gives an amount above zero, and not less than was paid for it.",
    )
    _dates = models.Constraint(
        "CHECK (date_until IS NULL OR date_until >= date)",
        "A lot's last day must not be before its first.",
    )

    @api.depends("entry_ids.amount", "entry_ids.cost")
    def _compute_left(self):
        for lot in self:
            lot.left = lot.currency_id.round(sum(lot.entry_ids.mapped("amount")))
            lot.cost_left = lot.currency_id.round(sum(lot.entry_ids.mapped("cost")))

    @api.depends("reason", "date")
    def _compute_display_name(self):
        for lot in self:
            lot.display_name = f"{lot.reason} ({lot.date})"

    def _prepare_release(self, day):
        """Override of the mixin: it is the money of whom the invoice names by then."""
        invoice = self.charge_id.statement_id.invoice_id
        return {**super()._prepare_release(day), "partner_id": invoice.commercial_partner_id.id}

    def _is_untouched(self):
        self.ensure_one()
        return self.state == "waiting" or not self.currency_id.compare_amounts(
            self.left, self.granted
        )

    def _add_entry(self, kind, day, cost, is_granted, move=None, reason=False):
        self.ensure_one()
        self.env["reseller.wallet.entry"].create(
            {
                "lot_id": self.id,
                "kind": kind,
                "date": day,
                "amount": self.granted * is_granted,
                "cost": cost,
                "balance": float(self._get_balance_of(cost)),
                "move_id": move.id if move else False,
                "reason": reason,
            }
        )

    def _get_balance_of(self, cost):
        """Return what a part of the cost is in the company's currency, at the rate at which it was paid in,
        as an exact Decimal.

        :param cost: as stored, or an exact Decimal
        """
        self.ensure_one()
        if self.currency_id == self.company_currency_id:
            return Decimal(str(cost))
        if not cost:
            return Decimal(0)
        share = Fraction(str(cost)) / Fraction(repr(self.cost))
        company, currency = self.company_id, self.company_currency_id
        whole = self.cost_balance or self.currency_id._convert(
            self.cost, currency, company, self.date
        )
        return rating.round_to(Fraction(repr(whole)) * share, currency._get_exact_rounding())

    def _get_balance_left(self, cost):
        """Return what is left in the company's currency, exact: what was given back in between may have
        left a cent more or less than the share of the cost.

        :param Decimal cost: what is left of it
        """
        self.ensure_one()
        if self.currency_id == self.company_currency_id:
            return cost
        unit = self.company_currency_id._get_exact_rounding()
        return rating.round_to(Decimal(repr(sum(self.entry_ids.mapped("balance")))), unit)

    @api.model
    def _grant(self, client, vals, move=None):
        """Make a lot of a client with its first entry, and return it.

        :param move: the entry that books its cost, if there is any
        """
        lot = self.create({"client_id": client.id, "currency_id": client.currency_id.id, **vals})
        self.env["reseller.wallet.entry"].create(
            {
                "lot_id": lot.id,
                "kind": "grant",
                "date": lot.date,
                "amount": lot.granted,
                "cost": lot.cost,
                "balance": lot.cost_balance,
                "move_id": move and move.id,
            }
        )
        return lot
