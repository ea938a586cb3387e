from datetime import date

from odoo.exceptions import UserError, ValidationError

from .common import ResellerBillingCommon


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
            self._change(self.client, "close", "2024-01-20")

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
