from odoo import api, models
from odoo.tools import SQL

from ..client.floors import beneath_sql


class ResellerUsageDaily(models.Model):
    """Use on the floors above its account's own (wholesale W8)."""

    _inherit = "reseller.usage.daily"

    @api.model
    def _served_sql(self, buyer):
        """Return the joins that keep a `bucket` to days on which its account is served and billed here, and on
        which a buyer buys; each day is in one row of each.

        :param str buyer: the alias of the table of accounts, the buyer's
        """
        return SQL(
            """
            JOIN reseller_client whose ON whose.id = bucket.client_id
            JOIN reseller_client_membership served
              ON served.client_id = bucket.client_id
             AND bucket.billing_date BETWEEN served.date_from AND COALESCE(served.date_to, 'infinity')
             AND bucket.billing_date >= COALESCE(whose.billing_start, '-infinity')
            JOIN reseller_client_membership bought
              ON bought.client_id = %s
             AND bucket.billing_date BETWEEN bought.date_from AND COALESCE(bought.date_to, 'infinity')
            """,
            SQL.identifier(buyer, "id"),
        )

    @api.model
    def _settled_sql(self):
        """Override of billing: bills of those who buy it cover it as well."""
        return SQL(
            """
            (%s AND NOT EXISTS (
                SELECT FROM reseller_client buyer
                  JOIN reseller_client theirs ON theirs.id = bucket.client_id
                 WHERE buyer.buys_for_id = theirs.reseller_id
                   AND EXISTS (
                       SELECT FROM reseller_client_membership bought
                        WHERE bought.client_id = buyer.id
                          AND bucket.billing_date BETWEEN bought.date_from
                              AND COALESCE(bought.date_to, 'infinity'))
                   AND NOT %s))
            """,
            super()._settled_sql(),
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
