from datetime import date

from odoo.exceptions import UserError, ValidationError

from .common_service import ServiceCommon


class TestService(ServiceCommon):
    """The life of an account: pause, closing, reopening, taking over."""

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
