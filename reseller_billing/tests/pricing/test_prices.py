from datetime import date

import psycopg2
from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tools import mute_logger

from ..common import ResellerBillingCommon


class TestPrices(ResellerBillingCommon):
    @mute_logger("odoo.sql_db")
    def test_what_features_refer_to_is_not_deleted_under_them(self):
        unit = self.env["uom.uom"].create({"name": "GB-month"})
        product = self.env["product.product"].create({"name": "Storage", "type": "service"})
        self.feature.write({"uom_id": unit.id, "product_id": product.id})
        for record in (unit, product):
            with (
                self.assertRaises(psycopg2.errors.ForeignKeyViolation),
                self.env.cr.savepoint(),
            ):
                record.unlink()
        self.assertEqual((self.feature.uom_id, self.feature.product_id), (unit, product))

    def test_overlap_is_refused_and_names_the_rule_in_the_way(self):
        self._create_rule(unit_price=1, date_from="2024-01-01", date_to="2024-01-31")
        with (
            self.assertRaisesRegex(ValidationError, "2024-01-01 to 2024-01-31"),
            self.env.cr.savepoint(),
        ):
            self._create_rule(unit_price=2, date_from="2024-01-31")
        # Another level, another currency, another feature, or the day after: no overlap.
        self._create_rule(unit_price=2, date_from="2024-02-01")
        self._create_rule(unit_price=2, reseller_id=self.reseller.id)
        self._create_rule(unit_price=2, currency_id=self.env.ref("base.EUR").id)
        self._create_rule(self._create_feature("other"), unit_price=2)

    @mute_logger("odoo.sql_db")
    def test_the_database_itself_refuses_overlap(self):
        rule = self._create_rule(unit_price=1, date_to="2024-01-31")
        other = self._create_rule(unit_price=1, date_from="2024-02-01")
        self.env.flush_all()
        with self.assertRaises(psycopg2.errors.ExclusionViolation), self.env.cr.savepoint():
            self.env.cr.execute(
                "UPDATE reseller_price_rule SET date_from = '2024-01-31' WHERE id = %s", [other.id]
            )
            self.env.cr.execute("SET CONSTRAINTS ALL IMMEDIATE")
        self.assertTrue(rule)
        self.env.cr.execute("SELECT conname FROM pg_constraint WHERE contype = 'x'")
        self.assertLessEqual(
            {
                "reseller_price_rule_no_overlap",
                "reseller_client_membership_no_overlap",
                "reseller_client_feature_no_overlap",
                "reseller_statement_no_overlap",
            },
            {row[0] for row in self.env.cr.fetchall()},
        )

    def test_impossible_terms_are_refused(self):
        cases = [
            ({"pricing_model": "graduated"}, (), "needs tiers"),
            ({"pricing_model": "volume"}, [(10, 1, 0)], "no bound"),
            ({"pricing_model": "volume"}, [(10, 1, 0), (5, 1, 0), (None, 1, 0)], "must rise"),
            ({"pricing_model": "per_unit"}, [(None, 1, 0)], "belong to graduated"),
            ({"pricing_model": "graduated"}, [(None, -1, 0)], "must not be negative"),
            ({"interval_count": 2}, (), "both a number and a unit"),
        ]
        for values, tiers, reason in cases:
            with (
                self.subTest(reason),
                self.assertRaisesRegex(ValidationError, reason),
                self.env.cr.savepoint(),
            ):
                self._create_rule(tiers=tiers, **values)

    @mute_logger("odoo.sql_db")
    def test_impossible_values_are_refused_by_the_database(self):
        for values in (
            {"unit_price": -1},
            {"recurring_fee": -1},
            {"pricing_model": "package", "package_size": 0},
            {"date_from": "2024-02-01", "date_to": "2024-01-01"},
            {"reseller_id": self.reseller.id, "group_id": self.group.id},
        ):
            with (
                self.subTest(values),
                self.assertRaises(psycopg2.IntegrityError),
                self.env.cr.savepoint(),
            ):
                self._create_rule(**values)
                self.env.flush_all()

    def test_pricing_page_shows_winner_level_and_what_it_overrides(self):
        default = self._create_rule(unit_price=1)
        reseller = self._create_rule(unit_price=2, reseller_id=self.reseller.id)
        client = self._create_client(
            "P", start=fields.Date.to_string(date.today()), group=self.group
        )
        group = self._create_rule(unit_price=3, group_id=self.group.id)
        own = self._create_rule(unit_price=4, client_id=client.id)
        row = next(row for row in client._get_pricing() if row["feature"] == self.feature)
        self.assertEqual(row["winner"], own)
        self.assertEqual(list(row["overridden"]), [group, reseller, default])
        self.assertIn("$\N{NO-BREAK SPACE}4.00 per unit", client.pricing_html)
        # Another reseller's client sees neither.
        other = self._create_reseller("R2")
        stranger = self._create_client(
            "S", start=fields.Date.to_string(date.today()), reseller_id=other.id
        )
        row = next(row for row in stranger._get_pricing() if row["feature"] == self.feature)
        self.assertEqual((row["winner"], len(row["overridden"])), (default, 0))

    def test_billed_days_cannot_be_changed(self):
        rule = self._create_rule(unit_price=1, recurring_fee=10)
        self._use("2024-01-05", 1)
        self._run("2024-02-01")
        free = "The first free day is 2024-02-01"
        other = self._create_client("OTHER", start="2024-02-01")
        enrolment = self.env["reseller.client.feature"].create(
            {"client_id": other.id, "feature_id": self.feature.id, "date_from": "2024-01-20"}
        )
        attempts = [
            lambda: rule.write({"unit_price": 2}),
            lambda: rule.write({"date_to": "2024-01-30"}),
            lambda: rule.unlink(),
            lambda: rule.write({"active": False}),
            lambda: self._create_rule(unit_price=5, client_id=self.client_a.id),
            lambda: self.client_a.membership_ids.write({"date_to": "2024-01-15"}),
            lambda: self.client_a.membership_ids.write({"group_id": self.group.id}),
            lambda: enrolment.write({"client_id": self.client_a.id}),
            lambda: self.client_a.write({"interval_count": 2}),
            lambda: self.env["reseller.client.feature"].create(
                {
                    "client_id": self.client_a.id,
                    "feature_id": self.feature.id,
                    "date_from": "2024-01-20",
                    "quantity": 2,
                }
            ),
        ]
        for attempt in attempts:
            with self.assertRaisesRegex(ValidationError, free), self.env.cr.savepoint():
                attempt()
            self.env.invalidate_all()
        # From the first free day on everything may change.
        rule.date_to = "2024-01-31"
        self._create_rule(unit_price=2, recurring_fee=20, date_from="2024-02-01")
        self.client_a.action_move_to_group(self.group, date(2024, 2, 1))
        self._use("2024-02-05", 1)
        self._run("2024-03-01")
        # February's fee of 10.00 was paid in advance by the old price: back it goes.
        self.assertEqual(
            sorted(self._statement(self.client_a, "2024-03-01").charge_ids.mapped("amount")),
            [-10.0, 2.0, 20.0, 20.0],
        )

    def test_unpriced_use_is_kept_and_billed_once_priced(self):
        self._use("2024-01-05", 4)
        self._run("2024-02-01")
        self.assertFalse(self._statement(self.client_a, "2024-02-01").charge_ids)
        buckets = self.env["reseller.usage.daily"].search([("statement_id", "=", False)])
        self.assertEqual(buckets.quantity, 4)
        self._create_rule(unit_price=2)
        self._run("2024-03-01")
        charge = self._statement(self.client_a, "2024-03-01").charge_ids
        self.assertEqual(charge.amount, 8.0)
        self.assertEqual(charge.adjusts_statement_id, self._statement(self.client_a, "2024-02-01"))
        self.assertEqual(buckets.statement_id, self._statement(self.client_a, "2024-03-01"))

    def test_a_fee_of_days_that_had_no_price_is_billed_once_they_have(self):
        self._run("2024-02-01")
        self._create_rule(recurring_fee=31, pricing_model="unlimited", bills_past_fees=True)
        self._run("2024-03-01")
        self._run("2024-04-01")
        amounts = self.client_a.statement_ids.charge_ids.mapped("amount")
        # January as an adjustment, February, March; then April.
        self.assertEqual(amounts, [31.0] * 4)

    def test_a_price_since_ever_bills_no_past_fees_unasked(self):
        closed = self._create_client("GONE")
        closed.action_close("2024-01-20")
        self._run("2024-03-01")
        self._use("2024-01-05", 4)
        fresh = {"pricing_model": "per_unit", "unit_price": 0.5, "recurring_fee": 31}
        # 31.00 for January and February each; 20 of January's 31 days.
        with (
            self.assertRaisesRegex(
                ValidationError,
                r"2 accounts: A \$.62\.00, GONE \$.20\.00\. Choose 2024-03-01 .*Bill Past Fees",
            ),
            self.env.cr.savepoint(),
        ):
            self._create_rule(**fresh)
        with (
            self.assertRaisesRegex(ValidationError, "fees or minimums"),
            self.env.cr.savepoint(),
        ):
            self._create_rule(unit_price=0.5, minimum_amount=5)
        # Use alone is billed, to whom used it; the closed account without use gets no bill.
        rule = self._create_rule(unit_price=0.5)
        # Until a bill has used it, it changes and goes as one likes.
        rule.unit_price = 0.25
        rule.date_from = "2024-01-03"
        other = rule.copy({"active": False})
        rule.unlink()
        other.write({"active": True, "date_from": False})
        self._run("2024-04-01")
        self.assertEqual(
            self._amounts(self._statement(self.client_a, "2024-04-01")), {("unit", "usage"): "1.00"}
        )
        self.assertEqual(
            sorted(closed.statement_ids.mapped("bill_date")), [date(2024, 1, 1), date(2024, 1, 21)]
        )
        # Used, it stays.
        for attempt in (
            lambda: other.write({"unit_price": 1}),
            lambda: other.write({"date_from": "2024-02-01"}),
            lambda: other.write({"active": False}),
            lambda: other.unlink(),
        ):
            with self.assertRaisesRegex(ValidationError, "billed until"), self.env.cr.savepoint():
                attempt()
            self.env.invalidate_all()
        # From the first free day on fees are as welcome as ever.
        other.date_to = "2024-04-30"
        self._create_rule(**fresh, date_from="2024-05-01")

    def test_past_fees_of_many_months_without_use_are_seen(self):
        self._run("2024-07-01")
        for values, amount in (
            ({"recurring_fee": 31, "unit_price": 0}, "186.00"),
            # Of January alone, which is over.
            (
                {"recurring_fee": 31, "unit_price": 0, "date_from": "2024-01-01"}
                | {"date_to": "2024-01-31"},
                "31.00",
            ),
            ({"pricing_model": "volume", "tiers": [(None, 0, 5)]}, "30.00"),
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(ValidationError, f"1 accounts: A .{{2}}{amount}"),
                self.env.cr.savepoint(),
            ):
                self._create_rule(**values)
        # A box that is ticked and cleared again asks for nothing.
        rule = self._create_rule(recurring_fee=31, unit_price=1, bills_past_fees=True)
        with self.assertRaisesRegex(ValidationError, "186.00"), self.env.cr.savepoint():
            rule.bills_past_fees = False
        with self.assertRaisesRegex(UserError, "Billing itself"):
            rule.with_user(self.env.ref("base.user_admin")).made_after_id = 2**31 - 1

    def test_a_fee_that_is_asked_for_later_reaches_closed_accounts_too(self):
        closed = self._create_client("GONE")
        closed.action_close("2024-01-20")
        self._run("2024-03-01")
        rule = self._create_rule(unit_price=1)
        self.assertFalse(closed.next_bill_date and closed.rerate_from)
        rule.write({"recurring_fee": 31, "bills_past_fees": True})
        self._run("2024-04-01")
        self.assertEqual(closed.statement_ids.charge_ids.mapped("amount"), [20.0])

    def test_a_price_that_comes_into_force_late_is_unused_until_then(self):
        rule = self._create_rule(unit_price=1, active=False)
        self._run("2024-03-01")
        self._use("2024-01-05", 4)
        rule.active = True
        rule.unit_price = 0.5
        self._run("2024-04-01")
        statement = self._statement(self.client_a, "2024-04-01")
        self.assertEqual(self._amounts(statement), {("unit", "usage"): "2.00"})
        with self.assertRaisesRegex(ValidationError, "billed until"):
            rule.unit_price = 2

    def test_past_fees_that_are_asked_for_are_billed(self):
        closed = self._create_client("GONE")
        closed.action_close("2024-01-20")
        self._run("2024-03-01")
        self._create_rule(recurring_fee=31, pricing_model="unlimited", bills_past_fees=True)
        self._run("2024-04-01")
        self.assertEqual(
            self._statement(self.client_a, "2024-04-01").charge_ids.mapped("amount"), [31.0] * 4
        )
        self.assertEqual(closed.statement_ids.charge_ids.mapped("amount"), [20.0])

    def test_a_feature_that_never_had_a_price_gets_one_of_any_kind(self):
        self._create_rule(unit_price=1)
        self._run("2024-02-01")
        other = self._create_feature("other")
        self._use("2024-01-10", 12, "other")
        # 10 at 0.50 and 2 at 0.25: 5.50.
        rule = self._create_rule(
            other, pricing_model="graduated", tiers=[(10, 0.5, 0), (None, 0.25, 0)]
        )
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(self._amounts(statement)["other", "usage"], "5.50")
        # Billed, its parts stay.
        with self.assertRaisesRegex(UserError, "billed until"):
            rule.tier_ids[0].unit_price = 1
        level = self._create_level("l", "L")
        self._create_rule(levels=[(level, 2)], client_id=self._create_client("B").id, unit_price=3)
        # A feature that a context proposes is guarded alike.
        with self.assertRaisesRegex(UserError, "billed until"):
            self.env["reseller.price.rule"].with_context(default_feature_id=self.feature.id).create(
                {"client_id": self.client_a.id, "unit_price": 5}
            )

    def test_a_trial_that_was_billed_does_not_move(self):
        self._create_rule(unit_price=1, trial_days=10, date_from="2024-01-15")
        self._use("2024-01-20", 5)
        self._run("2024-02-01")
        self.assertEqual(self._statement(self.client_a, "2024-02-01").amount_total, 0)
        # The days before had no price; one with a trial would take this one's trial away.
        with (
            self.assertRaisesRegex(ValidationError, "first free day is 2024-02-01"),
            self.env.cr.savepoint(),
        ):
            self._create_rule(unit_price=1, date_to="2024-01-14")
        self._create_rule(unit_price=1, date_to="2024-01-14", enrolment="opt_in")

    def test_a_version_with_identical_terms_changes_no_amount(self):
        self._create_rule(
            recurring_fee=10, included_quantity=10, unit_price=0.333, date_to="2024-01-13"
        )
        self._create_rule(
            recurring_fee=10, included_quantity=10, unit_price=0.333, date_from="2024-01-14"
        )
        self._use("2024-01-05", 9)
        self._use("2024-01-20", 9)
        self._run("2024-02-01")
        self.assertEqual(
            self._amounts(self._statement(self.client_a, "2024-02-01")),
            {("unit", "recurring"): "10.00", ("unit", "overage"): "2.66"},
        )
        self.assertEqual(len(self._statement(self.client_a, "2024-02-01").charge_ids), 2)

    def test_a_served_client_is_not_archived_out_of_sight(self):
        self._create_rule(unit_price=1)
        with self.assertRaisesRegex(ValidationError, "give its service a last day"):
            self.client_a.active = False
        self._run("2024-02-01")
        self.client_a.membership_ids.date_to = "2024-02-10"
        self.client_a.active = False
        # Its billed prices stay as they were billed all the same.
        rule = self.env["reseller.price.rule"].search([("feature_id", "=", self.feature.id)])
        with self.assertRaisesRegex(ValidationError, "is billed until"):
            rule.unit_price = 2

    def test_a_run_at_work_keeps_the_prices_of_the_days_that_it_bills(self):
        rule = self._create_rule(unit_price=1)
        other = self._create_feature("later")
        self._run("2024-02-01")
        run = self.env["reseller.billing.run"].create({"date": "2024-03-01"})
        run.action_start()
        for change in (
            lambda: rule.write({"unit_price": 2}),
            lambda: rule.write({"date_to": "2024-02-15"}),
            lambda: self._create_rule(other, unit_price=1, date_from="2024-02-10"),
        ):
            with self.assertRaisesRegex(UserError, "run is at work"), self.env.cr.savepoint():
                change()
        self.env.invalidate_all()
        # Days after those are free, and all of February is once the run has stopped.
        rule.date_to = "2024-02-29"
        self._create_rule(unit_price=3, date_from="2024-03-01")
        run.action_stop()
        rule.date_to = "2024-02-15"
