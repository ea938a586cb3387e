from odoo import fields, models

from ..base.res_company import OFFICE


class ResCompany(models.Model):
    _inherit = "res.company"

    reseller_lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out of New Resellers' Clients",
        check_company=True,
        help="What new resellers begin with. Empty: nobody is locked out.",
        groups=OFFICE,
    )
    reseller_own_lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out of New Resellers",
        check_company=True,
        help="For debts of their own. Empty: none is locked out.",
        groups=OFFICE,
    )
    reseller_lockout_minimum = fields.Float(
        string="Least Debt",
        digits="Product Price",
        default=1.0,
        help="Less than this, in the currency that is owed, warns and locks out nobody.",
        groups=OFFICE,
    )
