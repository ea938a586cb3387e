"""Lots of units that are bought ahead, and what use draws of them (rating 9, 12)."""

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

    def serves(self, day):
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
    bill moves them to other use, but what a correction takes back returns to its lots.
    """

    lots: tuple[UnitLot, ...] = ()
    recorded: dict = field(default_factory=dict)


NOTHING = Prepaid()


class PrepaidUse:
    """Draws from lots as use is walked through, day by day.

    :param Prepaid prepaid: the lots
    :param before: the PrepaidUse of what was walked through before
    """

    def __init__(self, prepaid, before=None):
        self.lots = prepaid.lots
        self.left = dict(before.left) if before else {lot.id: lot.left for lot in prepaid.lots}
        self.draws = {}
        self._prepaid = prepaid

    def after(self):
        """Return the PrepaidUse of what is walked through next."""
        return PrepaidUse(self._prepaid, self)

    def get_left(self, day):
        """Return the units that may be drawn for use of a day."""
        return sum((self.left[lot.id] for lot in self.lots if lot.serves(day)), ZERO)

    def draw(self, day, level, wanted, fresh, tally):
        """Return how many of `wanted` units lots pay.

        :param bool fresh: whether the use is new to bills: if not, what was drawn stands, but for
            what corrections of other use take back
        :param tally: {lot id: units} of the lane, which is kept up
        """
        if not self.lots:
            return ZERO
        drawn = self._get_recorded(day, level)
        if fresh:
            self._redraw(drawn, sum(-units for units in drawn.values() if units < 0))
        self._release(drawn, sum(drawn.values()) - wanted)
        if fresh:
            for lot in self.lots:
                missing = wanted - sum(drawn.values())
                if missing > 0 and lot.serves(day):
                    self._move(drawn, lot.id, min(missing, self.left[lot.id]))
        return self._keep(day, level, drawn, tally)

    def give_back(self, day, level, units, fresh, tally):
        """Return how many of the `units` of a correction had gone back to lots by earlier bills."""
        if not self.lots:
            return ZERO
        drawn = self._get_recorded(day, level)
        self._release(drawn, sum(units for units in drawn.values() if units > 0))
        for lot, back in list(drawn.items()):
            # The use may be gone for which they were drawn.
            self._redraw(drawn, -back - max(tally[lot], ZERO), lot)
        if fresh:
            self._redraw(drawn, -sum(drawn.values()) - units)
        return -self._keep(day, level, drawn, tally)

    def give_back_more(self, day, level, units, tally):
        """Return how many of `units` more, of a correction that is new, go back: newest first."""
        total = ZERO
        for lot in reversed(self.lots):
            back = min(units - total, max(tally[lot.id], ZERO))
            if back > 0:
                drawn = self.draws[day, level]
                self._move(drawn, lot.id, -back)
                tally[lot.id] -= back
                total += back
        return total

    def get_missing(self, first, last, rows, is_fresh):
        """Return rows without a quantity for use from `first` to `last` that is not there any more.

        What lots paid for it returns.

        :param is_fresh: tells of a day whether some of its use is new to bills
        """
        there = {row[:2] for row in rows}
        return [
            (*key, ZERO, is_fresh(key[0]))
            for key in self._prepaid.recorded
            if first <= key[0] <= last and key not in there
        ]

    def get_changes(self):
        """Return the Draws by which what is drawn now differs from what was recorded."""
        found = []
        for (day, level), drawn in self.draws.items():
            recorded = self._prepaid.recorded.get((day, level), {})
            for lot in self.lots:
                change = drawn.get(lot.id, ZERO) - recorded.get(lot.id, ZERO)
                if change:
                    found.append(Draw(lot.id, day, level, change))
        return found

    def _get_recorded(self, day, level):
        return dict(self._prepaid.recorded.get((day, level), {}))

    def _keep(self, day, level, drawn, tally):
        self.draws[day, level] = drawn
        for lot, units in drawn.items():
            tally[lot] += units
        return sum(drawn.values(), ZERO)

    def _move(self, drawn, lot, units):
        drawn[lot] = drawn.get(lot, ZERO) + units
        self.left[lot] -= units

    def _release(self, drawn, units):
        """Give back so many units of what was drawn, newest first."""
        for lot in reversed(self.lots):
            back = min(units, drawn.get(lot.id, ZERO))
            if back > 0:
                self._move(drawn, lot.id, -back)
                units -= back

    def _redraw(self, drawn, units, only=None):
        """Draw so many units again of what was given back, as far as they are there.

        :param only: the id of the lot to keep to
        """
        for lot in self.lots:
            again = min(units, -drawn.get(lot.id, ZERO), self.left[lot.id])
            if again > 0 and only in (None, lot.id):
                self._move(drawn, lot.id, again)
                units -= again
