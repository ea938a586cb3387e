from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..billing.account_move_line import BILLING, _is_billing


class AccountMove(models.Model):
    """Invoices that sell ahead, and entries that book what wallets and packages give."""

    _inherit = "account.move"

    def _check_settles_nothing(self, is_modify):
        """Refuse plain credit notes of bills that have settled advances, which these would not bring back, and
        replacements of them at another rate.
        """
        for move in self.filtered("reseller_statement_id"):
            settled = move.invoice_line_ids.filtered(
                lambda line: line.reseller_settles == "advance"
            )
            is_foreign = move.currency_id != move.company_id.currency_id
            if settled and (is_foreign or not is_modify):
                move._raise_settled()

    def _raise_settled(self):
        raise UserError(
            self.env._(
                "The wallet has lowered %s: choose Void by Credit Note, which gives the wallet back what it "
                "gave, and has the days billed again.",
                self.display_name,
            )
        )

    def copy_data(self, default=None):
        """Override of `account`: a duplicate, which is no bill, is not lowered by a wallet."""
        found = super().copy_data(default)
        if self.env.context.get("include_business_fields"):
            return found  # of what reverses or replaces it
        for vals in found:
            if "line_ids" in vals:
                vals["line_ids"] = [
                    command
                    for command in vals["line_ids"]
                    if not (command[2] or {}).get("reseller_settles")
                ]
        return found

    def _check_sells_nothing(self):
        for lots in self.reseller_statement_id._find_sold_lots():
            standing = lots.filtered(lambda lot: lot.state != "canceled")
            if standing:
                raise UserError(
                    self.env._(
                        "This invoice sold %s, which a plain credit note would not take back: choose Void by "
                        "Credit Note, or refund what is left on the client's page Packages or Wallet.",
                        standing[0].display_name,
                    )
                )

    def _follow_sold_lots(self, day=None):
        """Have the packages and top-ups that these invoices sell follow them.

        :param date day: from which they do not stand; today if None
        """
        statements = self.reseller_statement_id
        if statements:
            for lots in statements._find_sold_lots():
                lots._follow_invoices(day)

    def _is_of_wallet(self, kinds=None):
        """Whether one of these entries books what wallets and packages gave or got.

        Invoices that sell them are not meant.
        """
        domain = Domain("move_id", "in", self.ids)
        domain &= Domain("kind", "in", kinds) if kinds else Domain("kind", "!=", "buy")
        return any(
            self.env[name].sudo().search_count(domain, limit=1)  # accountants need not see wallets
            for name in ("reseller.wallet.entry", "reseller.prepaid.entry")
        )

    def _check_not_of_wallet(self):
        if not _is_billing(self) and self._is_of_wallet():
            raise UserError(
                self.env._(
                    "This entry belongs to a wallet or package and stays with it: void the bill that it "
                    "pays, enter a credit or debit of the wallet, or refund the package."
                )
            )

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """Override of `account`: entries of wallets are turned by what turns the wallet."""
        self._check_not_of_wallet()
        return super()._reverse_moves(default_values_list, cancel)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_prepaid(self):
        for name in ("reseller.wallet.entry", "reseller.prepaid.entry"):
            entries_sudo = self.env[name].sudo()  # who deletes need not see lots
            entry_sudo = entries_sudo.search([("move_id", "in", self.ids)], limit=1)
            if entry_sudo:
                raise UserError(
                    self.env._(
                        "%s has sold or booked what is prepaid, whose history stays: cancel it "
                        "instead.",
                        entry_sudo.move_id.display_name,
                    )
                )

    def _post(self, soft=True):
        """Override of `account`: lots follow the invoices that sold them, and what wallets paid those that
        replace others.
        """
        posted = super()._post(soft)
        posted._follow_sold_lots()
        # A bill that makes its invoice has drawn nothing yet.
        posted.reseller_statement_id.filtered("invoice_id")._follow_replaced()
        return posted

    def write(self, vals):
        """Override of `base`: entries of wallets stay, and lots follow their invoices."""
        takes_out = vals.get("state") in ("draft", "cancel")
        if takes_out:
            self._check_not_of_wallet()
        done = super().write(vals)
        if takes_out:
            self._follow_sold_lots()
        return done

    def _check_replaceable(self, is_modify):
        """Override: what sold ahead or settled advances is voided by credit note."""
        self._check_settles_nothing(is_modify)
        if not is_modify:
            self._check_sells_nothing()
        return super()._check_replaceable(is_modify)

    def action_correct_taxes(self):
        """Override: what a wallet has lowered is voided by credit note instead."""
        if self.invoice_line_ids.filtered("reseller_settles"):
            self._raise_settled()
        return super().action_correct_taxes()

    def _move_statement_to(self, replacement, reversal):
        """Override: what wallets have paid waits for the replacement, and lots follow it."""
        statement = self.reseller_statement_id
        statement._leave_invoice(self, reversal)
        done = super()._move_statement_to(replacement, reversal)
        replacement.with_context(
            reseller_billing=BILLING
        ).reseller_is_offer = self.reseller_is_offer
        replacement._follow_sold_lots(reversal.date)
        if reversal.state == "posted":
            statement.client_id._book_exchange_of(self | reversal, reversal.date, reversal)
        return done
