"""From the use of one cycle to payable units, and from those to components (rating 8 to 15, 17)."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import NamedTuple

from .money import ZERO, digits_unit, round_to
from .rules import Rule

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


def rate_cycle(rated_cycle, usage, bill, quantity_digits):
    """Rate one cycle of one feature as far as a bill reaches.

    :param RatedCycle rated_cycle: the cycle with its segments
    :param usage: (day, level, quantity, fresh) in order of day, then level; others are ignored
    :param Bill bill: dates and rounding
    :param int quantity_digits: decimal places of the feature's units
    :return: {Key: Rated}
    """
    segments, canonical = _canonical(rated_cycle)
    components = {}
    _rate_fees(rated_cycle, segments, canonical, bill, components)
    for stretch in _stretches(rated_cycle, segments, canonical, bill, quantity_digits):
        stretch.rate(usage, bill, components)
    return components


def cycle_state(rated_cycle, usage, bill, quantity_digits):
    """Return what a client has used in a cycle, and what that costs, without fees.

    Takes what `rate_cycle` takes.

    :return: (used, included units left, payable units, amount); the counts are those that run
        on the last day, the amount is the whole cycle's
    """
    segments, canonical = _canonical(rated_cycle)
    components, last = {}, None
    for last in _stretches(rated_cycle, segments, canonical, bill, quantity_digits):
        last.rate(usage, bill, components)
    used = sum((row[2] for row in usage if row[0] <= bill.period_end), ZERO)
    amount = sum((component.amount for component in components.values()), ZERO)
    if not last:
        return used, ZERO, ZERO, amount
    return used, last.left(bill.period_end), sum(last.payable.values(), ZERO), amount


def _canonical(rated_cycle):
    """Return the priced segments, and {rule: the first rule of the cycle with equal terms}.

    Versions with identical terms are one component, so that they change no amount.
    """
    segments = [segment for segment in rated_cycle.segments if segment.rule]
    canonical = {}
    for segment in segments:
        if segment.rule not in canonical:
            twins = (rule for rule in canonical.values() if rule.terms == segment.rule.terms)
            canonical[segment.rule] = next(twins, segment.rule)
    return segments, canonical


def _stretches(rated_cycle, segments, canonical, bill, quantity_digits):
    """Yield the stretches of a cycle that have begun."""
    unit = digits_unit(quantity_digits)
    # pylint: disable-next=bad-builtin-groupby  # neighbours only, and no Odoo here
    for _counter, stretch in groupby(segments, key=lambda segment: segment.rule.terms.counter):
        stretch = list(stretch)
        if stretch[0].first <= bill.period_end:
            later = [segment for segment in segments if segment.first > stretch[-1].last]
            yield _Stretch(rated_cycle.cycle, stretch, later, canonical, unit)


# Fees --------------------------------------------------------------------------------------


def _rate_fees(rated_cycle, segments, canonical, bill, components):
    """Add the recurring fees that are due by this bill."""
    cycle = rated_cycle.cycle
    parts = defaultdict(list)
    for segment in segments:
        terms = segment.rule.terms
        if not terms.recurring_fee:
            continue
        if terms.in_advance:
            due = rated_cycle.first_served < bill.next_date
        else:
            due = rated_cycle.last_served <= bill.period_end
        if due:
            parts[canonical[segment.rule]] += segment.enrolled
    for rule, ranges in parts.items():
        if not ranges:
            continue
        fee = rule.terms.recurring_fee
        if rule.terms.prorated:
            shares = [
                (first, last, units, share(fee * units, first, last, cycle, bill.rounding))
                for first, last, units in ranges
            ]
            quantity = sum(
                Fraction(units) * ((last - first).days + 1) / cycle.days
                for first, last, units, _amount in shares
            )
            quantity = round_to(quantity, SHOWN)
        else:
            # Amounts apply whole; a change of quantity waits for the next cycle.
            quantity = ranges[0][2]
            shares = [
                (ranges[0][0], ranges[-1][1], quantity, round_to(fee * quantity, bill.rounding))
            ]
        components[Key(cycle.start, rule.id, "recurring")] = Rated(
            rule,
            quantity,
            fee,
            sum((amount for *_days, amount in shares), ZERO),
            {
                "fee": fee,
                "cycle_days": cycle.days,
                "prorated": rule.terms.prorated,
                "parts": [
                    {
                        "first": first,
                        "last": last,
                        "before": (first - cycle.start).days,
                        "until": (last - cycle.start).days + 1,
                        "units": units,
                    }
                    for first, last, units, _amount in shares
                ],
            },
        )


# Use ---------------------------------------------------------------------------------------


class _Stretch:
    """Segments of a cycle through which its counts run on: the same model and package size."""

    def __init__(self, cycle, segments, later, canonical, unit):
        self.cycle = cycle
        self.segments = segments
        self.later = later
        self.canonical = canonical
        self.unit = unit
        self.model = segments[0].rule.terms.model
        self.used = defaultdict(Decimal)
        self.drawn = defaultdict(Decimal)  # by pool
        self.drawn_by = defaultdict(Decimal)  # by pool and lane
        self.payable = defaultdict(Decimal)  # by lane
        self.debt = defaultdict(Decimal)  # by lane: corrections beyond zero
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
        past = sum((self._share(one, pool, False) for one in self.segments[:index]), ZERO)
        return past + self._share(self.segments[index], pool, True)

    def left(self, day):
        """Return the included units of all pools that are left on a day."""
        index = max(i for i, segment in enumerate(self.segments) if segment.first <= day)
        rule = self.segments[index].rule
        pools = [None, *(terms.level for terms in rule.terms.levels if terms.included)]
        return sum(
            (max(self._granted(index, pool) - self.drawn[pool], ZERO) for pool in pools), ZERO
        )

    # The walk

    def rate(self, usage, bill, components):
        granted = {}
        for day, level, quantity, fresh in usage:
            if day > bill.period_end:
                break
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
            self.used[lane] += quantity
            if self.model == "unlimited" and not priced:
                continue
            if (index, pool) not in granted:
                granted[index, pool] = self._granted(index, pool)
            enrolled = any(first <= day <= last for first, last, _q in segment.enrolled)
            free = granted[index, pool] - self.drawn[pool] if enrolled else ZERO
            signed = (priced or self.model == "per_unit") and not self._allotment(rule, pool)
            change = self._pay(lane, pool, quantity, free, signed)
            if not change:
                continue
            if priced or self.model == "per_unit":
                self.quantities[rule, lane, 0] += change
            else:
                self._enter(rule, change)
        self._zero_use(bill)
        self._add_components(bill, components)

    def _pay(self, lane, pool, quantity, free, signed):
        """Draw or give back included units; return the change in payable units."""
        if signed:
            self.payable[lane] += quantity
            return quantity
        if quantity > 0:
            settled = min(quantity, self.debt[lane])
            self.debt[lane] -= settled
            quantity -= settled
            drawn = min(quantity, max(free, ZERO))
            self.drawn[pool] += drawn
            self.drawn_by[pool, lane] += drawn
            self.payable[lane] += quantity - drawn
            return quantity - drawn
        # A correction gives back payable units first, then included ones; the rest waits for use.
        returned = min(-quantity, max(self.payable[lane], ZERO))
        self.payable[lane] -= returned
        undrawn = min(-quantity - returned, self.drawn_by[pool, lane])
        self.drawn[pool] -= undrawn
        self.drawn_by[pool, lane] -= undrawn
        self.debt[lane] += -quantity - returned - undrawn
        return -returned

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

    def _zero_use(self, bill):
        """Enrolled days enter the first tier without use (rating 15)."""
        if self.model not in ("graduated", "volume"):
            return
        for segment in self.segments:
            if segment.enrolled and segment.enrolled[0][0] <= bill.period_end:
                rule = self.canonical[segment.rule]
                if self.model == "graduated" and not self.entered:
                    self.entered.append((1, rule, ZERO))
                elif self.model == "volume" and self.last_rule is None:
                    self.last_rule = rule
                return
        if self.model == "volume" and not self.position:
            self.last_rule = None

    # Components

    def _add_components(self, bill, components):
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
            if self.model == "package" and own is None:
                explanation["package_size"] = terms.package_size
            if self.debt[lane]:
                explanation["unmatched"] = -self.debt[lane]
            self._add(components, key, rule, quantity, price, bill, explanation)
            components[key].fresh = (rule, lane) in self.fresh
        if self.model == "graduated":
            for number, rule, _position in self.entered:
                self._add_flat(components, rule, number, rule.terms.tiers, bill)
        elif self.model == "volume" and self.last_rule:
            number, _tier = _tier_of(self.last_rule.terms.tiers, volume)
            self._add_flat(components, self.last_rule, number, self.last_rule.terms.tiers, bill)

    def _priced(self, rule, lane):
        """Return a level's own unit price, or None."""
        own = rule.terms.level(lane) if lane is not None else None
        return own.unit_price if own else None

    def _own(self, rule, lane):
        """Whether a lane has a component of its own, rather than a part in the common one."""
        return self.model == "per_unit" or self._priced(rule, lane) is not None

    def _add_flat(self, components, rule, number, tiers, bill):
        fee = tiers[min(number, len(tiers)) - 1].flat_fee
        if fee:
            kind = "overage" if rule.terms.has_allotment else "usage"
            key = Key(self.cycle.start, rule.id, kind, None, number, True)
            self._add(components, key, rule, ONE, fee, bill, {"model": self.model})

    @staticmethod
    def _add(components, key, rule, quantity, price, bill, explanation):
        # A model that starts anew within a cycle, and comes back, adds to the same component.
        there = components.get(key)
        if there:
            quantity += there.quantity
        components[key] = Rated(
            rule, quantity, price, round_to(quantity * price, bill.rounding), explanation
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
