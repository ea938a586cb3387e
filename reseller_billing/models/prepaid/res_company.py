from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..base.res_company import OFFICE


class ResCompany(models.Model):
    """Accounts of what is paid ahead."""

    _inherit = "res.company"

    reseller_wallet_journal_id = fields.Many2one(
        "account.journal",
        string="Journal of Wallets",
        check_company=True,
        domain="[('type', '=', 'general')]",
        groups=OFFICE,
    )
    reseller_deposit_account_id = fields.Many2one(
        "account.account",
        string="Deposits of Clients",
        check_company=True,
        domain="[('account_type', '=', 'liability_current')]",
        help="What clients have paid in and not used. Wallets alone book on it.",
        groups=OFFICE,
    )
    reseller_prepaid_account_id = fields.Many2one(
        "account.account",
        string="Packages Sold and Not Used",
        check_company=True,
        domain="[('account_type', '=', 'liability_current')]",
        help="Deferred income: what packages of units cost, until they are used. They alone book "
        "on it.",
        groups=OFFICE,
    )
    reseller_breakage_account_id = fields.Many2one(
        "account.account",
        string="Breakage",
        check_company=True,
        help="Income from deposits that expired or were taken out by hand.",
        groups=OFFICE,
    )
    reseller_bonus_mode = fields.Selection(
        [("price", "Lowers the price"), ("expense", "Is an expense")],
        string="What a Bonus Pays",
        required=True,
        default="price",
        help="What nobody has paid for is no consideration (Directive 2006/112/EC, art. 73 and 79): it lowers "
        "the bill that it pays, and its taxes. As an expense, the bill keeps both. Ask your adviser.",
        groups=OFFICE,
    )
    reseller_bonus_account_id = fields.Many2one(
        "account.account",
        string="Bonuses",
        check_company=True,
        help="What is given on top of payments, or for nothing, once a bill draws it.",
        groups=OFFICE,
    )
    reseller_wallet_limit = fields.Float(
        string="Approval Above",
        digits="Product Price",
        help="Credits and debits of wallets by hand above this amount, in the currency of the bills, "
        "wait for a second person; what one account had within a day counts together. 0: none does.",
        groups=OFFICE,
    )

    def write(self, vals):
        """Override of `base`: what wallets owe stays on the account on which it was booked, and a chart
        of accounts brings the default tax.
        """
        for name, entries in (
            ("reseller_deposit_account_id", "reseller.wallet.entry"),
            ("reseller_prepaid_account_id", "reseller.prepaid.entry"),
        ):
            if name in vals:
                changed = self.filtered(lambda company, name=name: company[name].id != vals[name])
                changed._check_nothing_owed(entries)
        return super().write(vals)

    @api.constrains("reseller_deposit_account_id", "reseller_prepaid_account_id")
    def _check_prepaid_accounts(self):
        for company in self:
            account = company.reseller_prepaid_account_id
            if account and account == company.reseller_deposit_account_id:
                raise ValidationError(
                    self.env._("Wallets and packages need accounts of their own: choose two.")
                )

    def _check_nothing_owed(self, entries):
        entries_sudo = self.env[entries].sudo()  # who changes settings may see none
        held = entries_sudo._read_group(
            [("company_id", "in", self.ids)], ["company_id", "currency_id"], ["cost:sum"]
        )
        for company, currency, cost in held:
            if not currency.is_zero(cost):
                raise UserError(
                    self.env._(
                        "Clients of %(company)s have %(amount)s ahead on this account: it stays "
                        "until that is refunded or used.",
                        company=company.name,
                        amount=currency.format(cost),
                    )
                )
