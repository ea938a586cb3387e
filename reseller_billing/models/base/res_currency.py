from odoo import models

from ... import rating


class ResCurrency(models.Model):
    _inherit = "res.currency"

    def _get_exact_rounding(self):
        """Return the rounding as an exact Decimal: 0.01, not the float next to it."""
        self.ensure_one()
        return rating.exact_of(self.rounding)

    def _format_exact(self, value):
        """Return an exact amount or price with all its decimals and this currency's symbol."""
        self.ensure_one()
        number = self.env["res.lang"]._format_exact(value, self.decimal_places)
        parts = (self.symbol, number) if self.position == "before" else (number, self.symbol)
        return "\N{NO-BREAK SPACE}".join(parts)

    def _scale_ceiling(self, amount):
        """Return what an amount of a currency with hundredths is alike in this one, as a ceiling.

        1,000 where there are cents are 100,000 where there are none: an order of magnitude, since a
        rate need not be known.
        """
        return amount * 10.0 ** (2 - self.decimal_places)
