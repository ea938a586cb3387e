from odoo import models
from odoo.tools import SQL

from .reseller_usage_line import KEYED


class ResellerUsageLine(models.Model):
    """Lines and days, stored in one transaction."""

    _inherit = "reseller.usage.line"

    def _make_batch_table(self):
        """Make the empty table that events of this transaction lie in until they are stored."""
        self.env.cr.execute(
            """
            CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_batch (
                position integer, client_id integer, feature_id integer, level_id integer,
                quantity numeric, occurred_at timestamp, billing_date date,
                source varchar, external_id varchar, corrects varchar, is_late boolean,
                properties jsonb, import_id integer
            ) ON COMMIT DELETE ROWS;
            TRUNCATE reseller_usage_batch
            """
        )

    def _store_events_sql(self, company):
        """Return the query that stores a batch and adds it to the buckets; it returns a count.

        Only rows that were really inserted reach the buckets. Keys are sorted, so that two batches
        at once cannot wait for each other in a circle. A bucket that changes has a version that
        no bill covers: the next one rates its cycle again.
        """
        return SQL(
            """
            WITH stored AS (
                INSERT INTO reseller_usage_line (
                    company_id, client_id, feature_id, level_id, quantity, occurred_at,
                    billing_date, source, external_id, corrects, is_late, properties, import_id)
                SELECT %(company)s, client_id, feature_id, level_id, quantity, occurred_at,
                       billing_date, source, external_id, corrects, is_late, properties, import_id
                  FROM reseller_usage_batch
                 ORDER BY source COLLATE "C", external_id COLLATE "C", position
                    ON CONFLICT (company_id, source, external_id) WHERE is_released IS NOT TRUE
                       DO NOTHING
                RETURNING id, client_id, feature_id, level_id, billing_date, quantity, occurred_at
            ), gauge AS (
                SELECT id FROM reseller_feature WHERE aggregation IN ('max', 'last')
            ), bucketed AS (
                INSERT INTO reseller_usage_daily AS bucket (
                    company_id, client_id, feature_id, level_id, billing_date, quantity, event_count,
                    max_quantity, last_quantity, last_at, version, is_pending)
                SELECT %(company)s, client_id, feature_id, level_id, billing_date,
                       sum(quantity), count(*),
                       max(quantity) FILTER (WHERE feature_id IN (TABLE gauge)),
                       (array_agg(quantity ORDER BY occurred_at DESC, id DESC)
                           FILTER (WHERE feature_id IN (TABLE gauge)))[1],
                       max(occurred_at) FILTER (WHERE feature_id IN (TABLE gauge)), 1, TRUE
                  FROM stored
                 GROUP BY client_id, feature_id, level_id, billing_date
                 ORDER BY client_id, feature_id, COALESCE(level_id, 0), billing_date
                %(merge)s
            )
            SELECT count(*) FROM stored
            """,
            company=company.id,
            merge=self._merge_days_sql(),
        )

    def _merge_days_sql(self):
        """Return what becomes of a `bucket` that is there already, when more use comes in."""
        return SQL(
            """
            ON CONFLICT (client_id, feature_id, COALESCE(level_id, 0), billing_date)
               DO UPDATE SET quantity = bucket.quantity + excluded.quantity,
                             event_count = bucket.event_count + excluded.event_count,
                             max_quantity = GREATEST(bucket.max_quantity, excluded.max_quantity),
                             last_quantity = CASE WHEN bucket.last_at > excluded.last_at
                                                  THEN bucket.last_quantity
                                                  ELSE excluded.last_quantity END,
                             last_at = GREATEST(bucket.last_at, excluded.last_at),
                             version = bucket.version + 1, is_pending = TRUE
            """
        )

    def _conflicts_sql(self, company, of_file):
        """Return the query for the positions of events that are stored with other content.

        :param of_file: whether they are rows of a file, whose further columns may change
        """
        return SQL(
            """
            SELECT batch.position
              FROM reseller_usage_batch batch
              JOIN reseller_usage_line line
                ON line.company_id = %s
               AND line.source = batch.source
               AND line.external_id = batch.external_id
               AND %s
             WHERE %s
            """,
            company.id,
            KEYED,
            self._differs_sql(of_file),
        )

    def _differs_sql(self, of_file):
        """Return the condition that `line`, which is stored, says other things than `batch`.

        :param of_file: whether they are rows of a file, whose further columns may change
        """
        return SQL(
            """
            ((line.client_id, line.feature_id, line.level_id, line.quantity,
              line.occurred_at, line.corrects)
             IS DISTINCT FROM
             (batch.client_id, batch.feature_id, batch.level_id, batch.quantity,
              batch.occurred_at, batch.corrects)
             -- What properties said may have been forgotten since.
             OR (NOT %s AND (line.properties != batch.properties
                 OR (line.properties IS NOT NULL AND batch.properties IS NULL))))
            """,
            of_file,
        )
