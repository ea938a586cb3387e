from odoo import api, fields, models
from odoo.tools.misc import format_date

from ..base.states import LIVE


class ResellerBillingRun(models.Model):
    """What a run comes to in a glance, beside the one before."""

    _inherit = "reseller.billing.run"

    strip_html = fields.Html(string="At a Glance", compute="_compute_strip_html", sanitize=False)

    @api.depends("state", "done_count", "preview_count", "parked_count", "outlier_count")
    def _compute_strip_html(self):
        for run in self:
            rows = run._get_totals()
            run.strip_html = rows and self.env["ir.qweb"]._render(
                "reseller_billing.billing_run_strip",
                {
                    "rows": rows,
                    "parked": run.parked_count,
                    "outliers": run.outlier_count,
                    "is_preview": run.state in ("preparing", "prepared"),
                },
            )

    def _find_former(self):
        """Return the run before this one that has billed something, of the same company; those of chosen accounts
        are compared with none.
        """
        self.ensure_one()
        if self._get_chosen():
            return self.browse()
        return self.search(
            [
                ("company_id", "=", self.company_id.id),
                ("client_ids", "=", False),
                "|",
                ("date", "<", self.date),
                "&",
                ("date", "=", self.date),
                ("id", "<", self._origin.id),
                ("statement_ids", "any", [("state", "in", LIVE), ("charge_ids", "!=", False)]),
            ],
            order="date desc, id desc",
            limit=1,
        )

    def _load_totals(self, *states):
        """Return {currency: (amount, bills)} of this run's statements in some states that say something; what is
        on paper is nobody's here.
        """
        found = self.env["reseller.statement"]._read_group(
            [
                ("run_id", "=", self._origin.id),
                ("state", "in", states),
                ("charge_ids", "!=", False),
                ("is_paper", "=", False),
            ],
            ["currency_id"],
            ["amount_total:sum", "paper_total:sum", "__count"],
        )
        return {currency: (total - paper, count) for currency, total, paper, count in found}

    def _get_totals(self):
        """Return what this run comes to, what is to be approved included, beside the run before.

        :return: a dict per currency: ``total`` and ``before`` (formatted, before added taxes), ``bills`` (their
            number), ``change`` (in per cent, or None where there was nothing), ``day`` (of the run before, in
            words)
        """
        self.ensure_one()
        if not self._origin:
            return []
        totals = self._load_totals("preview", *LIVE)
        former = self._find_former()
        before = former._load_totals(*LIVE) if former else {}
        rows = []
        for currency in sorted(totals, key=lambda currency: currency.name):
            (amount, bills), (last, count) = totals[currency], before.get(currency, (0.0, 0))
            rows.append(
                {
                    "total": currency.format(amount),
                    "bills": bills,
                    "before": currency.format(last) if count else None,
                    "change": round(100.0 * (amount - last) / last, 1) if last > 0 else None,
                    "day": format_date(self.env, former.date) if former else "",
                }
            )
        return rows
