from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    reseller_usage_product_id = fields.Many2one(
        related="company_id.reseller_usage_product_id", readonly=False
    )
    reseller_billing_delay = fields.Integer(
        related="company_id.reseller_billing_delay", readonly=False
    )
    reseller_late_days = fields.Integer(related="company_id.reseller_late_days", readonly=False)
    reseller_refuse_unpriced = fields.Boolean(
        related="company_id.reseller_refuse_unpriced", readonly=False
    )
    reseller_lockout_minimum = fields.Float(
        related="company_id.reseller_lockout_minimum", readonly=False
    )
    reseller_key_requests = fields.Integer(
        related="company_id.reseller_key_requests", readonly=False
    )
    reseller_key_rejections = fields.Integer(
        related="company_id.reseller_key_rejections", readonly=False
    )
    reseller_lockout_policy_id = fields.Many2one(
        related="company_id.reseller_lockout_policy_id", readonly=False
    )
    reseller_own_lockout_policy_id = fields.Many2one(
        related="company_id.reseller_own_lockout_policy_id", readonly=False
    )
    reseller_collection_retry_days = fields.Integer(
        related="company_id.reseller_collection_retry_days", readonly=False
    )
    reseller_wallet_journal_id = fields.Many2one(
        related="company_id.reseller_wallet_journal_id", readonly=False
    )
    reseller_deposit_account_id = fields.Many2one(
        related="company_id.reseller_deposit_account_id", readonly=False
    )
    reseller_prepaid_account_id = fields.Many2one(
        related="company_id.reseller_prepaid_account_id", readonly=False
    )
    reseller_breakage_account_id = fields.Many2one(
        related="company_id.reseller_breakage_account_id", readonly=False
    )
    reseller_accounting_date = fields.Selection(
        related="company_id.reseller_accounting_date", readonly=False, required=True
    )
    reseller_revalues_deposits = fields.Boolean(
        related="company_id.reseller_revalues_deposits", readonly=False
    )
    reseller_refill_vat_mode = fields.Selection(
        related="company_id.reseller_usage_product_id.reseller_vat_mode",
        string="Refills Taxed",
        readonly=False,
    )
    reseller_bonus_mode = fields.Selection(
        related="company_id.reseller_bonus_mode", readonly=False, required=True
    )
    reseller_bonus_account_id = fields.Many2one(
        related="company_id.reseller_bonus_account_id", readonly=False
    )
    reseller_setup_months = fields.Integer(
        related="company_id.reseller_setup_months", readonly=False
    )
    reseller_accrued_account_id = fields.Many2one(
        related="company_id.reseller_accrued_account_id", readonly=False
    )
    reseller_deferred_account_id = fields.Many2one(
        related="company_id.reseller_deferred_account_id", readonly=False
    )
    reseller_wallet_limit = fields.Float(related="company_id.reseller_wallet_limit", readonly=False)
    reseller_keep_rejections = fields.Integer(
        related="company_id.reseller_keep_rejections", readonly=False
    )
    reseller_keep_imports = fields.Integer(
        related="company_id.reseller_keep_imports", readonly=False
    )
    reseller_keep_logins = fields.Integer(related="company_id.reseller_keep_logins", readonly=False)
    reseller_keep_properties = fields.Integer(
        related="company_id.reseller_keep_properties", readonly=False
    )
    reseller_review_runs = fields.Boolean(related="company_id.reseller_review_runs", readonly=False)
    reseller_approver_differs = fields.Boolean(
        related="company_id.reseller_approver_differs", readonly=False
    )
    reseller_review_factor = fields.Float(
        related="company_id.reseller_review_factor", readonly=False
    )
