from datetime import timedelta
from decimal import Decimal

from freezegun import freeze_time
from odoo import fields

from ..common import PrepaidCommon

Q50 = "123456789012345678901234.12345678901234567890123456"  # of 50 digits
TWICE = "246913578024691357802468.24691357802469135780246912"


class TestCoverage(PrepaidCommon):
    """Which use bills have covered: the newest row decides, and nothing is lost when one is void."""

    def setUp(self):
        super().setUp()
        self.company.reseller_late_days = 100000
        self.days = self.env["reseller.usage.daily"]

    def _bucket(self, day, client=None):
        client = client or self.client_a
        return self.days.search([("client_id", "=", client.id), ("billing_date", "=", day)])

    def _void(self, statement, day):
        with freeze_time(f"{day} 12:00:00"):
            statement._void_by_credit_note(fields.Date.to_date(day))

    def _billed(self):
        """Return the sum of the units that bills that stand have billed, and of their amounts."""
        charges = self.env["reseller.charge"].search(
            [
                ("client_id", "=", self.client_a.id),
                ("statement_id.state", "=", "invoiced"),
                ("kind", "in", ("usage", "overage")),
            ]
        )
        exact = charges._get_exact().values()
        return sum(one[0] for one in exact), sum(one[-1] for one in exact)

    def _bill_late_use_twice(self):
        """Bill 100 of March, then 20 more with May's bill, and 10 more with June's."""
        self._bill_use("2024-03-10", 100, "2024-04-01")
        self._use("2024-04-10", 1)
        may = self._bill_use("2024-03-10", 20, "2024-05-01")
        self._use("2024-05-10", 2)
        june = self._bill_use("2024-03-10", 10, "2024-06-01")
        return may, june

    def test_a_bucket_says_what_covers_it(self):
        march = self._bill_use("2024-03-10", 100, "2024-04-01")
        bucket = self._bucket("2024-03-10")
        self.assertEqual((bucket.statement_id, bucket.version), (march, 1))
        self.assertEqual(self.days.search([("statement_id", "=", march.id)]), bucket)
        self.assertFalse(self.days.search([("statement_id", "=", False)]))
        self._use("2024-03-10", 5)
        self.assertEqual((bucket.statement_id, bucket.version), (march.browse(), 2))
        self.assertEqual(self.days.search([("statement_id", "=", False)]), bucket)
        # Taken back: 105 and -5 are 100, but another version of it.
        self.env["reseller.usage.line"].search([("quantity", "=", 5)]).action_void()
        self.assertEqual((bucket.quantity, bucket.version), (100, 3))
        self.assertFalse(bucket.statement_id)
        self._run("2024-05-01")
        april = self._statement(self.client_a, "2024-05-01")
        self.assertEqual((bucket.statement_id, april.amount_total), (april, 0))

    def test_a_bill_is_void_after_a_later_one_covered_the_same_use(self):
        may, june = self._bill_late_use_twice()
        self.assertEqual((may.amount_total, june.amount_total), (21, 12))
        bucket = self._bucket("2024-03-10")
        self.assertEqual(bucket.statement_id, june)
        self._void(may, "2024-06-05")
        # Its 20 of March are fresh again, though June's bill has covered them since.
        self.assertFalse(bucket.statement_id)
        self._run("2024-06-06")
        again = may.search([("replaces_id", "=", may.id)])
        self.assertEqual((again.amount_total, bucket.statement_id), (21, again))
        # 100 + 20 + 10 of March, 1 of April, 2 of May.
        self.assertEqual(self._billed(), (133, 133))
        self._run("2024-07-01")
        self.assertEqual(self._statement(self.client_a, "2024-07-01").amount_total, 0)

    def test_a_bill_is_void_after_a_later_one_drew_for_the_same_use(self):
        # 110 units for 50.00: March's 100, and 10 of the 20 that came late.
        lot = self._sell("2024-03-01", self._create_package("P", reseller_units=110, list_price=50))
        may, june = self._bill_late_use_twice()
        # 10 and April's 1 of the 20 + 1; June's 10 and 2.
        self.assertEqual((may.amount_total, june.amount_total), (11, 12))
        self.assertLot(lot, 0, 0)
        self._void(may, "2024-06-05")
        self.assertLot(lot, 10, 4.55)  # 50.00 × 10 ÷ 110
        self._run("2024-06-06")
        self.assertLot(lot, 0, 0)
        billed, _amount = self._billed()
        self.assertEqual(billed, 23)  # 133 less 110
        self.assertBooks()

    def test_the_books_of_a_day_know_what_was_covered_on_it(self):
        may, _june = self._bill_late_use_twice()
        accounts = {
            "accrued_account_id": self.breakage.copy({"account_type": "asset_current"}).id,
            "deferred_account_id": self.prepaid.copy().id,
        }

        def accrued(day):
            wizard = self.env["reseller.month.end"].create({"date": day, **accounts})
            wizard.action_compute()
            return sum(line.accrued for line in wizard.line_ids)

        # Late use is no book's before its bill: 30 of March, and each month's own.
        days = {"2024-03-31": 130, "2024-04-30": 31, "2024-05-31": 12, "2024-06-02": 0}
        self.assertEqual({day: accrued(day) for day in days}, days)
        self._void(may, "2024-06-05")
        # What was in the books stays in them; from the credit note on, 20 and April's 1 are unbilled.
        days |= {"2024-06-04": 0, "2024-06-05": 21}
        self.assertEqual({day: accrued(day) for day in days}, days)
        self._run("2024-06-10")
        days["2024-06-09"] = 21
        self.assertEqual({day: accrued(day) for day in days}, days)
        self.assertEqual(accrued("2024-06-10"), 0)

    def test_what_was_looked_through_is_not_looked_up_again(self):
        march = self._bill_use("2024-03-10", 100, "2024-04-01")
        self._use("2024-04-10", 3)
        self.days._settle(self.client_a.ids)
        covered, fresh = self._bucket("2024-03-10"), self._bucket("2024-04-10")
        self.assertEqual((covered.is_pending, fresh.is_pending), (False, True))
        self.assertEqual((covered.statement_id, fresh.statement_id), (march, march.browse()))
        # It is looked up when it changes, or when its bill is void.
        self._use("2024-03-10", 7)
        self.assertTrue(covered.is_pending)
        april = self._bill_use("2024-04-11", 1, "2024-05-01")
        self.assertEqual(april.amount_total, 7 + 3 + 1)
        self.days._settle(self.client_a.ids)
        self.assertFalse(covered.is_pending)
        self._void(april, "2024-05-05")
        self.assertTrue(covered.is_pending)
        self._run("2024-05-06")
        self.assertEqual(self._billed(), (111, 111))

    def test_use_of_an_account_that_had_its_last_bill_gets_one_more(self):
        self._run("2024-02-01")
        self.client_a.action_close("2024-02-10")
        self._run("2024-03-01")
        self.client_a.sudo().next_bill_date = False  # as billing leaves it after the late window
        self._use("2024-02-09", 4)
        self.days._expect_bills()
        day = self.client_a.next_bill_date
        self.assertTrue(day)
        with freeze_time(f"{day + timedelta(days=3)} 12:00:00"):
            self._run(str(day + timedelta(days=2)))
        self.assertEqual(self._billed(), (4, 4))
        self.days._expect_bills()
        self.assertNotIn(self.client_a, self.days.search([("statement_id", "=", False)]).client_id)

    def test_a_run_bills_late_use_of_a_closed_account_without_waiting_for_the_night(self):
        self._run("2024-02-01")
        self.client_a.action_close("2024-02-10")
        self._run("2024-03-01")
        self.client_a.sudo().next_bill_date = False  # as above
        self._use("2024-02-09", 4)
        with freeze_time("2024-03-04 12:00:00"):
            # Neither the night nor the delay, of 24 hours, is waited for.
            self.assertEqual(self.company.reseller_billing_delay, 24)
            # The run's invoices are dated a day back.
            run = self.env["reseller.billing.run"].create({"date": "2024-03-03"})
            run.action_start()
            while run._process_batch():
                pass
        self.assertEqual(
            (run.statement_ids.client_id, run.statement_ids.amount_total), (self.client_a, 4)
        )
        self.assertEqual(self._billed(), (4, 4))

    def test_no_bill_is_expected_of_what_has_no_price(self):
        self._run("2024-02-01")
        dear = self._create_feature("dear")
        self._use("2024-02-09", 4, feature="dear")
        self.client_a.action_close("2024-02-10")
        self._run("2024-03-01")
        self.client_a.sudo().next_bill_date = False  # as above
        self.days._expect_bills()
        self.assertFalse(self.client_a.next_bill_date)
        self._create_rule(dear, unit_price=2)
        self.client_a.sudo().write({"next_bill_date": False, "rerate_from": False})  # as above
        self.days._expect_bills()
        self.assertTrue(self.client_a.next_bill_date)

    def test_use_that_no_bill_will_reach_is_told_of(self):
        self._use("2024-02-09", 4)
        self.env.cr.execute(
            "UPDATE reseller_usage_daily SET billing_date = '2023-06-01' WHERE client_id = %s",
            [self.client_a.id],
        )
        self.days.invalidate_model()
        [bucket] = self.days.search([("is_unreachable", "=", True)])
        self.assertEqual((bucket.client_id, bucket.is_unreachable), (self.client_a, True))
        for _night in range(2):
            self.days._tell_unreachable()
        told = self.client_a.activity_ids.filtered(lambda one: "no bill" in one.summary)
        self.assertEqual(len(told), 1)
        self.assertIn("1 events from 2023-06-01", told.note)

    def test_sums_of_fifty_digits_change_by_the_difference(self):
        for number in range(3):
            self._use("2024-03-10", Q50, id=f"long-{number}")
        lines = self.env["reseller.usage.line"]
        lines.search([("external_id", "=", "long-1")]).action_void()
        self.env.cr.execute("SELECT quantity::text, event_count FROM reseller_usage_daily")
        [(quantity, count)] = self.env.cr.fetchall()
        self.assertEqual((Decimal(quantity), count), (Decimal(TWICE), 2))
        lines.search([("external_id", "in", ("long-0", "long-2"))]).action_void()
        self.env.cr.execute("SELECT quantity::text, event_count FROM reseller_usage_daily")
        [(quantity, count)] = self.env.cr.fetchall()
        self.assertEqual((Decimal(quantity), count), (0, 0))
