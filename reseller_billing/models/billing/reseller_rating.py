from collections import defaultdict, namedtuple
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import zip_longest

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import rating
from .reseller_billing_run import WORKING

FOREVER = date(9999, 12, 31)
# An account whose running cycles are looked at: a client's id, its rating.Account, and the currency's
# id and rounding.
Metered = namedtuple("Metered", "client_id account currency_id today rounding")


class ResellerRating(models.AbstractModel):
    """Reads rules, service, use and earlier charges in a few queries, and has `rating/` rate them.

    It writes nothing.
    """

    _name = "reseller.rating"
    _description = "Rating of Use"

    # Reading

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
                   CASE WHEN rule.client_id IS NOT NULL THEN 3 WHEN rule.group_id IS NOT NULL THEN 2
                        WHEN rule.reseller_id IS NOT NULL THEN 1 ELSE 0 END AS rank,
                   COALESCE(rule.client_id, rule.group_id, rule.reseller_id, 0) AS scope,
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
        live = SQL("statement.state IN ('approved', 'invoiced')")
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

    def _uncovered_sql(self, as_of):
        """Return a condition on `bucket`: no bill covered it, as the books knew them on a day."""
        return SQL(
            """
            NOT EXISTS (SELECT FROM reseller_statement statement
                         WHERE statement.id = bucket.statement_id AND %(known)s)
            -- Nor one that a credit note has made void since, be it billed again or not.
            AND NOT EXISTS (SELECT FROM reseller_statement former
                              JOIN reseller_statement statement
                                ON statement.client_id = former.client_id
                               AND statement.kind = former.kind
                               AND statement.bill_date = former.bill_date
                             WHERE former.id = bucket.former_statement_id AND %(known)s)
            """,
            known=self._known_sql(as_of),
        )

    def _load_uncovered(self, bills, as_of=None):
        """Return {(client id, feature id): days} of use that no bill covers as it stands.

        :param bills: {client id: rating.Bill}
        :param as_of: a day; bills that were booked later do not count
        """
        uncovered = SQL("bucket.statement_id IS NULL")
        if as_of:
            uncovered = self._uncovered_sql(as_of)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT bucket.client_id, bucket.feature_id,
                       array_agg(DISTINCT bucket.billing_date ORDER BY bucket.billing_date)
                  FROM unnest(%s::int[], %s::date[]) AS bill (client_id, until)
                  JOIN reseller_usage_daily bucket
                    ON bucket.client_id = bill.client_id
                   AND bucket.billing_date <= bill.until
                   AND %s
                 GROUP BY bucket.client_id, bucket.feature_id
                """,
                list(bills),
                [bill.period_end for bill in bills.values()],
                uncovered,
            )
        )
        return {(client, feature): days for client, feature, days in rows}

    def _load_prior(self, bounds, as_of=None, later=None):
        """Return {(client id, feature id): {rating.Key: (quantity, amount, cycle end)}}.

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
            found[client, feature][rating.Key(*key)] = (Decimal(quantity), Decimal(amount), end)
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
        """Return {(client id, feature id): {rating.Key: [(first day, last day, amount)]}} of how bills that
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
            found[client, feature][rating.Key(*key)].append((first, last, Decimal(amount)))
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

    def _load_usage(self, wanted, as_of=None):
        """Return {(client id, feature id): rating.Usage} from a day up to a day.

        :param wanted: {(client id, feature id): (first day, last day)}
        :param as_of: a day; bills that were booked later do not cover any use
        """
        if not wanted:
            return {}
        uncovered = SQL("bucket.statement_id IS NULL")
        if as_of:
            uncovered = self._uncovered_sql(as_of)
        rows = defaultdict(list)
        for client, feature, day, level, quantity, fresh in self.env.execute_query(
            SQL(
                """
                SELECT bucket.client_id, bucket.feature_id, bucket.billing_date, bucket.level_id,
                       (%s)::text, %s
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
                uncovered,
                [client for client, _feature in wanted],
                [feature for _client, feature in wanted],
                [first for first, _last in wanted.values()],
                [last for _first, last in wanted.values()],
            )
        ):
            rows[client, feature].append((day, level, Decimal(quantity), fresh))
        return {key: rating.Usage(rows[key]) for key in wanted}

    # Rating

    def _rate(self, clients, bills, as_of=None):
        """Rate bills of clients of one company.

        :param bills: {client id: rating.Bill}
        :param as_of: a day; bills that were booked later do not count, for the month's end
        :return: ({client id: [rating.Charge]}, {(client id, feature id): days}, {client id:
            [rating.Draw]}): days are of use that no bill covered before and this one does, without
            use that nothing prices; draws are from lots of units
        """
        features = self._load_features(clients.company_id, clients=clients.ids)
        accounts = self._load_accounts(clients)
        uncovered = self._load_uncovered(bills, as_of)
        # A cycle may end, cut short, on the day before.
        bounds = {client: bill.since - rating.DAY for client, bill in bills.items()}
        for (client, _feature), days in uncovered.items():
            bounds[client] = min(bounds[client], days[0])
        freed = self._find_freed(bills)
        later = {number: one for one in freed.values() for number in one._find_later().ids}
        prior = self._load_prior(bounds, as_of, later)
        until = max((bill.date for bill in bills.values()), default=FOREVER)
        cuts = tuple(
            day
            for day in self.env["reseller.tax.change"]._get_cuts(clients.company_id)
            if day < until
        )
        spans = self._load_prior_spans(bounds, as_of, later) if cuts else {}
        parts, wanted = {}, {}
        for client in clients:
            bill = replace(bills[client.id], cuts=cuts)
            for (currency, feature_id), feature in features.items():
                key = (client.id, feature_id)
                if currency != client.currency_id.id or not (
                    key in uncovered or key in prior or feature.has_fees
                ):
                    continue
                part = rating.FeatureBill(
                    accounts[client.id], feature, bill, uncovered.get(key, ())
                )
                parts[key] = part
                since = part.since
                if bill.rerate_from:
                    # Lots get back what they paid for days that are no days of service any more.
                    since = min(filter(None, (since, bill.rerate_from)))
                if since and since <= bill.period_end:
                    wanted[key] = (since, bill.period_end)
        usage = self._load_usage(wanted, as_of)
        prepaid = self._load_prepaid(wanted, as_of)
        charges = {client.id: [] for client in clients}
        draws = {client.id: [] for client in clients}
        covered = {}
        nothing = rating.Usage([])
        for key, part in parts.items():
            charged, drawn = part.charges(
                usage.get(key, nothing),
                prior.get(key, {}),
                prepaid.get(key, rating.Prepaid()),
                spans.get(key),
            )
            own = freed.get(key[0])
            charges[key[0]] += [own._keep_to_days(one) for one in charged] if own else charged
            draws[key[0]] += drawn
            if key in uncovered:
                covered[key] = part.priced(uncovered[key])
        return charges, covered, draws

    def _find_freed(self, bills):
        """Return {client id: the void statement whose days its bill bills again}."""
        numbers = [bill.replaces for bill in bills.values() if bill.replaces]
        statements_sudo = self.env["reseller.statement"].sudo()  # as all that is read here
        return {one.client_id.id: one for one in statements_sudo.browse(numbers)}

    def _load_states(self, clients, features=None, lot=None):
        """Return {(client id, feature id): (RatedCycle, CycleUse, rule)} of the cycles of today.

        :param clients: of one company
        :param features: reseller.feature records to keep to; all where None
        :param Decimal lot: units of a lot that is taken for granted, bought today by each
        """
        if not clients:
            return {}
        found = self._load_features(clients.company_id, features, clients=clients.ids)
        accounts = self._load_accounts(clients)
        metered = [
            Metered(
                client.id,
                accounts[client.id],
                client.currency_id.id,
                client._today(),
                client.currency_id._get_exact_rounding(),
            )
            for client in clients
        ]
        return self._rate_states(metered, found, lot=lot)

    def _rate_states(self, metered, features, have_lots=True, more=None, lot=None):
        """See _load_states.

        :param metered: the Metered accounts
        :param features: of their company, see _load_features
        :param bool have_lots: whether some of these may have lots of units
        :param more: a row of today's use that is taken for granted, as of rating.Usage
        :param lot: see _load_states
        """
        bills = {}
        for client, _account, _currency, today, rounding in metered:
            tomorrow = today + rating.DAY
            bills[client] = rating.Bill(tomorrow, today, tomorrow, rounding)
        # Of lots is left what no use draws that is not billed yet, of earlier cycles as well.
        holders = self._find_lot_holders(bills) if have_lots else set()
        late = {}
        if holders:
            late = self._load_uncovered({client: bills[client] for client, _feature in holders})
        parts, wanted = {}, {}
        for client, account, currency, today, _rounding in metered:
            for (priced_in, feature_id), feature in features.items():
                if priced_in != currency:
                    continue
                key = client, feature_id
                days = late.get(key, ()) if key in holders else ()
                part = rating.FeatureBill(account, feature, bills[client], days)
                if part.since and part.since <= today:
                    parts[key] = part
                    wanted[key] = (part.since, today)
        usage = self._load_usage(wanted)
        prepaid = self._load_prepaid({key: wanted[key] for key in holders if key in wanted})
        states = {}
        for key, part in parts.items():
            if more:
                usage[key] = rating.Usage([*usage[key].rows, more])
            lots = prepaid.get(key, rating.Prepaid())
            if lot:
                bought = rating.UnitLot(0, lot, part.bill.period_end)
                lots = rating.Prepaid((*lots.lots, bought), lots.recorded)
            state = part.state(usage[key], lots)
            if state:
                cycle, use = state
                states[key] = cycle, use, cycle.rule_on(part.bill.period_end)
        return states

    def _current_usage(self, client):
        """See reseller.client.current_usage."""
        today = client._today()
        states = {feature: state for (_client, feature), state in self._load_states(client).items()}
        unpriced = self._load_unpriced(client, list(states), today)
        entries = []
        records = self.env["reseller.feature"].browse([*states, *unpriced])
        names = {record.id: record for record in records}
        for feature_id, (cycle, use, rule) in states.items():
            maximum = rule and rule.maximum
            entries.append(
                {
                    "feature": feature_id,
                    "code": names[feature_id].code,
                    "name": names[feature_id].name,
                    "cycle_start": cycle.cycle.start,
                    "cycle_end": cycle.cycle.last,
                    "used": rating.text(use.used),
                    "included_left": rating.text(use.get_left(today)),
                    "prepaid_left": rating.text(use.prepaid.get_left(today)),
                    "payable": rating.text(use.payable),
                    "maximum": rating.text(maximum) if maximum else False,
                    "amount": rating.text(use.amount),
                }
            )
        for feature_id, (first, used) in unpriced.items():
            entries.append(
                {
                    "feature": feature_id,
                    "code": names[feature_id].code,
                    "name": names[feature_id].name,
                    "cycle_start": first,
                    "cycle_end": False,
                    "used": used,
                    "included_left": "0",
                    "prepaid_left": "0",
                    "payable": "0",
                    "maximum": False,
                    "amount": "0",
                }
            )
        return entries

    def _load_unpriced(self, client, priced, today):
        """Return {feature id: (first day, use as text)} of unbilled use that nothing prices."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT bucket.feature_id, min(bucket.billing_date),
                       trim_scale(%s)::text
                  FROM reseller_usage_daily bucket
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE bucket.client_id = %s AND bucket.statement_id IS NULL
                   AND NOT bucket.feature_id = ANY(%s) AND bucket.billing_date <= %s
                 GROUP BY bucket.feature_id, feature.aggregation
                """,
                self.env["reseller.usage.daily"]._counted_together_sql(),
                client.id,
                priced,
                today,
            )
        )
        return {feature: (first, used) for feature, first, used in rows}

    # Billed days

    def _billed_prices(self, features):
        """Return {(client, feature id): (runs, once)} of billed days.

        Runs are (first, last, (rule id, terms, whether it bills past fees)); once is the first
        enrolled day with its rule, where something is given or due once. Days that a run is billing at the moment count as billed.
        """
        found = {}
        asks = self._load_past_fee_rules(features)
        working = self._get_working_dates()
        for company in self.env.companies:
            at_work = working.get(company)
            billed = Domain("billed_until", "!=", False)
            if at_work:
                billed |= Domain("state", "=", "active")
            # What is billed binds also those who may not see every client.
            clients = (
                self.env["reseller.client"]
                .sudo()
                .with_context(active_test=False)
                .search(Domain("company_id", "=", company.id) & billed)
            )
            if not clients:
                continue
            rules = self._load_features(company, features)
            accounts = self._load_accounts(clients)
            for client in clients:
                until = max(filter(None, (client.billed_until, at_work)))
                for feature in features:
                    rated = rules.get((client.currency_id.id, feature.id))
                    runs, once = [], None
                    if rated:
                        timeline = accounts[client.id].timeline(rated, until)
                        runs = [
                            (
                                first,
                                min(last, until),
                                rule and (rule.id, rule.terms, rule.id in asks),
                            )
                            for first, last, rule in timeline.winners()
                            if first <= until
                        ]
                        if rated.has_once and not rated.has_on_use:
                            first = timeline.first_enrolled()
                            if first and first.day <= until:
                                once = first.day, first.rule.id
                    found[client, feature.id] = runs, once
        return found

    def _load_past_fee_rules(self, features):
        """Return the ids of the prices of features that say that they bill past fees."""
        rules_sudo = self.env["reseller.price.rule"].sudo()  # as in _billed_prices
        domain = [("feature_id", "in", features.ids), ("bills_past_fees", "=", True)]
        return set(rules_sudo.search(domain).ids)

    def _load_trials(self, client, until):
        """Return {feature id: rating.Once} of a client's trials that begin by a day.

        Where use decides who has a feature, its trial may begin with the first cycle.
        """
        account = self._load_accounts(client)[client.id]
        found = {}
        for (currency, number), feature in self._load_features(
            client.company_id, clients=client.ids
        ).items():
            if currency != client.currency_id.id or not feature.has_once:
                continue
            once = account.timeline(feature, until).first_enrolled(lambda _cycle: True)
            if once and once.day <= until and once.rule.terms.trial_days:
                found[number] = once
        return found

    def _load_past_fees(self, days, rules, used):
        """Return {client: amount} of what prices would bill for billed days without any use.

        :param days: {client: the first day that has a price only now}
        :param rules: ids of prices
        :param used: ids of clients with use that no bill has covered
        """
        found = {}
        records = self.env["reseller.client"].sudo().union(*days)  # as in _billed_prices
        for company, of_company in records.grouped("company_id").items():
            statements = self.env["reseller.statement"].with_company(company)
            bills = {}
            for client in of_company:
                following = client.billed_until + rating.DAY
                bill = statements._prepare_bill(client, following)
                # Of cycles that had begun by then.
                since = min(filter(None, (bill.rerate_from, days[client])))
                bills[client.id] = replace(bill, next_date=following, rerate_from=since)
            charges, _covered, _draws = self._rate(of_company, bills)
            for client in of_company:
                kinds = {"recurring", "setup", "minimum"}
                amount = sum(
                    (
                        charge.amount
                        for charge in charges[client.id]
                        if charge.key.rule in rules
                        and (
                            charge.key.kind in kinds or (charge.key.flat and client.id not in used)
                        )
                    ),
                    Decimal(0),
                )
                if amount > 0:
                    found[client] = amount
        return found

    def _get_working_dates(self):
        """Return {company: last day that its runs at work may bill}."""
        runs = self.env["reseller.billing.run"].sudo()  # they bind also who may not see them
        return {
            company: fields.Date.subtract(date, days=1)
            for company, date in runs._read_group(
                [("state", "in", WORKING), ("company_id", "in", self.env.companies.ids)],
                ["company_id"],
                ["date:max"],
            )
        }

    def _compare_billed_prices(self, before, features, made):
        """Return {client: (whether a billed price changed, first day that has one only now, rule ids)}.

        A price that no bill has used yet is no billed one. The rules are those that billed days have
        now and had not before.

        :param before: see _billed_prices
        :param made: {rule id: its `made_after_id`}
        """
        after = self._billed_prices(features)
        at_work = self._get_working_dates()
        freed = defaultdict(list)
        for one in (
            self.env["reseller.client"].union(*(key[0] for key in after))._get_freed_statements()
        ):
            if one.period_start:
                freed[one.client_id.id].append((one.period_start, one.period_end))
        found, doubtful = {}, []
        for key, (runs, once) in after.items():
            client = key[0]
            changed, priced, rules = found.get(client, (False, None, set()))
            old_runs, old_once = before.get(key, ([], None))
            free = freed[client.id]
            cuts = {day for first, last, _terms in runs + old_runs for day in (first, last)}
            cuts |= {day for first, last in free for day in (first, last + rating.DAY)}
            cuts = sorted(cuts)
            for day, following in zip_longest(cuts, cuts[1:]):
                old, new = _terms_on(old_runs, day), _terms_on(runs, day)
                if old == new or any(first <= day <= last for first, last in free):
                    continue
                last = max(day, following - rating.DAY) if following else day
                if not client.billed_until or day > client.billed_until:
                    changed = True
                elif old is not None and client.company_id in at_work:
                    changed = True  # a bill is using it at this moment
                elif old is not None:
                    doubtful.append((client, made.get(old[0], 0), day, last))
                if new is not None:
                    priced = min(priced or day, day)
                    rules = rules | {new[0]}
            # A trial that has begun, or a bonus that was given, stays where it is.
            if old_once and old_once != once:
                doubtful.append((client, made.get(old_once[1], 0), old_once[0], old_once[0]))
            found[client] = changed, priced, rules
        for client in self._find_using(doubtful):
            found[client] = True, *found[client][1:]
        return found

    def _find_using(self, doubtful):
        """Return the clients that have a bill of some days, later than another one.

        :param doubtful: [(client, id of the last statement before, first day, last day)]
        """
        if not doubtful:
            return []
        clients, after, firsts, lasts = zip(*doubtful, strict=True)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT asked.client_id
                  FROM unnest(%s::int[], %s::int[], %s::date[], %s::date[])
                       AS asked (client_id, after_id, first, last)
                  JOIN reseller_statement statement
                    ON statement.client_id = asked.client_id
                   AND statement.state IN ('approved', 'invoiced')
                   AND statement.kind != 'manual'
                   AND statement.id > asked.after_id
                   AND LEAST(statement.period_start, statement.rerate_from, statement.bill_date)
                       <= asked.last
                   AND GREATEST(statement.period_end, statement.bill_date - 1) >= asked.first
                """,
                [client.id for client in clients],
                list(after),
                list(firsts),
                list(lasts),
            )
        )
        found = {client.id: client for client in clients}
        return [found[number] for (number,) in rows]


def _terms_on(runs, day):
    return next((terms for first, last, terms in runs if first <= day <= last), None)
