"""Days of use that are walked through as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from .cycles import DAY
from .money import ZERO
from .resolution import Days
from .timeline import Priced
from .usage import UsageRow

if TYPE_CHECKING:
    from .cycle_use import CycleUse


def join_days(use: CycleUse, segments: Sequence[Priced]) -> list[UsageRow]:
    """Return the use of a cycle to walk through, days that follow one another as one where that comes to
    the same.

    That is so where nothing rests on the day: no trial, no lots, nothing of earlier cycles and no bonus,
    enrolled all the time. What is drawn for one day and then for the next is what is drawn for both.

    :param segments: of one counter
    """
    holding = use.holding
    if (
        use.aggregation in ("max", "last")
        or use.prepaid.lots
        or holding.taken_over
        or holding.has_bonus
        or any(
            segment.trial or not _holds_all(segment.enrolled, segment.first, segment.last)
            for segment in segments
        )
    ):
        return use.rows
    found: list[UsageRow] = []
    number, before = 0, None
    # What is joined so far; the days of all others come as they are.
    total, unbilled = ZERO, False
    last = segments[0].last
    for row in use.rows:
        day, level, quantity, is_new = row
        while day > last and number + 1 < len(segments):
            number += 1
            last = segments[number].last
        # Neighbours alone: what is drawn for another level in between comes in between. Nor what is given back:
        # that rests on what was drawn before it.
        is_counted = segments[number].first <= day <= last
        kind = (number, level) if is_counted and quantity > 0 else None
        if kind and kind == before:
            total += quantity
            unbilled = unbilled or is_new
            continue
        if before:
            found[-1] = found[-1]._replace(quantity=total, unbilled=unbilled)
        found.append(row)
        before, total, unbilled = kind, quantity, is_new
    if before:
        found[-1] = found[-1]._replace(quantity=total, unbilled=unbilled)
    return found


def _holds_all(ranges: Iterable[Days], first: date, last: date) -> bool:
    """Whether ranges in order, one after the other, hold all days from one to another."""
    for days in ranges:
        if days.first <= first <= days.last:
            first = days.last + DAY
    return first > last
