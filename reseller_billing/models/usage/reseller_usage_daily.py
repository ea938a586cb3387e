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
    statement_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        ondelete="set null",
        help="The statement that covers this use as it stands. "
        "Empty: not billed yet, changed since, or unpriced.",
    )

    former_statement_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        ondelete="set null",
        help="The first statement that covered this use as it stands and is void since: the books of days "
        "before know it.",
    )
    preview_id = fields.Many2one(
        "reseller.statement",
        readonly=True,
        ondelete="set null",
        help="The preview of a run that has rated this use as it stands.",
    )

    is_unpriced = fields.Boolean(
        compute="_compute_is_unpriced",
        search="_search_is_unpriced",
        help="No price of any level holds for this client, feature and day.",
    )

    _bucket_uniq = models.UniqueIndex(
        "(client_id, feature_id, COALESCE(level_id, 0), billing_date)"
    )
    _uncovered = models.Index("(client_id, billing_date) WHERE statement_id IS NULL")
    _statement = models.Index("(statement_id) WHERE statement_id IS NOT NULL")
    _former = models.Index("(former_statement_id) WHERE former_statement_id IS NOT NULL")
    _preview = models.Index("(preview_id) WHERE preview_id IS NOT NULL")

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

    def _compute_is_unpriced(self):
        unpriced = set(self.search([("id", "in", self.ids), ("is_unpriced", "=", True)]).ids)
        for bucket in self:
            bucket.is_unpriced = bucket.id in unpriced

    def _search_is_unpriced(self, operator, value):
        if operator != "in":
            return NotImplemented
        query = SQL(
            """
            SELECT bucket.id
              FROM reseller_usage_daily bucket
              JOIN reseller_client client ON client.id = bucket.client_id
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
              LEFT JOIN reseller_client_membership membership
                ON membership.client_id = bucket.client_id
               AND daterange(membership.date_from, membership.date_to, '[]')
                   @> bucket.billing_date
             WHERE bucket.statement_id IS NULL
               AND NOT EXISTS (
                   SELECT FROM reseller_price_rule rule
                    WHERE rule.active
                      AND rule.feature_id = bucket.feature_id
                      AND rule.company_id = bucket.company_id
                      AND rule.currency_id = reseller.currency_id
                      AND daterange(rule.date_from, rule.date_to, '[]') @> bucket.billing_date
                      AND COALESCE(rule.client_id, bucket.client_id) = bucket.client_id
                      AND COALESCE(rule.reseller_id, reseller.id) = reseller.id
                      AND (rule.group_id IS NULL OR rule.group_id = membership.group_id))
            """
        )
        self.env["reseller.price.rule"].flush_model()
        self.env["reseller.client.membership"].flush_model()
        return [("id", "in" if True in value else "not in", query)]
