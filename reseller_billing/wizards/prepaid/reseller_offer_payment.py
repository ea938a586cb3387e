from odoo import api, fields, models
from odoo.exceptions import UserError


class ResellerOfferPayment(models.TransientModel):
    """Takes a payment that came to the bank as that of an offer."""

    _name = "reseller.offer.payment"
    _description = "Payment of an Offer"

    invoice_id = fields.Many2one("account.move", string="Offer", required=True, readonly=True)
    company_id = fields.Many2one(related="invoice_id.company_id")
    currency_id = fields.Many2one(related="invoice_id.currency_id")
    amount = fields.Monetary(related="invoice_id.amount_total", string="To Pay")
    reference = fields.Char(related="invoice_id.payment_reference")
    found_line_ids = fields.Many2many(
        "account.move.line", compute="_compute_found", string="Open Payments"
    )
    line_id = fields.Many2one(
        "account.move.line",
        string="Payment",
        compute="_compute_payment",
        store=True,
        readonly=False,
        domain="[('id', 'in', found_line_ids)]",
        help="An open payment of the customer.",
    )
    statement_line_id = fields.Many2one(
        "account.bank.statement.line",
        string="Bank Statement Line",
        compute="_compute_payment",
        store=True,
        readonly=False,
        domain="[('company_id', '=', company_id), ('is_reconciled', '=', False), ('amount', '>', 0)]",
        help="One that is not reconciled yet.",
    )

    statement_text = fields.Char(related="statement_line_id.payment_ref", string="Its Text")
    statement_amount = fields.Monetary(
        related="statement_line_id.amount",
        string="Its Amount",
        currency_field="statement_currency_id",
    )
    statement_currency_id = fields.Many2one(related="statement_line_id.currency_id")

    @api.depends("invoice_id")
    def _compute_found(self):
        for wizard in self:
            offer = wizard.invoice_id
            wizard.found_line_ids = self.env["account.move.line"].search(
                [
                    ("company_id", "=", offer.company_id.id),
                    ("partner_id.commercial_partner_id", "=", offer.commercial_partner_id.id),
                    ("account_id.account_type", "=", "asset_receivable"),
                    ("currency_id", "=", offer.currency_id.id),
                    ("parent_state", "=", "posted"),
                    ("reconciled", "=", False),
                    ("amount_residual_currency", "<", 0),
                ]
            )

    @api.depends("found_line_ids")
    def _compute_payment(self):
        for wizard in self:
            offer = wizard.invoice_id
            reference = offer.payment_reference or offer.display_name
            line = wizard.found_line_ids._origin.filtered(
                lambda one, reference=reference: reference in f"{one.name} {one.move_id.ref}"
            )
            wizard.line_id = line[:1]
            bank = self.env["account.bank.statement.line"]
            if not line:
                bank = bank.search(
                    [
                        ("company_id", "=", offer.company_id.id),
                        ("is_reconciled", "=", False),
                        ("amount", ">", 0),
                        ("payment_ref", "ilike", reference),
                    ],
                    limit=1,
                )
            wizard.statement_line_id = bank

    def action_take(self):
        """Post the offer, dated the day of its payment, and reconcile both; open the invoice. A payment of
        before pays it on the day of the offer.

        :raise UserError: where the payment is not over the offer's amount in its currency, and where its
            day is in a locked period
        """
        self.ensure_one()
        offer = self.invoice_id
        self.env["account.move"].browse(offer.id).check_access("write")
        if not offer._is_pro_forma():
            raise UserError(self.env._("%s is no open offer.", offer.display_name))
        if bool(self.line_id) == bool(self.statement_line_id):
            raise UserError(self.env._("Choose a payment or a bank statement line."))
        receivable = self.line_id or self._get_bank_line()
        # Not before it was offered.
        day = max(receivable.date, offer.invoice_date)
        offer._follow_rates(day)
        paid = -receivable.amount_residual_currency
        if (
            receivable.currency_id != offer.currency_id
            or offer.currency_id.compare_amounts(paid, offer.amount_total) < 0
        ):
            raise UserError(
                self.env._(
                    "The payment is not over %(amount)s, which the offer costs: nothing is sold for less.",
                    amount=offer.currency_id.format(offer.amount_total),
                )
            )
        offer._post_paid(day)
        owed = offer.line_ids._get_open_receivables()
        if receivable.account_id != owed.account_id:
            raise UserError(
                self.env._(
                    "The payment is on the account %(account)s, the offer on %(other)s: choose another "
                    "payment.",
                    account=receivable.account_id.display_name,
                    other=owed.account_id.display_name,
                )
            )
        (receivable | owed).reconcile()
        return offer._get_records_action(name=self.env._("Invoice"))

    def _get_bank_line(self):
        """Return the receivable item of the chosen bank statement line, which is the payer's from now on."""
        offer, bank = self.invoice_id, self.statement_line_id
        _liquidity, suspense, _other = bank._seek_for_lines()
        partner = offer.commercial_partner_id.with_company(offer.company_id)
        if len(suspense) != 1 or bank.is_reconciled:
            raise UserError(
                self.env._("%s is reconciled in part: choose another.", bank.display_name)
            )
        bank.partner_id = partner
        _liquidity, suspense, _other = bank._seek_for_lines()
        terms = offer.line_ids.filtered(lambda line: line.display_type == "payment_term")
        suspense.account_id = terms.account_id[:1] or partner.property_account_receivable_id
        return suspense
