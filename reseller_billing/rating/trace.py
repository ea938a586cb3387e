"""Recompute an amount from its frozen trace, without rules or use (law 6)."""

from datetime import date
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


def unserved_from_trace(trace, day):
    """Return what part of a recurring fee is for days after a day, for deferral.

    A fee that applies whole is divided by the days of its service.

    :param dict trace: of a recurring charge, as stored
    :param date day: the last day that counts as served
    :return Decimal: in the bill's currency, rounded; zero for what is not due any more
    """
    rated = trace["rated"]
    if not rated or "parts" not in rated:
        return ZERO
    with exact():
        rounding = Decimal(trace["rounding"])
        total = _rated_amount(rated, rounding)
        served = {**rated, "parts": []}
        days = 0
        for part in rated["parts"]:
            first = date.fromisoformat(part["first"])
            span = part["until"] - part["before"]
            kept = min(max((day - first).days + 1, 0), span)
            days += kept
            if kept:
                served["parts"].append({**part, "until": part["before"] + kept})
        if rated["prorated"]:
            return total - _rated_amount(served, rounding)
        whole = sum(part["until"] - part["before"] for part in rated["parts"])
        return total - round_to(Fraction(total) * days / whole, rounding)


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
