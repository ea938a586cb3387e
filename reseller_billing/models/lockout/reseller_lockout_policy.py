from odoo import fields, models

from ... import rating

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
        "res.company",
        index=True,
        ondelete="cascade",
        help="Empty: a policy for every company.",
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
                and debt.owed > rating.exact_of(stage.amount_over)
                and SEVERITY[stage.state] <= SEVERITY[ceiling]
            )
        )
        return reached.sorted(lambda stage: (SEVERITY[stage.state], stage.days_overdue, stage.id))[
            -1:
        ]
