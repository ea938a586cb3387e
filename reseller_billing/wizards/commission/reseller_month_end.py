from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

from odoo import models
from odoo.exceptions import UserError

from ... import rating


class ResellerMonthEnd(models.TransientModel):
    """What resellers have earned by the day, and no statement has billed by it (wholesale W13)."""

    _inherit = "reseller.month.end"

    def _get_prepaid_rows(self, rated):
        """Override of books: commissions are an expense of the days on which they are earned."""
        found = super()._get_prepaid_rows(rated)
        rows = defaultdict(list, found)
        accounts = ("commission_accrued", "commission_expense")
        for currency, amount in self._load_unstated_commissions().items():
            if amount:
                name = self.env._("Commissions earned and not billed")
                rows[currency].append((name, accounts, -amount, None))
        return rows

    def _load_unstated_commissions(self):
        """Return {currency id: Decimal} of what resellers have earned of what is billed by the day, less what their
        own bills have by then, whatever basis these are on.
        """
        resellers_sudo = self.env["reseller.reseller"].sudo()  # all of the company, seen or not
        resellers_sudo = resellers_sudo.with_context(active_test=False).search(
            [("company_id", "=", self.company_id.id), ("settlement", "=", "referral")]
        )
        earned = self.env["reseller.commission.earned"].sudo()  # as above
        found = defaultdict(Decimal)
        for reseller_sudo in resellers_sudo:
            rows = earned._compute_earned(reseller_sudo, self.date, "billed")
            total = sum(
                (one.net * percent / 100 * share for one, percent, share in rows), Fraction(0)
            )
            unit = reseller_sudo.currency_id._get_exact_rounding()
            found[reseller_sudo.currency_id.id] += rating.round_to(total, unit)
        for commission_sudo in resellers_sudo.commission_ids:
            if commission_sudo._is_booked_on(self.date):
                amount = rating.exact_of(commission_sudo.amount_total)
                found[commission_sudo.currency_id.id] -= amount
        return found

    def _get_account(self, name):
        """Override of books: those of commissions."""
        company_sudo = self.company_id.sudo()  # who closes a month need not see the settings
        if name == "commission_accrued":
            account = company_sudo.reseller_commission_accrued_account_id
        elif name == "commission_expense":
            product = company_sudo.reseller_commission_product_id.with_company(company_sudo)
            account = product.product_tmpl_id.get_product_accounts()["expense"]
        else:
            return super()._get_account(name)
        if not account:
            raise UserError(
                self.env._(
                    "Resellers have earned commissions that no statement has billed: choose the product of "
                    "commissions and the account Accrued Commissions in the settings."
                )
            )
        return account.sudo(False)  # booked with the rights of who closes the month
