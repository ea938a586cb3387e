from dataclasses import replace

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..base.states import LIVE
from .account_move_line import BILLING
from .reseller_charge import METERED


class ResellerStatement(models.Model):
    """How bills become void, and how the days that they free are billed again (rating 25)."""

    _inherit = "reseller.statement"

    def action_void(self):
        """Void statements without an invoice; one with an invoice is voided by cancelling that, or by a
        credit note.

        :raise AccessError: without the group Billing Manager
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        invoiced = self.filtered("invoice_id")
        if invoiced:
            raise UserError(
                self.env._(
                    "Cancel the invoice %s instead, or void this bill by a credit note.",
                    ", ".join(invoiced.invoice_id.mapped("display_name")),
                )
            )
        # What has no invoice has nothing to credit.
        self._void(frees=True)

    def action_void_by_credit_note(self):
        """Open the dialog that voids these bills by credit notes."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Void by Credit Note"),
            "res_model": "reseller.statement.void",
            "view_mode": "form",
            "target": "new",
            "context": {"default_statement_ids": self.ids},
        }

    def _void_by_credit_note(self, date, reason=""):
        """Post the full credit notes of these bills, with their taxes, and void them; return those.

        The days of a bill that others follow are free, between billed ones, and billed again first.

        :param date date: of the credit notes, and from which the bills are void
        :raise AccessError: without the group Billing Manager
        :raise UserError: for bills without a posted invoice, and those that have sold what other bills
            have drawn on
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        for statement in self:
            invoice = statement.invoice_id
            if statement.state != "invoiced":
                raise UserError(
                    self.env._(
                        "%s has no invoice that stands: there is nothing to credit.", statement.name
                    )
                )
            if invoice.state != "posted":
                raise UserError(
                    self.env._("%s is a draft: post or cancel it.", invoice.display_name)
                )
            if date > fields.Date.context_today(self):
                raise UserError(
                    self.env._("A bill is void from today or an earlier day on: choose that.")
                )
            if date < invoice.date:
                raise UserError(
                    self.env._(
                        "%(invoice)s is of %(day)s: choose that day or a later one.",
                        invoice=invoice.name,
                        day=invoice.date,
                    )
                )
        invoices = self.invoice_id
        for company, of_company in invoices.grouped("company_id").items():
            self.with_company(company)._check_unlocked(of_company, date)
        # What was paid out of advances is open again before the credit note settles it.
        self._void(frees=True, date=date)
        notes = self.env["account.move"]
        for statement in self:
            invoice = statement.invoice_id
            # Of a refund as well, which the lots that it took from follow.
            credit = (
                invoice.with_context(reseller_billing=BILLING)
                ._reverse_moves(
                    [
                        {
                            "date": date,
                            "invoice_date": date,
                            "ref": reason or self.env._("Reversal of: %s", invoice.name),
                            "delivery_date": invoice.delivery_date,
                        }
                    ],
                    cancel=True,
                )
                .with_env(invoice.env)
            )
            pairs = zip(invoice._get_product_lines(), credit._get_product_lines(), strict=True)
            for line, back in pairs:
                days = {name: line[name] for name in ("charge_date_from", "charge_date_to")}
                back.with_context(reseller_billing=BILLING).write(days)
            statement._after_credit_note(invoice, credit, date)
            statement.sudo().credit_note_id = credit  # statements are closed to all users
            # The books of days before know the bill by this.
            invoice.with_context(reseller_billing=BILLING).write(
                {
                    "reseller_former_statement_id": statement.id,
                    "reseller_reversal_id": credit.id,
                }
            )
            notes |= credit
        return notes

    def _void(self, frees=False, date=None):
        """Void statements and free their periods, which are billed again.

        :param bool frees: whether those that later bills of the account follow are voided as well
        :param date date: of what gives back what they drew on; today where None
        :raise UserError: when a later bill of the account stands; it names that bill
        """
        live = self.filtered(lambda statement: statement.state in LIVE)
        if not live:
            return
        # A run must not bill an account while its last bill is taken back.
        live.client_id._conflict_with_others()
        live.client_id._take_turn()
        # Bills by hand claim no period: they stand apart.
        chain = live.filtered(lambda statement: statement.kind != "manual")
        for client, statements in chain.grouped("client_id").items():
            standing = self.search(
                Domain("client_id", "=", client.id)
                & Domain("state", "in", LIVE)
                & Domain("kind", "!=", "manual")
                & Domain("id", "not in", statements.ids),
                order="bill_date desc, id desc",
                limit=1,
            )
            last = statements.filtered(
                lambda statement, standing=standing: (
                    not standing or statement._get_place() > standing._get_place()
                )
            )
            between = statements - last
            if between and not frees:
                raise UserError(
                    self.env._(
                        "Only the last bill of an account can be voided like this. %(client)s has a later "
                        "one, %(later)s: void this one by a credit note.",
                        client=client.display_name,
                        later=standing.invoice_id.name or standing.name,
                    )
                )
            between._free()
            if last:
                last._take_back(standing)
        live._before_void(frees, date)
        items_sudo = live.charge_ids.manual_charge_id.sudo()  # as above
        # What was a line of the invoice goes with it: its taxes and account are nowhere else.
        items_sudo.filtered("is_of_invoice").is_withdrawn = True
        items_sudo.statement_id = False
        live.sudo().state = "void"  # as above
        self.env["reseller.usage.coverage"]._free(
            {
                statement.id: date or statement.invoice_id.date or statement.bill_date
                for statement in live
            }
        )
        live._after_void(date)

    def _before_void(self, frees, date):
        """Hook: these bills are about to be void; charges by hand on them wait for another one afterwards.

        :param bool frees: see _void
        :param date date: of what gives back what they drew on; today where None
        """

    def _after_void(self, date):
        """Hook: these bills are void, see _before_void."""

    def _after_credit_note(self, invoice, credit, date):
        """Hook: a credit note has made this bill void.

        :param invoice: the bill's
        :param credit: what reverses it
        :param date date: of the credit note
        """

    def _get_place(self):
        """Return the place of this bill among those of its account: one that bills days again has the
        place of the first one.
        """
        self.ensure_one()
        first = self
        while first.replaces_id:
            first = first.replaces_id
        return self.bill_date, first.id

    def _take_back(self, standing):
        """Have an account go back to before its last bills, which are void.

        :param standing: the last bill that stands, or none
        """
        client = self.client_id
        # Days that were free already are among those that are billed again.
        freed = client._get_freed_statements().filtered(
            lambda freed_statement: (
                not standing or freed_statement._get_place() > standing._get_place()
            )
        )
        again = self | freed
        again._restore_contract_lines()
        starts = [day for day in (client.rerate_from, *self.mapped("rerate_from")) if day]
        freed.sudo().is_freed = False  # statements are closed to all users
        client.sudo().write(  # billing users void by cancelling an invoice; the account follows
            {
                "state": "active",
                "billed_until": client._get_billed_until(self),
                "next_bill_date": min(again.mapped("bill_date")),
                "rerate_from": min(starts, default=False),
            }
        )
        client._sync_contracts()

    def _free(self):
        """Have the days of these bills, which others follow, be billed again."""
        for statement in self:
            client_sudo = statement.client_id.sudo()  # as in _take_back
            starts = [client_sudo.rerate_from, statement.rerate_from, statement._get_first_day()]
            client_sudo.rerate_from = min(day for day in starts if day)
        self.sudo().is_freed = True  # statements are closed to all users

    def _get_first_day(self):
        self.ensure_one()
        return self.period_start or self.bill_date

    def _restore_contract_lines(self):
        """Give the contracts' extra lines back, to be billed again."""
        before = {}
        for charge in self.charge_ids.sorted(
            lambda charge: (charge.bill_date, charge.id), reverse=True
        ):
            if charge.contract_line_id:
                before[charge.contract_line_id] = charge.last_date_invoiced
        for line, day in before.items():
            line.sudo().last_date_invoiced = day  # the contract belongs to the account

    # Billing freed days

    def _prepare_freed_bill(self):
        """Return the rating.Bill of this void one's days.

        As long as others wait to be billed again, it is made as it was: what later bills have charged of
        cycles that went on after it does not count. The last one is rated with all that other bills
        cover, from the first free day on: what they have not billed is its own.
        """
        self.ensure_one()
        client = self.client_id
        is_last = client._get_freed_statements() == self
        date = fields.Date.add(client.billed_until, days=1) if is_last else self.bill_date
        following = client.next_bill_date if is_last else self._find_later()[:1].bill_date
        return replace(
            self._prepare_bill(client, date),
            period_start=self._get_first_day(),
            next_date=following or date,
            replaces=self.id,
        )

    def _find_later(self):
        """Return the bills that follow this void one, standing or to be billed again, in order; none if
        it is the last that is to be billed again.
        """
        self.ensure_one()
        if self.client_id._get_freed_statements() == self:
            return self.browse()
        place = self._get_place()
        chain = self.client_id.statement_ids.filtered(
            lambda statement: (
                statement.kind != "manual" and (statement.state in LIVE or statement.is_freed)
            )
        )
        return chain.filtered(lambda statement: statement._get_place() > place).sorted(
            lambda statement: statement._get_place()
        )

    def _keep_to_days(self, charge):
        """Return a rated charge of use on the days of this bill alone."""
        self.ensure_one()
        last = self.period_end
        if not last or charge.key.kind not in METERED or not charge.first <= last < charge.last:
            return charge
        spans = tuple(
            (first, min(until, last) if first <= last else until, amount)
            for first, until, amount in charge.spans
        )
        return replace(charge, last=last, spans=spans)

    @api.model
    def _check_freed(self, bills, date):
        """Refuse to bill days again before the day from which their bill is void.

        :param bills: {client id: rating.Bill}
        :param date date: of the invoices
        """
        numbers = [bill.replaces for bill in bills.values() if bill.replaces]
        for statement in self.browse(numbers).sudo():  # they are billed again
            since = statement.credit_note_id.date
            if since and date < since:
                raise UserError(
                    self.env._(
                        "%(bill)s is void from %(since)s on, and its days are billed again first: run with "
                        "that day or a later one.",
                        bill=statement.name,
                        since=since,
                    )
                )

    def _prepare_freed_vals(self, bill, state):
        """Return the values of the bill of this void one's days: its own dates."""
        self.ensure_one()
        return {
            "client_id": self.client_id.id,
            "currency_id": self.client_id.currency_id.id,
            "kind": self.kind,
            "bill_date": self.bill_date,
            "period_start": self.period_start,
            "period_end": self.period_end,
            "rerate_from": bill.rerate_from,
            "state": state,
            "replaces_id": self.id,
        }

    def _take_freed_lines(self):
        """Return {contract id: charge values} of the contracts' extra lines that void bills had, as they
        cost now.
        """
        found = {}
        for statement in self:
            rows = []
            for charge in statement.replaces_id.charge_ids.sorted("sequence"):
                line = charge.contract_line_id.sudo()  # the contract belongs to the account
                if line:
                    vals = line._prepare_charge_vals(charge.date_from, charge.date_to)
                    vals["last_date_invoiced"] = charge.last_date_invoiced or None
                    rows.append(vals)
            found[statement.client_id.contract_id.id] = rows
        return found

    def _settle_freed(self):
        """Have the accounts of these bills of freed days know what is left to be billed again."""
        self.sudo().replaces_id.is_freed = False  # billing keeps it
        waiting = self.client_id._get_freed_statements().client_id
        # The last one that is billed again settles what all of them have left.
        (self.client_id - waiting.sudo(False)).sudo().rerate_from = False  # as above
