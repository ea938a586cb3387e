from odoo import api, models

from ... import rating


class ResLang(models.Model):
    _inherit = "res.lang"

    @api.model
    def _format_exact(self, value, decimals=0):
        """Return an exact number with the separators of the context's language.

        :param Decimal value: what to format; no digit of it is dropped
        :param int decimals: the least number of decimals
        """
        lang = self._get_data(code=self.env.lang or "en_US")
        whole, _point, fraction = rating.text(abs(value)).partition(".")
        grouped = f"{int(whole):,}".replace(",", lang.thousands_sep or "")
        fraction = fraction.ljust(decimals, "0")
        point = (lang.decimal_point or ".") + fraction if fraction else ""
        return f"{'-' if value < 0 else ''}{grouped}{point}"
