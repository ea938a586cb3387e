"""From the use of one cycle to payable units, and from those to components (rating 8 to 17)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

from .account import Feature
from .allowance import EMPTY, Allowance, CarriedOver, CarryOver, Holding, LotUnits, Place, Want
from .components import Key, Rated, find_canonical
from .cycles import DAY
from .joined import join_days
from .models import MODELS, PricingModel, Quantities
from .money import ONE, ZERO, digits_unit, round_to
from .prepaid import NOTHING, PrepaidUse
from .proration import share
from .resolution import Days
from .rules import Rule
from .timeline import FirstEnrolment, Priced, RatedCycle
from .usage import UsageRow, aggregate


class Shortfall(NamedTuple):
    """Units up to a minimum, payable as further use of a day (rating 16)."""

    day: date
    units: Decimal


class CycleUse:
    """The use of one cycle of one feature up to a day, and what it comes to, without fees.

    :param rated_cycle: the cycle with its segments, enrolment on use and trial settled
    :param usage: in order of day, then level; what comes later is ignored
    :param until: the last day that counts
    :param rounding: of the currency
    :param first: the client's first enrolled day, where something is given once
    :param carry_over: what earlier cycles left over
    :param prepaid: the lots of units bought ahead, as earlier cycles have drawn on them
    """

    def __init__(
        self,
        rated_cycle: RatedCycle,
        usage: Iterable[UsageRow],
        until: date,
        rounding: Decimal,
        feature: Feature,
        first: FirstEnrolment | None = None,
        carry_over: CarryOver = EMPTY,
        prepaid: PrepaidUse | None = None,
        shortfall: Shortfall | None = None,
    ) -> None:
        self.rated_cycle = rated_cycle
        self.until = until
        self.first = first
        self.carry_over = carry_over
        self.prepaid_before = prepaid or PrepaidUse(NOTHING)
        self.prepaid = self.prepaid_before.after()
        self.aggregation = feature.aggregation
        self.unit = digits_unit(feature.quantity_digits)
        self.rows = aggregate([row for row in usage if row.day <= until], feature.aggregation)
        self.rows += [
            UsageRow(day, level, ZERO, False)
            for day, level in self.prepaid.get_missing(
                rated_cycle.first_served,
                min(rated_cycle.last_served, until),
                {(row.day, row.level) for row in self.rows},
            )
        ]
        self.rows.sort(key=lambda row: row.day)
        self.components: dict[Key, Rated] = {}
        self.holding = Holding(
            carry_over,
            self._get_run_end() if carry_over.units else None,
            first,
            self._reaches_bonus(first),
        )
        segments, canonical = find_canonical(rated_cycle.served)
        self.spans: list[_CounterSpan] = []
        # pylint: disable-next=bad-builtin-groupby  # neighbours only, and no Odoo here
        for _counter, group in groupby(segments, key=lambda one: one.rule.terms.counter):
            found = list(group)
            if found[0].first <= until:
                later = [segment for segment in segments if segment.first > found[-1].last]
                span = _CounterSpan(self, found, later, canonical)
                span.rate(shortfall)
                span.add_components(rounding)
                self.spans.append(span)

    @property
    def amount(self) -> Decimal:
        """What the use comes to, each component rounded."""
        return sum((component.amount for component in self.components.values()), ZERO)

    @property
    def payable(self) -> Decimal:
        """The units that are to be paid."""
        return sum((sum(span.payable.values(), ZERO) for span in self.spans), ZERO)

    @property
    def paid_by_lots(self) -> Decimal:
        """The units that lots pay."""
        return sum((sum(drawn.values(), ZERO) for drawn in self.prepaid.draws.values()), ZERO)

    @property
    def used(self) -> Decimal:
        """The units that were used."""
        return sum((sum(span.used.values(), ZERO) for span in self.spans), ZERO)

    def get_left(self, day: date) -> Decimal:
        """Return the free units of all kinds that are left on a day, for all levels together."""
        left = self.spans[-1].get_left(day) if self.spans else ZERO
        return left + self.holding.get_left(day)

    def _reaches_bonus(self, first: FirstEnrolment | None) -> bool:
        """Whether a bonus may be used on a day of this cycle."""
        return (
            first is not None
            and first.day <= self.rated_cycle.last_served
            and self.rated_cycle.first_served <= (first.bonus_end or date.max)
        )

    def _get_enrolled(self) -> list[tuple[date, date]]:
        """Return the enrolled days, trial included, as joined (first, last) runs."""
        runs: list[tuple[date, date]] = []
        for first, last, _units in sorted(
            days
            for segment in self.rated_cycle.served
            for days in (*segment.enrolled, *segment.trial)
        ):
            if runs and runs[-1][1] + DAY == first:
                runs[-1] = runs[-1][0], last
            else:
                runs.append((first, last))
        return runs

    def _get_run_end(self) -> date | None:
        """Return the last day up to which units taken over live on, or None."""
        first = self.rated_cycle.first_served
        runs = self._get_enrolled()
        if self.carry_over.enrolled_until != first - DAY or not runs or runs[0][0] != first:
            return None
        return runs[0][1]

    def get_carry_over(self) -> CarryOver:
        """Return what the next cycle takes over, once this one has ended."""
        last = self.rated_cycle.cycle.last
        runs = self._get_enrolled()
        if not runs or runs[-1][1] != last:
            return CarryOver(self.holding.bonus)
        units = []
        if self.holding.carried_until == last:
            units = [
                replace(carried, left=left, cycles=carried.cycles - 1)
                for carried, left in zip(self.carry_over.units, self.holding.carried, strict=True)
                if left and carried.cycles > 1
            ]
        units += [carried for span in self.spans for carried in span.get_leftovers()]
        return CarryOver(self.holding.bonus, tuple(units), last)


class _CounterSpan:
    """Segments of a cycle through which its counts run on: the same model and package size.

    Units are counted by level where a level has a price or included units of its own, or the model
    counts levels; None counts all others.
    """

    def __init__(
        self,
        use: CycleUse,
        segments: list[Priced],
        later: list[Priced],
        canonical: dict[Rule, Rule],
    ) -> None:
        self.use = use
        self.cycle = use.rated_cycle.cycle
        self.segments = segments
        self.later = later
        self.canonical = canonical
        self.used: defaultdict[int | None, Decimal] = defaultdict(Decimal)
        self.trial: defaultdict[int | None, Decimal] = defaultdict(Decimal)
        self.payable: defaultdict[int | None, Decimal] = defaultdict(Decimal)
        # Payable units that no correction has taken off.
        self.correctable: defaultdict[int | None, Decimal] = defaultdict(Decimal)
        self.quantities: Quantities = defaultdict(Decimal)
        self.model: PricingModel = MODELS[segments[0].rule.terms.model](self.quantities)
        self.allowance = Allowance(
            use.holding, any(segment.rule.terms.has_allotment for segment in segments)
        )
        self.lots = LotUnits(use.prepaid)
        # The highest values so far, by level, in and after the trial.
        self.peaks: dict[tuple[int | None, bool], Decimal] = {}
        # What has use that no bill has covered.
        self.unbilled: set[tuple[Rule, int | None]] = set()

    # Included units (rating 10 and 11)

    @staticmethod
    def _get_included(rule: Rule, allowance: int | None) -> Decimal:
        if allowance is None:
            return rule.terms.included
        terms = rule.terms.level(allowance)
        return (terms.included if terms else None) or ZERO

    def _share(self, segment: Priced, allowance: int | None, enrolled: Sequence[Days]) -> Decimal:
        """Return what a segment's rule includes for some enrolled days."""
        rule = segment.rule
        value = self._get_included(rule, allowance)
        if not value or not enrolled:
            return ZERO
        if not rule.terms.prorated:
            return value
        return sum(
            (share(value, days.first, days.last, self.cycle, self.use.unit) for days in enrolled),
            ZERO,
        )

    def _get_granted(self, index: int, allowance: int | None) -> Decimal:
        """Return the units included up to a segment, as if its rule held to the end of the cycle."""
        segment = self.segments[index]
        if not segment.rule.terms.prorated:
            # It applies once, also where the account was closed in between.
            enrolled = any(one.enrolled for one in self.segments + self.later)
            return self._get_included(segment.rule, allowance) if enrolled else ZERO
        past = sum(
            (self._share(one, allowance, one.enrolled) for one in self.segments[:index]), ZERO
        )
        to_come = [days for one in self.segments[index:] + self.later for days in one.enrolled]
        return past + self._share(segment, allowance, to_come)

    @staticmethod
    def _get_allowances(rule: Rule) -> list[int | None]:
        return [None, *(terms.level for terms in rule.terms.levels if terms.included)]

    def get_left(self, day: date) -> Decimal:
        """Return the included units of all allowances that are left on a day."""
        index = max(i for i, segment in enumerate(self.segments) if segment.first <= day)
        drawn = self.allowance.included.drawn
        return sum(
            (
                max(self._get_granted(index, allowance) - drawn[allowance], ZERO)
                for allowance in self._get_allowances(self.segments[index].rule)
            ),
            ZERO,
        )

    def get_leftovers(self) -> list[CarriedOver]:
        """Return the included units that carry on, by the granting rules' terms."""
        found = []
        drawn = dict(self.allowance.included.drawn)
        whole = set()
        for segment in self.segments:
            rule = segment.rule
            for allowance in self._get_allowances(rule):
                given = self._share(segment, allowance, segment.enrolled)
                if given and not rule.terms.prorated:
                    given = ZERO if (rule, allowance) in whole else given
                    whole.add((rule, allowance))
                taken = min(given, drawn.get(allowance, ZERO))
                drawn[allowance] = drawn.get(allowance, ZERO) - taken
                if given > taken and rule.terms.rollover_cycles:
                    found.append(CarriedOver(allowance, given - taken, rule.terms.rollover_cycles))
        return found

    # The walk: trial, then what need not be paid, then the price (rating 9)

    def rate(self, shortfall: Shortfall | None = None) -> None:
        """Walk through the use, and what is missing to a minimum."""
        places: dict[tuple[int, int | None], Place] = {}
        segments, index = self.segments, 0
        segment = segments[0]
        for day, level, quantity, unbilled in join_days(self.use, self.segments):
            while day > segment.last and index + 1 < len(segments):
                index += 1
                segment = segments[index]
            if not segment.first <= day <= segment.last:
                continue
            place = places.get((index, level))
            if place is None:
                place = places[index, level] = self._find_place(index, level)
            counted = place.counted
            if unbilled:
                self.unbilled.add((place.rule, counted))
            on_trial = bool(segment.trial) and _holds(segment.trial, day)
            if self.use.aggregation == "max":
                quantity = self._rise(quantity, level, on_trial)
            self.used[counted] += quantity
            if on_trial:
                self.trial[counted] += quantity
                continue
            if place.is_free:
                continue
            want = Want(day, level, unbilled, _holds(segment.enrolled, day), place)
            change = self._take(want, quantity) if quantity > 0 else self._take_back(want, quantity)
            if change:
                self._price(place.rule, place.priced, change)
        if shortfall and segments[0].first <= shortfall.day <= segments[-1].last:
            rule = next(
                segment.rule
                for segment in segments
                if segment.first <= shortfall.day <= segment.last
            )
            self.payable[None] += shortfall.units
            self._price(self.canonical[rule], None, shortfall.units)
        begun = (
            self.canonical[segment.rule]
            for segment in segments
            if segment.enrolled and segment.enrolled[0].first <= self.use.until
        )
        self.model.enter_without_use(next(begun, None))

    def _find_place(self, index: int, level: int | None) -> Place:
        """Return how use of a level is counted and priced in a segment."""
        holding = self.use.holding
        rule = self.canonical[self.segments[index].rule]
        own = rule.terms.level(level) if level is not None else None
        is_priced = own is not None and own.unit_price is not None
        allowance = level if own is not None and own.included else None
        counts = is_priced or self.model.counts_levels
        signed = (
            counts
            and not self._get_included(rule, allowance)
            and not holding.has_bonus
            and allowance not in holding.allowances
        )
        return Place(
            rule,
            level if counts or allowance is not None else None,
            level if counts else None,
            allowance,
            self._get_granted(index, allowance),
            signed,
            self.model.is_free and not is_priced,
        )

    def _rise(self, quantity: Decimal, level: int | None, on_trial: bool) -> Decimal:
        """Return how far a value rises above the cycle's highest so far (rating 8)."""
        peak = self.peaks.get((level, on_trial), ZERO)
        self.peaks[level, on_trial] = max(peak, quantity)
        return max(quantity - peak, ZERO)

    def _take(self, want: Want, units: Decimal) -> Decimal:
        """Draw units that need not be paid now; return how many are payable."""
        counted = want.place.counted
        if not want.place.signed:
            units = self.allowance.take(want, units)
        units -= self.lots.take(want, units)
        self.payable[counted] += units
        self.correctable[counted] += units
        return units

    def _take_back(self, want: Want, quantity: Decimal) -> Decimal:
        """Take a correction off payable units first, then off others in reverse order of drawing; the rest
        waits for use. Return the change in payable units.

        :param quantity: zero or below
        """
        counted, units = want.place.counted, -quantity
        # Nothing is drawn for what is less than nothing.
        self.use.prepaid.draw(want.day, want.level, ZERO, want.unbilled)
        for one, back in self.lots.give_back(want, units - self.correctable[counted]):
            self.payable[counted] += back
            self.correctable[counted] += back
            self._price(one.place.rule, one.place.priced, back)
        self.correctable[counted] -= min(units, self.correctable[counted])
        back = units if want.place.signed else min(units, max(self.payable[counted], ZERO))
        if units > back:
            self.allowance.give_back(want, units - back)
        self.payable[counted] -= back
        return -back

    def _price(self, rule: Rule, priced: int | None, change: Decimal) -> None:
        """Add payable units where their level's are a component of their own, or where the model prices them."""
        if priced is not None:
            self.quantities[rule, priced, 0] += change
        else:
            self.model.enter(rule, change)

    # Components

    def add_components(self, rounding: Decimal) -> None:
        """Add what this span comes to to the components of the cycle."""
        for rule, counted in sorted(self.unbilled, key=lambda one: (one[0].id, one[1] or 0)):
            own = self._get_own_price(rule, counted)
            has_own = self.model.counts_levels or own is not None
            tier = self.model.first_tier if own is None else 0
            self.quantities[rule, counted if has_own else None, tier] += ZERO
        for (rule, counted, tier), quantity in self.quantities.items():
            terms = rule.terms
            own = self._get_own_price(rule, counted)
            if own is None:
                tier, price = self.model.get_price(rule, tier)
            else:
                price = own
            allowance = counted if self._get_included(rule, counted) else None
            included = (
                bool(self._get_included(rule, allowance))
                if counted is not None
                else terms.has_allotment
            )
            key = Key(self.cycle.start, rule.id, "overage" if included else "usage", counted, tier)
            explanation: dict[str, Any] = {
                "model": self.model.name if own is None else "per_unit",
                "used": self.used[counted],
                "included": self.allowance.included.get_drawn(allowance, counted),
                "payable": self.payable[counted],
                **self._explain_free(counted),
            }
            if self.model.name == "package" and own is None:
                explanation["package_size"] = terms.package_size
            unmatched = self.allowance.unmatched.get(counted)
            if unmatched:
                explanation["unmatched"] = -unmatched
            self._add(key, rule, quantity, price, rounding, explanation)
            self.use.components[key].unbilled = (rule, counted) in self.unbilled
        for rule, tier in self.model.get_flat_fees():
            fee = rule.terms.tiers[min(tier, len(rule.terms.tiers)) - 1].flat_fee
            if fee:
                kind = "overage" if rule.terms.has_allotment else "usage"
                key = Key(self.cycle.start, rule.id, kind, None, tier, True)
                self._add(key, rule, ONE, fee, rounding, {"model": self.model.name})

    def _explain_free(self, counted: int | None) -> dict[str, Decimal]:
        """Return the free units of use beside the cycle's own included ones."""
        found = {
            "trial": self.trial[counted],
            "rolled_over": self.allowance.carried.get_drawn(counted),
            "bonus": self.allowance.bonus.drawn[counted],
            "prepaid": self.lots.get_drawn(counted),
        }
        return {name: units for name, units in found.items() if units}

    @staticmethod
    def _get_own_price(rule: Rule, level: int | None) -> Decimal | None:
        """Return a level's own unit price, or None."""
        own = rule.terms.level(level) if level is not None else None
        return own.unit_price if own else None

    def _add(
        self,
        key: Key,
        rule: Rule,
        quantity: Decimal,
        price: Decimal,
        rounding: Decimal,
        explanation: dict[str, Any],
    ) -> None:
        # A model that starts anew within a cycle, and comes back, adds to the same component.
        there = self.use.components.get(key)
        if there:
            quantity += there.quantity
        self.use.components[key] = Rated(
            rule, quantity, price, round_to(quantity * price, rounding), explanation
        )


def _holds(ranges: Iterable[Days], day: date) -> bool:
    """Whether a day is one of some ranges."""
    return any(days.first <= day <= days.last for days in ranges)
