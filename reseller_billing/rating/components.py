"""Components: the things that are rounded once and billed by difference (rating 4, 18)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from .rules import Rule
from .timeline import Priced, Segment, is_priced


class Key(NamedTuple):
    """What makes a component."""

    cycle_start: date
    rule: int
    kind: str
    level: int | None = None
    tier: int = 0
    flat: bool = False


@dataclass
class Rated:
    """What a component comes to as known now. `quantity` × `unit_price` is exact for use.

    `explanation` is kept with the charge, as JSON. `unbilled`: it has use that no bill has covered.
    """

    rule: Rule
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    explanation: dict[str, Any] = field(default_factory=dict)
    unbilled: bool = False


class Billed(NamedTuple):
    """What earlier bills charged for a component, and the last day of its cycle as the last of them had it."""

    quantity: Decimal
    amount: Decimal
    cycle_end: date

    @property
    def stands(self) -> bool:
        """Whether something of it was not given back."""
        return bool(self.quantity or self.amount)


class Span(NamedTuple):
    """What falls on some days of a charge."""

    first: date
    last: date
    amount: Decimal


def find_canonical(segments: Iterable[Segment]) -> tuple[list[Priced], dict[Rule, Rule]]:
    """Return the priced segments, and {rule: the first rule of the cycle with equal terms}.

    Versions with identical terms are one component, so that they change no amount.
    """
    priced = [segment for segment in segments if is_priced(segment)]
    canonical: dict[Rule, Rule] = {}
    for segment in priced:
        rule = segment.rule
        if rule not in canonical:
            twins = (one for one in canonical.values() if one.terms == rule.terms)
            canonical[rule] = next(twins, rule)
    return priced, canonical
