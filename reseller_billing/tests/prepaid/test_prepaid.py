from freezegun import freeze_time
from odoo import Command, fields
from odoo.exceptions import UserError

from .common_packages import PackagesCommon


class TestPrepaid(PackagesCommon):
    """Packages, from their sale to their last unit."""

    def test_an_accountant_follows_a_package_from_sale_to_its_end(self):
        tax = self._create_tax(10)
        self.package.taxes_id = tax
        lot = self._sell("2024-01-05", pay=False)
        invoice = lot.charge_id.statement_id.invoice_id
        # Until it is paid it is an offer, in no books.
        self.assertEqual(
            (invoice.state, invoice.amount_untaxed, invoice.amount_tax), ("draft", 50, 5)
        )
        self.assertEqual(self._balance(invoice.line_ids[-1].account_id), 0)
        self.assertEqual((lot.state, lot.left, lot.cost_left), ("offered", 0, 0))
        self.assertBooks()
        with freeze_time("2024-01-10 12:00:00"):
            self._pay(invoice)
        # Tax is due at the sale; income waits for the use.
        self.assertEqual((invoice.state, str(invoice.date)), ("posted", "2024-01-10"))
        self.assertEqual((self._balance(self.prepaid), self._balance(self.income)), (-50, 0))
        self.assertBooks()
        self.assertEqual((lot.state, str(lot.date)), ("open", "2024-01-10"))
        # The 5 of the 9th are before the package may be used; of the 100, 35 go in January:
        # 50.00 × 35 ÷ 100 = 17.50 are earned.
        self._use("2024-01-09", 5)
        statement = self._bill_use("2024-01-20", 35, "2024-02-01")
        self.assertEqual(self._amounts(statement), {("unit", "usage"): "5.00"})
        self.assertAgrees(statement)
        self.assertLot(lot, 65, 32.5)
        self.assertEqual((self._balance(self.prepaid), self._balance(self.income)), (-32.5, -22.5))
        self.assertBooks()
        entry = lot.entry_ids.filtered(lambda one: one.kind == "draw")
        self.assertEqual((str(entry.usage_date), entry.quantity), ("2024-01-20", -35))
        self.assertEqual(
            statement._get_unit_rows(),
            [
                {
                    "name": "100 units",
                    "date_until": False,
                    "drawn": 35,
                    "expired": 0,
                    "left": 65,
                    "paid": 17.5,
                    "tax": 0,
                }
            ],
        )
        # 80 in February: the 65 that are left with their cost, and 15 at 1.00.
        statement = self._bill_use("2024-02-20", 80, "2024-03-01")
        self.assertEqual(self._amounts(statement), {("unit", "usage"): "15.00"})
        self.assertLot(lot, 0, 0)
        self.assertEqual((self._balance(self.prepaid), self._balance(self.income)), (0, -70))
        self.assertBooks()

    def test_the_last_draw_takes_the_rest_of_the_cost(self):
        # 10.00 for 3 units: 3.33, 3.34, 3.33, by what is left each time: 6.67, 3.33, 0.
        lot = self._sell("2024-01-01", self._create_package("3", reseller_units=3, list_price=10))
        shown = []
        for month in (2, 3, 4):
            self._bill_use(f"2024-{month - 1:02}-10", 1, f"2024-{month:02}-01")
            shown.append((-self._balance(self.income), -self._balance(self.prepaid)))
            self.assertBooks()
        self.assertEqual(shown, [(3.33, 6.67), (6.67, 3.33), (10, 0)])
        self.assertLot(lot, 0, 0)

    def test_what_is_left_expires_with_the_bill_that_covers_the_last_day(self):
        package = self._create_package(
            "A month", reseller_units=100, list_price=50, reseller_valid_count=1
        )
        lot = self._sell("2024-01-15", package)
        self.assertEqual(str(lot.date_until), "2024-02-14")
        self._bill_use("2024-01-20", 30, "2024-02-01")
        self.assertLot(lot, 70, 35)
        # On the 14th it still pays, on the 15th it does not.
        self._use("2024-02-14", 10)
        statement = self._bill_use("2024-02-15", 10, "2024-03-01")
        self.assertEqual(self._amounts(statement), {("unit", "usage"): "10.00"})
        why = str(statement.charge_ids.filtered("amount")._get_explanation())
        self.assertIn("Paid by packages: − 10", why)
        self.assertLot(lot, 0, 0)
        self.assertEqual(
            (self._balance(self.breakage), self._balance(self.income), self._balance(self.prepaid)),
            (-30, -30, 0),
        )
        self.assertBooks()
        [row] = statement._get_unit_rows()
        self.assertEqual((row["drawn"], row["expired"], row["left"]), (10, 60, 0))

    def test_a_bill_by_hand_has_nothing_expire(self):
        package = self._create_package(
            "A month", reseller_units=100, list_price=50, reseller_valid_count=1
        )
        lot = self._sell("2024-01-15", package)
        self._run("2024-02-01")
        self._use("2024-02-10", 60)
        with freeze_time("2024-02-20 12:00:00"):
            item = self.env["reseller.manual.charge"].create(
                {"client_id": self.client_a.id, "name": "Visit", "unit_price": 3}
            )
            item.action_bill_now()
        self.assertLot(lot, 100, 50)
        self._run("2024-03-01")
        self.assertLot(lot, 0, 0)
        self.assertEqual((self._balance(self.income), self._balance(self.breakage)), (-33, -20))

    def test_a_review_whose_package_is_gone_is_prepared_again(self):
        self._run("2024-01-01")
        lot = self._sell("2024-01-02", owed=True)
        lot_sudo = lot.sudo()  # lots are closed to all users
        lot_sudo._release(fields.Date.to_date("2024-01-02"))
        self._use("2024-01-20", 30)
        run = self.env["reseller.billing.run"].create({"date": "2024-02-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        lot.charge_id.statement_id.invoice_id.button_draft()
        run.action_approve()
        while run._process_batch():
            pass
        self.assertIn("prepare it again", run.parked_line_ids.reason)
        self.assertFalse(self._statement(self.client_a, "2024-02-01"))

    def test_a_credit_of_the_client_pays_a_package(self):
        lot = self._sell("2024-01-02", owed=True)
        invoice = lot.charge_id.statement_id.invoice_id
        credit = self.env["account.move"].create(
            {
                "move_type": "out_refund",
                "partner_id": self.client_a.partner_id.id,
                "invoice_date": "2024-01-02",
                "invoice_line_ids": [
                    Command.create({"name": "Sorry", "price_unit": 60, "tax_ids": False})
                ],
            }
        )
        credit.action_post()
        (credit | invoice).line_ids._get_open_receivables().reconcile()
        self.assertEqual((invoice.amount_residual, lot.state), (0, "open"))

    def test_a_package_on_a_bill_below_zero(self):
        self._run("2024-01-01")
        self._add_extra(self.client_a, 50, "2024-02-01", product_id=self.package.id)
        self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "name": "Sorry",
                "kind": "credit",
                "unit_price": 80,
                "date": "2024-01-20",
            }
        )
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(statement.invoice_id.move_type, "out_refund")
        lot = self.client_a.prepaid_lot_ids
        self.assertEqual((lot.cost, lot.cost_left, lot.state), (50, 50, "open"))
        self.assertBooks()

    def test_no_wallet_sinks_into_an_offer(self):
        with freeze_time("2024-01-01 12:00:00"):
            self.client_a._give_to_wallet(30, "Fair", "fair")
        lot = self._sell("2024-01-05", pay=False)
        self.assertEqual(lot.charge_id.statement_id.invoice_id.amount_residual, 50)
        self.assertEqual(self.client_a.wallet_lot_ids.left, 30)

    def test_a_replaced_invoice_takes_the_package_along(self):
        def replace(lot):
            invoice = lot.charge_id.statement_id.invoice_id
            wizard = self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            )
            wizard.modify_moves()
            return lot.charge_id.statement_id.invoice_id

        lot = self._sell("2024-01-02", owed=True)
        other = replace(lot)
        self.assertEqual((other.state, lot.state, lot.cost_left), ("draft", "canceled", 0))
        self.assertFalse(other.reseller_is_offer)
        self.assertBooks()
        other.action_post()
        self._pay(other)
        self.assertEqual((lot.state, lot.left, lot.cost_left), ("open", 100, 50))
        self.assertBooks()
        used = self._sell("2024-01-03")
        self._bill_use("2024-01-20", 10, "2024-02-01")
        with self.assertRaisesRegex(UserError, "is used in part"):
            replace(used)

    def test_a_tax_without_an_account_is_refused(self):
        self.package.taxes_id = self.env["account.tax"].create({"name": "Odd", "amount": 10})
        with self.assertRaisesRegex(UserError, "The tax Odd has no account"):
            self._sell("2024-01-02")

    def test_large_gifts_take_two_persons(self):
        self.company.reseller_wallet_limit = 100
        top_up = self._create_package(
            "Top-up",
            reseller_grants="money",
            reseller_feature_id=False,
            list_price=10,
            reseller_bonus=60,
        )
        with self.assertRaisesRegex(UserError, "above the limit"), self.env.cr.savepoint():
            self._sell("2024-01-02", top_up, quantity=2)
        with self.assertRaisesRegex(UserError, "has no price"), self.env.cr.savepoint():
            self._sell("2024-01-02", top_up, price=0)
        self.assertEqual(self._sell("2024-01-02", top_up).left, 70)

    def test_the_account_of_a_package_stays_on_its_invoice(self):
        lot = self._sell("2024-01-02", owed=True)
        invoice = lot.charge_id.statement_id.invoice_id
        invoice.button_draft()
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            invoice.invoice_line_ids.account_id = self.income
        invoice.action_update_fpos_values()
        self.assertEqual(invoice.invoice_line_ids.account_id, self.prepaid)
        with self.assertRaisesRegex(UserError, "cancel it"):
            invoice.unlink()

    def test_a_void_bill_gives_everything_back(self):
        package = self._create_package(
            "A month", reseller_units=100, list_price=50, reseller_valid_count=1
        )
        lot = self._sell("2024-01-02", package)
        statement = self._bill_use("2024-01-20", 130, "2024-02-01")
        self._use("2024-01-21", -40)
        again = self._bill_use("2024-02-01", 1, "2024-03-01")
        self.assertEqual(statement.invoice_id.amount_total, 30)
        # 40 less: 30 payable ones, and 10 of the lot, of which one is used and the rest expires.
        self.assertLot(lot, 0, 0)
        self.assertEqual(self._balance(self.breakage), -4.5)
        again.invoice_id.button_draft()
        again.invoice_id.button_cancel()
        self.assertLot(lot, 0, 0)
        self.assertBooks()
        statement.invoice_id.button_draft()
        statement.invoice_id.button_cancel()
        self.assertLot(lot, 100, 50)
        self.assertEqual((self._balance(self.breakage), self._balance(self.income)), (0, 0))
        self.assertBooks()
        self._run("2024-03-01")
        first, second = (
            self._statement(self.client_a, date) for date in ("2024-02-01", "2024-03-01")
        )
        # Billed anew with all that is known now: 90 in January, 1 on 1 February, 9 expire.
        self.assertFalse(first.invoice_id)
        self.assertFalse(second.invoice_id)
        self.assertEqual(self._balance(self.breakage), -4.5)
        self.assertLot(lot, 0, 0)
        self.assertBooks()

    def test_an_invoice_that_does_not_stand_takes_its_package_back(self):
        lot = self._sell("2024-01-02", owed=True)
        invoice = lot.charge_id.statement_id.invoice_id
        invoice.button_draft()
        self.assertEqual((lot.state, lot.cost_left), ("canceled", 0))
        self.assertBooks()
        invoice.action_post()
        self.assertEqual((lot.state, lot.cost_left, lot.left), ("waiting", 50, 0))
        self._pay(invoice)
        self.assertEqual((lot.state, lot.left), ("open", 100))
        self.assertBooks()
        used = self._sell("2024-01-03")
        self._bill_use("2024-01-20", 10, "2024-02-01")
        invoice = used.charge_id.statement_id.invoice_id
        with self.assertRaisesRegex(UserError, "is used in part"), self.env.cr.savepoint():
            invoice.button_draft()
        self.assertBooks()

    def test_reviewed_runs_draw_what_they_have_shown(self):
        self._run("2024-01-01")
        lot = self._sell("2024-01-02")
        self._use("2024-01-20", 30)
        run = self.env["reseller.billing.run"].create({"date": "2024-02-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        [preview] = run.preview_ids
        self.assertEqual([row["drawn"] for row in preview._get_unit_rows()], [30])
        self.assertLot(lot, 100, 50)
        self._use("2024-01-21", 5)  # late: of the next bill
        run.action_approve()
        while run._process_batch():
            pass
        self.assertEqual(preview.state, "approved")
        self.assertLot(lot, 70, 35)
        self._run("2024-03-01")
        self.assertLot(lot, 65, 32.5)
        self.assertBooks()

    def test_packages_come_with_the_contract_and_in_any_number(self):
        self._add_extra(self.client_a, 50, "2024-01-01", product_id=self.package.id, quantity=2)
        run = self._run("2024-01-01")
        self.assertEqual(run.parked_line_ids.mapped("reason"), [])
        statement = self._statement(self.client_a, "2024-01-01")
        self.assertEqual(statement.charge_ids.mapped("kind"), ["package"])
        lot = self.client_a.prepaid_lot_ids
        self.assertEqual((lot.granted, lot.cost, lot.state), (200, 100, "waiting"))
        with freeze_time("2024-01-03 12:00:00"):
            self._pay(statement.invoice_id)
        self._bill_use("2024-01-20", 150, "2024-02-01")
        self.assertLot(lot, 50, 25)
        second = self.client_a.prepaid_lot_ids - lot
        self.assertEqual((second.granted, second.cost_left, second.state), (200, 100, "waiting"))
        self.assertEqual(self._balance(self.prepaid), -125)
        self.assertBooks()

    def test_gifts_cost_nothing_and_are_there_at_once(self):
        lot = self._sell("2024-01-02", price=0, pay=False)
        self.assertEqual((lot.state, lot.left, lot.cost), ("open", 100, 0))
        statement = self._bill_use("2024-01-20", 30, "2024-02-01")
        self.assertFalse(statement.invoice_id)
        self.assertLot(lot, 70, 0)
        self.assertEqual(self._balance(self.income), 0)
        self.assertBooks()
