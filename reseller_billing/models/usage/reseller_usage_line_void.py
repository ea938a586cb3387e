from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..client.floors import billed_until_sql
from .reseller_usage_line import KEYED, NAMED, Scope

# The events that are about to be void, as `line`.
PICKED = SQL(
    "SELECT line.* FROM reseller_usage_picked picked "
    "JOIN reseller_usage_line line ON line.id = picked.id"
)


class ResellerUsageLine(models.Model):
    """Events that are void, and deliveries that replace others."""

    _inherit = "reseller.usage.line"

    def action_void(self):
        """Let events and their corrections count no more (rating 14).

        What they were billed at is given back with the next bill.

        :raise UserError: when a day is billed and lies outside the window for late usage
        :raise AccessError: without the group Billing Manager
        """
        self._void_selected(released=False)

    def action_void_released(self):
        """Let events count no more, as `action_void` does, and be sent again under their IDs."""
        self._void_selected(released=True)

    def _void_selected(self, released):
        self.env["res.users"]._check_billing_manager()
        self.check_access("read")
        for company, events in self.grouped("company_id").items():
            live = events.filtered(lambda event: not event.voided_at)
            events._void(company, SQL("line.id = ANY(%s)", events.ids), released)
            live._log_voided()

    def _log_voided(self):
        """Note on each account which of its events somebody has voided."""
        bodies = {}
        for client, events in self.grouped("client_id").items():
            names = events[:NAMED].mapped("external_id")
            more = len(events) - len(names)
            names += [self.env._("and %s more", more)] if more else []
            bodies[client.id] = self.env._(
                "Usage events voided, with their corrections: %s", ", ".join(names)
            )
        clients_sudo = self.client_id.sudo()  # who may void need not write on accounts
        clients_sudo._message_log_batch(bodies)

    @api.model
    def _void(self, company, condition, released, spared=None):
        """Void the events of a company that meet a condition, and their corrections.

        :param condition: SQL on `line`, a row of this table; what is voided is left as it is
        :param released: whether their ids may come again, as other events
        :param spared: SQL on `line` for corrections that stay
        :return: the number of events
        :raise UserError: see `action_void`
        """
        self.env.flush_all()
        self._pick(company, condition, spared or SQL("FALSE"))
        self._check_may_void(company, PICKED)
        # In the order in which usage that comes in takes them.
        self.env.cr.execute(
            SQL(
                """
                SELECT FROM reseller_usage_daily bucket
                 WHERE (client_id, feature_id, COALESCE(level_id, 0), billing_date) IN (
                       SELECT client_id, feature_id, COALESCE(level_id, 0), billing_date
                         FROM (%s) AS line)
                 ORDER BY client_id, feature_id, COALESCE(level_id, 0), billing_date
                   FOR NO KEY UPDATE
                """,
                PICKED,
            )
        )
        [(count,)] = self.env.execute_query(self._void_picked_sql(released))
        self.env.cr.execute(self._read_gauges_sql())
        self.invalidate_model(["voided_at", "is_released"])
        self.env["reseller.usage.daily"].invalidate_model()
        return count

    def _pick(self, company, condition, spared):
        """Lay the ids of events to void, and of their corrections, into a temporary table, and lock them.

        Who corrects an event locks it as well: what has corrected one meanwhile is picked, too.

        :param condition: see `_void`
        :param spared: see `_void`
        """
        self.env.cr.execute(
            """
            CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_picked (id integer PRIMARY KEY)
                ON COMMIT DELETE ROWS;
            TRUNCATE reseller_usage_picked
            """
        )
        while True:
            # A correction may be corrected in its turn.
            self.env.cr.execute(
                SQL(
                    """
                    WITH RECURSIVE found AS (
                        SELECT line.id, line.company_id, line.source, line.external_id
                          FROM reseller_usage_line line
                         WHERE line.company_id = %(company)s AND line.voided_at IS NULL
                           AND (%(condition)s)
                         UNION
                        SELECT line.id, line.company_id, line.source, line.external_id
                          FROM found
                          JOIN reseller_usage_line line
                            ON line.company_id = found.company_id
                           AND line.source = found.source
                           AND line.corrects = found.external_id
                           AND line.voided_at IS NULL
                         WHERE NOT (%(spared)s)
                    )
                    INSERT INTO reseller_usage_picked SELECT id FROM found ON CONFLICT DO NOTHING
                    """,
                    company=company.id,
                    condition=condition,
                    spared=spared,
                )
            )
            if not self.env.cr.rowcount:
                return
            self.env.cr.execute(
                """
                ANALYZE reseller_usage_picked;
                SELECT FROM reseller_usage_line line
                  JOIN reseller_usage_picked picked ON picked.id = line.id
                 ORDER BY line.id FOR UPDATE OF line
                """
            )

    def _void_picked_sql(self, released):
        """Return the query that voids what is picked and takes it from the buckets; it returns a count.

        What comes in meanwhile waits for the buckets, so that sums change by the difference alone.
        """
        return SQL(
            """
            WITH voided AS (
                UPDATE reseller_usage_line line
                   SET voided_at = now() AT TIME ZONE 'UTC', is_released = %s
                  FROM reseller_usage_picked picked
                 WHERE line.id = picked.id AND line.voided_at IS NULL
                RETURNING line.client_id, line.feature_id, line.level_id, line.billing_date,
                          line.quantity
            ), gone AS (
                SELECT client_id, feature_id, level_id, billing_date,
                       sum(quantity) AS quantity, count(*) AS event_count
                  FROM voided
                 GROUP BY client_id, feature_id, level_id, billing_date
            ), bucketed AS (
                UPDATE reseller_usage_daily bucket
                   SET quantity = bucket.quantity - gone.quantity,
                       event_count = bucket.event_count - gone.event_count,
                       version = bucket.version + 1, is_pending = TRUE
                  FROM gone
                 WHERE bucket.client_id = gone.client_id
                   AND bucket.feature_id = gone.feature_id
                   AND bucket.level_id IS NOT DISTINCT FROM gone.level_id
                   AND bucket.billing_date = gone.billing_date
            )
            SELECT count(*) FROM voided
            """,
            released,
        )

    def _read_gauges_sql(self):
        """Return the query that reads the highest and last values anew of buckets of what is picked."""
        return SQL(
            """
            UPDATE reseller_usage_daily bucket
               SET max_quantity = sums.max_quantity, last_quantity = sums.last_quantity,
                   last_at = sums.last_at
              FROM (
                SELECT gone.client_id, gone.feature_id, gone.level_id, gone.billing_date,
                       max(line.quantity) AS max_quantity,
                       (array_agg(line.quantity ORDER BY line.occurred_at DESC, line.id DESC)
                           FILTER (WHERE line.id IS NOT NULL))[1] AS last_quantity,
                       max(line.occurred_at) AS last_at
                  FROM (SELECT DISTINCT client_id, feature_id, level_id, billing_date
                          FROM (%s) AS line
                         WHERE feature_id IN (SELECT id FROM reseller_feature
                                               WHERE aggregation IN ('max', 'last'))) AS gone
                  LEFT JOIN reseller_usage_line line
                    ON line.client_id = gone.client_id
                   AND line.feature_id = gone.feature_id
                   AND line.level_id IS NOT DISTINCT FROM gone.level_id
                   AND line.billing_date = gone.billing_date
                   AND line.voided_at IS NULL
                 GROUP BY gone.client_id, gone.feature_id, gone.level_id, gone.billing_date
              ) AS sums
             WHERE bucket.client_id = sums.client_id
               AND bucket.feature_id = sums.feature_id
               AND bucket.level_id IS NOT DISTINCT FROM sums.level_id
               AND bucket.billing_date = sums.billing_date
            """,
            PICKED,
        )

    def _check_may_void(self, company, picked):
        """Raise a UserError that names what keeps events from being voided.

        :param picked: the query for the events
        """
        oldest = self._get_oldest_day(company)
        billed = self.env.execute_query(
            SQL(
                """
                SELECT client.name, min(line.billing_date), max(line.billing_date)
                  FROM (%s) line
                  JOIN reseller_client client ON client.id = line.client_id
                 WHERE line.billing_date <= %s AND line.billing_date < %s
                 GROUP BY client.id
                 ORDER BY client.id
                 LIMIT %s
                """,
                picked,
                billed_until_sql("client"),
                oldest,
                NAMED,
            )
        )
        if billed:
            raise UserError(
                self.env._(
                    "Days before %(oldest)s are outside the window for late usage, and these are "
                    "billed already: credit them by hand.\n%(days)s",
                    oldest=oldest,
                    days="\n".join(
                        f"{name}: {first}" if first == last else f"{name}: {first} – {last}"
                        for name, first, last in billed
                    ),
                )
            )

    @api.model
    def _find_sent(self, company, source, external_id):
        """Return the event of a company that has a source and id, also a voided one that keeps it."""
        found = self.env.execute_query(
            SQL(
                "SELECT line.id FROM reseller_usage_line line WHERE line.company_id = %s"
                " AND line.source = %s AND line.external_id = %s AND %s",
                company.id,
                source,
                external_id,
                KEYED,
            )
        )
        return self.browse(one for (one,) in found)

    @api.model
    def _open_scope(self, company, condition):
        """Begin to replace the use of a company that meets a condition; return the Scope.

        Batches are taken in with it, and `_close_scope` ends it, all in one transaction.

        :param condition: SQL on `line`, see Scope
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_scope (
                    id integer, source varchar, external_id varchar, client_id integer
                ) ON COMMIT DELETE ROWS;
                CREATE TEMPORARY TABLE IF NOT EXISTS reseller_usage_delivered (
                    source varchar, external_id varchar, client_id integer
                ) ON COMMIT DELETE ROWS;
                TRUNCATE reseller_usage_scope, reseller_usage_delivered;
                INSERT INTO reseller_usage_scope
                SELECT line.id, line.source, line.external_id, line.client_id
                  FROM reseller_usage_line line
                 WHERE line.company_id = %s AND line.voided_at IS NULL AND (%s);
                ANALYZE reseller_usage_scope
                """,
                company.id,
                condition,
            )
        )
        return Scope(condition)

    def _exchange(self, company, scope):
        """Void what the batch has with other content, so that it can be stored as it comes now.

        :raise UserError: when an event of the batch lies outside the scope
        """
        [(outside,)] = self.env.execute_query(
            SQL(
                "SELECT count(*) FROM reseller_usage_batch line WHERE (%s) IS NOT TRUE",
                scope.condition,
            )
        )
        if outside:
            raise UserError(
                self.env._(
                    "%s rows are outside of what the file replaces: widen its days, clients or "
                    "features, or leave the rows out.",
                    outside,
                )
            )
        self.env.cr.execute(
            """
            INSERT INTO reseller_usage_delivered
            SELECT source, external_id, client_id FROM reseller_usage_batch
            """
        )
        changed = SQL(
            """
            line.id IN (
                SELECT line.id
                  FROM reseller_usage_batch batch
                  JOIN reseller_usage_scope scope USING (source, external_id)
                  JOIN reseller_usage_line line ON line.id = scope.id
                 WHERE %s)
            """,
            self._differs_sql(of_file=True),
        )
        spared = SQL(
            """
            EXISTS (SELECT FROM reseller_usage_delivered delivered
                     WHERE delivered.source = line.source
                       AND delivered.external_id = line.external_id)
            """
        )
        scope.exchanged += self._void(company, changed, released=True, spared=spared)

    def _mark_delivered(self, events):
        """Note the keys of events that were delivered and rejected."""
        keys = [event for event in events if self._has_key(event)]
        self.env.cr.execute(
            SQL(
                "INSERT INTO reseller_usage_delivered SELECT * FROM unnest(%s::varchar[], %s::varchar[])",
                [event["source"] for event in keys],
                [event["id"] for event in keys],
            )
        )

    def _close_scope(self, company):
        """Void what is in the open scope and was not delivered.

        :return: (number of events, names of the clients of which nothing was delivered)
        :raise UserError: when nothing was delivered at all
        """
        [(delivered,)] = self.env.execute_query(
            SQL("SELECT count(client_id) FROM reseller_usage_delivered")
        )
        if not delivered:
            raise UserError(
                self.env._(
                    "No row of the file can be taken in, so that it replaces nothing: to take all use "
                    "back, undo the import that brought it."
                )
            )
        self.env.cr.execute("ANALYZE reseller_usage_delivered")
        names = self.env.execute_query(
            SQL(
                """
                SELECT client.name
                  FROM reseller_usage_scope scope
                  LEFT JOIN reseller_usage_delivered delivered USING (source, external_id)
                  JOIN reseller_client client ON client.id = scope.client_id
                 WHERE NOT EXISTS (SELECT FROM reseller_usage_delivered other
                                    WHERE other.client_id = client.id)
                 GROUP BY client.id
                HAVING count(delivered.source) = 0
                 ORDER BY client.name, client.id
                """
            )
        )
        gone = SQL(
            """
            line.id IN (
                SELECT scope.id
                  FROM reseller_usage_scope scope
                  LEFT JOIN reseller_usage_delivered delivered USING (source, external_id)
                 WHERE delivered.source IS NULL)
            """
        )
        return self._void(company, gone, released=True), [name for (name,) in names]
