import pytest
from lxml import html
from odoo import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..common_portal import PortalCommon


@tagged("post_install", "-at_install")
class TestPortalPay(PortalCommon):
    """A client pays all at once, and reads what is its own under its reseller's name."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._use("2024-02-05", 5, client="A")
        cls._run("2024-03-01")
        cls.home = f"/my/service/{cls.client_a.id}"

    def _begin(self, path):
        """Begin a payment as the form of a page does; return the transaction."""
        method = self.env["payment.method"].create(
            {"name": "Test", "code": "test", "is_primary": True, "active": True}
        )
        provider = self.env["payment.provider"].create(
            {
                "name": "Test",
                "code": "none",
                "state": "test",
                "is_published": True,
                "company_id": self.company.id,
                "payment_method_ids": [Command.set(method.ids)],
            }
        )
        [form] = html.fromstring(self._get(path).text).xpath("//*[@data-transaction-route]")
        values = self.make_jsonrpc_request(
            form.get("data-transaction-route"),
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "token_id": None,
                "amount": float(form.get("data-amount")),
                "flow": "direct",
                "tokenization_requested": False,
                "landing_route": form.get("data-landing-route"),
                "is_validation": False,
                "payment_reference": form.get("data-reference-prefix") or "BATCH",
            },
        )
        return self.env["payment.transaction"].search([("reference", "=", values["reference"])])

    def test_one_payment_settles_all(self):
        self._log_in("A")
        transaction = self._begin(f"{self.home}/pay")
        invoices = self.client_a.statement_ids.invoice_id
        self.assertEqual((len(invoices), transaction.amount), (2, 12))
        self.assertEqual(transaction.invoice_ids, invoices)
        self.assertEqual(transaction.landing_route, f"{self.home}?paid=1")
        # It was given up: nothing is said to be paid, and it can be tried again.
        transaction._set_canceled()
        page = self._get(f"{self.home}?paid=1").text
        self.assertIn("Nothing was paid", page)
        self.assertNotIn("Thank you", page)
        self.assertIn("Pay all", page)
        # What was paid meanwhile is paid no second time.
        self._pay(invoices[0])
        again = self._begin(f"{self.home}/pay")
        self.assertEqual((again.invoice_ids, again.amount), (invoices[1], invoices[1].amount_total))

    def test_what_is_being_paid_is_not_paid_again(self):
        self._log_in("A")
        transaction = self._begin(f"{self.home}/pay")
        transaction.provider_id.code = "demo"
        transaction._set_pending()
        page = self._get(f"{self.home}?paid=1").text
        self.assertIn("Thank you", page)
        self.assertNotIn("Pay all", page)
        self.assertEqual(self._get(f"{self.home}/pay").status_code, 303)
        transaction._set_canceled()
        # Nor where the provider takes no payments online.
        self.assertIn("Pay all", self._get(self.home).text)
        self.env["ir.config_parameter"].set_param("account_payment.enable_portal_payment", "False")
        self.assertNotIn("Pay all", self._get(self.home).text)

    def test_all_that_is_owed_is_one_sum(self):
        self._log_in("A")
        page = self._get(self.home).text
        self.assertIn("Pay all: $\N{NO-BREAK SPACE}12.00", page)  # 7 + 5
        page = html.fromstring(self._get(f"{self.home}/pay").text)
        rows = page.xpath("//table[contains(@class, 'o_reseller_fold')]//tr")
        self.assertEqual(
            [" ".join(row.text_content().split()) for row in rows],
            [
                *(
                    f"{self._statement(self.client_a, day).invoice_id.name} $ {amount}"
                    for day, amount in (("2024-03-01", "5.00"), ("2024-02-01", "7.00"))
                ),
                "Total $ 12.00",
            ],
        )
        # One alone is paid as it always was, and nothing at all leads back.
        self._pay(self._statement(self.client_a, "2024-02-01").invoice_id)
        self.assertNotIn("Pay all", self._get(self.home).text)
        self._pay(self._statement(self.client_a, "2024-03-01").invoice_id)
        self.assertEqual(self._get(f"{self.home}/pay").status_code, 303)

    @pytest.mark.isolation
    @mute_logger("odoo.http")
    def test_nobody_pays_for_another(self):
        self._log_in("A2")
        self.assertEqual(self._get(f"{self.home}/pay").status_code, 404)
        answer = self.url_open(
            f"{self.home}/pay/transaction",
            json={"jsonrpc": "2.0", "method": "call", "params": {"payment_reference": "x"}},
        )
        self.assertIn("error", answer.json())
        self.assertFalse(self.env["payment.transaction"].search([("invoice_ids", "!=", False)]))
        # Where the reseller pays, its client sees nothing to pay.
        self.reseller.invoice_to = "reseller"
        self._log_in("A")
        self.assertEqual(self._get(f"{self.home}/pay").status_code, 303)

    def test_a_locked_client_pays_all_and_is_told_that_it_is_open_again(self):
        self.reseller.lockout_policy_id = self.env.ref("reseller_billing.lockout_policy_client")
        lockouts = self.env["reseller.lockout"].sudo()  # as the scheduled action
        lockouts._evaluate(self.client_a)
        self.assertEqual(self.client_a.lockout_state, "locked")
        self._log_in("A")
        page = self.url_open("/my").text
        self.assertIn("Your account is locked", page)
        self.assertIn("Pay all: $\N{NO-BREAK SPACE}12.00", page)
        self.assertIn("Reseller R1", html.fromstring(page).xpath("string(//header)"))
        self.assertEqual(self._get(f"{self.home}/pay").status_code, 200)
        self.assertEqual(self._get(f"{self.home}/statements").status_code, 303)
        # Its reseller is told why it cannot log in as it.
        self._log_in("R1")
        page = self._get(f"/my/reseller/clients/{self.client_a.id}/login").text
        self.assertIn("This client is locked out", page)
        self.assertNotIn('name="reason"', page)
        self._log_in("A")
        self.url_open("/my")
        for invoice in self.client_a.statement_ids.invoice_id:
            self._pay(invoice)
        self.env.cr.flush()
        page = self.url_open("/my").text
        self.assertIn("your account is open again", page)
        self.assertNotIn("your account is open again", self.url_open("/my").text)

    @pytest.mark.isolation
    def test_pages_and_mails_bear_the_resellers_name(self):
        def get_header(path):
            return html.fromstring(self.url_open(path).text).xpath("string(//header)")

        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        invoice._portal_ensure_token()
        paths = (
            "/my",
            "/my/home",
            "/my/invoices",
            f"/my/invoices/{invoice.id}",
            "/my/payment_method",
        )
        self._log_in("A")
        for path in paths:
            self.assertIn("Reseller R1", get_header(path), path)
            self.assertNotIn("Reseller R2", get_header(path), path)
        self._log_in("R2")
        self.assertIn("Reseller R2", get_header("/my"))
        # Whoever has an invoice's address sees under whose name it is.
        self.authenticate(None, None)
        shown = f"/my/invoices/{invoice.id}?access_token={invoice.access_token}"
        self.assertIn("Reseller R1", get_header(shown))
        self.assertNotIn("Reseller R1", get_header("/web/login"))
        # Where the reseller pays the provider, invoices are the provider's own.
        self.reseller.invoice_to = "reseller"
        self.assertNotIn("Reseller R1", get_header(shown))

        self.company.email = "billing@provider.example.com"
        sender = f'"Reseller R1 via {self.company.name}" <billing@provider.example.com>'
        self.assertEqual(self.reseller._get_sender(), sender)
        self.reseller.partner_id.email = "hello@r1.example.com"
        statement = self._statement(self.client_a, "2024-02-01")
        template = self.env.ref("reseller_billing.mail_template_statement")
        values = template._generate_template(statement.ids, ("email_from", "reply_to"))
        self.assertEqual(values[statement.id]["email_from"], sender)
        self.assertIn("hello@r1.example.com", values[statement.id]["reply_to"])

    @pytest.mark.isolation
    def test_invitations_come_from_the_reseller_and_its_own_from_the_provider(self):
        self.company.email = "billing@provider.example.com"
        client = self._create_client("A4")
        for record, email, subject, sender, words in (
            (
                client,
                "a4@example.com",
                "Your account at Reseller R1",
                "Reseller R1 via",
                "what you use",
            ),
            (
                self._create_reseller("R4"),
                "r4@example.com",
                f"Your account at {self.company.name}",
                self.company.name,
                "your clients",
            ),
        ):
            record.partner_id.email = email
            action = record.action_invite_to_portal()
            wizard = self.env["portal.wizard"].browse(action["res_id"])
            self.assertEqual(wizard.partner_ids, record.partner_id)
            wizard.user_ids.with_context(active_test=False).action_grant_access()
            mail = self.env["mail.mail"].search([("subject", "=", subject)], limit=1)
            mail = mail or self.env["mail.message"].search([("subject", "=", subject)], limit=1)
            self.assertTrue(mail, subject)
            self.assertIn(sender, mail.email_from)
            self.assertIn(words, mail.body)
            self.assertIn("token=", mail.body)
            self.assertEqual(record.partner_id.user_ids.company_id, self.company)
        # Whoever invites, it belongs to the company that serves it.
        other = self._create_client("C4", reseller_id=self.third_reseller.id)
        other.partner_id.email = "c4@example.com"
        wizard = self.env["portal.wizard"].browse(other.action_invite_to_portal()["res_id"])
        wizard.user_ids.action_grant_access()
        user = other.partner_id.user_ids
        self.assertEqual(user.company_ids, self.other_company)
        self.assertEqual(user._get_portal_roles()[1], other)
        self.assertNotIn("Reseller R4 via", mail.email_from)

    def test_who_never_had_a_wallet_sees_none(self):
        self._log_in("A")
        self.assertNotIn("In the wallet now", self._get(f"{self.home}/prepaid").text)
        self._log_in("R1")
        self.assertNotIn(
            ">Wallet<", self._get(f"/my/reseller/clients/{self.client_a.id}/billing").text
        )
        self._sell("2024-03-01", self._create_top_up(list_price=20))
        self._log_in("A")
        self.assertIn("In the wallet now", self._get(f"{self.home}/prepaid").text)
