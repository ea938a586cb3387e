"""What a price rule, a membership and an enrolment say."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from .cycles import Interval
from .money import ZERO


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
    interval: Interval | None = None
    automatic: bool = True
    included: Decimal = ZERO
    model: str = "per_unit"
    unit_price: Decimal = ZERO
    package_size: Decimal = Decimal(1)
    tiers: tuple[Tier, ...] = ()
    levels: tuple[LevelTerms, ...] = ()
    prorated: bool = True

    def level(self, level):
        """Return the LevelTerms of a price level, or None."""
        return next((terms for terms in self.levels if terms.level == level), None)

    @property
    def counter(self):
        """What must stay the same for a cycle's counts to run on (rating 3)."""
        return self.model, self.package_size if self.model == "package" else None

    @property
    def has_allotment(self):
        return bool(self.included) or any(terms.included for terms in self.levels)


@dataclass(frozen=True, eq=False)
class Rule:
    """Terms at a scope, valid on inclusive days; rank 0 default, 1 reseller, 2 group, 3 client."""

    id: int
    terms: Terms
    rank: int = 0
    scope: int = 0
    date_from: date | None = None
    date_to: date | None = None

    def valid_on(self, day):
        return (self.date_from is None or self.date_from <= day) and (
            self.date_to is None or day <= self.date_to
        )


@dataclass(frozen=True)
class Membership:
    """Days of service in one group; `anchor` is where cycles are counted from."""

    date_from: date
    date_to: date | None
    group: int | None
    anchor: date


@dataclass(frozen=True)
class Enrolment:
    """A dated quantity of one feature; zero switches an automatic feature off."""

    date_from: date
    date_to: date | None
    quantity: Decimal
