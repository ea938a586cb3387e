"""The minimum of a billing period (rating 16)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from .account import Bill, Feature
from .components import Rated
from .cycle_use import CycleUse, Shortfall
from .cycles import DAY, Cycle
from .money import ONE, ZERO, digits_unit, round_to
from .proration import share
from .resolution import within
from .rules import Rule
from .timeline import RatedCycle

# Rates the use of a cycle up to a day as another CycleUse of it did, with what is missing.
UseAgain = Callable[[RatedCycle, date, CycleUse, Shortfall | None], CycleUse]


class _Required(NamedTuple):
    """Units and an amount that a period is to come to, by the rule of its last enrolled day."""

    rule: Rule
    day: date
    units: Decimal
    amount: Decimal


@dataclass
class _Counted:
    """What the use of a period comes to."""

    units: Decimal = ZERO
    amount: Decimal = ZERO


class PeriodMinimum:
    """The minimum of one billing period as known now; of one that goes on, that of its days so far.

    :param period: the client's billing cycle
    :param cycles: those of the feature, settled
    :param uses: of each, None where it has not begun
    """

    def __init__(
        self,
        feature: Feature,
        bill: Bill,
        period: Cycle,
        cycles: Sequence[RatedCycle],
        uses: Sequence[CycleUse | None],
        use_again: UseAgain,
    ) -> None:
        self._feature = feature
        self._bill = bill
        self._period = period
        self._last = min(period.last, bill.period_end)
        self._cycles = cycles
        self._touching = [
            (cycle, use)
            for cycle, use in zip(cycles, uses, strict=True)
            if use and cycle.first_served <= self._last and cycle.last_served >= period.start
        ]
        self._use_again = use_again

    def rate(self) -> Rated | None:
        """Return the component of what is missing, or None where there is no minimum."""
        required = self._get_required()
        if not required or not (required.units or required.amount):
            return None
        counted, whole = self._get_counted()
        missing = max(required.units - counted.units, ZERO) if required.units else ZERO
        missing_amount = self._price_shortfall(required, missing, whole) if missing else ZERO
        amount = missing_amount
        if required.amount:
            amount = max(missing_amount, required.amount - counted.amount)
        return Rated(
            required.rule,
            ONE if amount else ZERO,
            amount,
            amount,
            {
                "required": required.units,
                "payable": counted.units,
                "missing": missing,
                "missing_amount": missing_amount,
                "use_amount": counted.amount,
                "minimum_amount": required.amount,
            },
        )

    def _get_required(self) -> _Required | None:
        """Return what the period is to come to; None where nobody is enrolled in it."""
        period, last, rounding = self._period, self._last, self._bill.rounding
        enrolled = [
            (segment.rule, days)
            for cycle in self._cycles
            for segment in cycle.served
            if segment.rule
            for days in within(segment.enrolled, period.start, last)
        ]
        if not enrolled:
            return None
        final, final_days = enrolled[-1]
        if not final.terms.prorated and last == period.last:
            amount = round_to(final.terms.minimum_amount, rounding)
            return _Required(final, final_days.last, final.terms.minimum_quantity, amount)
        unit = digits_unit(self._feature.quantity_digits)
        units = amount = ZERO
        for rule, days in enrolled:
            if rule.terms.prorated or last < period.last:
                units += share(rule.terms.minimum_quantity, days.first, days.last, period, unit)
                amount += share(rule.terms.minimum_amount, days.first, days.last, period, rounding)
        return _Required(final, final_days.last, units, amount)

    def _get_counted(self) -> tuple[_Counted, dict[Cycle, CycleUse]]:
        """Return what the period's use comes to, and of each cycle the use up to the period's last day."""
        counted, whole = _Counted(), {}
        for cycle, use in self._touching:
            upto = use
            if cycle.last_served > self._last:
                upto = self._use_again(cycle, self._last, use, None)
            whole[cycle.cycle] = upto
            counted.units += upto.payable + upto.paid_by_lots
            counted.amount += upto.amount
            if cycle.first_served < self._period.start:
                before = self._use_again(cycle, self._period.start - DAY, use, None)
                counted.units -= before.payable + before.paid_by_lots
                counted.amount -= before.amount
        return counted, whole

    def _price_shortfall(
        self, required: _Required, missing: Decimal, whole: dict[Cycle, CycleUse]
    ) -> Decimal:
        """Return what units more would cost, used on the last enrolled day."""
        cycle, use = next(
            one
            for one in self._touching
            if one[0].first_served <= required.day <= one[0].last_served
        )
        until = min(self._last, cycle.last_served)
        more = self._use_again(cycle, until, use, Shortfall(required.day, missing))
        return more.amount - whole[cycle.cycle].amount
