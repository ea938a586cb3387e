from datetime import timedelta
from decimal import Decimal

from odoo import models
from odoo.fields import Domain
from odoo.tools import SQL, date_utils

# Names of properties are looked for in so many events of so many clients.
SAMPLE, SAMPLED_CLIENTS = 20, 200


class ResellerReseller(models.Model):
    """What all clients of a reseller have used, and what that came to: the portal's page *Reporting*."""

    _inherit = "reseller.reseller"

    def _load_use(self, first, last, *keys, feature=None):
        """Return {key: (units as a Decimal, events)} of use from one local day to another, both inclusive.

        What is billed by its highest or last value is that of each client, added up.

        :param keys: of client_id, feature_id and billing_date; a key of one is a tuple as well
        :param feature: a reseller.feature, or all
        """
        self.ensure_one()
        by_day = SQL(", bucket.billing_date") if "billing_date" in keys else SQL()
        columns = SQL(", ").join(SQL.identifier("used", key) for key in keys)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT %(columns)s, trim_scale(COALESCE(sum(used.units), 0)::numeric)::text,
                       sum(used.events)::bigint
                  FROM (
                    SELECT bucket.client_id, bucket.feature_id, bucket.level_id %(by_day)s,
                           %(units)s AS units, sum(bucket.event_count) AS events
                      FROM reseller_usage_daily bucket
                      JOIN reseller_client client ON client.id = bucket.client_id
                      JOIN reseller_feature feature ON feature.id = bucket.feature_id
                     WHERE client.reseller_id = %(reseller)s
                       AND bucket.billing_date BETWEEN %(first)s AND %(last)s
                       AND %(feature)s
                     GROUP BY bucket.client_id, bucket.feature_id, bucket.level_id,
                           feature.aggregation %(by_day)s
                  ) AS used
                 GROUP BY %(columns)s
                """,
                columns=columns,
                by_day=by_day,
                units=self.env["reseller.usage.daily"]._counted_together_sql(),
                reseller=self.id,
                first=first,
                last=last,
                feature=SQL("bucket.feature_id = %s", feature.id) if feature else SQL("TRUE"),
            )
        )
        return {tuple(key): (Decimal(units), events) for *key, units, events in rows}

    def _load_billed(self, first, last, *keys, feature=None):
        """Return {key: Decimal} of what the bills dated some days come to, before added taxes.

        :param keys: of client_id and feature_id, which is None for what is of no feature
        :param feature: a reseller.feature, or all
        """
        self.ensure_one()
        columns = SQL(", ").join(SQL.identifier("charge", key) for key in keys)
        billed = self.env["reseller.statement"]._search(
            self._get_bills_domain()
            & Domain("bill_date", ">=", first)
            & Domain("bill_date", "<=", last)
            & Domain("currency_id", "=", self.currency_id.id)
        )
        rows = self.env.execute_query(
            SQL(
                """
                SELECT %(columns)s, sum(charge.amount)::text
                  FROM reseller_charge charge
                 WHERE charge.statement_id IN %(billed)s AND %(feature)s
                 GROUP BY %(columns)s
                """,
                columns=columns,
                billed=billed.subselect(),
                feature=SQL("charge.feature_id = %s", feature.id) if feature else SQL("TRUE"),
            )
        )
        return {tuple(key): Decimal(amount) for *key, amount in rows}

    def _load_property(self, first, last, name, feature=None, limit=None):
        """Return [(value, feature id, units as a Decimal, events)] by a property of the events, most units first.

        Of features that add up; events without the property are left out, and so are those that are kept
        no longer.

        :param str name: of the property, as the events have it
        :param int limit: how many at most; all without
        """
        self.ensure_one()
        return [
            (value, feature_id, Decimal(units), events)
            for value, feature_id, units, events in self.env.execute_query(
                SQL(
                    """
                    SELECT line.properties ->> %(name)s AS value, line.feature_id,
                           trim_scale(sum(CASE feature.aggregation WHEN 'count' THEN 1
                                          ELSE line.quantity END)::numeric)::text,
                           count(*)
                      FROM reseller_client client
                      JOIN reseller_usage_line line ON line.client_id = client.id
                      JOIN reseller_feature feature ON feature.id = line.feature_id
                     WHERE client.reseller_id = %(reseller)s
                       AND line.billing_date BETWEEN %(first)s AND %(last)s
                       AND line.voided_at IS NULL
                       AND feature.aggregation IN ('sum', 'count')
                       AND line.properties ->> %(name)s IS NOT NULL
                       AND %(feature)s
                     GROUP BY 1, 2
                     ORDER BY sum(CASE feature.aggregation WHEN 'count' THEN 1
                                  ELSE line.quantity END) DESC, 1, 2
                     LIMIT %(limit)s
                    """,
                    name=name,
                    reseller=self.id,
                    first=first,
                    last=last,
                    feature=SQL("line.feature_id = %s", feature.id) if feature else SQL("TRUE"),
                    limit=limit,
                )
            )
        ]

    def _find_properties(self, first, last):
        """Return the names of properties that events of some days have, as a sample shows them."""
        self.ensure_one()
        return [
            name
            for (name,) in self.env.execute_query(
                SQL(
                    """
                    SELECT DISTINCT jsonb_object_keys(event.properties) AS name
                      FROM (SELECT id FROM reseller_client WHERE reseller_id = %(reseller)s
                             ORDER BY id LIMIT %(clients)s) AS client
                     CROSS JOIN LATERAL (
                        SELECT line.properties FROM reseller_usage_line line
                         WHERE line.client_id = client.id
                           AND line.billing_date BETWEEN %(first)s AND %(last)s
                         LIMIT %(sample)s) AS event
                     -- Whatever they are: events without properties are not looked for others.
                     WHERE jsonb_typeof(event.properties) = 'object'
                     ORDER BY name
                    """,
                    reseller=self.id,
                    first=first,
                    last=last,
                    clients=SAMPLED_CLIENTS,
                    sample=SAMPLE,
                )
            )
        ]

    def _get_days_before(self, first, last):
        """Return the days that some days are compared with: as many months before where they are whole
        months, or begin one, and as many days before otherwise.
        """
        following = last + timedelta(days=1)
        if first.day == 1 and (following.day == 1 or first.month == last.month):
            months = 12 * (last.year - first.year) + last.month - first.month + 1
            before = date_utils.subtract(first, months=months)
            if following.day == 1:
                return before, first - timedelta(days=1)
            return before, min(before.replace(day=1) + (last - first), first - timedelta(days=1))
        days = (last - first).days + 1
        return first - timedelta(days=days), first - timedelta(days=1)
