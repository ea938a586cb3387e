"""Units that need not be paid with the bill, in the order in which they are drawn (rating 9 to 12)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple, Protocol

from .money import ZERO
from .prepaid import PrepaidUse
from .rules import Rule
from .timeline import FirstEnrolment

# What is used without being paid with the bill, as explanations name it.
FREE_KINDS = ("trial", "rolled_over", "included", "bonus", "prepaid")


@dataclass(frozen=True)
class CarriedOver:
    """Unused included units of an earlier cycle; they serve for `cycles` cycles more.

    `allowance` is the level that they were included for; None: those of all others together.
    """

    allowance: int | None
    left: Decimal
    cycles: int


@dataclass(frozen=True)
class CarryOver:
    """Free units that a cycle takes over from those before it (rating 10).

    `units`, oldest first, live on while the client stays enrolled; it is so up to `enrolled_until`.
    """

    bonus: Decimal = ZERO
    units: tuple[CarriedOver, ...] = ()
    enrolled_until: date | None = None


EMPTY = CarryOver()


class Place(NamedTuple):
    """How use of a level is counted and priced in a segment.

    `counted` is the level whose use is counted apart, `allowance` the one whose own included units serve;
    None: all others. `granted` are the units included by earlier segments, and by this one as if its rule held
    to the end of the cycle. `signed`: payable units may go below zero. `rule` and `priced` say at which price they are billed, `is_free` that they need none.
    """

    rule: Rule
    counted: int | None
    priced: int | None
    allowance: int | None
    granted: Decimal
    signed: bool
    is_free: bool


class Want(NamedTuple):
    """A row of use that draws units, or gives some back."""

    day: date
    level: int | None
    unbilled: bool
    enrolled: bool
    place: Place


class Holding:
    """What a cycle has left of units that came with earlier ones, and of the bonus."""

    def __init__(
        self, carry_over: CarryOver, until: date | None, first: FirstEnrolment | None, served: bool
    ) -> None:
        """Begin with all of it.

        :param carry_over: what earlier cycles left over
        :param until: the last day up to which units live on; None: they are lost
        :param first: the client's first enrolled day, where something is given once
        :param served: whether the bonus may be used on a day of the cycle
        """
        self.taken_over = carry_over.units
        self.carried = [units.left for units in carry_over.units]
        self.carried_until = until
        self.bonus = carry_over.bonus
        self._first = first
        self.has_bonus = bool(first and self.bonus and served)
        self.allowances = {units.allowance for units in carry_over.units if until}

    def gives_bonus_on(self, day: date) -> bool:
        """Whether use of a day may draw the bonus."""
        first = self._first
        if not self.has_bonus or not first or day < first.day:
            return False
        return first.bonus_end is None or day <= first.bonus_end

    def get_left(self, day: date) -> Decimal:
        """Return the units that are left on a day."""
        left = ZERO
        if self.carried_until and day <= self.carried_until:
            left += sum(self.carried, ZERO)
        if self.gives_bonus_on(day):
            left += self.bonus
        return left


class Source(Protocol):
    """One kind of free units, as use of a counter draws them."""

    def take(self, want: Want, units: Decimal) -> Decimal:
        """Draw up to so many units; return how many."""

    def give_back(self, want: Want, units: Decimal) -> Decimal:
        """Give back up to so many units of what was drawn for use that is counted alike; return how many."""


class CarriedUnits:
    """Included units of earlier cycles, oldest first."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._drawn: defaultdict[tuple[int | None, int], Decimal] = defaultdict(Decimal)

    def take(self, want: Want, units: Decimal) -> Decimal:
        """See Source."""
        holding = self._holding
        if not want.enrolled or not holding.carried_until or want.day > holding.carried_until:
            return ZERO
        total = ZERO
        for number, carried in enumerate(holding.taken_over):
            if carried.allowance == want.place.allowance:
                drawn = min(units - total, holding.carried[number])
                holding.carried[number] -= drawn
                self._drawn[want.place.counted, number] += drawn
                total += drawn
        return total

    def give_back(self, want: Want, units: Decimal) -> Decimal:
        """See Source."""
        total = ZERO
        for number in reversed(range(len(self._holding.carried))):
            back = min(units - total, self._drawn[want.place.counted, number])
            self._drawn[want.place.counted, number] -= back
            self._holding.carried[number] += back
            total += back
        return total

    def get_drawn(self, counted: int | None) -> Decimal:
        """Return what use that is counted together has drawn."""
        return sum((units for key, units in self._drawn.items() if key[0] == counted), ZERO)


class IncludedUnits:
    """The cycle's own included units."""

    def __init__(self) -> None:
        self.drawn: defaultdict[int | None, Decimal] = defaultdict(Decimal)  # by allowance
        self._drawn_by: defaultdict[tuple[int | None, int | None], Decimal] = defaultdict(Decimal)

    def take(self, want: Want, units: Decimal) -> Decimal:
        """See Source."""
        if not want.enrolled:
            return ZERO
        drawn = min(units, max(want.place.granted - self.drawn[want.place.allowance], ZERO))
        self.drawn[want.place.allowance] += drawn
        self._drawn_by[want.place.allowance, want.place.counted] += drawn
        return drawn

    def give_back(self, want: Want, units: Decimal) -> Decimal:
        """See Source."""
        back = min(units, self._drawn_by[want.place.allowance, want.place.counted])
        self.drawn[want.place.allowance] -= back
        self._drawn_by[want.place.allowance, want.place.counted] -= back
        return back

    def get_drawn(self, allowance: int | None, counted: int | None) -> Decimal:
        """Return what use that is counted together has drawn of an allowance."""
        return self._drawn_by[allowance, counted]


class BonusUnits:
    """Units given once ever."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self.drawn: defaultdict[int | None, Decimal] = defaultdict(Decimal)  # by what is counted

    def take(self, want: Want, units: Decimal) -> Decimal:
        """See Source."""
        if not want.enrolled or not self._holding.gives_bonus_on(want.day):
            return ZERO
        drawn = min(units, self._holding.bonus)
        self._holding.bonus -= drawn
        self.drawn[want.place.counted] += drawn
        return drawn

    def give_back(self, want: Want, units: Decimal) -> Decimal:
        """See Source."""
        back = min(units, self.drawn[want.place.counted])
        self.drawn[want.place.counted] -= back
        self._holding.bonus += back
        return back


class LotUnits:
    """Units bought ahead. What a correction takes back of them is payable instead: the correction then
    takes it off as payable: so it is, too, when a later bill finds that lots pay for less of that use.
    """

    def __init__(self, prepaid: PrepaidUse) -> None:
        self._prepaid = prepaid
        self._drawn_for: defaultdict[int | None, list[Want]] = defaultdict(list)

    def take(self, want: Want, units: Decimal) -> Decimal:
        """Draw up to so many units; return how many."""
        if not self._prepaid.lots:
            return ZERO
        drawn = self._prepaid.draw(want.day, want.level, units, want.unbilled)
        if drawn:
            self._drawn_for[want.place.counted].append(want)
        return drawn

    def give_back(self, want: Want, units: Decimal) -> Iterator[tuple[Want, Decimal]]:
        """Give back up to so many units of the latest use that is counted alike; yield that use and how
        many of its units.
        """
        for one in reversed(self._drawn_for[want.place.counted]):
            back = self._prepaid.give_back(one.day, one.level, units)
            if back:
                units -= back
                yield one, back

    def get_drawn(self, counted: int | None) -> Decimal:
        """Return what use that is counted together has drawn."""
        return sum(
            (
                sum(self._prepaid.draws[one.day, one.level].values(), ZERO)
                for one in self._drawn_for[counted]
            ),
            ZERO,
        )


class Allowance:
    """The free units of a counter: what is drawn first is given back last (rating 9)."""

    def __init__(self, holding: Holding, has_included: bool) -> None:
        """Begin with nothing drawn.

        :param has_included: whether a rule of the counter includes units
        """
        self.carried = CarriedUnits(holding)
        self.included = IncludedUnits()
        self.bonus = BonusUnits(holding)
        sources: list[tuple[Source, bool]] = [
            (self.carried, bool(holding.taken_over)),
            (self.included, has_included),
            (self.bonus, holding.has_bonus),
        ]
        # Those that have something to give.
        self._sources = [source for source, has_some in sources if has_some]
        # Corrections beyond zero, which further use makes up for.
        self.unmatched: dict[int | None, Decimal] = {}

    def take(self, want: Want, units: Decimal) -> Decimal:
        """Draw free units for use; return how many units are left to pay."""
        if self.unmatched:
            counted = want.place.counted
            settled = min(units, self.unmatched.get(counted, ZERO))
            self.unmatched[counted] = self.unmatched.get(counted, ZERO) - settled
            units -= settled
        for source in self._sources:
            units -= source.take(want, units)
        return units

    def give_back(self, want: Want, units: Decimal) -> None:
        """Give back what was drawn; what is beyond waits for use."""
        for source in reversed(self._sources):
            units -= source.give_back(want, units)
        counted = want.place.counted
        self.unmatched[counted] = self.unmatched.get(counted, ZERO) + units
