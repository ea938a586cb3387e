"""Which rule prices which day, and which cycle that day belongs to (rating 1 to 3, 17)."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

from .cycles import DAY, Cycle, cycle_of
from .money import ZERO
from .rules import Rule

ONE = Decimal(1)


@dataclass(frozen=True)
class Segment:
    """Consecutive days of one cycle with one rule; None where nothing prices them."""

    first: date
    last: date
    rule: Rule | None
    enrolled: tuple[tuple[date, date, Decimal], ...]


@dataclass(frozen=True)
class RatedCycle:
    """A cycle with its segments, in order."""

    cycle: Cycle
    segments: tuple[Segment, ...]

    @property
    def last_served(self):
        return self.segments[-1].last

    @property
    def first_served(self):
        return self.segments[0].first


class Timeline:
    """The rules, cycles and enrolment of one feature for one client, day by day.

    :param Interval interval: the client's billing cycle
    :param memberships: in order of their days, without overlap
    :param rules: candidates of this feature, company and currency, of any scope
    :param enrolments: of this client and feature
    :param scopes: the client's scope id by rank, for ranks 1 (reseller) and 3 (client)
    :param date horizon: the last day that is looked at; an open membership ends there
    """

    def __init__(self, interval, memberships, rules, enrolments, scopes, horizon):
        self._interval = interval
        self._memberships = memberships
        self._rules = rules
        self._enrolments = enrolments
        self._scopes = scopes
        self._horizon = horizon

    # Resolution

    def _matching(self, rule, membership):
        match rule.rank:
            case 0:
                return True
            case 2:
                return rule.scope == membership.group
        return rule.scope == self._scopes.get(rule.rank)

    def _days(self):
        """Yield (first, last, rule, anchor) for days with one membership and one winning rule."""
        for membership in self._memberships:
            first = membership.date_from
            end = min(membership.date_to or self._horizon, self._horizon)
            if first > end:
                continue
            rules = [rule for rule in self._rules if self._matching(rule, membership)]
            cuts = {first, end + DAY}
            for rule in rules:
                if rule.date_from and first < rule.date_from <= end:
                    cuts.add(rule.date_from)
                if rule.date_to and first <= rule.date_to < end:
                    cuts.add(rule.date_to + DAY)
            cuts = sorted(cuts)
            for begin, following in pairwise(cuts):
                valid = [rule for rule in rules if rule.valid_on(begin)]
                winner = max(valid, key=lambda rule: rule.rank) if valid else None
                yield begin, following - DAY, winner, membership.anchor

    def winners(self):
        """Yield (first, last, rule) for the days of service; None where nothing prices them."""
        for first, last, rule, _anchor in self._days():
            yield first, last, rule

    def _enrolled(self, first, last, rule):
        """Return the enrolled days of a segment as (first, last, quantity)."""
        if rule is None:
            return ()
        default = ONE if rule.terms.automatic else ZERO
        if not self._enrolments:
            return ((first, last, default),) if default else ()
        found, day = [], first
        for row in self._enrolments:
            begin = max(row.date_from, day)
            end = min(row.date_to or last, last)
            if begin > end:
                continue
            if default and day < begin:
                found.append((day, begin - DAY, default))
            if row.quantity:
                found.append((begin, end, row.quantity))
            day = end + DAY
        if default and day <= last:
            found.append((day, last, default))
        return tuple(found)

    # Cycles

    def cycles(self, since, until, days=()):
        """Return the cycles that touch [since, until] or hold one of `days`, in order.

        Each comes with all its segments. Cycles in between are walked over, not returned.
        """
        days = sorted(days)
        wanted = []
        for cycle, segments in self._walk(min(days[0], since) if days else since):
            first, last = segments[0][0], segments[-1][1]
            if first > until and not days:
                break
            while days and days[0] < first:
                days.pop(0)
            if (first <= until and last >= since) or (days and days[0] <= last):
                wanted.append(
                    RatedCycle(
                        cycle,
                        tuple(Segment(*segment, self._enrolled(*segment)) for segment in segments),
                    )
                )
        return wanted

    def _walk(self, since):
        """Yield (cycle, [(first, last, rule)]); whole cycles before `since` may be left out."""
        anchor = interval = cycle = current = None
        base = None
        segments = []
        spans = list(self._days())
        for first, last, rule, membership_anchor in spans:
            if membership_anchor != base:
                # The account begins or reopens: cycles are counted from here.
                if segments:
                    yield self._cut(cycle, segments)
                    segments, cycle, current = [], None, None
                base = anchor = membership_anchor
                leading = next((span[2] for span in spans if span[0] >= first and span[2]), None)
                interval = self._interval_of(leading)
            day = first
            while day <= last:
                if cycle is None or day > cycle.end:
                    if segments:
                        yield cycle, segments
                        segments = []
                    current = rule
                    if rule and self._interval_of(rule) != interval:
                        anchor, interval = day, self._interval_of(rule)
                    cycle = cycle_of(anchor, interval, day)
                elif rule is not current and not self._waits(current, rule):
                    if rule and self._interval_of(rule) != interval:
                        yield self._cut(cycle, segments)
                        segments = []
                        anchor, interval = day, self._interval_of(rule)
                        cycle = cycle_of(anchor, interval, day)
                    current = rule
                end = min(last, cycle.end)
                if segments and segments[-1][2] is current and segments[-1][1] == day - DAY:
                    segments[-1] = (segments[-1][0], end, current)
                else:
                    segments.append((day, end, current))
                day = end + DAY
                if current is rule and day <= last and day < since:
                    # Nothing changes in these days: go on at the cycle that holds `since`.
                    target = cycle_of(anchor, interval, min(last, since)).start
                    if target > day:
                        yield cycle, segments
                        segments, cycle, day = [], None, target
        if segments:
            yield cycle, segments

    @staticmethod
    def _cut(cycle, segments):
        return replace(cycle, last=min(cycle.end, segments[-1][1])), segments

    @staticmethod
    def _waits(current, rule):
        """Whether a change between two rules waits for the next cycle (rating 17)."""
        if current is None:
            return False
        return not current.terms.prorated or bool(rule and not rule.terms.prorated)

    def _interval_of(self, rule):
        return rule.terms.interval if rule and rule.terms.interval else self._interval
