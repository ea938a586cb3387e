from odoo import fields, models


class ResellerWalletEntry(models.Model):
    """What a lot was given, and what was taken of it and given back: rows are only added."""

    _name = "reseller.wallet.entry"
    _description = "Entry of a Wallet"
    _order = "id desc"
    _check_company_auto = True

    lot_id = fields.Many2one(
        "reseller.wallet.lot", required=True, readonly=True, index=True, ondelete="restrict"
    )
    client_id = fields.Many2one(related="lot_id.client_id", store=True, index=True)
    reseller_id = fields.Many2one(related="lot_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="lot_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="lot_id.currency_id", store=True)
    kind = fields.Selection(
        [
            ("buy", "Topped up by invoice"),
            ("grant", "Credit"),
            ("cancel", "Taken back"),
            ("draw", "Drawn by a bill"),
            ("return", "Given back"),
            ("expire", "Expired"),
            ("refund", "Refunded"),
            ("debit", "Debit by hand"),
        ],
        required=True,
        readonly=True,
    )
    date = fields.Date(required=True, readonly=True)
    amount = fields.Monetary(required=True, readonly=True, help="Below zero: taken.")
    cost = fields.Monetary(readonly=True, help="Of the amount, what was paid for.")
    vat_mode = fields.Selection(related="lot_id.vat_mode", store=True)
    tax = fields.Monetary(
        string="Taxes", readonly=True, help="Of what was taxed when it was paid in, the taxes."
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    balance = fields.Monetary(
        string="Cost in Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="The cost at the rate at which it was paid in.",
    )
    statement_id = fields.Many2one(
        "reseller.statement", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    move_id = fields.Many2one(
        "account.move",
        string="Journal Entry",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    reason = fields.Char(readonly=True)
