from odoo import models

MONTHS = 12


class ResellerReseller(models.Model):
    """What a reseller that buys sees of its margin, and of what prices cost it."""

    _inherit = "reseller.reseller"

    def _get_margin_months(self):
        """Return [(first day, retail, cost, margin, margin in per cent or None)] of the last twelve months that have
        any, the newest first.
        """
        self.ensure_one()
        rows = self._load_margins("month:month")
        return sorted((row for row in rows if row[1] or row[2]), reverse=True)[:MONTHS]

    def _get_margins_of(self, group, month):
        """Return [(record, retail, cost, margin, margin in per cent or None)] of a month, the lowest margin first.

        :param str group: client_id or feature_id; the reseller's own account stands for what no client uses
        :param date month: its first day
        """
        self.ensure_one()
        rows = self._load_margins(group, ("month", "=", month))
        return sorted((row for row in rows if row[1] or row[2]), key=lambda row: row[3])

    def _load_margins(self, group, *domain):
        return self.env["reseller.margin"]._read_group(
            [("reseller_id", "=", self.id), *domain],
            [group],
            ["retail:sum", "cost:sum", "margin:sum", "margin_percent:avg"],
        )

    def _get_costs(self, day=None):
        """Return {feature: the price that this reseller pays} of a day, today without; none where it does not buy,
        or may not see it.
        """
        self.ensure_one()
        buyer = self.buyer_id if self.portal_see_cost and self.buyer_open else None
        if not buyer:
            return {}
        day = day or self._today()
        rows = buyer.reseller_id._get_pricing(day, buyer._membership_on(day).group_id, buyer)
        return {row["feature"]: row["winner"] for row in rows if row["winner"]}
