from odoo import models


class MailMail(models.Model):
    _inherit = "mail.mail"

    def _postprocess_sent_message(
        self, success_pids, success_emails, failure_reason=False, failure_type=None
    ):
        """Override of `mail`: a statement is sent when its mail is, not when it is written."""
        statements = self.env["reseller.statement"]
        statements_sudo = statements.sudo()  # the mail queue has no rights on them
        # Chatter writes of statements, too, in other mails.
        statements_sudo.search([("sent_mail_id", "in", self.ids)])._follow_mail(
            failure_reason or failure_type
        )
        return super()._postprocess_sent_message(
            success_pids, success_emails, failure_reason, failure_type
        )
