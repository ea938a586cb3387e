import logging

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command, Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, retrying

from ..base.notice import make_notice
from ..base.states import LIVE

_logger = logging.getLogger(__name__)
# Statements of a transaction: each takes about a second to print.
BATCH = 10
QUEUED = Domain("send_state", "=", "queued")
# What keeps a statement from its payer is to be mended, and then it is sent again.
FAILED = ("failed", "no_address")
# Ways to get invoices that our own mail serves.
BY_MAIL = {"email", "manual"}


class ResellerStatement(models.Model):
    """Statements go out by mail, with their invoices, once.

    What is to be sent is queued; the scheduled action writes the mail and the mark that it is sent
    in one transaction, and hands it to Odoo's own mail queue. What the mail server refuses counts as
    not sent from then on.
    """

    _inherit = "reseller.statement"

    send_state = fields.Selection(
        [
            ("unsent", "Not sent"),
            ("queued", "To be sent"),
            ("sent", "Sent"),
            ("failed", "Could not be sent"),
            ("no_address", "No e-mail address"),
        ],
        string="By Mail",
        required=True,
        default="unsent",
        readonly=True,
        copy=False,
        index=True,
    )
    sent_at = fields.Datetime(readonly=True, copy=False)
    sent_mail_id = fields.Integer(
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The mail that it went out with; Odoo deletes mails once they are delivered.",
    )
    send_failure = fields.Text(
        string="Not Sent Because", readonly=True, copy=False, help="What is to be mended first."
    )

    def action_send(self):
        """Send statements, also those that were sent before, with their invoices to who pays.

        :raise AccessError: without the group Billing Manager
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        for statement in self:
            if statement.state not in LIVE:
                raise UserError(
                    self.env._("%s is no bill: only bills are sent.", statement.display_name)
                )
        return self._queue_mails()

    def _queue_mails(self):
        statements_sudo = self.sudo()  # closed to all users; the caller has checked the rights
        statements_sudo.write({"send_state": "queued", "send_failure": False})
        sending = self.env["reseller.statement.sending"]
        for company in statements_sudo.company_id:
            sending.with_company(company)._trigger()
        return make_notice(
            self,
            self.env._("%s statements are on their way.", len(self)),
            name=self.env._("Statements"),
        )

    @api.model
    def _cron_send(self):
        """Send what is queued, some statements a transaction."""
        self.env["reseller.statement.sending"]._cron_work()

    @api.model
    def _send_batch(self):
        """Send the next queued statements of the company, without commit; return how many."""
        queued = self.search(self._get_queue_domain(), order="id")
        limit = self.env["reseller.statement.sending"]._get_batch_size()
        mine = queued.try_lock_for_update(allow_referencing=True, limit=limit)
        mine._send_mails()
        return len(mine)

    @api.model
    def _get_queue_domain(self):
        """Return the domain of what the company has to send."""
        return QUEUED & Domain("company_id", "=", self.env.company.id)

    def _send_mails(self):
        """Write the mails of these statements, each with what keeps it from being sent."""
        for statement in self:
            try:
                with self.env.cr.savepoint():
                    statement.with_company(statement.company_id)._send_mail()
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                raise
            except UserError as error:
                state = "failed" if statement._get_partner().email else "no_address"
                statement.write({"send_state": state, "send_failure": str(error)})
            except Exception as error:
                _logger.exception("Statement %s could not be sent", statement.id)
                reason = self.env._("Unexpected error: %s", error)
                statement.write({"send_state": "failed", "send_failure": reason})

    def _send_mail(self):
        """Hand the mail of this statement to the mail queue, and mark it as sent."""
        self.ensure_one()
        partner = self._get_partner()
        if self.state not in LIVE:
            raise UserError(self.env._("The bill is void."))
        if self.invoice_id.state not in (False, "posted") and not self.invoice_id._is_pro_forma():
            raise UserError(
                self.env._("%s is not posted: post it first.", self.invoice_id.display_name)
            )
        by_odoo = self._send_by_odoo()
        if not partner.email:
            if by_odoo:
                self.write(
                    {"send_state": "sent", "sent_at": fields.Datetime.now(), "send_failure": False}
                )
                return
            raise UserError(
                self.env._("%s has no e-mail address: enter one.", partner.display_name)
            )
        template = self.reseller_id.statement_template_id or self.env.ref(
            "reseller_billing.mail_template_statement", raise_if_not_found=False
        )
        if not template:
            raise UserError(
                self.env._("%s has no mail template: choose one.", self.reseller_id.display_name)
            )
        # One that failed must not be delivered as well, were the mail queue tried again.
        mails_sudo = self.env["mail.mail"].sudo()  # who sends statements need not read all mails
        former_sudo = mails_sudo.browse(self.sent_mail_id or []).exists()
        former_sudo.filtered(lambda mail: mail.state in ("outgoing", "exception")).cancel()
        documents = template.attachment_ids
        if not by_odoo:
            documents |= self._get_invoice_documents()
        # Its words are made with the rights of who wrote it last, not with the scheduler's. Who gets
        # it is no matter of the template's.
        writer = template.write_uid
        try:
            mail_id = template.with_user(writer).send_mail(
                self.id,
                email_values={
                    "attachment_ids": [Command.link(document.id) for document in documents],
                    "recipient_ids": [Command.set(partner.ids)],
                    "email_to": False,
                    "email_cc": False,
                },
            )
        except AccessError as error:
            raise UserError(
                self.env._(
                    "The mail template %(template)s was last saved by %(user)s, who may not read "
                    "this statement: have a Billing Manager of the company save it.",
                    template=template.name,
                    user=writer.name,
                )
            ) from error
        self.write(
            {
                "send_state": "sent",
                "sent_at": fields.Datetime.now(),
                "send_failure": False,
                "sent_mail_id": mail_id,
            }
        )

    def _send_by_odoo(self):
        """Have Odoo's scheduled action send the invoice where its payer gets invoices by another way than
        mail: a network for electronic invoices, the post; return whether it does. What has been sent like
        that is for Odoo to know.

        The mail that goes out beside it has the statement alone, so that nobody gets an invoice twice.
        """
        self.ensure_one()
        invoice = self.invoice_id
        if invoice.state != "posted":
            return False
        if all(line._tops_up() and not line.tax_ids for line in invoice._get_product_lines()):
            return False  # paying in is no sale: this is a receipt, and no electronic invoice
        service = self.env["account.move.send"]
        methods = service._get_default_sending_methods(invoice) - BY_MAIL
        if not any(service._is_applicable_to_move(method, invoice) for method in methods):
            return False
        if not invoice.sending_data:
            author = self.write_uid  # who asked for it: failures are told to them
            invoice.sending_data = {
                "author_user_id": author.id,
                "author_partner_id": author.partner_id.id,
            }
            cron = self.env.ref("account.ir_cron_account_move_send")
            cron.sudo()._trigger()  # whoever may send may have it wake up
        return True

    def _follow_mail(self, failure):
        """Take in what became of the mails of these statements.

        :param failure: why the mail server refused them; nothing if it took them
        """
        if failure:
            reason = self.env._("The mail could not be delivered: %s", failure)
            self.write({"send_state": "failed", "send_failure": reason})
        else:
            # Somebody may have had the mail queue try again.
            late = self.filtered(lambda statement: statement.send_state in FAILED)
            late.write({"send_state": "sent", "send_failure": False})

    def _get_invoice_documents(self):
        """Return the attachments of this statement's invoice, made the way Odoo sends invoices."""
        self.ensure_one()
        invoice = self.invoice_id
        if not invoice:
            return self.env["ir.attachment"]
        if invoice._is_pro_forma():
            document = invoice._get_invoice_pdf_proforma()
            return self.env["ir.attachment"].create(
                {
                    "name": document["filename"],
                    "raw": document["content"],
                    "res_model": self._name,
                    "res_id": self.id,
                }
            )
        service = self.env["account.move.send"]
        if not invoice.invoice_pdf_report_id:
            # Networks for electronic invoices are served by Odoo's own sending, which commits: see
            # _send_by_odoo.
            service._generate_and_send_invoices(invoice, sending_methods=[], extra_edis=set())
        return service._get_invoice_extra_attachments(invoice)

    def _get_payment_notes(self):
        """Hook: return sentences that say what has paid this statement's invoice, and what is charged for it."""
        self.ensure_one()
        return []

    def _get_invoice_url(self):
        """Return the address where this statement's invoice is seen and paid, or an empty text."""
        self.ensure_one()
        invoice = self.invoice_id
        return invoice.get_base_url() + invoice.get_portal_url() if invoice else ""


class ResellerStatementSending(models.AbstractModel):
    """The work of sending a company's statements."""

    _name = "reseller.statement.sending"
    _description = "Sending of Statements"
    _inherit = ["reseller.work.mixin"]
    _work_cron = "reseller_billing.ir_cron_statement_send"

    @api.model
    def _find_work(self):
        """Override of the mixin: companies with statements to send."""
        found = self.env["reseller.statement"]._read_group(QUEUED, ["company_id"])
        return [self.with_company(company) for (company,) in found]

    def _count_remaining(self):
        """Override of the mixin: statements."""
        statements = self.env["reseller.statement"]
        return statements.search_count(statements._get_queue_domain())

    @api.model
    def _get_batch_size(self):
        """Return how many statements are sent in one transaction."""
        return self._read_batch_size("reseller_billing.send_batch", BATCH)

    def _iterate_work(self):
        """Override of the mixin: some statements a transaction; what another one sends is left to it."""
        while self._count_remaining():
            done = retrying(self.env["reseller.statement"]._send_batch, self.env)
            yield done or None, self._count_remaining()
