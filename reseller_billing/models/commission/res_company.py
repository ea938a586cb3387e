from odoo import fields, models

from ..base.res_company import OFFICE


class ResCompany(models.Model):
    """How commissions are booked."""

    _inherit = "res.company"

    reseller_commission_journal_id = fields.Many2one(
        "account.journal",
        string="Journal of Commissions",
        check_company=True,
        domain="[('type', '=', 'purchase'), ('is_self_billing', '=', True)]",
        help="A purchase journal for self-billing: numbers run by reseller.",
        groups=OFFICE,
    )
    reseller_commission_accrued_account_id = fields.Many2one(
        "account.account",
        string="Accrued Commissions",
        check_company=True,
        domain="[('account_type', '=', 'liability_current')]",
        help="What resellers have earned that no statement has billed, at a month's end.",
        groups=OFFICE,
    )
    reseller_commission_product_id = fields.Many2one(
        "product.product",
        string="Commission",
        check_company=True,
        domain="[('type', '=', 'service')]",
        help="Gives commissions their purchase taxes and their account: a selling expense, or less revenue "
        "where the reseller is a customer as well.",
        groups=OFFICE,
    )

    def _get_reseller_accounts(self):
        """Override of books: of accrued commissions as well."""
        return (
            *super()._get_reseller_accounts(),
            ("reseller_commission_accrued_account_id", "liability_current", "liability_current"),
        )
