"""Recurring and set-up fees of a cycle (rating 6, 7, 17)."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from .account import Bill
from .components import Key, Rated, find_canonical
from .cycles import Cycle
from .money import ZERO, digits_unit, round_to
from .proration import Part, prorate
from .resolution import Days, within
from .rules import Rule
from .timeline import Priced, RatedCycle, Rise

SHOWN = digits_unit(6)


def rate_fees(
    rated_cycle: RatedCycle, bill: Bill, rises: Iterable[Rise] = ()
) -> tuple[dict[Key, Rated], set[Key]]:
    """Return the fees of a cycle that are due by a bill, and the keys of recurring fees that are due later.

    :param rated_cycle: the cycle, enrolment on use and trial settled
    :param bill: dates and rounding
    :param rises: of the client's units, where a set-up fee may be due
    """
    components, pending = _rate_recurring(rated_cycle, bill)
    components.update(_rate_setup(rated_cycle, bill, rises))
    return components, pending


def _rate_recurring(rated_cycle: RatedCycle, bill: Bill) -> tuple[dict[Key, Rated], set[Key]]:
    cycle = rated_cycle.cycle
    segments, canonical = find_canonical(rated_cycle.segments)
    due: defaultdict[Rule, list[Days]] = defaultdict(list)
    accrued: defaultdict[Rule, list[Days]] = defaultdict(list)
    pending = set()
    ended = _find_ended_on_use(rated_cycle, segments, bill)
    for segment in segments:
        terms = segment.rule.terms
        if not terms.recurring_fee:
            continue
        on_use = terms.enrolment == "on_use"
        rule = canonical[segment.rule]
        if _is_due(rated_cycle, segment, bill, ended):
            due[rule] += segment.enrolled
            continue
        # Of fees on use one is due, whatever versions it had before.
        waits = not ended if on_use else not terms.in_advance
        if segment.enrolled and waits:
            pending.add(Key(cycle.start, rule.id, "recurring"))
        if bill.accrues and (on_use or not terms.in_advance):
            accrued[rule] += within(segment.enrolled, segment.first, bill.period_end)
    components = {}
    for found, is_whole in ((due, None), (accrued, False)):
        for rule, ranges in found.items():
            if ranges:
                components[Key(cycle.start, rule.id, "recurring")] = _rate_fee(
                    rule, ranges, cycle, bill.rounding, is_whole
                )
    return components, pending


def _find_ended_on_use(
    rated_cycle: RatedCycle, segments: Iterable[Priced], bill: Bill
) -> list[Priced]:
    """Return the segments with enrolment on use whose days of service are over."""
    return [
        segment
        for segment in segments
        if segment.rule.terms.enrolment == "on_use"
        and segment.enrolled
        and rated_cycle.get_stretch_end(segment.last) <= bill.period_end
    ]


def _is_due(rated_cycle: RatedCycle, segment: Priced, bill: Bill, ended: list[Priced]) -> bool:
    """Whether a segment's fee is due by a bill."""
    terms = segment.rule.terms
    if terms.enrolment == "on_use":
        # One fee a cycle, by the last rule in force of the days that are over.
        return bool(ended) and segment.rule is ended[-1].rule
    if terms.in_advance:
        return rated_cycle.due_from(terms) < bill.next_date
    # At the end of the cycle, or where service ends before: if it goes on in the same cycle, what
    # was due stays so.
    return rated_cycle.get_stretch_end(segment.last) <= bill.period_end


def _rate_setup(rated_cycle: RatedCycle, bill: Bill, rises: Iterable[Rise]) -> dict[Key, Rated]:
    rises = list(rises)
    if not rises:
        return {}
    cycle = rated_cycle.cycle
    _segments, canonical = find_canonical(rated_cycle.segments)
    until = min(rated_cycle.last_served, bill.date)
    setups = defaultdict(list)
    for rise in rises:
        if rise.rule.terms.setup_fee and rated_cycle.first_served <= rise.day <= until:
            setups[canonical.get(rise.rule, rise.rule)].append(rise)
    components = {}
    for rule, found in setups.items():
        fee = rule.terms.setup_fee
        units = sum((rise.units for rise in found), ZERO)
        # Rises up to the day of the last bill were on that.
        day = next((rise.day for rise in found if rise.day > bill.period_start), found[-1].day)
        components[Key(cycle.start, rule.id, "setup")] = Rated(
            rule, units, fee, round_to(units * fee, bill.rounding), {"day": day}
        )
    return components


def _rate_fee(
    rule: Rule,
    ranges: list[Days],
    cycle: Cycle,
    rounding: Decimal,
    is_whole: bool | None = None,
) -> Rated:
    """Return the fee of a rule for the enrolled days of a cycle.

    :param is_whole: whether it applies whole; None: as the terms say
    """
    fee = rule.terms.recurring_fee
    is_whole = rule.terms.fee_is_whole if is_whole is None else is_whole
    if is_whole:
        # Amounts apply whole; a change of quantity waits for the next cycle.
        quantity = ranges[0].units
        ranges = [Days(ranges[0].first, ranges[-1].last, quantity)]
    parts = [
        Part((days.first - cycle.start).days, (days.last - cycle.start).days + 1, days.units)
        for days in ranges
    ]
    if is_whole:
        amount = round_to(fee * quantity, rounding)
    else:
        quantity = round_to(
            sum(
                (Fraction(part.units) * (part.until - part.before) / cycle.days for part in parts),
                Fraction(0),
            ),
            SHOWN,
        )
        amount = prorate(fee, parts, cycle.days, rounding)
    explained = [
        {"first": days.first, "last": days.last, **part._asdict()}
        for days, part in zip(ranges, parts, strict=True)
    ]
    return Rated(
        rule,
        quantity,
        fee,
        amount,
        {"fee": fee, "cycle_days": cycle.days, "prorated": not is_whole, "parts": explained},
    )
