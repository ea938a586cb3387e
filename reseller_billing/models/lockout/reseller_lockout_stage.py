from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .reseller_lockout_policy import STATES


class ResellerLockoutStage(models.Model):
    _name = "reseller.lockout.stage"
    _description = "Stage of a Lock-out Policy"
    _order = "policy_id, days_overdue, id"

    policy_id = fields.Many2one(
        "reseller.lockout.policy", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    state = fields.Selection(STATES[1:], required=True)
    days_overdue = fields.Integer(
        required=True,
        default=1,
        help="Days since the oldest unpaid invoice was due: 1 on the day after.",
    )
    amount_over = fields.Float(
        string="Owed More Than",
        digits="Product Price",
        help="Overdue, in the account's currency, taxes included. 0: whatever is overdue.",
    )
    enter_action_id = fields.Many2one(
        "ir.actions.server",
        string="On Entering",
        domain="[('model_name', '=', 'reseller.lockout'), ('parent_id', '=', False)]",
        ondelete="restrict",
        help="What this stage does. It is run for each account that comes to it.",
    )
    leave_action_id = fields.Many2one(
        "ir.actions.server",
        string="On Leaving",
        domain="[('model_name', '=', 'reseller.lockout'), ('parent_id', '=', False)]",
        ondelete="restrict",
        help="Run for each account that leaves it. What is refused or closed is given free by "
        "itself.",
    )

    _days_positive = models.Constraint(
        "CHECK (days_overdue > 0)", "A stage begins one day after an invoice was due, or later."
    )
    _amount_positive = models.Constraint(
        "CHECK (amount_over >= 0)", "A stage begins above an amount of zero or more."
    )

    @api.depends("state", "days_overdue")
    def _compute_display_name(self):
        labels = dict(self._fields["state"]._description_selection(self.env))
        for stage in self:
            stage.display_name = self.env._(
                "%(state)s, from %(days)s days overdue",
                state=labels.get(stage.state, ""),
                days=stage.days_overdue,
            )

    @api.constrains("enter_action_id", "leave_action_id")
    def _check_actions(self):
        for action in self.enter_action_id | self.leave_action_id:
            if action.sudo().model_id.model != "reseller.lockout":  # users may not read actions
                raise ValidationError(
                    self.env._(
                        "%s does not act on lock-outs: choose an action on that model.",
                        action.sudo().display_name,  # as above
                    )
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_entered(self):
        locked_sudo = self.env["reseller.lockout"].sudo()  # also of accounts that one may not see
        if locked_sudo.search_count([("stage_id", "in", self.ids)], limit=1):
            raise ValidationError(
                self.env._(
                    "Somebody is at this stage: archive the policy and choose another one instead."
                )
            )
