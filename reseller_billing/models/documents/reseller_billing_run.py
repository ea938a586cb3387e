from odoo import api, fields, models
from odoo.exceptions import UserError

from .reseller_statement_send import FAILED


class ResellerBillingRun(models.Model):
    """Sending the bills of a run."""

    _inherit = "reseller.billing.run"

    unsent_count = fields.Integer(string="Not Sent", compute="_compute_send_counts")
    sent_count = fields.Integer(string="Sent", compute="_compute_send_counts")
    send_failed_count = fields.Integer(string="Could Not Be Sent", compute="_compute_send_counts")
    no_address_count = fields.Integer(string="Without Address", compute="_compute_send_counts")

    @api.depends("statement_ids.send_state", "statement_ids.state")
    def _compute_send_counts(self):
        counts = {
            (run.id, state): count
            for run, state, count in self.env["reseller.statement"]._read_group(
                self._get_bills_domain(),
                ["run_id", "send_state"],
                ["__count"],
            )
        }
        for run in self:
            run.unsent_count = counts.get((run._origin.id, "unsent"), 0)
            run.sent_count = counts.get((run._origin.id, "sent"), 0)
            run.send_failed_count = counts.get((run._origin.id, "failed"), 0)
            run.no_address_count = counts.get((run._origin.id, "no_address"), 0)

    def action_export(self):
        """Download all statements of this run, previews among them, as one workbook."""
        self.ensure_one()
        report = self.env.ref("reseller_billing.action_report_statement_xlsx")
        if not self.statement_ids:
            raise UserError(self.env._("%s has no statements yet.", self.name))
        return report.report_action(self.statement_ids, config=False)

    def action_send(self):
        """Send the bills of this run that nobody has sent yet, with their invoices, by mail."""
        self.env["res.users"]._check_billing_manager()
        waiting = self.env["reseller.statement"].search(
            [*self._get_bills_domain(), ("send_state", "in", ("unsent", *FAILED))]
        )
        if not waiting:
            raise UserError(self.env._("All bills of %s have been sent.", self[:1].name))
        return waiting._queue_mails()

    def action_view_unsent(self):
        """Open the statements of this run that could not be sent, each with its reason."""
        self.ensure_one()
        return {
            **self.action_view_statements(),
            "domain": [("run_id", "=", self.id), ("send_state", "in", FAILED)],
        }
