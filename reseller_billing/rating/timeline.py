"""Which cycle each day belongs to, with its segments of one rule each (rating 2, 3, 7, 17)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeGuard

from .cycles import DAY, Cycle, Interval, cycle_of
from .money import ZERO
from .resolution import Days, Resolution, Resolved
from .rules import Rule, Terms

# (first, last, rule) of days of a cycle.
Stretch = tuple[date, date, Rule | None]
# (day or None, last day or None): a trial that would end on the day or later lasts until the last.
Extension = tuple[date | None, date | None]


@dataclass(frozen=True)
class Segment:
    """Consecutive days of one cycle with one rule; None where nothing prices them.

    `enrolled` and `trial` have no common days. The days of a segment that is `forfeited` come after the
    last day of service: their fee is not given back, and that is all.
    """

    first: date
    last: date
    rule: Rule | None
    enrolled: tuple[Days, ...]
    trial: tuple[Days, ...] = ()
    forfeited: bool = False


class Priced(Segment):
    """A segment that a rule prices; none is made, it is what `is_priced` tells of."""

    rule: Rule


def is_priced(segment: Segment) -> TypeGuard[Priced]:
    """Whether a rule prices a segment."""
    return segment.rule is not None


@dataclass(frozen=True)
class RatedCycle:
    """A cycle with its segments, in order.

    `blocks` maps the terms that take several cycles' fees at once to the day on which the block of
    cycles begins that this one belongs to.
    """

    cycle: Cycle
    segments: tuple[Segment, ...]
    blocks: tuple[tuple[Terms, date], ...] = ()

    @property
    def served(self) -> list[Segment]:
        """The segments of days of service."""
        return [segment for segment in self.segments if not segment.forfeited]

    @property
    def last_served(self) -> date:
        """The last day of service; of a cycle of forfeited days alone, of these."""
        served = self.served
        return (served or self.segments)[-1].last

    @property
    def is_priced(self) -> bool:
        """Whether a rule prices one of its days."""
        return any(segment.rule for segment in self.segments)

    @property
    def last_fee_day(self) -> date:
        """The last day whose fee this cycle may hold: its own, or that of days after closing."""
        return max(self.cycle.last, self.segments[-1].last)

    @property
    def first_served(self) -> date:
        """The first day of service, or of forfeited days alone."""
        return self.segments[0].first

    def get_stretch_end(self, day: date) -> date:
        """Return the last day of the days of service without a gap that a day is one of."""
        for segment in self.served:
            if segment.first > day + DAY:
                break
            day = max(day, segment.last)
        return day

    def rule_on(self, day: date) -> Rule | None:
        """Return the rule in force on a day of service, or None."""
        return next((one.rule for one in self.served if one.first <= day <= one.last), None)

    def is_enrolled_on(self, day: date) -> bool:
        """Whether the client is enrolled on a day that is not free on trial."""
        return any(
            days.first <= day <= days.last for segment in self.served for days in segment.enrolled
        )

    def due_from(self, terms: Terms) -> date:
        """Return the day from which an advance fee of this cycle is due."""
        return next((day for one, day in self.blocks if one == terms), self.first_served)


@dataclass(frozen=True)
class Rise:
    """A day on which a client has more units than ever before, by how many, by which rule."""

    day: date
    rule: Rule
    units: Decimal


@dataclass(frozen=True)
class FirstEnrolment:
    """The first enrolled day of a client and feature: trial and bonus (rating 7)."""

    day: date
    rule: Rule
    extension: Extension = (None, None)

    @property
    def trial_end(self) -> date:
        """The last day of the trial; the day before the first where there is none."""
        end = self.day + (self.rule.terms.trial_days - 1) * DAY
        since, until = self.extension
        if until and self.rule.terms.trial_days and (since is None or end >= since):
            return max(end, until)
        return end

    @property
    def bonus_end(self) -> date | None:
        """The last day on which the bonus may be used; None: it does not expire."""
        days = self.rule.terms.bonus_days
        return self.day + (days - 1) * DAY if days else None


class Timeline(Resolution):
    """The cycles of one feature for one client.

    Arguments as of Resolution.

    :param extension: a trial that would end on its day or later lasts until its last
    """

    def __init__(self, *arguments: Any, extension: Extension = (None, None)) -> None:
        super().__init__(*arguments)
        self._extension = extension
        self._forfeits = any(not rule.terms.refund_on_close for rule in self._rules)
        self._has_blocks = any(rule.terms.advance_cycles > 1 for rule in self._rules)
        self._found: dict[tuple[Any, ...], list[RatedCycle]] = {}

    # Once ever

    def first_enrolled(
        self, is_used: Callable[[RatedCycle], bool] | None = None
    ) -> FirstEnrolment | None:
        """Return the first enrolled day, or None.

        :param is_used: tells whether a cycle has net use; asked where enrolment is on use
        """
        first = next(self.rises(is_used), None)
        return FirstEnrolment(first.day, first.rule, self._extension) if first else None

    def rises(self, is_used: Callable[[RatedCycle], bool] | None = None) -> Iterator[Rise]:
        """Yield the Rises of the client's units, in order (rating 7).

        :param is_used: as of `first_enrolled`
        """
        since = None
        if all(rule.terms.enrolment == "opt_in" for rule in self._rules):
            rows = [row.date_from for row in self._enrolments if row.quantity]
            if not rows:
                return
            since = min(rows)
        highest = ZERO
        for cycle in self._rated(self._walk(since or date.min, self._resolve())):
            for segment in cycle.segments:
                if not segment.enrolled or segment.forfeited or not is_priced(segment):
                    continue
                on_use = segment.rule.terms.enrolment == "on_use"
                if on_use and not (is_used and is_used(cycle)):
                    continue
                for day, _last, units in segment.enrolled:
                    if units > highest:
                        yield Rise(day, segment.rule, units - highest)
                        highest = units

    # Cycles

    def cycles(self, since: date, until: date, days: Collection[date] = ()) -> list[RatedCycle]:
        """Return the cycles that reach into [since, until] or hold one of `days`, in order.

        A cycle reaches to its last day also where service ends before. Each comes with all its segments.
        Cycles in between are walked over, not returned.
        """
        key = since, until, *days
        if key not in self._found:
            self._found[key] = self._find_cycles(since, until, sorted(days))
        return self._found[key]

    def _find_cycles(self, since: date, until: date, days: list[date]) -> list[RatedCycle]:
        """See cycles; `days` are sorted, and taken out."""
        wanted = []
        walk = self._walk(min(days[0], since) if days else since, self._resolve())
        for cycle in self._rated(self._billed(walk)):
            first, last = cycle.segments[0].first, cycle.segments[-1].last
            if first > until and not days:
                break
            while days and days[0] < first:
                days.pop(0)
            if (first <= until and cycle.last_fee_day >= since) or (days and days[0] <= last):
                wanted.append(cycle)
        return wanted

    def _billed(
        self, walk: Iterable[tuple[Cycle, list[Stretch]]]
    ) -> Iterator[tuple[Cycle, list[Stretch]]]:
        """Yield (cycle, spans) of a walk without the days before the billing start."""
        start = self.first_day
        for cycle, spans in walk:
            billed = [
                (max(first, start), last, rule) for first, last, rule in spans if last >= start
            ]
            if billed:
                yield cycle, billed

    def _rated(self, walk: Iterable[tuple[Cycle, list[Stretch]]]) -> Iterator[RatedCycle]:
        """Yield the cycles of a walk, with the days whose fee is forfeited after closing."""
        runs: dict[Terms, tuple[Cycle, date]] = {}
        before: RatedCycle | None = None
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
            if self._forfeits:
                yield from self._forfeit(rated, runs)
            else:
                yield rated

    @staticmethod
    def _run_on(
        runs: dict[Terms, tuple[Cycle, date]], before: RatedCycle | None, rated: RatedCycle
    ) -> dict[Terms, tuple[Cycle, date]]:
        """Return {terms: (cycle, day)} of where blocks are counted from.

        That is the first cycle of a run of cycles with equal terms, and its first day.
        """
        found: dict[Terms, tuple[Cycle, date]] = {}
        ending = before.segments[-1].rule if before else None
        for segment in rated.segments:
            terms = segment.rule.terms if segment.rule else None
            if not terms or terms.advance_cycles < 2 or terms in found:
                continue
            run = runs.get(terms)
            if run and ending and ending.terms == terms and run[0].base == rated.cycle.base:
                found[terms] = run
            else:
                found[terms] = rated.cycle, rated.first_served
        return found

    @staticmethod
    def _block_start(terms: Terms, cycle: Cycle, first: Cycle, day: date) -> date:
        """Return the day on which a cycle's block of cycles begins, of a run from a first cycle on."""
        begun = (cycle.number - first.number) // terms.advance_cycles * terms.advance_cycles
        if not begun:
            return day
        return first.interval.after(first.anchor, first.number + begun)

    def _forfeit(
        self, rated: RatedCycle, runs: dict[Terms, tuple[Cycle, date]]
    ) -> Iterator[RatedCycle]:
        """Yield a cycle, and those paid in advance, with the fees forfeited after closing (rating 17).

        Without a refund, an advance fee counts to the end of its cycle, or block of cycles, or
        until the account reopens.
        """
        segments: list[Segment] = []
        more = []
        for segment in rated.segments:
            segments.append(segment)
            reopened = self._reopening_after(segment)
            if not reopened or not segment.rule:
                continue
            rule, cycle = segment.rule, rated.cycle
            units = segment.enrolled[-1].units

            def forfeited(
                first: date, last: date, rule: Rule = rule, units: Decimal = units
            ) -> Segment:
                return Segment(first, last, rule, (Days(first, last, units),), forfeited=True)

            until = min(cycle.end, reopened - DAY)
            if segment.last < until:
                segments.append(forfeited(segment.last + DAY, until))
            run = runs.get(rule.terms)
            while run and (cycle.number + 1 - run[0].number) % rule.terms.advance_cycles:
                cycle = cycle_of(cycle.anchor, cycle.interval, cycle.end + DAY)
                if cycle.end >= reopened:
                    break
                more.append(RatedCycle(cycle, (forfeited(cycle.start, cycle.end),), rated.blocks))
        yield replace(rated, segments=tuple(segments))
        yield from more

    def _reopening_after(self, segment: Segment) -> date | None:
        """Return the first day of service after the account closes with a segment.

        That is far away if it does not reopen, and None unless it closes with a fee to forfeit.
        """
        terms = segment.rule.terms if segment.rule else None
        if (
            not terms
            or terms.refund_on_close
            or not terms.in_advance
            or not segment.enrolled
            or segment.enrolled[-1].last != segment.last
            or all(row.date_to != segment.last for row in self._memberships)
        ):
            return None
        later = [row.date_from for row in self._memberships if row.date_from > segment.last]
        reopened = min(later, default=date.max)
        return reopened if reopened > segment.last + DAY else None

    def billing_periods(self, since: date, until: date) -> list[Cycle]:
        """Return the client's billing cycles with a day of service from `since` to `until`.

        `last` is the last day of service of a period.
        """
        periods: list[Cycle] = []
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

    def _walk(
        self, since: date, resolved: Iterable[Resolved]
    ) -> Iterator[tuple[Cycle, list[Stretch]]]:
        """Yield (cycle, [(first, last, rule)]); whole cycles before `since` may be left out."""
        rows = list(resolved)
        if not rows:
            return
        base = None
        cycle: Cycle | None = None
        current: Rule | None = None
        segments: list[Stretch] = []
        for first, last, rule, row_base in rows:
            if row_base != base:
                # The account begins, reopens or changes its cycle: cycles are counted from here.
                if segments and cycle:
                    yield self._cut(cycle, segments)
                    segments, cycle, current = [], None, None
                base = row_base
                anchor, own = base
                leading = next((row.rule for row in rows if row.first >= first and row.rule), None)
                interval = self._interval_of(leading, own)
            day = first
            while day <= last:
                if cycle is None or day > cycle.end:
                    if segments and cycle:
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
        if segments and cycle:
            yield cycle, segments

    @staticmethod
    def _cut(cycle: Cycle, segments: Sequence[Stretch]) -> tuple[Cycle, list[Stretch]]:
        return replace(cycle, last=min(cycle.end, segments[-1][1])), list(segments)

    @staticmethod
    def _waits(current: Rule | None, rule: Rule | None) -> bool:
        """Whether a change between two rules waits for the next cycle (rating 17)."""
        if current is None:
            return False
        return not current.terms.prorated or bool(rule and not rule.terms.prorated)

    @staticmethod
    def _interval_of(rule: Rule | None, own: Interval) -> Interval:
        return rule.terms.interval if rule and rule.terms.interval else own
