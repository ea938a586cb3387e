"""The bill of one account for one date: what is due now less what was billed (rating 4, 18)."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from .cycles import DAY, Interval
from .money import ZERO, exact, text
from .quantity import Key, rate_cycle
from .rules import Enrolment, Membership, Rule
from .timeline import Timeline


@dataclass(frozen=True)
class Bill:
    """A bill's dates and currency. It covers use from `period_start` to the day before `date`,
    and the advance fees of cycles that begin before `next_date`.
    """

    date: date
    period_start: date
    next_date: date
    rounding: Decimal
    rerate_from: date | None = None

    @property
    def since(self):
        """The first day that is rated: before the period where unpriced days have a price now."""
        return min(self.period_start, self.rerate_from or self.period_start)

    @property
    def period_end(self):
        return self.date - DAY


@dataclass(frozen=True)
class Account:
    """A client as the bill sees it; `scopes` maps rank 1 (reseller) and 3 (client) to ids."""

    interval: Interval
    memberships: tuple[Membership, ...]
    scopes: dict[int, int]
    enrolments: dict[int, tuple[Enrolment, ...]] = field(default_factory=dict)

    def timeline(self, feature, horizon):
        """Return this account's Timeline of a Feature, as far as cycles open on `horizon` reach.

        An open cycle is seen to its end: its allotment counts the days still to come.
        """
        intervals = [rule.terms.interval for rule in feature.rules if rule.terms.interval]
        return Timeline(
            self.interval,
            self.memberships,
            feature.rules,
            self.enrolments.get(feature.id, ()),
            self.scopes,
            max(interval.after(horizon, 1) for interval in [self.interval, *intervals]),
        )


@dataclass(frozen=True)
class Feature:
    """A feature with the rules that may price it in the bill's currency."""

    id: int
    rules: tuple[Rule, ...]
    quantity_digits: int = 6

    @property
    def has_fees(self):
        """Whether something may be due without use."""
        return any(
            rule.terms.recurring_fee or any(tier.flat_fee for tier in rule.terms.tiers)
            for rule in self.rules
        )


@dataclass(frozen=True)
class Charge:
    """A line of a bill. `closed` is the last day of a cycle that an earlier bill closed."""

    feature: int
    key: Key
    cycle_end: date
    first: date
    last: date
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    closed: date | None
    trace: dict


class Usage:
    """The use of one feature, sorted by day, then level: rows of (day, level, quantity, fresh)."""

    def __init__(self, rows):
        self.rows = rows
        self._days = [row[0] for row in rows]

    def between(self, first, last):
        return self.rows[bisect_left(self._days, first) : bisect_right(self._days, last)]


class FeatureBill:
    """One feature on one bill, in two steps, so that a caller reads only the use that counts.

    First `since` tells from which day use is wanted, then `charges` rates it.
    """

    def __init__(self, account, feature, bill, late_days=()):
        """:param late_days: days before the period with use that no bill has covered"""
        self.feature = feature
        self.bill = bill
        horizon = bill.next_date - DAY
        self._timeline = account.timeline(feature, horizon)
        # A cycle that a new rule has cut short just where the last bill ended was open to that bill.
        self.cycles = [
            cycle
            for cycle in self._timeline.cycles(bill.since - DAY, horizon, late_days)
            if (
                cycle.last_served >= bill.since
                or cycle.cycle.last < cycle.cycle.end
                or any(cycle.first_served <= day <= cycle.last_served for day in late_days)
            )
            and any(segment.rule for segment in cycle.segments)
        ]

    @property
    def since(self):
        """The first day whose use is wanted, or None."""
        return self.cycles[0].first_served if self.cycles else None

    def priced(self, days):
        """Return those of `days` that a rule prices."""
        spans = [
            (segment.first, segment.last)
            for cycle in self.cycles
            for segment in cycle.segments
            if segment.rule
        ]
        return [day for day in days if any(first <= day <= last for first, last in spans)]

    def charges(self, usage, prior):
        """Return the charges of this feature.

        :param Usage usage: from `since` on
        :param prior: {Key: (quantity, amount, cycle_end)} of what earlier bills charged
        """
        with exact():
            found = []
            starts = set()
            for cycle in self.cycles:
                starts.add(cycle.cycle.start)
                found += self._cycle_charges(cycle, usage, prior)
            for key, before in prior.items():
                if (
                    key.cycle_start not in starts
                    and before[2] >= self.bill.period_start
                    and not self._stands(key, before[2])
                ):
                    found.append(self._refund(None, key, before))
            return [charge for charge in found if charge]

    def _stands(self, key, end):
        """Whether a cycle that was charged is one still; if not, it was charged in advance."""
        return any(
            cycle.cycle.start == key.cycle_start
            for cycle in self._timeline.cycles(key.cycle_start, end)
        )

    def _cycle_charges(self, cycle, usage, prior):
        rows = usage.between(cycle.first_served, cycle.last_served)
        rated = rate_cycle(cycle, rows, self.bill, self.feature.quantity_digits)
        found, silent = [], {}
        for key, component in rated.items():
            quantity, amount, _end = prior.get(key, (ZERO, ZERO, None))
            change = component.quantity - quantity, component.amount - amount
            if any(change):
                found.append(self._charge(cycle, key, component, change, amount))
            elif component.fresh:
                silent[key.rule, key.level] = self._charge(cycle, key, component, change, amount)
        for key, before in prior.items():
            if key.cycle_start == cycle.cycle.start and key not in rated:
                found.append(self._refund(cycle, key, before))
        # Use that costs nothing more is shown all the same, once.
        shown = {(charge.key.rule, charge.key.level) for charge in found if charge}
        return found + [charge for one, charge in silent.items() if one not in shown]

    def _refund(self, cycle, key, before):
        quantity, amount, _end = before
        if not quantity and not amount:
            return None
        return self._charge(cycle, key, None, (-quantity, -amount), amount, before)

    def _charge(self, cycle, key, component, change, billed, before=None):
        bill = self.bill
        if cycle:
            cycle_end = cycle.cycle.last
            first, last = cycle.first_served, min(cycle.last_served, cycle_end)
            closed = cycle_end if cycle_end < bill.period_start else None
        else:
            cycle_end = before[2]
            first, last, closed = key.cycle_start, cycle_end, None
        rated = component and {
            **component.explanation,
            "kind": key.kind,
            "quantity": component.quantity,
            "unit_price": component.unit_price,
        }
        if key.kind == "recurring" and component:
            parts = component.explanation["parts"]
            first, last = parts[0]["first"], parts[-1]["last"]
        elif key.kind != "recurring" and not closed:
            first, last = max(first, bill.period_start), min(last, bill.period_end)
        trace = {
            "rounding": bill.rounding,
            "billed_before": billed,
            "rated": rated,
        }
        return Charge(
            self.feature.id,
            key,
            cycle_end,
            first,
            max(first, last),
            change[0],
            component.unit_price if component else ZERO,
            change[1],
            closed,
            plain(trace),
        )


def plain(value):
    """Return a trace as JSON: decimals as exact strings, days as ISO dates."""
    match value:
        case dict():
            return {key: plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case Decimal():
            return text(value)
        case date():
            return value.isoformat()
    return value


def rate_bill(account, bill, features, usage, prior, late_days=None):
    """Rate one account's bill: the core as one call.

    :param features: the Features to bill
    :param usage: {feature id: rows of (day, level, quantity, fresh)}, sorted
    :param prior: {feature id: {Key: (quantity, amount, cycle_end)}} of bills that are not void
    :param late_days: {feature id: days}, see FeatureBill
    :return: a list of Charges, by feature
    """
    charges = []
    for feature in features:
        part = FeatureBill(account, feature, bill, (late_days or {}).get(feature.id, ()))
        charges += part.charges(Usage(usage.get(feature.id, [])), prior.get(feature.id, {}))
    return charges
