from collections import defaultdict
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from ... import rating
from ...tools import array_of
from ..base.states import live_sql
from ..client.floors import beneath_sql
from ..usage.reseller_usage_line import GuardedMany2one

# What makes charges of an account's bills the same component, as in rating.Key.
KEY = (
    *("client_id", "feature_id", "cycle_start", "price_rule_id"),
    *("kind", "level_id", "tier", "is_flat_fee"),
)


class ResellerChargeShare(models.Model):
    """What each account beneath a buyer costs of a charge of its: shared when it is billed, and kept.

    What a rated component has come to is shared by the net use of its cycle, up to the last billed day:
    whose use is below zero has none. Where nobody has any, the clients share by the days on which they
    are served; where none is, the buyer's own account has all of it, as it has of what is charged by
    hand. A bill adds the difference of its sharing and the one before, also to a charge of an earlier
    bill, where it has covered use and charged nothing (wholesale W15).
    """

    _name = "reseller.charge.share"
    _description = "Share of a Charge"
    _order = "charge_id desc, client_id, id"
    _log_access = False

    charge_id = fields.Many2one(
        "reseller.charge", required=True, readonly=True, index=True, ondelete="cascade"
    )
    # What stands is not deleted: a key of the database would be looked up for each row.
    statement_id = GuardedMany2one(
        "reseller.statement",
        required=True,
        readonly=True,
        help="The bill that has shared it: the charge's own, or a later one.",
    )
    client_id = fields.Many2one(
        "reseller.client",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
        help="Whose use it is for; the buyer's own account for its own.",
    )
    company_id = fields.Many2one(related="charge_id.company_id")
    currency_id = fields.Many2one(related="charge_id.currency_id")
    amount = fields.Monetary(required=True, readonly=True)

    @api.model
    def _keep(self, charges):
        """Store that buyers' own accounts have all of charges that no use makes."""
        amounts = charges._get_exact()
        self._insert(
            (charge.id, charge.statement_id.id, charge.client_id.id, amounts[charge.id][2])
            for charge in charges
        )

    @api.model
    def _share(self, statements):
        """Store what the sharings of these bills of buyers, which have covered their use, change."""
        self.env.flush_all()
        components = self._load_components(statements)
        numbers = [row["id"] for row in components]
        before, weights = self._load_before(numbers), self._load_weights(numbers)
        rows = []
        for component in components:
            number, made = component["id"], component["made_id"]
            by = weights[number] or {component["client_id"]: Decimal(1)}
            unit = rating.exact_of(component["rounding"])
            # What a bill gives back and charges anew in one, is shared by itself: each charge adds up.
            others = [
                (twin, self._get_difference(amount, {}, by, unit))
                for twin, amount in component["others"]
            ]
            stored = defaultdict(Decimal, before[number])
            for twin, shares in others:
                rows += [(twin, made, one, share) for one, share in shares]
                for one, share in shares:
                    stored[one] += share
            shares = self._get_difference(component["amount"], stored, by, unit)
            rows += [(number, made, one, share) for one, share in shares]
        self._insert(rows)

    @api.model
    def _insert(self, rows):
        """Insert (charge id, statement id, client id, Decimal), but for zeros: the ORM would pass amounts
        through floats.
        """
        kept = [row for row in rows if row[3]]
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO reseller_charge_share (charge_id, statement_id, client_id, amount)
                SELECT * FROM unnest(%s::int[], %s::int[], %s::int[], %s::numeric[])
                """,
                *(array_of(row[number] for row in kept) for number in range(4)),
            )
        )
        self.env["reseller.charge"].invalidate_model(["share_ids"])

    @staticmethod
    def _get_difference(amount, before, weights, unit):
        """Return [(client id, Decimal)] by which a new sharing of a component differs from what is stored.

        :param Decimal amount: what it has come to besides what is stored
        :param before: {client id: Decimal}, as stored
        :param weights: {client id: Decimal}, above zero
        :param Decimal unit: of the currency
        """
        clients = sorted(weights)
        total = sum(before.values(), amount)
        shared = rating.share_by([weights[client] for client in clients], total, unit)
        after = dict(zip(clients, shared, strict=True))
        return [
            (client, after.get(client, Decimal(0)) - before.get(client, Decimal(0)))
            for client in sorted(after.keys() | before.keys())
        ]

    # Reading

    @api.model
    def _load_components(self, statements):
        """Return what these bills share: dicts with the ``id`` of a component's newest charge, its ``client_id``, the
        ``made_id`` of the bill that shares, the ``amount`` of that charge where it is of this bill, the
        currency's ``rounding``, and ``others``, [(id, amount)] of the bill's further charges of it.

        These are the components that a bill charges, those of cycles that go on or that it rates anew, and those of
        which it covers use.
        """
        rows = self.env.execute_query(
            SQL(
                """
                WITH made AS (
                    SELECT id, client_id, COALESCE(period_start, 'infinity') AS period_start,
                           LEAST(period_start, rerate_from) AS since
                      FROM reseller_statement WHERE id = ANY(%(made)s)
                ), late AS (
                    SELECT DISTINCT made.id AS made_id, bucket.feature_id, bucket.billing_date
                      FROM made
                      JOIN reseller_usage_coverage coverage ON coverage.statement_id = made.id
                      JOIN reseller_usage_daily bucket ON bucket.id = coverage.bucket_id
                     WHERE bucket.billing_date < made.period_start AND bucket.is_pending
                )
                SELECT DISTINCT ON (%(key)s)
                       charge.id, charge.client_id, made.id,
                       CASE WHEN charge.statement_id = made.id THEN charge.amount ELSE 0 END::text,
                       currency.rounding::float,
                       (SELECT json_agg(json_build_array(twin.id, twin.amount::text) ORDER BY twin.id)
                          FROM reseller_charge twin
                         WHERE twin.statement_id = made.id AND twin.id != charge.id AND %(twins)s)
                  FROM made
                  JOIN reseller_charge charge ON charge.client_id = made.client_id
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  JOIN res_currency currency ON currency.id = charge.currency_id
                 WHERE charge.price_rule_id IS NOT NULL AND %(live)s
                   AND (charge.statement_id = made.id
                        OR charge.cycle_end >= made.since
                        -- Looked for in cycles of before alone, where there are any.
                        OR charge.cycle_start < made.period_start AND EXISTS (
                            SELECT FROM late
                             WHERE late.made_id = made.id
                               AND late.feature_id = charge.feature_id
                               AND late.billing_date BETWEEN charge.cycle_start AND charge.cycle_end))
                 ORDER BY %(key)s, charge.statement_id = made.id DESC, charge.id DESC
                """,
                made=statements.ids,
                live=live_sql("statement"),
                key=self._key_sql("charge"),
                twins=self._same_sql("twin"),
            )
        )
        names = ("id", "client_id", "made_id", "amount", "rounding", "others")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for row in found:
            row["amount"] = Decimal(row["amount"])
            # A component is shared with its last charge.
            row["others"] = [(twin, Decimal(amount)) for twin, amount in row["others"] or ()]
        return found

    @api.model
    def _key_sql(self, charge):
        """Return the columns of KEY of charges of an alias."""
        return SQL(", ").join(SQL.identifier(charge, name) for name in KEY)

    @api.model
    def _same_sql(self, other):
        """Return the condition that charges of an alias and `charge`, of one account, are of the same component."""
        return SQL(" AND ").join(
            SQL(
                "%s IS NOT DISTINCT FROM %s",
                SQL.identifier(other, name),
                SQL.identifier("charge", name),
            )
            for name in KEY[1:]
        )

    @api.model
    def _load_before(self, numbers):
        """Return {charge id: {client id: Decimal}}: what is stored of live bills, of the components of charges."""
        found = defaultdict(dict)
        for number, client, amount in self.env.execute_query(
            SQL(
                """
                SELECT charge.id, share.client_id, sum(share.amount)::text
                  FROM reseller_charge charge
                  JOIN reseller_charge former ON former.client_id = charge.client_id AND %s
                  JOIN reseller_statement statement ON statement.id = former.statement_id
                  JOIN reseller_charge_share share ON share.charge_id = former.id
                  JOIN reseller_statement sharing ON sharing.id = share.statement_id
                 WHERE charge.id = ANY(%s) AND %s AND %s
                 GROUP BY charge.id, share.client_id
                """,
                self._same_sql("former"),
                numbers,
                live_sql("statement"),
                live_sql("sharing"),
            )
        ):
            found[number][client] = Decimal(amount)
        return found

    @api.model
    def _load_weights(self, numbers):
        """Return {charge id: {client id: Decimal}}: by what the components of buyers' charges are shared, above
        zero; of none where no client is served.
        """
        days = self.env["reseller.usage.daily"]
        # Use counts up to the last day that any bill of the account has.
        components = SQL(
            """
            SELECT charge.client_id, charge.feature_id, charge.level_id, charge.cycle_start AS since,
                   charge.cycle_end AS until,
                   CASE WHEN charge.kind IN ('usage', 'overage') AND charge.level_id IS NULL
                        THEN charge.price_rule_id END AS rest_of_id,
                   array_agg(charge.id) AS ids,
                   COALESCE((SELECT max(statement.period_end) FROM reseller_statement statement
                              WHERE statement.client_id = charge.client_id AND %s), '-infinity')
                       AS billed_until
              FROM reseller_charge charge
             WHERE charge.id = ANY(%s)
             GROUP BY 1, 2, 3, 4, 5, 6
            """,
            live_sql("statement"),
            numbers,
        )
        used = SQL(
            """
            WITH component AS MATERIALIZED (%s)
            SELECT component.ids, bucket.client_id, sum(%s)::text
              FROM component
              JOIN reseller_client buyer ON buyer.id = component.client_id
              %s
             WHERE bucket.feature_id = component.feature_id
               AND bucket.billing_date BETWEEN component.since
                   AND LEAST(component.until, component.billed_until)
               AND bucket.event_count > 0
               AND (component.level_id IS NULL OR bucket.level_id = component.level_id)
               -- Without a level: but for levels with a price of their own.
               AND NOT EXISTS (
                   SELECT FROM reseller_price_level line
                    WHERE line.rule_id = component.rest_of_id AND line.level_id = bucket.level_id
                      AND line.is_rated_by_rule IS NOT TRUE)
             GROUP BY component.ids, bucket.client_id
            HAVING sum(%s) > 0
            """,
            components,
            days._counted_sql(),
            days._bought_sql("buyer"),
            days._counted_sql(),
        )
        served = SQL(
            """
            WITH component AS MATERIALIZED (%s)
            SELECT component.ids, span.client_id,
                   sum(LEAST(span.last, component.until)
                       - GREATEST(span.first, component.since) + 1)::text
              FROM component
              JOIN reseller_client buyer ON buyer.id = component.client_id
             CROSS JOIN LATERAL (%s OFFSET 0) AS span
              JOIN reseller_client client ON client.id = span.client_id AND client.state != 'draft'
             WHERE span.client_id != buyer.id AND span.first <= span.last
               AND span.first <= component.until AND span.last >= component.since
             GROUP BY component.ids, span.client_id
            """,
            components,
            days._spans_sql("buyer", beneath_sql("buyer")),
        )
        found = defaultdict(dict)
        for query in (used, served):
            known = set(found)
            if len(known) == len(numbers):
                break
            for ids, client, weight in self.env.execute_query(query):
                for number in ids:
                    if number not in known:
                        found[number][client] = Decimal(weight)
        return found
