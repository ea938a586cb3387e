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
              JOIN reseller_client_membership membership ON membership.id = bought.id
             WHERE client.buys_for_id IS NOT NULL AND %s AND %s
            """,
            columns,
            self._bought_sql("client"),
            self._uncovered_sql(floor=SQL("client.id")),
            condition,
        )

    @api.model
    def _bought_sql(self, buyer):
        """Return the joins of the `bucket`s that a buyer pays for: of accounts `beneath`, see _served_sql.

        :param str buyer: the alias of the table of accounts, the buyer's
        """
        return SQL(
            """
            CROSS JOIN LATERAL (%s) AS beneath
            JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
            %s
            """,
            beneath_sql(buyer),
            self._served_sql(buyer),
        )

    @api.model
    def _served_sql(self, buyer):
        """Return the joins that keep a `bucket` of an account `beneath` to days on which that is served and billed
        here, and on which a buyer buys, and to a `feature` that adds up; each day is in one row of each. See
        beneath_sql.

        :param str buyer: the alias of the table of accounts, the buyer's
        """
        return SQL(
            """
            JOIN reseller_client_membership served
              ON served.client_id = bucket.client_id
             AND bucket.billing_date BETWEEN GREATEST(served.date_from, beneath.billing_start)
                 AND COALESCE(served.date_to, 'infinity')
            JOIN reseller_client_membership bought
              ON bought.client_id = %s
             AND bucket.billing_date BETWEEN bought.date_from AND COALESCE(bought.date_to, 'infinity')
            JOIN reseller_feature feature
              ON feature.id = bucket.feature_id AND feature.aggregation IN ('sum', 'count')
            """,
            SQL.identifier(buyer, "id"),
        )

    @api.model
    def _of_statement_sql(self):
        """Override of billing: of a buyer's bill, use of the accounts beneath."""
        return SQL(
            """
            JOIN reseller_client floor ON floor.id = statement.client_id
            CROSS JOIN LATERAL (%s) AS beneath
            JOIN reseller_usage_daily bucket
              ON bucket.client_id = beneath.id
             AND bucket.billing_date BETWEEN statement.period_start AND statement.period_end
             AND bucket.event_count > 0
             AND (floor.buys_for_id IS NULL OR EXISTS (SELECT FROM reseller_client once %s
                                                        WHERE once.id = floor.id))
            """,
            beneath_sql("floor"),
            self._served_sql("once"),
        )

    @api.model
    def _settled_sql(self):
        """Override of billing: bills of those who buy it cover it as well."""
        return SQL(
            """
            (%s AND NOT EXISTS (
                SELECT FROM reseller_client theirs
                  JOIN reseller_client buyer ON buyer.buys_for_id = theirs.reseller_id
                 CROSS JOIN LATERAL (SELECT theirs.billing_start) AS beneath
                 %s
                 WHERE theirs.id = bucket.client_id AND NOT %s))
            """,
            super()._settled_sql(),
            self._served_sql("buyer"),
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
