"""How an amount is shared to the cent: by the largest remainders."""

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction


def share_out(ideals: Sequence[Fraction], total: Decimal, unit: Decimal) -> list[Decimal]:
    """Return amounts, multiples of a unit, near to ideal ones, that add up to a total: the largest remainders
    get what rounding down leaves, of equal ones the first.

    :param ideals: whose sum, rounded to the unit, is the total
    :param total: a multiple of the unit
    :param unit: the currency's rounding
    """
    steps = [ideal / Fraction(unit) for ideal in ideals]
    whole = [math.floor(step) for step in steps]
    left = int(Fraction(total) / Fraction(unit)) - sum(whole)
    order = sorted(range(len(steps)), key=lambda n: (whole[n] - steps[n], n))
    for number in order[:left]:
        whole[number] += 1
    return [unit * number for number in whole]


def share_by(weights: Sequence[Decimal], total: Decimal, unit: Decimal) -> list[Decimal]:
    """Return what of a total goes to each weight, see share_out; below zero, the same as above it (wholesale W15).

    :param weights: not below zero, one at least above it
    """
    whole = sum(map(Fraction, weights), Fraction(0))
    size = abs(total)
    shares = share_out([Fraction(size) * Fraction(one) / whole for one in weights], size, unit)
    return shares if total >= 0 else [-one for one in shares]
