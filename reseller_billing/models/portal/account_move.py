from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"

    def _filter_paid_together(self):
        """Return those of these invoices that one payment online can pay: what is owed, and not being paid
        already, of one contact and currency; no offers.
        """
        due = self.filtered(
            lambda move: (
                move.state == "posted" and not move.reseller_is_offer and move._has_to_be_paid()
            )
        )
        first = due[:1]
        return due.filtered(
            lambda move: (
                (move.partner_id, move.company_id, move.currency_id)
                == (first.partner_id, first.company_id, first.currency_id)
            )
        )

    def _get_sum_to_pay(self):
        """Return what several invoices come to that are paid together, in words; nothing for one alone."""
        if len(self) < 2:
            return ""
        return self.currency_id.format(sum(self.mapped("amount_residual")))
