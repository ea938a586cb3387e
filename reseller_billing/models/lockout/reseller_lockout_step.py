from odoo import api, fields, models

from .reseller_lockout_policy import STATES


class ResellerLockoutStep(models.Model):
    """The history of lock-outs: one row for each change of a state, with its cause."""

    _name = "reseller.lockout.step"
    _description = "Step of a Lock-out"
    _order = "id desc"
    _check_company_auto = True

    lockout_id = fields.Many2one(
        "reseller.lockout", required=True, readonly=True, index=True, ondelete="cascade"
    )
    client_id = fields.Many2one(related="lockout_id.client_id", store=True, index=True)
    reseller_id = fields.Many2one(related="lockout_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="lockout_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="lockout_id.currency_id")
    at = fields.Datetime(required=True, readonly=True)
    state_from = fields.Selection(STATES, string="From", required=True, readonly=True)
    state_to = fields.Selection(STATES, string="To", required=True, readonly=True)
    owed = fields.Monetary(string="Overdue", readonly=True)
    days_overdue = fields.Integer(readonly=True, aggregator="max")
    cause = fields.Selection(
        [
            ("overdue", "Overdue"),
            ("paid", "Paid"),
            ("settled", "Not overdue any more"),
            ("promise", "Promise to pay"),
            ("override", "Override"),
            ("ended", "Promise or override ended"),
            ("exempt", "Exempt"),
            ("policy", "Policy changed"),
            ("again", "Done again by hand"),
        ],
        required=True,
        readonly=True,
    )
    exception_id = fields.Many2one("reseller.lockout.exception", readonly=True)
    user_id = fields.Many2one(
        "res.users", string="By", readonly=True, help="Who paid, or changed something."
    )
    failure = fields.Text(readonly=True, help="What an action of the stage could not do.")

    @api.depends("lockout_id", "state_to")
    def _compute_display_name(self):
        labels = dict(self._fields["state_to"]._description_selection(self.env))
        for step in self:
            debtor = step.client_id or step.reseller_id
            step.display_name = f"{debtor.display_name}: {labels.get(step.state_to, '')}"
