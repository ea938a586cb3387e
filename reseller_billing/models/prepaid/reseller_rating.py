from collections import defaultdict
from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from ... import rating


class ResellerRating(models.AbstractModel):
    """The lots of units that pay for use."""

    _inherit = "reseller.rating"

    def _find_lot_holders(self, clients):
        """Return {(client id, feature id)} of those who have lots of units."""
        self.env.flush_all()
        return set(
            self.env.execute_query(
                SQL(
                    "SELECT DISTINCT client_id, feature_id FROM reseller_prepaid_lot "
                    "WHERE client_id = ANY(%s) AND state = 'open'",
                    list(clients),
                )
            )
        )

    def _load_prepaid(self, wanted, as_of=None):
        """Return {(client id, feature id): rating.Prepaid} of those that have lots of units.

        :param wanted: {(client id, feature id): (first day, last day)} of use
        :param as_of: a day; what was booked later does not count
        """
        if not wanted:
            return {}
        clients = sorted({client for client, _feature in wanted})
        booked = SQL("AND entry.date <= %s", as_of) if as_of else SQL()
        # Lots that are spent count where they paid for use that is looked at: corrections return.
        looked_at = SQL(
            "lot.is_spent IS NOT TRUE OR EXISTS (SELECT FROM reseller_prepaid_entry used "
            "WHERE used.lot_id = lot.id AND used.usage_date >= %s)",
            min(first for first, _last in wanted.values()),
        )
        if as_of:
            looked_at = SQL("TRUE")
        there = self.env["reseller.prepaid.lot"]._there_sql(as_of)
        lots = defaultdict(list)
        for client, feature, number, first, last, left in self.env.execute_query(
            SQL(
                """
                SELECT lot.client_id, lot.feature_id, lot.id, lot.date, lot.date_until,
                       sum(entry.quantity)::text
                  FROM reseller_prepaid_lot lot
                  JOIN reseller_prepaid_entry entry ON entry.lot_id = lot.id %s
                 WHERE lot.client_id = ANY(%s) AND %s AND (%s)
                 GROUP BY lot.id
                 ORDER BY lot.client_id, lot.feature_id, lot.priority,
                          lot.date_until NULLS LAST, lot.date, lot.id
                """,
                booked,
                clients,
                there,
                looked_at,
            )
        ):
            lots[client, feature].append(rating.UnitLot(number, Decimal(left), first, last))
        lots = {key: found for key, found in lots.items() if key in wanted}
        if not lots:
            return {}
        recorded = defaultdict(lambda: defaultdict(dict))
        for client, feature, day, level, number, units in self.env.execute_query(
            SQL(
                """
                SELECT wanted.client_id, wanted.feature_id, entry.usage_date, entry.level_id,
                       entry.lot_id, (-sum(entry.quantity))::text
                  FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[])
                       AS wanted (client_id, feature_id, since, until)
                  JOIN reseller_prepaid_lot lot
                    ON lot.client_id = wanted.client_id AND lot.feature_id = wanted.feature_id
                   AND %s
                  JOIN reseller_prepaid_entry entry
                    ON entry.lot_id = lot.id
                   AND entry.usage_date BETWEEN wanted.since AND wanted.until %s
                 GROUP BY wanted.client_id, wanted.feature_id, entry.usage_date, entry.level_id,
                          entry.lot_id
                HAVING sum(entry.quantity) != 0
                """,
                [client for client, _feature in lots],
                [feature for _client, feature in lots],
                [wanted[key][0] for key in lots],
                [wanted[key][1] for key in lots],
                there,
                booked,
            )
        ):
            recorded[client, feature][day, level][number] = Decimal(units)
        return {key: rating.Prepaid(tuple(found), recorded[key]) for key, found in lots.items()}
