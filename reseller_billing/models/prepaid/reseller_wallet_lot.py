from datetime import date
from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.tools.misc import format_date

from ... import rating
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
    vat_mode = fields.Selection(
        default="use",
        help="What is paid in without an invoice, or given, is taxed at its use.",
    )
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
                "tax": self.tax if cost > 0 else -self.tax if cost < 0 else 0,
                "balance": float(self._get_balance_of(cost)),
                "move_id": move.id if move else False,
                "reason": reason,
            }
        )

    def _get_paid_left(self, cost_left):
        """Return what is left, exact, of what was paid for this lot: its cost, and the taxes that were
        invoiced with it.

        :param Decimal cost_left: what is left of the cost, as of the day of _load_lots
        """
        self.ensure_one()
        if not self.tax:
            return cost_left
        unit = self.currency_id._get_exact_rounding()
        as_of = self.env.context.get("reseller_as_of") or date.max
        entries = self.entry_ids.filtered(lambda entry: entry.date <= as_of)
        taxes = rating.round_to(rating.exact_of(sum(entries.mapped("tax"))), unit)
        return cost_left + taxes

    def _prepare_settling_line(self, vals, sign, invoice):
        """Return the values of an invoice line that settles money which was taxed when it was paid in: the
        cost leaves the deposits, with just the taxes that were invoiced with it.

        :param vals: what is taken, see reseller.client._take
        :param int sign: -1 on an invoice that it lowers, 1 on a credit note
        :param invoice: the invoice of the top-up, which the line names
        """
        self.ensure_one()
        sold = self.charge_id.move_line_ids[:1]
        cost, tax = (sign * -vals[name] for name in ("cost", "tax"))
        included = sold.tax_ids.flatten_taxes_hierarchy().filtered("price_include")
        base = self.env["account.tax"]._prepare_base_line_for_taxes_computation(
            {},
            product_id=sold.product_id,
            tax_ids=sold.tax_ids,
            currency_id=self.currency_id,
            price_unit=self.currency_id.round(cost + tax if included else cost),
            quantity=1.0,
            computation_key=f"reseller_advance,{self.id}",
            manual_total_excluded_currency=cost,
            manual_tax_amounts=self._share_taxes(sold, cost, tax),
        )
        return {
            "name": self.env._(
                "Settled: %(name)s, %(invoice)s of %(day)s",
                name=self.reason,
                invoice=invoice.name,
                day=format_date(self.env, invoice.invoice_date),
            ),
            "product_id": sold.product_id.id,
            "account_id": self.client_id._get_wallet_account("deposit").id,
            "tax_ids": [fields.Command.set(sold.tax_ids.ids)],
            "quantity": 1.0,
            "price_unit": base["price_unit"],
            "extra_tax_data": self.env["account.tax"]._export_base_line_extra_tax_data(base),
            "reseller_client_id": self.client_id.id,
            "reseller_settles": "advance",
            "sequence": 9999,
        }

    def _share_taxes(self, sold, cost, tax):
        """Return {tax id, as text: amounts} of a part of the taxes of this lot's sale, as Odoo keeps them.

        :param sold: the invoice line of the sale
        :param cost: the part's base
        :param tax: the part's taxes; several share it as they did on the sale
        """
        computed = sold.tax_ids.compute_all(
            self.cost, self.currency_id, handle_price_include=False, product=sold.product_id
        )["taxes"]
        whole = sum(tax_vals["amount"] for tax_vals in computed)
        found, rest = {}, tax
        for number, one in enumerate(computed, 1):
            part = self.currency_id.round(tax * one["amount"] / whole) if whole else 0.0
            if number == len(computed):
                part = self.currency_id.round(rest)
            rest -= part
            found[str(one["id"])] = {"tax_amount_currency": part, "base_amount_currency": cost}
        return found

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
        return rating.round_to(rating.exact_of(sum(self.entry_ids.mapped("balance"))), unit)

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
