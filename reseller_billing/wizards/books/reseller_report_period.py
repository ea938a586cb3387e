from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import date_utils
from odoo.tools.misc import format_date


class ResellerReportPeriod(models.TransientModel):
    """Asks for the days of a report, and opens it."""

    _name = "reseller.report.period"
    _description = "Period of a Report"

    report = fields.Selection(
        [
            ("reseller.rollforward", "Roll-Forward"),
            ("reseller.unbilled", "Unbilled"),
            ("reseller.aged.debt", "Aged Debt"),
        ],
        required=True,
        readonly=True,
    )
    date_from = fields.Date(
        string="First Day",
        default=lambda self: self._get_last_month()[0],
        help="The opening is that of the evening before.",
    )
    date_to = fields.Date(
        string="Last Day", required=True, default=lambda self: self._get_last_month()[1]
    )

    @api.model
    def _get_last_month(self):
        start = date_utils.start_of(fields.Date.context_today(self), "month")
        return date_utils.subtract(start, months=1), date_utils.subtract(start, days=1)

    def action_open(self):
        """Open the report as of these days.

        :raise UserError: when the last day is before the first
        """
        self.ensure_one()
        first, last = self.date_from, self.date_to
        if self.report != "reseller.aged.debt" and (not first or last < first):
            raise UserError(self.env._("Choose a first day that is not after the last one."))
        days = {"first": format_date(self.env, first), "last": format_date(self.env, last)}
        domain = []
        if self.report == "reseller.rollforward":
            name = self.env._("Roll-Forward, %(first)s to %(last)s", **days)
        elif self.report == "reseller.unbilled":
            name = self.env._("Unbilled, %(first)s to %(last)s", **days)
            rows = self.env["reseller.unbilled"]._make(self.env.company, first, last)
            domain = [("id", "in", rows.ids)]
        else:
            name = self.env._("Aged Debt on %s", days["last"])
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"reseller_billing.{self.report.replace('.', '_')}_action"
        )
        return {
            **action,
            "name": name,
            "display_name": name,
            "domain": domain,
            "context": {
                "reseller_date_from": fields.Date.to_string(first),
                "reseller_date_to": fields.Date.to_string(last),
            },
        }
