from odoo import models
from odoo.tools import date_utils
from odoo.tools.misc import format_date

MONTHS = 12


class ResellerReseller(models.Model):
    """What a reseller that buys sees of its margin, and of what prices cost it."""

    _inherit = "reseller.reseller"

    def _sees_cost(self):
        """Return whether this reseller buys, and sees what it pays."""
        self.ensure_one()
        return self.portal_see_cost and self.buyer_open

    def _get_margin_months(self):
        """Return [(first day, retail, cost, margin, margin in per cent or None, whether all of it is billed)] of the
        last twelve months that have any, the newest first.
        """
        self.ensure_one()
        until = self.buyer_id.billed_until
        found = [
            (
                month,
                float(retail),
                float(cost),
                float(retail - cost),
                float((retail - cost) * 100 / retail) if retail else None,
                bool(until) and date_utils.end_of(month, "month") <= until,
            )
            for _reseller, _currency, month, retail, cost in self.env[
                "reseller.margin"
            ]._load_months(self)
            if retail or cost
        ]
        return found[: -MONTHS - 1 : -1]

    def _get_last_margin(self):
        """Return (month in words, margin) of the last month all of which is billed, None for none or nobody to see."""
        self.ensure_one()
        whole = [row for row in self._get_margin_months() if row[5]] if self._sees_cost() else []
        return (
            (format_date(self.env, whole[0][0], date_format="LLLL y"), whole[0][3])
            if whole
            else None
        )

    def _get_margins_of(self, group, month):
        """Return [(record, retail, cost, margin, margin in per cent or None)] of a month, the lowest margin first.

        :param str group: client_id or feature_id; the reseller's own account stands for what no client uses
        :param date month: its first day
        """
        self.ensure_one()
        rows = (
            self.env["reseller.margin"]
            .with_context(reseller_margin_of=(self.id, month))
            ._read_group(
                [("reseller_id", "=", self.id), ("month", "=", month)],
                [group],
                ["retail:sum", "cost:sum", "margin:sum", "margin_percent:avg"],
            )
        )
        return sorted((row for row in rows if row[1] or row[2]), key=lambda row: row[3])

    def _get_costs(self, day=None):
        """Return {feature: the price that this reseller pays} of a day, today without; none where it does not buy,
        or may not see it.
        """
        self.ensure_one()
        if not self._sees_cost():
            return {}
        buyer = self.buyer_id
        day = day or self._today()
        rows = buyer.reseller_id._get_pricing(day, buyer._membership_on(day).group_id, buyer)
        return {row["feature"]: row["winner"] for row in rows if row["winner"]}
