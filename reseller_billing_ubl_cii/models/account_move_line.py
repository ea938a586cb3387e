from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _prepare_edi_vals_to_export(self):
        """Override of `account`: in Factur-X, lines of statements have their days of service."""
        vals = super()._prepare_edi_vals_to_export()
        if self.charge_date_from:
            vals |= {"billing_start": self.charge_date_from, "billing_end": self.charge_date_to}
        return vals
