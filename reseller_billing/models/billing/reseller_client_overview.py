from decimal import Decimal
from functools import partial

from odoo import fields, models
from odoo.tools.misc import format_date

from ... import rating

# Bills that an account's overview shows.
RECENT = 5


class ResellerClient(models.Model):
    """What an account's page *Overview* shows: use, what it comes to, and the last bills."""

    _inherit = "reseller.client"

    recent_statement_ids = fields.Many2many(
        "reseller.statement", string="Last Bills", compute="_compute_recent_statement_ids"
    )
    usage_html = fields.Html(compute="_compute_usage_html", sanitize=False)

    def _get_usage_rows(self):
        """Return the entries of current_usage, each with ``expected`` (amount at the cycle's end, exact text, were
        the days left as those before), ``bars``, ``has_included`` and ``has_prepaid``: whether its price includes
        units, and whether packages have some, or had; those with neither use nor limit are left out.

        :return: ``bars``: what is free, and then the maximum, where there are such: dicts with ``kind`` (free,
            maximum), ``limit`` (exact text) and ``share`` (what is used of it, per cent)
        """
        self.ensure_one()
        if self.state != "active":
            return []
        expected = self.env["reseller.rating"]._load_expected(self)
        rows = []
        for entry in self.current_usage():
            used, payable = Decimal(entry["used"]), Decimal(entry["payable"])
            left = Decimal(entry["included_left"]) + Decimal(entry["prepaid_left"])
            amount, rule = expected.get(entry["feature"], (Decimal(entry["amount"]), None))
            terms = rule and rule.terms
            is_limited = terms and terms.model != "unlimited"
            # Of use that is free for another reason, as on trial, nothing is used up.
            is_limited = is_limited and (left or payable or terms.included or terms.bonus)
            free = used - payable + left if is_limited else Decimal(0)
            limits = {"free": free, "maximum": Decimal(entry["maximum"] or 0)}
            bars = [
                {"kind": kind, "limit": rating.text(limit), "share": int(100 * used / limit)}
                for kind, limit in limits.items()
                if limit > 0
            ]
            if not (used or bars or amount):
                continue
            included = bool(terms and (terms.included or terms.bonus))
            rows.append(
                {
                    **entry,
                    "bars": bars,
                    "has_included": included,
                    # Without an allotment packages alone make units free.
                    "has_prepaid": Decimal(entry["prepaid_left"]) > 0
                    or (free > 0 and not included),
                    "expected": rating.text(amount),
                }
            )
        return rows

    def _compute_recent_statement_ids(self):
        bills = self.env["reseller.statement"]
        for client in self:  # a form has one
            domain = [("client_id", "=", client._origin.id), ("state", "!=", "preview")]
            client.recent_statement_ids = bills.search(domain, limit=RECENT)

    def _compute_usage_html(self):
        for client in self:
            rows = client._get_usage_rows()
            sums = {
                name: rating.text(sum((Decimal(row[name]) for row in rows), Decimal(0)))
                for name in ("amount", "expected")
            }
            client.usage_html = self.env["ir.qweb"]._render(
                "reseller_billing.client_usage",
                {
                    "rows": rows,
                    "sums": sums,
                    "due": client._get_open_bill(),
                    "day": partial(format_date, self.env),
                    "number": lambda text: self.env["res.lang"]._format_exact(Decimal(text)),
                    "money": lambda text, client=client: client.currency_id._format_exact(
                        Decimal(text)
                    ),
                },
            )

    def _get_open_bill(self):
        """Return ``date`` of this account's next bill and ``amount``, what it comes to by now without taxes (exact
        text), or None where there is none; ``has_lines``: lines of its contract are due with it besides.
        """
        self.ensure_one()
        date = self._origin.next_bill_date
        if self.state != "active" or not date:
            return None
        return {"date": date, **self.env["reseller.statement"]._sum_open(self._origin, date)}
