from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import ResellerBillingCommon


@tagged("post_install", "-at_install")
class TestSend(ResellerBillingCommon):
    """Statements and invoices of a run go out by mail, once, to who pays."""

    def setUp(self):
        super().setUp()
        self._create_rule(recurring_fee=10)
        self.client_a.partner_id.email = "a@example.com"
        self.reseller.partner_id.email = "hello@reseller.example.com"
        self.other = self._create_client("B")
        self.run_ = self._run("2024-01-01")

    def _send(self):
        """Send what is queued, as the scheduled action does; return the mails."""
        before = self.env["mail.mail"].search([])
        queued = self.env["reseller.statement"].search([("send_state", "=", "queued")])
        with self.allow_pdf_render():
            queued.sudo().with_context(force_report_rendering=True)._send_mails()
        return self.env["mail.mail"].search([]) - before

    def test_a_mail_has_statement_and_invoice_and_is_sent_once(self):
        self.assertEqual((self.run_.unsent_count, self.run_.sent_count), (2, 0))
        self.run_.action_send()
        mail = self._send()
        statement = self._statement(self.client_a, "2024-01-01")
        invoice = statement.invoice_id
        self.assertEqual(mail.recipient_ids, self.client_a.partner_id)
        self.assertEqual(
            sorted(mail.attachment_ids.mapped("name")),
            sorted(
                [
                    f"Statement {statement.name.replace('/', '-')}.pdf",
                    invoice.invoice_pdf_report_id.name,
                ]
            ),
        )
        self.assertIn(invoice.name, mail.subject)
        self.assertIn("hello@reseller.example.com", mail.reply_to)
        self.assertIn(invoice.access_token, mail.body_html)
        self.assertEqual(mail.state, "outgoing")
        self.assertTrue(invoice.is_move_sent)
        # B has no address: that is said, and nothing else is held up.
        failed = self._statement(self.other, "2024-01-01")
        self.assertEqual((statement.send_state, failed.send_state), ("sent", "failed"))
        self.assertIn("no e-mail address", failed.send_failure)
        self.assertEqual(
            (self.run_.unsent_count, self.run_.sent_count, self.run_.send_failed_count), (0, 1, 1)
        )
        # Sending the run again sends what could not be sent, and nothing twice.
        self.other.partner_id.email = "b@example.com"
        self.run_.action_send()
        self.assertEqual(self._send().recipient_ids, self.other.partner_id)
        with self.assertRaisesRegex(UserError, "have been sent"):
            self.run_.action_send()
        self.assertFalse(self._send())
        # By itself one can be sent again, on purpose; its invoice is not printed anew.
        statement.action_send()
        again = self._send()
        self.assertEqual(again.attachment_ids & mail.attachment_ids, invoice.invoice_pdf_report_id)

    def test_each_reseller_has_its_words_in_the_clients_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.client_a.partner_id.lang = "fr_FR"
        template = self.env.ref("reseller_billing.mail_template_statement").copy(
            {"name": "Bluewave", "subject": "Your bill {{ object.name }}"}
        )
        template.with_context(lang="fr_FR").subject = "Votre facture {{ object.name }}"
        self.reseller.statement_template_id = template
        self.run_.action_send()
        self.other.partner_id.email = "b@example.com"
        subjects = dict(
            zip(
                *(lambda found: (found.mapped("recipient_ids.name"), found.mapped("subject")))(
                    self._send().sorted(lambda one: one.recipient_ids.name)
                ),
                strict=True,
            )
        )
        self.assertEqual(
            subjects,
            {
                "Client A": "Votre facture A/2024-01-01/0",
                "Client B": "Your bill B/2024-01-01/0",
            },
        )

    def test_a_bill_that_is_void_or_no_bill_stays(self):
        statement = self._statement(self.client_a, "2024-01-01")
        statement.action_send()
        statement.invoice_id.button_draft()
        self.assertFalse(self._send())
        self.assertIn("post it first", statement.send_failure)
        statement.action_send()
        statement.invoice_id.button_cancel()
        self.assertFalse(self._send())
        self.assertIn("void", statement.send_failure)
        preview = self.client_a.preview_statement("2024-02-01")
        with self.assertRaisesRegex(UserError, "only bills are sent"):
            preview.action_send()
        user = new_test_user(
            self.env,
            "looker",
            "reseller_billing.group_billing_user",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        with self.assertRaises(AccessError):
            self._statement(self.other, "2024-01-01").with_user(user).action_send()

    def test_one_that_fails_does_not_hold_up_the_others(self):
        self.other.partner_id.email = "b@example.com"
        broken = self.env.ref("reseller_billing.mail_template_statement").copy(
            {"subject": "{{ 1 // (object.client_id.ref != 'C') }}"}
        )
        second = self._create_reseller("R2", statement_template_id=broken.id)
        self._create_rule(recurring_fee=5, reseller_id=second.id)
        client = self._create_client("C", reseller_id=second.id)
        client.partner_id.email = "c@example.com"
        self._run("2024-01-01")
        statements = (self.client_a | self.other | client).statement_ids
        statements.action_send()
        with mute_logger(
            "odoo.addons.reseller_billing.models.reseller_statement_send",
            "odoo.addons.mail.models.mail_render_mixin",
        ):
            mails = self._send()
        self.assertEqual(len(mails), 2)
        self.assertEqual(client.statement_ids.send_state, "failed")
        self.assertIn("Failed to render", client.statement_ids.send_failure)
