from odoo import api, fields, models
from odoo.exceptions import UserError

from ... import rating
from ..billing.account_move_line import BILLING
from .product_template import VAT_MODES


class ResellerLotMixin(models.AbstractModel):
    """What a client has bought ahead, of units or money: a lot with entries that are only added.

    The invoice books its cost as a liability, and the lot has it from then on. What may be drawn
    it has once it is released: when the invoice is paid, or at once.
    """

    _name = "reseller.lot.mixin"
    _description = "Lot of What Is Bought Ahead"

    currency_id = fields.Many2one("res.currency")
    company_id = fields.Many2one("res.company")
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    cost = fields.Monetary(readonly=True)
    cost_balance = fields.Monetary(
        readonly=True,
        currency_field="company_currency_id",
        help="What was invoiced, in the company's currency as it was booked.",
    )
    charge_id = fields.Many2one(
        "reseller.charge", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    state = fields.Selection(
        [
            ("offered", "Offered"),
            ("waiting", "Waits for payment"),
            ("open", "Released"),
            ("canceled", "Taken back"),
        ],
        required=True,
        readonly=True,
        default="open",
    )
    vat_mode = fields.Selection(VAT_MODES, string="Taxed", readonly=True)
    tax = fields.Monetary(
        string="Taxes", readonly=True, help="Invoiced with it, where it is taxed at receipt."
    )
    valid_count = fields.Integer(readonly=True)
    valid_unit = fields.Char(readonly=True)
    release = fields.Char(readonly=True)

    def _add_entry(self, kind, day, cost, is_granted, move=None, reason=False):
        """Add an entry of all units and a cost of this lot.

        :param cost: as stored; below zero where it is taken back
        :param int is_granted: 1 where its units are given, -1 where taken back, 0 neither
        """
        raise NotImplementedError

    def _is_untouched(self):
        """Whether nothing has been drawn of this lot, or all was given back."""
        raise NotImplementedError

    def _was_taxed(self):
        """Whether what was paid for this lot was taxed when it was paid."""
        self.ensure_one()
        return self.vat_mode == "receipt"

    def _sell(self, day):
        """Add the cost of sold lots, and release those that need not wait."""
        for lot in self.filtered(lambda lot: lot.state != "offered"):
            invoice = lot.charge_id.statement_id.invoice_id
            # In the books from the invoice's day on, which may be that of an earlier payment.
            lot._add_entry("buy", invoice.date or day, lot.cost, 0, invoice)
            if lot._is_there_at_once():
                lot._release(lot.charge_id.date_from)
            elif lot._is_free() or lot._is_paid():
                lot._release()

    def _is_there_at_once(self):
        """Hook: whether this lot may be used once it is invoiced."""
        self.ensure_one()
        return self.release == "invoiced"

    def _is_free(self):
        """Hook: whether nobody has to pay for this lot."""
        self.ensure_one()
        return not self.cost

    def _is_paid(self):
        """Whether nothing is open of the invoice, or the bill is a credit note, which has paid it.

        What reverses an invoice does not pay it.
        """
        self.ensure_one()
        invoice = self.charge_id.statement_id.invoice_id
        if invoice.payment_state == "reversed" and invoice.reversal_move_ids:
            return False
        return invoice.state == "posted" and (
            invoice.move_type == "out_refund"
            or invoice.payment_state in ("paid", "in_payment")
            or invoice.currency_id.is_zero(invoice.amount_residual)
        )

    def _release(self, day=None):
        """Give the units of lots that wait.

        :param day: from which they may be used; today, where the client is, if None
        """
        for lot in self.filtered(lambda lot: lot.state == "waiting"):
            today = lot.client_id._today()
            before = lot.entry_ids.filtered(lambda entry: entry.kind in ("grant", "cancel"))
            if before.filtered(lambda entry: entry.kind == "grant"):
                # Its invoice was replaced, or taken back for a while: it holds on the days it did.
                days = {"date": lot.date, "date_until": lot.date_until}
                lot.write({**lot._prepare_release(lot.date), **days})
                lot._add_entry("grant", max(today, *before.mapped("date")), 0, 1)
            else:
                vals = lot._prepare_release(day or today)
                lot.write(vals)
                lot._add_entry("grant", vals["date"], 0, 1)
            self.env["reseller.refill"]._end_with(lot)
            invoice_sudo = lot.charge_id.statement_id.invoice_id.sudo()  # whoever pays it
            if invoice_sudo.reseller_is_offer:
                # What is released is owed, were its payment taken back.
                invoice_sudo.with_context(reseller_billing=BILLING).reseller_is_offer = False

    def _prepare_release(self, day):
        """Return the values of a lot that may be used from a day on."""
        self.ensure_one()
        until = False
        if self.valid_count:
            interval = rating.Interval.of(self.valid_count, self.valid_unit)
            until = interval.after(day, 1) - rating.DAY
        return {"state": "open", "date": day, "date_until": until}

    def _take_back(self, day=None):
        """Take sold lots back whose invoice does not stand any more.

        :param date day: from which it does not stand; today, where the client is, if None
        :raise UserError: when something was drawn of one, or given back after that day
        """
        standing = self.filtered(lambda lot: lot.state != "canceled")
        standing.client_id._conflict_with_others()  # with bills, which may be drawing at this moment
        standing.client_id._take_turn()
        for lot in standing:
            invoice_sudo = lot.charge_id.statement_id.invoice_id.sudo()  # as its payments
            if invoice_sudo.transaction_ids.filtered(lambda tx: tx._is_in_flight()):
                raise UserError(
                    self.env._(
                        "A payment of %s is under way: wait for its result.",
                        invoice_sudo.display_name,
                    )
                )
            if lot.state == "offered":
                lot.state = "canceled"  # it was in no books
                continue
            if not lot._is_untouched():
                raise UserError(
                    self.env._(
                        "%(lot)s of %(client)s is used in part: its invoice stays. Void the bills that "
                        "drew on it first, or refund what is left.",
                        lot=lot.display_name,
                        client=lot.client_id.display_name,
                    )
                )
            since = day or lot.client_id._today()
            last = max(lot.entry_ids.filtered(lambda entry: entry.kind != "grant").mapped("date"))
            if day and day < last:
                raise UserError(
                    self.env._(
                        "%(lot)s was there until %(last)s: choose that day or a later one.",
                        lot=lot.display_name,
                        last=last,
                    )
                )
            is_open = lot.state == "open"
            later = is_open and lot.date > since
            lot._add_entry("cancel", since, -lot.cost, -1 if is_open and not later else 0)
            if later:
                lot._add_entry("cancel", lot.date, 0, -1)  # never there
            lot.state = "canceled"

    def _read_amounts(self):
        """Have lots cost and give what the lines of their invoices say by now."""
        amounts = self.charge_id._load_lot_amounts()
        for lot in self:
            lot.write(amounts[lot.charge_id.id])

    def _follow_invoices(self, day=None):
        """Have lots follow their invoices: sold while these are posted, taken back when not.

        :param date day: see _take_back
        """
        for lot in self:
            statement = lot.charge_id.statement_id
            invoice = statement.invoice_id
            stands = statement.state != "void" and (not invoice or invoice.state == "posted")
            if not stands:
                if lot.state != "offered" or statement.state == "void":
                    lot._take_back(day)
            elif lot.state in ("offered", "canceled"):
                # Its date, and with it rates and taxes, may be others now.
                lot.state = "waiting"
                lot._read_amounts()
                lot._sell(lot.client_id._today())
            elif lot.state == "waiting" and lot._is_paid():
                lot._release()

    @api.model
    def _find_sold(self, statements):
        """Return the lots that statements have sold, seen or not by the user."""
        lots_sudo = self.sudo()  # who posts, pays or cancels an invoice need not see lots
        return lots_sudo.search([("charge_id.statement_id", "in", statements.ids)])
