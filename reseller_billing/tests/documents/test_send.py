from unittest.mock import patch

from odoo.addons.base.models.ir_mail_server import MailDeliveryException
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..common import ResellerBillingCommon


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
        self.assertEqual((statement.send_state, failed.send_state), ("sent", "no_address"))
        self.assertIn("no e-mail address", failed.send_failure)
        self.assertEqual(self._counts(), {"unsent": 0, "sent": 1, "failed": 0, "no address": 1})
        self.assertEqual(
            self.env["reseller.statement"].search(self.run_.action_view_unsent()["domain"]), failed
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

    def _deliver(self, mails, error=None):
        """Have the mail queue send mails; a mail server takes them, or raises an error."""
        server = type(self.env["ir.mail_server"])
        answer = {"side_effect": error} if error else {"return_value": "<taken>"}
        with (
            patch.object(server, "_disable_send", return_value=False),
            patch.object(server, "_connect__", return_value=None),
            patch.object(server, "send_email", **answer),
        ):
            mails.sudo().send()  # the queue is no user

    def _counts(self):
        """Return what the run says of its mails."""
        return {
            "unsent": self.run_.unsent_count,
            "sent": self.run_.sent_count,
            "failed": self.run_.send_failed_count,
            "no address": self.run_.no_address_count,
        }

    @mute_logger("odoo.addons.mail.models.mail_mail")
    def test_what_the_mail_server_refuses_is_not_sent(self):
        self.other.partner_id.email = "b@example.com"
        self.run_.action_send()
        mails = self._send()
        self.assertEqual(self._counts(), {"unsent": 0, "sent": 2, "failed": 0, "no address": 0})
        mine = mails.filtered(lambda mail: mail.recipient_ids == self.client_a.partner_id)
        self._deliver(mine, MailDeliveryException("The mailbox is full."))
        self._deliver(mails - mine)
        statement = self._statement(self.client_a, "2024-01-01")
        self.assertEqual(self._counts(), {"unsent": 0, "sent": 1, "failed": 1, "no address": 0})
        self.assertIn("The mailbox is full.", statement.send_failure)
        # Sent once more it is on its way, and the mail that failed is given up.
        self.run_.action_send()
        again = self._send()
        self.assertEqual(again.recipient_ids, self.client_a.partner_id)
        self.assertEqual(mine.state, "cancel")
        self._deliver(again)
        self.assertEqual(self._counts(), {"unsent": 0, "sent": 2, "failed": 0, "no address": 0})
        self.assertFalse(statement.send_failure)

    @mute_logger("odoo.addons.mail.models.mail_mail")
    def test_a_mail_that_the_queue_tries_again_counts_as_sent(self):
        statement = self._statement(self.client_a, "2024-01-01")
        statement.action_send()
        mail = self._send()
        self._deliver(mail, OSError("no route"))
        self.assertEqual((statement.send_state, mail.state), ("failed", "exception"))
        mail.mark_outgoing()
        self._deliver(mail)
        self.assertEqual((statement.send_state, statement.send_failure), ("sent", False))

    def test_what_chatter_mails_changes_nothing_about_what_was_sent(self):
        statement = self._statement(self.other, "2024-01-01")
        statement.action_send()
        self.assertFalse(self._send())
        self.assertEqual(statement.send_state, "no_address")
        statement_sudo = statement.sudo()  # closed to all users
        note = statement_sudo.message_post(  # pylint: disable=translation-required
            body="Who asks?", partner_ids=self.client_a.partner_id.ids
        )
        mails_sudo = self.env["mail.mail"].sudo()  # the queue's
        mails = mails_sudo.search([("mail_message_id", "=", note.id)])
        mails |= mails.create(
            {"model": statement._name, "res_id": statement.id, "email_to": "a@example.com"}
        )
        self._deliver(mails)
        self.assertEqual(statement.send_state, "no_address")

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
            "odoo.addons.reseller_billing.models.documents.reseller_statement_send",
            "odoo.addons.mail.models.mail_render_mixin",
        ):
            mails = self._send()
        self.assertEqual(len(mails), 2)
        self.assertEqual(client.statement_ids.send_state, "failed")
        self.assertIn("Failed to render", client.statement_ids.send_failure)

    def test_who_gets_invoices_by_another_way_than_mail_gets_them_from_odoo(self):
        for client in (self.client_a, self.other):
            client.partner_id.invoice_sending_method = "snailmail"
            client.partner_id.write(
                {
                    "street": "Street 1",
                    "city": "Town",
                    "zip": "1000",
                    "country_id": self.env.ref("base.be").id,
                }
            )
        statement, other = (
            self._statement(client, "2024-01-01") for client in (self.client_a, self.other)
        )
        self.run_.action_send()
        cron = self.env.ref("account.ir_cron_account_move_send")
        triggers = self.env["ir.cron.trigger"].sudo()
        before = triggers.search_count([("cron_id", "=", cron.id)])
        mail = self._send()
        self.assertGreater(triggers.search_count([("cron_id", "=", cron.id)]), before)
        # The mail has the statement alone; who has no address needs none.
        self.assertEqual(
            mail.attachment_ids.mapped("name"),
            [f"Statement {statement.name.replace('/', '-')}.pdf"],
        )
        self.assertEqual((statement.send_state, other.send_state), ("sent", "sent"))
        invoices = (statement | other).invoice_id
        self.assertEqual(invoices.mapped("is_being_sent"), [True, True])
        with (
            self.allow_pdf_render(),
            patch.object(
                self.registry["snailmail.letter"], "_snailmail_print", lambda *args, **kwargs: True
            ),
        ):
            cron.sudo().method_direct_trigger()
        letters = self.env["snailmail.letter"].search([("model", "=", "account.move")])
        self.assertEqual(set(letters.mapped("res_id")), set(invoices.ids))
        self.assertEqual(invoices.mapped("is_being_sent"), [False, False])
        # Asked for again, it is sent again, though the PDF is there.
        statement.action_send()
        self._send()
        self.assertEqual(invoices.mapped("is_being_sent"), [True, False])

    def test_a_way_that_cannot_reach_somebody_is_left_for_mail(self):
        self.client_a.partner_id.invoice_sending_method = "snailmail"  # without a street
        self.run_.action_send()
        mail = self._send()
        self.assertEqual(len(mail.attachment_ids), 2)
