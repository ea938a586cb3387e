from decimal import Decimal

from odoo import models


class ResCurrency(models.Model):
    _inherit = "res.currency"

    def _get_exact_rounding(self):
        """Return the rounding as an exact Decimal: 0.01, not the float next to it."""
        self.ensure_one()
        return Decimal(repr(self.rounding))
