from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import SQL
from odoo.tools.misc import format_date

from ... import rating
from ..billing.account_move_line import BILLING
from .reseller_commission_earned import BASES, Sold


class ResellerCommission(models.Model):
    """What a reseller has earned until a day, less what was stated before (wholesale W13).

    It is cumulative: what became known late, a payment say, is on the next statement, neither lost nor
    doubled.
    """

    _name = "reseller.commission"
    _description = "Commission Statement"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "date_to desc, id desc"
    _mail_post_access = "read"  # nobody writes them, and everybody may say something
    _check_company_auto = True

    name = fields.Char(compute="_compute_name", store=True)
    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    date_from = fields.Date(string="From", required=True, readonly=True)
    date_to = fields.Date(string="To", required=True, readonly=True)
    basis = fields.Selection(BASES, required=True, readonly=True)
    state = fields.Selection(
        [
            ("draft", "New"),
            ("sent", "To Agree"),
            ("disputed", "Disputed"),
            ("approved", "Approved"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    line_ids = fields.One2many("reseller.commission.line", "commission_id", readonly=True)
    amount_total = fields.Monetary(
        string="Commission", readonly=True, help="Without taxes; below zero where it is taken back."
    )
    agreed_by = fields.Char(readonly=True, copy=False, tracking=True)
    agreed_at = fields.Datetime(readonly=True, copy=False)
    dispute = fields.Text(
        string="Objection",
        readonly=True,
        copy=False,
        tracking=True,
        help="In the reseller's words.",
    )
    move_id = fields.Many2one(
        "account.move", string="Vendor Bill", readonly=True, copy=False, ondelete="restrict"
    )

    _period_uniq = models.UniqueIndex(
        "(reseller_id, date_to) WHERE state != 'cancelled'",
        "This reseller has a commission statement of that period already.",
    )

    @api.depends("reseller_id.code", "date_to")
    def _compute_name(self):
        for commission in self:
            commission.name = f"{commission.reseller_id.code}/{commission.date_to or ''}"

    # Making

    @api.model
    def _make(self, reseller, until):
        """Make a reseller's commission statement until a day, after the one before; return it.

        :raise UserError: where it earns none, has an earlier one that waits, or the days are stated already
        """
        reseller.ensure_one()
        if reseller.settlement != "referral":
            raise UserError(
                self.env._("%s earns no commission: see its page Settlement.", reseller.name)
            )
        # Two that state a reseller's commissions at the same time do not pass each other.
        reseller._conflict_with_others()
        last = reseller._get_last_commission()
        if last and last.state != "approved":
            raise UserError(
                self.env._("%s is not approved yet: approve or cancel it first.", last.name)
            )
        first = last.date_to + timedelta(days=1) if last else reseller.settlement_date
        if not last and until < first:
            raise UserError(
                self.env._(
                    "%(reseller)s earns from %(first)s on only.",
                    reseller=reseller.name,
                    first=format_date(self.env, first),
                )
            )
        if until < first:
            raise UserError(
                self.env._(
                    "Commissions of %(reseller)s are stated until %(last)s already.",
                    reseller=reseller.name,
                    last=format_date(self.env, first - timedelta(days=1)),
                )
            )
        commissions_sudo = self.sudo()  # closed to all users; whoever is here may state
        statement = commissions_sudo.create(
            {
                "reseller_id": reseller.id,
                "currency_id": reseller.currency_id.id,
                "basis": reseller.commission_basis,
                "date_from": first,
                "date_to": until,
            }
        )
        statement._fill()
        return self.browse(statement.id)

    def _fill(self):
        """Compute the lines and the total anew, from the books as they are now."""
        self.ensure_one()
        earned = self.env["reseller.commission.earned"]._compute_earned(
            self.reseller_id, self.date_to
        )
        before = self._load_before()
        unit = self.currency_id._get_exact_rounding()
        sold = {one.line_id: (one, percent, share) for one, percent, share in earned}
        gone = self._load_gone(before.keys() - sold.keys())
        rows, ideals = [], []
        for number in [*sold, *gone]:
            stated = before.get(number, Decimal(0))
            one, percent, share = sold.get(number) or (gone[number], Fraction(0), Fraction(0))
            ideal = one.net * percent / 100 * share - Fraction(stated)
            if ideal or stated or (number in sold and one.booked >= self.date_from):
                rows.append((one, percent, share, stated))
                ideals.append(ideal)
        total = rating.round_to(sum(ideals, Fraction(0)), unit)
        amounts = rating.share_out(ideals, total, unit)
        self_sudo = self.sudo()  # closed to all users; the caller has checked
        self_sudo.line_ids.unlink()
        if rating.exact_of(self.amount_total) != total:
            # Nobody has agreed to this.
            self_sudo.write({"agreed_by": False, "agreed_at": False})
        self_sudo.write(
            {
                "amount_total": float(total),
                "line_ids": [
                    Command.create(
                        {
                            "line_number": one.line_id,
                            "move_id": one.move_id,
                            "document": one.document,
                            "client_id": one.client_id,
                            "feature_id": one.feature_id,
                            "level_id": one.level_id,
                            "invoice_date": one.booked,
                            "name": one.name,
                            "net": float(one.net),
                            "percent": float(percent),
                            "share": float(100 * share),
                            "before": float(stated),
                            "amount": float(amount),
                        }
                    )
                    for (one, percent, share, stated), amount in zip(rows, amounts, strict=True)
                    # What is as it was stated is not told again.
                    if amount or one.booked >= self.date_from
                ],
            }
        )

    def _is_booked_on(self, day):
        """Whether the bill of this statement stands in the books on a day, whatever has become of it since."""
        self.ensure_one()

        def stands(move):
            return move.state == "posted" and move.date <= day

        return stands(self.move_id) and not any(map(stands, self.move_id.reversal_move_ids))

    def _load_before(self):
        """Return {invoice line id: Decimal} of what statements before this one have stated of each."""
        self.env.flush_all()
        return {
            number: Decimal(amount)
            for number, amount in self.env.execute_query(
                SQL(
                    """
                    SELECT line.line_number, sum(line.amount)::text
                      FROM reseller_commission_line line
                      JOIN reseller_commission statement ON statement.id = line.commission_id
                     WHERE statement.reseller_id = %s AND statement.state = 'approved'
                       AND statement.id != %s
                     GROUP BY line.line_number
                    """,
                    self.reseller_id.id,
                    self.id,
                )
            )
        }

    def _load_gone(self, numbers):
        """Return {invoice line id: Sold} of lines that were stated and earn nothing any more, as they were
        stated: of invoices that are no longer posted.
        """
        lines = self.env["reseller.commission.line"].search(
            [("line_number", "in", list(numbers)), ("reseller_id", "=", self.reseller_id.id)]
        )
        return {
            line.line_number: Sold(
                line.line_number,
                line.move_id.id or None,
                line.document,
                line.client_id.id,
                line.feature_id.id or None,
                line.level_id.id or None,
                line.invoice_date,
                line.invoice_date,
                line.name,
                Fraction(0),
            )
            for line in lines
        }

    # Actions

    def action_refresh(self):
        """Compute what is not approved yet from the books as they are now."""
        self._check_manager()
        for commission in self:
            commission._check_state("draft", "sent", "disputed")
            commission._fill()

    def action_send(self):
        """Show statements to their resellers in the portal, to be agreed on or objected to."""
        self._check_manager()
        for commission in self:
            commission._check_state("draft", "disputed")
        self.sudo().write({"state": "sent", "dispute": False})  # closed to all users, see above

    def action_approve(self):
        """Approve statements: what they come to becomes a posted bill in the reseller's name, or a refund.

        :raise UserError: without an agreement that holds today, without the reseller's tax status, or without
            journal and product of commissions
        """
        self._check_manager()
        for commission in self:
            commission._check_state("draft", "sent")
            if commission.amount_total:
                commission._check_may_bill()
                commission._make_bill()
            commission.sudo().state = "approved"  # as in action_send

    def action_cancel(self):
        """Cancel the newest statements of resellers; a bill that was made is reversed."""
        self._check_manager()
        for commission in self:
            if commission.state == "cancelled":
                continue
            if commission != commission.reseller_id._get_last_commission():
                raise UserError(
                    self.env._(
                        "%s is followed by others: cancel the newest one first.", commission.name
                    )
                )
            bill = commission.move_id
            if bill.state == "posted":
                bill.with_context(reseller_billing=BILLING)._reverse_moves(
                    [{"invoice_date": fields.Date.context_today(self), "ref": commission.name}],
                    cancel=True,
                )
            commission_sudo = commission.sudo()  # as in action_send
            # Its lines no longer say what was stated of an invoice.
            commission_sudo.write({"state": "cancelled", "line_ids": [Command.clear()]})

    def action_view_bill(self):
        """Open the bill in the reseller's name."""
        self.ensure_one()
        return self.move_id._get_records_action()

    def _agree(self, who, amount):
        """Note that the reseller agrees, in the portal.

        :param str who: the name of its user
        :param str amount: what the page showed, as Python writes it
        :raise UserError: where it comes to something else by now
        """
        self._check_state("sent")
        if amount != str(self.amount_total):
            raise UserError(
                self.env._("%s has changed meanwhile: look at it once more.", self.name)
            )
        self.write({"agreed_by": who, "agreed_at": fields.Datetime.now(), "dispute": False})

    def _object(self, who, words):
        """Note that the reseller objects: nothing is billed until somebody has settled it."""
        self.ensure_one()
        self._check_state("sent")
        self.write({"state": "disputed", "dispute": words, "agreed_by": False, "agreed_at": False})
        self.reseller_id._tell_responsible(
            self, self.env._("%(who)s objects to %(name)s", who=who, name=self.name), words
        )

    def _check_manager(self):
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()

    def _check_state(self, *states):
        names = dict(self._fields["state"]._description_selection(self.env))
        for commission in self:
            if commission.state not in states:
                raise UserError(
                    self.env._(
                        "%(name)s is %(state)s: that is not possible any more.",
                        name=commission.name,
                        state=names[commission.state],
                    )
                )

    def _check_may_bill(self):
        """Refuse to bill in a reseller's name without its agreement and its tax status (wholesale W14)."""
        reseller = self.reseller_id
        today = fields.Date.context_today(self)
        if not (
            reseller.self_billing_agreement
            and reseller.self_billing_from
            and reseller.self_billing_from <= today
            and (not reseller.self_billing_until or today <= reseller.self_billing_until)
        ):
            raise UserError(
                self.env._(
                    "%s has no self-billing agreement that holds today: enter its number and days on the "
                    "reseller's page Settlement.",
                    reseller.name,
                )
            )
        if not reseller.partner_id.vat and not reseller.commission_without_vat:
            raise UserError(
                self.env._(
                    "The tax status of %s is not known: enter its tax ID, or tick Charges No VAT.",
                    reseller.name,
                )
            )
        company_sudo = self.company_id.sudo()  # managers of billing may not see the settings
        journal = company_sudo.reseller_commission_journal_id
        if not journal.is_self_billing or not company_sudo.reseller_commission_product_id:
            raise UserError(
                self.env._(
                    "Choose the journal and the product of commissions in the settings of Reseller Billing."
                )
            )

    def _make_bill(self):
        """Make and post the bill, or refund, of this statement in the reseller's name."""
        self.ensure_one()
        company_sudo = self.company_id.sudo()  # as in _check_may_bill
        product = company_sudo.reseller_commission_product_id
        sign = -1 if self.amount_total < 0 else 1
        line = {
            "product_id": product.id,
            "name": self.env._(
                "Commission %(first)s to %(last)s (%(name)s)",
                first=format_date(self.env, self.date_from),
                last=format_date(self.env, self.date_to),
                name=self.name,
            ),
            "quantity": 1.0,
            "price_unit": sign * self.amount_total,
        }
        if self.reseller_id.commission_without_vat:
            line["tax_ids"] = [Command.clear()]
        bill = (
            self.env["account.move"]
            .with_company(self.company_id)
            .with_context(reseller_billing=BILLING)
            .create(
                {
                    "move_type": "in_invoice" if sign > 0 else "in_refund",
                    "partner_id": self.reseller_id.partner_id.id,
                    "journal_id": company_sudo.reseller_commission_journal_id.id,
                    "currency_id": self.currency_id.id,
                    "invoice_date": fields.Date.context_today(self),
                    "ref": self.name,
                    "reseller_commission_id": self.id,
                    "invoice_line_ids": [Command.create(line)],
                }
            )
        )
        self._check_net(bill)
        self.sudo().move_id = bill  # as in action_send
        bill.action_post()

    def _check_net(self, bill):
        """Have a draft bill come to the commission without its taxes, also where these are in the price."""
        net = abs(self.amount_total)
        line = bill.invoice_line_ids
        if self.currency_id.compare_amounts(bill.amount_untaxed, net):
            taxes = line.tax_ids.with_context(force_price_include=False)
            line.price_unit = taxes.compute_all(net, currency=self.currency_id)["total_included"]
        if self.currency_id.compare_amounts(bill.amount_untaxed, net):
            raise UserError(
                self.env._(
                    "The taxes of %s are in its price, and do not give the commission to the cent: choose taxes "
                    "that come on top.",
                    line.product_id.display_name,
                )
            )
