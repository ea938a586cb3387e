from odoo import api, fields, models
from odoo.tools import SQL

from ...tools import array_of
from ..usage.reseller_usage_line import GuardedMany2one


class ResellerUsageCoverage(models.Model):
    """What bills have covered of use: rows are only added, and the newest one decides.

    A bucket counts its changes in its version, and a bill adds a row with the version that it has
    rated. So a bill writes no bucket, and an event no bill's row: neither waits for the other, and an
    event that comes in during a bill leaves its bucket uncovered for the next one. A bill that is made
    void adds a row without a version for each bucket that it ever covered: its use is billed again,
    also where a later bill has covered it since.
    """

    _name = "reseller.usage.coverage"
    _description = "Use Covered by a Bill"
    _log_access = False

    # Keys of the database would lock the rows that usage changes.
    bucket_id = GuardedMany2one("reseller.usage.daily", required=True, readonly=True)
    floor_id = GuardedMany2one(
        "reseller.client",
        string="Billed Account",
        required=True,
        readonly=True,
        help="Whose bill it is: the account's own.",
    )
    version = fields.Integer(
        readonly=True, help="Of the bucket, as the bill has rated it. Empty: the bill is void."
    )
    statement_id = GuardedMany2one("reseller.statement", required=True, readonly=True)
    freed_on = fields.Date(
        readonly=True, help="Of a void bill: the first day on which it does not stand in the books."
    )

    _newest = models.Index("(bucket_id, floor_id, id DESC)")
    _statement = models.Index("(statement_id)")
    _kinds = models.Constraint(
        "CHECK ((version IS NULL) != (freed_on IS NULL))",
        "A bill covers a version of use, or is void from a day on.",
    )

    @api.model
    def _cover(self, covered):
        """Add rows of bills that have rated use, on the floors of their accounts.

        :param covered: {statement id: [(bucket id, version)]}
        """
        buckets, versions, statements = [], [], []
        for statement, pairs in covered.items():
            buckets += [pair[0] for pair in pairs]
            versions += [pair[1] for pair in pairs]
            statements += [statement] * len(pairs)
        if not buckets:
            return
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO reseller_usage_coverage (bucket_id, floor_id, version, statement_id)
                SELECT rated.bucket_id, statement.client_id, rated.version, statement.id
                  FROM unnest(%s::int[], %s::int[], %s::int[])
                       AS rated (bucket_id, version, statement_id)
                  JOIN reseller_statement statement ON statement.id = rated.statement_id
                 -- In the order of the index, which then is written page by page.
                 ORDER BY rated.bucket_id
                """,
                array_of(buckets),
                array_of(versions),
                array_of(statements),
            )
        )
        self.env["reseller.usage.daily"].invalidate_model(["statement_id"])

    @api.model
    def _free(self, freed):
        """Add the rows of bills that are void: all that they ever covered is fresh again.

        :param freed: {statement id: the first day on which it does not stand in the books}
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                WITH freed AS (
                    INSERT INTO reseller_usage_coverage (
                        bucket_id, floor_id, statement_id, freed_on)
                    SELECT DISTINCT covered.bucket_id, covered.floor_id, void.id, void.freed_on
                      FROM unnest(%s::int[], %s::date[]) AS void (id, freed_on)
                      JOIN reseller_usage_coverage covered ON covered.statement_id = void.id
                     WHERE covered.version IS NOT NULL
                    RETURNING bucket_id
                )
                UPDATE reseller_usage_daily SET is_pending = TRUE
                 WHERE id IN (
                    SELECT bucket.id FROM reseller_usage_daily bucket
                     WHERE bucket.id IN (SELECT bucket_id FROM freed)
                       AND bucket.is_pending IS NOT TRUE
                     ORDER BY client_id, feature_id, COALESCE(level_id, 0), billing_date
                       FOR NO KEY UPDATE)
                """,
                list(freed),
                list(freed.values()),
            )
        )
        self.env["reseller.usage.daily"].invalidate_model(["statement_id", "is_pending"])
