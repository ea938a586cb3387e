from datetime import date
from unittest.mock import patch

from freezegun import freeze_time
from odoo.exceptions import UserError
from odoo.tests import Form

from ..common import ResellerBillingCommon


class TestRun(ResellerBillingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._create_rule(recurring_fee=10, unit_price=1)

    def test_missed_dates_are_caught_up_one_statement_each(self):
        run = self._run("2024-03-15")
        self.assertEqual(
            sorted(run.statement_ids.mapped("bill_date")),
            [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)],
        )
        self.assertEqual(run.state, "done")
        self.assertEqual((run.done_count, run.parked_count, run.remaining_count), (3, 0, 0))
        # The invoices carry the run's date.
        self.assertEqual(
            set(run.statement_ids.invoice_id.mapped("invoice_date")), {date(2024, 3, 15)}
        )
        self.assertFalse(self._run("2024-03-15").statement_ids)

    def test_a_batch_goes_through_whole_where_some_have_no_invoice(self):
        other = self._create_reseller("R2", invoice_to="none")
        own = self._create_client("B", reseller_id=other.id)
        logger = "odoo.addons.reseller_billing.models.billing.reseller_billing_run"
        with self.assertNoLogs(logger, level="INFO"):
            self._run("2024-02-01")
        self.assertEqual(len(self.client_a.statement_ids), 2)
        self.assertEqual(own.statement_ids.mapped("state"), ["approved"] * 2)
        items = self.env["reseller.manual.charge"].create(
            [
                {"client_id": client.id, "name": "Visit", "unit_price": price, "date": "2024-02-02"}
                for client, price in ((self.client_a, 5), (own, 5), (self._create_client("C"), 0))
            ]
        )
        with freeze_time("2024-02-02 12:00:00"):
            items.action_bill_now()
        self.assertEqual(
            items.statement_id.invoice_id.mapped("amount_total"),
            [5],
        )

    def test_an_account_is_due_when_its_own_day_and_the_delay_have_passed(self):
        client = self._create_client("LA", tz="America/Los_Angeles", start="2024-01-01")
        self._run("2024-01-10")
        # 1 February begins in Los Angeles at 08:00 UTC; the delay is 24 hours.
        with freeze_time("2024-02-02 07:59:00"):
            self._run("2024-02-02")
            self.assertEqual(client.next_bill_date, date(2024, 2, 1))
            self.assertEqual(self.client_a.next_bill_date, date(2024, 3, 1))
        with freeze_time("2024-02-02 08:01:00"):
            self._run("2024-02-02")
            self.assertEqual(client.next_bill_date, date(2024, 3, 1))

    def test_what_waits_for_the_delay_is_named_and_can_be_billed_all_the_same(self):
        self.client_a.unlink()
        self.company.reseller_billing_delay = 24
        client = self._create_client("W", start="2024-03-01")
        client.tz = "Europe/Berlin"
        with freeze_time("2024-03-01 06:00:00"):
            run = self._run("2024-03-01")
            self.assertFalse(run.statement_ids)
            self.assertIn("Not due yet, since bills wait 24 hours", run.waiting_text)
            self.assertIn("Client W", run.waiting_text)
            # The day after, where the client is.
            self.assertRegex(run.waiting_text, r"3/2/24, 12:00\s?AM \(Europe/Berlin\)")
            run.action_bill_now()
            self.assertEqual(run.remaining_count, 1)
            while run._process_batch():
                pass
            self.assertEqual(run.statement_ids.mapped("amount_total"), [10.0])
            self.assertFalse(run.waiting_text)

    def test_a_run_whose_accounts_are_all_parked_is_not_done(self):
        receivable = self.client_a.partner_id.property_account_receivable_id
        self.client_a.partner_id.property_account_receivable_id = False
        run = self._run("2024-01-01")
        self.assertEqual((run.state, run.parked_count), ("draft", 1))
        self.client_a.partner_id.property_account_receivable_id = receivable
        run.action_retry_parked()
        while run._process_batch():
            pass
        self.assertEqual((run.state, run.done_count), ("done", 1))

    def test_failing_accounts_are_parked_with_reasons_and_the_others_billed(self):
        clients = [self._create_client(f"C{number}") for number in range(5)]
        product = self.env["product.product"].create({"name": "Old", "type": "service"})
        other = self._create_feature("archived", product_id=product.id)
        self._create_rule(other, recurring_fee=1, enrolment="opt_in", pricing_model="unlimited")
        self.env["reseller.client.feature"].create(
            {"client_id": clients[3].id, "feature_id": other.id, "date_from": "2024-01-01"}
        )
        product.active = False
        run = self._run("2024-01-15")
        parked = {line.client_id: line.reason for line in run.parked_line_ids}
        self.assertEqual(list(parked), [clients[3]])
        self.assertIn("is archived", parked[clients[3]])
        self.assertEqual(run.done_count + run.parked_count, 6)
        # Mended and tried again, nothing is left and nothing is billed twice.
        product.active = True
        run.action_retry_parked()
        while run._process_batch():
            pass
        self.assertEqual((run.done_count, run.parked_count), (6, 0))
        self.assertEqual(len(run.statement_ids.invoice_id), 6)

    def test_what_another_addon_keeps_from_being_posted_is_parked(self):
        held = self._create_client("HELD")
        moves = type(self.env["account.move"])
        post = moves.action_post

        def ask_first(moves):
            # As OCA's account_financial_risk does where a payer is over its limit.
            if held.partner_id in moves.partner_id:
                return {"type": "ir.actions.act_window", "name": "Partner risk exceeded"}
            return post(moves)

        with patch.object(moves, "action_post", ask_first):
            run = self._run("2024-01-01")
        self.assertEqual(run.statement_ids.client_id, self.client_a)
        self.assertEqual(run.statement_ids.invoice_id.mapped("state"), ["posted"])
        self.assertEqual(run.parked_line_ids.client_id, held)
        self.assertIn("asks first (Partner risk exceeded)", run.parked_line_ids.reason)
        run.action_retry_parked()
        while run._process_batch():
            pass
        self.assertEqual((run.done_count, run.parked_count), (2, 0))

    def test_a_partner_without_receivable_account_parks(self):
        default = self.env["ir.default"].search(
            [("field_id.name", "=", "property_account_receivable_id")]
        )
        values = default.mapped("json_value")
        default.json_value = "false"
        run = self._run("2024-01-15")
        self.assertIn("no receivable account", run.parked_line_ids.reason)
        for row, value in zip(default, values, strict=True):
            row.json_value = value
        run.action_retry_parked()
        run._process_batch()
        self.assertEqual((run.done_count, run.parked_count), (1, 0))

    def test_a_locked_period_parks(self):
        self.company.fiscalyear_lock_date = "2024-01-31"
        run = self._run("2024-01-15")
        self.assertIn("locked period", run.parked_line_ids.reason)
        self.assertEqual(self.client_a.next_bill_date, date(2024, 1, 1))
        later = self._run("2024-02-01")
        self.assertEqual(later.parked_count, 0)

    def test_a_period_locked_for_taxes_is_open_to_bills_without(self):
        self.company.tax_lock_date = "2024-01-31"
        self.assertEqual(self._run("2024-01-01").parked_count, 0)
        self.product.taxes_id = self.env["account.tax"].create({"name": "10 %", "amount": 10})
        taxed = self._create_client("B")
        run = self._run("2024-01-02")
        self.assertEqual(run.parked_line_ids.client_id, taxed)
        self.assertIn("locked period", run.parked_line_ids.reason)
        self.assertEqual(self._run("2024-02-01").parked_count, 0)

    def test_who_gets_the_invoice(self):
        self._use("2024-01-05", 5)
        self.reseller.invoice_to = "reseller"
        self._run("2024-01-01")
        opening = self._statement(self.client_a, "2024-01-01")
        self.assertEqual(opening.invoice_id.partner_id, self.reseller.partner_id)
        self.reseller.invoice_to = "none"
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        self.assertFalse(statement.invoice_id)
        self.assertEqual((statement.state, statement.amount_total), ("approved", 15.0))
        statement.action_void()
        self.reseller.invoice_to = "client"
        self._run("2024-02-01")
        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        self.assertEqual(invoice.partner_id, self.client_a.partner_id)
        with self.assertRaisesRegex(UserError, "Cancel the invoice"):
            invoice.reseller_statement_id.action_void()

    def test_invoice_address_and_terms_come_from_the_partner_unless_set_by_hand(self):
        address = self.env["res.partner"].create(
            {"name": "Accounts", "type": "invoice", "parent_id": self.client_a.partner_id.id}
        )
        terms = self.env.ref("account.account_payment_term_30days")
        self.client_a.partner_id.property_payment_term_id = terms
        self._run("2024-01-01")
        invoice = self._statement(self.client_a, "2024-01-01").invoice_id
        self.assertEqual((invoice.partner_id, invoice.invoice_payment_term_id), (address, terms))
        by_hand = self.env.ref("account.account_payment_term_15days")
        self.client_a.contract_id.payment_term_id = by_hand
        self._run("2024-02-01")
        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        self.assertEqual(invoice.invoice_payment_term_id, by_hand)

    def test_a_preview_shows_the_bill_and_claims_nothing(self):
        self._use("2024-01-05", 5)
        preview = self.client_a.preview_statement("2024-02-01")
        self.assertEqual(preview.state, "preview")
        # January's and February's fee, and 5 × 1.00.
        self.assertEqual(preview.amount_total, 25.0)
        self.assertFalse(self.env["reseller.usage.daily"].search([("statement_id", "!=", False)]))
        self.assertEqual(self.client_a.next_bill_date, date(2024, 1, 1))
        again = self.client_a.preview_statement("2024-02-01")
        self.assertFalse(preview.exists())
        self._run("2024-02-01")
        billed = self.client_a.statement_ids - again
        self.assertEqual(sum(billed.mapped("amount_total")), 25.0)
        with self.assertRaisesRegex(UserError, "billed until"):
            self.client_a.preview_statement("2024-01-31")

    def test_calendar_cycles_of_an_account_that_joins_inside_one(self):
        client = self._create_client("J", start="2024-01-20", billing_anchor="month")
        rule = self.env["reseller.price.rule"].search([("feature_id", "=", self.feature.id)])
        self.assertEqual(rule.recurring_fee, 10)
        self._run("2024-03-01")
        self.assertEqual(
            [
                (one.kind, one.bill_date, one.amount_total)
                for one in client.statement_ids.sorted("id")
            ],
            [
                ("opening", date(2024, 1, 20), 3.87),  # 10 − round(10 × 19/31)
                ("cycle", date(2024, 2, 1), 10.0),
                ("cycle", date(2024, 3, 1), 10.0),
            ],
        )

    def test_a_run_is_stopped_and_goes_on(self):
        for number in range(4):
            self._create_client(f"S{number}")
        run = self.env["reseller.billing.run"].create({"date": "2024-01-15"})
        run.action_start()
        self.assertEqual(run._process_batch(limit=2), 3)
        run.action_stop()
        self.assertEqual((run.state, run.done_count, run.remaining_count), ("draft", 2, 3))
        run.action_start()
        with self.assertRaisesRegex(UserError, "running already"):
            run.action_start()
        while run._process_batch(limit=2):
            pass
        self.assertEqual((run.state, run.done_count), ("done", 5))

    def test_forms_open_and_save(self):
        with Form(self.env["reseller.client"]) as form:
            form.partner_id = self.client_a.partner_id
            form.reseller_id = self.reseller
            form.ref = "FORM"
            with form.membership_ids.new() as row:
                row.date_from = "2024-05-01"
        client = form.save()
        client.action_activate()
        self.assertEqual(client.next_bill_date, date(2024, 5, 1))
        with Form(self.env["reseller.price.rule"]) as form:
            form.feature_id = self._create_feature("formed")
            form.client_id = client
            form.pricing_model = "graduated"
            with form.tier_ids.new() as tier:
                tier.up_to = 10
                tier.unit_price = 1
            with form.tier_ids.new() as tier:
                tier.is_last = True
                tier.unit_price = 0.5
        self.assertEqual(form.save().scope, "client")
        with Form(self.env["reseller.billing.run"]) as form:
            form.date = "2024-01-15"
        self.assertEqual(form.save().remaining_count, 1)
