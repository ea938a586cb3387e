from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import new_test_user

from .common_lockout import LockoutCommon


class TestLockoutSettings(LockoutCommon):
    """What administrators set of stages, and whom a day would lock out."""

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
