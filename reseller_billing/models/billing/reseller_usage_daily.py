from functools import partial

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.service.model import retrying
from odoo.tools import SQL

from ...tools import read_committed
from ..pricing.scopes import priced_sql

# Accounts whose use is looked through in one transaction.
BATCH = 200
# The floor of a `bucket`'s own account.
OWN = SQL("bucket.client_id")


class ResellerUsageDaily(models.Model):
    """Which bill covers the use of a day, see reseller.usage.coverage."""

    _inherit = "reseller.usage.daily"

    statement_id = fields.Many2one(
        "reseller.statement",
        compute="_compute_statement_id",
        search="_search_statement_id",
        help="The statement that covers this use as it stands. "
        "Empty: not billed yet, changed since, or unpriced.",
    )
    is_unpriced = fields.Boolean(
        compute="_compute_is_unpriced",
        search="_search_is_unpriced",
        help="No price of any level holds for this client, feature and day.",
    )
    is_unreachable = fields.Boolean(
        compute="_compute_is_unreachable",
        search="_search_is_unreachable",
        help="No bill will take this use: its account is not served on that day, or another system "
        "bills it.",
    )

    @api.model
    def _newest_sql(self, as_of=None, floor=OWN):
        """Return the query for what covers a `bucket` on a floor: no row, or the row that decides.

        :param as_of: a day: by what the books knew on it
        :param SQL floor: the id of the account that is billed; the one that has the bucket
        """
        known = SQL("TRUE")
        if as_of:
            known = SQL(
                """
                CASE WHEN coverage.version IS NULL THEN coverage.freed_on <= %s
                     ELSE EXISTS (SELECT FROM reseller_statement statement
                                   WHERE statement.id = coverage.statement_id AND %s) END
                """,
                as_of,
                self.env["reseller.rating"]._known_sql(as_of),
            )
        return SQL(
            """
            SELECT coverage.version, coverage.statement_id
              FROM reseller_usage_coverage coverage
             WHERE coverage.bucket_id = bucket.id AND coverage.floor_id = %s AND %s
             ORDER BY coverage.id DESC
             LIMIT 1
            """,
            floor,
            known,
        )

    @api.model
    def _covered_sql(self, as_of=None, floor=OWN):
        """Return the condition that a bill covers a `bucket` as it stands, see _newest_sql."""
        return SQL(
            "EXISTS (SELECT FROM (%s) AS newest WHERE newest.version = bucket.version)",
            self._newest_sql(as_of, floor),
        )

    @api.model
    def _settled_sql(self):
        """Hook: return the condition that nobody need look a `bucket` up: bills of all floors cover it."""
        return self._covered_sql()

    @api.model
    def _uncovered_sql(self, as_of=None, floor=OWN):
        """Return the condition that no bill covers a `bucket` as it stands, see _newest_sql."""
        changed = SQL("NOT %s", self._covered_sql(as_of, floor))
        # What has not changed since bills were last looked through is covered.
        pending = SQL("bucket.is_pending")
        if as_of:
            # But for what bills have covered, or freed, of which the books did not know then.
            pending = SQL(
                """
                bucket.id IN (
                    SELECT pending.id FROM reseller_usage_daily pending WHERE pending.is_pending
                     UNION ALL
                    SELECT later.bucket_id
                      FROM reseller_usage_coverage later
                      JOIN reseller_statement statement ON statement.id = later.statement_id
                     WHERE CASE WHEN later.version IS NULL THEN later.freed_on > %s
                                ELSE NOT COALESCE(%s, FALSE) END)
                """,
                as_of,
                self.env["reseller.rating"]._known_sql(as_of),
            )
        return SQL("(%s AND %s)", pending, changed)

    @api.model
    def _of_statement_sql(self):
        """Hook: return the joins of the `bucket`s of a `statement`'s account and days."""
        return SQL(
            """
            JOIN reseller_usage_daily bucket
              ON bucket.client_id = statement.client_id
             AND bucket.billing_date BETWEEN statement.period_start AND statement.period_end
             AND bucket.event_count > 0
            """
        )

    def _compute_statement_id(self):
        self.env.flush_all()
        found = dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT bucket.id, newest.statement_id
                      FROM reseller_usage_daily bucket
                     CROSS JOIN LATERAL (%s) AS newest
                     WHERE bucket.id = ANY(%s) AND newest.version = bucket.version
                    """,
                    self._newest_sql(),
                    self.ids,
                )
            )
        )
        for bucket in self:
            bucket.statement_id = found.get(bucket.id)

    def _search_statement_id(self, operator, value):
        if operator == "any":
            operator, value = "in", self.env["reseller.statement"].search(Domain(value)).ids
        if operator != "in":
            return NotImplemented
        self.env.flush_all()
        domain = Domain.FALSE
        if False in value:
            uncovered = SQL(
                "SELECT bucket.id FROM reseller_usage_daily bucket WHERE %s", self._uncovered_sql()
            )
            domain |= Domain("id", "in", uncovered)
        if statements := [number for number in value if number]:
            covered = SQL(
                """
                SELECT bucket.id
                  FROM reseller_usage_daily bucket
                 CROSS JOIN LATERAL (%s) AS newest
                 WHERE newest.version = bucket.version AND newest.statement_id = ANY(%s)
                   AND bucket.id IN (SELECT bucket_id FROM reseller_usage_coverage
                                      WHERE statement_id = ANY(%s))
                """,
                self._newest_sql(),
                statements,
                statements,
            )
            domain |= Domain("id", "in", covered)
        return domain

    def _compute_is_unpriced(self):
        self._compute_by_search("is_unpriced")

    def _compute_is_unreachable(self):
        self._compute_by_search("is_unreachable")

    def _compute_by_search(self, name):
        found = self.search([("id", "in", self.ids), (name, "=", True)])
        for bucket in self:
            bucket[name] = bucket in found

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
             WHERE %s
               AND NOT %s
            """,
            self._uncovered_sql(),
            priced_sql(),
        )
        self.env["reseller.price.rule"].flush_model()
        self.env["reseller.client.membership"].flush_model()
        return [("id", "in" if True in value else "not in", query)]

    def _search_is_unreachable(self, operator, value):
        if operator != "in":
            return NotImplemented
        self.env.flush_all()
        query = SQL(
            """
            SELECT bucket.id
              FROM reseller_usage_daily bucket
              JOIN reseller_client client ON client.id = bucket.client_id
             WHERE bucket.event_count > 0 AND %s
               AND (bucket.billing_date < client.billing_start OR NOT EXISTS (
                   SELECT FROM reseller_client_membership row
                    WHERE row.client_id = client.id
                      AND daterange(row.date_from, row.date_to, '[]') @> bucket.billing_date))
            """,
            self._uncovered_sql(),
        )
        return [("id", "in" if True in value else "not in", query)]

    # Looking through

    @api.model
    def _cron_look_through(self):
        """Note which use bills cover, so that nobody looks it up again; see to what none will reach."""
        cron, last = self.env["ir.cron"], 0
        while numbers := self._find_pending(last):
            self.env.cr.commit()  # pylint: disable=invalid-commit  # the next transaction is another kind
            retrying(partial(self._settle, numbers), self.env)
            last = numbers[-1]
            if not cron._report_batch(len(numbers), remaining=1):
                return
        retrying(self._expect_bills, self.env)
        retrying(self._tell_unreachable, self.env)
        cron._report_batch()

    @api.model
    def _find_pending(self, last):
        """Return the ids of the next accounts, after one, with use that has changed and is covered by now."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT client.id FROM reseller_client client
                 WHERE client.id > %s
                   AND EXISTS (SELECT FROM reseller_usage_daily bucket
                                WHERE bucket.client_id = client.id AND bucket.is_pending
                                  AND %s)
                 ORDER BY client.id LIMIT %s
                """,
                last,
                self._settled_sql(),
                BATCH,
            )
        )
        return [number for (number,) in rows]

    @api.model
    def _settle(self, numbers):
        """Note which use of accounts is covered as it stands, those that others are at work on left out.

        Bills and what makes them void write the account as well: one of both waits, fails and is repeated.
        Use that comes in meanwhile is not waited for.

        :param numbers: ids of accounts
        """
        read_committed(self.env.cr)
        held = self._hold(numbers)
        self.env.cr.execute(
            SQL(
                """
                UPDATE reseller_usage_daily SET is_pending = FALSE
                 WHERE id IN (
                    SELECT bucket.id
                      FROM reseller_usage_daily bucket
                     WHERE bucket.client_id = ANY(%s) AND bucket.is_pending AND %s
                       FOR NO KEY UPDATE OF bucket SKIP LOCKED)
                """,
                held,
                self._settled_sql(),
            )
        )
        self.invalidate_model(["is_pending"])

    @api.model
    def _hold(self, numbers):
        """Write accounts that nobody else is at work on, and return their ids; those of all floors of the
        accounts that are looked through, whose bills cover their use.
        """
        return [
            number
            for (number,) in self.env.execute_query(
                SQL(
                    """
                    UPDATE reseller_client SET ref = ref
                     WHERE id IN (SELECT id FROM reseller_client WHERE id = ANY(%s)
                                   ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
                    RETURNING id
                    """,
                    numbers,
                )
            )
        ]

    @api.model
    def _expect_bills(self, companies=None, date=None):
        """Give closed accounts that had their last bill one more where use of them is not covered.

        :param companies: of the accounts; all where None
        :param date: the latest day of these bills; today where None
        """
        domain = Domain("state", "=", "closed") & Domain("next_bill_date", "=", False)
        if companies is not None:
            domain &= Domain("company_id", "in", companies.ids)
        clients_sudo = self.env["reseller.client"].sudo().search(domain)  # of whoever starts a run
        numbers = [
            number
            for (number,) in self.env.execute_query(
                SQL(
                    "SELECT bucket.id FROM reseller_usage_daily bucket "
                    "WHERE bucket.client_id = ANY(%s) AND %s",
                    clients_sudo.ids,
                    self._uncovered_sql(),
                )
            )
        ]
        if not numbers:
            return
        buckets_sudo = self.sudo()  # as above
        buckets = buckets_sudo.search(
            [("id", "in", numbers), ("is_unpriced", "=", False), ("is_unreachable", "=", False)]
        )
        for client in buckets.client_id:
            client._expect_bill_by(date)

    @api.model
    def _tell_unreachable(self):
        """Tell who is responsible, once, of accounts with use that no bill will reach."""
        summary = self.env._("Use that no bill will reach")
        groups = self._read_group(
            [("is_unreachable", "=", True)],
            ["client_id"],
            ["billing_date:min", "billing_date:max", "event_count:sum"],
        )
        for client, first, last, count in groups:
            client.reseller_id._tell_responsible(
                client,
                summary,
                self.env._(
                    "%(count)s events from %(first)s to %(last)s are of days on which the account is not "
                    "served here: charge them by hand, have the account served on these days, or void them.",
                    count=count,
                    first=first,
                    last=last,
                ),
                once=True,
            )
