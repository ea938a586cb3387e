from freezegun import freeze_time
from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError

from .common_packages import PackagesCommon


class TestPrepaidBooks(PackagesCommon):
    """Packages in other currencies, refunds, voids and month ends."""

    def test_in_another_currency_the_sale_tells_what_is_earned(self):
        lot = self._sell_in_euros()
        # 50.00 at 2 are 25.00, of which 35 ÷ 100 are earned, whatever the rate is now.
        self.assertLot(lot, 65, 32.5)
        self.assertEqual((self._balance(self.prepaid), self._balance(self.income)), (-16.25, -8.75))
        self.assertBooks()

    def test_in_another_currency_nothing_of_a_refunded_package_is_left(self):
        lot = self._sell_in_euros()
        with freeze_time("2024-02-10 12:00:00"):
            lot.action_refund()
        # Of 25.00 were 8.75 used; 32.50 euros are given back at 4, which are 8.13: 8.12 are a gain.
        self.assertLot(lot, 0, 0)
        exchange = self.company.income_currency_exchange_account_id
        self.assertEqual((self._balance(self.prepaid), self._balance(exchange)), (0, -8.12))
        self.assertBooks()

    def test_a_refund_is_void_by_its_credit_note(self):
        lot = self._sell("2024-01-02")
        self._bill_use("2024-01-20", 35, "2024-02-01")
        with freeze_time("2024-02-10 12:00:00"):
            lot.action_refund()
            note = lot.entry_ids.filtered(lambda one: one.kind == "refund").move_id
            self.assertLot(lot, 0, 0)
            note.reseller_statement_id._void_by_credit_note(fields.Date.to_date("2024-02-10"))
        self.assertLot(lot, 65, 32.5)
        self.assertEqual((self._balance(self.prepaid), self.client_a.open_balance), (-32.5, 0))
        self.assertBooks()
        # It is not refunded again by itself.
        self._run("2024-03-01")
        self.assertLot(lot, 65, 32.5)
        self.assertBooks()

    def test_a_package_holds_as_long_when_its_invoice_is_replaced(self):
        package = self._create_package(
            "A month", reseller_units=100, list_price=50, reseller_valid_count=1
        )
        lot = self._sell("2024-01-05", package)
        self._use("2024-01-10", 60)
        with freeze_time("2024-01-21 12:00:00"):
            invoice = lot.charge_id.statement_id.invoice_id
            self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            ).modify_moves()
            replacement = lot.charge_id.statement_id.invoice_id
            self.assertEqual((lot.state, lot.left), ("canceled", 0))
            replacement.action_post()
        with freeze_time("2024-01-22 12:00:00"):
            self._pay(replacement)
        self.assertEqual((str(lot.date), str(lot.date_until)), ("2024-01-05", "2024-02-04"))
        # January's use is paid by it all the same.
        self._run("2024-02-01")
        self.assertFalse(self._statement(self.client_a, "2024-02-01").invoice_id)
        self.assertLot(lot, 40, 20)
        self.assertBooks()

    def test_bills_that_were_void_in_between_leave_no_cent(self):
        # 10.00 for 3 units: 3.33 and 3.34 are taken, and 3.33 given back: 2 units with 6.66, and a cent.
        lot = self._sell("2024-01-01", self._create_package("3", reseller_units=3, list_price=10))
        january = self._bill_use("2024-01-10", 1, "2024-02-01")
        self._bill_use("2024-02-10", 1, "2024-03-01")
        with freeze_time("2024-03-05 12:00:00"):
            january.action_void()
        self.assertLot(lot, 2, 6.67)
        self.assertEqual(self._balance(self.income), -3.33)
        self.assertBooks()
        self._run("2024-03-10")
        self.assertLot(lot, 1, 3.33)
        self._bill_use("2024-03-11", 1, "2024-04-01")
        self.assertLot(lot, 0, 0)
        self.assertEqual((self._balance(self.prepaid), self._balance(self.income)), (0, -10))
        self.assertBooks()

    def test_a_sale_is_void_to_the_cent_after_corrections_and_voids(self):
        # 10.00 for 3 units: 3.33 for January's, 3.34 for February's; March gives January's back with
        # 3.34, since 2 units hold 6.67; February's 3.34 would make it 10.01.
        lot = self._sell("2024-01-01", self._create_package("3", reseller_units=3, list_price=10))
        self._bill_use("2024-01-10", 1, "2024-02-01")
        february = self._bill_use("2024-02-10", 1, "2024-03-01")
        self._use("2024-01-10", -1)
        self._run("2024-04-01")
        self.assertLot(lot, 2, 6.67)
        with freeze_time("2024-04-05 12:00:00"):
            february.action_void()
            self.assertLot(lot, 3, 10)
            self.assertBooks()
            lot.charge_id.statement_id._void_by_credit_note(fields.Date.to_date("2024-04-05"))
        self.assertEqual((lot.state, lot.left, lot.cost_left), ("canceled", 0, 0))
        self.assertEqual((self._balance(self.prepaid), self._balance(self.income)), (0, 0))
        self.assertBooks()

    def test_a_top_up_is_money_in_the_wallet_once_it_is_paid(self):
        self.product.reseller_untaxed = True
        self.company.account_sale_tax_id = self.env["account.tax"].create(
            {"name": "10 %", "amount": 10}
        )
        top_up = self._create_package(
            "Top-up",
            reseller_grants="money",
            reseller_feature_id=False,
            list_price=100,
            reseller_bonus=10,
            taxes_id=[Command.set(self.company.account_sale_tax_id.ids)],
        )
        lot = self._sell("2024-01-05", top_up, pay=False)
        invoice = lot.charge_id.statement_id.invoice_id
        self.assertEqual((invoice.amount_total, self._balance(self.deposit)), (100, 0))
        self.assertEqual((self.client_a.wallet_balance, lot.cost_left), (0, 0))
        self.assertBooks()
        # Nobody pays a top-up out of the wallet, not even out of an older lot.
        with freeze_time("2024-01-05 12:00:00"):
            self.client_a._give_to_wallet(40, "Sorry", "sorry")
        second = self._sell("2024-01-06", top_up, pay=False)
        self.assertEqual(second.charge_id.statement_id.invoice_id.amount_residual, 100)
        with freeze_time("2024-01-10 12:00:00"):
            self._pay(invoice)
            self.client_a.invalidate_recordset()
            self.assertEqual(self.client_a.wallet_balance, 150)
        statement = self._bill_use("2024-01-20", 60, "2024-02-01")
        self.assertEqual(statement.invoice_id.payment_state, "paid")
        self.assertBooks()

    def test_the_wallet_may_pay_a_package(self):
        with freeze_time("2024-01-01 12:00:00"):
            self.client_a._give_to_wallet(60, "Sorry", "sorry")
        lot = self._sell("2024-01-05", pay=False)
        self.assertEqual(lot.charge_id.statement_id.invoice_id.payment_state, "paid")
        self.assertEqual((lot.state, lot.left), ("open", 100))
        self.assertBooks()

    def test_bad_packages_are_refused(self):
        with self.assertRaisesRegex(ValidationError, "how many units"):
            self._create_package("None")
        gauge = self._create_feature("gauge", aggregation="max")
        with self.assertRaisesRegex(ValidationError, "highest or last value"):
            self._create_package("Gauge", reseller_units=5, reseller_feature_id=gauge.id)
        with self.assertRaisesRegex(ValidationError, "is a package"):
            self.env["reseller.manual.charge"].create(
                {
                    "client_id": self.client_a.id,
                    "product_id": self.package.id,
                    "name": "Back",
                    "kind": "credit",
                    "unit_price": 50,
                }
            )
        self._sell("2024-01-02")
        with self.assertRaisesRegex(UserError, "have .*50.* ahead"):
            self.company.reseller_prepaid_account_id = self.deposit

    def test_what_is_left_is_refunded_with_its_taxes(self):
        for included in (False, True):
            with self.subTest(included=included):
                tax = self._create_tax(
                    10,
                    name=f"10 % {included}",
                    price_include_override="tax_included" if included else "tax_excluded",
                )
                price = 55 if included else 50
                package = self._create_package(
                    f"Taxed {included}", reseller_units=100, list_price=price, taxes_id=tax.ids
                )
                month = 3 if included else 1
                lot = self._sell(f"2024-{month:02}-02", package)
                self._bill_use(f"2024-{month:02}-20", 35, f"2024-{month + 1:02}-01")
                self.assertLot(lot, 65, 32.5)
                with self.assertRaisesRegex(UserError, "refund what is left"):
                    self.env["account.move.reversal"].create(
                        {
                            "move_ids": lot.charge_id.statement_id.invoice_id.ids,
                            "journal_id": lot.charge_id.statement_id.invoice_id.journal_id.id,
                        }
                    ).refund_moves()
                lot.action_refund()
                self.assertLot(lot, 0, 0)
                note = lot.entry_ids.filtered(lambda one: one.kind == "refund").move_id
                self.assertEqual(
                    (note.move_type, note.amount_untaxed, note.amount_tax),
                    ("out_refund", 32.5, 3.25),
                )
                self.assertEqual((self._balance(self.prepaid), note.state), (0, "posted"))
                self.assertBooks()
                with self.assertRaisesRegex(UserError, "Nothing that was paid"):
                    lot.action_refund()
                with self.assertRaisesRegex(UserError, "stays with it"):
                    note.button_draft()

    def test_the_month_ends_with_what_is_used_of_packages(self):
        self._run("2024-01-01")
        self._sell("2024-01-02")
        self._add_extra(self.client_a, 50, "2024-02-01", product_id=self.package.id)
        self._use("2024-01-20", 35)
        accounts = {
            "accrued_account_id": self.breakage.copy({"account_type": "asset_current"}).id,
            "deferred_account_id": self.prepaid.copy().id,
        }

        def lines(day):
            wizard = self.env["reseller.month.end"].create({"date": day, **accounts})
            wizard.action_compute()
            return [(line.name, line.accrued, line.deferred) for line in wizard.line_ids]

        self.assertEqual(lines("2024-01-31"), [("Unit", 17.5, 0)])
        # The bill of 1 February books it; the month's end, done later, is the same.
        self._run("2024-02-01")
        self.assertEqual(lines("2024-01-31"), [("Unit", 17.5, 0)])
        self.assertEqual(lines("2024-02-28"), [])
        wizard = self.env["reseller.month.end"].create({"date": "2024-01-31", **accounts})
        wizard.action_post()
        income = self.env["account.move.line"].search(
            [("account_id", "=", self.income.id), ("date", "<=", "2024-01-31")]
        )
        self.assertEqual(sum(income.mapped("balance")), -17.5)
        self.assertEqual(self._balance(self.income), -17.5)
        self.assertBooks()

    def test_the_month_ends_with_packages_at_the_rate_of_their_sale(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].search([("currency_id", "=", euro.id)]).unlink()
        self.env["res.currency.rate"].create(
            [
                {
                    "currency_id": euro.id,
                    "company_id": self.company.id,
                    "name": day,
                    "inverse_company_rate": rate,
                }
                for day, rate in (("2024-01-01", 0.9), ("2024-01-31", 1.0))
            ]
        )
        abroad = self._create_reseller("E", currency_id=euro.id)
        client = self._create_client("E1", reseller_id=abroad.id)
        self._create_rule(unit_price=2, currency_id=euro.id)
        self._run("2024-01-01")
        self._sell("2024-01-02", price=100, client=client)
        self._use("2024-01-20", 35, client="E1")
        wizard = self.env["reseller.month.end"].create(
            {
                "date": "2024-01-31",
                "accrued_account_id": self.breakage.copy({"account_type": "asset_current"}).id,
                "deferred_account_id": self.prepaid.copy().id,
            }
        )
        moves = self.env["account.move"].search(wizard.action_post()["domain"])
        january = moves.filtered(lambda one: str(one.date) == "2024-01-31")
        # 35 of 100 units that cost 100.00 euros at 0.90, whatever the euro is worth by now.
        self.assertEqual(
            [
                (line.account_id, line.amount_currency, line.balance, line.product_id)
                for line in january.line_ids.sorted("balance", reverse=True)
            ],
            [
                (self.prepaid, 35.0, 31.5, self.product),
                (self.income, -35.0, -31.5, self.product),
            ],
        )
        self.assertBooks()

    def test_entries_of_packages_stay_with_them(self):
        lot = self._sell("2024-01-02")
        self._bill_use("2024-01-20", 10, "2024-02-01")
        move = lot.entry_ids.filtered(lambda one: one.kind == "draw").move_id
        for change in (move.button_draft, move._reverse_moves):
            with self.assertRaisesRegex(UserError, "stays with it"), self.env.cr.savepoint():
                change()

    def test_correcting_taxes_leaves_what_is_sold_ahead(self):
        old, new = self._create_tax(19), self._create_tax(16)
        self.package.taxes_id = self.product.taxes_id = old
        self._create_rule(self._create_feature("fee"), recurring_fee=10)
        self._run("2024-01-01")
        self._add_extra(self.client_a, 50, "2024-02-01", product_id=self.package.id)
        self._run("2024-02-01")
        bill = self._statement(self.client_a, "2024-02-01")
        self.package.taxes_id = self.product.taxes_id = new
        right = self.env["account.move"].browse(bill.invoice_id.action_correct_taxes()["res_id"])
        self.assertEqual(
            {line.charge_id.kind: line.tax_ids for line in right.invoice_line_ids},
            {"recurring": new, "package": old},
        )
        right.action_post()
        self.assertEqual(right.amount_tax, 11.1)
        self.assertBooks()
