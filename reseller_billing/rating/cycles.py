"""Cycles: days, weeks, months and years counted from an anchor (rating 2). Days are inclusive."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Interval:
    """A number of days, weeks, months or years; equal lengths compare equal (1 year = 12 months)."""

    months: int
    days: int

    @classmethod
    def of(cls, count: int, unit: str) -> "Interval":
        """Return the interval of `count` (above zero) times `unit` (day, week, month, year)."""
        if count <= 0:
            raise ValueError("an interval has at least one unit")
        match unit:
            case "day":
                return cls(0, count)
            case "week":
                return cls(0, 7 * count)
            case "month":
                return cls(count, 0)
            case "year":
                return cls(12 * count, 0)
        raise ValueError(f"unknown unit of an interval: {unit}")

    def after(self, anchor: date, number: int) -> date:
        """Return the first day of cycle `number`, counted from the anchor each time.

        31 January plus one month is 28 February, plus two months 31 March.
        """
        if not self.months:
            return anchor + timedelta(days=self.days * number)
        month = anchor.year * 12 + anchor.month - 1 + self.months * number
        year, month = month // 12, month % 12 + 1
        return date(year, month, min(anchor.day, monthrange(year, month)[1]))

    def number(self, anchor: date, day: date) -> int:
        """Return the number of the cycle that `day` falls in; negative before the anchor."""
        if not self.months:
            return (day - anchor).days // self.days
        number = ((day.year - anchor.year) * 12 + day.month - anchor.month) // self.months
        return number if self.after(anchor, number) <= day else number - 1


@dataclass(frozen=True)
class Cycle:
    """One cycle: its nominal bounds, and `last`, where other cycles begin before it ends.

    It is cycle `number` of `interval`, counted from `anchor`.
    """

    start: date
    end: date
    last: date
    anchor: date
    number: int
    interval: Interval

    @property
    def base(self) -> tuple[date, Interval]:
        """What it is counted by."""
        return self.anchor, self.interval

    @property
    def days(self) -> int:
        """The number of days of the whole cycle, the denominator of every share."""
        return (self.end - self.start).days + 1


def cycle_of(anchor: date, interval: Interval, day: date) -> Cycle:
    """Return the cycle of `interval` counted from `anchor` that holds `day`."""
    number = interval.number(anchor, day)
    end = interval.after(anchor, number + 1) - DAY
    return Cycle(interval.after(anchor, number), end, end, anchor, number, interval)


def bill_dates_after(anchor: date, interval: Interval, day: date) -> Iterator[date]:
    """Yield the first days of the cycles that begin after `day`."""
    number = interval.number(anchor, day)
    while True:
        number += 1
        yield interval.after(anchor, number)
