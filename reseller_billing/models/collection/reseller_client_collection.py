import logging
from functools import partial

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, retrying

_logger = logging.getLogger(__name__)
# Declines of one payment method, one after the other, after which a person has to look.
TRIES = 3
# A charge that is to be sent.
CLAIMED = Domain(
    [
        ("reseller_client_id", "!=", False),
        ("state", "=", "draft"),
        ("reseller_sent_at", "=", False),
    ]
)
# A charge that the provider has not answered for so long is told of.
ANSWER_PATIENCE = {"hours": 1}


class ResellerClient(models.Model):
    """Charges a client's invoices to a saved payment method, through Odoo's `payment`.

    One charge at a time: it is claimed and committed, then sent, then what became of it is
    committed. What was sent and not answered is never sent again by itself.
    """

    _inherit = "reseller.client"

    collection_timing = fields.Selection(
        [
            ("never", "Never"),
            ("posting", "When they are posted"),
            ("due", "On their due date"),
        ],
        string="Charge Invoices",
        required=True,
        default="never",
        tracking=True,
    )
    payment_token_id = fields.Many2one(
        "payment.token",
        string="Saved Payment Method",
        check_company=True,
        copy=False,
        tracking=True,
        ondelete="restrict",
        help="Of whoever pays this account's invoices.",
    )
    collection_failures = fields.Integer(
        string="Declines", readonly=True, copy=False, help="In a row, of this payment method."
    )
    collection_next_try = fields.Date(string="Next Try", readonly=True, copy=False)
    collection_declined_token_id = fields.Many2one(
        "payment.token", string="Declined Payment Method", readonly=True, copy=False
    )
    collection_state = fields.Selection(
        [
            ("off", "Off"),
            ("no_method", "No payment method"),
            ("armed", "Armed"),
            ("in_flight", "In flight"),
            ("unclear", "No answer from the provider"),
            ("waiting", "Declined, waits for the next try"),
            ("paused", "Paused after declines"),
        ],
        compute="_compute_collection_state",
    )
    transaction_ids = fields.One2many("payment.transaction", "reseller_client_id", readonly=True)

    @api.depends(
        "collection_timing",
        "refill_by",
        "payment_token_id.active",
        "collection_failures",
        "collection_next_try",
        "transaction_ids.state",
    )
    def _compute_collection_state(self):
        late = fields.Datetime.subtract(fields.Datetime.now(), **ANSWER_PATIENCE)
        for client in self:
            client_sudo = client.sudo()  # the state of charges is no secret to who sees the account
            open_sudo = client_sudo.transaction_ids.filtered(
                lambda tx: (
                    tx.state in ("draft", "pending", "authorized")
                    or (tx.state == "done" and not tx.is_post_processed)
                )
            )
            sent = open_sudo.filtered(lambda tx: tx.state == "draft" and tx.reseller_sent_at)
            if sent.filtered(lambda tx: tx.reseller_sent_at < late):
                client.collection_state = "unclear"
            elif open_sudo:
                client.collection_state = "in_flight"
            elif client.collection_timing == "never" and client.refill_by != "card":
                client.collection_state = "off"
            elif not client._has_collectable_method():
                client.collection_state = "no_method"
            elif client.collection_failures >= TRIES:
                client.collection_state = "paused"
            elif client.collection_next_try and client.collection_next_try > client._today():
                client.collection_state = "waiting"
            else:
                client.collection_state = "armed"

    @api.constrains("payment_token_id", "partner_id", "reseller_id")
    def _check_payment_token(self):
        for client in self:
            token_sudo = (
                client.payment_token_id.sudo()
            )  # also those are checked who may not read it
            owner_sudo = token_sudo.partner_id.commercial_partner_id
            if owner_sudo and owner_sudo.id != client._get_debtor().id:
                raise ValidationError(
                    self.env._(
                        "%(method)s is not a payment method of %(payer)s, who pays the invoices of "
                        "%(client)s.",
                        method=token_sudo.display_name,
                        payer=client._get_debtor().display_name,
                        client=client.display_name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `base`: who may not charge may not have it done, by values or by defaults."""
        clients = super().create(vals_list)
        if clients.filtered(
            lambda client: client.payment_token_id or client.collection_timing != "never"
        ):
            self.env["res.users"]._check_billing_manager()
        return clients

    def write(self, vals):
        """Override of `base`: another payment method than the declined one begins without declines."""
        if {"payment_token_id", "collection_timing"} & vals.keys():
            self.env["res.users"]._check_billing_manager()
        done = super().write(vals)
        if vals.get("payment_token_id"):
            self.filtered(
                lambda client: client.payment_token_id != client.collection_declined_token_id
            )._forget_declines()
        return done

    @api.model
    def _get_billing_owned(self):
        """Override: what became of charges."""
        kept = {"collection_failures", "collection_next_try", "collection_declined_token_id"}
        return super()._get_billing_owned() | kept

    def _forget_declines(self):
        declined = self.filtered(
            lambda client: client.collection_failures or client.collection_next_try
        )
        if declined:
            declined.sudo().write(  # billing keeps these values
                {
                    "collection_failures": 0,
                    "collection_next_try": False,
                    "collection_declined_token_id": False,
                }
            )
            self._trigger_collection()

    def _forget_paid_declines(self):
        """Forget the declines of those who owe nothing at all any more, however they paid."""
        self.filtered(
            lambda client: client.collection_failures and not client._has_anything_to_pay()
        )._forget_declines()

    def _has_anything_to_pay(self):
        """Whether an invoice or a refill's offer is open."""
        self.ensure_one()
        if self._get_owed_invoices():
            return True
        moves_sudo = self.env["account.move"].sudo()  # whoever pays
        offers = moves_sudo.search(
            Domain("reseller_client_id", "=", self.id) & moves_sudo._get_offers_domain()
        )
        return any(self._collects_by_itself(offer) for offer in offers)

    def action_resume_collection(self):
        """Try declined payment methods again.

        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        self._forget_declines()

    def action_collect_now(self):
        """Charge the oldest open invoice of each client to its saved method, whatever is due.

        :raise AccessError: without the group Billing Manager
        :raise UserError: without a method, without an open invoice, while another is under way
        """
        self.env["res.users"]._check_billing_manager()
        for client in self:
            invoices = client._get_owed_invoices()
            if not invoices:
                raise UserError(self.env._("%s owes nothing.", client.display_name))
            client._claim_collection(invoices[0], by_hand=True)
        self._trigger_collection()

    def action_give_up_collection(self):
        """Take what the provider has not answered for not charged, after a person has looked.

        An answer that comes after all is taken as it is.

        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        self.check_access("read")
        late = fields.Datetime.subtract(fields.Datetime.now(), **ANSWER_PATIENCE)
        clients_sudo = self.sudo()  # managers see transactions, and change them only so
        unanswered_sudo = clients_sudo.transaction_ids.filtered(
            lambda tx: tx.state == "draft" and tx.reseller_sent_at and tx.reseller_sent_at < late
        )
        unanswered_sudo.reseller_given_up = True
        unanswered_sudo._set_error(self.env._("Given up by %s.", self.env.user.name))

    # Charging

    def _trigger_collection(self):
        """Have the saved payment methods of these clients' companies charged with what is due."""
        collecting = self.env["reseller.client.collecting"]
        for company in self.company_id:
            collecting.with_company(company)._trigger()

    @api.model
    def _cron_collect(self):
        """Charge invoices whose time has come, and tell of charges without an answer."""
        retrying(self.env["payment.transaction"]._tell_unanswered, self.env)
        self.env["reseller.client.collecting"]._cron_work()

    def _collect(self, invoice):
        """Claim and send a charge, and commit each; return whether it was sent.

        What keeps one client from being charged keeps no other.
        """
        self.ensure_one()
        try:
            return retrying(partial(self._claim_collection, invoice), self.env)._send_claimed()
        except Exception as error:
            self.env.cr.rollback()
            _logger.warning("Account %s cannot be charged: %s", self.id, error)
            return False

    @api.model
    def _find_collectable(self):
        """Return {client: invoices} of the company that may be charged now, the oldest first.

        An invoice that was charged before and is owed again, as after a charge-back, is for a
        person. Open credits of the payer are not charged.
        """
        clients = self.with_context(active_test=False).search(
            [
                ("company_id", "=", self.env.company.id),
                "|",
                ("collection_timing", "!=", "never"),
                ("refill_by", "=", "card"),
                ("payment_token_id", "!=", False),
                ("collection_failures", "<", TRIES),
                ("transaction_ids", "not any", [("state", "=", "draft")]),
            ]
        )
        clients = clients.filtered(
            lambda client: (
                client._has_collectable_method()
                and (
                    not client.collection_next_try or client.collection_next_try <= client._today()
                )
            )
        )
        open_invoices = self.env["account.move"].search(
            Domain("reseller_client_id", "in", clients.ids) & clients._get_payable_domain(),
            order="invoice_date_due, id",
        )
        found = {}
        for client, invoices in open_invoices.grouped("reseller_client_id").items():
            due = invoices.filtered(
                lambda move, client=client: (
                    client._collects_by_itself(move)
                    and move.commercial_partner_id == client._get_method_owner()
                    and client._get_collectable_amount(move, client._get_due_amount(move)) > 0
                    and not move.transaction_ids.filtered(
                        lambda tx: tx._is_in_flight() or tx._was_taken_back()
                    )
                )
            )
            if due:
                found[client] = due
        return found

    def _get_due_amount(self, invoice, by_hand=False):
        """Return what is to be charged of an invoice by now: of several due dates, what is due.

        Where all of it is and Odoo grants a discount for payment by today, the discount is off.

        :param bool by_hand: whether all that is open is charged, due or not
        """
        amount = invoice.amount_residual
        if invoice.reseller_is_offer:
            return amount
        if self.collection_timing == "due" and not by_hand:
            today = self._today()
            lines = invoice.line_ids._get_open_receivables()
            due = lines.filtered(lambda line: (line.date_maturity or line.date) <= today)
            amount = sum(due.mapped("amount_residual_currency"))
        if not invoice.currency_id.compare_amounts(amount, invoice.amount_residual):
            values = invoice._get_invoice_next_payment_values()
            if values.get("installment_state") == "epd":
                return values["amount_due"]
        return amount

    def _collects_by_itself(self, invoice):
        """Whether an invoice of this account is charged without a person: of offers refills alone, as
        long as they are within the client's limits.
        """
        self.ensure_one()
        if invoice.reseller_is_offer:
            statement_sudo = invoice.reseller_statement_id.sudo()  # as collection_state
            refill_sudo = statement_sudo.charge_ids.manual_charge_id.refill_id
            return self.refill_by == "card" and any(
                refill._is_within_limits() for refill in refill_sudo
            )
        return self.collection_timing != "never"

    def _collects_at_once(self):
        """Whether an invoice may have to be charged as soon as it is posted."""
        self.ensure_one()
        return self.collection_timing == "posting" or self.refill_by == "card"

    def _get_method_owner(self):
        """Return whose the saved payment method is."""
        self.ensure_one()
        token_sudo = self.payment_token_id.sudo()  # most users may not read others' methods
        return token_sudo.partner_id.commercial_partner_id.sudo(False)

    def _has_collectable_method(self):
        """Whether the saved payment method may be charged at its provider."""
        self.ensure_one()
        token_sudo = self.payment_token_id.sudo()  # its provider is closed to most users
        provider_sudo = token_sudo.provider_id
        return (
            bool(token_sudo.active)
            and provider_sudo.state != "disabled"
            and not provider_sudo.capture_manually  # nobody would capture it
        )

    def _get_collectable_amount(self, invoice, wanted=None):
        """Return what may be charged for an invoice: what is open, less open credits.

        Charges that are in flight for other invoices have their share of the balance already.

        :param wanted: an amount to keep to; what is open of the invoice if None
        """
        self.ensure_one()
        in_flight = self.sudo().transaction_ids.filtered(  # as collection_state
            lambda tx: (
                tx._is_in_flight()
                and invoice not in tx.invoice_ids
                and not any(tx.invoice_ids.mapped("reseller_is_offer"))
            )
        )
        open_amount = invoice.amount_residual
        if invoice.reseller_is_offer:
            # Nobody owes it, so that no credit pays it by itself.
            return min(open_amount, open_amount if wanted is None else wanted)
        balance = max(self.open_balance - sum(in_flight.mapped("amount")), 0.0)
        return invoice.currency_id.round(
            min(open_amount, balance, open_amount if wanted is None else wanted)
        )

    def _claim_collection(self, invoice, by_hand=False):
        """Return a new transaction over what is due of an invoice; it is not sent yet.

        :param bool by_hand: whether all that is open is charged, due or not
        :raise UserError: without a payment method of its payer, and while another payment is under
            way
        """
        self.ensure_one()
        self._conflict_with_others()
        token_sudo = self.payment_token_id.sudo()  # its provider is closed to most users
        if not self._has_collectable_method():
            raise UserError(self.env._("%s has no saved payment method in use.", self.display_name))
        owner = self._get_method_owner()
        if invoice.commercial_partner_id != owner or not invoice.filtered_domain(
            self._get_payable_domain()
        ):
            raise UserError(
                self.env._(
                    "%(document)s is no open invoice of %(owner)s, whose payment method is saved.",
                    document=invoice.display_name,
                    owner=owner.display_name,
                )
            )
        transactions_sudo = self.env["payment.transaction"].sudo()  # made here and nowhere else
        if transactions_sudo.search_count(
            [("reseller_client_id", "=", self.id), ("state", "=", "draft")], limit=1
        ):
            raise UserError(
                self.env._("A charge of %s is under way: wait for its result.", self.display_name)
            )
        if invoice.reseller_is_offer:
            invoice._follow_rates(self._today())
            if not by_hand and not self._collects_by_itself(invoice):
                raise UserError(
                    self.env._(
                        "%s costs more by now than the limits of refills let be charged by itself.",
                        invoice._get_document_name(),
                    )
                )
        self.invalidate_recordset(["open_balance"])  # it may have been shown before
        wanted = self._get_due_amount(invoice, by_hand)
        amount = self._get_collectable_amount(invoice, wanted)
        if amount <= 0:
            raise UserError(
                self.env._(
                    "%s has open credits: reconcile them with its invoices.", self.display_name
                )
            )
        commands = [fields.Command.set(invoice.ids)]
        return transactions_sudo.create(
            {
                "provider_id": token_sudo.provider_id.id,
                "payment_method_id": token_sudo.payment_method_id.id,
                "reference": transactions_sudo._compute_reference(
                    token_sudo.provider_id.code, invoice_ids=commands
                ),
                "amount": amount,
                "currency_id": invoice.currency_id.id,
                "partner_id": invoice.partner_id.id,
                "token_id": token_sudo.id,
                "operation": "offline",
                "invoice_ids": commands,
                "reseller_client_id": self.id,
            }
        )

    def _follow_decline(self, transaction):
        """Count a decline of the present method; set the next try, or pause after too many."""
        self.ensure_one()
        failures = self.collection_failures + 1
        days = self.company_id.reseller_collection_retry_days
        again = failures < TRIES and all(map(self._collects_by_itself, transaction.invoice_ids))
        self.write(
            {
                "collection_failures": failures,
                "collection_next_try": again and fields.Date.add(self._today(), days=max(days, 1)),
                "collection_declined_token_id": transaction.token_id.id,
            }
        )
        self.env.flush_all()
        try:
            with self.env.cr.savepoint():
                self._tell_decline(transaction)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except Exception:
            # That it was declined has to be kept, whoever can be told of it.
            _logger.exception("Nobody could be told that %s was declined", transaction.reference)

    def _tell_decline(self, transaction):
        self.message_post(
            body=self.env._(
                "Charge %(reference)s was declined: %(message)s",
                reference=transaction.reference,
                message=transaction.state_message or "",
            )
        )
        if self.collection_failures == TRIES:
            self.reseller_id._tell_responsible(
                self,
                self.env._("Charging is paused after %s declines", self.collection_failures),
                self.env._("It goes on with another payment method, or when it is resumed."),
            )
        if transaction.partner_id.email:
            self.env.ref("reseller_billing.mail_template_declined").send_mail(transaction.id)

    def _have_refill_paid(self, statement):
        """Override: a refill is charged to the saved method, where the client chose that."""
        if self.refill_by == "card":
            self._trigger_collection()
        return super()._have_refill_paid(statement)

    def _after_payment(self):
        """Override: who has paid is charged again as if nothing had been declined."""
        self._forget_paid_declines()
        return super()._after_payment()
