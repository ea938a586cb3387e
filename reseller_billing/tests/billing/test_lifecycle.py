from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import strategies as st
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form

from ...models.client.contract_contract import CLIENT
from ..common import ResellerBillingCommon

CENT = Decimal("0.01")


class LifecycleCommon(ResellerBillingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._create_rule(recurring_fee=9.99, included_quantity=10, unit_price=0.333)

    def _reverse(self, invoice, modify):
        wizard = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": invoice.journal_id.id, "date": invoice.date})
        )
        wizard.reverse_moves(is_modify=modify)
        return wizard.new_move_ids

    def _live(self, client):
        return client.statement_ids.filtered(lambda one: one.state in ("approved", "invoiced"))


class TestLifecycle(LifecycleCommon):
    """What reset, cancel, delete, credit and reverse do to a bill (rating 25)."""

    def setUp(self):
        super().setUp()
        self._use("2024-01-10", 20)
        self._run("2024-02-01")
        self.january = self._statement(self.client_a, "2024-02-01")
        self.invoice = self.january.invoice_id

    def test_reset_to_draft_keeps_statement_period_and_number(self):
        number = self.invoice.name
        self.invoice.button_draft()
        self.assertEqual(self.january.state, "invoiced")
        self.assertEqual(self.client_a.billed_until, date(2024, 1, 31))
        self.assertFalse(self._run("2024-02-01").statement_ids)
        self.invoice.action_post()
        self.assertEqual(self.invoice.name, number)
        self.assertAgrees(self.january)

    def test_charge_lines_are_read_only_in_draft(self):
        self.invoice.button_draft()
        line = self.invoice.invoice_line_ids[0]
        for values in ({"price_unit": 1.0}, {"quantity": 7.0}, {"discount": 5.0}):
            with self.assertRaisesRegex(UserError, "comes from the statement"):
                line.write(values)
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            line.unlink()
        # What does not touch the amount stays the accountant's.
        line.name = "Another wording"

    def test_cancel_voids_and_the_period_is_billed_again(self):
        self.invoice.button_cancel()
        self.assertEqual(self.january.state, "void")
        self.assertEqual(self.client_a.next_bill_date, date(2024, 2, 1))
        self.assertEqual(self.client_a.billed_until, date(2023, 12, 31))
        self._use("2024-01-11", 1)
        self._run("2024-02-01")
        again = self._statement(self.client_a, "2024-02-01")
        self.assertNotEqual(again, self.january)
        # 21 − 10 = 11 × 0.333 = 3.663, and the fee of February.
        self.assertEqual(
            self._amounts(again), {("unit", "overage"): "3.66", ("unit", "recurring"): "9.99"}
        )
        self.assertAgrees(again)

    def test_a_cancelled_invoice_can_never_be_posted_again(self):
        self.invoice.button_cancel()
        self.invoice.button_draft()
        with self.assertRaisesRegex(UserError, "can never be posted"):
            self.invoice.action_post()

    def test_delete_voids(self):
        self.invoice.button_draft()
        self.invoice.name = False
        self.invoice.unlink()
        self.assertEqual(self.january.state, "void")
        self._run("2024-02-01")
        self.assertEqual(self._statement(self.client_a, "2024-02-01").amount_total, 13.32)

    def test_only_the_last_bill_can_be_voided(self):
        self._run("2024-03-01")
        later = self._statement(self.client_a, "2024-03-01").invoice_id
        with self.assertRaisesRegex(UserError, later.name), self.env.cr.savepoint():
            self.invoice.button_cancel()
        (self.invoice | later).button_cancel()
        self.assertEqual(self.client_a.next_bill_date, date(2024, 2, 1))

    def test_a_credit_note_is_commercial(self):
        credit = self._reverse(self.invoice, modify=False)
        credit.action_post()
        self.assertFalse(credit.reseller_statement_id)
        self.assertFalse(credit.invoice_line_ids.charge_id)
        self._run("2024-03-01")
        self.assertEqual(
            self._amounts(self._statement(self.client_a, "2024-03-01")),
            {("unit", "recurring"): "9.99"},
        )

    def test_reverse_and_create_invoice_moves_the_link(self):
        replacement = self._reverse(self.invoice, modify=True)
        self.assertEqual(self.january.invoice_id, replacement)
        self.assertFalse(self.invoice.reseller_statement_id)
        replacement.action_post()
        self.assertAgrees(self.january)
        self.assertFalse(self._run("2024-02-01").statement_ids)
        # From now on the replacement carries the period.
        replacement.button_cancel()
        self.assertEqual(self.january.state, "void")

    def test_a_lock_date_keeps_the_last_bill_or_moves_nothing(self):
        self.company.fiscalyear_lock_date = "2024-02-29"
        # Odoo refuses to touch the posted invoice; the statement stays with it.
        with self.assertRaises(UserError), self.env.cr.savepoint():
            self.invoice.button_draft()
        self.assertEqual((self.january.state, self.invoice.state), ("invoiced", "posted"))
        # A run of a locked date parks, one of a later date bills.
        run = self._run("2024-02-15")
        self.assertFalse(run.parked_line_ids)
        run = self._run("2024-03-01")
        self.assertEqual(len(run.statement_ids), 1)
        self.assertAgrees(run.statement_ids)

    def test_a_client_with_history_is_not_deleted(self):
        with self.assertRaisesRegex(UserError, "cannot be deleted"), self.env.cr.savepoint():
            self.client_a.unlink()
        with self.assertRaisesRegex(UserError, "used in Accounting"), self.env.cr.savepoint():
            self.client_a.partner_id.unlink()
        self.client_a.action_close("2024-02-10")
        self._run("2024-02-11")
        self.client_a.active = False
        self.assertEqual(self.january.client_id, self.client_a)

    def test_merging_partners_keeps_account_and_books_together(self):
        twin = self.env["res.partner"].create({"name": "Client A, again"})
        before = self.client_a.partner_id
        wizard = (
            self.env["base.partner.merge.automatic.wizard"]
            .sudo()
            .create({"partner_ids": [(6, 0, (before | twin).ids)], "dst_partner_id": twin.id})
        )
        wizard.action_merge()
        self.env.invalidate_all()
        self.assertFalse(before.exists())
        self.assertEqual(self.client_a.partner_id, twin)
        self.assertEqual(self.invoice.partner_id, twin)
        invoices = self.client_a.statement_ids.invoice_id
        self.assertEqual(invoices.partner_id, twin)
        self.assertEqual(self.client_a.open_balance, 23.31)  # 9.99 + 9.99 + 10 × 0.333
        self._use("2024-02-05", 20)
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(statement.invoice_id.partner_id, twin)
        self.assertAgrees(statement)

    def test_the_invoice_is_sent_and_its_credit_note_registered(self):
        self.client_a.partner_id.email = "a@example.com"
        wizard = (
            self.env["account.move.send.wizard"]
            .with_context(active_model="account.move", active_ids=self.invoice.ids)
            .create({"move_id": self.invoice.id, "sending_methods": ["email"]})
        )
        wizard.action_send_and_print()
        self.assertTrue(self.invoice.is_move_sent)
        [refund] = self._reverse(self.invoice, modify=False)
        refund.action_post()
        self.assertEqual(refund.amount_total, self.invoice.amount_total)
        self.assertEqual(self.january.invoice_id, self.invoice)

    def test_late_use_billed_by_a_voided_statement_is_billed_again(self):
        self._use("2024-01-20", 10)
        self._run("2024-03-01")
        february = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(
            self._amounts(february), {("unit", "overage"): "3.33", ("unit", "recurring"): "9.99"}
        )
        february.invoice_id.button_cancel()
        self._run("2024-03-01")
        self.assertEqual(
            self._amounts(self._statement(self.client_a, "2024-03-01")),
            {("unit", "overage"): "3.33", ("unit", "recurring"): "9.99"},
        )

    def test_the_opening_bill_can_be_voided(self):
        opening = self._statement(self.client_a, "2024-01-01")
        (opening | self.january).invoice_id.button_cancel()
        self.assertFalse(self.client_a.billed_until)
        self._run("2024-02-01")
        live = self._live(self.client_a)
        self.assertEqual(sorted(live.mapped("amount_total")), [9.99, 13.32])

    def test_adjustments_take_the_original_lines_taxes_and_account(self):
        line = self.invoice.invoice_line_ids.filtered(lambda one: one.charge_id.kind == "overage")
        other = line.account_id.copy({"code": "400777"})
        self.invoice.button_draft()
        line.account_id = other
        self.invoice.action_post()
        self._use("2024-01-20", 10)
        self._run("2024-03-01")
        adjusting = self._statement(self.client_a, "2024-03-01").charge_ids.filtered(
            "adjusts_statement_id"
        )
        self.assertEqual(adjusting.move_line_ids.account_id, other)
        self.assertIn(self.invoice.name, adjusting.name)

    def test_a_contracts_extra_line_is_billed_once_and_again_after_a_void(self):
        line = self._add_extra(self.client_a, 20, "2024-02-01")
        self._run("2024-03-01")
        february = self._statement(self.client_a, "2024-03-01")
        # Due on 1 February and on 1 March.
        manual = february.charge_ids.filtered(lambda one: one.kind == "manual")
        self.assertEqual(manual.mapped("amount"), [20.0, 20.0])
        self.assertEqual(line.recurring_next_date, date(2024, 4, 1))
        self.assertAgrees(february)
        february.invoice_id.button_cancel()
        self.assertEqual(line.recurring_next_date, date(2024, 2, 1))
        self._run("2024-03-01")
        self.assertEqual(self._statement(self.client_a, "2024-03-01").amount_total, 49.99)

    def test_the_contract_itself_bills_nothing(self):
        contract = self.client_a.contract_id
        with self.assertRaisesRegex(UserError, "billing runs"):
            contract.recurring_create_invoice()
        domain = contract._get_contracts_to_invoice_domain(date(2030, 1, 1))
        self.assertNotIn(contract, contract.search(domain))
        with self.assertRaisesRegex(UserError, "owns the cycle"):
            contract.recurring_interval = 5
        with self.assertRaises(ValidationError):
            contract.with_context(reseller_sync=CLIENT).generation_type = "invoice"
        # With a line that would be due, Odoo's own ways to invoice contracts leave it alone.
        self._add_extra(self.client_a, 20, "2024-01-01")
        moves = self.env["account.move"].search_count([])
        self.env["contract.contract"]._cron_recurring_create()
        wizard = self.env["contract.manually.create.invoice"].create(
            {"invoice_date": "2030-01-01", "contract_type": "sale"}
        )
        self.assertNotIn(contract, wizard.contract_to_invoice_ids)
        wizard.create_invoice()
        self.assertEqual(self.env["account.move"].search_count([]), moves)
        # The contact's form goes on as before.
        with Form(self.client_a.partner_id) as form:
            form.phone = "+32 2 290 34 90"
        self.assertEqual(self.client_a.partner_id.phone, "+32 2 290 34 90")


@pytest.mark.laws
class TestLifecycleLaws(LifecycleCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Each run of each history would bill it, too.
        cls.client_a.unlink()

    def test_nothing_is_billed_twice_or_lost(self):
        step = st.one_of(
            st.tuples(st.just("use"), st.integers(0, 75), st.integers(-5, 30)),
            st.tuples(st.just("void"), st.integers(0, 4)),
            st.tuples(
                st.sampled_from(["run", "run", "reset", "cancel", "delete", "credit", "replace"])
            ),
        )

        self._play_histories(step, (4, 14), 25)

    def _play(self, steps):
        count = self.env["reseller.client"].search_count([])
        client = self._create_client(f"law{count}")
        month, used = date(2024, 1, 1), defaultdict(Decimal)
        run_date = month
        for name, *values in steps:
            last = self._live(client).filtered("invoice_id").sorted("bill_date")[-1:]
            invoice = last.invoice_id
            if name == "use":
                when = max(month + relativedelta(days=10 - values[0]), date(2024, 1, 1))
                self._use(when.isoformat(), values[1], client=client.ref)
                used[when.replace(day=1)] += values[1]
            elif name == "run":
                run_date = month
                self._run(run_date)
                month += relativedelta(months=1)
            elif not invoice:
                continue
            elif name == "void":
                bills = self._live(client).filtered("invoice_id").sorted("bill_date")
                bill = bills[values[0] % len(bills)]
                bill._void_by_credit_note(max(run_date, bill.invoice_id.date))
            elif name == "reset":
                invoice.button_draft()
                invoice.action_post()
            elif name == "credit":
                self._reverse(invoice, modify=False).action_post()
            elif name == "replace":
                self._reverse(invoice, modify=True).action_post()
            elif name == "cancel":
                invoice.button_cancel()
            else:
                invoice.button_draft()
                invoice.name = False
                invoice.unlink()
        # Bill to the end of the month in which use may lie, and once more.
        end = month + relativedelta(months=2)
        self._run(end)
        self._run(end)
        live = self._live(client)
        for statement in live:
            self.assertAgrees(statement)
        billed = defaultdict(Decimal)
        for charge in live.charge_ids:
            billed[charge.cycle_start, charge.kind] += charge._get_exact()[charge.id][2]
        expected = {}
        cycle = date(2024, 1, 1)
        while cycle <= end:
            expected[cycle, "recurring"] = Decimal("9.99")
            payable = max(used[cycle] - 10, 0) if cycle < end else Decimal(0)
            amount = (payable * Decimal("0.333")).quantize(CENT, ROUND_HALF_UP)
            if amount:
                expected[cycle, "overage"] = amount
            cycle += relativedelta(months=1)
        self.assertEqual({key: amount for key, amount in billed.items() if amount}, expected)
        # One statement a period.
        periods = [(one.kind, one.bill_date) for one in live]
        self.assertEqual(len(periods), len(set(periods)))
