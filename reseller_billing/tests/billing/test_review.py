from odoo.exceptions import UserError
from odoo.tests import new_test_user

from ..common import ResellerBillingCommon


class TestReview(ResellerBillingCommon):
    """A run as a document: prepared, compared, approved, posted."""

    def setUp(self):
        super().setUp()
        self._create_rule(unit_price=1)
        self.clients = self.client_a | self._create_client("B") | self._create_client("C")
        for client, quantity in zip(self.clients, (10, 10, 10), strict=True):
            self._use("2024-01-05", quantity, client=client.ref)
        self.first = self._run("2024-02-01")
        self.company.write({"reseller_review_runs": True, "reseller_review_factor": 2})
        for client, quantity in zip(self.clients, (12, 21, 4), strict=True):
            self._use("2024-02-05", quantity, client=client.ref)

    def _prepare(self, date="2024-03-01"):
        run = self.env["reseller.billing.run"].create({"date": date})
        run.action_start()
        self._work(run)
        return run

    def _work(self, run):
        while run._process_batch():
            pass

    def _approve(self, run):
        run.action_approve()
        self._work(run)

    def test_a_preview_claims_nothing_and_names_outliers(self):
        self._create_client("NEW", start="2024-02-20")
        moves = self.env["account.move"].search_count([])
        run = self._prepare()
        self.assertEqual(run.state, "prepared")
        self.assertEqual(
            {
                statement.client_id.ref: (statement.comparison, statement.amount_total)
                for statement in run.preview_ids
            },
            {
                "A": ("usual", 12.0),
                "B": ("higher", 21.0),
                "C": ("lower", 4.0),
                "NEW": ("new", 0.0),
            },
        )
        self.assertEqual(run.outlier_count, 3)
        self.assertEqual(self.env["account.move"].search_count([]), moves)
        self.assertEqual(str(self.client_a.next_bill_date), "2024-03-01")
        # The live preview of a client is another thing, and stays possible.
        self.assertEqual(self.client_a.preview_statement("2024-03-01").amount_total, 12.0)
        run.action_discard()
        self.assertFalse(run.statement_ids)
        self.assertEqual(run.state, "draft")
        run.unlink()

    def test_approval_posts_what_was_shown_and_later_events_wait(self):
        run = self._prepare()
        self._use("2024-02-06", 5)
        self._approve(run)
        self.assertEqual(run.state, "done")
        self.assertEqual(sorted(run.statement_ids.mapped("amount_total")), [4.0, 12.0, 21.0])
        for statement in run.statement_ids:
            self.assertEqual(statement.state, "invoiced")
            self.assertAgrees(statement)
        run = self._prepare("2024-04-01")
        late = run.preview_ids.filtered(lambda one: one.client_id == self.client_a)
        self.assertEqual(self._amounts(late), {("unit", "usage"): "5.00"})
        self.assertEqual(late.charge_ids.adjusts_statement_id.bill_date.month, 3)

    def test_who_prepared_may_not_approve_where_two_must(self):
        self.company.reseller_approver_differs = True
        run = self._prepare()
        with self.assertRaisesRegex(UserError, "somebody else must approve"):
            run.action_approve()
        other = new_test_user(
            self.env,
            "second",
            "reseller_billing.group_billing_manager",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self._approve(run.with_user(other))
        self.assertEqual(run.approved_by_id, other)
        self.assertEqual(run.state, "done")

    def test_nobody_goes_round_the_second_person(self):
        self.company.reseller_approver_differs = True
        manager = new_test_user(
            self.env,
            "first",
            "reseller_billing.group_billing_manager",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        runs = self.env["reseller.billing.run"].with_user(manager)
        run = runs.create({"date": "2024-03-01"})
        run.action_start()
        self._work(run)
        for values in (
            {"state": "running"},
            {"prepared_by_ids": [(6, 0, [])]},
            {"approved_at": "2024-03-01 00:00:00"},
        ):
            with self.assertRaisesRegex(UserError, "Billing itself keeps"):
                run.write(values)
            with self.assertRaisesRegex(UserError, "Billing itself keeps"):
                runs.create({"date": "2024-03-01", **values})
        for values in ({"is_reviewed": False}, {"date": "2024-04-01"}):
            with self.assertRaisesRegex(UserError, "under way"):
                run.write(values)
        with self.assertRaisesRegex(UserError, "needs a review"):
            runs.create({"date": "2024-03-01", "is_reviewed": False})

    def test_what_is_prepared_anew_is_approved_anew(self):
        run = self._prepare()
        archived = self.clients[1].partner_id
        archived.property_account_receivable_id = False
        self._approve(run)
        self.assertEqual(run.parked_line_ids.client_id, self.clients[1])
        # Its preview is gone: nothing that was approved is left for it.
        run.preview_ids.sudo().unlink()
        run.action_retry_parked()
        self.assertEqual((run.state, run.approved_by_id.ids), ("preparing", []))
        self._work(run)
        self.assertEqual((run.state, run.preview_count), ("prepared", 1))
        self.assertFalse(self._statement(self.clients[1], "2024-03-01"))

    def test_what_changed_since_is_prepared_again(self):
        run = self._prepare()
        item = self.env["reseller.manual.charge"].create(
            {"client_id": self.client_a.id, "name": "x", "unit_price": 1, "date": "2024-02-05"}
        )
        run.action_discard()
        run.action_start()
        self._work(run)
        # As if the preview had been made a while ago, and the item billed by hand since.
        item.action_bill_now()
        self._run_sql(
            "UPDATE reseller_statement SET create_date = create_date - interval '1 hour', "
            "write_date = write_date - interval '1 hour'"
        )
        with self.assertRaisesRegex(UserError, "Prices have changed"):
            run.action_approve()
        self._run_sql("UPDATE reseller_price_rule SET write_date = write_date - interval '1 day'")
        self._run_sql(
            "UPDATE reseller_client_membership SET write_date = write_date - interval '1 day'"
        )
        self._approve(run)
        self.assertEqual(run.parked_line_ids.client_id, self.client_a)
        self.assertIn("prepare it again", run.parked_line_ids.reason)
        self.assertEqual(run.done_count, 2)
        # A bill that was made meanwhile is not made again.
        other = self.env["reseller.billing.run"].create(
            {"date": "2024-03-01", "is_reviewed": False}
        )
        other.action_start()
        self._work(other)
        run.action_retry_parked()
        self._work(run)
        self.assertIn("billed or voided since", run.parked_line_ids.reason)
        bills = self.client_a.statement_ids.filtered(
            lambda one: one.state == "invoiced" and str(one.bill_date) == "2024-03-01"
        )
        self.assertEqual(len(bills), 1)

    def test_retrying_posts_only_what_was_approved(self):
        run = self._prepare()
        run.action_retry_parked()
        self.assertEqual(run.state, "prepared")
        self._work(run)
        self.assertFalse(run.statement_ids.filtered(lambda one: one.state != "preview"))

    def test_what_is_gone_since_is_prepared_again(self):
        self._create_rule(
            self._create_feature("key"), recurring_fee=5, enrolment="opt_in", fee_timing="arrears"
        )
        row = self.env["reseller.client.feature"].create(
            {
                "client_id": self.client_a.id,
                "feature_id": self.env["reseller.feature"].search([("code", "=", "key")]).id,
                "date_from": "2024-02-01",
                "quantity": 3,
            }
        )
        run = self._prepare()
        row.unlink()
        self._approve(run)
        self.assertEqual(run.parked_line_ids.client_id, self.client_a)
        self.assertIn("have changed since", run.parked_line_ids.reason)

    def test_a_bill_that_was_void_and_made_again_since(self):
        self._use("2024-01-20", 10)
        run = self._prepare()
        # As if it had been made a while ago.
        self._run_sql(
            "UPDATE reseller_statement SET create_date = create_date - interval '1 hour' "
            "WHERE state = 'preview'"
        )
        for table in ("reseller_price_rule", "reseller_client_membership"):
            self._run_sql(f"UPDATE {table} SET write_date = write_date - interval '1 day'")
        self._run_sql(
            "UPDATE reseller_statement SET write_date = write_date - interval '1 day' "
            f"WHERE state != 'preview' AND client_id != {self.client_a.id}"
        )
        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        invoice.button_draft()
        invoice.button_cancel()
        other = self.env["reseller.billing.run"].create(
            {"date": "2024-02-15", "is_reviewed": False}
        )
        other.action_start()
        self._work(other)
        self.assertEqual(str(self.client_a.next_bill_date), "2024-03-01")
        self._approve(run)
        self.assertEqual(run.parked_line_ids.client_id, self.client_a)

    def _run_sql(self, query):
        self.env.flush_all()
        self.env.cr.execute(query)
        self.env.invalidate_all()

    def test_stop_resume_and_missing_accounts(self):
        run = self.env["reseller.billing.run"].create({"date": "2024-03-01"})
        run.action_start()
        run._process_batch(limit=2)
        run.action_stop()
        self.assertEqual((run.state, run.preview_count), ("draft", 2))
        run.action_start()
        self._work(run)
        self.assertEqual((run.state, run.preview_count), ("prepared", 3))
        run.action_approve()
        run._process_batch(limit=1)
        run.action_stop()
        self.assertEqual((run.state, run.done_count), ("prepared", 1))
        self._approve(run)
        self.assertEqual((run.state, run.done_count), ("done", 3))
        self.clients[1].action_close(self.clients[1].billed_until)
        following = self._prepare("2024-04-01")
        self._approve(following)
        last = self._prepare("2024-05-01")
        self.assertEqual(last.missing_client_ids, self.clients[1])

    def test_an_account_that_fails_is_parked_and_retried(self):
        receivable = self.clients[1].partner_id.property_account_receivable_id
        run = self._prepare()
        self.clients[1].partner_id.property_account_receivable_id = False
        self._approve(run)
        self.assertEqual(run.done_count, 2)
        self.assertIn("no receivable account", run.parked_line_ids.reason)
        self.clients[1].partner_id.property_account_receivable_id = receivable
        run.action_retry_parked()
        self._work(run)
        self.assertEqual((run.done_count, run.parked_count, run.state), (3, 0, "done"))

    def _second(self, login):
        return new_test_user(
            self.env,
            login,
            "reseller_billing.group_billing_manager",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )

    def test_everybody_who_prepared_is_kept_from_approving(self):
        unreviewed = self.env["reseller.billing.run"].create(
            {"date": "2024-03-01", "is_reviewed": False}
        )
        self.company.write({"reseller_review_runs": False, "reseller_approver_differs": True})
        # A run made before the setting does not slip by; new ones are reviewed by themselves.
        with self.assertRaisesRegex(UserError, "needs a review"):
            unreviewed.action_start()
        unreviewed.unlink()
        run = self.env["reseller.billing.run"].create({"date": "2024-03-01"})
        self.assertTrue(run.is_reviewed)
        first, second, third = (self._second(login) for login in ("p1", "p2", "p3"))
        run.with_user(first).action_start()
        run.with_user(first)._process_batch(limit=1)
        run.with_user(first).action_stop()
        run.with_user(second).action_start()
        self._work(run)
        with self.assertRaisesRegex(UserError, "is prepared"):
            run.with_user(third).action_start()
        for user in (first, second):
            with self.assertRaisesRegex(UserError, "somebody else must approve"):
                run.with_user(user).action_approve()
        # Who prepares anew what was parked has a part in it, too.
        receivable = self.clients[1].partner_id.property_account_receivable_id
        self.clients[1].partner_id.property_account_receivable_id = False
        self._approve(run.with_user(third))
        self.clients[1].partner_id.property_account_receivable_id = receivable
        run.preview_ids.sudo().unlink()
        run.with_user(third).action_retry_parked()
        self._work(run)
        with self.assertRaisesRegex(UserError, "somebody else must approve"):
            run.with_user(third).action_approve()
        self._approve(run.with_user(first))
        self.assertEqual((run.state, run.done_count), ("done", 3))

    def test_a_run_without_any_preview_names_all_as_missing(self):
        self.clients.sudo().next_bill_date = "2024-09-01"
        run = self._prepare()
        self.assertFalse(run.preview_ids)
        self.assertEqual(run.missing_client_ids, self.clients)

    def test_credits_are_compared_as_well(self):
        for quantity, date, comparison in (
            (-10, "2024-03-01", "lower"),
            (-10, "2024-04-01", "usual"),
            (-21, "2024-05-01", "lower"),
        ):
            month = int(date[5:7]) - 1
            self._use(f"2024-{month:02}-06", quantity - (12 if month == 2 else 0))
            run = self._prepare(date)
            mine = run.preview_ids.filtered(lambda one: one.client_id == self.client_a)
            self.assertEqual((mine.comparison, mine.amount_total), (comparison, quantity))
            self._approve(run)

    def test_a_reseller_that_changes_its_currency_before_the_approval(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        reseller = self._create_reseller("NEW")
        self._create_rule(recurring_fee=10, reseller_id=reseller.id)
        client = self._create_client("N", start="2024-03-01", reseller_id=reseller.id)
        run = self._prepare()
        reseller.currency_id = euro
        self._approve(run)
        self.assertEqual(run.parked_line_ids.client_id, client)
        self.assertIn("billed in EUR now", run.parked_line_ids.reason)

    def test_a_charge_by_hand_that_is_prepared_is_withdrawn_not_deleted(self):
        item = self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "name": "Visit",
                "unit_price": 5,
                "date": "2024-02-20",
            }
        )
        run = self._prepare()
        with self.assertRaisesRegex(UserError, "withdraw it instead"):
            item.unlink()
        item.action_withdraw()
        self._approve(run)
        self.assertEqual((run.done_count, run.parked_line_ids.client_id), (2, self.client_a))
        self.assertIn("charges by hand", run.parked_line_ids.reason)

    def test_a_draft_for_the_simulator_is_no_change_of_prices(self):
        run = self._prepare()
        self._create_rule(unit_price=9, active=False)
        self._approve(run)
        self.assertEqual((run.state, run.done_count), ("done", 3))
        run = self._prepare("2024-04-01")
        self._run_sql("UPDATE reseller_statement SET create_date = create_date - interval '1 day'")
        self._run_sql("UPDATE reseller_price_rule SET write_date = write_date - interval '2 days'")
        self._create_rule(unit_price=9, client_id=self.client_a.id, date_from="2024-05-01")
        with self.assertRaisesRegex(UserError, "Prices have changed"):
            run.action_approve()
