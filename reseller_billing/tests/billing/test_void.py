from datetime import date

from freezegun import freeze_time
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from ..common import PrepaidCommon, ResellerBillingCommon


@tagged("post_install", "-at_install")
class TestVoid(ResellerBillingCommon):
    """Bills that credit notes make void, and what is billed again (rating 25)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tax_19, cls.tax_16 = cls._create_taxes(19, 16)
        cls.product.taxes_id = cls.tax_19

    def _bill_three_months(self):
        """Bill 10, 20 and 30 units of the first three months on 1 April at the latest."""
        for month, quantity in (("01", 10), ("02", 20), ("03", 30)):
            self._use(f"2024-{month}-15", quantity)
        self._run("2024-04-01")
        return [
            self._statement(self.client_a, day)
            for day in ("2024-02-01", "2024-03-01", "2024-04-01")
        ]

    def _void(self, statements, day="2024-04-05"):
        wizard = self.env["reseller.statement.void"].create(
            {"statement_ids": statements.ids, "date": day, "reason": "Wrong"}
        )
        action = wizard.action_void()
        return self.env["account.move"].browse(
            action.get("res_id") or self.env["account.move"].search(action["domain"]).ids
        )

    def test_a_bill_between_others_is_billed_again_with_its_dates(self):
        self._create_rule(unit_price=1, recurring_fee=29, included_quantity=5)
        january, february, march = self._bill_three_months()
        # What bills of later days must not touch.
        self.product.taxes_id = self.tax_16
        self.company.fiscalyear_lock_date = "2024-04-04"
        january.invoice_id.journal_id.restrict_mode_hash_table = True
        with self.assertRaisesRegex(UserError, "locked period"), self.env.cr.savepoint():
            self._void(february, "2024-04-04")
        note = self._void(february)
        # 15 of use, the fee of March: 44.00 with 19 %.
        self.assertEqual(
            (note.move_type, str(note.date), note.amount_tax, note.amount_total),
            ("out_refund", "2024-04-05", 8.36, 52.36),
        )
        self.assertEqual(note.reversed_entry_id, february.invoice_id)
        self.assertEqual(february.invoice_id.payment_state, "reversed")
        self.assertEqual((february.state, february.credit_note_id), ("void", note))
        self.assertTrue(february.is_freed)
        # Others stand, and the account is billed until where it was.
        self.assertEqual((january.state, march.state), ("invoiced", "invoiced"))
        self.assertEqual(self.client_a.billed_until, date(2024, 3, 31))
        self.assertEqual(self.client_a.next_bill_date, date(2024, 5, 1))
        self._use("2024-04-02", 7)
        run = self._run("2024-04-10")
        [again] = run.statement_ids
        self.assertEqual(again.replaces_id, february)
        self.assertEqual(
            (again.kind, str(again.bill_date), str(again.period_start), str(again.period_end)),
            ("cycle", "2024-03-01", "2024-02-01", "2024-02-29"),
        )
        self.assertEqual(
            self._amounts(again), {("unit", "overage"): "15.00", ("unit", "recurring"): "29.00"}
        )
        self.assertEqual(str(again.invoice_id.invoice_date), "2024-04-10")
        self.assertEqual(again.invoice_id.amount_tax, 7.04)
        self.assertAgrees(again)
        self.assertFalse(self._run("2024-04-10").statement_ids)
        self.assertFalse(self.client_a.rerate_from)
        self._run("2024-05-01")
        self.assertEqual(
            self._amounts(self._statement(self.client_a, "2024-05-01")),
            {("unit", "overage"): "2.00", ("unit", "recurring"): "29.00"},
        )

    def test_a_wrong_price_of_a_past_month_is_mended(self):
        self._create_rule(unit_price=1)
        january, february, _march = self._bill_three_months()
        special = {"client_id": self.client_a.id, "unit_price": 3}
        days = {"date_from": "2024-02-01", "date_to": "2024-02-29"}
        with self.assertRaisesRegex(UserError, "billed"), self.env.cr.savepoint():
            self._create_rule(**special, **days)
        self._void(february)
        with self.assertRaisesRegex(UserError, "billed"), self.env.cr.savepoint():
            self._create_rule(**special, date_from="2024-01-01", date_to="2024-02-29")
        self._create_rule(**special, **days)
        self._run("2024-05-01")
        again = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(self._amounts(again), {("unit", "usage"): "60.00"})
        self.assertAgrees(again)
        self.assertEqual(january.amount_total, 10)
        self.assertFalse(self._statement(self.client_a, "2024-05-01").amount_total)

    def test_a_wrong_price_of_several_months_is_mended(self):
        self._create_rule(unit_price=1, recurring_fee=29)
        _january, february, march = self._bill_three_months()
        self._run("2024-05-01")
        # Of the product's tax of today there is nothing to give back.
        self.product.taxes_id = self.tax_16
        self._void(february | march, "2024-05-02")
        self._create_rule(
            client_id=self.client_a.id,
            unit_price=3,
            recurring_fee=29,
            date_from="2024-02-01",
            date_to="2024-03-31",
        )
        self._run("2024-05-10")
        again = [self._statement(self.client_a, day) for day in ("2024-03-01", "2024-04-01")]
        self.assertEqual(
            [self._amounts(one) for one in again],
            [
                {("unit", "usage"): "60.00", ("unit", "recurring"): "29.00"},
                {("unit", "usage"): "90.00", ("unit", "recurring"): "29.00"},
            ],
        )
        self.assertFalse(self._run("2024-05-10").statement_ids)

    def test_void_bills_with_others_between(self):
        """What a later bill has charged or given back of a freed cycle is counted once."""
        self._create_rule(unit_price=1)
        january, _february, march = self._bill_three_months()
        self._use("2024-01-20", 5)
        self._run("2024-05-01")
        late = self._statement(self.client_a, "2024-05-01")
        self.assertEqual(late.amount_total, 5)
        self._void(january | march, "2024-05-02")
        self._run("2024-05-10")
        again = [self._statement(self.client_a, day) for day in ("2024-02-01", "2024-04-01")]
        self.assertEqual([one.amount_total for one in again], [10, 30])
        self.assertFalse(self.client_a.rerate_from)
        live = self.client_a.statement_ids.filtered(
            lambda one: one.state in ("approved", "invoiced")
        )
        self.assertEqual(sum(live.mapped("amount_total")), 65)

    def test_a_wrong_fee_of_a_past_month_is_mended(self):
        self._create_rule(recurring_fee=29, fee_timing="arrears")
        _january, february, _march = self._bill_three_months()
        self._void(february)
        self._create_rule(
            client_id=self.client_a.id,
            recurring_fee=25,
            fee_timing="arrears",
            date_from="2024-02-01",
            date_to="2024-02-29",
        )
        self._run("2024-04-10")
        again = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(self._amounts(again)["unit", "recurring"], "25.00")
        self.assertEqual(again.amount_total, 25)

    def test_everybody_goes_on_while_days_are_free(self):
        self._create_rule(unit_price=1, recurring_fee=29)
        _january, february, _march = self._bill_three_months()
        self._void(february)
        self.client_a.prepaid_only = True
        with freeze_time("2024-04-01 12:00:00"):
            self.env["reseller.wallet.request"].create(
                {"client_id": self.client_a.id, "kind": "gift", "reason": "G", "amount": 50}
            ).action_do()
        meter = new_test_user(
            self.env,
            "meter",
            groups="reseller_billing.group_usage_ingestion",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        client = self.client_a.with_user(meter)
        self.env.invalidate_all()
        with freeze_time("2024-04-06 12:00:00"):
            # Who asks has no rights on bills. 20 of use and the fee of March with 19 % are not billed
            # any more: 58.31 of the 50.00.
            self.assertFalse(client.authorize("unit", 1)["allowed"])
            self.assertEqual(self.client_a.live_balance, -8.31)
        self.client_a.write({"prepaid_only": False, "wallet_use": "never"})
        with (
            freeze_time("2024-04-20 12:00:00"),
            self.assertRaisesRegex(UserError, "billed again first"),
        ):
            self.client_a.action_bill_now()
        # Billed again not before it is void.
        run = self._run("2024-04-03")
        self.assertFalse(run.statement_ids)
        run = self._run("2024-05-01")
        self.assertFalse(run.parked_line_ids.mapped("reason"))
        self.assertEqual(
            [str(day) for day in run.statement_ids.sorted("id").mapped("bill_date")],
            ["2024-03-01", "2024-05-01"],
        )

    def test_an_opening_bill_beside_one_at_once(self):
        self._create_rule(recurring_fee=31)
        client = self._create_client("O", start="2024-03-05")
        self._run("2024-03-05")
        opening = self._statement(client, "2024-03-05")
        self._run("2024-04-05")
        self._void(opening)
        self._run("2024-04-06")
        again = self._statement(client, "2024-03-05")
        self.assertEqual((again.replaces_id, again.kind), (opening, "opening"))
        self.assertEqual(again.amount_total, 31)
        self.assertFalse(opening.is_freed)

    def test_a_bill_without_an_invoice_is_freed_as_well(self):
        self._create_rule(unit_price=0)
        _january, february, _march = self._bill_three_months()
        self.assertFalse(february.invoice_id)
        february.action_void()
        self.assertTrue(february.is_freed)
        self._create_rule(
            client_id=self.client_a.id, unit_price=2, date_from="2024-02-01", date_to="2024-02-29"
        )
        self._run("2024-04-10")
        self.assertEqual(self._statement(self.client_a, "2024-03-01").amount_total, 40)

    def test_documents_of_a_void_bill_stay(self):
        self._create_rule(unit_price=1)
        _january, february, _march = self._bill_three_months()
        note = self._void(february)
        for move in (note, february.invoice_id):
            self.assertFalse(move.show_reset_to_draft_button)
            for change in (move.button_draft, move.button_cancel, move.action_correct_taxes):
                with self.assertRaisesRegex(UserError, "stay as they are"), self.env.cr.savepoint():
                    change()
        line = note.invoice_line_ids
        self.assertEqual(
            [str(day) for day in (line.charge_date_from, line.charge_date_to, note.delivery_date)],
            ["2024-02-01", "2024-02-29", "2024-02-29"],
        )

    def test_a_month_of_a_long_cycle_is_its_own_difference(self):
        self._create_rule(
            pricing_model="graduated",
            interval_count=1,
            interval_unit="year",
            tiers=[(20, 1, 0), (None, 0.5, 0)],
        )
        january, february, march = self._bill_three_months()
        # 10 at 1.00; 10 at 1.00 and 10 at 0.50; 30 at 0.50.
        self.assertEqual([one.amount_total for one in (january, february, march)], [10, 15, 15])
        self._void(january | february)
        self._run("2024-04-10")
        again = [self._statement(self.client_a, day) for day in ("2024-02-01", "2024-03-01")]
        self.assertEqual([one.amount_total for one in again], [10, 15])
        self.assertEqual(
            {str(day) for day in again[0].charge_ids.mapped("date_to")}, {"2024-01-31"}
        )
        self.assertAgrees(again[1])

    def test_the_last_bills_are_billed_again_as_they_come(self):
        self._create_rule(unit_price=1)
        january, february, march = self._bill_three_months()
        self._void(january)
        # Then the two others as well: January is billed again in its turn.
        self._void(february | march)
        self.assertFalse(january.is_freed)
        self.assertEqual(self.client_a.next_bill_date, date(2024, 2, 1))
        self._run("2024-04-10")
        live = self.client_a.statement_ids.filtered(lambda one: one.state == "invoiced")
        self.assertEqual(sorted(live.mapped("amount_total")), [10, 20, 30])
        self.assertFalse(live.replaces_id)

    def test_extra_lines_and_charges_by_hand_are_billed_again(self):
        self._create_rule(unit_price=1)
        line = self._add_extra(self.client_a, 20, "2024-02-01")
        self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "product_id": self.product.id,
                "name": "By hand",
                "date": "2024-01-20",
                "unit_price": 5,
            }
        )
        _january, february, march = self._bill_three_months()
        january = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(
            [one.amount_total for one in (january, february, march)], [10 + 20 + 5, 40, 50]
        )
        self._void(january)
        line.price_unit = line.specific_price = 25
        self._run("2024-04-10")
        again = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(again.amount_total, 10 + 25 + 5)
        self.assertEqual(line.recurring_next_date, date(2024, 5, 1))

    def test_books_of_days_before_stay_as_they_are(self):
        accounts = self.env["account.account"].create(
            [
                {"name": name, "code": code, "account_type": kind}
                for name, code, kind in (
                    ("Accrued", "149000", "asset_current"),
                    ("Deferred", "249000", "liability_current"),
                )
            ]
        )

        def at(day):
            wizard = self.env["reseller.month.end"].create(
                {
                    "date": day,
                    "accrued_account_id": accounts[0].id,
                    "deferred_account_id": accounts[1].id,
                }
            )
            wizard.action_compute()
            return [(line.accrued, line.deferred) for line in wizard.line_ids]

        self._create_rule(unit_price=1, recurring_fee=31)
        item = self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "product_id": self.product.id,
                "name": "By hand",
                "date": "2024-02-20",
                "unit_price": 50,
            }
        )
        _january, february, march = self._bill_three_months()
        self.assertEqual(item.statement_id, february)
        # Invoiced on 1 April, all of it: on 31 March three months' use and fees are accrued.
        days = ("2024-02-29", "2024-03-31", "2024-04-01")
        before = [at(day) for day in days]
        self._void(february)
        self.assertEqual([at(day) for day in days], before)
        # On 5 April February's use, March's fee and the charge by hand are not invoiced any more:
        # they are accrued, beside 25 of 30 days of April's fee, which is.
        after = [(20 + 31, 25.83), (50, 0)]
        self.assertEqual(at("2024-04-05"), after)
        self._run("2024-04-10")
        self.assertEqual([at(day) for day in days], before)
        self.assertEqual(at("2024-04-05"), after)
        self.assertEqual(at("2024-04-10"), [(0, 20.67)])
        self.assertEqual(march.state, "invoiced")

    def test_a_reviewed_run_shows_freed_days_first(self):
        self._create_rule(unit_price=1)
        _january, february, _march = self._bill_three_months()
        self._void(february)
        run = self.env["reseller.billing.run"].create({"date": "2024-05-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        [preview] = run.preview_ids
        self.assertEqual((str(preview.bill_date), preview.amount_total), ("2024-03-01", 20))
        run.action_approve()
        while run._process_batch():
            pass
        self.assertEqual(self._statement(self.client_a, "2024-03-01").replaces_id, february)

    def test_what_cannot_be_voided_says_why(self):
        self._create_rule(unit_price=1)
        january, _february, _march = self._bill_three_months()
        with self.assertRaisesRegex(UserError, "that day or a later one"):
            january._void_by_credit_note(date(2024, 3, 1))
        with self.assertRaisesRegex(UserError, "by a credit note"), self.env.cr.savepoint():
            january.invoice_id.button_cancel()
        user = self._create_billing_user("clerk")
        with self.assertRaises(AccessError):
            january.with_user(user)._void_by_credit_note(date(2024, 4, 5))
        january.invoice_id.button_draft()
        with self.assertRaisesRegex(UserError, "post or cancel it"):
            january._void_by_credit_note(date(2024, 4, 5))


@tagged("post_install", "-at_install")
class TestVoidPrepaid(PrepaidCommon):
    """What void bills had drawn of wallets and packages is drawn again."""

    def _void(self, statement):
        return statement._void_by_credit_note(date(2024, 4, 5))

    def test_packages_and_wallets_pay_again(self):
        lot = self._sell("2024-01-02")
        wallet = self._sell(
            "2024-01-03",
            self._create_top_up(reseller_bonus=10),
        )
        january = self._bill_use("2024-01-10", 70, "2024-02-01")
        february = self._bill_use("2024-02-10", 60, "2024-03-01")
        # 70 and 30 units of the package; 30.00 of the wallet.
        self.assertLot(lot, 0, 0)
        self.assertLot(wallet, 80, 72.73)
        self.assertEqual(february.invoice_id.payment_state, "paid")
        self._run("2024-04-01")
        note = self._void(february)
        self.assertEqual(note.amount_total, 30)
        self.assertEqual(february.invoice_id.payment_state, "reversed")
        self.assertLot(lot, 30, 15)
        self.assertLot(wallet, 110, 100)
        self.assertBooks()
        self._run("2024-04-10")
        again = self._statement(self.client_a, "2024-03-01")
        self.assertEqual((again.amount_total, again.invoice_id.payment_state), (30, "paid"))
        self.assertLot(lot, 0, 0)
        self.assertLot(wallet, 80, 72.73)
        self.assertBooks()
        self.assertEqual((january.state, january.amount_total), ("approved", 0))
        # What was drawn on stays sold, until the bills that drew are void as well.
        with self.assertRaisesRegex(UserError, "is used in part"), self.env.cr.savepoint():
            self._void(lot.charge_id.statement_id)
        (again | wallet.charge_id.statement_id)._void_by_credit_note(date(2024, 4, 10))
        self.assertEqual((wallet.state, wallet.left, wallet.cost_left), ("canceled", 0, 0))
        self.assertLot(lot, 30, 15)
        self.assertBooks()

    def test_a_sale_that_nobody_pays_is_voided_in_a_hashed_journal(self):
        lot = self._sell("2024-01-02", owed=True)
        invoice = lot.charge_id.statement_id.invoice_id
        invoice.journal_id.restrict_mode_hash_table = True
        other = self._sell("2024-01-03", owed=True).charge_id.statement_id.invoice_id
        self.assertTrue(invoice.inalterable_hash and other.inalterable_hash)
        with self.assertRaises(UserError), self.env.cr.savepoint():
            invoice.button_draft()
        note = self._void(lot.charge_id.statement_id)
        self.assertEqual((note.amount_total, invoice.payment_state), (50, "reversed"))
        self.assertEqual((lot.state, lot.left, lot.cost_left), ("canceled", 0, 0))
        self.assertEqual(
            str(lot.entry_ids.filtered(lambda one: one.kind == "cancel").date), "2024-04-05"
        )
        # The other one is still owed, and nothing is sold again.
        self.assertEqual(-self._balance(self.prepaid), 50)
        self._run("2024-05-01")
        self.assertEqual(self.client_a.prepaid_lot_ids.mapped("state").count("canceled"), 1)
        self.assertEqual(self.client_a.open_balance, 50)
        self.assertBooks()

    def test_a_sale_that_was_paid_is_voided_and_its_money_is_a_credit(self):
        lot = self._sell("2024-01-02")
        statement = lot.charge_id.statement_id
        with freeze_time("2024-03-10 12:00:00"):
            self._bill_use("2024-01-20", 10, "2024-02-01")
            self._statement(self.client_a, "2024-02-01").action_void()
        # The units came back on 10 March: on a day before they were not all there.
        with (
            freeze_time("2024-04-05 12:00:00"),
            self.assertRaisesRegex(UserError, "2024-03-10.*choose that day"),
            self.env.cr.savepoint(),
        ):
            statement._void_by_credit_note(date(2024, 3, 1))
        wizard = self.env["reseller.month.end"]

        def january():
            end = wizard.create({"date": "2024-01-31"})
            end.action_compute()
            return [(line.name, line.accrued) for line in end.line_ids]

        # 10 of 100 units for 50.00, then and whenever January is looked at.
        self.assertEqual(january(), [("Unit", 5)])
        self._void(statement)
        self.assertEqual(january(), [("Unit", 5)])
        self.assertEqual((lot.state, lot.left, self.client_a.open_balance), ("canceled", 0, -50))
        self.assertBooks()
        self._run("2024-04-10")
        again = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(again.amount_total, 10)

    def test_a_sale_in_another_currency_leaves_nothing_of_the_rates(self):
        # 50.00 euros are 25.00 in January, 12.50 in February and 10.00 from April on.
        rates = [("2024-01-01", 2), ("2024-02-01", 4), ("2024-04-01", 5)]
        euro = self.setup_other_currency("EUR", rates=rates)
        reseller = self._create_reseller("R2", currency_id=euro.id)
        client = self._create_client("B", reseller_id=reseller.id)
        self._create_rule(unit_price=1, currency_id=euro.id)
        top_up = self._create_top_up(list_price=50)
        for product, account in ((self.package, self.prepaid), (top_up, self.deposit)):
            lot = self._sell("2024-01-05", product, client=client)
            self.assertEqual(self._balance(account), -25)
            self._void(lot.charge_id.statement_id)
            # The credit note takes 10.00; the 15.00 are a gain, and no debt any more.
            self.assertEqual(self._balance(account), 0)
            self.assertBooks()
        gains = self.company.income_currency_exchange_account_id
        # In the documents' own reconciliation Odoo loses as much.
        self.assertEqual(
            self._balance(gains) + self._balance(self.company.expense_currency_exchange_account_id),
            0,
        )
