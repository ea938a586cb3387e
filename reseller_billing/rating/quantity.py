"""From the use of one cycle to payable units, and from those to components (rating 8 to 17)."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

from .cycles import DAY
from .money import ZERO, digits_unit, prorate, round_to
from .prepaid import NOTHING, PrepaidUse
from .rules import Rule
from .timeline import within

ONE = Decimal(1)
SHOWN = digits_unit(6)


class Key(NamedTuple):
    """What makes a component: the thing that is rounded once and billed by difference."""

    cycle_start: object
    rule: int
    kind: str
    level: int | None = None
    tier: int = 0
    flat: bool = False


# What is used without being paid with the bill, in the order in which it is drawn (rating 9), as
# explanations name it.
FREE_KINDS = ("trial", "rolled_over", "included", "bonus", "prepaid")


@dataclass
class Rated:
    """What a component comes to as known now. `quantity` × `unit_price` is exact for use."""

    rule: Rule
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    explanation: dict = field(default_factory=dict)
    fresh: bool = False


def share(value, first, last, cycle, unit):
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


@dataclass(frozen=True)
class Lot:
    """Unused included units of an earlier cycle; they serve for `cycles` cycles more."""

    pool: int | None
    left: Decimal
    cycles: int


@dataclass(frozen=True)
class Stock:
    """Free units that a cycle takes over from those before it (rating 10).

    Lots, oldest first, live on while the client stays enrolled; it is so up to `enrolled_until`.
    """

    bonus: Decimal = ZERO
    lots: tuple[Lot, ...] = ()
    enrolled_until: date | None = None


EMPTY = Stock()


class CycleUse:
    """The use of one cycle of one feature up to a day, and what it comes to, without fees.

    :param RatedCycle rated_cycle: the cycle with its segments, enrolment on use and trial settled
    :param usage: (day, level, quantity, fresh) in order of day, then level; others are ignored
    :param date until: the last day that counts
    :param Decimal rounding: of the currency
    :param feature: its `quantity_digits` and `aggregation` are read
    :param Once once: the client's first enrolled day, where something is given once
    :param Stock stock: what earlier cycles left over
    :param PrepaidUse prepaid: the lots of units bought ahead, as earlier cycles have drawn on them
    :param further: (day, units): payable units more, as further use of that day (rating 16)
    """

    def __init__(
        self,
        rated_cycle,
        usage,
        until,
        rounding,
        feature,
        once=None,
        stock=EMPTY,
        prepaid=None,
        further=None,
    ):
        self.rated_cycle = rated_cycle
        self.until = until
        self.stock = stock
        self.prepaid_before = prepaid or PrepaidUse(NOTHING)
        self.prepaid = self.prepaid_before.after()
        self.once = once
        self.rows = aggregate([row for row in usage if row[0] <= until], feature.aggregation)
        self.rows += self.prepaid.get_missing(
            rated_cycle.first_served, min(rated_cycle.last_served, until), self.rows
        )
        self.rows.sort(key=lambda row: row[0])
        self.components = {}
        segments, canonical = canonical_rules(rated_cycle.served)
        # What the stock has left, as it is drawn.
        self.lots = [lot.left for lot in stock.lots]
        self.bonus = stock.bonus
        self.lots_until = self._get_run_end() if stock.lots else None
        self.bonus_end = (once and once.bonus_end) or date.max
        self.stocked = {lot.pool for lot in stock.lots if self.lots_until}
        self.has_bonus = bool(
            once
            and stock.bonus
            and once.day <= rated_cycle.last_served
            and rated_cycle.first_served <= self.bonus_end
        )
        self.stretches = []
        unit = digits_unit(feature.quantity_digits)
        # pylint: disable-next=bad-builtin-groupby  # neighbours only, and no Odoo here
        for _counter, stretch in groupby(segments, key=lambda one: one.rule.terms.counter):
            stretch = list(stretch)
            if stretch[0].first <= until:
                later = [segment for segment in segments if segment.first > stretch[-1].last]
                rated = _Stretch(self, stretch, later, canonical, unit, feature.aggregation)
                rated.rate(further)
                rated.add_components(rounding)
                self.stretches.append(rated)

    @property
    def amount(self):
        return sum((component.amount for component in self.components.values()), ZERO)

    @property
    def payable(self):
        return sum((sum(one.payable.values(), ZERO) for one in self.stretches), ZERO)

    @property
    def paid_by_lots(self):
        """The units that lots pay."""
        return sum((sum(drawn.values(), ZERO) for drawn in self.prepaid.draws.values()), ZERO)

    @property
    def used(self):
        return sum((sum(one.used.values(), ZERO) for one in self.stretches), ZERO)

    def get_left(self, day):
        """Return the free units of all kinds that are left on a day, for all levels together."""
        left = self.stretches[-1].left(day) if self.stretches else ZERO
        if self.lots_until and day <= self.lots_until:
            left += sum(self.lots, ZERO)
        if self.has_bonus and self.once.day <= day <= self.bonus_end:
            left += self.bonus
        return left

    def _get_enrolled(self):
        """Return the enrolled days, trial included, as joined (first, last) runs."""
        runs = []
        for first, last, _units in sorted(
            days
            for segment in self.rated_cycle.served
            for days in (*segment.enrolled, *segment.trial)
        ):
            if runs and runs[-1][1] + DAY == first:
                runs[-1][1] = last
            else:
                runs.append([first, last])
        return runs

    def _get_run_end(self):
        """Return the last day up to which units taken over live on, or None."""
        first = self.rated_cycle.first_served
        runs = self._get_enrolled()
        if self.stock.enrolled_until != first - DAY or not runs or runs[0][0] != first:
            return None
        return runs[0][1]

    def get_stock_after(self):
        """Return what the next cycle takes over, once this one has ended."""
        last = self.rated_cycle.cycle.last
        runs = self._get_enrolled()
        if not runs or runs[-1][1] != last:
            return Stock(self.bonus)
        lots = []
        if self.lots_until == last:
            lots = [
                replace(lot, left=left, cycles=lot.cycles - 1)
                for lot, left in zip(self.stock.lots, self.lots, strict=True)
                if left and lot.cycles > 1
            ]
        lots += [lot for stretch in self.stretches for lot in stretch.get_leftovers()]
        return Stock(self.bonus, tuple(lots), last)


def aggregate(rows, aggregation):
    """Return the rows that make out a cycle's use: for *last*, each level's final value."""
    if aggregation != "last":
        return rows
    fresh = {level for _day, level, _quantity, is_fresh in rows if is_fresh}
    final = {level: (day, level, quantity) for day, level, quantity, _fresh in rows}
    return [
        (day, level, quantity, level in fresh)
        for day, level, quantity in sorted(final.values(), key=lambda row: row[0])
    ]


def net_use(rows, aggregation):
    """Return a cycle's net use of all levels (rating 5)."""
    if aggregation == "max":
        return max((row[2] for row in rows), default=ZERO)
    return sum((row[2] for row in aggregate(rows, aggregation)), ZERO)


def canonical_rules(segments):
    """Return the priced segments, and {rule: the first rule of the cycle with equal terms}.

    Versions with identical terms are one component, so that they change no amount.
    """
    segments = [segment for segment in segments if segment.rule]
    canonical = {}
    for segment in segments:
        if segment.rule not in canonical:
            twins = (rule for rule in canonical.values() if rule.terms == segment.rule.terms)
            canonical[segment.rule] = next(twins, segment.rule)
    return segments, canonical


# Fees --------------------------------------------------------------------------------------


def rate_fees(rated_cycle, bill, rises=()):
    """Return {Key: Rated} of the recurring and set-up fees of a cycle that are due by a bill, and the
    keys of recurring fees that are due later.

    :param RatedCycle rated_cycle: the cycle, enrolment on use and trial settled
    :param Bill bill: dates and rounding
    :param rises: the Rises of the client's units, where a set-up fee may be due
    """
    cycle = rated_cycle.cycle
    segments, canonical = canonical_rules(rated_cycle.segments)
    components = {}
    parts, accrued, pending = defaultdict(list), defaultdict(list), set()
    on_use = [
        one
        for one in segments
        if one.rule.terms.enrolment == "on_use"
        and one.enrolled
        and rated_cycle.get_stretch_end(one.last) <= bill.period_end
    ]
    for segment in segments:
        terms = segment.rule.terms
        if not terms.recurring_fee:
            continue
        if terms.enrolment == "on_use":
            # One fee a cycle, by the last rule in force of the days that are over.
            due = bool(on_use) and segment.rule is on_use[-1].rule
        elif terms.in_advance:
            due = rated_cycle.due_from(terms) < bill.next_date
        else:
            # At the end of the cycle, or where service ends before: if it goes on in the same
            # cycle, what was due stays so.
            due = rated_cycle.get_stretch_end(segment.last) <= bill.period_end
        # Of fees on use one is due, whatever versions it had before.
        waits = not on_use if terms.enrolment == "on_use" else not terms.in_advance
        if not due and segment.enrolled and waits:
            pending.add(Key(cycle.start, canonical[segment.rule].id, "recurring"))
        if due:
            parts[canonical[segment.rule]] += segment.enrolled
        elif bill.accrues and not (terms.in_advance and terms.enrolment != "on_use"):
            served = within(segment.enrolled, segment.first, bill.period_end)
            accrued[canonical[segment.rule]] += served
    for found, whole in ((parts, None), (accrued, False)):
        for rule, ranges in found.items():
            if ranges:
                components[Key(cycle.start, rule.id, "recurring")] = _rate_fee(
                    rule, ranges, cycle, bill.rounding, whole
                )
    until = min(rated_cycle.last_served, bill.date)
    setups = defaultdict(list)
    for rise in rises:
        if rise.rule.terms.setup_fee and rated_cycle.first_served <= rise.day <= until:
            setups[canonical.get(rise.rule, rise.rule)].append(rise)
    for rule, found in setups.items():
        fee = rule.terms.setup_fee
        units = sum((rise.units for rise in found), ZERO)
        # Rises up to the day of the last bill were on that.
        day = next((rise.day for rise in found if rise.day > bill.period_start), found[-1].day)
        components[Key(cycle.start, rule.id, "setup")] = Rated(
            rule, units, fee, round_to(units * fee, bill.rounding), {"day": day}
        )
    return components, pending


def _rate_fee(rule, ranges, cycle, rounding, whole=None):
    """Return the Rated fee of a rule for the enrolled days of a cycle.

    :param whole: whether it applies whole; None: as the terms say
    """
    fee = rule.terms.recurring_fee
    whole = rule.terms.fee_is_whole if whole is None else whole
    if whole:
        # Amounts apply whole; a change of quantity waits for the next cycle.
        quantity = ranges[0][2]
        ranges = [(ranges[0][0], ranges[-1][1], quantity)]
        amount = round_to(fee * quantity, rounding)
    else:
        quantity = sum(
            Fraction(units) * ((last - first).days + 1) / cycle.days
            for first, last, units in ranges
        )
        quantity = round_to(quantity, SHOWN)
    parts = [
        {
            "first": first,
            "last": last,
            "before": (first - cycle.start).days,
            "until": (last - cycle.start).days + 1,
            "units": units,
        }
        for first, last, units in ranges
    ]
    if not whole:
        places = [(part["before"], part["until"], part["units"]) for part in parts]
        amount = prorate(fee, places, cycle.days, rounding)
    return Rated(
        rule,
        quantity,
        fee,
        amount,
        {"fee": fee, "cycle_days": cycle.days, "prorated": not whole, "parts": parts},
    )


# Use ---------------------------------------------------------------------------------------


class _Stretch:
    """Segments of a cycle through which its counts run on: the same model and package size."""

    def __init__(self, use, segments, later, canonical, unit, aggregation):
        self.use = use
        self.cycle = use.rated_cycle.cycle
        self.segments = segments
        self.later = later
        self.canonical = canonical
        self.unit = unit
        self.aggregation = aggregation
        self.model = segments[0].rule.terms.model
        self.used = defaultdict(Decimal)  # by lane, as the following
        self.trial = defaultdict(Decimal)
        self.payable = defaultdict(Decimal)
        self.correctable = defaultdict(Decimal)  # payable units that no correction has taken off
        self.debt = defaultdict(Decimal)  # corrections beyond zero
        self.drawn = defaultdict(Decimal)  # included units, by pool
        self.drawn_by = defaultdict(Decimal)  # by pool and lane
        self.lots_drawn = defaultdict(Decimal)  # by lane and number of the lot
        self.bonus_drawn = defaultdict(Decimal)  # by lane
        self.drawn_for = defaultdict(list)  # (day, level, rule, priced lane) with lots, by lane
        self.tops = {}  # for max: by level, in and after the trial
        self.position = ZERO  # payable units without a level price
        self.last_rule = None  # of the last such unit
        self.quantities = defaultdict(Decimal)  # by rule, lane, tier
        self.entered = []  # graduated: (tier, rule, position it was entered at)
        self.fresh = set()  # rules and lanes with use that no bill has covered

    # Allotments (rating 10 and 11)

    def _allotment(self, rule, pool):
        if pool is None:
            return rule.terms.included
        terms = rule.terms.level(pool)
        return (terms and terms.included) or ZERO

    def _share(self, segment, pool, upto_end):
        """The allotment that a segment's rule gives for its days, or for all that are to come."""
        rule = segment.rule
        value = self._allotment(rule, pool)
        if not value:
            return ZERO
        enrolled = segment.enrolled
        if upto_end:
            enrolled = self._enrolled_from(segment)
        if not enrolled:
            return ZERO
        if not rule.terms.prorated:
            return value
        return sum(
            (share(value, first, last, self.cycle, self.unit) for first, last, _q in enrolled), ZERO
        )

    def _enrolled_from(self, segment):
        """Enrolled days from a segment on, as if its rule held to the end of the cycle."""
        index = self.segments.index(segment)
        return [days for one in self.segments[index:] + self.later for days in one.enrolled]

    def _granted(self, index, pool):
        rule = self.segments[index].rule
        if not rule.terms.prorated:
            # It applies once, also where the account was closed in between.
            enrolled = any(one.enrolled for one in self.segments + self.later)
            return self._allotment(rule, pool) if enrolled else ZERO
        past = sum((self._share(one, pool, False) for one in self.segments[:index]), ZERO)
        return past + self._share(self.segments[index], pool, True)

    def _get_pools(self, rule):
        return [None, *(terms.level for terms in rule.terms.levels if terms.included)]

    def left(self, day):
        """Return the included units of all pools that are left on a day."""
        begun = [i for i, segment in enumerate(self.segments) if segment.first <= day]
        index = max(begun)
        return sum(
            (
                max(self._granted(index, pool) - self.drawn[pool], ZERO)
                for pool in self._get_pools(self.segments[index].rule)
            ),
            ZERO,
        )

    def get_leftovers(self):
        """Return the lots of included units that carry on, by the granting rules' terms."""
        lots = []
        drawn = dict(self.drawn)
        whole = set()
        for segment in self.segments:
            for pool in self._get_pools(segment.rule):
                given = self._share(segment, pool, False)
                if given and not segment.rule.terms.prorated:
                    given = ZERO if (segment.rule, pool) in whole else given
                    whole.add((segment.rule, pool))
                taken = min(given, drawn.get(pool, ZERO))
                drawn[pool] = drawn.get(pool, ZERO) - taken
                if given > taken and segment.rule.terms.rollover_cycles:
                    lots.append(Lot(pool, given - taken, segment.rule.terms.rollover_cycles))
        return lots

    # The walk

    def rate(self, further=None):
        """Walk through the use; `further`: see CycleUse."""
        granted = {}
        for day, level, quantity, fresh in self.use.rows:
            index = next(
                (i for i, one in enumerate(self.segments) if one.first <= day <= one.last), None
            )
            if index is None:
                continue
            segment = self.segments[index]
            rule = self.canonical[segment.rule]
            terms = rule.terms
            own = terms.level(level) if level is not None else None
            priced = own is not None and own.unit_price is not None
            pool = level if own is not None and own.included else None
            lane = level if priced or pool is not None or self.model == "per_unit" else None
            if fresh:
                self.fresh.add((rule, lane))
            on_trial = any(first <= day <= last for first, last, _q in segment.trial)
            if self.aggregation == "max":
                quantity = self._rise(quantity, level, on_trial)
            self.used[lane] += quantity
            if on_trial:
                self.trial[lane] += quantity
                continue
            if self.model == "unlimited" and not priced:
                continue
            enrolled = any(first <= day <= last for first, last, _q in segment.enrolled)
            if (index, pool) not in granted:
                granted[index, pool] = self._granted(index, pool)
            free = granted[index, pool] - self.drawn[pool] if enrolled else ZERO
            signed = (
                (priced or self.model == "per_unit")
                and not self._allotment(rule, pool)
                and not self.use.has_bonus
                and pool not in self.use.stocked
            )
            row = day, level, quantity, fresh
            price = rule, lane if priced or self.model == "per_unit" else None
            change = self._pay(row, lane, pool, free, signed, enrolled, price)
            if change:
                self._price(*price, change)
        if further and self.segments[0].first <= further[0] <= self.segments[-1].last:
            day, units = further
            rule = next(one.rule for one in self.segments if one.first <= day <= one.last)
            self.payable[None] += units
            self._price(self.canonical[rule], None, units)
        self._zero_use()

    def _rise(self, quantity, level, on_trial):
        """Return how far a value rises above the cycle's highest so far (rating 8)."""
        top = self.tops.get((level, on_trial), ZERO)
        self.tops[level, on_trial] = max(top, quantity)
        return max(quantity - top, ZERO)

    def _pay(self, row, lane, pool, free, signed, enrolled, price):
        """Draw or give back units that need not be paid now; return the change in payable units.

        :param row: (day, level, quantity, fresh)
        :param bool signed: whether payable units may go below zero
        :param bool enrolled: whether the client is, on that day
        :param price: (rule, priced lane) of the payable units of that day
        """
        day, level, quantity, fresh = row
        if quantity > 0:
            if not signed:
                quantity = self._pay_freely(lane, pool, quantity, free, enrolled and day)
            drawn = self.use.prepaid.draw(day, level, quantity, fresh)
            if drawn:
                self.drawn_for[lane].append((day, level, *price))
            quantity -= drawn
            self.payable[lane] += quantity
            self.correctable[lane] += quantity
            return quantity
        # Nothing is drawn for what is less than nothing.
        self.use.prepaid.draw(day, level, ZERO, fresh)
        # A correction gives back payable units first, then others in reverse order; the rest waits
        # for use.
        left = -quantity
        self._return_lots(lane, left - self.correctable[lane])
        self.correctable[lane] -= min(left, self.correctable[lane])
        returned = left if signed else min(left, max(self.payable[lane], ZERO))
        left -= returned
        if left:
            self.debt[lane] += self._return_free(lane, pool, left)
        self.payable[lane] -= returned
        return -returned

    def _return_lots(self, lane, units):
        """Give units back to the lots of a lane's latest use, which is payable instead.

        The correction then takes them off as payable ones: so it is, too, when a later bill finds
        that lots pay for less of that use.
        """
        for day, level, *price in reversed(self.drawn_for[lane]):
            back = self.use.prepaid.give_back(day, level, units)
            if back:
                self.payable[lane] += back
                self.correctable[lane] += back
                self._price(*price, back)
                units -= back

    def _pay_freely(self, lane, pool, quantity, free, day):
        """Draw free units; return how many of the quantity are left.

        :param day: the day of an enrolled client's use, else None
        """
        settled = min(quantity, self.debt[lane])
        self.debt[lane] -= settled
        quantity -= settled
        if day:
            quantity -= self._draw_lots(lane, pool, quantity, day)
        drawn = min(quantity, max(free, ZERO))
        self.drawn[pool] += drawn
        self.drawn_by[pool, lane] += drawn
        quantity -= drawn
        if day and self.use.has_bonus and self.use.once.day <= day <= self.use.bonus_end:
            drawn = min(quantity, self.use.bonus)
            self.use.bonus -= drawn
            self.bonus_drawn[lane] += drawn
            quantity -= drawn
        return quantity

    def _return_free(self, lane, pool, left):
        """Give back free units in reverse order of drawing; return what is left of `left`."""
        undrawn = min(left, self.bonus_drawn[lane])
        self.bonus_drawn[lane] -= undrawn
        self.use.bonus += undrawn
        left -= undrawn
        undrawn = min(left, self.drawn_by[pool, lane])
        self.drawn[pool] -= undrawn
        self.drawn_by[pool, lane] -= undrawn
        left -= undrawn
        for number in reversed(range(len(self.use.lots))):
            undrawn = min(left, self.lots_drawn[lane, number])
            self.lots_drawn[lane, number] -= undrawn
            self.use.lots[number] += undrawn
            left -= undrawn
        return left

    def _draw_lots(self, lane, pool, quantity, day):
        """Draw units of earlier cycles, oldest first; return how many."""
        if not self.use.lots_until or day > self.use.lots_until:
            return ZERO
        total = ZERO
        for number, lot in enumerate(self.use.stock.lots):
            if lot.pool == pool:
                drawn = min(quantity - total, self.use.lots[number])
                self.use.lots[number] -= drawn
                self.lots_drawn[lane, number] += drawn
                total += drawn
        return total

    def _price(self, rule, lane, change):
        """Add payable units at a level's own price, or at the rule's."""
        if lane is not None or self.model == "per_unit":
            self.quantities[rule, lane, 0] += change
        elif self.model != "unlimited":
            self._enter(rule, change)

    def _enter(self, rule, change):
        """Move the position of the units that the rule's model prices together."""
        before, after = self.position, self.position + change
        self.position = after
        self.last_rule = rule
        terms = rule.terms
        if self.model == "package":
            size = terms.package_size
            self.quantities[rule, None, 0] += _packages(after, size) - _packages(before, size)
        elif self.model == "volume":
            self.quantities[rule, None, 0] += change
        elif self.model == "graduated":
            low = ZERO
            for number, tier in enumerate(terms.tiers, 1):
                units = _within(after, low, tier.up_to) - _within(before, low, tier.up_to)
                self.quantities[rule, None, number] += units
                if after > low and number > len(self.entered):
                    self.entered.append((number, rule, low))
                low = tier.up_to
            while self.entered and after <= self.entered[-1][2]:
                self.entered.pop()

    def _zero_use(self):
        """Enrolled days enter the first tier without use (rating 15)."""
        if self.model not in ("graduated", "volume"):
            return
        for segment in self.segments:
            if segment.enrolled and segment.enrolled[0][0] <= self.use.until:
                rule = self.canonical[segment.rule]
                if self.model == "graduated" and not self.entered:
                    self.entered.append((1, rule, ZERO))
                elif self.model == "volume" and self.last_rule is None:
                    self.last_rule = rule
                return
        if self.model == "volume" and not self.position:
            self.last_rule = None

    # Components

    def add_components(self, rounding):
        """Add what this stretch comes to to the components of the cycle."""
        components = self.use.components
        for rule, lane in sorted(self.fresh, key=lambda one: (one[0].id, one[1] or 0)):
            tier = 1 if self.model == "graduated" and not self._priced(rule, lane) else 0
            self.quantities[rule, lane if self._own(rule, lane) else None, tier] += ZERO
        volume = self.position if self.model == "volume" else None
        for (rule, lane, number), quantity in self.quantities.items():
            terms = rule.terms
            own = self._priced(rule, lane)
            pool = lane if self._allotment(rule, lane) else None
            if own is not None:
                price = own
            elif self.model == "graduated":
                price = terms.tiers[number - 1].unit_price
            elif self.model == "volume":
                number, tier = _tier_of(terms.tiers, volume)
                price = tier.unit_price
            else:
                price = ZERO if self.model == "unlimited" else terms.unit_price
            allotted = self._allotment(rule, pool) if lane is not None else terms.has_allotment
            key = Key(self.cycle.start, rule.id, "overage" if allotted else "usage", lane, number)
            explanation = {
                "model": self.model if own is None else "per_unit",
                "used": self.used[lane],
                "included": self.drawn_by[pool, lane],
                "payable": self.payable[lane],
            }
            explanation.update(self._explain_free(lane))
            if self.model == "package" and own is None:
                explanation["package_size"] = terms.package_size
            if self.debt[lane]:
                explanation["unmatched"] = -self.debt[lane]
            self._add(components, key, rule, quantity, price, rounding, explanation)
            components[key].fresh = (rule, lane) in self.fresh
        if self.model == "graduated":
            for number, rule, _position in self.entered:
                self._add_flat(components, rule, number, rounding)
        elif self.model == "volume" and self.last_rule:
            number, _tier = _tier_of(self.last_rule.terms.tiers, volume)
            self._add_flat(components, self.last_rule, number, rounding)

    def _explain_free(self, lane):
        """Return the free units of a lane's use beside the cycle's own included ones."""
        lots = sum((drawn for one, drawn in self.lots_drawn.items() if one[0] == lane), ZERO)
        found = {
            "trial": self.trial[lane],
            "rolled_over": lots,
            "bonus": self.bonus_drawn[lane],
            "prepaid": sum(
                (
                    sum(self.use.prepaid.draws[day, level].values(), ZERO)
                    for day, level, *_price in self.drawn_for[lane]
                ),
                ZERO,
            ),
        }
        return {name: units for name, units in found.items() if units}

    def _priced(self, rule, lane):
        """Return a level's own unit price, or None."""
        own = rule.terms.level(lane) if lane is not None else None
        return own.unit_price if own else None

    def _own(self, rule, lane):
        """Whether a lane has a component of its own, rather than a part in the common one."""
        return self.model == "per_unit" or self._priced(rule, lane) is not None

    def _add_flat(self, components, rule, number, rounding):
        tiers = rule.terms.tiers
        fee = tiers[min(number, len(tiers)) - 1].flat_fee
        if fee:
            kind = "overage" if rule.terms.has_allotment else "usage"
            key = Key(self.cycle.start, rule.id, kind, None, number, True)
            self._add(components, key, rule, ONE, fee, rounding, {"model": self.model})

    @staticmethod
    def _add(components, key, rule, quantity, price, rounding, explanation):
        # A model that starts anew within a cycle, and comes back, adds to the same component.
        there = components.get(key)
        if there:
            quantity += there.quantity
        components[key] = Rated(
            rule, quantity, price, round_to(quantity * price, rounding), explanation
        )


def _packages(units, size):
    """The packages started by a number of units; none by zero (rating 15)."""
    return units // size + bool(units % size) if units > 0 else ZERO


def _within(position, low, high):
    """How many of the first `position` units lie above `low`, up to `high`."""
    top = position if high is None else min(position, high)
    return max(top - low, ZERO)


def _tier_of(tiers, total):
    """Return (number, tier) of the tier that a total falls in; its bound belongs to it."""
    for number, tier in enumerate(tiers, 1):
        if tier.up_to is None or total <= tier.up_to:
            return number, tier
    return len(tiers), tiers[-1]
