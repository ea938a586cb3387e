from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"

    def write(self, vals):
        """Override of `base`: a credit note that is posted, or an invoice that is cancelled, ends a
        lock-out, too.
        """
        done = super().write(vals)
        if {"state", "invoice_date_due"} & vals.keys():
            self.line_ids._follow_lockouts()
        return done
