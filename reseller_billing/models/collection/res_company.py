from odoo import fields, models

from ..base.res_company import OFFICE


class ResCompany(models.Model):
    _inherit = "res.company"

    reseller_collection_retry_days = fields.Integer(
        string="Days Between Tries",
        default=3,
        help="After a declined charge of a saved payment method. After three declines it is paused.",
        groups=OFFICE,
    )
