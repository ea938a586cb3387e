"""What a charge's trace keeps, and what can be computed from it alone (law 6)."""

from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .money import ZERO, exact, round_to, text
from .proration import Part, prorate

# What is JSON already.
PLAIN = frozenset((str, int, bool, type(None)))


def plain(value: Any) -> Any:
    """Return a value as JSON: decimals as exact strings, days as ISO dates.

    Of a dataclass the fields that differ from their defaults.
    """
    kind = type(value)
    if kind is Decimal:
        return text(value)
    if kind in PLAIN:
        return value
    match value:
        case dict():
            return {key: plain(one) for key, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case Decimal():
            return text(value)
        case date():
            return value.isoformat()
    if is_dataclass(value):
        found = {one.name: (getattr(value, one.name), one.default) for one in fields(value)}
        return {name: plain(now) for name, (now, default) in found.items() if now != default}
    return value


def amount_from_trace(trace: dict[str, Any]) -> Decimal:
    """Return the amount of the charge that a trace explains.

    :param trace: as stored; every value exact, decimals as strings
    :return: in the bill's currency, rounded
    """
    with exact():
        rounding = Decimal(trace["rounding"])
        rated = trace["rated"]
        due = _rated_amount(rated, rounding) if rated else ZERO
        return due - Decimal(trace["billed_before"])


def unserved_from_trace(trace: dict[str, Any], day: date) -> Decimal:
    """Return what part of a recurring fee is for days after a day, for deferral.

    A fee that applies whole is divided by the days of its service.

    :param trace: of a recurring charge, as stored
    :param day: the last day that counts as served
    :return: in the bill's currency, rounded; zero for what is not due any more
    """
    rated = trace["rated"]
    if not rated or "parts" not in rated:
        return ZERO
    with exact():
        rounding = Decimal(trace["rounding"])
        total = _rated_amount(rated, rounding)
        served: dict[str, Any] = {**rated, "parts": []}
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


def _rated_amount(rated: dict[str, Any], rounding: Decimal) -> Decimal:
    if rated["kind"] == "minimum":
        missing, least = Decimal(rated["missing_amount"]), Decimal(rated["minimum_amount"])
        return max(missing, least - Decimal(rated["use_amount"])) if least else missing
    if rated["kind"] != "recurring":
        return round_to(Decimal(rated["quantity"]) * Decimal(rated["unit_price"]), rounding)
    fee = Decimal(rated["fee"])
    if not rated["prorated"]:
        return round_to(fee * Decimal(rated["parts"][0]["units"]), rounding)
    parts = [Part(part["before"], part["until"], part["units"]) for part in rated["parts"]]
    return prorate(fee, parts, rated["cycle_days"], rounding)
