"""Which rule prices which day, and on which days a client is enrolled (rating 1, 5, 21)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from .cycles import DAY, Interval
from .money import ONE, ZERO
from .rules import Enrolment, Membership, Rule


class Days(NamedTuple):
    """Days, first and last inclusive, with so many units."""

    first: date
    last: date
    units: Decimal


class Resolved(NamedTuple):
    """Days with one membership and one winning rule; None where nothing prices them."""

    first: date
    last: date
    rule: Rule | None
    base: tuple[date, Interval]


def without(ranges: Iterable[Days], first: date, last: date) -> tuple[Days, ...]:
    """Return ranges without the days from `first` to `last`."""
    found = []
    for days in ranges:
        begin, end, units = days
        if end < first or last < begin:
            found.append(days)
            continue
        if begin < first:
            found.append(Days(begin, first - DAY, units))
        if last < end:
            found.append(Days(last + DAY, end, units))
    return tuple(found)


def within(ranges: Iterable[Days], first: date, last: date) -> tuple[Days, ...]:
    """Return those parts of ranges that lie from `first` to `last`."""
    return tuple(
        Days(max(begin, first), min(end, last), units)
        for begin, end, units in ranges
        if begin <= last and first <= end
    )


class Resolution:
    """The rules and the enrolment of one feature for one client, day by day.

    :param memberships: in order of their days, without overlap
    :param rules: candidates of this feature, company and currency, of any scope
    :param enrolments: of this client and feature
    :param scopes: the client's scope id by rank, for ranks 1 (reseller) and 3 (client)
    :param horizon: the last day that is looked at; an open membership ends there
    :param billing_start: nothing before this day is rated; cycles count from activation still
    """

    def __init__(
        self,
        memberships: Sequence[Membership],
        rules: Sequence[Rule],
        enrolments: Sequence[Enrolment],
        scopes: Mapping[int, int],
        horizon: date,
        billing_start: date | None = None,
    ) -> None:
        self._memberships = memberships
        self._rules = rules
        self._enrolments = enrolments
        self._scopes = scopes
        self._horizon = horizon
        self._billing_start = billing_start
        self._pauses = [
            (row.date_from, row.date_to or horizon) for row in memberships if row.paused
        ]

    @property
    def first_day(self) -> date:
        """The first day that is rated."""
        first = self._memberships[0].date_from
        return max(first, self._billing_start or first)

    def _matches(self, rule: Rule, membership: Membership) -> bool:
        match rule.rank:
            case 0:
                return True
            case 2:
                return rule.scope == membership.group
        return rule.scope == self._scopes.get(rule.rank)

    def _resolve(self) -> Iterator[Resolved]:
        """Yield the days of service, each with the rule that wins.

        All of these days come before the billing start, or none.
        """
        start = self._billing_start
        for membership in self._memberships:
            first = membership.date_from
            end = min(membership.date_to or self._horizon, self._horizon)
            if first > end:
                continue
            rules = [rule for rule in self._rules if self._matches(rule, membership)]
            cuts = {first, end + DAY}
            if start and first < start <= end:
                cuts.add(start)
            for rule in rules:
                if rule.date_from and first < rule.date_from <= end:
                    cuts.add(rule.date_from)
                if rule.date_to and first <= rule.date_to < end:
                    cuts.add(rule.date_to + DAY)
            for begin, following in pairwise(sorted(cuts)):
                valid = [rule for rule in rules if rule.valid_on(begin)]
                winner = max(valid, key=lambda rule: rule.rank) if valid else None
                yield Resolved(begin, following - DAY, winner, membership.base)

    def winners(self) -> Iterator[tuple[date, date, Rule | None]]:
        """Yield (first, last, rule) for the days of service; None where nothing prices them."""
        for first, last, rule, _base in self._resolve():
            if first >= self.first_day:
                yield first, last, rule

    def is_served(self, day: date) -> bool:
        """Whether a day is one of service."""
        return self._membership_on(day) is not None

    def _membership_on(self, day: date) -> Membership | None:
        for row in self._memberships:
            if row.date_from <= day and (row.date_to is None or day <= row.date_to):
                return row
        return None

    def considered(self, day: date) -> list[Rule]:
        """Return the rules that are valid on a day of service, the winning one first."""
        row = self._membership_on(day)
        if row is None:
            return []
        valid = [rule for rule in self._rules if rule.valid_on(day) and self._matches(rule, row)]
        return sorted(valid, key=lambda rule: -rule.rank)

    def _enrolled(self, first: date, last: date, rule: Rule | None) -> tuple[Days, ...]:
        """Return the enrolled days from `first` to `last`, which a rule prices.

        With enrolment on use, these are enrolled in cycles with use.
        """
        if rule is None:
            return ()
        default = ZERO if rule.terms.enrolment == "opt_in" else ONE
        rows, day = [], first
        for row in self._enrolments:
            begin = max(row.date_from, day)
            end = min(row.date_to or last, last)
            if begin > end:
                continue
            if default and day < begin:
                rows.append(Days(day, begin - DAY, default))
            if row.quantity:
                rows.append(Days(begin, end, row.quantity))
            day = end + DAY
        if default and day <= last:
            rows.append(Days(day, last, default))
        found = tuple(rows)
        for begin, end in self._pauses:
            found = without(found, begin, end)
        return found
