import random
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from freezegun import freeze_time
from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user

from ...rating import share_out
from .common_commission import CommissionCommon


class TestCommission(CommissionCommon):
    """What a reseller earns of what its clients are billed, or pay; amounts by hand."""

    def test_cents_are_neither_lost_nor_doubled(self):
        """Example 11 of docs/wholesale.md: 333.33 and 333.34, paid, at 10 %: 33.33, then 33.34."""
        self._bill_use("2024-01-05", "333.33", "2024-02-01")
        self._pay_on("2024-02-10")
        self._bill_use("2024-02-05", "333.34", "2024-03-01")
        self._pay_on("2024-03-10", invoice=self._statement(self.client_a, "2024-03-01").invoice_id)
        first, second = self._state("2024-02-29"), self._state("2024-03-31")
        self.assertEqual((first.amount_total, second.amount_total), (33.33, 33.34))
        self.assertEqual(str(second.date_from), "2024-03-01")
        # What was stated is not told again.
        self.assertEqual(len(second.line_ids), 1)

    def test_whole_yen_round_once(self):
        """Example 11, the end: 10 % of 3,333 and 3,334 yen are 333, and 667 less 333."""
        yen = self.env.ref("base.JPY")
        yen.active = True
        reseller = self._create_reseller(
            "JP",
            currency_id=yen.id,
            settlement="referral",
            settlement_date="2024-01-01",
            commission_basis="paid",
            self_billing_agreement="of 1 January 2024",
            self_billing_from="2024-01-01",
            commission_without_vat=True,
        )
        self._set_rate(10, reseller=reseller)
        client = self._create_client("J", reseller_id=reseller.id)
        self._create_rule(client_id=client.id, unit_price=1)
        found = []
        for month, quantity in ((1, 3333), (2, 3334)):
            self._use(f"2024-{month:02}-05", quantity, client="J")
            self._run(f"2024-{month + 1:02}-01")
            invoice = self._statement(client, f"2024-{month + 1:02}-01").invoice_id
            self.assertEqual((invoice.currency_id, invoice.amount_untaxed), (yen, quantity))
            self._pay_on(f"2024-{month + 1:02}-10", invoice=invoice)
            statement = self.env["reseller.commission"]._make(reseller, date(2024, month + 1, 28))
            statement.action_approve()
            found.append(statement.move_id.amount_total)
        self.assertEqual(found, [333, 334])

    def test_payments_credit_notes_and_returns_month_by_month(self):
        """Example 12 of docs/wholesale.md: 20 % on 1,000.00 + 190.00, by what is paid."""
        self.reseller.commission_rate_ids.percent = 20
        tax = self._create_taxes(19)
        self.product.taxes_id = tax
        self._bill_use("2024-01-05", 1000, "2024-02-01")
        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        self.assertEqual(invoice.amount_total, 1190)
        payment = self._pay_on("2024-02-10", 595)
        found = [self._state("2024-02-29")]
        self._credit(invoice, "2024-03-10", 500)
        found.append(self._state("2024-03-31"))
        # The payment is returned by the bank.
        payment.action_draft()
        payment.action_cancel()
        found.append(self._state("2024-04-30"))
        self._pay_on("2024-05-10", 297.5)
        found.append(self._state("2024-05-31"))
        self.assertEqual([one.amount_total for one in found], [100, 0, -100, 50])
        self.assertEqual(
            [one.move_id.move_type for one in found],
            ["in_invoice", False, "in_refund", "in_invoice"],
        )
        self.assertEqual([one.move_id.amount_total for one in found], [100, 0, 100, 50])
        self.assertEqual(found[0].line_ids.share, 50)
        self.assertEqual(found[0].move_id.state, "posted")
        self.assertTrue(found[0].move_id.journal_id.is_self_billing)

    def test_what_is_billed_earns_less_what_is_credited(self):
        self.reseller.commission_basis = "billed"
        self.reseller.commission_rate_ids.percent = 20
        self._bill_use("2024-01-05", 1000, "2024-02-01")
        first = self._state("2024-02-29")
        self._credit(self._statement(self.client_a, "2024-02-01").invoice_id, "2024-03-10", 500)
        second = self._state("2024-03-31")
        self.assertEqual((first.amount_total, second.amount_total), (200, -100))
        self.assertEqual((second.line_ids.before, second.line_ids.share), (200, 50))

    def test_statements_add_up_to_what_is_known_at_once(self):
        """A law over random months: bills, payments in part, credit notes, payments taken back, all of it
        entered late or in time; an oracle that knows nothing of the ledger adds the receipts.
        """
        tax = self._create_taxes(19)
        self.product.taxes_id = tax
        self.reseller.commission_rate_ids.percent = 7.5
        for seed in range(3):
            chance = random.Random(seed)
            with self.subTest(seed), self.env.cr.savepoint() as savepoint:
                received, payments, total = {}, [], 0.0
                for month in range(2, 8):
                    self._bill_use(
                        f"2024-{month - 1:02}-05", chance.randint(1, 9999), f"2024-{month:02}-01"
                    )
                    for bill in self.client_a.statement_ids.invoice_id.sorted("id"):
                        # Of this month, or of an earlier one and entered only now.
                        day = f"2024-{chance.randint(bill.invoice_date.month, month):02}-{chance.randint(2, 27)}"
                        if bill.amount_residual and chance.random() < 0.6:
                            part = chance.choice((1, 3))
                            amount = bill.currency_id.round(bill.amount_residual / part)
                            payment = self._pay_on(day, amount, invoice=bill)
                            payments.append((bill, payment, amount))
                            received[bill] = received.get(bill, 0) + Decimal(f"{amount:.2f}")
                        elif bill.amount_residual > 50 and chance.random() < 0.3:
                            self._credit(bill, day, 10)
                    if payments and chance.random() < 0.4:
                        bill, payment, amount = payments.pop(chance.randrange(len(payments)))
                        payment.action_draft()
                        payment.action_cancel()
                        received[bill] -= Decimal(f"{amount:.2f}")
                    statement = self._state(f"2024-{month:02}-28")
                    total += statement.amount_total
                expected = sum(
                    Fraction(f"{bill.amount_untaxed:.2f}")
                    * Fraction(75, 1000)
                    * Fraction(money)
                    / Fraction(f"{bill.amount_total:.2f}")
                    for bill, money in received.items()
                )
                self.assertAlmostEqual(total, float(expected), delta=0.005 + 1e-9)
                savepoint.rollback()
            self.env.invalidate_all(flush=False)

    def test_a_bill_that_is_void_and_billed_again_earns_once(self):
        """Also where an advance, taxed when it was paid in, has settled it: 20 % of 100.00."""
        vat = self.env["account.account"].create(
            {"name": "VAT", "code": "VATOWED", "account_type": "liability_current"}
        )
        self.product.taxes_id = self._create_owed_tax(19, vat)
        self.reseller.commission_rate_ids.percent = 20
        for basis in ("billed", "paid"):
            for ahead in (False, True):
                with self.subTest(basis, ahead=ahead), self.env.cr.savepoint() as savepoint:
                    self.reseller.commission_basis = basis
                    if ahead:
                        self.client_a.wallet_use = "always"
                        self._sell(
                            "2024-01-02",
                            self._create_top_up(
                                list_price=100,
                                reseller_vat_mode="receipt",
                                taxes_id=self.product.taxes_id.ids,
                            ),
                        )
                    self._bill_use("2024-01-05", 100, "2024-02-01")
                    bill = self._statement(self.client_a, "2024-02-01")
                    if not ahead:
                        self._pay_on("2024-02-10")
                    self.assertEqual(self._state("2024-02-29").amount_total, 20)
                    with freeze_time("2024-03-10 12:00:00"):
                        wizard = self.env["reseller.statement.void"].create(
                            {"statement_ids": bill.ids, "reason": "again"}
                        )
                        wizard.action_void()
                    self._run("2024-03-20")
                    again = self._statement(self.client_a, "2024-02-01").invoice_id
                    if again.amount_residual:
                        self._pay_on("2024-03-21", invoice=again)
                    void = self._state("2024-03-31")
                    # The credit note settles the first invoice, whose payment is free for others.
                    self.assertEqual(void.amount_total, 0)
                    savepoint.rollback()
                self.env.invalidate_all(flush=False)

    def test_taxes_in_the_price_of_a_commission(self):
        tax = self.env["account.tax"].create(
            {
                "name": "19 % in it",
                "amount": 19,
                "type_tax_use": "purchase",
                "price_include_override": "tax_included",
            }
        )
        company_sudo = self.company.sudo()  # as an administrator sets it
        company_sudo.reseller_commission_product_id.supplier_taxes_id = tax
        self.reseller.commission_without_vat = False
        self.reseller.partner_id.vat = "US12345672"
        self._bill_use("2024-01-05", 1000, "2024-02-01")
        self._pay_on("2024-02-10")
        bill = self._state("2024-02-29").move_id
        self.assertEqual((bill.amount_untaxed, bill.amount_total), (100, 119))

    def test_what_was_sold_before_does_not_begin_to_earn(self):
        other = self._create_reseller("R2")
        client = self._create_client("B", reseller_id=other.id)
        self._use("2024-01-05", 1000, client="B")
        self._run("2024-02-01")
        other.write(
            {
                "settlement": "referral",
                "settlement_date": "2024-02-02",
                "commission_basis": "billed",
            }
        )
        self._set_rate(10, day="2024-02-02", reseller=other)
        self._use("2024-01-06", 100, client="B")  # January's, billed late
        self._use("2024-02-06", 100, client="B")
        self._run("2024-03-01")
        statement = self.env["reseller.commission"]._make(other, date(2024, 3, 31))
        self.assertEqual(statement.amount_total, 10)
        self.assertEqual(statement.line_ids.client_id, client)

    def test_an_early_payments_discount_is_no_money(self):
        self.reseller.commission_rate_ids.percent = 20
        self.product.taxes_id = self._create_taxes(19)
        self._bill_use("2024-01-05", 1000, "2024-02-01")
        self._pay_on(
            "2024-02-05",
            1166.2,
            payment_difference_handling="reconcile",
            writeoff_account_id=self.company_data["default_account_expense"].id,
        )
        # 200.00 × 1,166.20 / 1,190.00
        self.assertEqual(self._state("2024-02-29").amount_total, 196)

    def test_a_wallet_counts_by_what_was_paid_for_it(self):
        """30.00 from a lot of 110.00 that was paid 100.00: 27.27, of which 10 % are 2.73."""
        for mode in ("expense", "price"):
            with self.subTest(mode):
                self.company.reseller_bonus_mode = mode
                with self.env.cr.savepoint() as savepoint:
                    self.client_a.wallet_use = "always"
                    self._sell("2024-01-02", self._create_top_up(list_price=100, reseller_bonus=10))
                    self._bill_use("2024-01-05", 30, "2024-02-01")
                    statement = self._state("2024-02-29")
                    # Money that is paid in earns when it is used.
                    self.assertEqual(statement.amount_total, 2.73)
                    savepoint.rollback()
                self.env.invalidate_all(flush=False)

    def test_the_most_specific_rate_of_the_invoices_day_holds(self):
        self.reseller.commission_basis = "billed"
        level = self._create_level("hot", "Hot")
        other = self._create_feature("other")
        self._create_rule(other, unit_price=1)
        self._set_rate(20, self.feature)
        self._set_rate(30, self.feature, level)
        self._set_rate(50, self.feature, level, day="2024-03-01")
        for day in ("2024-01-05", "2024-02-05"):
            self._use(day, 100)  # 100.00 at 20 %
            self._use(day, 100, level="hot")  # 100.00 at 30 %, then 50 %
            self._use(day, 100, feature="other")  # 100.00 at 10 %
        self._run("2024-02-01")
        self.assertEqual(self._state("2024-02-29").amount_total, 60)
        self._run("2024-03-01")
        self.assertEqual(self._state("2024-03-31").amount_total, 80)
        # Of days that are stated, no rate changes; another one begins later.
        with self.assertRaisesRegex(ValidationError, "stated until 2024-03-31"):
            self._set_rate(40, self.feature, day="2024-03-15")
        with self.assertRaisesRegex(ValidationError, "stated until 2024-03-31"):
            self.reseller.commission_rate_ids[0].percent = 1
        with self.assertRaisesRegex(ValidationError, "stated until 2024-03-31"):
            self.reseller.commission_rate_ids.unlink()
        self._set_rate(40, self.feature, day="2024-04-01")

    def test_no_bill_without_agreement_and_tax_status(self):
        self._bill_use("2024-01-05", 100, "2024-02-01")
        self._pay_on("2024-02-10")
        statement = self._state("2024-02-29", approve=False)
        for values, words in (
            ({"self_billing_agreement": False}, "no self-billing agreement"),
            ({"self_billing_until": "2024-12-31"}, "no self-billing agreement"),
            ({"commission_without_vat": False}, "tax status"),
        ):
            before = {name: self.reseller[name] for name in values}
            self.reseller.write(values)
            with self.assertRaisesRegex(UserError, words):
                statement.action_approve()
            self.reseller.write(before)
        self.assertFalse(statement.move_id)
        statement.action_approve()
        bill = statement.move_id
        self.assertEqual((bill.partner_id, bill.amount_total), (self.reseller.partner_id, 10))
        # It stays as it is stated, until the statement is cancelled.
        for action in (bill.button_draft, bill._reverse_moves):
            with self.assertRaisesRegex(UserError, "settles a commission statement"):
                action()
        statement.action_cancel()
        self.assertEqual((statement.state, bill.payment_state), ("cancelled", "reversed"))
        again = self._state("2024-02-29")
        self.assertEqual(again.amount_total, 10)

    def test_a_months_end_accrues_what_no_statement_has_billed(self):
        """20 units at 1.00 are billed on 1 February: 2.00 are earned, whenever they are paid."""
        accounts = self.company._create_reseller_accounts()
        accrued = self.company.reseller_commission_accrued_account_id
        self.assertIn(accrued, accounts)
        self._use("2024-01-10", 20)
        self._run("2024-02-01")
        ends = self.env["reseller.month.end"]

        def balance(day):
            lines = self.env["account.move.line"].search(
                [
                    ("account_id", "=", accrued.id),
                    ("parent_state", "=", "posted"),
                    ("date", "<=", day),
                ]
            )
            return sum(lines.mapped("balance"))

        ends.create({"date": "2024-02-29"}).action_post()
        self.assertEqual((balance("2024-02-29"), balance("2024-03-01")), (-2, 0))
        self._pay_on("2024-03-10", 5)
        # A quarter of it is paid: 0.50 are stated and billed, 1.50 are earned as the books go.
        with freeze_time("2024-03-31 12:00:00"):
            self.assertEqual(self._state("2024-03-31").amount_total, 0.5)
        ends.create({"date": "2024-03-31"}).action_post()
        self.assertEqual((balance("2024-03-31"), balance("2024-04-01")), (-1.5, 0))

    def test_how_it_is_settled_is_fixed(self):
        with self.assertRaisesRegex(ValidationError, "invoices go to each client"):
            self.reseller.invoice_to = "reseller"
        other = self._create_reseller("R2")
        client = self._create_client("B", reseller_id=other.id)
        self._use("2024-01-05", 10, client="B")
        self._run("2024-02-01")
        self.assertTrue(client.billed_until)
        with (
            self.assertRaisesRegex(ValidationError, "billed until 2024-02-01"),
            self.env.cr.savepoint(),
        ):
            other.write({"settlement": "referral", "settlement_date": "2024-02-01"})
        other.write({"settlement": "referral", "settlement_date": "2024-02-02"})
        self._state("2024-01-31")
        for values in (
            {"settlement": "none"},
            {"settlement_date": "2024-01-02"},
            {"commission_basis": "billed"},
        ):
            with self.assertRaisesRegex(ValidationError, "settled so already"):
                self.reseller.write(values)
        with self.assertRaisesRegex(UserError, "stated until 01/31/2024 already"):
            self._state("2024-01-15")

    def test_an_objection_stops_the_bill(self):
        self._bill_use("2024-01-05", 100, "2024-02-01")
        payment = self._pay_on("2024-02-10")
        statement = self._state("2024-02-29", approve=False)
        statement.action_send()
        statement.sudo()._object("Rita", "20 % were agreed")  # as the portal does
        self.assertEqual(statement.state, "disputed")
        self.assertIn("Rita objects", statement.activity_ids.summary)
        with self.assertRaisesRegex(UserError, "is Disputed"):
            statement.action_approve()
        # It is settled: another rate, from the beginning, since nothing is approved yet.
        statement.action_cancel()
        self.reseller.commission_rate_ids.percent = 20
        statement = self._state("2024-02-29", approve=False)
        statement.action_send()
        portal_sudo = statement.sudo()  # as the portal does
        with self.assertRaisesRegex(UserError, "has changed meanwhile"):
            portal_sudo._agree("Rita", "10.0")
        portal_sudo._agree("Rita", "20.0")
        # To another sum nobody has agreed.
        payment.action_draft()
        payment.action_cancel()
        statement.action_refresh()
        self.assertEqual((statement.amount_total, statement.agreed_by), (0, False))
        self._pay_on("2024-02-12")
        statement.action_refresh()
        portal_sudo._agree("Rita", "20.0")
        statement.action_approve()
        self.assertEqual((statement.amount_total, statement.agreed_by), (20, "Rita"))

    def test_a_statement_follows_the_books_until_it_is_approved(self):
        self._bill_use("2024-01-05", 100, "2024-02-01")
        statement = self._state("2024-02-29", approve=False)
        self.assertEqual(statement.amount_total, 0)
        # A payment of February is entered in March.
        self._pay_on("2024-02-28", 50)
        statement.action_refresh()
        self.assertEqual(statement.amount_total, 5)
        with self.assertRaisesRegex(UserError, "not approved yet"):
            self._state("2024-03-31")
        statement.action_approve()
        self._pay_on("2024-02-28")  # and the rest, later still
        self.assertEqual(self._state("2024-03-31").amount_total, 5)

    @pytest.mark.isolation
    def test_statements_are_made_by_managers_and_written_by_nobody(self):
        values = {"company_id": self.company.id, "company_ids": [Command.set(self.company.ids)]}
        user = new_test_user(self.env, "cu", "reseller_billing.group_billing_user", **values)
        employee = new_test_user(self.env, "ce", "base.group_user", **values)
        self._bill_use("2024-01-05", 100, "2024-02-01")
        statement = self._state("2024-02-29", approve=False)
        self.assertEqual(statement.with_user(user).amount_total, 0)
        for action in ("action_approve", "action_send", "action_refresh", "action_cancel"):
            with self.assertRaises(AccessError):
                getattr(statement.with_user(user), action)()
        with self.assertRaises(AccessError):
            statement.with_user(employee).read(["amount_total"])
        plain = statement.with_user(self.env.user)
        with self.assertRaises(AccessError):
            plain.amount_total = 5
        with self.assertRaises(AccessError):
            plain.line_ids.amount = 5
        with freeze_time("2024-03-10"):
            wizard = self.env["reseller.commission.make"].create({"date": "2024-03-10"})
            self.assertIn(self.reseller, wizard.reseller_ids)
            with self.assertRaisesRegex(UserError, "a day that is over"):
                wizard.action_make()

    def test_shares_add_up_to_the_total(self):
        cent = Decimal("0.01")
        third = [Fraction(100, 3)] * 3
        self.assertEqual(
            share_out(third, Decimal(100), cent), [Decimal(x) for x in ("33.34", "33.33", "33.33")]
        )
        self.assertEqual(share_out(third, Decimal(100), Decimal(1)), [34, 33, 33])
        # Below zero the nearer to it comes last.
        self.assertEqual(share_out([Fraction(-1, 3)] * 3, Decimal(-1), Decimal(1)), [0, 0, -1])
        self.assertEqual(share_out([], Decimal(0), cent), [])
