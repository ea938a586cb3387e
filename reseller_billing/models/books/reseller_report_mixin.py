from odoo import api, fields, models
from odoo.tools import date_utils


class ResellerReportMixin(models.AbstractModel):
    """Reports of a period: their first and last day come with the action that opens them.

    Without, it is the last month.
    """

    _name = "reseller.report.mixin"
    _description = "Report of a Period"

    date_from = fields.Date(string="First Day", readonly=True)
    date_to = fields.Date(string="As Of", readonly=True)

    @api.model
    def _get_report_days(self):
        """Return (first day, last day) of the period that is looked at, both inclusive."""
        start = date_utils.start_of(fields.Date.context_today(self), "month")
        first = fields.Date.to_date(self.env.context.get("reseller_date_from"))
        last = fields.Date.to_date(self.env.context.get("reseller_date_to"))
        last = last or date_utils.subtract(start, days=1)
        return first or date_utils.start_of(last, "month"), last
