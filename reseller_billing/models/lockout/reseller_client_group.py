from odoo import fields, models


class ResellerClientGroup(models.Model):
    _inherit = "reseller.client.group"

    lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out Policy",
        check_company=True,
        help="Goes before the reseller's.",
    )
    is_lockout_exempt = fields.Boolean(
        string="Never Locked Out", help="Whatever the clients of this group owe."
    )
