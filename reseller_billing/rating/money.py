"""Exact arithmetic and the one place that rounds."""

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, localcontext
from fractions import Fraction

# Sums and products of decimals are finite; an operation that would lose a digit raises instead.
EXACT = Context(prec=400, Emax=9999, Emin=-9999, traps=[Inexact, InvalidOperation, DivisionByZero])
ZERO = Decimal(0)
HALF = Fraction(1, 2)


def exact_of(number):
    """Return the Decimal that a float stands for, as Odoo hands it out: its shortest decimal text."""
    return Decimal(repr(number))


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


def prorate(value, parts, days, unit):
    """Return what of a value for each unit and cycle falls on parts of a cycle (rating 17, 19).

    Parts without days between them are rounded together, as the difference of two running totals, so
    that the shares of several components always add up to the whole.

    :param value: a Decimal, for one unit on all days of the cycle
    :param parts: in order: (days of the cycle before it, and up to its end, units)
    :param int days: the days of the cycle
    :param Decimal unit: the currency's rounding
    :return Decimal: rounded
    """
    total, reached = ZERO, None
    before = upto = Fraction(0)
    for begin, end, units in parts:
        rate = Fraction(value) * Fraction(units) / days
        if begin != reached:
            total += round_to(upto, unit) - round_to(before, unit)
            before = upto = rate * begin
        upto += rate * (end - begin)
        reached = end
    return total + round_to(upto, unit) - round_to(before, unit)


def quotient(amount, quantity, digits=12):
    """Return amount / quantity as a Decimal, or zero where so many digits do not hold it exactly."""
    scaled = Fraction(amount) / Fraction(quantity) * 10**digits if quantity else Fraction(0)
    return Decimal(scaled.numerator).scaleb(-digits) if scaled.denominator == 1 else ZERO


def digits_unit(digits):
    """Return the unit that a number of decimal places stands for: 2 gives 0.01."""
    return Decimal(1).scaleb(-digits)


def text(value):
    """Return a decimal in plain notation, without trailing zeros, for traces and labels."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
