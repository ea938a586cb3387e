"""The bill of one account for one date: what is due now less what was billed (rating 4, 18)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from .account import Account, Bill, Feature
from .allowance import EMPTY, CarryOver
from .charges import Change, Charge, ChargeMaker
from .components import Billed, Key, Rated, Span
from .cycle_use import CycleUse, Shortfall
from .cycles import DAY, Cycle
from .fees import rate_fees
from .minimum import PeriodMinimum
from .money import ZERO, exact
from .prepaid import NOTHING, Draw, Prepaid, PrepaidUse
from .resolution import within, without
from .spans import Division
from .timeline import FirstEnrolment, RatedCycle, Rise
from .usage import Usage, net_use

NEVER_BILLED = Billed(ZERO, ZERO, date.min)


class _UseRated(NamedTuple):
    """The settled cycles, the use of each (None where it has not begun), and the rises of units."""

    cycles: list[RatedCycle]
    uses: list[CycleUse | None]
    rises: Sequence[Rise]


class FeatureBill:
    """One feature on one bill, in two steps, so that a caller reads only the use that counts.

    First `since` tells from which day use is wanted, then `charges` rates it.
    """

    def __init__(
        self, account: Account, feature: Feature, bill: Bill, late_days: Iterable[date] = ()
    ) -> None:
        """Find the cycles that the bill looks at.

        :param late_days: days before the period with use that no bill has covered
        """
        self.feature = feature
        self.bill = bill
        self._horizon = account.get_fee_horizon(feature, bill.next_date - DAY)
        self._timeline = account.timeline(feature, self._horizon)
        self._make = ChargeMaker(feature.id, bill, self._timeline)
        late_days = list(late_days)
        since = bill.since
        first = min([since, *late_days])
        late_days = [day for day in late_days if day < since]
        billed = self._find_cycles_of_bill(first, late_days)
        self._billed = {cycle.cycle for cycle in billed}
        self._periods = self._find_periods_with_minimum(first, billed)
        # In order, those that others rest on with them.
        self.cycles = self._find_cycles_before(billed, bool(late_days))

    def _find_cycles_of_bill(self, first: date, late_days: Sequence[date]) -> list[RatedCycle]:
        """Return the cycles that this bill charges: those open to it, and those of late use; where one rests on
        those before, all from the first late day on.

        :param first: the first day that is looked at
        :param late_days: with use, before that of the bill
        """
        if self.feature.is_linked and late_days:
            found = self._timeline.cycles(first, self._horizon)
        else:
            # A cycle that was open to the last bill counts, also where service ended, or a new rule
            # cut it short, just where that bill ended: what is due of it is settled now.
            last = self.bill.since - DAY
            found = [
                cycle
                for cycle in self._timeline.cycles(last, self._horizon, late_days)
                if (
                    cycle.last_fee_day >= last
                    or any(cycle.first_served <= day <= cycle.last_served for day in late_days)
                )
            ]
        return [cycle for cycle in found if cycle.is_priced]

    def _find_periods_with_minimum(self, first: date, billed: Sequence[RatedCycle]) -> list[Cycle]:
        """Return the billing periods whose minimum falls due, or may have changed.

        A pause or closing takes free units back from all of a cycle, which may reach over several periods.
        """
        bill = self.bill
        if not self.feature.has_minimum:
            return []
        reach = min([first, *(cycle.first_served for cycle in billed[:1])])
        return [
            period
            for period in self._timeline.billing_periods(reach, bill.next_date - DAY)
            if reach <= period.last
            and (period.start if bill.accrues else period.last) <= bill.period_end
        ]

    def _find_cycles_before(
        self, billed: list[RatedCycle], has_late_days: bool
    ) -> list[RatedCycle]:
        """Return the cycles of the bill with those before that they, or minimums, rest on."""
        since = min(
            [
                *(period.start for period in self._periods),
                *(cycle.first_served for cycle in billed[:1]),
            ],
            default=None,
        )
        if since and self.feature.is_linked:
            since = date.min
        if (
            since
            and billed
            and (since < billed[0].first_served or (self._periods and has_late_days))
        ):
            found = self._timeline.cycles(since, self._horizon)
            return [cycle for cycle in found if cycle.is_priced]
        return billed

    @property
    def since(self) -> date | None:
        """The first day whose use is wanted, or None."""
        return self.cycles[0].first_served if self.cycles else None

    def priced(self, days: Iterable[date]) -> list[date]:
        """Return those of `days` that a rule prices."""
        days = list(days)
        if not days:
            return []
        low, high = min(days), max(days)
        spans = [
            (segment.first, segment.last)
            for cycle in self.cycles
            for segment in cycle.segments
            if segment.rule and segment.first <= high and low <= segment.last
        ]
        if len(spans) == 1:
            [(first, last)] = spans
            return [day for day in days if first <= day <= last]
        return [day for day in days if any(first <= day <= last for first, last in spans)]

    # Enrolment that use decides, and the trial (rating 5 and 7)

    def _settle(
        self, usage: Usage, until: date
    ) -> tuple[list[RatedCycle], FirstEnrolment | None, Sequence[Rise]]:
        """Return the cycles with enrolment on use and trial settled by use up to a day, the first enrolment,
        and the rises of units that set-up fees are due for.
        """
        cycles, feature = self.cycles, self.feature

        def is_used(cycle: RatedCycle) -> bool:
            rows = usage.between(cycle.first_served, min(cycle.last_served, until))
            return net_use(rows, feature.aggregation) > 0

        if feature.has_on_use:
            cycles = [cycle if is_used(cycle) else self._leave_out(cycle) for cycle in cycles]
        first: FirstEnrolment | None = None
        rises: Sequence[Rise] = ()
        if feature.has_once:
            first = self._timeline.first_enrolled(is_used)
        if first and feature.has_setup:
            rises = tuple(self._timeline.rises(is_used))
        if first and first.rule.terms.trial_days:
            cycles = [self._mark_trial(cycle, first) for cycle in cycles]
        return cycles, first, rises

    @staticmethod
    def _leave_out(cycle: RatedCycle) -> RatedCycle:
        """Return a cycle without use, in which nobody is enrolled on use."""
        return replace(
            cycle,
            segments=tuple(
                replace(segment, enrolled=())
                if segment.rule and segment.rule.terms.enrolment == "on_use"
                else segment
                for segment in cycle.segments
            ),
        )

    @staticmethod
    def _mark_trial(cycle: RatedCycle, first: FirstEnrolment) -> RatedCycle:
        if cycle.segments[0].first > first.trial_end or cycle.segments[-1].last < first.day:
            return cycle
        trial = first.day, first.trial_end
        return replace(
            cycle,
            segments=tuple(
                replace(
                    segment,
                    enrolled=without(segment.enrolled, *trial),
                    trial=within(segment.enrolled, *trial),
                )
                for segment in cycle.segments
            ),
        )

    # Use

    def _rate_use(self, usage: Usage, until: date, prepaid: Prepaid) -> _UseRated:
        """Return what use up to a day comes to."""
        cycles, first, rises = self._settle(usage, until)
        uses: list[CycleUse | None] = []
        carry_over = CarryOver(first.rule.terms.bonus) if first else EMPTY
        lots = PrepaidUse(prepaid)
        for cycle in cycles:
            if cycle.first_served > until or not cycle.served:
                uses.append(None)
                continue
            use = self._use_until(until, cycle, usage, first, carry_over, lots)
            uses.append(use)
            lots = use.prepaid
            if self.feature.is_linked:
                carry_over = use.get_carry_over()
        return _UseRated(cycles, uses, rises)

    def _use_until(
        self,
        until: date,
        cycle: RatedCycle,
        usage: Usage,
        first: FirstEnrolment | None,
        carry_over: CarryOver,
        lots: PrepaidUse,
        shortfall: Shortfall | None = None,
    ) -> CycleUse:
        return CycleUse(
            cycle,
            usage.between(cycle.first_served, min(cycle.last_served, until)),
            until,
            self.bill.rounding,
            self.feature,
            first,
            carry_over,
            lots,
            shortfall,
        )

    def state(self, usage: Usage, prepaid: Prepaid = NOTHING) -> tuple[RatedCycle, CycleUse] | None:
        """Return the cycle that holds the bill's last day with its use, or None."""
        until = self.bill.period_end
        with exact():
            rated = self._rate_use(usage, until, prepaid)
            for cycle, use in zip(rated.cycles, rated.uses, strict=True):
                if use and cycle.first_served <= until <= cycle.cycle.last:
                    return cycle, use
        return None

    # Charges

    def charges(
        self,
        usage: Usage,
        prior: Mapping[Key, Billed],
        prepaid: Prepaid = NOTHING,
        prior_spans: Mapping[Key, Sequence[Span]] | None = None,
    ) -> tuple[list[Charge], list[Draw]]:
        """Return (the charges of this feature, the draws from its lots).

        :param usage: from `since` on
        :param prior: what earlier bills charged
        :param prepaid: the lots of units bought ahead
        :param prior_spans: of how earlier bills divided use; all of it where the bill has cuts
        """
        with exact():
            rated = self._rate_use(usage, self.bill.period_end, prepaid)
            found: list[Charge] = []
            draws: list[Draw] = []
            for cycle, use in zip(rated.cycles, rated.uses, strict=True):
                if cycle.cycle in self._billed:
                    components, pending = rate_fees(cycle, self.bill, rated.rises)
                    if use:
                        components.update(use.components)
                        draws += use.prepaid.get_changes()
                    found += self._charge_cycle(cycle, components, prior, pending)
            for period in self._periods:
                if self.feature.has_on_use:
                    # Use after the period enrols nobody in it.
                    until = min(period.last, self.bill.period_end)
                    rated = self._rate_use(usage, until, prepaid)
                found += self._charge_minimum(period, rated, usage, prior)
            found += self._give_gone_back(prior)
            draws += self._return_lots(prepaid, {(draw.day, draw.level) for draw in draws})
            if self.bill.cuts:
                division = Division(
                    self.bill,
                    self.cycles,
                    lambda last: self._rate_use(usage, last, prepaid).uses,
                    prior_spans or {},
                )
                found = [division.divide(charge) for charge in found]
            return found, draws

    def _charge_cycle(
        self,
        cycle: RatedCycle,
        components: Mapping[Key, Rated],
        prior: Mapping[Key, Billed],
        pending: set[Key],
    ) -> list[Charge]:
        """Return the charges that bring a cycle to what it is rated at now.

        :param pending: the keys of fees that are due later: what a closing has made due before stays
        """
        found: list[Charge] = []
        zero_charges = {}
        for key, component in components.items():
            before = prior.get(key, NEVER_BILLED)
            change = Change.to(component, before)
            if change.quantity or change.amount:
                found.append(self._make.of_cycle(cycle, key, component, change))
            elif key.kind == "recurring" and date.min < before.cycle_end < cycle.last_fee_day:
                # As much for a longer cycle that begins where another one would have: what was paid
                # ahead for that is given back.
                found += self._give_back(key, before)
                whole = Change.to(component, NEVER_BILLED)
                found.append(self._make.of_cycle(cycle, key, component, whole))
            elif component.unbilled:
                charge = self._make.of_cycle(cycle, key, component, change)
                zero_charges[key.rule, key.level] = charge
        for key, before in prior.items():
            gone = key not in components and key not in pending and key.kind != "minimum"
            if gone and key.cycle_start == cycle.cycle.start and before.stands:
                change = Change.to(None, before)
                found.append(self._make.of_cycle(cycle, key, None, change))
        # Use that costs nothing more is shown all the same, once.
        shown = {(charge.key.rule, charge.key.level) for charge in found}
        return found + [charge for one, charge in zero_charges.items() if one not in shown]

    def _charge_minimum(
        self, period: Cycle, rated: _UseRated, usage: Usage, prior: Mapping[Key, Billed]
    ) -> list[Charge]:
        """Return the charges that bring a billing period's minimum to what it is now (rating 16)."""

        def use_again(
            cycle: RatedCycle, until: date, use: CycleUse, shortfall: Shortfall | None
        ) -> CycleUse:
            return self._use_until(
                until, cycle, usage, use.first, use.carry_over, use.prepaid_before, shortfall
            )

        minimum = PeriodMinimum(
            self.feature, self.bill, period, rated.cycles, rated.uses, use_again
        )
        component = minimum.rate()
        own = component and Key(period.start, component.rule.id, "minimum")
        found = []
        if component and own:
            change = Change.to(component, prior.get(own, NEVER_BILLED))
            if change.amount:
                found.append(self._make.of_period(period, own, component, change))
        for key, before in prior.items():
            gone = key.kind == "minimum" and key.cycle_start == period.start and key != own
            if gone and before.stands:
                change = Change.to(None, before)
                found.append(self._make.of_period(period, key, None, change))
        return found

    def _give_gone_back(self, prior: Mapping[Key, Billed]) -> list[Charge]:
        """Return the charges that give back what was billed of cycles and periods that are no more."""
        starts = {cycle.start for cycle in self._billed}
        periods = {period.start for period in self._periods}
        found = []
        for key, before in prior.items():
            if before.cycle_end < self.bill.since:
                continue
            if key.kind == "minimum":
                gone = before.cycle_end <= self.bill.period_end and key.cycle_start not in periods
            else:
                gone = key.cycle_start not in starts and not self._cycle_exists(
                    key, before.cycle_end
                )
            if gone:
                found += self._give_back(key, before)
        return found

    def _give_back(self, key: Key, before: Billed) -> list[Charge]:
        """Return what gives back what was billed for days that are none of service any more: a charge, or none."""
        return [self._make.of_nothing(key, before)] if before.stands else []

    def _cycle_exists(self, key: Key, end: date) -> bool:
        """Whether a cycle that was charged is one still; if not, it was charged in advance, or its
        priced days were taken back. One of a price that reaches the account no more is none, though
        another price has a cycle that begins with it.
        """
        return any(key.rule == rule.id for rule in self.feature.rules) and any(
            cycle.cycle.start == key.cycle_start and cycle.is_priced
            for cycle in self._timeline.cycles(key.cycle_start, end)
        )

    def _return_lots(self, prepaid: Prepaid, changed: set[tuple[date, int | None]]) -> list[Draw]:
        """Return draws that give lots back what they paid for days that are rated again and are no
        days of service any more.

        :param changed: (day, level) that have draws already
        """
        return [
            Draw(lot, day, level, -units)
            for (day, level), lots in prepaid.recorded.items()
            if self.bill.since <= day <= self.bill.period_end
            and (day, level) not in changed
            and not self._timeline.is_served(day)
            for lot, units in lots.items()
            if units
        ]
