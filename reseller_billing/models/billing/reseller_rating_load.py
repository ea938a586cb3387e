from collections import defaultdict
from decimal import Decimal

from odoo import fields, models
from odoo.tools import SQL

from ... import rating
from ..base.states import live_sql
from ..pricing.scopes import rank_sql, scope_id_sql


class ResellerRating(models.AbstractModel):
    """What rating reads of the database: prices, service, use, earlier charges."""

    _inherit = "reseller.rating"

    def _load_features(self, company, features=None, drafts=None, clients=None):
        """Return {(currency id, feature id): rating.Feature} of a company's active rules.

        :param features: reseller.feature records to keep to; all where None
        :param clients: ids; the own prices of others are left out; none where None
        :param drafts: reseller.price.rule records to load in the place of the active ones
        """
        self.env.flush_all()
        only = SQL("AND rule.active")
        if drafts is not None:
            only = SQL("AND rule.id = ANY(%s)", drafts.ids)
        if features is not None:
            only = SQL("%s AND rule.feature_id = ANY(%s)", only, features.ids)
        if clients is not None:
            only = SQL(
                "%s AND (rule.client_id IS NULL OR rule.client_id = ANY(%s))", only, list(clients)
            )
        tiers, levels = defaultdict(list), defaultdict(list)
        for rule, is_last, up_to, price, fee in self.env.execute_query(
            SQL(
                """
                SELECT tier.rule_id, tier.is_last, tier.up_to::text,
                       COALESCE(tier.unit_price, 0)::text, COALESCE(tier.flat_fee, 0)::text
                  FROM reseller_price_tier tier
                  JOIN reseller_price_rule rule ON rule.id = tier.rule_id
                 WHERE rule.company_id = %s %s
                 ORDER BY tier.rule_id, tier.sequence, tier.id
                """,
                company.id,
                only,
            )
        ):
            bound = None if is_last else Decimal(up_to)
            tiers[rule].append(rating.Tier(bound, Decimal(price), Decimal(fee)))
        for rule, level, price, by_rule, included in self.env.execute_query(
            SQL(
                """
                SELECT line.rule_id, line.level_id, COALESCE(line.unit_price, 0)::text,
                       line.is_rated_by_rule, COALESCE(line.included_quantity, 0)::text
                  FROM reseller_price_level line
                  JOIN reseller_price_rule rule ON rule.id = line.rule_id
                 WHERE rule.company_id = %s %s
                 ORDER BY line.rule_id, line.level_id
                """,
                company.id,
                only,
            )
        ):
            levels[rule].append(
                rating.LevelTerms(
                    level, None if by_rule else Decimal(price), Decimal(included) or None
                )
            )
        found, metering = defaultdict(list), {}
        for row in self.env.execute_query_dict(self._rules_sql(company, only)):
            interval = (
                rating.Interval.of(row["interval_count"], row["interval_unit"])
                if row["interval_count"]
                else None
            )
            terms = rating.Terms(
                recurring_fee=Decimal(row["recurring_fee"]),
                in_advance=row["fee_timing"] == "advance",
                advance_cycles=max(row["advance_cycles"] or 1, 1),
                refund_on_close=bool(row["refund_on_close"]),
                interval=interval,
                enrolment=row["enrolment"],
                trial_days=row["trial_days"] or 0,
                setup_fee=Decimal(row["setup_fee"]),
                bonus=Decimal(row["bonus_quantity"]),
                bonus_days=row["bonus_valid_days"] or None,
                included=Decimal(row["included_quantity"]),
                rollover_cycles=row["rollover_cycles"] or 0,
                model=row["pricing_model"],
                unit_price=Decimal(row["unit_price"]),
                package_size=Decimal(row["package_size"]) or Decimal(1),
                tiers=tuple(tiers[row["id"]]),
                levels=tuple(levels[row["id"]]),
                minimum_quantity=Decimal(row["minimum_quantity"]),
                minimum_amount=Decimal(row["minimum_amount"]),
                prorated=row["proration"] == "daily",
            )
            rule = rating.Rule(
                row["id"],
                terms,
                row["rank"],
                row["scope"],
                row["date_from"],
                row["date_to"],
                Decimal(row["max_quantity"]) or None,
                row["limit_action"] == "block",
                bool(row["lockout_when_owing"]),
                Decimal(row["replenish_quantity"]),
                Decimal(row["replenish_price"]),
                Decimal(row["replenish_threshold"]),
            )
            found[row["currency_id"], row["feature_id"]].append(rule)
            metering[row["feature_id"]] = row["quantity_digits"], row["aggregation"]
        return {
            (currency, feature): rating.Feature(feature, tuple(rules), *metering[feature])
            for (currency, feature), rules in found.items()
        }

    def _rules_sql(self, company, only):
        """Return the query for a company's active rules, amounts as exact text."""
        return SQL(
            """
            SELECT rule.id, rule.feature_id, rule.currency_id, rule.date_from, rule.date_to,
                   %s AS rank, %s AS scope,
                   COALESCE(rule.recurring_fee, 0)::text AS recurring_fee, rule.fee_timing,
                   rule.advance_cycles, rule.refund_on_close,
                   rule.interval_count, rule.interval_unit, rule.enrolment, rule.proration,
                   rule.trial_days, COALESCE(rule.setup_fee, 0)::text AS setup_fee,
                   COALESCE(rule.bonus_quantity, 0)::text AS bonus_quantity, rule.bonus_valid_days,
                   COALESCE(rule.included_quantity, 0)::text AS included_quantity,
                   rule.rollover_cycles,
                   rule.pricing_model, COALESCE(rule.unit_price, 0)::text AS unit_price,
                   COALESCE(rule.package_size, 0)::text AS package_size,
                   COALESCE(rule.minimum_quantity, 0)::text AS minimum_quantity,
                   COALESCE(rule.minimum_amount, 0)::text AS minimum_amount,
                   COALESCE(rule.max_quantity, 0)::text AS max_quantity, rule.limit_action,
                   rule.lockout_when_owing,
                   COALESCE(rule.replenish_quantity, 0)::text AS replenish_quantity,
                   COALESCE(rule.replenish_price, 0)::text AS replenish_price,
                   COALESCE(rule.replenish_threshold, 0)::text AS replenish_threshold,
                   feature.quantity_digits, feature.aggregation
              FROM reseller_price_rule rule
              JOIN reseller_feature feature ON feature.id = rule.feature_id
             WHERE rule.company_id = %s %s
             ORDER BY feature.sequence, feature.id, rule.id
            """,
            rank_sql("rule"),
            scope_id_sql("rule"),
            company.id,
            only,
        )

    def _load_accounts(self, clients):
        """Return {client id: rating.Account} for clients of one company."""
        self.env.flush_all()
        memberships, enrolments = defaultdict(list), defaultdict(lambda: defaultdict(list))
        for client, first, last, group, anchor, count, unit, paused in self.env.execute_query(
            SQL(
                """
                SELECT client_id, date_from, date_to, group_id, anchor_date, interval_count,
                       interval_unit, COALESCE(paused, FALSE)
                  FROM reseller_client_membership
                 WHERE client_id = ANY(%s) ORDER BY client_id, date_from
                """,
                clients.ids,
            )
        ):
            interval = rating.Interval.of(count, unit)
            row = rating.Membership(first, last, group, anchor, interval, paused)
            memberships[client].append(row)
        for client, feature, first, last, quantity in self.env.execute_query(
            SQL(
                """
                SELECT client_id, feature_id, date_from, date_to, COALESCE(quantity, 0)::text
                  FROM reseller_client_feature
                 WHERE client_id = ANY(%s) ORDER BY client_id, feature_id, date_from
                """,
                clients.ids,
            )
        ):
            enrolments[client][feature].append(rating.Enrolment(first, last, Decimal(quantity)))
        return {
            client.id: rating.Account(
                tuple(memberships[client.id]),
                {1: client.reseller_id.id, 3: client.id},
                {feature: tuple(rows) for feature, rows in enrolments[client.id].items()},
                client.billing_start or None,
                (client.trial_extended_on or None, client.trial_until or None),
            )
            for client in clients
        }

    def _known_sql(self, as_of):
        """Return a condition on `statement`: the live bills, as the books knew them on a day."""
        live = live_sql("statement")
        if not as_of:
            return live
        return SQL(
            """
            (%(live)s AND CASE
                WHEN statement.invoice_id IS NULL THEN statement.bill_date <= %(day)s
                ELSE EXISTS (
                    SELECT FROM account_move move
                     WHERE move.id = statement.invoice_id
                       AND move.state = 'posted' AND move.date <= %(day)s) END
             -- An invoice that was replaced since stood in the books until it was reversed, whatever
             -- has become of its statement.
             OR EXISTS (
                SELECT FROM account_move former
                 WHERE former.reseller_former_statement_id = statement.id
                   AND former.state = 'posted' AND former.date <= %(day)s
                   AND NOT EXISTS (
                       SELECT FROM account_move back
                        WHERE back.id = former.reseller_reversal_id
                          AND back.state = 'posted' AND back.date <= %(day)s)))
            """,
            live=live,
            day=as_of,
        )

    def _load_uncovered(self, bills, as_of=None):
        """Return {(client id, feature id): {day: [(bucket id, version)]}} of use that no bill covers as it
        stands, in order of days.

        :param bills: {client id: rating.Bill}
        :param as_of: a day; bills that were booked later do not count
        """
        found = {}
        for client, feature, *buckets in self.env.execute_query(
            SQL(
                """
                SELECT bucket.client_id, bucket.feature_id,
                       array_agg(bucket.billing_date ORDER BY bucket.billing_date, bucket.id),
                       array_agg(bucket.id ORDER BY bucket.billing_date, bucket.id),
                       array_agg(bucket.version ORDER BY bucket.billing_date, bucket.id)
                  FROM unnest(%s::int[], %s::date[]) AS bill (client_id, until)
                  JOIN reseller_usage_daily bucket
                    ON bucket.client_id = bill.client_id
                   AND bucket.billing_date <= bill.until
                   AND %s
                 GROUP BY bucket.client_id, bucket.feature_id
                """,
                list(bills),
                [bill.period_end for bill in bills.values()],
                self.env["reseller.usage.daily"]._uncovered_sql(as_of),
            )
        ):
            days = found[client, feature] = {}
            for day, number, version in zip(*buckets, strict=True):
                days.setdefault(day, []).append((number, version))
        return found

    def _load_prior(self, bounds, as_of=None, later=None):
        """Return {(client id, feature id): {rating.Key: rating.Billed}}.

        These are the components of bills that are not void, of cycles that end on or after a bound.
        Minimums come all: their billing periods may lie far back in a feature's longer cycle.

        :param bounds: {client id: day}
        :param as_of: a day; bills that were booked later do not count
        :param later: {id of a statement: the void one that is billed again before it}: of cycles that
            went on after that it does not count
        """
        found = defaultdict(dict)
        for client, feature, quantity, amount, end, *key in self.env.execute_query(
            SQL(
                """
                SELECT charge.client_id, charge.feature_id, sum(charge.quantity)::text,
                       sum(charge.amount)::text,
                       (array_agg(charge.cycle_end ORDER BY charge.id DESC))[1],
                       charge.cycle_start, charge.price_rule_id, charge.kind, charge.level_id,
                       charge.tier, charge.is_flat_fee
                  FROM unnest(%s::int[], %s::date[]) AS bound (client_id, since)
                  JOIN reseller_charge charge ON charge.client_id = bound.client_id
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 WHERE %s AND %s
                   AND charge.price_rule_id IS NOT NULL
                 GROUP BY charge.client_id, charge.feature_id, charge.cycle_start,
                          charge.price_rule_id, charge.kind, charge.level_id, charge.tier,
                          charge.is_flat_fee
                HAVING max(charge.cycle_end) >= min(bound.since) OR charge.kind = 'minimum'
                """,
                list(bounds),
                list(bounds.values()),
                self._known_sql(as_of),
                self._before_sql(later or {}),
            )
        ):
            billed = rating.Billed(Decimal(quantity), Decimal(amount), end)
            found[client, feature][rating.Key(*key)] = billed
        return found

    def _before_sql(self, later):
        """Return a condition on `charge` of a `statement`, see `later` of _load_prior."""
        if not later:
            return SQL("TRUE")
        return SQL(
            """
            NOT EXISTS (
                SELECT FROM unnest(%s::int[], %s::date[]) AS later (statement_id, until)
                 WHERE later.statement_id = statement.id AND charge.cycle_end > later.until)
            """,
            list(later),
            [
                one.period_end or fields.Date.subtract(one.bill_date, days=1)
                for one in later.values()
            ],
        )

    def _load_prior_spans(self, bounds, as_of=None, later=None):
        """Return {(client id, feature id): {rating.Key: [rating.Span]}} of how bills that
        are not void divided use.

        :param bounds: see _load_prior
        :param as_of: see _load_prior
        :param later: see _load_prior
        """
        found = defaultdict(lambda: defaultdict(list))
        for client, feature, first, last, amount, *key in self.env.execute_query(
            SQL(
                """
                SELECT charge.client_id, charge.feature_id,
                       COALESCE((span.value ->> 0)::date, charge.date_from),
                       COALESCE((span.value ->> 1)::date, charge.date_to),
                       COALESCE(span.value ->> 2, charge.amount::text),
                       charge.cycle_start, charge.price_rule_id, charge.kind, charge.level_id,
                       charge.tier, charge.is_flat_fee
                  FROM unnest(%s::int[], %s::date[]) AS bound (client_id, since)
                  JOIN reseller_charge charge
                    ON charge.client_id = bound.client_id AND charge.cycle_end >= bound.since
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  LEFT JOIN LATERAL jsonb_array_elements(charge.trace -> 'spans') AS span ON true
                 WHERE %s AND %s
                   AND charge.price_rule_id IS NOT NULL
                   AND charge.kind IN ('usage', 'overage')
                   AND NOT charge.is_flat_fee
                """,
                list(bounds),
                list(bounds.values()),
                self._known_sql(as_of),
                self._before_sql(later or {}),
            )
        ):
            span = rating.Span(first, last, Decimal(amount))
            found[client, feature][rating.Key(*key)].append(span)
        return found

    def _find_lot_holders(self, clients):
        """Hook: return {(client id, feature id)} of those of some client ids who have lots of units."""
        return set()

    def _load_prepaid(self, wanted, as_of=None):
        """Hook: return {(client id, feature id): rating.Prepaid} of those that have lots of units.

        :param wanted: {(client id, feature id): (first day, last day)} of use
        :param as_of: a day; what was booked later does not count
        """
        return {}

    def _load_usage(self, wanted, uncovered=None):
        """Return {(client id, feature id): rating.Usage} from a day up to a day.

        :param wanted: {(client id, feature id): (first day, last day)}
        :param uncovered: see _load_uncovered: the use that is new to bills; None where nobody asks
        """
        if not wanted:
            return {}
        unbilled = {
            number
            for days in (uncovered or {}).values()
            for buckets in days.values()
            for number, _version in buckets
        }
        rows = defaultdict(list)
        for client, feature, day, level, quantity, number in self.env.execute_query(
            SQL(
                """
                SELECT bucket.client_id, bucket.feature_id, bucket.billing_date, bucket.level_id,
                       (%s)::text, bucket.id
                  FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[])
                       AS wanted (client_id, feature_id, since, until)
                  JOIN reseller_usage_daily bucket
                    ON bucket.client_id = wanted.client_id
                   AND bucket.feature_id = wanted.feature_id
                   AND bucket.billing_date BETWEEN wanted.since AND wanted.until
                   AND bucket.event_count > 0
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                  LEFT JOIN reseller_feature_level level ON level.id = bucket.level_id
                 ORDER BY bucket.client_id, bucket.feature_id, bucket.billing_date,
                          level.sequence NULLS FIRST, level.id
                """,
                self.env["reseller.usage.daily"]._counted_sql(),
                [client for client, _feature in wanted],
                [feature for _client, feature in wanted],
                [first for first, _last in wanted.values()],
                [last for _first, last in wanted.values()],
            )
        ):
            row = rating.UsageRow(day, level, Decimal(quantity), number in unbilled)
            rows[client, feature].append(row)
        return {key: rating.Usage(rows[key]) for key in wanted}
