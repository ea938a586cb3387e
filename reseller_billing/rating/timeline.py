"""Which rule prices which day, and which cycle that day belongs to (rating 1 to 3, 5, 17, 21)."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

from .cycles import DAY, Cycle, cycle_of
from .money import ZERO
from .rules import Rule

ONE = Decimal(1)


@dataclass(frozen=True)
class Segment:
    """Consecutive days of one cycle with one rule; None where nothing prices them.

    `enrolled` and `trial` hold (first, last, units), without common days. The days of a segment
    that is `kept` come after the last day of service: their fee is not given back, and that is all.
    """

    first: date
    last: date
    rule: Rule | None
    enrolled: tuple[tuple[date, date, Decimal], ...]
    trial: tuple[tuple[date, date, Decimal], ...] = ()
    kept: bool = False


@dataclass(frozen=True)
class RatedCycle:
    """A cycle with its segments, in order.

    `blocks` maps the terms that take several cycles' fees at once to the day on which the block of
    cycles begins that this one belongs to.
    """

    cycle: Cycle
    segments: tuple[Segment, ...]
    blocks: tuple[tuple[object, date], ...] = ()

    @property
    def served(self):
        return [segment for segment in self.segments if not segment.kept]

    @property
    def last_served(self):
        served = self.served
        return (served or self.segments)[-1].last

    @property
    def is_priced(self):
        """Whether a rule prices one of its days."""
        return any(segment.rule for segment in self.segments)

    @property
    def last_fee_day(self):
        """The last day whose fee this cycle may hold: its own, or that of days kept after closing."""
        return max(self.cycle.last, self.segments[-1].last)

    @property
    def first_served(self):
        return self.segments[0].first

    def get_stretch_end(self, day):
        """Return the last day of the days of service without a gap that a day is one of."""
        for segment in self.served:
            if segment.first > day + DAY:
                break
            day = max(day, segment.last)
        return day

    def rule_on(self, day):
        """Return the rule in force on a day of service, or None."""
        return next((one.rule for one in self.served if one.first <= day <= one.last), None)

    def is_enrolled_on(self, day):
        """Whether the client is enrolled on a day that is not free on trial."""
        return any(
            first <= day <= last
            for segment in self.served
            for first, last, _units in segment.enrolled
        )

    def due_from(self, terms):
        """Return the day from which an advance fee of this cycle is due."""
        return next((day for one, day in self.blocks if one == terms), self.first_served)


@dataclass(frozen=True)
class Rise:
    """A day on which a client has more units than ever before, by how many, by which rule."""

    day: date
    rule: Rule
    units: Decimal


@dataclass(frozen=True)
class Once:
    """The first enrolled day of a client and feature: trial and bonus (rating 7)."""

    day: date
    rule: Rule
    extension: tuple[date | None, date | None] = (None, None)

    @property
    def trial_end(self):
        """The last day of the trial; the day before the first where there is none."""
        end = self.day + (self.rule.terms.trial_days - 1) * DAY
        since, until = self.extension
        if until and self.rule.terms.trial_days and (since is None or end >= since):
            return max(end, until)
        return end

    @property
    def bonus_end(self):
        """The last day on which the bonus may be used; None: it does not expire."""
        days = self.rule.terms.bonus_days
        return self.day + (days - 1) * DAY if days else None


def without(ranges, first, last):
    """Return (first, last, units) ranges without the days from `first` to `last`."""
    found = []
    for begin, end, units in ranges:
        if end < first or last < begin:
            found.append((begin, end, units))
            continue
        if begin < first:
            found.append((begin, first - DAY, units))
        if last < end:
            found.append((last + DAY, end, units))
    return tuple(found)


def within(ranges, first, last):
    """Return those parts of (first, last, units) ranges that lie from `first` to `last`."""
    return tuple(
        (max(begin, first), min(end, last), units)
        for begin, end, units in ranges
        if begin <= last and first <= end
    )


class Timeline:
    """The rules, cycles and enrolment of one feature for one client, day by day.

    :param memberships: in order of their days, without overlap
    :param rules: candidates of this feature, company and currency, of any scope
    :param enrolments: of this client and feature
    :param scopes: the client's scope id by rank, for ranks 1 (reseller) and 3 (client)
    :param date horizon: the last day that is looked at; an open membership ends there
    :param date billing_start: nothing before this day is rated; cycles count from activation still
    :param extension: (day or None, last day or None): a trial that would end on the day or later lasts
        until the last
    """

    def __init__(
        self,
        memberships,
        rules,
        enrolments,
        scopes,
        horizon,
        billing_start=None,
        extension=(None, None),
    ):
        self._memberships = memberships
        self._rules = rules
        self._enrolments = enrolments
        self._scopes = scopes
        self._horizon = horizon
        self._billing_start = billing_start
        self._extension = extension
        self._pauses = [
            (row.date_from, row.date_to or horizon) for row in memberships if row.paused
        ]
        self._keeps = any(not rule.terms.refund_on_close for rule in rules)
        self._has_blocks = any(rule.terms.advance_cycles > 1 for rule in rules)

    @property
    def first_day(self):
        """The first day that is rated."""
        first = self._memberships[0].date_from
        return max(first, self._billing_start or first)

    # Resolution

    def _matching(self, rule, membership):
        match rule.rank:
            case 0:
                return True
            case 2:
                return rule.scope == membership.group
        return rule.scope == self._scopes.get(rule.rank)

    def _days(self):
        """Yield (first, last, rule, base) for days with one membership and one winning rule.

        All of these days come before the billing start, or none.
        """
        start = self._billing_start
        for membership in self._memberships:
            first = membership.date_from
            end = min(membership.date_to or self._horizon, self._horizon)
            if first > end:
                continue
            rules = [rule for rule in self._rules if self._matching(rule, membership)]
            cuts = {first, end + DAY}
            if start and first < start <= end:
                cuts.add(start)
            for rule in rules:
                if rule.date_from and first < rule.date_from <= end:
                    cuts.add(rule.date_from)
                if rule.date_to and first <= rule.date_to < end:
                    cuts.add(rule.date_to + DAY)
            cuts = sorted(cuts)
            for begin, following in pairwise(cuts):
                valid = [rule for rule in rules if rule.valid_on(begin)]
                winner = max(valid, key=lambda rule: rule.rank) if valid else None
                yield begin, following - DAY, winner, membership.base

    def winners(self):
        """Yield (first, last, rule) for the days of service; None where nothing prices them."""
        for first, last, rule, _base in self._days():
            if first >= self.first_day:
                yield first, last, rule

    def is_served(self, day):
        return self._membership_on(day) is not None

    def _membership_on(self, day):
        for row in self._memberships:
            if row.date_from <= day and (row.date_to is None or day <= row.date_to):
                return row
        return None

    def considered(self, day):
        """Return the rules that are valid on a day of service, the winning one first."""
        row = self._membership_on(day)
        if row is None:
            return []
        valid = [rule for rule in self._rules if rule.valid_on(day) and self._matching(rule, row)]
        return sorted(valid, key=lambda rule: -rule.rank)

    def _enrolled(self, first, last, rule):
        """Return the enrolled days of a segment as (first, last, quantity).

        With enrolment on use, these are enrolled in cycles with use.
        """
        if rule is None:
            return ()
        default = ZERO if rule.terms.enrolment == "opt_in" else ONE
        found, day = [], first
        for row in self._enrolments:
            begin = max(row.date_from, day)
            end = min(row.date_to or last, last)
            if begin > end:
                continue
            if default and day < begin:
                found.append((day, begin - DAY, default))
            if row.quantity:
                found.append((begin, end, row.quantity))
            day = end + DAY
        if default and day <= last:
            found.append((day, last, default))
        for begin, end in self._pauses:
            found = without(found, begin, end)
        return tuple(found)

    def first_enrolled(self, used=None):
        """Return the Once of the first enrolled day, or None.

        :param used: tells of a RatedCycle whether it has net use; asked where enrolment is on use
        """
        first = next(self.rises(used), None)
        return first and Once(first.day, first.rule, self._extension)

    def rises(self, used=None):
        """Yield the Rises of the client's units, in order (rating 7).

        :param used: as of `first_enrolled`
        """
        since = None
        if all(rule.terms.enrolment == "opt_in" for rule in self._rules):
            rows = [row.date_from for row in self._enrolments if row.quantity]
            if not rows:
                return
            since = min(rows)
        highest = ZERO
        for cycle in self._rated(self._walk(since or date.min, self._days())):
            for segment in cycle.segments:
                if not segment.enrolled or segment.kept:
                    continue
                if segment.rule.terms.enrolment == "on_use" and not used(cycle):
                    continue
                for day, _last, units in segment.enrolled:
                    if units > highest:
                        yield Rise(day, segment.rule, units - highest)
                        highest = units

    # Cycles

    def cycles(self, since, until, days=()):
        """Return the cycles that reach into [since, until] or hold one of `days`, in order.

        A cycle reaches to its last day also where service ends before. Each comes with all its segments.
        Cycles in between are walked over, not returned.
        """
        days = sorted(days)
        wanted = []
        walk = self._walk(min(days[0], since) if days else since, self._days())
        for cycle in self._rated(self._billed(walk)):
            first, last = cycle.segments[0].first, cycle.segments[-1].last
            if first > until and not days:
                break
            while days and days[0] < first:
                days.pop(0)
            if (first <= until and cycle.last_fee_day >= since) or (days and days[0] <= last):
                wanted.append(cycle)
        return wanted

    def _billed(self, walk):
        """Yield (cycle, spans) of a walk without the days before the billing start."""
        start = self.first_day
        for cycle, spans in walk:
            billed = [
                (max(first, start), last, rule) for first, last, rule in spans if last >= start
            ]
            if billed:
                yield cycle, billed

    def _rated(self, walk):
        """Yield RatedCycles of a walk, with the days whose fee is kept after closing."""
        runs, before = {}, None
        for cycle, spans in walk:
            segments = tuple(Segment(*span, self._enrolled(*span)) for span in spans)
            rated = RatedCycle(cycle, segments)
            if self._has_blocks:
                runs = self._run_on(runs, before, rated)
                blocks = tuple(
                    (terms, self._block_start(terms, cycle, *run)) for terms, run in runs.items()
                )
                rated = replace(rated, blocks=blocks)
            before = rated
            if self._keeps:
                yield from self._keep(rated, runs)
            else:
                yield rated

    @staticmethod
    def _run_on(runs, before, rated):
        """Return {terms: (cycle, day)} of where blocks are counted from.

        That is the first cycle of a run of cycles with equal terms, and its first day.
        """
        found = {}
        ending = before and before.segments[-1].rule
        for segment in rated.segments:
            terms = segment.rule and segment.rule.terms
            if not terms or terms.advance_cycles < 2 or terms in found:
                continue
            run = runs.get(terms)
            if run and ending and ending.terms == terms and run[0].base == rated.cycle.base:
                found[terms] = run
            else:
                found[terms] = rated.cycle, rated.first_served
        return found

    @staticmethod
    def _block_start(terms, cycle, first, day):
        """Return the day on which a cycle's block of cycles begins, of a run from a first cycle on."""
        begun = (cycle.number - first.number) // terms.advance_cycles * terms.advance_cycles
        if not begun:
            return day
        return first.interval.after(first.anchor, first.number + begun)

    def _keep(self, rated, runs):
        """Yield a cycle, and those paid in advance, with the fees kept after closing (rating 17).

        Without a refund, an advance fee counts to the end of its cycle, or block of cycles, or
        until the account reopens.
        """
        segments, more = [], []
        for segment in rated.segments:
            segments.append(segment)
            reopened = self._reopening_after(segment)
            if not reopened:
                continue
            rule, cycle = segment.rule, rated.cycle
            units = segment.enrolled[-1][2]

            def kept(first, last, rule=rule, units=units):
                return Segment(first, last, rule, ((first, last, units),), kept=True)

            until = min(cycle.end, reopened - DAY)
            if segment.last < until:
                segments.append(kept(segment.last + DAY, until))
            run = runs.get(rule.terms)
            while run and (cycle.number + 1 - run[0].number) % rule.terms.advance_cycles:
                cycle = cycle_of(cycle.anchor, cycle.interval, cycle.end + DAY)
                if cycle.end >= reopened:
                    break
                more.append(RatedCycle(cycle, (kept(cycle.start, cycle.end),), rated.blocks))
        yield replace(rated, segments=tuple(segments))
        yield from more

    def _reopening_after(self, segment):
        """Return the first day of service after the account closes with a segment.

        That is far away if it does not reopen, and None unless it closes with a fee to keep.
        """
        terms = segment.rule and segment.rule.terms
        if (
            not terms
            or terms.refund_on_close
            or not terms.in_advance
            or not segment.enrolled
            or segment.enrolled[-1][1] != segment.last
            or all(row.date_to != segment.last for row in self._memberships)
        ):
            return None
        later = [row.date_from for row in self._memberships if row.date_from > segment.last]
        reopened = min(later, default=date.max)
        return reopened if reopened > segment.last + DAY else None

    def billing_periods(self, since, until):
        """Return the client's billing cycles with a day of service from `since` to `until`.

        `last` is the last day of service of a period.
        """
        periods = []
        for row in self._memberships:
            day = max(row.date_from, since, self._billing_start or since)
            end = min(row.date_to or until, until)
            while day <= end:
                period = cycle_of(row.anchor, row.interval, day)
                # The whole period counts, as far as this row and its followers serve it.
                last = min(row.date_to or period.end, period.end)
                period = replace(period, last=last)
                if periods and periods[-1].start == period.start:
                    periods.pop()
                periods.append(period)
                day = period.end + DAY
        return periods

    def _walk(self, since, spans):
        """Yield (cycle, [(first, last, rule)]); whole cycles before `since` may be left out."""
        anchor = interval = cycle = current = None
        base = None
        segments = []
        spans = list(spans)
        for first, last, rule, row_base in spans:
            if row_base != base:
                # The account begins, reopens or changes its cycle: cycles are counted from here.
                if segments:
                    yield self._cut(cycle, segments)
                    segments, cycle, current = [], None, None
                base = row_base
                anchor, own = base
                leading = next((span[2] for span in spans if span[0] >= first and span[2]), None)
                interval = self._interval_of(leading, own)
            day = first
            while day <= last:
                if cycle is None or day > cycle.end:
                    if segments:
                        yield cycle, segments
                        segments = []
                    current = rule
                    if rule and self._interval_of(rule, own) != interval:
                        anchor, interval = day, self._interval_of(rule, own)
                    cycle = cycle_of(anchor, interval, day)
                elif rule is not current and not self._waits(current, rule):
                    if rule and self._interval_of(rule, own) != interval:
                        yield self._cut(cycle, segments)
                        segments = []
                        anchor, interval = day, self._interval_of(rule, own)
                        cycle = cycle_of(anchor, interval, day)
                    current = rule
                end = min(last, cycle.end)
                if segments and segments[-1][2] is current and segments[-1][1] == day - DAY:
                    segments[-1] = (segments[-1][0], end, current)
                else:
                    segments.append((day, end, current))
                day = end + DAY
                if current is rule and day <= last and day < since:
                    # Nothing changes in these days: go on at the cycle that holds `since`.
                    target = cycle_of(anchor, interval, min(last, since)).start
                    if target > day:
                        yield cycle, segments
                        segments, cycle, day = [], None, target
        if segments:
            yield cycle, segments

    @staticmethod
    def _cut(cycle, segments):
        return replace(cycle, last=min(cycle.end, segments[-1][1])), segments

    @staticmethod
    def _waits(current, rule):
        """Whether a change between two rules waits for the next cycle (rating 17)."""
        if current is None:
            return False
        return not current.terms.prorated or bool(rule and not rule.terms.prorated)

    @staticmethod
    def _interval_of(rule, own):
        return rule.terms.interval if rule and rule.terms.interval else own
