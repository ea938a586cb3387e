from odoo import api, fields, models
from odoo.tools import SQL

from ..client.floors import beneath_sql
from ..pricing.scopes import priced_sql


class ResellerUsageDaily(models.Model):
    """Use on the floors above its account's own (wholesale W8)."""

    _inherit = "reseller.usage.daily"

    is_unpriced_wholesale = fields.Boolean(
        string="Without a Wholesale Price",
        compute="_compute_is_unpriced_wholesale",
        search="_search_is_unpriced_wholesale",
        help="Its reseller buys on that day, and no wholesale price holds. What counts by its highest or last value "
        "cannot have one.",
    )

    def _compute_is_unpriced_wholesale(self):
        self._compute_by_search("is_unpriced_wholesale")

    def _search_is_unpriced_wholesale(self, operator, value):
        if operator != "in":
            return NotImplemented
        self.env.flush_all()
        query = self._uncovered_of_buyers_sql(
            SQL("bucket.id"), SQL("bucket.event_count > 0 AND NOT %s", priced_sql())
        )
        return [("id", "in" if True in value else "not in", query)]

    @api.model
    def _expect_bills(self, companies=None, date=None):
        """Override of billing: of closed buyers, use of the accounts beneath that something prices."""
        done = super()._expect_bills(companies, date)
        clients_sudo = self.env["reseller.client"].sudo()  # of whoever starts a run
        domain = [
            ("buys_for_id", "!=", False),
            ("state", "=", "closed"),
            ("next_bill_date", "=", False),
        ]
        if companies is not None:
            domain.append(("company_id", "in", companies.ids))
        numbers = self._find_buyers_with_use(clients_sudo.search(domain), priced_sql())
        for buyer_sudo in clients_sudo.browse(sorted(numbers)):
            buyer_sudo._expect_bill_by(date)
        return done

    @api.model
    def _find_buyers_with_use(self, buyers, condition):
        """Return the ids of those buyers that have use beneath them which no bill of theirs covers.

        :param SQL condition: on the `bucket`; see _uncovered_of_buyers_sql
        """
        if not buyers:
            return set()
        self.env.flush_all()
        mine = SQL("client.id = ANY(%s) AND %s", buyers.ids, condition)
        rows = self.env.execute_query(
            self._uncovered_of_buyers_sql(SQL("DISTINCT client.id"), mine)
        )
        return {number for (number,) in rows}

    @api.model
    def _uncovered_of_buyers_sql(self, columns, condition):
        """Return a query of the `bucket`s that a buyer, `client`, of a `reseller`, its seller, by a `membership` has
        to pay for, and no bill of its covers.

        :param SQL columns: what is selected
        :param SQL condition: on these
        """
        return SQL(
            """
            SELECT %s
              FROM reseller_client client
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
              %s
              JOIN reseller_client_membership membership ON membership.id = span.bought_id
             WHERE client.buys_for_id IS NOT NULL AND %s AND %s
            """,
            columns,
            self._bought_sql("client"),
            self._uncovered_sql(floor=SQL("client.id")),
            condition,
        )

    @api.model
    def _bought_sql(self, buyer):
        """Return the joins of the `bucket`s that a buyer pays for: of a `feature` that adds up, on days of a `span` of
        an account, see _spans_sql.

        :param str buyer: the alias of the table of accounts, the buyer's
        """
        # The days of few accounts come first, whatever the planner knows of tables that have just grown: to look the
        # accounts of each bucket up again takes minutes.
        return SQL(
            """
            CROSS JOIN LATERAL (%s OFFSET 0) AS span
            JOIN reseller_usage_daily bucket
              ON bucket.client_id = span.client_id
             AND bucket.billing_date BETWEEN span.first AND span.last
            %s
            """,
            self._spans_sql(buyer, beneath_sql(buyer)),
            self._pooled_sql(),
        )

    @api.model
    def _spans_sql(self, buyer, beneath):
        """Return the query for the days on which accounts are served and billed here, and a buyer buys: `client_id`,
        `first`, `last`, and `bought_id`, the buyer's membership; each day is in one row of each account.

        :param str buyer: the alias of the table of accounts, the buyer's
        :param SQL beneath: the query for the accounts, see beneath_sql
        """
        return SQL(
            """
            SELECT served.client_id,
                   GREATEST(served.date_from, beneath.billing_start, bought.date_from) AS first,
                   LEAST(COALESCE(served.date_to, 'infinity'),
                         COALESCE(bought.date_to, 'infinity')) AS last,
                   bought.id AS bought_id
              FROM (%s) AS beneath
              JOIN reseller_client_membership served ON served.client_id = beneath.id
              JOIN reseller_client_membership bought ON bought.client_id = %s
            """,
            beneath,
            SQL.identifier(buyer, "id"),
        )

    @api.model
    def _pooled_sql(self):
        """Return the join of the `feature` of a `bucket`, which adds up over accounts."""
        return SQL(
            """
            JOIN reseller_feature feature
              ON feature.id = bucket.feature_id AND feature.aggregation IN ('sum', 'count')
            """
        )

    @api.model
    def _of_statement_sql(self):
        """Override of billing: of a buyer's bill, use of the accounts beneath."""
        return SQL(
            """
            JOIN reseller_client floor ON floor.id = statement.client_id
            CROSS JOIN LATERAL (
                SELECT floor.id AS client_id, date '-infinity' AS first, date 'infinity' AS last
                 WHERE floor.buys_for_id IS NULL
                 UNION ALL
                SELECT span.client_id, span.first, span.last FROM (%s) AS span
                 WHERE floor.buys_for_id IS NOT NULL
                OFFSET 0) AS span
            JOIN reseller_usage_daily bucket
              ON bucket.client_id = span.client_id
             AND bucket.billing_date BETWEEN GREATEST(span.first, statement.period_start)
                 AND LEAST(span.last, statement.period_end)
             -- One without days has no use; NULL is no bound of theirs.
             AND statement.period_start IS NOT NULL
             AND bucket.event_count > 0
             AND (floor.buys_for_id IS NULL OR EXISTS (SELECT FROM reseller_client once %s
                                                        WHERE once.id = floor.id))
            """,
            self._spans_sql("floor", beneath_sql("floor")),
            self._pooled_sql(),
        )

    @api.model
    def _settled_sql(self):
        """Override of billing: bills of those who buy it cover it as well."""
        beneath = SQL("SELECT theirs.id, theirs.billing_start")
        return SQL(
            """
            (%s AND NOT EXISTS (
                SELECT FROM reseller_client theirs
                  JOIN reseller_client buyer ON buyer.buys_for_id = theirs.reseller_id
                  JOIN LATERAL (%s) AS span ON bucket.billing_date BETWEEN span.first AND span.last
                  %s
                 WHERE theirs.id = bucket.client_id AND NOT %s))
            """,
            super()._settled_sql(),
            self._spans_sql("buyer", beneath),
            self._pooled_sql(),
            self._covered_sql(floor=SQL("buyer.id")),
        )

    @api.model
    def _hold(self, numbers):
        """Override of billing: those alone whose buyers are held, too."""
        clients = self.env["reseller.client"].browse(numbers)
        buyers = clients._get_buyers()
        if not buyers:
            return super()._hold(numbers)
        held = set(super()._hold(sorted({*numbers, *buyers.ids})))
        busy = buyers.filtered(lambda buyer: buyer.id not in held).buys_for_id
        return [
            client.id
            for client in clients
            if client.id in held and client.sudo().reseller_id not in busy  # as the system works
        ]

    @api.model
    def _load_unpriced_beneath(self, buyer, priced, until):
        """Return {feature id: (first day, use as text)} of use beneath a buyer that no bill of its covers, of
        features that nothing prices.

        :param priced: ids of features that something prices
        :param date until: the last day
        """
        self.env.flush_all()
        query = self._uncovered_of_buyers_sql(
            SQL(
                "feature.id, min(bucket.billing_date), trim_scale(sum(%s))::text",
                self._counted_sql(),
            ),
            SQL(
                "client.id = %s AND NOT feature.id = ANY(%s) AND bucket.billing_date <= %s",
                buyer.id,
                priced,
                until,
            ),
        )
        rows = self.env.execute_query(SQL("%s GROUP BY feature.id", query))
        return {feature: (first, used) for feature, first, used in rows}
