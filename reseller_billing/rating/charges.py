"""Lines of a bill: what is due now less what was billed, each with a trace that explains it (rating 4, 18)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

from .account import Bill
from .components import Billed, Key, Rated, Span
from .cycles import DAY, Cycle
from .money import ZERO, quotient
from .rules import Rule
from .timeline import RatedCycle, Timeline
from .trace import plain


@dataclass(frozen=True)
class Charge:
    """A line of a bill. `closed` is the last day of service of a cycle that an earlier bill closed.

    `spans` divide use in a cycle that a cut of the bill divides.
    """

    feature: int
    key: Key
    cycle_end: date
    first: date
    last: date
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    closed: date | None
    trace: dict[str, Any]
    spans: tuple[Span, ...] = ()


class Change(NamedTuple):
    """By how much a component's quantity and amount differ from what was billed, and that amount."""

    quantity: Decimal
    amount: Decimal
    billed: Decimal

    @classmethod
    def to(cls, component: Rated | None, before: Billed) -> "Change":
        """Return the change from what was billed to what is due; None: to nothing."""
        quantity, amount = (component.quantity, component.amount) if component else (ZERO, ZERO)
        return cls(quantity - before.quantity, amount - before.amount, before.amount)


class _Days(NamedTuple):
    """What a charge says of time: see Charge."""

    cycle_end: date
    first: date
    last: date
    closed: date | None


class ChargeMaker:
    """Makes the charges of one feature on one bill: of cycles, of billing periods, and of what was charged
    and is no more.
    """

    def __init__(self, feature: int, bill: Bill, timeline: Timeline) -> None:
        self._feature = feature
        self._bill = bill
        self._timeline = timeline

    def of_cycle(
        self, cycle: RatedCycle, key: Key, component: Rated | None, change: Change
    ) -> Charge:
        """Return the charge of a component of a cycle; None: it was billed and is not due any more."""
        days = self._get_cycle_days(cycle, key)
        if key.kind == "recurring" and component:
            parts = component.explanation["parts"]
            first, last = parts[0]["first"], parts[-1]["last"]
            if change.amount < 0:
                first, last = self._get_given_back(cycle, parts) or (first, last)
            elif change.billed:
                first = self._get_added(parts) or first
            days = days._replace(first=first, last=last)
        elif key.kind == "setup" and component:
            day = component.explanation["day"]
            days = days._replace(first=day, last=day)
        elif key.kind != "recurring" and not days.closed:
            first, last = (
                max(days.first, self._bill.period_start),
                min(days.last, self._bill.period_end),
            )
            days = days._replace(first=first, last=last)
        considered = []
        if component:
            rule = component.rule
            day = next((one.first for one in cycle.segments if one.rule is rule), days.first)
            considered = self._get_considered(rule, day)
        return self._make(key, component, change, days, considered)

    def of_period(self, period: Cycle, key: Key, component: Rated | None, change: Change) -> Charge:
        """Return the charge of a billing period's minimum; None: it was billed and is not due any more."""
        closed = period.last if period.last < self._bill.period_start else None
        first = max(period.start, self._timeline.first_day)
        considered = self._get_considered(component.rule, first) if component else []
        return self._make(
            key, component, change, _Days(period.last, first, period.last, closed), considered
        )

    def of_nothing(self, key: Key, billed: Billed) -> Charge:
        """Return the charge that gives a component back whose days are no days of service any more."""
        end = billed.cycle_end
        closed = end if end < self._bill.period_start else None
        days = _Days(end, key.cycle_start, end, closed)
        return self._make(key, None, Change.to(None, billed), days, [])

    def _get_cycle_days(self, cycle: RatedCycle, key: Key) -> _Days:
        bill = self._bill
        # Closing ends a cycle before its time, or interrupts it.
        served = cycle.served or cycle.segments
        begun = [one for one in served if one.first <= bill.period_end] or served
        first, last = cycle.first_served, min(begun[-1].last, cycle.cycle.last)
        # A cycle of forfeited days alone was not served: no bill closed it.
        closed = last if cycle.served and last < bill.period_start else None
        if not closed and key.kind != "recurring":
            open_days = (one.first for one in begun if one.last >= bill.period_start)
            first = next(open_days, first)
        # As long as a bill may look at the cycle again, be it for forfeited days.
        return _Days(cycle.last_fee_day, first, last, closed)

    def _make(
        self,
        key: Key,
        component: Rated | None,
        change: Change,
        days: _Days,
        considered: list[dict[str, Any]],
    ) -> Charge:
        trace: dict[str, Any] = {
            "rounding": self._bill.rounding,
            "billed_before": change.billed,
            "rated": None,
        }
        if component:
            trace["rated"] = {
                **component.explanation,
                "kind": key.kind,
                "quantity": component.quantity,
                "unit_price": component.unit_price,
            }
        trace = plain(trace)
        if component:
            trace["considered"] = considered
            price = component.unit_price
        else:
            # A whole charge is given back at the price that it was billed at.
            price = quotient(change.amount, change.quantity)
        return Charge(
            self._feature,
            key,
            days.cycle_end,
            days.first,
            max(days.first, days.last),
            change.quantity,
            price,
            change.amount,
            days.closed,
            trace,
        )

    @staticmethod
    def _get_added(parts: Sequence[dict[str, Any]]) -> date | None:
        """Return the day from which parts of a fee have more units than before, or None; the last one,
        since earlier bills have charged earlier ones.
        """
        for one, following in reversed(list(pairwise(parts))):
            if following["units"] > one["units"]:
                first: date = following["first"]
                return first
        return None

    @staticmethod
    def _get_given_back(
        cycle: RatedCycle, parts: Sequence[dict[str, Any]]
    ) -> tuple[date, date] | None:
        """Return the first and last day of a cycle that parts of its fee leave out, or None.

        The last ones, since earlier bills may have given earlier ones back; or those with fewer units.
        """
        last: date = parts[-1]["last"]
        if last < cycle.cycle.end:
            return last + DAY, cycle.cycle.end
        for one, following in reversed(list(pairwise(parts))):
            if one["last"] + DAY < following["first"]:
                return one["last"] + DAY, following["first"] - DAY
            if following["units"] < one["units"]:
                return following["first"], last
        return None

    def _get_considered(self, rule: Rule, day: date) -> list[dict[str, Any]]:
        """Return the rules considered on the first day of a rule as they are, the winner first."""
        # A rule that waits for the next cycle has not won yet (rating 17).
        others = [one for one in self._timeline.considered(day) if one is not rule]
        return [one.frozen for one in (rule, *others)]
