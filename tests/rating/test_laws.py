"""Laws of the core for random histories, against an oracle that prices unit by unit."""

import os
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from unittest import mock

import pytest
import rating
from histories import BOOLEANS, KNOWN, draw_life, histories, on, play
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from strategies import days, integers, sample

pytestmark = pytest.mark.laws

# Some 10,000 in all.
HISTORIES = int(os.environ.get("RB_HISTORIES", "2781"))

PLAIN = {
    "fee": "0",
    "advance": False,
    "advance_cycles": 1,
    "refund": True,
    "interval": None,
    "enrolment": "automatic",
    "trial": 0,
    "setup": "0",
    "bonus": 0,
    "bonus_days": 0,
    "included": 0,
    "rollover": 0,
    "model": "per_unit",
    "price": "0",
    "size": 1,
    "levels": {},
    "min_quantity": 0,
    "min_amount": "0",
    "prorated": True,
}
# Three weeks' fees are paid ahead and not given back; of the second week no day is served.
KEPT_FEE = (
    (1, "month"),
    "sum",
    [
        {
            **PLAIN,
            "fee": "0.01",
            "advance": True,
            "advance_cycles": 3,
            "refund": False,
            "interval": (1, "week"),
            "model": "unlimited",
            "tiers": [],
            "rank": 0,
            "scope": 1,
            "from": None,
            "to": None,
        }
    ],
    [
        (0, 2, None, False, 0, (1, "month")),
        (14, 14, None, False, 14, (1, "month")),
        (15, None, None, False, 14, (1, "month")),
    ],
    [],
    [],
    0,
    1,
    3,
)

law = settings(
    max_examples=HISTORIES // 3,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=bool(os.environ.get("CI")),
)


@pytest.mark.parametrize("known", KNOWN)
@law
@example(history=KEPT_FEE)
@given(history=histories())
def test_all_bills_of_a_cycle_add_up_to_its_rating(known, history):
    check_additivity(history, known)


FOCUS = {
    # Units that cycles hand on: little is paid unless a lot is used up, lapses or comes back.
    "carried over": {
        "fee": sample("0"),
        "included": sample(5, 20),
        "rollover": sample(1, 2, 3),
        "bonus": sample(0, 15),
        "model": sample("per_unit", "graduated", "volume"),
        "enrolment": sample("automatic", "automatic", "opt_in", "on_use"),
        "price": sample("1"),
        "levels": st.sampled_from([{}, {7: (None, 3)}]),
        "min_quantity": sample(0, 12),
        "trial": sample(0, 5),
        "prorated": sample(True, True, False),
    },
    # Fees paid ahead, when prices change, accounts close and reopen.
    "paid ahead": {
        "fee": sample("10", "9.99"),
        "advance": sample(True),
        "advance_cycles": sample(1, 2, 3, 4),
        "refund": sample(False, True),
        "enrolment": sample("automatic"),
        "setup": sample("0", "7.77"),
        "trial": sample(0, 5),
        "prorated": sample(True, True, False),
    },
}


# How many events there are: at least and at most.
FOCUSED_EVENTS = {
    focus: st.lists(
        st.tuples(
            integers(0, 99),
            sample(None, None, None, 7),
            st.one_of(integers(1, 30), integers(1, 30), integers(-15, -1)),
            integers(0, 10),
            sample(None, None, None, 2),
        ),
        min_size=least,
        max_size=most,
    )
    for focus, least, most in (("carried over", 5, 20), ("paid ahead", 0, 3))
}


@st.composite
def focused_histories(draw, focus):
    """Histories with few options, short cycles and much use, so that those options matter."""
    interval = draw(sample((10, "day"), (2, "week"), (1, "month")))

    def version():
        terms = {**PLAIN, **{name: draw(of) for name, of in FOCUS[focus].items()}}
        graded = terms["model"] in ("graduated", "volume")
        terms["tiers"] = [(8, "2", "0"), (None, "1", "0")] if graded else []
        return terms

    cuts = sorted(draw(days(1, 80, 1)))
    terms = version()
    rules, since = [], None
    for cut in [*cuts, None]:
        rules.append({**terms, "rank": 0, "scope": 1, "from": since, "to": cut})
        since = cut + 1 if cut is not None else None
        terms = version() if draw(BOOLEANS) else terms
    enrolments = []
    if draw(BOOLEANS):
        first = draw(integers(0, 60))
        last = first + draw(integers(0, 40))
        enrolments.append((first, last, draw(sample(0, 1, 2))))
    events = draw(FOCUSED_EVENTS[focus])
    return interval, "sum", rules, draw_life(draw, interval), enrolments, events, 0, 1, 0


FOCUSED = {focus: focused_histories(focus) for focus in FOCUS}


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("focus", FOCUS)
@settings(law, max_examples=HISTORIES // 6)
@given(data=st.data())
def test_all_bills_add_up_where_cycles_are_linked(focus, known, data):
    check_additivity(data.draw(FOCUSED[focus]), known)


@settings(law, max_examples=HISTORIES // 6)
@given(history=histories(), since=sample(0, 3, 20), until=st.integers(0, 80))
def test_all_bills_add_up_where_a_trial_is_extended(history, since, until):
    # In each there is one to extend, or that was over before.
    rules = [{**rule, "trial": 5} for rule in history[2]]
    extended = on(since), on(until)
    check_additivity((*history[:2], rules, *history[3:]), "from the start", extended)


def check_additivity(history, known, extended=None):
    """Bill a history, and compare the sums of the bills with the oracle's rating."""
    played = play(history, known, extended)
    if not played:
        return
    account, expected = played
    billed = defaultdict(int)
    for charge in account.charges:
        kind = "minimum" if charge.key.kind == "minimum" else "cycle"
        billed[kind, charge.key.cycle_start] += int(charge.amount * 100)
        # Explanation: the trace alone recomputes the amount.
        assert rating.amount_from_trace(charge.trace) == charge.amount
    for charge, bill in zip(account.charges, account.bills, strict=True):
        # Days that a closing takes back later were served when they were billed.
        rows = account.believed if known == "dated back" else account.memberships
        check_days(charge, bill, rows)
    assert {key: amount for key, amount in billed.items() if amount} == expected


def check_days(charge, bill, memberships):
    """A charge of use names days of service, and says of a bill that closed them whether it did."""

    def served(day):
        return any(
            row.date_from <= day and (row.date_to is None or day <= row.date_to)
            for row in memberships
        )

    if charge.closed:
        assert charge.closed < bill.period_start
        assert served(charge.closed)
    if charge.key.kind in ("usage", "overage"):
        assert charge.first <= charge.last
        assert served(charge.first) or served(charge.last)
        assert bool(charge.closed) == (charge.last < bill.period_start)


@settings(law, max_examples=HISTORIES // 10)
@given(history=histories())
def test_a_further_bill_without_new_use_changes_no_closed_cycle(history):
    played = play(history, "from the start")
    if not played:
        return
    account, _expected = played
    closed = account.billed_until
    charges = account.bill()
    assert [
        charge
        for charge in charges
        if charge.cycle_end <= closed and charge.amount and charge.key.kind != "minimum"
    ] == []


@settings(law, max_examples=HISTORIES // 5)
@given(history=histories(), known=sample(*KNOWN))
def test_days_that_are_walked_through_together_come_to_what_they_come_to_one_by_one(history, known):
    together = play(history, known)
    with mock.patch("rating.cycle_use.join_days", lambda use, segments: use.rows):
        one_by_one = play(history, known)
    assert bool(together) == bool(one_by_one)
    if together:
        assert together[0].charges == one_by_one[0].charges


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40),
    st.sampled_from(["1", "0.01", "0.05", "0.001", "1E-12", "0.25", "5"]),
)
def test_decimals_are_rounded_as_fractions_are(value, unit):
    unit = Decimal(unit)
    with rating.exact():
        rounded = rating.round_to(value, unit)
        # By hand: half away from zero, in fractions.
        steps = abs(Fraction(value)) / Fraction(unit)
        whole = (2 * steps + 1) // 2
        assert Fraction(rounded) == (-1 if value < 0 else 1) * whole * Fraction(unit)
        # The text is that of the unit's digits, which traces keep.
        assert rounded.as_tuple().exponent == unit.as_tuple().exponent
        assert str(rounded) == str(rating.round_to(Fraction(value), unit))
