from odoo import api, fields, models
from odoo.fields import Domain
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
        query = SQL(
            """
            SELECT bucket.id
              FROM reseller_client client
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
             CROSS JOIN LATERAL (%s) AS beneath
              JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
              %s
              JOIN reseller_client_membership membership ON membership.id = bought.id
             WHERE client.buys_for_id IS NOT NULL AND bucket.event_count > 0 AND %s
               AND NOT %s
            """,
            beneath_sql("client"),
            self._served_sql("client"),
            self._uncovered_sql(floor=SQL("client.id")),
            priced_sql(),
        )
        return [("id", "in" if True in value else "not in", query)]

    @api.model
    def _expect_bills(self, companies=None, date=None):
        """Override of billing: of closed buyers, use of the accounts beneath."""
        done = super()._expect_bills(companies, date)
        clients_sudo = self.env["reseller.client"].sudo()  # of whoever starts a run
        domain = [
            ("buys_for_id", "!=", False),
            ("state", "=", "closed"),
            ("next_bill_date", "=", False),
        ]
        if companies is not None:
            domain.append(("company_id", "in", companies.ids))
        closed_sudo = clients_sudo.search(domain)
        days_sudo = self.sudo()  # as above
        for buyer_sudo in closed_sudo:
            # Days that nothing prices are no reason for a bill.
            late = Domain("id", "in", self._late_sql(buyer_sudo))
            if days_sudo.search_count(late & Domain("is_unpriced_wholesale", "=", False), limit=1):
                buyer_sudo._expect_bill_by(date)
        return done

    @api.model
    def _late_sql(self, buyer):
        """Return the query for the ids of use that a buyer's bill could have and none has."""
        self.env.flush_all()
        return SQL(
            """
            (SELECT bucket.id
               FROM reseller_client buyer
              CROSS JOIN LATERAL (%s) AS beneath
               JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
               %s
              WHERE buyer.id = %s AND %s)
            """,
            beneath_sql("buyer"),
            self._served_sql("buyer"),
            buyer.id,
            self._uncovered_sql(floor=SQL("buyer.id")),
        )

    @api.model
    def _served_sql(self, buyer):
        """Return the joins that keep a `bucket` of an account `beneath` to days on which that is served and billed
        here, and on which a buyer buys, and to what adds up; each day is in one row of each. See beneath_sql.

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
            JOIN reseller_feature pooled
              ON pooled.id = bucket.feature_id AND pooled.aggregation IN ('sum', 'count')
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
        rows = self.env.execute_query(
            SQL(
                """
                SELECT bucket.feature_id, min(bucket.billing_date), trim_scale(%s)::text
                  FROM reseller_client buyer
                 CROSS JOIN LATERAL (%s) AS beneath
                  JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
                  %s
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE buyer.id = %s AND %s
                   AND NOT bucket.feature_id = ANY(%s) AND bucket.billing_date <= %s
                 GROUP BY bucket.feature_id, feature.aggregation
                """,
                self._counted_together_sql(),
                beneath_sql("buyer"),
                self._served_sql("buyer"),
                buyer.id,
                self._uncovered_sql(floor=SQL("buyer.id")),
                priced,
                until,
            )
        )
        return {feature: (first, used) for feature, first, used in rows}
