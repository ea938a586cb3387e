from decimal import Decimal
from fractions import Fraction

from odoo import fields, models

from ... import rating


class ContractLine(models.Model):
    _inherit = "contract.line"

    def _take_due(self, date):
        """Return charge values for each time this line is due by a bill date, and move it on.

        Periods without a day of service are passed over. One in which the account closes is due
        whole on the final bill, whatever the line's own date.

        :param date date: the bill date, inclusive
        """
        self.ensure_one()
        found = []
        spans = self.contract_id.reseller_client_id._get_billed_spans()
        while self.recurring_next_date and not self.is_canceled:
            first, last, due = self._get_period_to_invoice(
                self.last_date_invoiced, self.recurring_next_date
            )
            if not first or not last:
                break
            served = [until for since, until in spans if since <= last and first <= until]
            if served and max(served) < last:
                due = min(due, fields.Date.add(max(served), days=1))
            if due > date:
                break
            if served:
                found.append(self._prepare_charge_vals(first, last))
            elif not any(until > last for _since, until in spans):
                break  # not served any more
            self._update_last_date_invoiced()
        return found

    def _get_served_amount(self, billed, date):
        """Return what the days until a date come to that no bill has, an exact Decimal, as priced.

        A period costs its price, however many of its days are served: each of these has the same share.

        :param billed: (first, last) of the periods that are billed, in order
        """
        self.ensure_one()
        first, unit, total = self.date_start, self.currency_id._get_exact_rounding(), Decimal(0)
        spans = self.contract_id.reseller_client_id._get_billed_spans()
        end = min(date, max((until for _since, until in spans), default=date))
        billed = list(billed)
        while first and first <= end:
            if billed and billed[0][0] <= first:
                first = max(first, fields.Date.add(billed.pop(0)[1], days=1))
                continue
            last = self.get_next_period_date_end(
                first, self.recurring_rule_type, self.recurring_interval, self.date_end
            )
            if not last or last < first:
                break
            whole, served = (
                sum(
                    max((min(until, last, limit) - max(since, first)).days + 1, 0)
                    for since, until in spans
                )
                for limit in (last, date)
            )
            if served:
                amount = self._prepare_charge_vals(first, last)["amount"]
                total += rating.round_to(Fraction(amount) * served / whole, unit)
            first = fields.Date.add(last, days=1)
        return total

    def _get_start_after(self, date):
        """Return the first day of this line's first unbilled period that begins on or after a day.

        False where the line ends before.
        """
        self.ensure_one()
        first = self.next_period_date_start
        while first and first < date:
            last = self.get_next_period_date_end(
                first, self.recurring_rule_type, self.recurring_interval, self.date_end
            )
            first = last and fields.Date.add(last, days=1)
        return first if first and not (self.date_end and self.date_end < first) else False

    def _prepare_charge_vals(self, first, last):
        """Return the values of the charge of one period of this line, inclusive days."""
        self.ensure_one()
        quantity = Decimal(
            repr(self._get_quantity_to_invoice(first, last, self.recurring_next_date))
        )
        price = rating.exact_of(self.price_unit)
        discount = rating.exact_of(self.discount or 0.0)
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
            },
            "is_extra": True,
            "last_date_invoiced": self.last_date_invoiced or None,
        }
