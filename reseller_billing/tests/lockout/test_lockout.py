from contextlib import contextmanager

from freezegun import freeze_time
from odoo import Command
from odoo.addons.mail.tests.common import MailCommon
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user

from ..common import ResellerBillingCommon


class TestLockout(ResellerBillingCommon, MailCommon):
    """A client with an invoice of 100.00 that is due on 1 February 2024, and the shipped policy:
    warned from one day on, restricted from 10, locked from 21.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.reseller_billing_delay = 0
        cls.policy = cls.env.ref("reseller_billing.lockout_policy_client")
        cls.reseller.lockout_policy_id = cls.policy
        cls.client_a.partner_id.email = "a@example.com"
        cls.fee = cls._create_feature("fee")
        cls._create_rule(cls.fee, recurring_fee=100, fee_timing="advance", proration="none")
        cls._create_rule(cls.feature, unit_price=1, lockout_when_owing=True)
        cls.other = cls._create_feature("other")
        cls._create_rule(cls.other, unit_price=1)

    @classmethod
    def _bill(cls, date="2024-02-01"):
        """Bill the fees of January and February, and pay January's."""
        cls._bill_more("2024-01-01")
        first = cls.env["account.move"].search([("reseller_client_id", "!=", False)])
        with freeze_time("2024-01-01 12:00:00"):
            for move in first:
                cls._pay(move)
        cls._bill_more(date)
        return cls.env["account.move"].search([("reseller_client_id", "!=", False)]) - first

    @classmethod
    def _bill_more(cls, date):
        """Bill on the day itself, and come to the end of the transaction."""
        with freeze_time(f"{date} 12:00:00"):
            cls._run(date)
            cls.env.cr.flush()

    @classmethod
    def _pay(cls, invoice, amount=None):
        wizard = cls.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        )
        payments = wizard.create({"amount": amount} if amount else {})._create_payments()
        cls.env.cr.flush()  # the end of the transaction
        return payments

    @contextmanager
    def _on(self, day):
        """Be on a day, in whose first hour the scheduled action has come."""
        with freeze_time(f"{day} 01:00:00"):
            self.env["reseller.lockout"].sudo()._evaluate(  # as the scheduled action
                self.env["reseller.client"].browse(
                    self.env["reseller.client"]._find_lockout_candidates()
                )
            )
            self.env["reseller.lockout"].sudo()._evaluate(  # as above
                self.env["reseller.reseller"].browse(
                    self.env["reseller.reseller"]._find_lockout_candidates()
                )
            )
            yield

    def _look(self, client=None):
        """Return (state, whether a marked feature may be used, and another one)."""
        client = client or self.client_a
        self.env.cr.flush()  # the end of the transaction
        client.invalidate_recordset()
        return (
            client.lockout_state,
            client.authorize("unit")["allowed"],
            client.authorize("other")["allowed"],
        )

    def _history(self, debtor=None):
        return [
            (step.state_from, step.state_to, step.cause, step.owed, step.days_overdue)
            for step in reversed((debtor or self.client_a).lockout_ids.step_ids)
        ]

    def test_a_debt_climbs_the_ladder_and_paying_all_of_it_frees_at_once(self):
        invoice = self._bill()
        self.assertEqual(invoice.amount_total, 100)
        with self._on("2024-02-01"):
            self.assertEqual(self._look(), ("clear", True, True))
        with self.mock_mail_gateway(), self._on("2024-02-02"):
            self.assertEqual(self._look(), ("warned", True, True))
        mail = self.env["mail.mail"].search([("model", "=", "reseller.lockout")])
        self.assertEqual(mail.recipient_ids, self.client_a.partner_id)
        self.assertIn(invoice.name, mail.body_html)
        self.assertIn(f"/my/invoices/{invoice.id}?access_token=", mail.body_html)
        with self._on("2024-02-10"):
            self.assertEqual(self._look(), ("warned", True, True))
        with self._on("2024-02-11"):
            self.assertEqual(self._look(), ("restricted", False, True))
        with self._on("2024-02-22"):
            self.assertEqual(self._look(), ("locked", False, False))
            self.assertIn("overdue", self.client_a.authorize("other")["reason"])
            self.assertTrue(self.client_a.lockout_ids.closes_portal)
            self._pay(invoice, 40)
            self.assertEqual(self._look(), ("locked", False, False))
            self.assertEqual(self.client_a.lockout_ids.owed, 60)
            payment = self._pay(invoice)
            self.assertEqual(self._look(), ("clear", True, True))
            self.assertFalse(self.client_a.lockout_ids.closes_portal)
        self.assertEqual(
            self._history(),
            [
                ("clear", "warned", "overdue", 100, 1),
                ("warned", "restricted", "overdue", 100, 10),
                ("restricted", "locked", "overdue", 100, 21),
                ("locked", "clear", "paid", 0, 0),
            ],
        )
        # Money that is there counts, also where no invoice is named for it.
        with freeze_time("2024-02-23 00:30:00"):
            payment.move_id.line_ids.remove_move_reconcile()
            self.env.cr.flush()  # the end of the transaction
            self.assertEqual(self._look(), ("clear", True, True))
        # A charge-back takes the payment of 60 back.
        with freeze_time("2024-02-23 01:00:00"):
            payment.action_draft()
            payment.action_cancel()
            self.env.cr.flush()  # the end of the transaction
            self.assertEqual(self._look(), ("locked", False, False))
        self.assertEqual(self._history()[-1], ("clear", "locked", "overdue", 60, 22))

    def test_a_paid_invoice_that_is_reversed_and_made_anew_locks_nobody(self):
        invoice = self._bill()
        with freeze_time("2024-02-01"):
            self._pay(invoice)
        with self._on("2024-03-01"):
            reversal = self.env["account.move.reversal"].with_context(
                active_model="account.move", active_ids=invoice.ids
            )
            wizard = reversal.create({"journal_id": invoice.journal_id.id})
            wizard.modify_moves()
            self.assertEqual(self._look(), ("clear", True, True))
            self.assertFalse(self.client_a.lockout_ids.step_ids)

    def _pay_on_account(self, partner, amount, day):
        """Receive money that no invoice is named for."""
        with freeze_time(f"{day} 12:00:00"):
            payment = self.env["account.payment"].create(
                {
                    "payment_type": "inbound",
                    "partner_type": "customer",
                    "partner_id": partner.id,
                    "amount": amount,
                    "journal_id": self.company_data["default_journal_bank"].id,
                }
            )
            payment.action_post()
            self.env.cr.flush()  # the end of the transaction
        return payment

    def test_what_is_paid_on_account_counts_for_who_pays(self):
        partner = self.client_a.partner_id
        second = self._create_client("A2", start="2024-01-01", partner=partner)
        self._bill()
        # Both accounts owe 100.00 since 1 February: together 200.00.
        with self._on("2024-02-25"):
            self.assertEqual(self.client_a.lockout_state, "locked")
            self.assertEqual(second.lockout_state, "locked")
        self._pay_on_account(partner, 100, "2024-02-25")
        # It pays the first of two that were due on one day, and frees it at once.
        with freeze_time("2024-02-25 13:00:00"):
            self.assertEqual(self.client_a.lockout_state, "clear")
            self.assertEqual(second.lockout_state, "locked")
        self._pay_on_account(partner, 99.5, "2024-02-26")
        with freeze_time("2024-02-26 13:00:00"):
            # 0.50 are owed: less than the setting's 1.00.
            self.assertEqual(second.lockout_state, "clear")
            self.company.reseller_lockout_minimum = 0.5
            self.assertEqual(float(second._load_debts()[second.id].owed), 0.5)

    def test_credits_pay_the_oldest_first(self):
        self._bill()
        self._bill_more("2024-03-01")
        with freeze_time("2024-03-01"):
            payment = self.env["account.move"].create(
                {
                    "move_type": "out_refund",
                    "partner_id": self.client_a.partner_id.id,
                    "invoice_date": "2024-03-01",
                    "reseller_statement_id": False,
                    "invoice_line_ids": [
                        Command.create({"product_id": self.product.id, "price_unit": 100})
                    ],
                }
            )
            payment.action_post()
            # Of the account, and reconciled with nothing.
            self.env.cr.execute(
                "UPDATE account_move SET reseller_client_id = %s WHERE id = %s",
                [self.client_a.id, payment.id],
            )
            self.env.invalidate_all()
        with self._on("2024-03-02"):
            # 100.00 of 200.00 are covered; what is left is one day overdue, not 30.
            self.assertEqual(self._look()[0], "warned")
            lockout = self.client_a.lockout_ids
            self.assertEqual((lockout.owed, lockout.days_overdue), (100, 1))

    def test_a_credit_note_counts_off_once_it_is_posted(self):
        invoice = self._bill()
        with self._on("2024-03-01"):
            self.assertEqual(self.client_a.lockout_state, "locked")
            reversal = self.env["account.move.reversal"].with_context(
                active_model="account.move", active_ids=invoice.ids
            )
            wizard = reversal.create({"journal_id": invoice.journal_id.id})
            credit = self.env["account.move"].browse(wizard.refund_moves()["res_id"])
            self.assertEqual(self._look()[0], "locked")
            credit.action_post()
            self.assertEqual(self._look(), ("clear", True, True))

    def test_days_that_were_missed_lead_straight_to_the_right_stage(self):
        self._bill()
        with self._on("2024-03-31"):
            self.assertEqual(self._look(), ("locked", False, False))
        self.assertEqual(self._history(), [("clear", "locked", "overdue", 100, 59)])

    def test_small_debts_stay_below_a_stage(self):
        self.policy.stage_ids.filtered(lambda one: one.state == "locked").amount_over = 60
        invoice = self._bill()
        with self._on("2024-03-01"):
            self.assertEqual(self._look()[0], "locked")
            self._pay(invoice, 40)  # 60.00 is not more than 60.00
            self.assertEqual(self._look(), ("restricted", False, True))
        self.assertEqual(self._history()[-1], ("locked", "restricted", "paid", 60, 29))

    def test_who_is_exempt_and_who_follows_the_groups_policy(self):
        mild = self.env["reseller.lockout.policy"].create(
            {
                "name": "Only warn",
                "stage_ids": [Command.create({"state": "warned", "days_overdue": 5})],
            }
        )
        exempt = self.group.copy({"name": "Friends", "is_lockout_exempt": True})
        self.group.lockout_policy_id = mild
        gold = self._create_client("G", group=self.group)
        friend = self._create_client("F", group=exempt)
        self._bill()
        with self._on("2024-03-01"):
            self.assertEqual(self._look()[0], "locked")
            self.assertEqual(self._look(gold), ("warned", True, True))
            self.assertEqual(self._look(friend), ("clear", True, True))
            exempt.is_lockout_exempt = False
        with self._on("2024-03-02"):
            self.assertEqual(self._look(friend)[0], "locked")
            exempt.is_lockout_exempt = True
        with self._on("2024-03-03"):
            self.assertEqual(self._look(friend)[0], "clear")
        self.assertEqual(
            [step[:3] for step in self._history(friend)],
            [("clear", "locked", "overdue"), ("locked", "clear", "exempt")],
        )

    def test_promises_and_overrides_hold_until_their_last_day(self):
        self._bill()
        exceptions = self.env["reseller.lockout.exception"]
        with self._on("2024-03-01"):
            self.assertEqual(self._look()[0], "locked")
            promise = exceptions.create(
                {
                    "client_id": self.client_a.id,
                    "date_until": "2024-03-05",
                    "reason": "Ann called: the money is on its way",
                }
            )
            self.assertEqual(self._look(), ("warned", True, True))
            with self.assertRaisesRegex(ValidationError, "is over"):
                exceptions.create(
                    {"client_id": self.client_a.id, "date_until": "2024-02-29", "reason": "x"}
                )
            with self.assertRaisesRegex(UserError, "withdraw it"):
                promise.date_until = "2024-12-31"
        with self._on("2024-03-05"):
            self.assertEqual(self._look()[0], "warned")
        with self._on("2024-03-06"):
            self.assertEqual(self._look(), ("locked", False, False))
            override = exceptions.create(
                {
                    "client_id": self.client_a.id,
                    "kind": "override",
                    "state": "clear",
                    "date_until": "2024-12-31",
                    "reason": "Disputed, says Bob",
                }
            )
            self.assertEqual(self._look(), ("clear", True, True))
            override.action_withdraw()
            self.assertEqual(self._look()[0], "locked")
        steps = self.client_a.lockout_ids.step_ids.sorted("id")
        self.assertEqual(
            [(step.state_to, step.cause, step.exception_id.reason) for step in steps],
            [
                ("locked", "overdue", False),
                ("warned", "promise", promise.reason),
                ("locked", "ended", False),
                ("clear", "override", override.reason),
                ("locked", "ended", False),
            ],
        )
        self.assertEqual(promise.create_uid, self.env.user)

    def test_a_resellers_debt_and_its_clients_debts_stand_apart(self):
        policy = self.env.ref("reseller_billing.lockout_policy_reseller")
        self.reseller.write({"invoice_to": "reseller", "own_lockout_policy_id": policy.id})
        second = self._create_client("B")
        invoices = self._bill()
        of_a = invoices.filtered(lambda move: move.reseller_client_id == self.client_a)
        of_b = invoices - of_a
        self.assertEqual(invoices.partner_id, self.reseller.partner_id)
        with freeze_time("2024-02-01"):
            self._pay(of_b)
        with self._on("2024-03-03"):  # 31 days overdue
            self.assertEqual(self._look(), ("locked", False, False))
            self.assertEqual(self._look(second), ("clear", True, True))
            self.assertEqual(self.reseller.lockout_state, "locked")
            self.assertEqual(self.reseller.lockout_ids.owed, 100)
            policy.write({"reaches_clients": True, "reaches_clients_days": 5})
            self.assertEqual(self._look(second), ("clear", True, True))
        with self._on("2024-03-08"):
            # The client owes nothing: it is refused use, and its portal stays open.
            self.assertEqual(self._look(second), ("clear", False, False))
            self.assertFalse(second.partner_id._get_closed_lockouts())
            # The reseller's debt is more than this client's.
            extra = self.env["account.move"].create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.reseller.partner_id.id,
                    "invoice_date": "2024-01-05",
                    "invoice_date_due": "2024-01-05",
                    "invoice_line_ids": [
                        Command.create({"product_id": self.product.id, "price_unit": 7})
                    ],
                }
            )
            extra.action_post()
            self._pay(of_a)
            self.assertEqual(self._look(), ("clear", False, False))
            self.assertEqual(self.reseller.lockout_ids.owed, 7)
            self._pay(extra)
            self.assertEqual(self._look(), ("clear", True, True))
            self.assertEqual(self._look(second), ("clear", True, True))
            self.assertEqual(self.reseller.lockout_state, "clear")

    def test_a_harsher_stage_of_a_reseller_is_felt_without_a_gap(self):
        policy = self.env["reseller.lockout.policy"].create(
            {
                "name": "Resellers",
                "reaches_clients": True,
                "reaches_clients_days": 5,
                "stage_ids": [
                    Command.create(
                        {
                            "state": state,
                            "days_overdue": days,
                            "enter_action_id": self.env.ref(f"reseller_billing.{action}").id,
                        }
                    )
                    for state, days, action in (
                        ("restricted", 1, "action_lockout_restrict"),
                        ("locked", 20, "action_lockout_lock"),
                    )
                ],
            }
        )
        self.reseller.write(
            {
                "invoice_to": "reseller",
                "own_lockout_policy_id": policy.id,
                "lockout_policy_id": False,
            }
        )
        invoice = self._bill()
        felt = {}
        for day in ("02-02", "02-06", "02-07", "02-20", "02-21", "02-22"):
            with self._on(f"2024-{day}"):
                felt[day] = self._look()[1:]
        self.assertEqual(
            felt,
            {
                "02-02": (True, True),
                "02-06": (True, True),
                "02-07": (False, True),
                "02-20": (False, True),
                "02-21": (False, False),
                "02-22": (False, False),
            },
        )
        with self._on("2024-02-23"):
            self.reseller.lockout_ids.action_enter_again()
            self.assertEqual(self._look()[1:], (False, False))
            # Archived meanwhile, and paid: it is free all the same.
            self.reseller.active = False
            self._pay(invoice)
            self.assertEqual(self.reseller.lockout_state, "clear")
            self.assertEqual(self._look()[1:], (True, True))

    def test_administrators_change_what_a_stage_does(self):
        # Locked means that marked features are refused, no more; and it calls nobody.
        self.env.ref("reseller_billing.action_lockout_lock_use").selection_value = self.env.ref(
            "reseller_billing.selection__reseller_lockout__refused_use__marked"
        )
        self.env.ref("reseller_billing.action_lockout_lock_portal").unlink()
        invoice = self._bill()
        with self._on("2024-03-01"):
            self.assertEqual(self._look(), ("locked", False, True))
            self.assertFalse(self.client_a.lockout_ids.closes_portal)
            # An action that fails keeps nobody from paying, and somebody is told.
            self.policy.stage_ids.filtered(
                lambda one: one.state == "locked"
            ).leave_action_id = self.env["ir.actions.server"].create(
                {
                    "name": "Broken",
                    "model_id": self.env["ir.model"]._get_id("reseller.lockout"),
                    "state": "code",
                    "code": "raise UserError('no such switch')",
                }
            )
            self._pay(invoice)
            self.assertEqual(invoice.amount_residual, 0)
            self.assertEqual(self._look(), ("clear", True, True))
        self.assertEqual(self.client_a.lockout_ids.step_ids[0].failure, "Broken: no such switch")
        self.assertEqual(self.client_a.lockout_ids.activity_ids.user_id, self.reseller.user_id)

    def test_what_was_changed_is_done_again_on_demand(self):
        self._bill()
        with self._on("2024-03-01"):
            self.assertTrue(self.client_a.lockout_ids.closes_portal)
            self.env.ref("reseller_billing.action_lockout_lock_portal").unlink()
            self.client_a.lockout_ids.action_enter_again()
            self.assertFalse(self.client_a.lockout_ids.closes_portal)
            self.assertEqual(self._look(), ("locked", False, False))

    def test_events_are_rejected_where_the_policy_says_so_and_can_be_taken_in_later(self):
        invoice = self._bill()
        lines = self.env["reseller.usage.line"]
        with self._on("2024-03-01"):
            self.assertEqual(self._look()[0], "locked")
            self._use("2024-03-01", 1)
            self.policy.rejects_events = True
        with self._on("2024-03-03"):
            event = self._event("2024-03-02", 2)
            outcome = lines.ingest([event, self._event("2024-02-28", 3)])
            self.assertEqual((outcome["accepted"], len(outcome["rejected"])), (1, 1))
            self.assertIn("locked out since 2024-03-01", outcome["rejected"][0]["reason"])
            rejection = self.env["reseller.usage.rejection"].search([("kind", "=", "locked")])
            self._pay(invoice)
            rejection.action_replay()
            self.assertEqual(rejection.state, "replayed")
        used = self.env["reseller.usage.daily"].search([("client_id", "=", self.client_a.id)])
        self.assertEqual(
            {(str(one.billing_date), one.quantity) for one in used},
            {("2024-02-28", 3), ("2024-03-01", 1), ("2024-03-02", 2)},
        )

    def test_who_would_be_locked_out_on_a_day(self):
        invoice = self._bill()
        paid = self._create_client("P")
        self.assertTrue(paid)
        with self._on("2024-02-05"):
            forecast = self.env["reseller.lockout.forecast"].create({"date": "2024-02-11"})
            forecast.action_show()
            line = forecast.line_ids
            self.assertEqual(
                (line.client_id, line.state_now, line.state_then, line.owed, line.days_overdue),
                (self.client_a, "warned", "restricted", 100, 10),
            )
            forecast.date = "2024-02-22"
            forecast.action_show()
            self.assertEqual(forecast.line_ids.state_then, "locked")
            self.assertEqual(self.client_a.lockout_state, "warned", "it only asks")
            self._pay(invoice)
            forecast.action_show()
            self.assertFalse(forecast.line_ids)

    def test_nobody_moves_a_lockout_by_hand_and_companies_stay_apart(self):
        self._bill()
        with self._on("2024-03-01"):
            lockout = self.client_a.lockout_ids
            clerk = new_test_user(
                self.env, "clerk", "base.group_user,reseller_billing.group_billing_user"
            )
            manager = new_test_user(
                self.env, "manager", "base.group_user,reseller_billing.group_billing_manager"
            )
            self.assertEqual(lockout.with_user(clerk).state, "locked")
            for user in (clerk, manager):
                with self.assertRaises(AccessError):
                    lockout.with_user(user).refused_use = "none"
                with self.assertRaises(AccessError):
                    lockout.step_ids.with_user(user).unlink()
            given = {"client_id": self.client_a.id, "date_until": "2024-04-01", "reason": "x"}
            with self.assertRaises(AccessError):
                self.env["reseller.lockout.exception"].with_user(clerk).create(given)
            self.env["reseller.lockout.exception"].with_user(manager).create(given)
            self.assertEqual(self.client_a.lockout_state, "warned")
            with self.assertRaises(AccessError):
                self.client_a.lockout_exception_ids.with_user(clerk).action_withdraw()
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        abroad = new_test_user(
            self.env,
            "abroad",
            "base.group_user,reseller_billing.group_billing_manager",
            company_id=elsewhere.id,
            company_ids=[Command.set(elsewhere.ids)],
        )
        for name in ("reseller.lockout", "reseller.lockout.step", "reseller.lockout.exception"):
            self.assertTrue(self.env[name].search([]))
            self.assertFalse(self.env[name].with_user(abroad).search([]), name)

    def test_a_stage_with_accounts_stays(self):
        self._bill()
        with self._on("2024-03-01"), self.assertRaisesRegex(ValidationError, "is at this stage"):
            self.policy.stage_ids.filtered(lambda one: one.state == "locked").unlink()
