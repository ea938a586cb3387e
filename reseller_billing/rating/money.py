"""Exact arithmetic and the one place that rounds."""

from contextlib import AbstractContextManager
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, localcontext
from fractions import Fraction

# Sums and products of decimals are finite; an operation that would lose a digit raises instead.
EXACT = Context(prec=400, Emax=9999, Emin=-9999, traps=[Inexact, InvalidOperation, DivisionByZero])
ZERO = Decimal(0)
ONE = Decimal(1)
HALF = Fraction(1, 2)


def exact_of(number: float) -> Decimal:
    """Return the Decimal that a float stands for, as Odoo hands it out: its shortest decimal text."""
    return Decimal(repr(number))


def exact() -> AbstractContextManager[Context]:
    """Return a context manager under which decimal arithmetic never rounds, but raises."""
    return localcontext(EXACT)


def round_to(value: Decimal | Fraction | int, unit: Decimal) -> Decimal:
    """Round to the nearest multiple of `unit`, half away from zero (rating 19).

    :param unit: the currency's rounding, or the smallest quantity; above zero
    :return: an exact multiple of `unit`
    """
    if isinstance(value, Decimal):
        # As exact, and many times faster.
        times, rest = EXACT.divmod(value.copy_abs(), unit)
        number = int(times) + (EXACT.add(rest, rest) >= unit)
        return unit * (-number if value < 0 else number)
    steps = Fraction(value) / Fraction(unit)
    whole = int(abs(steps) + HALF)
    return unit * (whole if steps >= 0 else -whole)


def quotient(amount: Decimal, quantity: Decimal, digits: int = 12) -> Decimal:
    """Return amount / quantity as a Decimal, or zero where so many digits do not hold it exactly."""
    scaled = Fraction(amount) / Fraction(quantity) * 10**digits if quantity else Fraction(0)
    return Decimal(scaled.numerator).scaleb(-digits) if scaled.denominator == 1 else ZERO


def digits_unit(digits: int) -> Decimal:
    """Return the unit that a number of decimal places stands for: 2 gives 0.01."""
    return Decimal(1).scaleb(-digits)


def text(value: Decimal) -> str:
    """Return a decimal in plain notation, without trailing zeros, for traces and labels."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
