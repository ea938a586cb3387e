from datetime import date
from decimal import Decimal

from odoo.exceptions import UserError, ValidationError

from .common_service import ServiceCommon


class TestMoves(ServiceCommon):
    """Accounts that move to another reseller, and extra lines that go with them."""

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

    def test_what_a_group_has_billed_is_given_back_though_no_day_was_served_in_it(self):
        gold = self._create_feature("gold")
        price = self._create_rule(gold, group_id=self.group.id, recurring_fee=30)
        clients = [self._create_client(ref) for ref in ("G", "H")]
        for client in clients:
            client.action_move_to_group(self.group, "2024-03-01")
        self._run("2024-03-01")
        for client, is_archived in zip(clients, (False, True), strict=True):
            march = self._statement(client, "2024-03-01")
            self.assertEqual(Decimal(self._amounts(march)["gold", "recurring"]), 30)
            # No other price of this feature reaches the client any more, or none is there.
            client.action_close("2024-02-29", dated_back=True)
            self.assertNotIn(self.group, client.membership_ids.group_id)
            if is_archived:
                price.active = False
            self._run("2024-03-02")
            given = sum(
                Decimal(amount)
                for statement in client.statement_ids
                for (feature, _kind), amount in self._amounts(statement).items()
                if feature == "gold"
            )
            self.assertEqual(given, 0)

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
