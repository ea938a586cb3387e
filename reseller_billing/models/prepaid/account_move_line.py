from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _reconcile_post_hook(self, data):
        """Override of `account`: packages and top-ups that are paid, however, may be used."""
        done = super()._reconcile_post_hook(data)
        (data["not_paid_invoices"] | data["in_payment_invoices"])._follow_sold_lots()
        return done

    def _tops_up(self):
        """Override: nor are packages that are taxed at use: a bonus would lower what has no tax yet."""
        charge = self.charge_id
        return super()._tops_up() or (charge.grants == "units" and charge.grant_vat_mode == "use")
