from odoo import api, models
from odoo.exceptions import AccessError


class ResellerClientMembership(models.Model):
    _inherit = "reseller.client.membership"

    def write(self, vals):
        if "group_id" in vals:
            for group_id, rows in self.grouped("group_id").items():
                if group_id.id != vals["group_id"]:
                    rows._refuse_groups_of_lockouts(group_id)
        return super().write(vals)

    @api.constrains("group_id")
    def _check_lockout_of_groups(self):
        """Who is locked out by which policy is the manager's: so are the groups that decide it, to
        join and to leave. Service in them ends, pauses and goes on as in others.
        """
        for row in self:
            before = row.client_id.membership_ids.filtered(
                lambda membership, row=row: membership.date_from < row.date_from
            ).sorted("date_from")[-1:]
            if before.group_id != row.group_id:
                row._refuse_groups_of_lockouts(before.group_id | row.group_id)

    def _refuse_groups_of_lockouts(self, groups):
        if self._may_write_all():
            return
        group = groups.filtered(lambda group: group.is_lockout_exempt or group.lockout_policy_id)
        if group:
            raise AccessError(
                self.env._(
                    "The group %s decides about lock-outs: a Billing Manager fills it.",
                    group[0].display_name,
                )
            )
