from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import SQL

from ... import rating
from . import reseller_lot  # noqa: F401


class Held(NamedTuple):
    """What a lot holds, as exact Decimals."""

    units: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    #: the cost in the company's currency, at the rate of the sale
    balance: Decimal = Decimal(0)


class ResellerPrepaidLot(models.Model):
    """Units of a feature that a client has bought ahead, as in a package.

    A lot is never changed. What is left of it is the sum of its entries; of its cost is left the
    share of the units that are: cost × left ÷ granted, rounded, so that the last draw takes the rest.
    """

    _name = "reseller.prepaid.lot"
    _description = "Lot of Prepaid Units"
    _inherit = ["reseller.lot.mixin"]
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    feature_id = fields.Many2one(
        "reseller.feature", required=True, readonly=True, ondelete="restrict"
    )
    name = fields.Char(required=True, readonly=True)
    date = fields.Date(string="From", readonly=True, help="Empty: it waits for payment.")
    date_until = fields.Date(
        string="Valid Until", readonly=True, help="The last day; empty: it does not expire."
    )
    priority = fields.Integer(
        required=True, readonly=True, default=10, help="Lower ones are drawn first."
    )
    granted = fields.Float(
        string="Units", required=True, readonly=True, min_display_digits=0, aggregator=None
    )
    cost = fields.Monetary(
        readonly=True,
        help="What was invoiced for it, without the taxes of its invoice. Taxed at use: with the taxes that "
        "become due then.",
    )
    vat_mode = fields.Selection(default="receipt")
    is_spent = fields.Boolean(
        readonly=True, help="Nothing is left: it is looked at for corrections alone."
    )
    left = fields.Float(compute="_compute_left", min_display_digits=0)
    cost_left = fields.Monetary(compute="_compute_left")
    entry_ids = fields.One2many("reseller.prepaid.entry", "lot_id", readonly=True)

    _amounts = models.Constraint(
        "CHECK (granted > 0 AND COALESCE(cost, 0) >= 0)",
        "A package gives units, and costs nothing or something.",
    )
    _charge_uniq = models.UniqueIndex("(charge_id)", "A package is given once.")
    _open = models.Index("(client_id, feature_id) WHERE state = 'open'")
    _drawing = models.Index("(client_id, feature_id) WHERE state = 'open' AND is_spent IS NOT TRUE")

    @api.depends("entry_ids.quantity", "entry_ids.cost")
    def _compute_left(self):
        exact = self._load_exact()
        for lot in self:
            held = exact.get(lot._origin.id, Held())
            lot.left, lot.cost_left = float(held.units), float(held.cost)

    @api.depends("name", "date")
    def _compute_display_name(self):
        for lot in self:
            lot.display_name = f"{lot.name} ({lot.date})" if lot.date else lot.name

    def _load_exact(self, as_of=None):
        """Return {id: Held}.

        :param as_of: a day; what was booked later does not count
        """
        self.env.flush_all()
        return {
            number: Held(*(Decimal(value) for value in sums))
            for number, *sums in self.env.execute_query(
                SQL(
                    """
                    SELECT lot_id, sum(quantity)::text, sum(COALESCE(cost, 0))::text,
                           sum(COALESCE(balance, 0))::text
                      FROM reseller_prepaid_entry WHERE lot_id = ANY(%s) AND date <= %s
                     GROUP BY lot_id
                    """,
                    self._origin.ids,
                    as_of or date.max,
                )
            )
        }

    @api.model
    def _there_sql(self, as_of=None):
        """Return the condition that a `lot` may be drawn, or might on a day that is past.

        :param as_of: a day: what a credit note has taken back later was there then
        """
        if not as_of:
            return SQL("lot.state = 'open'")
        return SQL(
            """
            (lot.state = 'open' OR lot.state = 'canceled' AND lot.date IS NOT NULL AND EXISTS (
                SELECT FROM reseller_charge sold
                  JOIN reseller_statement sale ON sale.id = sold.statement_id
                  JOIN account_move note ON note.id = sale.credit_note_id
                 WHERE sold.id = lot.charge_id AND note.state = 'posted' AND note.date > %s))
            """,
            as_of,
        )

    def _is_untouched(self):
        self.ensure_one()
        held = self._load_exact().get(self.id, Held())
        return self.state == "waiting" or held.units == rating.exact_of(self.granted)

    def _add_entry(self, kind, day, cost, is_granted, move=None, reason=False):
        self.ensure_one()
        sign = (cost > 0) - (cost < 0)
        self.env["reseller.prepaid.entry"]._insert(
            [
                {
                    "lot_id": self.id,
                    "kind": kind,
                    "date": day,
                    "quantity": rating.exact_of(self.granted) * is_granted,
                    "cost": rating.exact_of(cost),
                    "balance": rating.exact_of(sign * self.cost_balance),
                    "tax": rating.exact_of(sign * self.tax),
                    "move_id": move.id if move else None,
                    "reason": reason or None,
                }
            ]
        )

    # Cost

    def _get_cost_of(self, left):
        """Return (cost, balance) of so many units left: in the bills' and the company's currency."""
        self.ensure_one()
        share = Fraction(left) / Fraction(repr(self.granted))
        return tuple(
            rating.round_to(Fraction(repr(value)) * share, currency._get_exact_rounding())
            for value, currency in (
                (self.cost, self.currency_id),
                (self.cost_balance, self.company_currency_id),
            )
        )

    def _get_cost_taken(self, held, units):
        """Return (cost, balance) that units take out of what this lot holds; the last ones take the rest.

        :param held: see Held
        :param units: below zero where they are given back, as the costs then
        """
        kept = self._get_cost_of(held.units - units)
        return tuple(
            there - stays for there, stays in zip((held.cost, held.balance), kept, strict=True)
        )

    def _take_units(self, held, units):
        """Return (cost, balance) that units take out of what this lot holds, see _get_cost_taken.

        :param held: {lot id: Held}, which is moved on
        """
        self.ensure_one()
        there = held[self.id]
        cost, balance = self._get_cost_taken(there, units)
        held[self.id] = Held(there.units - units, there.cost - cost, there.balance - balance)
        return cost, balance

    @api.model
    def _get_cost_of_draws(self, draws, positions, as_of=None):
        """Return {(lot, position): (cost, balance)} of what draws take, without the taxes that become due
        with them.

        :param draws: {client id: [rating.Draw]}
        :param positions: {client id: fiscal position id} of bills
        :param as_of: see _load_exact
        """
        lots = self.browse({draw.lot for of_client in draws.values() for draw in of_client})
        held = lots._load_exact(as_of)
        for lot in lots:
            if not held[lot.id].cost:
                # What was given before it was invoiced costs what it will be invoiced at.
                units = held[lot.id].units
                held[lot.id] = Held(units, *lot._get_cost_of(units))
        taken, drawn = (
            defaultdict(lambda: [Decimal(0), Decimal(0)]),
            lots._load_drawn_taxes(draws, as_of),
        )
        for client, of_client in draws.items():
            current = self.env["account.fiscal.position"].browse(positions.get(client) or [])
            for draw in of_client:
                lot = lots.browse(draw.lot)
                position = lot._get_position(current)
                sums = taken[lot, position, lot._get_taxes_of_draw(position, draw, drawn)]
                for number, value in enumerate(lot._take_units(held, draw.quantity)):
                    sums[number] += value
        found = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for (lot, position, taxes), (cost, balance) in taken.items():
            lines = lot._prepare_use_lines(cost, balance, taxes, position)
            found[lot, position][0] -= rating.exact_of(lines[0]["amount_currency"])
            found[lot, position][1] -= rating.exact_of(lines[0]["balance"])
        return found

    # Taxes of use

    def _get_position(self, current):
        """Return the fiscal position of what is used of this lot: that of the bill where it is taxed then,
        or else that of its sale.

        :param current: of the bill that covers the use
        """
        self.ensure_one()
        if self._was_taxed():
            return self.charge_id.statement_id.invoice_id.fiscal_position_id
        return current

    def _load_drawn_taxes(self, draws, as_of=None):
        """Return {(lot id, day, level id or None): taxes} with which bills have drawn what draws give back of
        these lots; where one bill drew with several, that is not told.

        :param draws: {client id: [rating.Draw]}
        :param as_of: see _load_exact
        """
        back = {
            (draw.lot, draw.day, draw.level)
            for of_client in draws.values()
            for draw in of_client
            if draw.quantity < 0
        }
        numbers = {number for number, _day, _level in back}
        lots = self.filtered(lambda lot: lot.id in numbers and not lot._was_taxed())
        if not lots:
            return {}
        until = as_of or date.max
        entries = self.env["reseller.prepaid.entry"].search(
            [
                ("lot_id", "in", lots.ids),
                ("kind", "=", "draw"),
                ("quantity", "<", 0),
                ("usage_date", "in", [day for _number, day, _level in back]),
                ("date", "<=", until),
            ],
            order="id",
        )
        found = {}
        for entry in entries:
            key = entry.lot_id.id, entry.usage_date, entry.level_id.id or None
            move = entry.move_id
            if key in back and not move.reversal_move_ids.filtered(lambda one: one.date <= until):
                # Income alone has a product.
                income = move.line_ids.filtered(
                    lambda line, lot=entry.lot_id: (
                        line.product_id
                        and line.reseller_feature_id == lot.feature_id
                        and line.credit > 0
                    )
                )
                several = {line.tax_ids for line in income}
                if len(several) == 1:
                    [found[key]] = several
        return found

    def _get_taxes_of_draw(self, position, draw, drawn):
        """Return the taxes in the price of what a draw takes, or gives back: then those it was drawn with.

        :param position: see _get_position
        :param rating.Draw draw: of this lot
        :param drawn: see _load_drawn_taxes
        """
        key = self.id, draw.day, draw.level
        if draw.quantity < 0 and key in drawn:
            return drawn[key]
        return self._get_taxes_of_use(position, draw.day)

    def _check_taxes_of_use(self, taxes):
        """Refuse taxes that cannot be in what was paid for units, or would be booked as what is owed.

        :raise UserError: see above
        """
        self.charge_id._check_taxes_of_liability(taxes)
        for tax in taxes.flatten_taxes_hierarchy():
            if tax.amount_type in ("fixed", "code"):
                raise UserError(
                    self.env._(
                        "The tax %(tax)s is no percentage, so that it is not known how much of it is in what "
                        "was paid for %(lot)s: sell it taxed at receipt.",
                        tax=tax.display_name,
                        lot=self.display_name,
                    )
                )

    def _get_taxes_of_use(self, position, day):
        """Return the taxes in the price of what is used of this lot on a day; none where its sale was taxed.

        :param position: see _get_position
        """
        self.ensure_one()
        if self._was_taxed() or not self.cost:
            return self.env["account.tax"]
        template = self.feature_id._get_product(self.company_id).product_tmpl_id
        return position.map_tax(template._get_sales_taxes(self.company_id, position, day))

    def _prepare_use_lines(self, cost, balance, taxes, position):
        """Return the values of the journal items of what is used of this lot: income, and the taxes that
        become due with it.

        What was paid has them in it (Directive 2006/112/EC, art. 73a), whether or not prices of the product
        do. Odoo computes them; income is what is left.

        :param Decimal cost: what was paid for the units; below zero where they are given back
        :param Decimal balance: the same in the company's currency, at the rate of the sale
        :param taxes: see _get_taxes_of_use
        :param position: see _get_position
        """
        self.ensure_one()
        service = self.env["account.tax"]
        product = self.feature_id._get_product(self.company_id)
        account = self._get_income_account(position)
        income = {
            "account_id": account.id,
            "product_id": product.id,
            "amount_currency": -float(cost),
            "balance": -float(balance),
            "tax_ids": [Command.clear()],
        }
        if not taxes:
            return [income]
        base = service._prepare_base_line_for_taxes_computation(
            {},
            product_id=product,
            tax_ids=taxes,
            currency_id=self.currency_id,
            price_unit=abs(float(cost)),
            quantity=1.0,
            rate=float(cost / balance) if balance else 0.0,  # as Odoo has it for nothing
            special_mode="total_included",
            # What gives back more than it takes is a refund.
            is_refund=cost < 0,
            sign=1 if cost < 0 else -1,
            account_id=account,
            partner_id=self.charge_id.statement_id.invoice_id.commercial_partner_id,
        )
        service._add_tax_details_in_base_lines([base], self.company_id)
        service._round_base_lines_tax_details([base], self.company_id)
        service._add_accounting_data_in_base_lines_tax_details(
            [base], self.company_id, include_caba_tags=True
        )
        found = service._prepare_tax_lines([base], self.company_id)
        due = found["tax_lines_to_add"]
        for name in ("amount_currency", "balance"):
            income[name] -= sum(vals[name] for vals in due)
        income["amount_currency"] = self.currency_id.round(income["amount_currency"])
        income["balance"] = self.company_currency_id.round(income["balance"])
        [(_base, vals)] = found["base_lines_to_update"]
        income["tax_tag_ids"] = vals["tax_tag_ids"]
        if due or not any(tax.amount for tax in taxes.flatten_taxes_hierarchy()):
            # Where the tax of a few cents is none, Odoo would compute it anew from what is left.
            income["tax_ids"] = [Command.set(taxes.ids)]
        return [income, *({**vals, "display_type": "tax"} for vals in due)]

    # Refund

    def action_refund(self):
        """Credit the client what is left of these packages, with its taxes; open the credit note.

        :raise AccessError: without the group Billing Manager
        :raise UserError: where nothing that was paid is left
        """
        self.env["res.users"]._check_billing_manager()
        self.check_access("read")
        items_sudo = self.env["reseller.manual.charge"].sudo()  # lots are closed to all users
        for lot in self:
            lot.client_id._conflict_with_others()
            lot.client_id._take_turn()
            lot.invalidate_recordset()
            if lot.state != "open" or not lot.cost_left:
                raise UserError(
                    self.env._("Nothing that was paid is left of %s.", lot.display_name)
                )
            charge = lot.charge_id
            items_sudo |= items_sudo.create(
                {
                    "client_id": lot.client_id.id,
                    "name": self.env._("Refund: %s", lot.name),
                    "kind": "credit",
                    "product_id": charge._get_product().id,
                    "date": lot.client_id._today(),
                    "unit_price": lot._get_refund_price(),
                    "refund_lot_id": lot.id,
                }
            )
        statements = self.env["reseller.statement"]._bill_by_hand(items_sudo)
        return statements[:1].action_view_invoice()

    def _get_refund_price(self):
        """Return the price, as the sale was priced, that without taxes is what is left of the cost."""
        self.ensure_one()
        taxes = self.charge_id.move_line_ids[:1].tax_ids
        if taxes.flatten_taxes_hierarchy().filtered("price_include"):
            found = taxes.compute_all(self.cost_left, self.currency_id, handle_price_include=False)
            return found["total_included"]
        return self.cost_left

    def _add_refund(self, statement, day):
        """Take what is left out of this lot: a credit note has given it back.

        :raise UserError: when the credit note does not give back just that, to the cent
        """
        self.ensure_one()
        held, note = self._load_exact()[self.id], statement.invoice_id
        line = note.invoice_line_ids.filtered(
            lambda line: line.charge_id.manual_charge_id.refund_lot_id == self
        )
        if self.currency_id.compare_amounts(line.amount_currency, float(held.cost)):
            raise UserError(self.env._("%s has changed: refund it again.", self.display_name))
        # The note is at the rate of its day.
        exchange = self.client_id._book_exchange(
            line.balance - float(held.balance), day, note, self.client_id._get_prepaid_account()
        )
        taken = {
            "quantity": -held.units,
            "cost": -held.cost,
            "balance": -held.balance,
            "tax": -rating.exact_of(self.currency_id.round(line.price_total - line.price_subtotal)),
        }
        nothing = dict.fromkeys(taken, Decimal(0))
        vals = {"lot_id": self.id, "kind": "refund", "date": day, "statement_id": statement.id}
        self.env["reseller.prepaid.entry"]._insert(
            [
                {**vals, **taken, "move_id": note.id},
                *({**vals, **nothing, "move_id": move.id} for move in exchange),
            ]
        )

    def _get_income_account(self, position):
        """Return where the use of this lot's units is income: as its invoice would have booked it.

        :param position: see _get_position
        :raise UserError: when there is none
        """
        self.ensure_one()
        product = self.feature_id._get_product(self.company_id)
        accounts = product.product_tmpl_id.with_company(self.company_id)
        account = accounts.get_product_accounts(fiscal_pos=position)["income"]
        if not account:
            raise UserError(self.env._("%s has no income account: set one.", product.display_name))
        return account
