import logging

import requests
from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.service.model import retrying
from odoo.tools import SQL

from .reseller_client_collection import ANSWER_PATIENCE, CLAIMED

_logger = logging.getLogger(__name__)
# What is not changed of a charge once it is sent, but by its provider's answer.
SENT_OWNED = {"state", "token_id", "amount", "currency_id", "invoice_ids"}


class UnansweredCharge(Exception):
    """A provider was asked for money, and its answer has not come."""


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    reseller_client_id = fields.Many2one(
        "reseller.client",
        string="Billing Account",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="Whose saved payment method was charged by itself.",
    )
    reseller_sent_at = fields.Datetime(
        readonly=True, copy=False, help="Set and stored before the provider is asked."
    )
    reseller_was_done = fields.Boolean(
        readonly=True, copy=False, help="It has paid once, whatever became of that."
    )
    reseller_given_up = fields.Boolean(readonly=True, copy=False)
    reseller_is_open = fields.Boolean(
        readonly=True, copy=False, help="What its outcome means for the account is not done yet."
    )
    reseller_told = fields.Boolean(
        readonly=True, copy=False, help="Somebody was told that the provider has not answered."
    )

    _reseller_one_in_flight = models.UniqueIndex(
        "(reseller_client_id) WHERE state = 'draft' AND reseller_client_id IS NOT NULL",
        "A charge of this account is under way: wait for its result.",
    )

    @api.model
    def _compute_reference_prefix(self, separator, **values):
        """Override of `account_payment`: an offer has no number yet, and is paid under its reference."""
        prefix = super()._compute_reference_prefix(separator, **values)
        if prefix or not values.get("invoice_ids"):
            return prefix
        numbers = self._fields["invoice_ids"].convert_to_cache(values["invoice_ids"], self)
        offers = self.env["account.move"].browse(numbers).exists()
        if not all(move._is_pro_forma() for move in offers):
            return prefix
        return separator.join(move._get_document_name() for move in offers)

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `payment`: an invoice of a bill is not paid twice at the same moment."""
        for vals in vals_list:
            self._check_owned(vals)
        transactions = super().create(vals_list)
        transactions.filtered("invoice_ids.reseller_client_id")._claim_invoices()
        return transactions

    def write(self, vals):
        """Override of `payment`: what is sent and what has come back only charging writes."""
        self._check_owned(vals)
        if SENT_OWNED & vals.keys() and not self.env.su and self.filtered("reseller_sent_at"):
            raise UserError(self.env._("A charge that was sent stays as it is."))
        return super().write(vals)

    def _check_owned(self, vals):
        if not self.env.su and any(name.startswith("reseller_") for name in vals):
            raise UserError(self.env._("Charging itself keeps these values."))

    def _claim_invoices(self):
        """Refuse a payment of invoices while a saved method is charged for them, and the reverse."""
        # Of two at once, one transaction fails and is repeated, and then sees the other one's.
        self.env.cr.execute(
            SQL(
                "UPDATE account_move SET access_token = access_token WHERE id = ANY(%s)",
                sorted(self.invoice_ids.ids),
            )
        )
        for transaction in self.filtered(lambda tx: tx.operation not in ("refund", "validation")):
            others = transaction.invoice_ids.transaction_ids - transaction
            if transaction.reseller_client_id:
                others = others.filtered(lambda tx: tx._is_in_flight())
            else:
                others = others.filtered(lambda tx: tx.reseller_client_id and tx._is_in_flight())
            if others:
                raise ValidationError(
                    self.env._(
                        "Another payment of %s is under way: wait for its result.",
                        ", ".join(move._get_document_name() for move in transaction.invoice_ids),
                    )
                )

    def _was_taken_back(self):
        """Whether a charge of a saved method had paid, and its payment was taken back since."""
        self.ensure_one()
        return self.reseller_was_done and (
            self.state != "done" or self.payment_id.state in ("draft", "canceled")
        )

    def _send_api_request(self, *args, **kwargs):
        """Override of `payment`: a line that breaks is no answer, and no decline.

        The provider may have charged: the transaction stays sent and unanswered.
        """
        try:
            return super()._send_api_request(*args, **kwargs)
        except ValidationError as error:
            cause = error.__cause__ or error.__context__
            response = getattr(cause, "response", None)
            broken = isinstance(cause, (requests.ConnectionError, requests.Timeout)) or (
                response is not None and response.status_code >= 500
            )
            if self.reseller_client_id and broken:
                raise UnansweredCharge(str(error)) from error
            raise

    def _update_state(self, allowed_states, target_state, state_message):
        """Override of `payment`: what an outcome means for the account is done afterwards.

        The outcome alone is kept first, that nothing which happens to the account loses it.
        """
        changed = super()._update_state(allowed_states, target_state, state_message)
        mine = changed.filtered("reseller_client_id")
        if target_state == "done":
            mine.reseller_was_done = True
        if target_state in ("done", "error", "cancel"):
            mine.reseller_is_open = True
        return changed

    def _follow_outcome(self):
        """Count a decline of the present method, or forget those before a payment; once each."""
        for transaction in self.filtered("reseller_is_open"):
            transaction.reseller_is_open = False
            client_sudo = transaction.reseller_client_id.sudo()  # an answer comes as anybody
            if transaction.token_id != client_sudo.payment_token_id:
                continue
            if transaction.state == "done":
                client_sudo._forget_declines()
            elif (
                transaction.reseller_sent_at
                and not transaction.reseller_given_up
                and not transaction.reseller_was_done
            ):
                client_sudo._follow_decline(transaction)

    def _post_process(self):
        """Override of `account_payment`: somebody is told where an invoice was paid twice."""
        paid = {
            transaction: transaction.invoice_ids.filtered(
                lambda move: move.reseller_client_id and not move.amount_residual
            )
            for transaction in self
            if transaction.state == "done" and not transaction.payment_id
        }
        self._leave_unpaid_offers()
        done = super()._post_process()
        self._follow_outcome()
        for transaction in paid:
            for offer in transaction.invoice_ids.filtered(lambda move: move._is_pro_forma()):
                client_sudo = offer.reseller_client_id.sudo()  # as below
                client_sudo.reseller_id._tell_responsible(
                    client_sudo,
                    self.env._("%s is paid and not posted", offer._get_document_name()),
                    self.env._(
                        "The payment %s has paid it, but another addon asks somebody before it is "
                        "posted: post it by hand, so that what it sells is there.",
                        transaction.reference,
                    ),
                )
        for transaction, invoices in paid.items():
            for invoice in invoices:
                client_sudo = invoice.reseller_client_id.sudo()  # of the account, whoever paid
                client_sudo.reseller_id._tell_responsible(
                    client_sudo,
                    self.env._("%s was paid twice", invoice.name),
                    self.env._(
                        "The payment %s found nothing to pay: refund it, or let it stand as credit.",
                        transaction.reference,
                    ),
                )
        return done

    def _leave_unpaid_offers(self):
        """Take offers out of what these have paid for less: the money stands as the payer's credit.

        Who pays says the amount, and nothing is sold for less.
        """
        for transaction in self.filtered(lambda tx: tx.state == "done" and not tx.payment_id):
            for offer in transaction.invoice_ids.filtered(lambda move: move._is_pro_forma()):
                if offer.currency_id.compare_amounts(transaction.amount, offer.amount_total) >= 0:
                    continue
                transaction.invoice_ids -= offer
                client_sudo = offer.reseller_client_id.sudo()  # of the account, whoever paid
                client_sudo.reseller_id._tell_responsible(
                    client_sudo,
                    self.env._("%s was paid in part", offer._get_document_name()),
                    self.env._(
                        "The payment %s is less than the offer costs: it stands as credit.",
                        transaction.reference,
                    ),
                )

    # Charging saved payment methods

    @api.model
    def _find_claimed(self):
        """Return charges of saved methods of the company that are claimed and not sent."""
        return self.search(CLAIMED & Domain("company_id", "=", self.env.company.id), order="id")

    def _send_claimed(self):
        """Send a claimed charge to its provider, commit what became of it; return whether it went.

        That it is sent is committed first: a process that dies after that has it sent no second
        time. What the provider answers is kept before anything is booked.
        """
        self.ensure_one()
        if not retrying(self._mark_sent, self.env):
            return False
        try:
            self._charge_with_token()
            self.env.cr.commit()  # pylint: disable=invalid-commit
        except Exception:
            # It may have been charged: the provider's notification tells, or a person.
            _logger.exception("The outcome of charge %s is not known", self.reference)
            self.env.cr.rollback()
            return True
        if self.state != "draft":
            try:
                retrying(self._post_process, self.env)
            except Exception:
                # Odoo's own scheduled action does it again.
                _logger.exception("Charge %s could not be booked yet", self.reference)
                self.env.cr.rollback()
        return True

    def _mark_sent(self):
        """Mark a claimed charge as sent; return whether it is to be.

        What was paid in the meantime is not charged: its claim is given up.
        """
        self.ensure_one()
        client = self.reseller_client_id
        client._conflict_with_others()
        self.env.invalidate_all()
        if self.state != "draft" or self.reseller_sent_at:
            return False
        invoices = self.invoice_ids.filtered_domain(client._get_payable_domain())
        owed = sum(map(client._get_collectable_amount, invoices))
        if (
            self.currency_id.compare_amounts(owed, self.amount) < 0
            or self.token_id != client.payment_token_id
            or not client._has_collectable_method()
            or invoices.commercial_partner_id != client._get_method_owner()
        ):
            self._set_canceled(self.env._("There is nothing to charge to it any more."))
            return False
        self.reseller_sent_at = fields.Datetime.now()
        return True

    @api.model
    def _tell_unanswered(self):
        """Tell of charges that their providers have not answered, once each."""
        late = fields.Datetime.subtract(fields.Datetime.now(), **ANSWER_PATIENCE)
        unanswered = self.search(
            [
                ("reseller_client_id", "!=", False),
                ("state", "=", "draft"),
                ("reseller_sent_at", "<", late),
                ("reseller_told", "=", False),
            ]
        )
        for transaction in unanswered:
            client = transaction.reseller_client_id
            client.reseller_id._tell_responsible(
                client,
                self.env._("A charge has no answer"),
                self.env._(
                    "Look with the provider whether %(reference)s over %(amount)s was charged. If it "
                    "was, set it so there, that the provider tells us; if not, give it up here.",
                    reference=transaction.reference,
                    amount=transaction.currency_id.format(transaction.amount),
                ),
            )
        unanswered.reseller_told = True
