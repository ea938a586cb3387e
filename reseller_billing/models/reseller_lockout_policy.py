from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError

# From free to shut, in order.
STATES = [
    ("clear", "Clear"),
    ("warned", "Warned"),
    ("restricted", "Restricted"),
    ("locked", "Locked"),
]
SEVERITY = {state: number for number, (state, _label) in enumerate(STATES)}


class ResellerLockoutPolicy(models.Model):
    """A ladder of stages that whoever owes climbs as a debt grows older, and leaves by paying."""

    _name = "reseller.lockout.policy"
    _description = "Lock-out Policy"
    _order = "name, id"

    active = fields.Boolean(default=True)
    name = fields.Char(required=True, translate=True)
    company_id = fields.Many2one(
        "res.company", index=True, help="Empty: a policy for every company."
    )
    stage_ids = fields.One2many("reseller.lockout.stage", "policy_id", copy=True)
    rejects_events = fields.Boolean(
        string="Reject Usage Events",
        help="While all metered use is refused, events of that time are rejected, and can be taken "
        "in later by hand. Otherwise use that was made is taken in, and billed.",
    )
    reaches_clients = fields.Boolean(
        string="Clients Feel It",
        help="Of a reseller's own debt: what is refused the reseller is refused its clients, too.",
    )
    reaches_clients_days = fields.Integer(
        string="After (days)", help="Days in a stage until the clients feel it; 0: at once."
    )

    _days_positive = models.Constraint(
        "CHECK (reaches_clients_days >= 0)", "Clients feel it after no days, or some."
    )

    def _get_stage(self, debt, ceiling="locked"):
        """Return the stage that a debt is at, empty for none.

        :param Debt debt: what is overdue, see `reseller.lockout.debtor.mixin`
        :param str ceiling: the state that is reached at most
        """
        reached = self.stage_ids.filtered(
            lambda stage: (
                debt.owed > 0
                and debt.days >= stage.days_overdue
                and debt.owed > Decimal(repr(stage.amount_over))
                and SEVERITY[stage.state] <= SEVERITY[ceiling]
            )
        )
        return reached.sorted(lambda stage: (SEVERITY[stage.state], stage.days_overdue, stage.id))[
            -1:
        ]


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
        # Whoever deletes a stage need not see every account.
        locked_sudo = self.env["reseller.lockout"].sudo()
        locked_sudo = locked_sudo.search([("stage_id", "in", self.ids)], limit=1)
        if locked_sudo:
            raise ValidationError(
                self.env._(
                    "Somebody is at this stage: archive the policy and choose another one instead."
                )
            )
