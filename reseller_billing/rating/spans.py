"""What falls on the days between changes of a tax rate, of use that one charge bills (rating 26)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from .account import Bill
from .charges import Charge
from .components import Key, Rated, Span
from .cycle_use import CycleUse
from .cycles import DAY
from .money import ZERO, round_to
from .timeline import RatedCycle


class Division:
    """Divides the charges of a bill: each span has what its days add to what is due of the cycle, less what
    earlier bills had for it.

    :param cycles: those that the bill rates
    :param rate: rates the use of these cycles up to a day
    :param known: the spans of earlier bills
    """

    def __init__(
        self,
        bill: Bill,
        cycles: Sequence[RatedCycle],
        rate: Callable[[date], Sequence[CycleUse | None]],
        known: Mapping[Key, Sequence[Span]],
    ) -> None:
        self._bill = bill
        self._cycles = {cycle.cycle.start: (number, cycle) for number, cycle in enumerate(cycles)}
        self._rate = rate
        self._known = known
        self._rated: dict[date, Sequence[CycleUse | None]] = {}

    def divide(self, charge: Charge) -> Charge:
        """Return a charge with its spans, where a cut divides it."""
        key = charge.key
        if key.kind not in ("usage", "overage") or key.flat or key.cycle_start not in self._cycles:
            return charge
        _number, cycle = self._cycles[key.cycle_start]
        end = min(cycle.last_served, self._bill.period_end)
        # What a bill has taxed whole, before the change was known, stays whole.
        known = self._known.get(key, ())
        cuts = [
            cut
            for cut in self._bill.cuts
            if cycle.first_served < cut <= end
            and not any(first < cut <= last for first, last, amount in known if amount)
        ]
        if not cuts:
            return charge
        firsts = [cycle.first_served, *cuts]
        lasts = [*(cut - DAY for cut in cuts), end]
        until, spans = ZERO, []
        for first, last in zip(firsts, lasts, strict=True):
            amount = self._get_due(key, self._bill.period_end if last == end else last) - until
            until += amount
            amount -= sum(
                (
                    span.amount
                    for span in known
                    if (span.last >= first or first == firsts[0])
                    and (span.last <= last or last == lasts[-1])
                ),
                ZERO,
            )
            if amount:
                begin, close = max(first, charge.first), min(last, charge.last)
                shown = (begin, close) if begin <= close else (first, last)
                spans.append(Span(*shown, amount))
        return replace(charge, spans=tuple(spans))

    def _get_components(self, key: Key, last: date) -> dict[Key, Rated]:
        """Return what the cycle of a component comes to by a day."""
        if last not in self._rated:
            self._rated[last] = self._rate(last)
        use = self._rated[last][self._cycles[key.cycle_start][0]]
        return use.components if use else {}

    def _get_due(self, key: Key, last: date) -> Decimal:
        """Return what is due of a component by a day."""
        found = self._get_components(key, last)
        whole = self._get_components(key, self._bill.period_end).get(key)
        if not whole:
            return ZERO
        if whole.quantity and whole.rule.terms.model == "volume":
            # All units of a cycle have the price of its last tier: each day has its units of them.
            units = sum(
                (
                    one.quantity
                    for other, one in found.items()
                    if other._replace(tier=key.tier) == key
                ),
                ZERO,
            )
            part = Fraction(whole.amount) * Fraction(units) / Fraction(whole.quantity)
            return round_to(part, self._bill.rounding)
        return found[key].amount if key in found else ZERO
