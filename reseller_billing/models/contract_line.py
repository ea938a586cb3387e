from decimal import Decimal

from odoo import models

from .. import rating


class ContractLine(models.Model):
    _inherit = "contract.line"

    def _take_due(self, date):
        """Return charge values for each time this line is due by a bill date, and move it on.

        :param date date: the bill date, inclusive
        """
        self.ensure_one()
        found = []
        while self.recurring_next_date and self.recurring_next_date <= date:
            found.append(self._prepare_charge_vals())
            self._update_last_date_invoiced()
        return found

    def _prepare_charge_vals(self):
        self.ensure_one()
        first, last, _next_date = self._get_period_to_invoice(
            self.last_date_invoiced, self.recurring_next_date
        )
        quantity = Decimal(
            repr(self._get_quantity_to_invoice(first, last, self.recurring_next_date))
        )
        price = Decimal(repr(self.price_unit))
        discount = Decimal(repr(self.discount or 0.0))
        with rating.exact():
            amount = rating.round_to(
                quantity * price * (100 - discount) / 100, self.currency_id._get_exact_rounding()
            )
        return {
            "kind": "manual",
            "name": self._insert_markers(first, last),
            "quantity": quantity,
            "unit_price": price,
            "amount": amount,
            "cycle_start": first,
            "cycle_end": last,
            "date_from": first,
            "date_to": last,
            "contract_line_id": self.id,
            "trace": {
                "rounding": rating.text(self.currency_id._get_exact_rounding()),
                "billed_before": "0",
                "rated": {
                    "kind": "manual",
                    "quantity": rating.text(quantity),
                    "unit_price": rating.text(price * (100 - discount) / 100),
                },
                "last_date_invoiced": self.last_date_invoiced
                and self.last_date_invoiced.isoformat(),
            },
        }
