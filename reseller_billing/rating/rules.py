"""What a price rule, a membership and an enrolment say."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from .cycles import Interval
from .money import ZERO
from .trace import plain


@dataclass(frozen=True)
class Tier:
    """A step of graduated or volume pricing: up to `up_to` units, inclusive; None for no end."""

    up_to: Decimal | None
    unit_price: Decimal
    flat_fee: Decimal = ZERO


@dataclass(frozen=True)
class LevelTerms:
    """A price level's own unit price and own allotment; None where the rule's serves."""

    level: int
    unit_price: Decimal | None
    included: Decimal | None = None


@dataclass(frozen=True)
class Terms:
    """Everything that a rule says of money; two rules with equal terms price alike."""

    recurring_fee: Decimal = ZERO
    in_advance: bool = True
    advance_cycles: int = 1
    refund_on_close: bool = True
    interval: Interval | None = None
    enrolment: str = "automatic"
    trial_days: int = 0
    setup_fee: Decimal = ZERO
    bonus: Decimal = ZERO
    bonus_days: int | None = None
    included: Decimal = ZERO
    rollover_cycles: int = 0
    model: str = "per_unit"
    unit_price: Decimal = ZERO
    package_size: Decimal = Decimal(1)
    tiers: tuple[Tier, ...] = ()
    levels: tuple[LevelTerms, ...] = ()
    minimum_quantity: Decimal = ZERO
    minimum_amount: Decimal = ZERO
    prorated: bool = True

    def level(self, level: int) -> LevelTerms | None:
        """Return the LevelTerms of a price level, or None."""
        return next((terms for terms in self.levels if terms.level == level), None)

    def has_price(self, level: int | None = None) -> bool:
        """Whether use beyond the free units costs anything, at a price level."""
        own = self.level(level) if level is not None else None
        if own and own.unit_price is not None:
            return bool(own.unit_price)
        if self.model in ("graduated", "volume"):
            return any(tier.unit_price or tier.flat_fee for tier in self.tiers)
        return self.model != "unlimited" and bool(self.unit_price)

    @property
    def counter(self) -> tuple[str, Decimal | None]:
        """What must stay the same for a cycle's counts to run on (rating 3)."""
        return self.model, self.package_size if self.model == "package" else None

    @property
    def has_allotment(self) -> bool:
        """Whether units are included."""
        return bool(self.included) or any(terms.included for terms in self.levels)

    @property
    def has_minimum(self) -> bool:
        """Whether a billing period has a minimum."""
        return bool(self.minimum_quantity or self.minimum_amount)

    @property
    def has_once(self) -> bool:
        """Whether something is given or due once ever (rating 7)."""
        return bool(self.trial_days or self.setup_fee or self.bonus)

    @property
    def fee_is_whole(self) -> bool:
        """Whether the fee of a cycle is not divided by days."""
        return not self.prorated or self.enrolment == "on_use"


@dataclass(frozen=True, eq=False)
class Rule:
    """Terms at a scope, valid on inclusive days; rank 0 default, 1 reseller, 2 group, 3 client.

    `maximum`, whether it `blocks`, `locked_when_owing` and the refill (units, price, threshold; units
    of zero: none) are no part of the terms: they say what may be used, and change no amount.
    """

    id: int
    terms: Terms
    rank: int = 0
    scope: int = 0
    date_from: date | None = None
    date_to: date | None = None
    maximum: Decimal | None = None
    blocks: bool = False
    locked_when_owing: bool = False
    refill_units: Decimal = ZERO
    refill_price: Decimal = ZERO
    refill_threshold: Decimal = ZERO

    @cached_property
    def frozen(self) -> dict[str, Any]:
        """What a charge's trace keeps of this rule: id, rank, maximum, and its terms, as JSON."""
        return {
            "id": self.id,
            "rank": self.rank,
            "maximum": plain(self.maximum),
            "terms": plain(self.terms),
        }

    def valid_on(self, day: date) -> bool:
        """Whether this holds on a day."""
        return (self.date_from is None or self.date_from <= day) and (
            self.date_to is None or day <= self.date_to
        )


@dataclass(frozen=True)
class Membership:
    """Days of service in one group; `anchor` is where cycles are counted from, `interval` the client's.

    Cycles begin anew with a row of another anchor or interval. Nothing is enrolled on paused days. Days
    that no row holds are closed.
    """

    date_from: date
    date_to: date | None
    group: int | None
    anchor: date
    interval: Interval
    paused: bool = False

    @property
    def base(self) -> tuple[date, Interval]:
        """What cycles are counted by: rows of the same go on with them."""
        return self.anchor, self.interval


@dataclass(frozen=True)
class Enrolment:
    """A dated quantity of one feature; zero switches an automatic feature off."""

    date_from: date
    date_to: date | None
    quantity: Decimal
