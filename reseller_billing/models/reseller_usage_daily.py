from odoo import fields, models


class ResellerUsageDaily(models.Model):
    _name = "reseller.usage.daily"
    _description = "Usage by Day"
    _order = "billing_date desc, client_id, feature_id, level_id"
    _log_access = False

    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id")
    feature_id = fields.Many2one(
        "reseller.feature", required=True, readonly=True, ondelete="restrict"
    )
    level_id = fields.Many2one("reseller.feature.level", readonly=True, ondelete="restrict")
    billing_date = fields.Date(string="Day", required=True, readonly=True)
    quantity = fields.Float(required=True, readonly=True, min_display_digits=0)
    event_count = fields.Integer(string="Events", required=True, readonly=True)
    max_quantity = fields.Float(
        string="Highest Value", readonly=True, min_display_digits=0, aggregator="max"
    )
    last_quantity = fields.Float(
        string="Last Value", readonly=True, min_display_digits=0, aggregator=None
    )
    last_at = fields.Datetime(readonly=True, help="When the last value was taken, UTC.")
    statement_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        ondelete="set null",
        help="The statement that covers this use as it stands. "
        "Empty: not billed yet, changed since, or unpriced.",
    )

    preview_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        ondelete="set null",
        help="The preview of a run that has rated this use as it stands.",
    )

    _bucket_uniq = models.UniqueIndex(
        "(client_id, feature_id, COALESCE(level_id, 0), billing_date)"
    )
    _uncovered = models.Index("(client_id, billing_date) WHERE statement_id IS NULL")
    _statement = models.Index("(statement_id) WHERE statement_id IS NOT NULL")
    _preview = models.Index("(preview_id) WHERE preview_id IS NOT NULL")
