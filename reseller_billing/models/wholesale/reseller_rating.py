from collections import defaultdict
from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from ... import rating
from ...tools import array_of


class ResellerRating(models.AbstractModel):
    """What buyers are rated by: all that the accounts beneath them use, together (wholesale W6)."""

    _inherit = "reseller.rating"

    def _load_uncovered(self, bills, as_of=None, book="retail"):
        """Override of billing: of buyers, use of the accounts beneath on days on which both are served."""
        if book != "wholesale":
            return super()._load_uncovered(bills, as_of, book)
        days = self.env["reseller.usage.daily"]
        found = {}
        for buyer, feature, day, numbers, versions in self.env.execute_query(
            SQL(
                """
                SELECT buyer.id, bucket.feature_id, bucket.billing_date, array_agg(bucket.id),
                       array_agg(bucket.version)
                  FROM unnest(%s::int[], %s::date[]) AS bill (client_id, until)
                  JOIN reseller_client buyer ON buyer.id = bill.client_id
                  %s
                 WHERE bucket.billing_date <= bill.until AND %s
                 GROUP BY 1, 2, 3
                 ORDER BY 1, 2, 3
                """,
                list(bills),
                [bill.period_end for bill in bills.values()],
                days._bought_sql("buyer"),
                days._uncovered_sql(as_of, SQL("buyer.id")),
            )
        ):
            buckets = list(zip(numbers, versions, strict=True))
            found.setdefault((buyer, feature), {})[day] = buckets
        return found

    def _load_usage(self, wanted, uncovered=None, book="retail"):
        """Override of billing: of buyers, the sums of the accounts beneath by day and level."""
        if book != "wholesale" or not wanted:
            return super()._load_usage(wanted, uncovered, book)
        days = self.env["reseller.usage.daily"]
        rows, leveled = defaultdict(list), defaultdict(set)
        for buyer, feature, day, level, quantity, is_new in self.env.execute_query(
            SQL(
                """
                SELECT buyer.id, wanted.feature_id, bucket.billing_date, bucket.level_id,
                       sum(%s)::text, bucket.id = ANY(%s::int[]) AS is_new
                  FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[])
                       AS wanted (client_id, feature_id, since, until)
                  JOIN reseller_client buyer ON buyer.id = wanted.client_id
                  %s
                 WHERE bucket.feature_id = wanted.feature_id
                   AND bucket.billing_date BETWEEN wanted.since AND wanted.until
                   AND bucket.event_count > 0
                 GROUP BY buyer.id, wanted.feature_id, bucket.billing_date, bucket.level_id, is_new
                 ORDER BY buyer.id, wanted.feature_id, bucket.billing_date, is_new
                """,
                days._counted_sql(),
                array_of(self._get_buckets(uncovered)),
                *self._get_wanted_arrays(wanted),
                days._bought_sql("buyer"),
            )
        ):
            rows[buyer, feature].append(rating.UsageRow(day, level, Decimal(quantity), is_new))
            if level:
                leveled[buyer, feature].add(level)
        if leveled:
            self._sort_levels({key: rows[key] for key in leveled}, set().union(*leveled.values()))
        return {key: rating.Usage(rows[key]) for key in wanted}

    def _load_unpriced(self, client, priced, today):
        """Override of billing: of a buyer, use of the accounts beneath."""
        if client.book != "wholesale":
            return super()._load_unpriced(client, priced, today)
        return self.env["reseller.usage.daily"]._load_unpriced_beneath(client, priced, today)
