"""How an amount is shared to the cent: by the largest remainders."""

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from .money import EXACT


def share_out(ideals: Sequence[Fraction], total: Decimal, unit: Decimal) -> list[Decimal]:
    """Return amounts, multiples of a unit, near to ideal ones, that add up to a total: the largest remainders
    get what rounding down leaves, of equal ones the first.

    :param ideals: whose sum, rounded to the unit, is the total
    :param total: a multiple of the unit
    :param unit: the currency's rounding
    """
    steps = [ideal / Fraction(unit) for ideal in ideals]
    whole = [math.floor(step) for step in steps]
    rests = [step - number for step, number in zip(steps, whole, strict=True)]
    return _hand_out(whole, rests, int(Fraction(total) / Fraction(unit)), unit)


def share_by(weights: Sequence[Decimal], total: Decimal, unit: Decimal) -> list[Decimal]:
    """Return what of a total goes to each weight, see share_out; below zero, the same as above it (wholesale W15).

    :param weights: not below zero, one at least above it
    """
    # In whole numbers, many times faster than in fractions.
    digits = max(0, *(-int(one.as_tuple().exponent) for one in weights))
    numbers = [int(EXACT.scaleb(one, digits)) for one in weights]
    steps, everything = int(Fraction(abs(total)) / Fraction(unit)), sum(numbers)
    parts = [divmod(steps * number, everything) for number in numbers]
    shares = _hand_out([part[0] for part in parts], [part[1] for part in parts], steps, unit)
    return shares if total >= 0 else [-one for one in shares]


def _hand_out(
    whole: list[int], rests: Sequence[Fraction | int], steps: int, unit: Decimal
) -> list[Decimal]:
    order = sorted(range(len(whole)), key=lambda n: (-rests[n], n))
    for number in order[: steps - sum(whole)]:
        whole[number] += 1
    return [unit * number for number in whole]
