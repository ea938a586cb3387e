from freezegun import freeze_time
from odoo import fields

from ..common_wholesale import WholesaleCommon


class TestBooksOfBoth(WholesaleCommon):
    """What is on paper is in no book of the provider; what its reseller owes it is, once."""

    def _compute(self, day):
        accounts = self.env["account.account"]
        wizard = self.env["reseller.month.end"].create(
            {
                "date": day,
                "accrued_account_id": accounts.create(
                    {"name": "Accrued", "code": "149000", "account_type": "asset_current"}
                ).id,
                "deferred_account_id": accounts.create(
                    {"name": "Deferred", "code": "249000", "account_type": "liability_current"}
                ).id,
            }
        )
        wizard.action_compute()
        return wizard

    def test_a_months_end_accrues_what_the_reseller_owes(self):
        self.retail.write({"recurring_fee": 10})
        fee = self._create_feature("partner")
        self._create_wholesale(unit_price=0.02)
        self._create_wholesale(feature=fee, recurring_fee=31, fee_timing="advance")
        self.client_a.membership_ids.date_from = "2024-01-16"
        self.buyer.write({"interval_count": 2})
        self._run("2024-01-01")
        self._use("2024-01-20", 1000)
        self._use("2024-01-20", 500, client="B")
        self._run("2024-02-01")
        wizard = self._compute("2024-01-31")
        # 1,500 × 0.02 of the buyer are not billed; of its 31.00 for January and February 29 ÷ 60 days are not
        # served. What clients pay on paper, fees in advance of February among it, is nobody's here.
        found = {line.name: (line.accrued, line.deferred) for line in wizard.line_ids}
        self.assertEqual(found, {"Unit": (30, 0), "Partner": (0, 14.98)})
        wizard.action_post()
        self._bill_buyer("2024-03-01")
        revenue = self.env["reseller.analysis"]._read_group(
            [("company_id", "=", self.company.id), ("amount", "!=", 0)],
            ["book"],
            ["amount:sum"],
        )
        # 31.00, 30.00 and the fee of March and April; the accrual is reversed. Of no client: a month's end.
        self.assertEqual(
            {book: round(amount, 2) for book, amount in revenue},
            {"wholesale": 92, "retail": 0},
        )

    def test_what_is_unbilled_and_the_dashboards_revenue_are_the_buyers(self):
        """Of 1,000 units of January, billed in February: 20.00 by the wholesale price, and nothing of 50.00 on paper."""
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-20", 1000)
        with freeze_time("2024-02-10"):
            self._run("2024-02-01")
            dialog = self.env["reseller.report.period"].create(
                {
                    "report": "reseller.unbilled",
                    "date_from": "2024-02-01",
                    "date_to": "2024-02-29",
                }
            )
            action = dialog.action_open()
            rows = self.env["reseller.unbilled"].search(action["domain"])
            self.assertEqual(
                [(row.client_id, row.opening, row.billed, row.closing) for row in rows],
                [(self.buyer, 20, 20, 0)],
            )
            self._use("2024-02-05", 500)
            [revenue] = self.env["reseller.dashboard"].get_data()["revenue"]
            self.assertIn("20.00", revenue["this_month"])

    def test_recurring_revenue_and_runs_leave_papers_out(self):
        self.retail.write({"recurring_fee": 10, "fee_timing": "advance"})
        self._create_wholesale(recurring_fee=7, fee_timing="advance")
        for date in ("2024-01-01", "2024-02-01", "2024-03-01"):
            run = self._run(date)
        self.assertEqual(
            [(row["total"], row["bills"]) for row in run._get_totals()],
            [(self.company.currency_id.format(7), 1)],
        )
        rows = self.env["reseller.recurring.revenue"].search(
            [("company_id", "=", self.company.id), ("month", "=", "2024-01-01")]
        )
        self.assertEqual(
            [(row.client_id, row.book, row.mrr) for row in rows], [(self.buyer, "wholesale", 7)]
        )

    def test_what_is_missing_in_the_second_book_is_listed(self):
        self._use("2024-01-20", 5)
        days = self.env["reseller.usage.daily"]
        bucket = days.search([("client_id", "=", self.client_a.id)])
        self.assertEqual((bucket.is_unpriced, bucket.is_unpriced_wholesale), (False, True))
        [unpriced] = self.env["reseller.dashboard"].get_data()["unpriced"]
        self.assertIn("without a wholesale price", unpriced["text"])
        self.assertEqual(unpriced["action"]["context"]["default_book"], "wholesale")
        [entry] = self.buyer.current_usage()
        self.assertEqual((entry["code"], entry["used"]), ("unit", "5"))
        self._create_wholesale(unit_price=0.02, date_from=fields.Date.to_date("2024-01-01"))
        self.env.invalidate_all()
        self.assertFalse(bucket.is_unpriced_wholesale)
        self.assertEqual(self.env["reseller.dashboard"].get_data()["unpriced"], [])

    def test_prices_are_copied_from_one_book_into_the_other(self):
        """W7: by a percentage, to decimal places, prices alone, from a day."""
        self.retail.write({"recurring_fee": 10, "setup_fee": 4, "trial_days": 14})
        dialog = self.env["reseller.price.change"].create(
            {
                "rule_ids": [fields.Command.set(self.retail.ids)],
                "mode": "copy",
                "book": "wholesale",
                "date": "2024-02-01",
                "percent": -33.3333,
                "digits": "3",
                "leaves_options_out": True,
            }
        )
        made = self.env["reseller.price.rule"].search(dialog.action_apply()["domain"])
        self.assertEqual(
            (made.book, made.scope, str(made.date_from), made.unit_price, made.recurring_fee),
            ("wholesale", "default", "2024-02-01", 0.033, 6.667),
        )
        self.assertEqual((made.setup_fee, made.trial_days), (0, 0))
        self.assertFalse(self.retail.date_to)
        back = self.env["reseller.price.change"].create(
            {
                "rule_ids": [fields.Command.set(made.ids)],
                "mode": "copy",
                "book": "retail",
                "date": "2024-03-01",
                "percent": 100,
                "client_ids": [fields.Command.set(self.client_a.ids)],
            }
        )
        own = self.env["reseller.price.rule"].search(back.action_apply()["domain"])
        self.assertEqual(
            (own.book, own.client_id, own.unit_price), ("retail", self.client_a, 0.066)
        )

    def test_drafts_of_wholesale_prices_are_simulated_for_buyers(self):
        price = self._create_wholesale(unit_price=0.02)
        self._use("2024-01-20", 1000)
        self._use("2024-01-20", 500, client="B")
        self._bill_buyer("2024-02-01")
        draft = price.copy({"active": False, "unit_price": 0.03})
        wizard = self.env["reseller.price.simulation"].create(
            {"draft_ids": [fields.Command.set(draft.ids)], "periods": 1}
        )
        wizard.action_simulate()
        self.assertEqual(
            [(line.client_id, line.old_amount, line.new_amount) for line in wizard.line_ids],
            [(self.buyer, 30, 45)],
        )
