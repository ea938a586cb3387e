"""What bills look like, and how they are sent. Uses billing and what is below."""

from . import (
    ir_actions_report,
    mail_mail,
    reseller_billing_run,
    reseller_statement_document,
    reseller_statement_send,
)
