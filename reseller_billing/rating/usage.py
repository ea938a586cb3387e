"""The use of one feature, day by day, and what of it makes out a cycle's use (rating 5, 8)."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from .money import ZERO, exact


class UsageRow(NamedTuple):
    """A day's use of a level, as its feature counts it; `unbilled` where no bill has covered it."""

    day: date
    level: int | None
    quantity: Decimal
    unbilled: bool


class Usage:
    """The use of one feature, sorted by day, then level."""

    def __init__(self, rows: Sequence[UsageRow]) -> None:
        self.rows = rows
        self._days = [row.day for row in rows]

    def between(self, first: date, last: date) -> Sequence[UsageRow]:
        """Return the rows of the days from `first` to `last`."""
        return self.rows[bisect_left(self._days, first) : bisect_right(self._days, last)]


def expect(
    rows: Sequence[UsageRow], first: date, today: date, last: date, digits: int
) -> list[UsageRow]:
    """Return the use of the days after `today` up to `last`, were it as on those since `first`.

    By level, dated `today`, down to the feature's decimal places: a forecast, which no bill is made of.
    """
    elapsed, left = (today - first).days + 1, (last - today).days
    sums: dict[int | None, Decimal] = {}
    with exact():
        for row in rows:
            sums[row.level] = sums.get(row.level, ZERO) + row.quantity
    unit = Decimal(1).scaleb(-digits)
    with exact():
        return [
            UsageRow(today, level, used * left // (elapsed * unit) * unit, True)
            for level, used in sums.items()
            if used > 0 and left > 0
        ]


def aggregate(rows: list[UsageRow], aggregation: str) -> list[UsageRow]:
    """Return the rows that make out a cycle's use: for *last*, each level's final value."""
    if aggregation != "last":
        return rows
    unbilled = {row.level for row in rows if row.unbilled}
    final = {row.level: row for row in rows}
    return [
        row._replace(unbilled=row.level in unbilled)
        for row in sorted(final.values(), key=lambda row: row.day)
    ]


def net_use(rows: Sequence[UsageRow], aggregation: str) -> Decimal:
    """Return a cycle's net use of all levels (rating 5)."""
    if aggregation == "max":
        return max((row.quantity for row in rows), default=ZERO)
    return sum((row.quantity for row in aggregate(list(rows), aggregation)), ZERO)
