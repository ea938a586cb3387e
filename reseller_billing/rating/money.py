"""Exact arithmetic and the one place that rounds."""

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, localcontext
from fractions import Fraction

# Sums and products of decimals are finite; an operation that would lose a digit raises instead.
EXACT = Context(prec=400, Emax=9999, Emin=-9999, traps=[Inexact, InvalidOperation, DivisionByZero])
ZERO = Decimal(0)
HALF = Fraction(1, 2)


def exact():
    """Return a context manager under which decimal arithmetic never rounds, but raises."""
    return localcontext(EXACT)


def round_to(value, unit):
    """Round to the nearest multiple of `unit`, half away from zero (rating 19).

    :param value: a Decimal, a Fraction or an int
    :param Decimal unit: the currency's rounding, or the smallest quantity; above zero
    :return Decimal: an exact multiple of `unit`
    """
    steps = Fraction(value) / Fraction(unit)
    whole = int(abs(steps) + HALF)
    return unit * (whole if steps >= 0 else -whole)


def digits_unit(digits):
    """Return the unit that a number of decimal places stands for: 2 gives 0.01."""
    return Decimal(1).scaleb(-digits)


def text(value):
    """Return a decimal in plain notation, without trailing zeros, for traces and labels."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
