from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _reconcile_post_hook(self, data):
        """Override of `account`: packages and top-ups that are paid, however, may be used."""
        done = super()._reconcile_post_hook(data)
        (data["not_paid_invoices"] | data["in_payment_invoices"])._follow_sold_lots()
        return done
