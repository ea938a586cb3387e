"""Recompute an amount from its frozen trace, without rules or use (law 6)."""

from decimal import Decimal
from fractions import Fraction

from .money import ZERO, exact, round_to


def amount_from_trace(trace):
    """Return the amount of the charge that a trace explains.

    :param dict trace: as stored; every value exact, decimals as strings
    :return Decimal: in the bill's currency, rounded
    """
    with exact():
        rounding = Decimal(trace["rounding"])
        rated = trace["rated"]
        due = _rated_amount(rated, rounding) if rated else ZERO
        return due - Decimal(trace["billed_before"])


def _rated_amount(rated, rounding):
    if rated["kind"] == "minimum":
        missing, least = Decimal(rated["missing_amount"]), Decimal(rated["minimum_amount"])
        return max(missing, least - Decimal(rated["use_amount"])) if least else missing
    if rated["kind"] != "recurring":
        return round_to(Decimal(rated["quantity"]) * Decimal(rated["unit_price"]), rounding)
    fee = Decimal(rated["fee"])
    if not rated["prorated"]:
        return round_to(fee * Decimal(rated["parts"][0]["units"]), rounding)
    days = rated["cycle_days"]
    return sum(
        (
            round_to(Fraction(fee) * Fraction(part["units"]) * part["until"] / days, rounding)
            - round_to(Fraction(fee) * Fraction(part["units"]) * part["before"] / days, rounding)
            for part in rated["parts"]
        ),
        ZERO,
    )
