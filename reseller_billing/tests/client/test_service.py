from datetime import date
from decimal import Decimal

from freezegun import freeze_time
from odoo.exceptions import AccessError, UserError, ValidationError

from ..common import ResellerBillingCommon


class TestService(ResellerBillingCommon):
    """The life of an account: pause, closing, reopening, moving, taking over."""

    def setUp(self):
        super().setUp()
        self._create_rule(recurring_fee=31, included_quantity=31, unit_price=1)
        self.client = self._create_client("S")

    def _change(self, clients, change, day, **values):
        wizard = (
            self.env["reseller.client.change"]
            .with_context(active_model="reseller.client", active_ids=clients.ids)
            .create({"change": change, "date": day, **values})
        )
        return wizard.action_apply()

    def _what_if(self, change, day, **values):
        """Return the preview of the client's next bill, were a change made."""
        wizard = (
            self.env["reseller.client.change"]
            .with_context(active_model="reseller.client", active_ids=self.client.ids)
            .create({"change": change, "date": day, **values})
        )
        return self.env["reseller.statement"].browse(wizard.action_preview()["res_id"])

    def _bills(self, client):
        statements = client.statement_ids.filtered(
            lambda one: one.state in ("approved", "invoiced")
        )
        for statement in statements:
            self.assertAgrees(statement)
        return [
            (str(statement.bill_date), statement.kind, f"{statement.amount_total:.2f}")
            for statement in statements.sorted("bill_date")
        ]

    def test_the_dialog_begins_with_nothing_chosen(self):
        def change(clients):
            wizard = self.env["reseller.client.change"].with_context(
                active_model="reseller.client", active_ids=clients.ids
            )
            return wizard.new({}).change

        new = self._create_client("N", activate=False)
        self.assertFalse(change(self.client | self.client_a))
        self.assertFalse(change(self.client | new))
        self.assertEqual(change(new), "take_over")

    def test_paused_days_owe_no_fee_and_have_no_allotment(self):
        self._change(self.client, "pause", "2024-01-11")
        self._change(self.client, "resume", "2024-01-21")
        self._use("2024-01-15", 2, client="S")  # payable: no allotment on this day
        self._use("2024-01-25", 22, client="S")  # 21 included on 21 days, 1 payable
        self._run("2024-02-01")
        self.assertEqual(
            self._bills(self.client),
            [("2024-01-01", "opening", "21.00"), ("2024-02-01", "cycle", "34.00")],
        )
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-02-01"):
            self._change(self.client, "pause", "2024-01-25")

    def test_closing_makes_a_final_bill_and_gives_unused_days_back(self):
        self._run("2024-02-01")
        self._use("2024-02-03", 12, client="S")
        self._change(self.client, "close", "2024-02-10")
        # 10 of 29 days: the fee is 10.69, the allotment 11.
        self._run("2024-02-11")
        self.assertEqual(self.client.state, "closed")
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-11", "final", "-19.31"))
        final = self._statement(self.client, "2024-02-11")
        self.assertEqual(self._amounts(final)["unit", "overage"], "1.00")
        self.assertEqual(final.invoice_id.move_type, "out_refund")
        # Nothing is due any more, but late use is billed inside its window.
        self.assertFalse(
            self._run("2024-03-01").statement_ids.filtered(lambda one: one.client_id == self.client)
        )
        self._use("2024-02-04", 5, client="S")
        self._run("2024-03-01")
        self.assertEqual(self._bills(self.client)[-1], ("2024-03-01", "cycle", "5.00"))
        outcome = self.env["reseller.usage.line"].ingest([self._event("2024-02-11", 1, client="S")])
        self.assertIn("not served on 2024-02-11", outcome["rejected"][0]["reason"])

    def test_without_refund_the_fee_of_the_cycle_stays(self):
        self.env["reseller.price.rule"].search([]).refund_on_close = False
        self._run("2024-02-01")
        self._change(self.client, "close", "2024-02-10")
        self._run("2024-03-01")
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-11", "final", "0.00"))

    def test_voiding_the_final_bill_bills_it_again(self):
        self._run("2024-02-01")
        self._change(self.client, "close", "2024-02-10")
        self._run("2024-02-11")
        before = self._bills(self.client)
        self._statement(self.client, "2024-02-11").invoice_id.button_draft()
        self._statement(self.client, "2024-02-11").invoice_id.button_cancel()
        self.assertEqual(self.client.state, "active")
        self.assertEqual(self.client.billed_until, date(2024, 1, 31))
        self._run("2024-02-11")
        self.assertEqual(self._bills(self.client), before)

    def test_closing_on_the_last_billed_day(self):
        self._run("2024-02-01")
        self._change(self.client, "close", "2024-01-31")
        self._run("2024-02-01")
        # February's fee in advance goes back.
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-01", "final", "-31.00"))
        with self.assertRaisesRegex(UserError, "choose a day of its service"):
            self._change(self.client, "close", "2024-01-20")

    def test_closing_before_a_billed_day_is_refused(self):
        self._run("2024-02-01")
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-02-01"):
            self.client.action_close("2024-01-20")

    def test_reopening_begins_new_cycles(self):
        self._run("2024-02-01")
        self._change(self.client, "close", "2024-02-10")
        with self.assertRaisesRegex(UserError, "only a closed account"):
            self._change(self.client, "reopen", "2024-02-09")
        self._run("2024-02-11")
        self._change(self.client, "reopen", "2024-02-20")
        self._run("2024-03-20")
        self.assertEqual(
            self._bills(self.client)[3:],
            [("2024-02-20", "opening", "31.00"), ("2024-03-20", "cycle", "31.00")],
        )
        self.assertEqual(self.client.state, "active")
        self._use("2024-03-19", 3, client="S")

    def test_moving_to_another_reseller(self):
        other = self._create_reseller("R2")
        self._create_rule(recurring_fee=62, unit_price=2, reseller_id=other.id)
        self._run("2024-02-01")
        self._change(self.client, "reseller", "2024-02-11", reseller_id=other.id)
        opened = self.env["reseller.client"].search([("ref", "=", "S")])
        self.assertEqual(opened.reseller_id, other)
        self.assertEqual(self.client.ref, "S/2024-02-11")
        # Use finds the account that was served on its day, by the one reference.
        self._use("2024-02-05", 15, client="S")  # 11 included on 10 of 29 days
        self._use("2024-02-15", 4, client="S")
        self._run("2024-03-11")
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-11", "final", "-16.31"))
        self.assertEqual(
            self._bills(opened),
            [("2024-02-11", "opening", "62.00"), ("2024-03-11", "cycle", "70.00")],
        )

    def test_taking_clients_over_in_mid_cycle(self):
        clients = self._create_client("T1", start="2023-06-15", activate=False)
        clients |= self._create_client("T2", activate=False, membership_ids=[])
        self._change(clients, "take_over", "2024-01-25", activation_date="2023-06-15")
        outcome = self.env["reseller.usage.line"].ingest(
            [self._event("2024-01-24", 1, client="T1")]
        )
        self.assertIn("billed here from 2024-01-25", outcome["rejected"][0]["reason"])
        self._use("2024-01-26", 25, client="T1")
        self._run("2024-02-15")
        # The cycle of 15 January to 14 February has 31 days, 21 of them are billed here; of 31
        # units included 21 are left.
        self.assertEqual(
            self._bills(clients[0]),
            [("2024-01-25", "opening", "21.00"), ("2024-02-15", "cycle", "35.00")],
        )
        self.assertEqual(
            self._bills(clients[1]),
            [("2024-01-25", "opening", "21.00"), ("2024-02-15", "cycle", "31.00")],
        )
        with self.assertRaisesRegex(UserError, "new clients only"):
            self._change(clients, "take_over", "2024-03-01")

    def test_a_first_day_set_right_before_the_first_bill_is_billed(self):
        self.client.membership_ids.date_from = "2023-12-01"
        self.assertEqual(self.client.next_bill_date, date(2023, 12, 1))
        self.client.billing_start = "2023-12-15"
        self.assertEqual(self.client.next_bill_date, date(2023, 12, 15))
        self.client.billing_start = False
        self._run("2024-01-01")
        self.assertEqual(
            self._bills(self.client),
            [("2023-12-01", "opening", "31.00"), ("2024-01-01", "cycle", "31.00")],
        )

    def test_service_added_to_a_closed_account_is_billed(self):
        self.client.action_close("2024-01-31")
        self._run("2024-02-01")
        self.assertEqual(self.client.state, "closed")
        self.env["reseller.client.membership"].create(
            {"client_id": self.client.id, "date_from": "2024-03-01"}
        )
        self.assertEqual(self.client.state, "active")
        self._run("2024-04-01")
        self.assertEqual(
            self._bills(self.client)[-2:],
            [("2024-03-01", "opening", "31.00"), ("2024-04-01", "cycle", "31.00")],
        )

    def test_a_closing_on_the_last_billed_day_that_is_undone(self):
        self._run("2024-02-01")
        self.client.action_close("2024-01-31")
        self.client.action_reopen("2024-02-01")
        self.assertEqual(self.client.next_bill_date, date(2024, 3, 1))
        run = self._run("2024-03-01")
        self.assertFalse(run.parked_line_ids)
        self.assertEqual(
            self._bills(self.client)[1:],
            [("2024-02-01", "cycle", "31.00"), ("2024-03-01", "cycle", "31.00")],
        )
        # The same after its final bill was posted and cancelled.
        self.client.action_close("2024-02-29")
        self._run("2024-03-02")
        final = self._statement(self.client, "2024-03-01").filtered(lambda one: one.kind == "final")
        self.assertEqual(final.amount_total, -31)
        final.invoice_id.button_draft()
        final.invoice_id.button_cancel()
        self.client.membership_ids.sorted("date_from")[-1].date_to = False
        self.assertEqual(
            (self.client.state, self.client.next_bill_date), ("active", date(2024, 4, 1))
        )
        self.assertFalse(self._run("2024-04-01").parked_line_ids)

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
            self.assertRaisesRegex(ValidationError, "the billing cycle may not alter"),
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

    def _price_a_year(self):
        """Give the client features with cycles of a year: 366.00 ahead, 366.00 behind, 366 units
        free and 50 used, 30.00 on use and 4 used.
        """
        year = {"interval_count": 1, "interval_unit": "year"}
        for code, used, values in (
            ("ahead", 0, {"recurring_fee": 366}),
            ("behind", 0, {"recurring_fee": 366, "fee_timing": "arrears"}),
            ("free", 50, {"included_quantity": 366, "unit_price": 1}),
            (
                "used",
                4,
                {
                    "recurring_fee": 30,
                    "unit_price": 1,
                    "enrolment": "on_use",
                    "fee_timing": "arrears",
                },
            ),
        ):
            self._create_rule(self._create_feature(code), **year, **values)
            if used:
                self._use("2024-01-10", used, feature=code, client="S")

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

    def test_a_year_that_moves_to_another_reseller_is_billed_once(self):
        self._price_a_year()
        self._run("2024-02-01")
        other = self._create_reseller("R2")
        opened = self.client.action_move_to_reseller(other, self.group.browse(), "2024-02-01")
        self._run("2024-02-02")
        final = self._statement(self.client, "2024-02-01").filtered(lambda one: one.kind == "final")
        opening = opened.statement_ids
        self.assertEqual(Decimal(self._amounts(final)["ahead", "recurring"]), -335)
        self.assertEqual(Decimal(self._amounts(opening)["ahead", "recurring"]), 366)

    def test_a_reopening_in_the_same_cycle_keeps_what_was_billed_behind(self):
        self._create_rule(self._create_feature("behind"), recurring_fee=31, fee_timing="arrears")
        client = self._create_client("M", start="2024-05-01", billing_anchor="month")
        client.action_close("2024-05-20")
        self._run("2024-05-21")
        client.action_reopen("2024-05-27")
        self._run("2024-06-01")
        behind = [
            (
                str(statement.bill_date),
                Decimal(self._amounts(statement).get(("behind", "recurring"), 0)),
            )
            for statement in client.statement_ids.sorted("bill_date")
        ]
        self.assertEqual([row for row in behind if row[1]], [("2024-05-21", 20), ("2024-06-01", 5)])

    def test_a_closed_account_is_given_its_credit(self):
        self.company.reseller_late_days = 10
        self.client.action_close("2024-01-31")
        self._run("2024-03-15")
        self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client.id,
                "name": "Goodwill",
                "kind": "credit",
                "unit_price": 5,
                "date": "2024-04-02",
            }
        )
        self._run("2024-04-02")
        self.assertEqual(self._bills(self.client)[-1][2], "-5.00")
        run = self._run("2024-06-01")
        self.assertNotIn(self.client, run.line_ids.client_id)

    def test_a_move_across_time_zones_loses_no_hour(self):
        self.reseller.tz = "Europe/Berlin"
        other = self._create_reseller("NY", tz="America/New_York")
        opened = self.client.action_move_to_reseller(other, self.group.browse(), "2024-02-01")
        # 23:30 and 00:30 in Berlin: the last day of the old account, the first of the new one.
        for moment, account in (
            ("2024-01-31T22:30:00Z", self.client),
            ("2024-01-31T23:30:00Z", opened),
        ):
            event = {**self._event("2024-01-31", 1, client="S"), "time": moment}
            outcome = self.env["reseller.usage.line"].ingest([event])
            self.assertEqual(outcome["accepted"], 1, outcome)
            line = self.env["reseller.usage.line"].search([("external_id", "=", event["id"])])
            self.assertEqual(line.client_id, account)
        # What the old account used is given back there, though it comes after the move.
        first = self.env["reseller.usage.line"].search([("client_id", "=", self.client.id)])
        late = self._event("2024-02-03", -1, client="S", corrects=first.external_id)
        outcome = self.env["reseller.usage.line"].ingest([late])
        self.assertEqual(outcome["accepted"], 1, outcome)
        given = self.env["reseller.usage.line"].search([("external_id", "=", late["id"])])
        self.assertEqual((given.client_id, given.billing_date), (self.client, first.billing_date))

    def test_an_account_in_service_is_moved_not_rewritten(self):
        other = self._create_reseller("O")
        with self.assertRaisesRegex(UserError, "Change Service"):
            self.client.reseller_id = other
        self.client.action_move_to_group(self.group, "2024-01-01")
        with self.assertRaisesRegex(ValidationError, "has clients of its reseller"):
            self.group.reseller_id = other
        company = self.env["res.company"].create({"name": "Elsewhere"})
        with self.assertRaisesRegex(UserError, "its company stays"):
            self.reseller.company_id = company

    def test_extra_lines_end_and_begin_with_the_service(self):
        self._add_extra(self.client, 20, "2024-01-01")
        arrears = self._add_extra(
            self.client,
            7,
            "2024-01-01",
            recurring_invoicing_type="post-paid",
            recurring_next_date="2024-02-01",
        )
        cancelled = self._add_extra(self.client, 100, "2024-01-01")
        cancelled.is_canceled = True
        self._run("2024-02-01")
        # 31.00 and 20.00 for February, 7.00 for January.
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-01", "cycle", "58.00"))
        self._change(self.client, "close", "2024-02-10")
        self._run("2024-02-11")
        # 20.31 of February's fee go back; the line in arrears is due with the period it ends in.
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-11", "final", "-13.31"))
        self._use("2024-02-09", 14, client="S")
        self._run("2024-04-01")
        # Late use: 11 of 31 units were included on 10 of 29 days; no extra lines any more.
        self.assertEqual(self._bills(self.client)[-1][2], "3.00")
        self._change(self.client, "reopen", "2024-06-01")
        self._run("2024-06-01")
        # The fee and the line of June; nothing of the months between.
        self.assertEqual(self._bills(self.client)[-1], ("2024-06-01", "opening", "51.00"))
        self.assertEqual(arrears.last_date_invoiced, date(2024, 5, 31))

    def test_extra_lines_and_terms_move_to_another_reseller(self):
        other = self._create_reseller("R2")
        term = self.env["account.payment.term"].create({"name": "In a month"})
        self.client.contract_id.payment_term_id = term
        self._add_extra(self.client, 20, "2024-01-15")
        self.env["reseller.manual.charge"].create(
            {"client_id": self.client.id, "name": "Visit", "unit_price": 9, "date": "2024-03-01"}
        )
        self._run("2024-02-01")
        self._change(self.client, "reseller", "2024-02-11", reseller_id=other.id)
        opened = self.env["reseller.client"].search([("ref", "=", "S")])
        self.assertEqual(opened.contract_id.payment_term_id, term)
        # The month from 15 January on was billed; the next begins at the new reseller.
        self.assertEqual(opened.contract_id.contract_line_ids.date_start, date(2024, 2, 15))
        self._run("2024-03-11")
        self.assertEqual(self._bills(self.client)[-1], ("2024-02-11", "final", "-20.31"))
        self.assertEqual(
            self._bills(opened),
            [("2024-02-11", "opening", "31.00"), ("2024-03-11", "cycle", "60.00")],
        )
        # In another currency nothing is taken along unseen.
        euro = self.env.ref("base.EUR")
        euro.active = True
        abroad = self._create_reseller("R3", currency_id=euro.id)
        self._change(opened, "reseller", "2024-04-11", reseller_id=abroad.id)
        third = self.env["reseller.client"].search([("ref", "=", "S")])
        self.assertFalse(third.contract_id.contract_line_ids)
        self.assertIn("Support", third.message_ids[-1].body + third.message_ids[0].body)

    def test_an_account_that_moved_away_and_is_served_again_takes_no_use_of_the_new_one(self):
        other = self._create_reseller("R2")
        self._change(self.client, "reseller", "2024-02-11", reseller_id=other.id)
        opened = self.env["reseller.client"].search([("ref", "=", "S")])
        self.client.action_reopen("2024-03-01")
        for day, ref, account in (
            ("2024-02-05", "S", self.client),
            ("2024-03-05", "S", opened),
            ("2024-03-05", "S/2024-02-11", self.client),
        ):
            outcome = self._use(day, 1, client=ref)
            self.assertEqual(outcome["accepted"], 1)
            last = self.env["reseller.usage.line"].search([], order="id desc", limit=1)
            self.assertEqual(last.client_id, account, (day, ref))

    def test_late_use_after_the_final_bill_adjusts_it(self):
        tax = self.env["account.tax"].create({"name": "20", "amount": 20, "type_tax_use": "sale"})
        self.product.taxes_id = tax
        self._use("2024-02-03", 12, client="S")
        self._change(self.client, "close", "2024-02-10")
        self._run("2024-02-11")
        final = self._statement(self.client, "2024-02-11")
        self.product.taxes_id = tax.copy({"name": "25", "amount": 25})
        self._use("2024-02-05", 2, client="S")
        self._run("2024-04-01")
        charge = self.client.statement_ids.sorted("id")[-1].charge_ids
        self.assertEqual((charge.amount, charge.adjusts_statement_id), (2.0, final))
        # The days that were served, and the taxes of then.
        self.assertEqual((charge.date_from, charge.date_to), (date(2024, 2, 1), date(2024, 2, 10)))
        self.assertEqual(charge.move_line_ids.tax_ids, tax)

    # What if

    def test_what_a_closing_would_give_back(self):
        self._run("2024-01-01")
        self._use("2024-01-05", 40, client="S")
        self._add_extra(self.client, 5, "2024-01-01")
        before = (self.client.next_bill_date, self.client.close_date, self.client.state)
        preview = self._what_if("close", "2024-01-20")
        # 11 of 31 days of the fee back; 20 of 31 units included, of 40 used.
        self.assertEqual(
            sorted(preview.charge_ids.filtered("feature_id").mapped("amount")), [-11, 20]
        )
        self.assertEqual((preview.state, preview.bill_date), ("preview", date(2024, 1, 21)))
        self.assertIn("Close: 01/20/2024", preview.assumption)
        self.env.invalidate_all()
        self.assertEqual(
            (self.client.next_bill_date, self.client.close_date, self.client.state), before
        )
        # The next bill, as it is: 9 units over, and February's fee.
        plain = self.client.preview_statement("2024-02-01")
        self.assertFalse(plain.assumption or preview.exists())
        self.assertEqual(sorted(plain.charge_ids.filtered("feature_id").mapped("amount")), [9, 31])

    def test_what_would_be_is_what_comes(self):
        """What a preview says is what the bill comes to once the change is made."""
        gold = self.env["reseller.client.group"].create(
            {"name": "Gold", "reseller_id": self.reseller.id}
        )
        self._create_rule(group_id=gold.id, recurring_fee=62, unit_price=0.5)
        self._run("2024-01-01")
        self._use("2024-01-05", 40, client="S")
        day = "2024-01-16"
        for change, values in (
            ("pause", {}),
            ("group", {"group_id": gold.id}),
            ("close", {}),
        ):
            with self.subTest(change=change), self.env.cr.savepoint() as savepoint:
                preview = self._what_if(change, day, **values)
                said = (preview.bill_date, preview.kind, preview.amount_total)
                names = preview.charge_ids.mapped("name")
                self._change(self.client, change, day, **values)
                self._run("2024-02-01")
                bill = self._statement(self.client, said[0])
                self.assertEqual((bill.bill_date, bill.kind, bill.amount_total), said)
                self.assertEqual(bill.charge_ids.mapped("name"), names)
                self.assertAgrees(bill)
                savepoint.rollback()

    def test_a_trial_is_extended(self):
        feature = self._create_feature("t")
        with freeze_time("2024-01-05 12:00:00"):
            with self.assertRaisesRegex(UserError, "no running trial"):
                self._change(self.client, "trial", "2024-01-20")
            self._create_rule(feature, recurring_fee=31, trial_days=10)
        over = self._create_feature("over")
        self._create_rule(over, recurring_fee=31, trial_days=3)
        self._run("2024-01-01")
        first = self._statement(self.client, "2024-01-01")
        self.assertEqual(self._amounts(first)["t", "recurring"], "21.00")
        self.assertEqual(self._amounts(first)["over", "recurring"], "28.00")
        with freeze_time("2024-01-08 12:00:00"):
            with self.assertRaisesRegex(UserError, "lasts until 2024-01-10"):
                self._change(self.client, "trial", "2024-01-10")
            preview = self._what_if("trial", "2024-01-15")
            # Five days of the fee come back, beside February's 31.00; the trial that was over stays so.
            self.assertEqual(self._amounts(preview)["t", "recurring"], "26.00")
            self.assertEqual(self._amounts(preview)["over", "recurring"], "31.00")
            self.client.invalidate_recordset()
            self.assertFalse(self.client.trial_until)
            self._change(self.client, "trial", "2024-01-15")
        with freeze_time("2024-01-13 12:00:00"):
            # Once more: what was extended runs on.
            self._change(self.client, "trial", "2024-01-20")
        self._run("2024-02-01")
        bill = self._statement(self.client, "2024-02-01")
        self.assertEqual(self._amounts(bill)["t", "recurring"], "21.00")
        self.assertEqual(self._amounts(bill)["over", "recurring"], "31.00")
        self.assertAgrees(bill)
        # January is billed: its days stay as they are.
        with self.assertRaisesRegex(UserError, "billed until"):
            self.client.trial_until = "2024-02-10"

    def test_what_if_refuses_what_the_change_refuses(self):
        self._run("2024-02-01")
        with self.assertRaisesRegex(UserError, "billed until"):
            self._what_if("pause", "2024-01-10")
        # The bill of 1 March comes before one that shows it.
        with self.assertRaisesRegex(UserError, "bill of 2024-03-01 comes first"):
            self._what_if("pause", "2024-03-10")
        self.assertEqual(str(self._what_if("close", "2024-02-29").bill_date), "2024-03-01")
        draft = self._create_client("D", activate=False)
        with self.assertRaisesRegex(UserError, "activate it first"):
            self.env["reseller.statement"]._preview_if(draft, date(2024, 1, 1), lambda: None, "")
        other = self._create_client("T")
        wizard = self.env["reseller.client.change"].create(
            {
                "client_ids": [(6, 0, (self.client | other).ids)],
                "change": "pause",
                "date": "2024-02-10",
            }
        )
        with self.assertRaisesRegex(UserError, "Choose one client"):
            wizard.action_preview()

    # Dated back

    def _take_back(self, change, day, **values):
        """Make a change that takes billed days back as a manager does; return what was shown before."""
        wizard = (
            self.env["reseller.client.change"]
            .with_context(active_model="reseller.client", active_ids=self.client.ids)
            .create({"change": change, "date": day, **values})
        )
        service = self.client.membership_ids, self.client.membership_ids.mapped("date_to")
        self.assertEqual(wizard.action_apply()["res_id"], wizard.id)
        # Nothing has happened yet.
        self.env.invalidate_all()
        self.assertEqual(service[1], service[0].mapped("date_to"))
        self.assertFalse(self.client.rerate_from)
        shown = wizard.given_back
        # It holds for the day that was looked at.
        wizard.date = "2024-02-20"
        self.assertFalse(wizard.given_back)
        wizard.date = day
        wizard.action_apply()
        self.assertEqual(wizard.action_apply(), {"type": "ir.actions.act_window_close"})
        return shown

    def test_a_closing_dated_back_gives_back_what_was_billed(self):
        for ref, day, quantity in (("S", "2024-02-05", 12), ("S", "2024-02-15", 23)):
            self._use(day, quantity, client=ref)
        self._run("2024-03-01")
        # Of 35 in February 31 are included.
        self.assertEqual(
            self._bills(self.client),
            [
                ("2024-01-01", "opening", "31.00"),
                ("2024-02-01", "cycle", "31.00"),
                ("2024-03-01", "cycle", "35.00"),
            ],
        )
        preview = self._what_if("close", "2024-02-10")
        shown = self._take_back("close", "2024-02-10")
        # February: 31 × 10 / 29 = 10.69 stay of 31.00, 12 used stay free or are 1.00 each: 31 × 10 / 29
        # = 11 are included, so that 1 is payable where 4 were. March goes back whole.
        self.assertIn("$ 54.31 are given back", shown.replace("\xa0", " "))
        self.assertEqual((preview.bill_date, preview.amount_total), (date(2024, 3, 1), -54.31))
        self.assertEqual(
            (self.client.next_bill_date, self.client.state), (date(2024, 3, 1), "active")
        )
        self._run("2024-03-05")
        final = self.client.statement_ids.sorted("id")[-1]
        self.assertEqual(
            (final.kind, final.bill_date, final.amount_total), ("final", date(2024, 3, 1), -54.31)
        )
        self.assertEqual(final.invoice_id.move_type, "out_refund")
        self.assertAgrees(final)
        self.assertEqual(
            sorted((charge.kind, charge.amount) for charge in final.charge_ids),
            [("overage", -3), ("recurring", -31), ("recurring", -20.31)],
        )
        self.assertEqual((self.client.state, self.client.close_date), ("closed", date(2024, 2, 10)))
        # Voided, it is made once more; nothing else comes.
        final.invoice_id.button_cancel()
        self.assertEqual(self.client.state, "active")
        self._run("2024-04-10")
        again = self._bills(self.client)
        self.assertEqual(again[-1], ("2024-03-01", "final", "-54.31"))
        self.assertEqual(len(again), 4)
        # Days after it are free to be served again.
        self.client.action_reopen("2024-03-21")
        self._run("2024-04-21")
        self.assertEqual(
            self._bills(self.client)[4:],
            [("2024-03-21", "opening", "31.00"), ("2024-04-21", "cycle", "31.00")],
        )

    def test_who_may_date_a_closing_back_and_how_far(self):
        self._run("2024-03-01")
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-03-01"):
            self.client.action_close("2024-02-10")
        user = self._create_billing_user("back-user")
        as_user = self.client.with_user(user)
        with self.assertRaises(AccessError):
            as_user.action_close("2024-02-10", dated_back=True)
        wizard = self.env["reseller.client.change"].with_user(user)
        wizard = wizard.create(
            {"client_ids": self.client.ids, "change": "close", "date": "2024-02-10"}
        )
        with self.assertRaises(ValidationError):
            wizard.action_apply()
        # What a request's context says opens nothing.
        for forged in (True, "DATED_BACK", 1):
            row = self.client.membership_ids.with_context(reseller_dated_back=forged)
            with self.assertRaises(ValidationError), self.env.cr.savepoint():
                row.date_to = "2024-02-10"
        with freeze_time("2024-05-01 12:00:00"):
            self.company.reseller_late_days = 62
            with self.assertRaisesRegex(UserError, "credit it by hand"):
                self.client.action_close("2024-02-10", dated_back=True)
            self.client.action_close("2024-02-29", dated_back=True)
        self.assertEqual(self.client.close_date, date(2024, 2, 29))

    def test_switching_off_dated_back(self):
        extra = self._create_feature("extra")
        self._create_rule(extra, recurring_fee=29, enrolment="opt_in")
        everyone = self._create_feature("everyone")
        self._create_rule(everyone, recurring_fee=58)
        self.env["reseller.client.feature"].create(
            {
                "client_id": self.client.id,
                "feature_id": extra.id,
                "date_from": "2024-02-01",
                "quantity": 2,
            }
        )
        self._run("2024-03-01")
        self.assertEqual(
            self._amounts(self._statement(self.client, "2024-03-01")),
            {
                ("unit", "recurring"): "31.00",
                ("extra", "recurring"): "58.00",
                ("everyone", "recurring"): "58.00",
            },
        )
        with self.assertRaisesRegex(ValidationError, "first free day is 2024-03-01"):
            self.client.action_switch_off(extra, "2024-02-19")
        # February: 10 of 29 days of 2 × 29.00 back; March whole.
        shown = self._take_back("switch_off", "2024-02-19", feature_id=extra.id)
        self.assertIn("$ 78.00 are given back", shown.replace("\xa0", " "))
        self.client.action_switch_off(everyone, "2024-02-28", dated_back=True)
        self._run("2024-04-01")
        statement = self._statement(self.client, "2024-04-01")
        # Of what everyone has 1 of 29 days of 58.00, and March whole.
        self.assertEqual(
            self._amounts(statement),
            {
                ("unit", "recurring"): "31.00",
                ("extra", "recurring"): "-78.00",
                ("everyone", "recurring"): "-60.00",
            },
        )
        self.assertAgrees(statement)
        self._run("2024-05-01")
        self.assertEqual(
            self._amounts(self._statement(self.client, "2024-05-01")),
            {("unit", "recurring"): "31.00"},
        )

    def test_what_a_draft_price_would_come_to(self):
        draft = self._create_rule(
            recurring_fee=93, included_quantity=31, unit_price=2, active=False
        )
        self._run("2024-01-01")
        self._use("2024-01-20", 36, client="S")
        prices = self.env["reseller.price.rule"].search([])
        preview = self._what_if("price", "2024-01-16", draft_id=draft.id)
        # 16 of 31 days of January at 93.00 instead of 31.00: 48.00 − 16.00. Five of 36 used are over the 31
        # included, at 2.00; February at 93.00.
        self.assertEqual(
            (str(preview.bill_date), preview.amount_total), ("2024-02-01", 32 + 10 + 93)
        )
        self.assertEqual(self.env["reseller.price.rule"].search([]), prices)
        self.assertFalse(prices.filtered("date_to"))
        with self.assertRaisesRegex(UserError, "tried by What If"):
            self._change(self.client, "price", "2024-01-16", draft_id=draft.id)
        with self.assertRaisesRegex(UserError, "Choose the draft"):
            self._what_if("price", "2024-01-16")

    # At once

    def test_an_upgrade_is_billed_at_once(self):
        gold = self.env["reseller.client.group"].create(
            {"name": "Gold", "reseller_id": self.reseller.id}
        )
        self._create_rule(group_id=gold.id, recurring_fee=62, included_quantity=62, unit_price=1)
        seat = self._create_feature("seat")
        self._create_rule(seat, recurring_fee=15.5, enrolment="opt_in")
        self._run("2024-01-01")
        self._use("2024-01-10", 40, client="S")
        with freeze_time("2024-01-21 12:00:00"):
            self._change(self.client, "group", "2024-01-21", group_id=gold.id, bills_now=True)
            # Eleven of 31 days at 62.00 instead of 31.00; of 40 used on the 10th 31 were included then.
            instant = self.client.statement_ids.sorted("id")[-1]
            self.assertEqual(
                (instant.kind, instant.name, str(instant.bill_date)),
                ("instant", "S/2024-01-21/I", "2024-01-21"),
            )
            self.assertEqual(
                (str(instant.period_start), str(instant.period_end)), ("2024-01-01", "2024-01-20")
            )
            self.assertEqual(
                [(one.kind, one.amount) for one in instant.charge_ids.filtered("amount")],
                [("recurring", -11), ("recurring", 22), ("overage", 9)],
            )
            self.assertEqual(instant.invoice_id.amount_untaxed, 20)
            self.assertEqual(str(self.client.next_bill_date), "2024-02-01")
            with self.assertRaisesRegex(UserError, "choose a day after that"):
                self.client.action_bill_now("2024-01-20")
        with freeze_time("2024-01-25 12:00:00"):
            self._change(
                self.client, "enrol", "2024-01-25", feature_id=seat.id, quantity=2, bills_now=True
            )
            # 7 of 31 days of two seats.
            self.assertEqual(self.client.statement_ids.sorted("id")[-1].amount_total, 7)
            with self.assertRaisesRegex(UserError, "was made at once on that day"):
                self.client.action_bill_now("2024-01-25")
            user = self._create_billing_user("instant-user")
            with self.assertRaises(AccessError):
                self.client.with_user(user).action_bill_now()
        with freeze_time("2024-01-27 12:00:00"):
            refused = self.assertRaisesRegex(UserError, "Nothing of Client S is due")
            with refused, self.env.cr.savepoint():
                self.client.action_bill_now()
        self._use("2024-01-28", 10, client="S")
        # An instant bill that is void is made again with its own date, and what follows after it.
        last = self.client.statement_ids.sorted("id")[-1]
        last.invoice_id.button_cancel()
        self.assertEqual(str(self.client.next_bill_date), "2024-01-25")
        self._run("2024-02-01")
        self.assertEqual(
            self._bills(self.client),
            [
                ("2024-01-01", "opening", "31.00"),
                ("2024-01-21", "instant", "20.00"),
                ("2024-01-25", "instant", "7.00"),
                # 10 of the 11 units are used that gold has added; February: 62.00 and two seats.
                ("2024-02-01", "cycle", "93.00"),
            ],
        )
        with freeze_time("2024-03-05 12:00:00"), self.assertRaisesRegex(UserError, "comes first"):
            self.client.action_bill_now()

    def test_at_once_on_the_first_day_of_a_cycle_and_of_service(self):
        seat = self._create_feature("seat")
        self._create_rule(seat, recurring_fee=10, enrolment="opt_in")
        self._run("2024-01-01")
        with freeze_time("2024-01-01 18:00:00"):
            self.client.action_enrol(seat, 1, "2024-01-01")
            first = self.client.action_bill_now()
        self._run("2024-02-01")
        with freeze_time("2024-02-01 18:00:00"):
            self.client.action_enrol(seat, 3, "2024-02-01")
            second = self.client.action_bill_now()
        self.assertEqual(
            [(one.kind, str(one.bill_date), one.amount_total) for one in first | second],
            [("instant", "2024-01-01", 10), ("instant", "2024-02-01", 20)],
        )
        # Made again by a run that is reviewed, it is what it was.
        second.invoice_id.button_cancel()
        run = self.env["reseller.billing.run"].create({"date": "2024-02-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        run.action_approve()
        while run._process_batch():
            pass
        again = self.client.statement_ids.sorted("id")[-1]
        self.assertEqual((again.kind, again.state, again.amount_total), ("instant", "invoiced", 20))
        self._run("2024-03-01")
        self.assertEqual(self._statement(self.client, "2024-03-01").amount_total, 61)
        self.company.reseller_approver_differs = True
        with freeze_time("2024-03-05 12:00:00"), self.assertRaisesRegex(UserError, "somebody else"):
            self.client.action_bill_now()

    def test_a_quantity_ends_when_it_would_have_ended(self):
        seat = self._create_feature("seat")
        enrolments = self.env["reseller.client.feature"]

        def rows():
            found = enrolments.search([("client_id", "=", self.client.id)], order="date_from")
            return [(str(one.date_from), str(one.date_to), one.quantity) for one in found]

        for first, last, quantity in (("2024-01-01", "2024-06-30", 2), ("2024-09-01", False, 5)):
            enrolments.create(
                {
                    "client_id": self.client.id,
                    "feature_id": seat.id,
                    "date_from": first,
                    "date_to": last,
                    "quantity": quantity,
                }
            )
        self.client.action_enrol(seat, 3, "2024-03-01")
        self.assertEqual(
            rows(),
            [
                ("2024-01-01", "2024-02-29", 2),
                ("2024-03-01", "2024-06-30", 3),
                ("2024-09-01", "False", 3),
            ],
        )
        # Between two, it begins earlier.
        self.client.action_enrol(seat, 4, "2024-08-01")
        self.assertEqual(rows()[2:], [("2024-08-01", "2024-08-31", 4), ("2024-09-01", "False", 4)])
        self.client.action_switch_off(seat, "2024-03-31")
        self.assertEqual(rows(), [("2024-01-01", "2024-02-29", 2), ("2024-03-01", "2024-03-31", 3)])
