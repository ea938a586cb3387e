import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from functools import lru_cache

from odoo import fields, models
from odoo.tools import SQL

from ... import rating
from ...tools import array_of
from ..base.states import live_sql
from ..pricing.scopes import rank_sql, reaches_sql, scope_id_sql


class ResellerRating(models.AbstractModel):
    """What rating reads of the database: prices, service, use, earlier charges."""

    _inherit = "reseller.rating"

    def _load_features(self, company, features=None, drafts=None, clients=None, book="retail"):
        """Return {(currency id, feature id): rating.Feature} of a company's active rules of a book.

        :param features: reseller.feature records to keep to; all where None
        :param clients: ids, all of one book, which is taken; the prices of others alone are left out; none
            where None
        :param drafts: reseller.price.rule records to load in the place of the active ones
        """
        self.env.flush_all()
        only = SQL("AND rule.active")
        if drafts is not None:
            only = SQL("AND rule.id = ANY(%s)", drafts.ids)  # of one book
        if features is not None:
            only = SQL("%s AND rule.feature_id = ANY(%s)", only, features.ids)
        if clients is not None:
            only = SQL("%s AND %s", only, reaches_sql("rule", list(clients)))
        else:
            only = SQL("%s AND rule.book = %s", only, book)
        found, metering = defaultdict(list), {}
        for currency, feature, digits, aggregation, *row in self.env.execute_query(
            self._rules_sql(company, only)
        ):
            found[currency, feature].append(_make_rule(*row))
            metering[feature] = digits, aggregation
        return {
            (currency, feature): rating.Feature(feature, tuple(rules), *metering[feature])
            for (currency, feature), rules in found.items()
        }

    def _rules_sql(self, company, only):
        """Return the query for a company's active rules: currency, feature, its digits and aggregation, then
        what _make_rule takes.
        """
        return SQL(
            """
            SELECT rule.currency_id, rule.feature_id, feature.quantity_digits, feature.aggregation,
                   rule.id, %s AS rank, %s AS scope, rule.date_from, rule.date_to,
                   COALESCE(rule.recurring_fee, 0)::text, rule.fee_timing, rule.advance_cycles,
                   rule.refund_on_close, rule.interval_count, rule.interval_unit, rule.enrolment,
                   rule.proration, rule.trial_days, COALESCE(rule.setup_fee, 0)::text,
                   COALESCE(rule.bonus_quantity, 0)::text, rule.bonus_valid_days,
                   COALESCE(rule.included_quantity, 0)::text, rule.rollover_cycles,
                   rule.pricing_model, COALESCE(rule.unit_price, 0)::text,
                   COALESCE(rule.package_size, 0)::text,
                   COALESCE(rule.minimum_quantity, 0)::text,
                   COALESCE(rule.minimum_amount, 0)::text,
                   COALESCE(rule.max_quantity, 0)::text, rule.limit_action,
                   rule.lockout_when_owing, COALESCE(rule.replenish_quantity, 0)::text,
                   COALESCE(rule.replenish_price, 0)::text,
                   COALESCE(rule.replenish_threshold, 0)::text,
                   (SELECT json_agg(json_build_array(
                               tier.is_last, tier.up_to::text, COALESCE(tier.unit_price, 0)::text,
                               COALESCE(tier.flat_fee, 0)::text)
                               ORDER BY tier.sequence, tier.id)::text
                      FROM reseller_price_tier tier WHERE tier.rule_id = rule.id) AS tiers,
                   (SELECT json_agg(json_build_array(
                               line.level_id, COALESCE(line.unit_price, 0)::text,
                               line.is_rated_by_rule, COALESCE(line.included_quantity, 0)::text)
                               ORDER BY line.level_id)::text
                      FROM reseller_price_level line WHERE line.rule_id = rule.id) AS levels
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
        return {
            client: rating.Account(
                make_memberships(memberships),
                {1: reseller, 3: client},
                {int(feature): make_enrolments(rows) for feature, rows in (own or {}).items()},
                start,
                tuple(trial),
            )
            for client, reseller, start, *trial, memberships, own in self.env.execute_query(
                SQL(
                    """
                    SELECT client.id, client.reseller_id, client.billing_start,
                           client.trial_extended_on, client.trial_until, %s, %s
                      FROM reseller_client client WHERE client.id = ANY(%s)
                    """,
                    memberships_sql(),
                    SQL(
                        """
                        (SELECT json_object_agg(one.feature_id, one.rows)
                           FROM (SELECT own.feature_id, %s AS rows FROM reseller_client_feature own
                                  WHERE own.client_id = client.id GROUP BY own.feature_id) AS one)
                        """,
                        enrolments_sql(),
                    ),
                    clients.ids,
                )
            )
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

    def _load_uncovered(self, bills, as_of=None, book="retail"):
        """Return {(client id, feature id): {day: [(bucket id, version)]}} of use that no bill covers as it
        stands, in order of days.

        :param bills: {client id: rating.Bill}
        :param as_of: a day; bills that were booked later do not count
        :param book: of these clients
        """
        found = {}
        for client, feature, day, number, version in self.env.execute_query(
            SQL(
                """
                SELECT bucket.client_id, bucket.feature_id, bucket.billing_date, bucket.id,
                       bucket.version
                  FROM unnest(%s::int[], %s::date[]) AS bill (client_id, until)
                  JOIN reseller_usage_daily bucket
                    ON bucket.client_id = bill.client_id
                   AND bucket.billing_date <= bill.until
                   AND %s
                 ORDER BY bucket.client_id, bucket.feature_id, bucket.billing_date, bucket.id
                """,
                list(bills),
                [bill.period_end for bill in bills.values()],
                self.env["reseller.usage.daily"]._uncovered_sql(as_of),
            )
        ):
            key = client, feature
            days = found[key] if key in found else found.setdefault(key, {})
            if day in days:
                days[day].append((number, version))
            else:
                days[day] = [(number, version)]
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

    def _load_usage(self, wanted, uncovered=None, book="retail"):
        """Return {(client id, feature id): rating.Usage} from a day up to a day.

        :param wanted: {(client id, feature id): (first day, last day)}
        :param uncovered: see _load_uncovered: the use that is new to bills; None where nobody asks
        :param book: of these clients
        """
        if not wanted:
            return {}
        unbilled = self._get_buckets(uncovered)
        rows, leveled = defaultdict(list), defaultdict(set)
        for client, feature, day, level, quantity, number in self.env.execute_query(
            SQL(
                """
                -- Made first: else each bucket looks its feature up.
                WITH feature AS MATERIALIZED (
                    SELECT wanted.*, feature.aggregation
                      FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[])
                           AS wanted (client_id, feature_id, since, until)
                      JOIN reseller_feature feature ON feature.id = wanted.feature_id
                )
                SELECT bucket.client_id, bucket.feature_id, bucket.billing_date, bucket.level_id,
                       (%s)::text, bucket.id
                  FROM feature
                  JOIN reseller_usage_daily bucket
                    ON bucket.client_id = feature.client_id
                   AND bucket.feature_id = feature.feature_id
                   AND bucket.billing_date BETWEEN feature.since AND feature.until
                   AND bucket.event_count > 0
                 ORDER BY bucket.client_id, bucket.feature_id, bucket.billing_date
                """,
                *self._get_wanted_arrays(wanted),
                self.env["reseller.usage.daily"]._counted_sql(),
            )
        ):
            row = rating.UsageRow(day, level, Decimal(quantity), number in unbilled)
            rows[client, feature].append(row)
            if level:
                leveled[client, feature].add(level)
        if leveled:
            self._sort_levels({key: rows[key] for key in leveled}, set().union(*leveled.values()))
        return {key: rating.Usage(rows[key]) for key in wanted}

    @staticmethod
    def _get_wanted_arrays(wanted):
        """Return what _load_usage is asked for as arrays: of clients, features, first and last days."""
        return map(array_of, (*zip(*wanted, strict=True), *zip(*wanted.values(), strict=True)))

    @staticmethod
    def _get_buckets(uncovered):
        """Return the ids of the buckets of what _load_uncovered returns."""
        return {
            number
            for days in (uncovered or {}).values()
            for buckets in days.values()
            for number, _version in buckets
        }

    def _sort_levels(self, rows, levels):
        """Have the rows of each day in the order of their levels, those without one first.

        :param rows: {key: [rating.UsageRow]}, which are sorted in place
        :param levels: ids of all their levels
        """
        places = {None: 0}
        found = self.env.execute_query(
            SQL(
                "SELECT id FROM reseller_feature_level WHERE id = ANY(%s) ORDER BY sequence, id",
                list(levels),
            )
        )
        places |= {number: place for place, (number,) in enumerate(found, 1)}
        for of_key in rows.values():
            of_key.sort(key=lambda row: (row.day, places[row.level]))


# What rules, days of service and enrolments say is made once of equal rows: most clients have the same.
@lru_cache(maxsize=4096)
def _make_rule(
    number,
    rank,
    scope,
    first,
    last,
    recurring_fee,
    fee_timing,
    advance_cycles,
    refund_on_close,
    interval_count,
    interval_unit,
    enrolment,
    proration,
    trial_days,
    setup_fee,
    bonus,
    bonus_days,
    included,
    rollover_cycles,
    model,
    unit_price,
    package_size,
    minimum_quantity,
    minimum_amount,
    maximum,
    limit_action,
    locked_when_owing,
    refill_units,
    refill_price,
    refill_threshold,
    tiers,
    levels,
):
    """Return the rating.Rule of a row, amounts as exact text, tiers and levels as JSON."""
    terms = rating.Terms(
        recurring_fee=Decimal(recurring_fee),
        in_advance=fee_timing == "advance",
        advance_cycles=max(advance_cycles or 1, 1),
        refund_on_close=bool(refund_on_close),
        interval=rating.Interval.of(interval_count, interval_unit) if interval_count else None,
        enrolment=enrolment,
        trial_days=trial_days or 0,
        setup_fee=Decimal(setup_fee),
        bonus=Decimal(bonus),
        bonus_days=bonus_days or None,
        included=Decimal(included),
        rollover_cycles=rollover_cycles or 0,
        model=model,
        unit_price=Decimal(unit_price),
        package_size=Decimal(package_size) or Decimal(1),
        tiers=tuple(
            rating.Tier(None if is_last else Decimal(up_to), Decimal(price), Decimal(fee))
            for is_last, up_to, price, fee in json.loads(tiers or "[]")
        ),
        levels=tuple(
            rating.LevelTerms(level, None if by_rule else Decimal(price), Decimal(included) or None)
            for level, price, by_rule, included in json.loads(levels or "[]")
        ),
        minimum_quantity=Decimal(minimum_quantity),
        minimum_amount=Decimal(minimum_amount),
        prorated=proration == "daily",
    )
    return rating.Rule(
        number,
        terms,
        rank,
        scope,
        first,
        last,
        Decimal(maximum) or None,
        limit_action == "block",
        bool(locked_when_owing),
        Decimal(refill_units),
        Decimal(refill_price),
        Decimal(refill_threshold),
    )


def memberships_sql():
    """Return the days of service of `client` as SQL, see make_memberships."""
    return SQL(
        """
        (SELECT json_agg(
                json_build_array(date_from, date_to, group_id, anchor_date, interval_count,
                                 interval_unit, paused) ORDER BY date_from)::text
           FROM reseller_client_membership WHERE client_id = client.id)
        """
    )


@lru_cache(maxsize=4096)
def make_memberships(text):
    """Return the rating.Memberships of JSON, see memberships_sql; none of None."""
    return tuple(
        rating.Membership(
            _date(first),
            _date(last),
            group,
            _date(anchor),
            rating.Interval.of(count, unit),
            bool(paused),
        )
        for first, last, group, anchor, count, unit, paused in json.loads(text or "[]")
    )


def enrolments_sql():
    """Return the enrolments among rows of reseller_client_feature as SQL, see make_enrolments."""
    return SQL(
        "json_agg(json_build_array(date_from, date_to, COALESCE(quantity, 0)::text) "
        "ORDER BY date_from)::text"
    )


@lru_cache(maxsize=4096)
def make_enrolments(text):
    """Return the rating.Enrolments of JSON, see enrolments_sql; none of None."""
    return tuple(
        rating.Enrolment(_date(first), _date(last), Decimal(quantity))
        for first, last, quantity in json.loads(text or "[]")
    )


def _date(text):
    return text and date.fromisoformat(text)
