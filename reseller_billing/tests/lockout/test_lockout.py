from freezegun import freeze_time
from odoo import Command
from odoo.exceptions import UserError, ValidationError

from .common_lockout import LockoutCommon


class TestLockout(LockoutCommon):
    """Who owes climbs the ladder, and is free when it has paid."""

    def test_a_debt_climbs_the_ladder_and_paying_all_of_it_frees_at_once(self):
        self.company.email = "billing@provider.example.com"
        invoice = self._bill()
        self.assertEqual(invoice.amount_total, 100)
        with self._on("2024-02-01"):
            self.assertEqual(self._look(), ("clear", True, True))
        with self.mock_mail_gateway(), self._on("2024-02-02"):
            self.assertEqual(self._look(), ("warned", True, True))
        mail = self.env["mail.mail"].search([("model", "=", "reseller.lockout")])
        self.assertEqual(mail.recipient_ids, self.client_a.partner_id)
        self.assertIn(f"Reseller R1 via {self.company.name}", mail.email_from)
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
