"""Pricing models: how payable units become quantities at a price (rating 13 to 15).

A model counts the units of one counter that are no component of their level's own. To add one: a class with
its `name`, and its line in `MODELS`. Units are priced at a rule's `unit_price`, as `Terms.has_price` sees them,
and what falls on days between changes of a tax rate is the difference of running totals, see `spans`.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from .money import ZERO
from .rules import Rule, Tier

# Units by rule, the level whose use is counted apart (None: the others), and number of the tier.
Quantities = defaultdict[tuple[Rule, int | None, int], Decimal]


class PricingModel:
    """What all models share: each unit has the price of its rule."""

    name: str
    # Whether each level's use is a component of its own, of which `enter` does not hear.
    counts_levels = False
    # Whether use costs nothing.
    is_free = False
    # The tier in which use that comes to nothing is shown.
    first_tier = 0

    def __init__(self, quantities: Quantities) -> None:
        self.quantities = quantities
        # Payable units so far, where what they come to rests on how many there are.
        self.position = ZERO

    def enter(self, rule: Rule, change: Decimal) -> None:
        """Add payable units of a rule, or take some off."""
        self.quantities[rule, None, 0] += change

    def enter_without_use(self, rule: Rule | None) -> None:
        """End the use of a counter: enrolled days enter the first tier without any (rating 15).

        :param rule: of the first enrolled days; None where there are none
        """

    def get_price(self, rule: Rule, tier: int) -> tuple[int, Decimal]:
        """Return the tier and unit price of units, in the end.

        :param tier: as in `quantities`
        """
        return tier, rule.terms.unit_price

    def get_flat_fees(self) -> Iterable[tuple[Rule, int]]:
        """Return the tiers that were reached, with the rules whose flat fee is due for them."""
        return ()


class Unlimited(PricingModel):
    """Use costs nothing."""

    name = "unlimited"
    is_free = True

    def enter(self, rule: Rule, change: Decimal) -> None:
        """Override: nothing is billed."""

    def get_price(self, rule: Rule, tier: int) -> tuple[int, Decimal]:
        """Override: for nothing."""
        return tier, ZERO


class PerUnit(PricingModel):
    """Each unit has the price of its rule, for each level."""

    name = "per_unit"
    counts_levels = True


class Package(PricingModel):
    """Packages of units; one that is begun is paid."""

    name = "package"

    def enter(self, rule: Rule, change: Decimal) -> None:
        """Override: the packages that the units begin."""
        before, after = self.position, self.position + change
        self.position = after
        size = rule.terms.package_size
        self.quantities[rule, None, 0] += _packages(after, size) - _packages(before, size)


class Graduated(PricingModel):
    """Each unit has the price of the tier that it is in."""

    name = "graduated"
    first_tier = 1

    def __init__(self, quantities: Quantities) -> None:
        super().__init__(quantities)
        self._entered: list[
            tuple[int, Rule, Decimal]
        ] = []  # tier, rule, position it was entered at

    def enter(self, rule: Rule, change: Decimal) -> None:
        """Override: the units of each tier."""
        before, after = self.position, self.position + change
        self.position = after
        low = ZERO
        for number, tier in enumerate(rule.terms.tiers, 1):
            units = _within(after, low, tier.up_to) - _within(before, low, tier.up_to)
            self.quantities[rule, None, number] += units
            if after > low and number > len(self._entered):
                self._entered.append((number, rule, low))
            if tier.up_to is None:
                break
            low = tier.up_to
        while self._entered and after <= self._entered[-1][2]:
            self._entered.pop()

    def enter_without_use(self, rule: Rule | None) -> None:
        """Override: the first tier is entered."""
        if rule and not self._entered:
            self._entered.append((1, rule, ZERO))

    def get_price(self, rule: Rule, tier: int) -> tuple[int, Decimal]:
        """Override: the tier's."""
        return tier, rule.terms.tiers[tier - 1].unit_price

    def get_flat_fees(self) -> Iterable[tuple[Rule, int]]:
        """Override: of each tier that was entered."""
        return [(rule, number) for number, rule, _position in self._entered]


class Volume(PricingModel):
    """All units have the price of the tier that they reach together."""

    name = "volume"

    def __init__(self, quantities: Quantities) -> None:
        super().__init__(quantities)
        self.last_rule: Rule | None = None  # of the last units

    def enter(self, rule: Rule, change: Decimal) -> None:
        """Override: which tier it is, their sum will tell."""
        self.position += change
        self.last_rule = rule
        self.quantities[rule, None, 0] += change

    def enter_without_use(self, rule: Rule | None) -> None:
        """Override: the first tier, whose flat fee is due."""
        if rule:
            self.last_rule = self.last_rule or rule
        elif not self.position:
            self.last_rule = None

    def get_price(self, rule: Rule, tier: int) -> tuple[int, Decimal]:
        """Override: of the tier of the sum."""
        number, reached = _tier_of(rule.terms.tiers, self.position)
        return number, reached.unit_price

    def get_flat_fees(self) -> Iterable[tuple[Rule, int]]:
        """Override: of the tier of the sum."""
        if not self.last_rule:
            return ()
        return [(self.last_rule, _tier_of(self.last_rule.terms.tiers, self.position)[0])]


MODELS: dict[str, type[PricingModel]] = {
    model.name: model for model in (Unlimited, PerUnit, Package, Graduated, Volume)
}


def _packages(units: Decimal, size: Decimal) -> Decimal:
    """The packages started by a number of units; none by zero (rating 15)."""
    return units // size + bool(units % size) if units > 0 else ZERO


def _within(position: Decimal, low: Decimal, high: Decimal | None) -> Decimal:
    """How many of the first `position` units lie above `low`, up to `high`."""
    top = position if high is None else min(position, high)
    return max(top - low, ZERO)


def _tier_of(tiers: tuple[Tier, ...], total: Decimal) -> tuple[int, Tier]:
    """Return (number, tier) of the tier that a total falls in; its bound belongs to it."""
    for number, tier in enumerate(tiers, 1):
        if tier.up_to is None or total <= tier.up_to:
            return number, tier
    return len(tiers), tiers[-1]
