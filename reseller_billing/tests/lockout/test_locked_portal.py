from urllib.parse import urlsplit

import pytest
from odoo import Command
from odoo.tests import HttpCase, new_test_user, tagged

from ..common import ResellerBillingCommon


@tagged("post_install", "-at_install")
class TestLockedPortal(ResellerBillingCommon, HttpCase):
    """What a client reaches in the portal while its account is locked."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reseller.lockout_policy_id = cls.env.ref("reseller_billing.lockout_policy_client")
        fee = cls._create_feature("fee")
        cls._create_rule(fee, recurring_fee=100, proration="none")
        cls.user = cls._create_portal_user(cls.client_a.partner_id, "client_a")

    @classmethod
    def _create_portal_user(cls, partner, login):
        partner.email = f"{login}@example.com"
        return new_test_user(
            cls.env,
            login,
            "base.group_portal",
            password=login,
            partner_id=partner.id,
            company_id=cls.company.id,
            company_ids=[Command.set(cls.company.ids)],
        )

    def _lock(self):
        """Have the client owe 100.00 that was due on 1 January 2024."""
        self._run("2024-01-01")
        lockouts = self.env["reseller.lockout"].sudo()  # as the scheduled action
        lockouts._evaluate(self.env["reseller.client"].search([]))
        lockouts._evaluate(self.env["reseller.reseller"].search([]))
        return self.env["account.move"].search([("reseller_client_id", "=", self.client_a.id)])

    def _pay(self, invoice):
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({})._create_payments()
        self.env.cr.flush()  # the end of the transaction

    def _get(self, path):
        """Return (path where one ends, status)."""
        answer = self.url_open(path)
        return urlsplit(answer.url).path.strip("/"), answer.status_code

    def test_a_locked_client_reaches_what_it_owes_and_no_more(self):
        owed = "my/reseller_billing/owed"
        self.authenticate("client_a", "client_a")
        self.assertEqual(self._get("/my"), ("my", 200))
        self.assertEqual(self._get(f"/{owed}"), ("my", 200))
        invoice = self._lock()
        self.assertEqual(self.client_a.lockout_state, "locked")
        for path in ("/my", "/my/account", "/my/invoices", "/my/home", "/my/security"):
            self.assertEqual(self._get(path), (owed, 200), path)
        page = self.url_open(f"/{owed}").text
        self.assertIn(invoice.name, page)
        self.assertIn("100.00", page)
        self.assertIn(f"/my/invoices/{invoice.id}?access_token=", page)
        self.assertEqual(self._get(f"/my/invoices/{invoice.id}")[1], 200)
        self.assertNotEqual(self._get(f"/my/invoices/{invoice.id}")[0], owed)
        self.assertEqual(self._get("/my/payment_method")[0], "my/payment_method")
        # Not by calls of methods either.
        answer = self.make_jsonrpc_request_raw("/web/dataset/call_kw/res.partner/read", invoice)
        self.assertIn("The account is locked", answer)
        other = invoice.copy()
        other.action_post()
        for number, is_open in ((invoice.id, True), (other.id, False)):
            if not is_open:
                self._pay(other)
            answer = self.url_open(
                "/mail/chatter_fetch",
                json={"params": {"thread_model": "account.move", "thread_id": number}},
            )
            self.assertEqual("The account is locked" in answer.text, not is_open)
        asked = {
            "service": "object",
            "method": "execute_kw",
            "args": [
                self.env.cr.dbname,
                self.user.id,
                "client_a",
                "account.move",
                "search_read",
                [[], ["name"]],
            ],
        }
        answer = self.url_open("/jsonrpc", json={"method": "call", "params": asked})
        self.assertNotIn(other.name, answer.text)
        self._pay(invoice)
        answer = self.url_open("/jsonrpc", json={"method": "call", "params": asked})
        self.assertIn(other.name, answer.text)
        self.assertEqual(self._get("/my"), ("my", 200))
        self.assertEqual(self._get("/my/invoices"), ("my/invoices", 200))

    def make_jsonrpc_request_raw(self, path, record):
        answer = self.url_open(
            path,
            json={
                "jsonrpc": "2.0",
                "method": "call",
                "params": {
                    "model": "res.partner",
                    "method": "read",
                    "args": [record.partner_id.ids, ["name"]],
                    "kwargs": {},
                },
            },
        )
        return answer.text

    def test_one_of_several_accounts_closes_nothing(self):
        second = self._create_client("B", partner=self.client_a.partner_id)
        second.action_close("2024-02-01")
        self._lock()
        invoice = self.env["account.move"].search([("reseller_client_id", "=", second.id)])
        self._pay(invoice)
        self.authenticate("client_a", "client_a")
        # The closed account keeps nothing open; one that is served does.
        self.assertEqual(second.state, "active", "its final bill is to come")
        self.assertEqual(self._get("/my"), ("my", 200))

    def test_a_client_sees_nothing_of_what_its_reseller_owes(self):
        self.reseller.invoice_to = "reseller"
        invoice = self._lock()
        self.assertEqual(invoice.partner_id, self.reseller.partner_id)
        self.authenticate("client_a", "client_a")
        page = self.url_open("/my")
        self.assertIn("/my/reseller_billing/owed", page.url)
        self.assertNotIn(invoice.name, page.text)
        self.assertNotIn("100.00", page.text)
        self.assertIn("get in touch with", page.text)
        self.assertIn("owed", self.url_open(f"/my/invoices/{invoice.id}").url)

    def test_others_go_on_as_they_were(self):
        stranger = self.env["res.partner"].create({"name": "Stranger"})
        self._create_portal_user(stranger, "stranger")
        invoice = self._lock()
        self.authenticate("stranger", "stranger")
        self.assertEqual(self._get("/my"), ("my", 200))
        page = self.url_open("/my/reseller_billing/owed")
        self.assertNotIn(invoice.name, page.text)
        self.authenticate(None, None)
        self.assertIn("/web/login", self.url_open("/my/reseller_billing/owed").url)

    @pytest.mark.tour
    def test_an_administrator_changes_what_locked_does(self):
        administrator = new_test_user(
            self.env,
            "administrator",
            "base.group_system,reseller_billing.group_billing_manager",
            password="administrator",
            company_id=self.company.id,
            company_ids=[Command.set(self.company.ids)],
        )
        self.assertTrue(administrator)
        self.start_tour("/odoo", "reseller_billing.change_what_locked_does", login="administrator")
        self._lock()
        self.assertEqual(self.client_a.lockout_ids.refused_use, "marked")
        self.assertTrue(self.client_a.lockout_ids.closes_portal)

    @pytest.mark.tour
    def test_a_locked_client_pays_and_is_free_at_once(self):
        demo_sudo = self.env.ref("payment.payment_provider_demo").sudo()  # another company's
        demo_sudo.copy({"company_id": self.company.id, "state": "test", "is_published": True})
        invoice = self._lock()
        self.start_tour("/my", "reseller_billing.pay_what_is_owed", login="client_a")
        self.assertEqual(invoice.amount_residual, 0)
        self.client_a.invalidate_recordset()
        self.assertEqual(self.client_a.lockout_state, "clear")
        self.assertEqual(self.client_a.lockout_ids.step_ids.mapped("cause"), ["paid", "overdue"])
