from odoo import api, fields, models
from odoo.tools import SQL


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
    version = fields.Integer(
        required=True, readonly=True, default=1, help="How often this use has changed."
    )
    is_pending = fields.Boolean(
        readonly=True,
        help="This use has changed since it was last looked at whether bills cover it.",
    )

    _bucket_uniq = models.UniqueIndex(
        "(client_id, feature_id, COALESCE(level_id, 0), billing_date)"
    )
    _pending = models.Index("(client_id, feature_id, billing_date) WHERE is_pending")

    def init(self):
        """Leave room on the table's pages: each batch of a day changes its buckets, and a row that
        stays on its page spares all indexes.
        """
        self.env.cr.execute(SQL("ALTER TABLE reseller_usage_daily SET (fillfactor = 70)"))

    @api.model
    def _counted_sql(self):
        """Return what a row of alias `bucket` counts, as its feature, of alias `feature`, has it."""
        return SQL(
            """
            CASE feature.aggregation
                 WHEN 'count' THEN bucket.event_count
                 WHEN 'max' THEN bucket.max_quantity
                 WHEN 'last' THEN bucket.last_quantity
                 ELSE bucket.quantity END
            """
        )

    @api.model
    def _counted_together_sql(self):
        """Return what rows of alias `bucket` count together; they are grouped by feature, of alias
        `feature`, and its aggregation.
        """
        return SQL(
            """
            CASE feature.aggregation
                 WHEN 'count' THEN sum(bucket.event_count)
                 WHEN 'max' THEN max(bucket.max_quantity)
                 WHEN 'last' THEN
                     (array_agg(bucket.last_quantity ORDER BY bucket.last_at DESC NULLS LAST))[1]
                 ELSE sum(bucket.quantity) END
            """
        )
