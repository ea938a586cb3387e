from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import UserError, ValidationError

from ..common import PrepaidCommon
from ..common_wholesale import WholesaleCommon

TIERS = ((1000, 0.03, 0), (None, 0.02, 0))


class TestPooled(WholesaleCommon):
    """A reseller pays for all that its clients use together (docs/wholesale.md, section 7)."""

    def test_tiers_meet_the_sum_of_all_clients_and_the_buyer(self):
        """Example 2."""
        self._create_wholesale(TIERS)
        self._use("2024-01-10", 1000)
        self._use("2024-01-20", 50, client="B")
        bill = self._bill_buyer("2024-02-01")
        self.assertEqual(bill.amount_total, 31)
        self.assertEqual(bill.invoice_id.partner_id, self.reseller.partner_id)
        # 500 of its own, and 800 beneath.
        self._use("2024-02-10", 500, client="R1")
        self._use("2024-02-10", 800)
        self.assertEqual(self._bill_buyer("2024-03-01").amount_total, 36)

    def test_a_clients_bill_is_a_paper_and_the_resellers_an_invoice(self):
        """Example 3, one level deep, and with 100 late."""
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 1000)
        bill = self._bill_buyer("2024-02-01")
        paper = self._statement(self.client_a, "2024-02-01")
        self.assertEqual((paper.amount_total, paper.paper_total), (50, 50))
        self.assertEqual((paper.book, paper.is_paper, len(paper.invoice_id)), ("retail", True, 0))
        self.assertEqual((bill.amount_total, bill.paper_total), (20, 0))
        self.assertEqual((bill.book, bill.is_paper), ("wholesale", False))
        self.assertEqual(bill.invoice_id.amount_total, 20)
        self.assertEqual(set(paper.charge_ids.mapped("is_paper")), {True})
        self.assertEqual(set(bill.charge_ids.mapped("book")), {"wholesale"})
        self._use("2024-01-11", 100)
        late = self._bill_buyer("2024-03-01")
        self.assertEqual(late.amount_total, 2)
        self.assertEqual(late.charge_ids.adjusts_statement_id, bill)
        paper = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(paper.amount_total, 5)

    def test_late_use_reaches_every_floor(self):
        """Example 5: over a pooled tier, by its steps and by its volume."""
        other = self._create_feature("other")
        self._create_wholesale(TIERS)
        self._create_wholesale(TIERS, feature=other, pricing_model="volume")
        for feature in ("unit", "other"):
            self._use("2024-04-10", 900, feature)
            self._use("2024-04-10", 50, feature, client="B")
        for date in ("2024-02-01", "2024-03-01", "2024-04-01"):
            self._run(date)
        bill = self._bill_buyer("2024-05-01")
        self.assertEqual(
            self._amounts(bill), {("unit", "usage"): "28.50", ("other", "usage"): "28.50"}
        )
        self._use("2024-04-20", 100, client="B")
        self._use("2024-04-20", 100, "other", client="B")
        self._use("2024-05-10", 200, "other")
        late = self._bill_buyer("2024-06-01")
        # The client's paper names the month as well: 100 × 0.05.
        paper = self._statement(self.client_b, "2024-06-01")
        former = self._statement(self.client_b, "2024-05-01")
        told = paper.charge_ids.filtered(
            lambda one: one.feature_id == self.feature and one.adjusts_statement_id
        )
        self.assertEqual((told.amount, told.adjusts_statement_id), (5, former))
        self.assertTrue(paper.is_paper)
        self.assertIn("04/01/2024", told.name)
        found = sorted(
            (one.feature_id.code, one.tier, one.amount, one.adjusts_statement_id == bill)
            for one in late.charge_ids
        )
        self.assertEqual(
            found,
            [
                ("other", 1, -28.5, True),
                ("other", 1, 6, False),
                ("other", 2, 21, True),
                ("unit", 1, 1.5, True),
                ("unit", 2, 1, True),
            ],
        )
        self.assertEqual(late.invoice_id.move_type, "out_invoice")

    def test_a_volume_price_that_falls_makes_a_credit_note(self):
        """Example 5, the end: −7.50 and 6.00."""
        self._create_wholesale(TIERS, pricing_model="volume")
        self._use("2024-01-10", 900)
        self._use("2024-01-10", 50, client="B")
        self._run("2024-02-01")
        self._use("2024-01-20", 100, client="B")
        self._use("2024-02-10", 200)
        late = self._bill_buyer("2024-03-01")
        self.assertEqual((late.amount_total, late.invoice_id.move_type), (-1.5, "out_refund"))

    def test_the_sellers_price_changes_within_a_cycle(self):
        """Example 7, and what a billed day refuses."""
        rule = self._create_wholesale(unit_price=0.02)
        other = self._create_feature("other")
        tiered = self._create_wholesale(TIERS, feature=other)
        self._bill_buyer("2024-02-01")
        day = self._day("2024-02-16")
        rule._make_version(day, {"unit_price": 0.03})
        tiers = [
            fields.Command.create(
                {"sequence": n, "up_to": bound, "is_last": not bound, "unit_price": price}
            )
            for n, (bound, price) in enumerate(((1000, 0.04), (0, 0.03)))
        ]
        tiered._make_version(day, {"tier_ids": tiers})
        for feature, first, second in (("unit", 600, 400), ("other", 800, 400)):
            self._use("2024-02-10", first, feature)
            self._use("2024-02-20", second, feature, client="B")
        bill = self._bill_buyer("2024-03-01")
        amounts = {"unit": 0, "other": 0}
        for charge in bill.charge_ids:
            amounts[charge.feature_id.code] += charge.amount
        self.assertEqual(
            {key: round(amount, 2) for key, amount in amounts.items()}, {"unit": 24, "other": 38}
        )
        rules = self.env["reseller.price.rule"]
        newest = rules.search([("book", "=", "wholesale"), ("date_from", "=", day)])
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-03-01"):
            newest.filtered(lambda one: one.feature_id == self.feature)._make_version(
                self._day("2024-02-20"), {"unit_price": 0.04}
            )

    def test_a_weekly_buyer_keeps_its_billed_days(self):
        """Example 7, the end: billed until 19 May by weeks, its price holds until then, whoever else is not billed."""
        rule = self._create_wholesale(unit_price=0.02)
        buyer = self._have_buy(self._create_reseller("R2"), date="2024-04-01", interval_unit="week")
        self._run("2024-04-22", buyer)
        self.assertEqual(buyer.billed_until, self._day("2024-04-21"))
        self.assertFalse(self.buyer.billed_until)
        with (
            self.assertRaisesRegex(ValidationError, "first free day is 2024-04-22"),
            self.env.cr.savepoint(),
        ):
            rule._make_version(self._day("2024-04-16"), {"unit_price": 0.03})
        rule._make_version(self._day("2024-04-22"), {"unit_price": 0.03})

    def test_days_beyond_the_window_stay_where_the_buyer_alone_has_billed(self):
        self._create_wholesale(unit_price=0.02)
        self.client_a.interval_count = 12
        self._use("2024-01-10", 100)
        self._run("2024-03-01", self.buyer)
        self.company.reseller_late_days = 30
        with freeze_time("2024-03-10 12:00:00"):
            # Nobody but the buyer has billed January, and that is too long ago.
            self.assertFalse(self.client_a.billed_until)
            with (
                self.assertRaisesRegex(UserError, "outside the window for late usage"),
                self.env.cr.savepoint(),
            ):
                self.client_a.action_close("2024-01-15", dated_back=True)
            late = self.env["reseller.usage.line"].ingest([self._event("2024-01-20", 5)])
            self.assertEqual(late["accepted"], 0)
            self.assertIn("outside the window", late["rejected"][0]["reason"])
            self.client_a.action_close("2024-02-20", dated_back=True)

    def test_use_taken_back_is_given_back(self):
        """Example 9, but for margins."""
        self._create_wholesale(unit_price=0.02)
        self._use("2024-04-10", 300)
        outcome = self._event("2024-04-11", 500)
        self.env["reseller.usage.line"].ingest([outcome])
        for date in ("2024-02-01", "2024-03-01", "2024-04-01"):
            self._run(date)
        self.assertEqual(self._bill_buyer("2024-05-01").amount_total, 16)
        self.env["reseller.usage.line"].search([("external_id", "=", outcome["id"])]).action_void()
        self._use("2024-05-10", 200)
        bill = self._bill_buyer("2024-06-01")
        self.assertEqual(sorted(bill.charge_ids.mapped("amount")), [-10, 4])
        self.assertEqual(bill.invoice_id.move_type, "out_refund")

    def test_an_allotment_is_of_all_together(self):
        """Example 14, but for shares."""
        self._create_client("C")
        self._create_wholesale(included_quantity=10000, unit_price=0.01)
        for client, quantity in (("A", 5000), ("B", 4000), ("C", 3000)):
            self._use("2024-01-10", quantity, client=client)
        self.assertEqual(self._bill_buyer("2024-02-01").amount_total, 20)

    def test_use_that_a_clients_bill_covers_is_the_buyers_still(self):
        self._create_wholesale(unit_price=0.02)
        self.client_b.write({"interval_unit": "week", "billing_anchor": "activation"})
        self._use("2024-01-03", 100, client="B")
        self._run("2024-01-08")
        days = self.env["reseller.usage.daily"]
        bucket = days.search([("client_id", "=", self.client_b.id)])
        self.assertTrue(bucket.statement_id)
        days._settle((self.client_b | self.buyer).ids)
        self.assertTrue(bucket.is_pending)
        self.assertEqual(self._bill_buyer("2024-02-01").amount_total, 2)
        days._settle((self.client_b | self.buyer).ids)
        self.assertFalse(bucket.is_pending)

    def test_a_buyer_is_billed_once_the_day_has_begun_for_every_client(self):
        """Example 15."""
        self.company.reseller_billing_delay = 0
        self._create_wholesale(unit_price=0.02)
        self.client_a.tz = "Pacific/Honolulu"
        self._run("2024-04-01")
        runs = self.env["reseller.billing.run"]
        with freeze_time("2024-05-01 09:59:00"):
            run = runs.new({"company_id": self.company.id, "date": "2024-05-01"})
            due = self._due(run)
            self.assertNotIn(self.buyer, due)
            self.assertIn(self.client_b, due)
            self.env["reseller.usage.line"].ingest(
                [self._event("2024-05-01", 10, time="2024-05-01T09:59:00Z")]
            )
        with freeze_time("2024-05-01 10:00:00"):
            self.assertIn(self.buyer, self._due(run))
            bill = self._bill_buyer("2024-05-01")
        self.assertEqual(bill.amount_total, 0.2)

    def _due(self, run):
        clients = self.env["reseller.client"]
        query = clients._due_sql(run, fields.Datetime.now())
        return clients.browse([number for (number,) in self.env.execute_query(query)])


class TestBuyersWallet(PrepaidCommon):
    """A buyer pays ahead as any account does."""

    def test_a_package_of_a_buyer_pays_for_what_its_clients_use(self):
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": self.reseller.id, "date": "2024-01-01"}
        )
        buyer = self.env["reseller.client"].browse(dialog.action_make()["res_id"])
        self._create_rule(book="wholesale", unit_price=0.02)
        self._create_client("B")
        lot = self._sell("2024-01-05", client=buyer)
        self._use("2024-01-10", 60)
        self._use("2024-01-11", 90, client="B")
        self._run("2024-02-01")
        # 150 of both, of which 100 are paid for; what is on paper draws on nothing.
        self.assertEqual((lot.left, self._statement(buyer, "2024-02-01").amount_total), (0, 1))
        self.assertFalse(self.client_a.prepaid_lot_ids)

    def _pay_by_wallet(self):
        """Have a buyer pay 100.00 in, with 10.00 on top, and be billed 80.00 and 19 %; return lot and bill."""
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": self.reseller.id, "date": "2024-01-01"}
        )
        buyer = self.env["reseller.client"].browse(dialog.action_make()["res_id"])
        account = self.company_data["default_account_tax_sale"]
        self.product.taxes_id = self._create_owed_tax(19, account)
        self._create_rule(book="wholesale", unit_price=0.02)
        top_up = self._create_top_up(reseller_bonus=10)
        lot = self._sell("2024-01-05", top_up, client=buyer)
        self.assertLot(lot, 110, 100)
        self._use("2024-01-10", 4000)
        self._run("2024-02-01")
        # At save, and by whatever way money would come to who is billed on papers.
        for model, vals in (
            (
                "reseller.manual.charge",
                {"product_id": top_up.id, "name": "x", "date": "2024-02-05", "unit_price": 100},
            ),
            ("reseller.wallet.request", {"kind": "gift", "amount": 5, "reason": "x"}),
            (
                "reseller.manual.charge",
                # Of a day before it bought: its next bill is one of papers all the same.
                {"product_id": top_up.id, "name": "x", "date": "2023-12-20", "unit_price": 100},
            ),
        ):
            with (
                self.assertRaisesRegex(UserError, "x: Reseller R1.* bills its clients itself"),
                self.env.cr.savepoint(),
            ):
                self.env[model].create({"client_id": self.client_a.id, **vals})
        return lot, self._statement(buyer, "2024-02-01")

    def test_the_wallet_of_a_buyer_pays_its_bill(self):
        """Example 10: 80.00 and 15.20 of tax, out of 110.00 for which 100.00 were paid."""
        lot, bill = self._pay_by_wallet()
        self.assertEqual(bill.invoice_id.amount_total, 95.2)
        self.assertEqual(bill.invoice_id.payment_state, "paid")
        self.assertLot(lot, 14.8, 13.45)
        journal = self.company.reseller_wallet_journal_id
        entries = self.env["account.move"].search([("journal_id", "=", journal.id)])
        drawn = self._sum_up(entries, str(bill.invoice_id.date))
        self.assertEqual((drawn["Deposits"], drawn["Bonuses"]), (86.55, 8.65))
        self.assertBooks()

    def test_a_bonus_lowers_what_a_buyer_pays(self):
        """Example 10, where the bonus lowers the price: 72.73 and 13.82 are due, all from deposits."""
        self.company.reseller_bonus_mode = "price"
        lot, bill = self._pay_by_wallet()
        self.assertEqual(
            (bill.invoice_id.amount_untaxed, bill.invoice_id.amount_tax), (72.73, 13.82)
        )
        self.assertEqual(bill.invoice_id.payment_state, "paid")
        self.assertLot(lot, 14.8, 13.45)
        journal = self.company.reseller_wallet_journal_id
        entries = self.env["account.move"].search([("journal_id", "=", journal.id)])
        drawn = self._sum_up(entries, str(bill.invoice_id.date))
        self.assertEqual((drawn["Deposits"], drawn.get("Bonuses", 0)), (86.55, 0))
        self.assertBooks()
