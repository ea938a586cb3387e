"""Lots of units that are bought ahead, and what use draws of them (rating 9, 12)."""

from collections.abc import Set
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from .money import ZERO


@dataclass(frozen=True)
class UnitLot:
    """Units that pay for use from `first` to `last`, inclusive; None: they do not expire.

    `left` is what recorded draws have left of it.
    """

    id: int
    left: Decimal
    first: date
    last: date | None = None

    def serves(self, day: date) -> bool:
        """Whether this may pay for use of a day."""
        return self.first <= day and (self.last is None or day <= self.last)


class Draw(NamedTuple):
    """Units that a bill draws from a lot for the use of a day and level; below zero: gives back."""

    lot: int
    day: date
    level: int | None
    quantity: Decimal


@dataclass(frozen=True)
class Prepaid:
    """The lots of one client and feature, in the order of drawing, and the draws of earlier bills.

    `recorded` is {(day, level): {lot id: units}}, net of what was given back. These are facts: no
    bill moves them to other use, nor adds to them for use that it has rated before; what a
    correction takes back returns to its lots.
    """

    lots: tuple[UnitLot, ...] = ()
    recorded: dict[tuple[date, int | None], dict[int, Decimal]] = field(default_factory=dict)


NOTHING = Prepaid()


class PrepaidUse:
    """Draws from lots as use is walked through, day by day.

    :param prepaid: the lots
    :param before: of what was walked through before
    """

    def __init__(self, prepaid: Prepaid, before: "PrepaidUse | None" = None) -> None:
        self.lots = prepaid.lots
        left = before.left if before else {lot.id: lot.left for lot in prepaid.lots}
        self.left: dict[int, Decimal] = dict(left)
        self.draws: dict[tuple[date, int | None], dict[int, Decimal]] = {}
        self._prepaid = prepaid

    def after(self) -> "PrepaidUse":
        """Return the PrepaidUse of what is walked through next."""
        return PrepaidUse(self._prepaid, self)

    def get_left(self, day: date) -> Decimal:
        """Return the units that may be drawn for use of a day."""
        return sum((self.left[lot.id] for lot in self.lots if lot.serves(day)), ZERO)

    def draw(self, day: date, level: int | None, wanted: Decimal, unbilled: bool) -> Decimal:
        """Return how many of `wanted` units lots pay.

        :param unbilled: whether the use is new to bills: if not, what was drawn stands, but for
            what is not wanted any more
        """
        if not self.lots:
            return ZERO
        drawn = self.draws[day, level] = dict(self._prepaid.recorded.get((day, level), {}))
        self._release(drawn, sum(drawn.values(), ZERO) - wanted)
        if unbilled:
            for lot in self.lots:
                units = min(wanted - sum(drawn.values(), ZERO), self.left[lot.id])
                if units > 0 and lot.serves(day):
                    drawn[lot.id] = drawn.get(lot.id, ZERO) + units
                    self.left[lot.id] -= units
        return sum(drawn.values(), ZERO)

    def give_back(self, day: date, level: int | None, units: Decimal) -> Decimal:
        """Give back up to `units` of what was drawn for a day and level; return how many."""
        drawn = self.draws.get((day, level), {})
        before = sum(drawn.values(), ZERO)
        self._release(drawn, units)
        return before - sum(drawn.values(), ZERO)

    def get_missing(
        self, first: date, last: date, there: Set[tuple[date, int | None]]
    ) -> list[tuple[date, int | None]]:
        """Return (day, level) of use from `first` to `last` that is not there any more.

        What lots paid for it returns.
        """
        return [
            key for key in self._prepaid.recorded if first <= key[0] <= last and key not in there
        ]

    def get_changes(self) -> list[Draw]:
        """Return the Draws by which what is drawn now differs from what was recorded."""
        found = []
        for (day, level), drawn in self.draws.items():
            recorded = self._prepaid.recorded.get((day, level), {})
            for lot in self.lots:
                change = drawn.get(lot.id, ZERO) - recorded.get(lot.id, ZERO)
                if change:
                    found.append(Draw(lot.id, day, level, change))
        return found

    def _release(self, drawn: dict[int, Decimal], units: Decimal) -> None:
        """Give back so many units of what was drawn, newest lots first."""
        for lot in reversed(self.lots):
            back = min(units, drawn.get(lot.id, ZERO))
            if back > 0:
                drawn[lot.id] -= back
                self.left[lot.id] += back
                units -= back
