"""What falls on some days of a cycle (rating 17, 19)."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from .cycles import Cycle
from .money import ZERO, round_to


class Part(NamedTuple):
    """Days of a cycle: how many of it come before them, and up to their end, and for how many units."""

    before: int
    until: int
    units: Decimal | str


def share(value: Decimal, first: date, last: date, cycle: Cycle, unit: Decimal) -> Decimal:
    """Return what of `value` falls on the days [first, last] of a cycle (rating 17).

    The difference of two rounded running totals, so that shares always add up to the whole.
    """
    before = (first - cycle.start).days
    until = (last - cycle.start).days + 1
    if before <= 0 and until >= cycle.days:
        return round_to(value, unit)
    return round_to(Fraction(value) * until / cycle.days, unit) - round_to(
        Fraction(value) * before / cycle.days, unit
    )


def prorate(value: Decimal, parts: Iterable[Part], days: int, unit: Decimal) -> Decimal:
    """Return what of a value for each unit and cycle falls on parts of a cycle (rating 17, 19), rounded.

    Parts without days between them are rounded together, as the difference of two running totals, so
    that the shares of several components always add up to the whole.

    :param value: for one unit on all days of the cycle
    :param parts: in order
    :param days: the days of the cycle
    :param unit: the currency's rounding
    """
    total, reached = ZERO, None
    before = upto = Fraction(0)
    for part in parts:
        rate = Fraction(value) * Fraction(part.units) / days
        if part.before != reached:
            total += round_to(upto, unit) - round_to(before, unit)
            before = upto = rate * part.before
        upto += rate * (part.until - part.before)
        reached = part.until
    return total + round_to(upto, unit) - round_to(before, unit)
