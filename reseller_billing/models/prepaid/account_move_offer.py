import logging
from datetime import date
from functools import partial

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.service.model import retrying
from odoo.tools import str2bool

from ..billing.account_move_line import BILLING, _is_billing

_logger = logging.getLogger(__name__)


class AccountMove(models.Model):
    """Offers: what sells only what may be used once it is paid is pro-forma, a draft, until it is paid.

    Nobody owes a draft: it is in no receivable, tax or deposit. It is posted, dated the day of its
    payment, by what pays it: a transaction, the wallet, or a payment that came to the bank.
    """

    _inherit = "account.move"

    def _get_offers_domain(self):
        """Return the domain of offers that are not paid to their end."""
        return Domain("reseller_is_offer", "=", True) & (
            Domain("state", "=", "draft")
            | (
                Domain("state", "=", "posted")
                & Domain("payment_state", "in", ("not_paid", "partial"))
            )
        )

    def _get_document_name(self):
        """Return the number of this document, or the reference under which its offer is paid."""
        self.ensure_one()
        return self.name or self.payment_reference or self.display_name

    def _post(self, soft=True):
        """Override of `account`: an offer is posted by what pays it, on that day."""
        for offer in self.filtered(lambda move: move._is_pro_forma()):
            offer._take_up()
            statement_sudo = offer.reseller_statement_id.sudo()  # whoever posts
            if statement_sudo.send_state in ("sent", "queued"):
                # Who got the offer gets the invoice.
                statement_sudo._queue_mails()
        return super()._post(soft)

    def _take_up(self):
        """Date this offer to the day of its payment.

        :raise UserError: where nothing pays it
        """
        self.ensure_one()
        paid_on = _is_billing(self) and self.env.context.get("reseller_paid_on")
        transactions_sudo = self.sudo().transaction_ids  # whoever posts
        if not paid_on and not transactions_sudo.filtered(lambda tx: tx.state == "done"):
            raise UserError(
                self.env._(
                    "%s is an offer, which is posted when it is paid: choose Paid by Bank, or Invoice "
                    "Before Payment where the customer wants an invoice first.",
                    self._get_document_name(),
                )
            )
        self._date_offer(paid_on or fields.Date.context_today(self))

    def _date_offer(self, day):
        billing = self.with_context(reseller_billing=BILLING)
        billing.write({"invoice_date": day, "invoice_date_due": day, "delivery_date": day})

    def _is_being_paid(self):
        """Whether a payment of this is under way, or done: it keeps what is paid."""
        transactions_sudo = self.sudo().transaction_ids  # whoever looks at the offer
        return any(tx._is_in_flight() or tx.state == "done" for tx in transactions_sudo)

    def _follow_rates(self, day):
        """Have this offer take the tax rates of a day, where its own change (rating 26), and what it sells
        cost and give what it says by then.

        Taxes that somebody has chosen otherwise stay, and so does what is being paid.

        :param date day: of its payment, as far as that is known
        :raise UserError: when a tax of the day would be booked as what is sold ahead
        """
        self.ensure_one()
        changes, position = self.env["reseller.tax.change"], self.fiscal_position_id
        if not self._is_pro_forma() or self._is_being_paid():
            return
        followed = self.env["account.move.line"]
        for line in self.invoice_line_ids.filtered(lambda line: line.charge_id):
            template = line.product_id.product_tmpl_id
            taxes = template._get_sales_taxes(self.company_id, position)
            if not (line.charge_id._takes_taxes() and changes._concerns(taxes, self.company_id)):
                continue
            cuts = (date.min, *changes._get_cuts(self.company_id))
            known = {position.map_tax(changes._apply(taxes, self.company_id, cut)) for cut in cuts}
            dated = position.map_tax(changes._apply(taxes, self.company_id, day))
            if line.tax_ids != dated and line.tax_ids in known:
                self.env["reseller.charge"]._check_taxes_of_liability(dated)
                line.with_context(reseller_billing=BILLING).tax_ids = dated
                followed |= line
        if followed:
            for lots in self.reseller_statement_id._find_sold_lots():
                lots.filtered(lambda lot: lot.state == "offered")._read_amounts()
            items_sudo = followed.charge_id.manual_charge_id.sudo()  # a refill is the system's
            items_sudo.refill_id._follow_amount(self.amount_total)

    @api.model
    def _cron_follow_rates(self):
        """Have open offers take the tax rates of today, where their clients are.

        One that cannot keeps no other from it.
        """
        cron = self.env["ir.cron"]
        tomorrow = fields.Date.add(fields.Date.today(), days=1)
        companies = self.env["reseller.tax.change"].search([("date", "<=", tomorrow)]).company_id
        offers = self.search(
            [
                ("reseller_is_offer", "=", True),
                ("state", "=", "draft"),
                ("company_id", "child_of", companies.ids),
            ],
            order="id",
        )
        for number, offer in enumerate(offers, 1):
            try:
                retrying(partial(offer._follow_rates_today), self.env)
            except Exception as error:
                self.env.cr.rollback()
                _logger.warning("Offer %s does not follow its tax rate: %s", offer.id, error)
            # To its end: whoever begins anew begins with the first one.
            cron._commit_progress(1, remaining=len(offers) - number)

    def _follow_rates_today(self):
        """Have this offer take the tax rates of its client's day."""
        self.ensure_one()
        client = self.reseller_client_id
        client._conflict_with_others()  # with a charge that is being claimed
        self._follow_rates(client._today())

    def _post_paid(self, day):
        """Post an offer that is paid on a day.

        :raise UserError: when that day is in a locked period
        """
        self.ensure_one()
        self.reseller_statement_id._check_unlocked(self, day)
        answer = self.with_context(reseller_billing=BILLING, reseller_paid_on=day).action_post()
        self.reseller_statement_id._check_posted(self, answer)

    def action_invoice_offer(self):
        """Make an offer the invoice that it would be once paid: it is owed from today on.

        :raise UserError: when this is no open offer
        """
        for offer in self:
            if not offer._is_pro_forma():
                raise UserError(self.env._("%s is no open offer.", offer.display_name))
            today = fields.Date.context_today(self)
            offer._follow_rates(today)
            offer._date_offer(today)
            offer.with_context(reseller_billing=BILLING).reseller_is_offer = False
        answer = self.action_post()
        self.reseller_statement_id._check_posted(self, answer)

    def action_offer_paid(self):
        """Open the dialog that finds the payment of this offer."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Paid by Bank"),
            "res_model": "reseller.offer.payment",
            "view_mode": "form",
            "target": "new",
            "context": {"default_invoice_id": self.id},
        }

    def _has_to_be_paid(self):
        """Override of `account_payment`: an offer is paid while it is pro-forma."""
        if not self._is_pro_forma():
            return super()._has_to_be_paid()
        config_sudo = self.env["ir.config_parameter"].sudo()  # as Odoo reads it
        transactions = self.transaction_ids.filtered(
            lambda tx: (
                tx.state in ("pending", "authorized", "done")
                and tx.provider_code not in ("none", "custom")
            )
        )
        return (
            str2bool(config_sudo.get_param("account_payment.enable_portal_payment"))
            and bool(self.amount_total)
            and not transactions
        )
