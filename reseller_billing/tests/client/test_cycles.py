from datetime import date
from decimal import Decimal

from freezegun import freeze_time
from odoo.exceptions import UserError, ValidationError

from .common_service import ServiceCommon


class TestCycles(ServiceCommon):
    """Accounts whose billing cycle changes."""

    def test_a_cycle_that_changes_is_settled_by_a_bill_of_its_day(self):
        self._run("2024-02-01")
        self._use("2024-02-10", 20, client="S")
        yearly = {"interval_count": 1, "interval_unit": "year", "billing_anchor": "activation"}
        # 14 of 29 days: the fee is 14.97, and 15 units are free; then the year's fee.
        preview = self._what_if("cycle", "2024-02-15", **yearly)
        self.assertEqual(
            (str(preview.bill_date), f"{preview.amount_total:.2f}"), ("2024-02-15", "19.97")
        )
        self.assertEqual((self.client.interval_unit, len(self.client.membership_ids)), ("month", 1))
        self._change(self.client, "cycle", "2024-02-15", **yearly)
        self.assertEqual(str(self.client.next_bill_date), "2024-02-15")
        usage = self.client.current_usage
        with freeze_time("2024-02-14 12:00:00"):
            [entry] = usage()
            self.assertEqual(
                (entry["cycle_end"], entry["included_left"], entry["payable"]),
                (date(2024, 2, 14), "0", "5"),
            )
        self._run("2024-03-20")
        self.assertEqual(
            self._bills(self.client),
            [
                ("2024-01-01", "opening", "31.00"),
                ("2024-02-01", "cycle", "31.00"),
                ("2024-02-15", "cycle", "19.97"),
            ],
        )
        self.assertEqual(str(self.client.next_bill_date), "2025-02-15")
        contract = self.client.contract_id
        self.assertEqual(
            (contract.recurring_rule_type, str(contract.recurring_next_date)),
            ("yearly", "2025-02-15"),
        )
        self._run("2025-02-15")
        self.assertEqual(self._bills(self.client)[3:], [("2025-02-15", "cycle", "31.00")])

    def test_cycles_change_to_the_calendar_on_the_first_of_a_month(self):
        client = self._create_client("M", start="2024-01-10")
        self._run("2024-02-10")
        with self.assertRaisesRegex(ValidationError, "choose 2024-03-01"), self.env.cr.savepoint():
            client.action_change_cycle("2024-02-20", 1, "month", "month")
        client.action_change_cycle("2024-03-01", 3, "month", "month")
        self._run("2024-06-01")
        # 20 of the 29 days from 10 February on are 21.38.
        self.assertEqual(
            self._bills(client)[2:],
            [("2024-03-01", "cycle", "21.38"), ("2024-06-01", "cycle", "31.00")],
        )

    def test_a_cycle_that_was_to_change_and_does_not(self):
        self._run("2024-02-01")
        self.client.action_change_cycle("2024-02-15", 2, "week", "activation")
        self.assertEqual(
            (str(self.client.next_bill_date), self.client.interval_unit), ("2024-02-15", "week")
        )
        first, last = self.client.membership_ids.sorted("date_from")
        last.unlink()
        first.date_to = False
        self.assertEqual(
            (str(self.client.next_bill_date), self.client.interval_unit), ("2024-03-01", "month")
        )
        self.client.action_change_cycle("2024-02-15", 2, "week", "activation")
        self.client.action_close("2024-02-10")
        self.assertEqual(
            (str(self.client.next_bill_date), self.client.interval_unit), ("2024-02-11", "month")
        )
        self.client.action_reopen("2024-02-12")
        self._run("2024-03-12")
        # 10.69 of the fee stay; a month from the 12th.
        self.assertEqual(
            self._bills(self.client)[2:],
            [
                ("2024-02-11", "final", "-20.31"),
                ("2024-02-12", "opening", "31.00"),
                ("2024-03-12", "cycle", "31.00"),
            ],
        )

    def test_billed_days_keep_their_cycle(self):
        self._run("2024-02-01")
        with (
            self.assertRaisesRegex(ValidationError, "first free day is 2024-02-01"),
            self.env.cr.savepoint(),
        ):
            self.client.action_change_cycle("2024-01-20", 1, "year", "activation")
        with (
            self.assertRaisesRegex(UserError, "bill of 2024-02-01 already"),
            self.env.cr.savepoint(),
        ):
            self.client.action_change_cycle("2024-02-01", 1, "year", "activation")
        with (
            self.assertRaisesRegex(ValidationError, "to be changed: the billing cycle"),
            self.env.cr.savepoint(),
        ):
            self.client.interval_unit = "year"
        with self.assertRaisesRegex(ValidationError, "first free day"), self.env.cr.savepoint():
            self.client.membership_ids.interval_unit = "year"
        with self.assertRaisesRegex(UserError, "is not served"), self.env.cr.savepoint():
            self.client.action_change_cycle("2023-12-20", 1, "year", "activation")
        new = self._create_client("N", start="2024-05-01")
        new.interval_unit = "year"
        self.assertEqual(new.membership_ids.interval_unit, "year")

    def test_a_bill_has_taken_fees_by_the_cycle_of_its_day(self):
        quarter = {"interval_count": 3, "interval_unit": "month", "billing_anchor": "activation"}
        self._run("2024-01-01")
        row = self.client.membership_ids
        for attempt in (
            lambda: self._change(self.client, "cycle", "2024-01-01", **quarter),
            lambda: self.client.write({"interval_count": 3}),
            lambda: row.write({"interval_count": 3}),
        ):
            with (
                self.assertRaisesRegex(UserError, "bill of 2024-01-01 already"),
                self.env.cr.savepoint(),
            ):
                attempt()
        self._run("2024-02-01")
        self.client.action_move_to_group(self.group, "2024-02-01")
        row = self.client.membership_ids.sorted("date_from")[-1]
        with (
            self.assertRaisesRegex(UserError, "bill of 2024-02-01 already"),
            self.env.cr.savepoint(),
        ):
            row.begins_cycle = True
            row.interval_count = 3
        self.client.action_change_cycle("2024-02-02", 3, "month", "activation")
        self._run("2024-08-02")
        # 1.07 for 1 February, and what is left of it back; quarters of 31.00.
        self.assertEqual(
            [row[2] for row in self._bills(self.client)],
            ["31.00", "31.00", "1.07", "31.00", "31.00"],
        )

    def test_cycles_of_the_calendar_begin_anew_on_no_other_day_after_a_gap(self):
        client = self._create_client("G", billing_anchor="month")
        self._run("2024-02-01")
        client.action_close("2024-02-10")
        self._run("2024-02-11")
        client.action_reopen("2024-02-12")
        with self.assertRaisesRegex(ValidationError, "choose 2024-03-01"), self.env.cr.savepoint():
            client.action_change_cycle("2024-02-12", 3, "month", "month")
        client.action_change_cycle("2024-03-01", 3, "month", "month")
        self._run("2024-03-01")
        # 10 of 29 days, 18 more, then a quarter.
        self.assertEqual(
            [row[2] for row in self._bills(client)], ["31.00", "31.00", "-20.31", "19.24", "31.00"]
        )

    def test_a_change_to_come_leaves_the_days_before_as_they_are(self):
        self.client.action_change_cycle("2024-02-15", 1, "year", "activation")
        contract = self.client.contract_id
        self.assertEqual(contract.recurring_rule_type, "monthly")
        with freeze_time("2024-01-20 12:00:00"):
            self.client.invalidate_recordset()
            self.assertEqual(str(self.client.cycle_from), "2024-02-15")
        first = self.client.membership_ids.sorted("date_from")[0]
        first.date_to = "2024-02-09"
        row = first.create(
            {
                "client_id": self.client.id,
                "date_from": "2024-02-10",
                "date_to": "2024-02-14",
                "group_id": self.group.id,
            }
        )
        self.assertEqual((row.interval_unit, str(row.anchor_date)), ("month", "2024-01-01"))
        self._run("2024-02-01")
        self.assertEqual(contract.recurring_rule_type, "yearly")
        self.assertEqual(str(contract.recurring_next_date), "2024-02-15")
        # A run of that day that leaves it out would be told so.
        run = self.env["reseller.billing.run"].create({"date": "2024-02-15"})
        run.flush_recordset()
        self.env.flush_all()
        self.env.cr.execute(run._missing_sql())
        self.assertIn(self.client.id, [row[0] for row in self.env.cr.fetchall()])
        self._run("2024-02-15")
        self.assertEqual([row[2] for row in self._bills(self.client)[1:]], ["14.97", "31.00"])

    def test_another_reseller_bills_by_the_cycle_of_the_day(self):
        self._run("2024-02-01")
        self.client.action_change_cycle("2024-02-15", 2, "week", "activation")
        other = self._create_reseller("R3")
        opened = self.client.action_move_to_reseller(other, self.group.browse(), "2024-02-10")
        self.assertEqual((opened.interval_count, opened.interval_unit), (1, "month"))
        self.assertEqual(opened.membership_ids.interval_unit, "month")
        self.assertEqual(self.client.interval_unit, "month")

    def test_a_closing_on_the_last_billed_day_settles_a_longer_cycle(self):
        self._price_a_year()
        self._run("2024-02-01")
        self.client.action_close("2024-01-31")
        # 31 of 366 days: 31.00 stay of what was paid ahead, and are due behind; 31 units were free;
        # a fee on use is whole. February was paid ahead, too.
        expected = {
            ("unit", "recurring"): "-31.00",
            ("ahead", "recurring"): "-335.00",
            ("behind", "recurring"): "31.00",
            ("free", "overage"): "19.00",
            ("used", "recurring"): "30.00",
        }

        def due(statement):
            found = self._amounts(statement)
            return {key: Decimal(amount) for key, amount in found.items() if Decimal(amount)}

        expected = {key: Decimal(amount) for key, amount in expected.items() if Decimal(amount)}
        self.assertEqual(due(self.client.preview_statement("2024-02-01")), expected)
        self._run("2024-02-02")
        final = self._statement(self.client, "2024-02-01").filtered(lambda one: one.kind == "final")
        self.assertEqual(due(final), expected)
        self.assertAgrees(final)
