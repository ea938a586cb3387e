from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from ..common import ResellerBillingCommon


class TestFirstHour(ResellerBillingCommon):
    """What somebody who bills for the first time is told: by prices, runs, and events."""

    def _start_text(self, **values):
        price = Form(self.env["reseller.price.rule"])
        price.feature_id = self.feature
        for name, value in values.items():
            price[name] = value
        return price.start_text

    @freeze_time("2024-01-20 12:00:00")
    def test_a_first_price_says_what_its_first_day_leaves_and_brings(self):
        self._use("2024-01-05", 250)
        self._use("2024-01-17", 3)
        text = self._start_text(recurring_fee=30, date_from="2024-01-16")
        self.assertIn("Accounts served since 01/01/2024 without a price of Unit: 1.", text)
        self.assertIn("Before 01/16/2024, 250 units of their use stay without a price.", text)
        # Of January's 30.00, 15 of 31 days: 14.5161.
        self.assertIn("$\N{NO-BREAK SPACE}14.52 more", text.replace("$ ", "$\N{NO-BREAK SPACE}"))
        # From its first day, or since ever, it has all of them; the fee is due in advance, whole.
        for day in ("2024-01-01", False):
            text = self._start_text(recurring_fee=30, date_from=day)
            self.assertIn("This price bills 253 units of their use before today.", text)
            self.assertIn("30.00 until today", text)
        # No words where nothing is left: for others, and where a price was before.
        other = self._create_client("B", start="2024-01-20")
        self.assertFalse(self._start_text(client_id=other, date_from="2024-01-20"))
        made = self._create_rule(unit_price=1, date_from="2024-01-01", client_id=self.client_a.id)
        self.assertFalse(self._start_text(client_id=self.client_a, date_from="2024-02-01"))
        self.assertFalse(Form(made).start_text)

    @freeze_time("2024-01-20 12:00:00")
    def test_what_it_says_is_what_bills_do(self):
        """The fees that it names are those of the next bills, day by day of the price's start."""
        for first, more in (
            ("2024-01-01", "30.00"),
            ("2024-01-11", "20.32"),
            ("2024-01-31", "0.97"),
        ):
            text = self._start_text(recurring_fee=30, date_from=first)
            rule = self._create_rule(recurring_fee=30, date_from=first)
            with self.env.cr.savepoint() as savepoint:
                run = self._run("2024-01-20")
                [fee] = run.statement_ids.charge_ids
                self.assertEqual(f"{fee.amount:.2f}", more)
                savepoint.rollback()
            self.env.invalidate_all(flush=False)
            rule.unlink()
            if first == "2024-01-01":
                self.assertIn(f"{more} until today", text)
            else:
                self.assertIn(f"{30 - float(more):.2f} more", text)

    def test_billed_days_have_fees_on_request_alone(self):
        with freeze_time("2024-02-10 12:00:00"):
            self._run("2024-02-01")  # January is billed, without a price
            text = self._start_text(recurring_fee=30, date_from="2024-02-05")
            self.assertFalse(text)  # nothing is used, and earlier fees are no choice that is free
            self._use("2024-02-02", 4)
            text = self._start_text(recurring_fee=30, date_from="2024-02-05")
            self.assertIn("Before 02/05/2024, 4 units", text)
            self.assertNotIn("more", text)
            # February has 29 days: 30.00 less 25 of them, 25.86, are 4.14; and January's 30.00.
            text = self._start_text(recurring_fee=30, date_from="2024-02-05", bills_past_fees=True)
            self.assertIn("34.14 more", text)
            # One that ends before today bills no more than its days.
            text = self._start_text(recurring_fee=0, date_from="2024-01-01", date_to="2024-02-01")
            self.assertFalse(text)

    def test_a_run_with_nothing_to_do_says_why(self):
        self.company.reseller_billing_delay = 24
        with freeze_time("2024-01-01 06:00:00"):
            run = self._run("2024-01-01")
            self.assertFalse(run.nothing_due_text)
            action = run.action_view_waiting()
            self.assertEqual(self.env["reseller.client"].search(action["domain"]), self.client_a)
        with freeze_time("2024-01-03 06:00:00"):
            self._run("2024-01-03")
            run = self._run("2024-01-03")
            self.assertIn("by 01/03/2024. The next bill is that of Client A", run.nothing_due_text)
            self.assertIn("on 02/01/2024", run.nothing_due_text)
        self.client_a.action_close("2024-01-31")
        self._run("2024-03-03")
        run = self._run("2024-03-03")
        self.assertIn("No account is active", run.nothing_due_text)

    def test_what_is_due_is_shown_and_billed_from_there(self):
        self._create_rule(recurring_fee=10)
        runs = self.env["reseller.billing.run"]
        other = self._create_client("C")
        due = self.env["reseller.client"].search(runs.action_view_due()["domain"])
        self.assertEqual(due, self.client_a | other)

        def bill(action):
            run = runs.browse(action["res_id"])
            run.action_start()
            while run._process_batch():
                pass
            return run

        # Those that are chosen alone; once more opens the same run.
        chosen = self.client_a.action_bill_due()["res_id"]
        self.assertEqual(runs.browse(chosen).remaining_count, 1)
        self.assertEqual(self.client_a.action_bill_due()["res_id"], chosen)
        self.assertNotEqual(due.action_bill_all_due()["res_id"], chosen)
        bill(self.client_a.action_bill_due())
        self.assertTrue(self.client_a.statement_ids)
        self.assertFalse(other.statement_ids)
        with self.assertRaisesRegex(UserError, "None of these accounts is due now"):
            self.client_a.action_bill_due()
        with self.assertRaisesRegex(UserError, "is under way"):
            runs.browse(chosen).client_ids = other
        # It says nothing of others, and is compared with nothing.
        mine = runs.browse(chosen)
        self.assertIn("(1 chosen)", mine.name)
        self.assertNotIn(other, mine.missing_client_ids)
        self.assertEqual(mine.copy().client_ids, self.client_a)
        whole = bill(due.action_bill_all_due())
        self.assertFalse(mine._find_former())
        self.assertNotEqual(whole._find_former(), mine)
        # What it bills is not deleted beneath it: it would bill all.
        new = self._create_client("new", activate=False)
        runs.create({"date": "2024-03-01", "client_ids": [fields.Command.set(new.ids)]})
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.env.cr.savepoint(),
        ):
            new.unlink()
            self.env.flush_all()
        self.assertTrue(other.statement_ids)
        with self.assertRaisesRegex(UserError, "No account is due now"):
            due.action_bill_all_due()
        with self.assertRaises(AccessError):
            due.with_user(self._create_billing_user("clerk")).action_bill_due()

    def test_a_parked_account_opens(self):
        self._create_rule(recurring_fee=10)
        self.client_a.partner_id.property_account_receivable_id = False
        run = self._run("2024-01-01")
        self.assertEqual(run.parked_line_ids.action_open_client()["res_id"], self.client_a.id)

    def test_all_that_is_wrong_with_an_event_is_said_at_once(self):
        lines = self.env["reseller.usage.line"]
        event = self._event("2024-01-05", "many", client="nobody", feature="nothing")
        outcome = lines.ingest([{**event, "time": "yesterday", "properties": "none"}])
        [rejected] = outcome["rejected"]
        for part in (
            "no client with reference nobody",
            "no feature with code nothing",
            "The time yesterday is not RFC 3339",
            "The quantity many is no decimal number",
            "The properties are no object",
        ):
            self.assertIn(part, rejected["reason"])
        rejection = self.env["reseller.usage.rejection"].search([])
        self.assertEqual(rejection.kind, "client")
        # What is wrong only beside what is stored is said alone.
        [rejected] = lines.ingest([self._event("2023-01-05", 1)])["rejected"]
        self.assertIn("is not served on 2023-01-05", rejected["reason"])

    def test_managers_alone_are_shown_the_way_to_the_first_bill(self):
        dashboard = self.env["reseller.dashboard"]
        done = {step["key"] for step in dashboard.get_data()["steps"] if step["done"]}
        self.assertEqual(done, {"reseller", "client"})
        clerk = self._create_billing_user("clerk")
        self.assertFalse(dashboard.with_user(clerk).get_data()["steps"])
        with self.assertRaises(AccessError):
            dashboard.with_user(clerk).get_step_action("price")
        with self.assertRaises(UserError):
            dashboard.get_step_action("nothing")
        for key in ("reseller", "price", "client", "meter", "run"):
            action = dashboard.get_step_action(key)
            # The form opens with what it proposes.
            Form(self.env[action["res_model"]].with_context(**action["context"]))
        preview = dashboard.get_step_action("preview")
        self.assertEqual(
            self.env["reseller.statement"].browse(preview["res_id"]).client_id, self.client_a
        )
        self._create_rule(recurring_fee=10)
        self._run("2024-01-01")
        self.assertFalse(dashboard.get_data()["steps"])
        stranger = new_test_user(self.env, "stranger", "base.group_user")
        with self.assertRaises(AccessError):
            dashboard.with_user(stranger).get_step_action("price")
