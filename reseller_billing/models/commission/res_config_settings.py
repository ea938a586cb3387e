from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    reseller_commission_journal_id = fields.Many2one(
        related="company_id.reseller_commission_journal_id", readonly=False
    )
    reseller_commission_accrued_account_id = fields.Many2one(
        related="company_id.reseller_commission_accrued_account_id", readonly=False
    )
    reseller_commission_product_id = fields.Many2one(
        related="company_id.reseller_commission_product_id", readonly=False
    )
