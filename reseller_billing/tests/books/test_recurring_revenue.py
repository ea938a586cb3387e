from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import UserError

from .common_ledger import LedgerCommon


class TestRecurringRevenue(LedgerCommon):
    """Recurring revenue, and the way from an invoice line to its events."""

    def test_recurring_revenue_comes_and_goes(self):
        fee, yearly = self._create_feature("fee"), self._create_feature("yearly")
        terms = {"fee_timing": "advance"}
        self._create_rule(fee, recurring_fee=10, date_to="2024-02-29", **terms)
        self._create_rule(fee, recurring_fee=15, date_from="2024-03-01", **terms)
        second = self._create_client("B")
        self._create_rule(
            yearly,
            recurring_fee=120,
            client_id=second.id,
            interval_count=1,
            interval_unit="year",
            **terms,
        )
        second.membership_ids.date_to = "2024-02-15"
        for day in ("2024-01-01", "2024-02-01", "2024-02-16", "2024-03-01", "2024-04-01"):
            self._run(day)
        model = self.env["reseller.recurring.revenue"]
        model.invalidate_model()
        ours = ("company_id", "=", self.company.id)
        names = ("opening", "new", "expansion", "contraction", "churn", "mrr", "arr")

        def rows(month):
            return {
                row.client_id.ref: tuple(row[name] for name in names)
                for row in model.search([("month", "=", month), ours])
            }

        # A pays 10.00 a month, and 15.00 from March on; B, until 15 February, that and 120.00 a year.
        self.assertEqual(
            rows("2024-01-01"),
            {"A": (0, 10, 0, 0, 0, 10, 120), "B": (0, 20, 0, 0, 0, 20, 240)},
        )
        self.assertEqual(
            rows("2024-02-01"),
            {"A": (10, 0, 0, 0, 0, 10, 120), "B": (20, 0, 0, 0, -20, 0, 0)},
        )
        self.assertEqual(rows("2024-03-01"), {"A": (10, 0, 5, 0, 0, 15, 180)})
        # Of 30.00 in January, 10.00 are left in February; of these come 15.00.
        found = model._read_group(
            [ours, ("month", "<=", "2024-03-01")], ["month:month"], ["retention:avg", "mrr:sum"]
        )
        self.assertEqual(
            [(round(kept or 0, 1), mrr) for _month, kept, mrr in found],
            [(0, 30), (33.3, 10), (150, 15)],
        )

    def test_recurring_revenue_is_net_and_of_months_that_are_known(self):
        self.company.reseller_billing_delay = 0  # what is due on the first is billed on it
        included = self._tax(19, True)
        fee = self._create_feature("fee")
        fee.product_id = self._create_package(
            "Taxed", reseller_grants=False, reseller_feature_id=False, taxes_id=included.ids
        )
        # Three months bought together: one counts a third of what is paid.
        self._create_rule(fee, recurring_fee=11.9, fee_timing="advance", advance_cycles=3)
        self.client_a.membership_ids.date_to = "2024-01-31"
        self._create_client("End", start="2024-01-31")
        own = self._create_reseller("Own", invoice_to="none")
        self._create_client("Theirs", reseller_id=own.id)
        month = fields.Date.today().replace(day=1)
        last = fields.Date.subtract(month, months=1)
        arrears = self._create_feature("arrears")
        running = self._create_client("Now", start=last)
        self._create_rule(arrears, recurring_fee=7, fee_timing="arrears", client_id=running.id)
        self._create_rule(fee, recurring_fee=0, client_id=running.id)
        for day in ("2024-01-31", "2024-04-30", "2024-05-31", month):
            self._run(day)
        model = self.env["reseller.recurring.revenue"]
        rows = model.search([("company_id", "=", self.company.id)], order="month")
        found = {}
        for row in rows:
            found.setdefault(row.client_id.ref, []).append((str(row.month), row.mrr, row.churn))
        self.assertNotIn("Theirs", found)
        # From 31 January on, whatever the months' length.
        self.assertEqual(
            found["End"][:4],
            [(f"2024-{number:02}-01", 10, 0) for number in range(1, 5)],
        )
        # The running month's bill is not made: nothing has churned.
        self.assertEqual(found["Now"], [(str(last), 7, 0)])

    def test_an_auditor_goes_from_an_invoice_line_to_the_events_in_two_clicks(self):
        rule = self.env["reseller.price.rule"].search([("feature_id", "=", self.feature.id)])
        for day in ("2024-01-10", "2024-01-11"):
            self._use(day, 4)
        self._use("2024-02-10", 9)
        self._run("2024-02-01")
        with freeze_time("2025-03-01 12:00:00"):
            line = self._statement(self.client_a, "2024-02-01").invoice_id.invoice_line_ids
            charge = self.env["reseller.charge"].browse(line.action_view_charge()["res_id"])
            self.assertEqual((charge.price_rule_id, charge.quantity, charge.amount), (rule, 8, 8))
            self.assertIn("1.00", charge.explanation_html)
            events = charge.action_view_events()
            found = self.env[events["res_model"]].search(events["domain"])
            self.assertEqual(
                sorted((str(one.billing_date), one.quantity) for one in found),
                [("2024-01-10", 4), ("2024-01-11", 4)],
            )
            days = charge.action_view_days()
            self.assertEqual(self.env[days["res_model"]].search_count(days["domain"]), 2)

    def test_bad_periods_are_refused(self):
        wizard = self.env["reseller.report.period"].create(
            {"report": "reseller.rollforward", "date_from": "2024-03-01", "date_to": "2024-02-01"}
        )
        with self.assertRaisesRegex(UserError, "not after the last"):
            wizard.action_open()
        wizard.date_from = "2024-02-01"
        self.assertEqual(
            wizard.action_open()["context"],
            {"reseller_date_from": "2024-02-01", "reseller_date_to": "2024-02-01"},
        )
