"""Use is taxed by its day: charges of cycles in which a rate changes are divided (rating 26)."""

import pytest
import rating
from account import Account, day, spans_of, terms, total
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rating.rules import Rule
from strategies import integers, sample


def price(**values):
    return Rule(1, terms(**values), 0, 0)


def shown(charges):
    """Return [(first, last, amount)] of the spans of charges, as text."""
    return [
        (f"{first:%m-%d}", f"{last:%m-%d}", str(amount))
        for charge in charges
        for first, last, amount in charge.spans
    ]


def test_free_units_are_used_in_the_order_of_days():
    account = Account(price(unit_price="1", included="100"), interval=(2, "month"))
    account.cuts = (day("02-01"),)
    account.use("01-20", 90)
    account.use("02-10", 60)
    account.bill()
    [charge] = account.bill()
    # Of 150 units 100 are free, all but ten of them in January.
    assert str(charge.amount) == "50.00"
    assert shown([charge]) == [("02-01", "02-29", "50.00")]


def test_what_is_used_before_and_after_is_told_apart():
    account = Account(price(unit_price="0.333"), interval=(2, "month"))
    account.cuts = (day("01-16"), day("02-16"))
    for when, quantity in (("01-15", 5), ("01-16", 7), ("02-20", 1)):
        account.use(when, quantity)
    account.bill()
    # 5 → 1.665 → 1.67; 12 → 4.00 (3.996); 13 → 4.33 (4.329).
    [charge] = account.bill()
    assert shown([charge]) == [
        ("01-01", "01-15", "1.67"),
        ("01-16", "02-15", "2.33"),
        ("02-16", "02-29", "0.33"),
    ]
    # Late use of the first days has their tax, though it comes with the next bill.
    account.use("01-02", 3)
    charges = account.bill()
    # 8 → 2.664 → 2.66; 15 → 4.995 → 5.00, 2.34 of them after; 16 → 5.328 → 5.33, 0.33 after.
    assert shown(charges) == [("01-01", "01-15", "0.99"), ("01-16", "02-15", "0.01")]


def test_units_at_the_price_of_the_last_tier_are_each_of_their_day():
    tiers = [("10", "1", "0"), (None, "0.5", "0")]
    account = Account(price(model="volume", tiers=tiers), interval=(2, "month"))
    account.cuts = (day("02-01"),)
    account.use("01-31", 4)
    account.use("02-01", 8)
    account.bill()
    # Twelve at 0.50, four of them in January.
    assert shown(account.bill()) == [("01-01", "01-31", "2.00"), ("02-01", "02-29", "4.00")]


def test_what_no_change_touches_stays_whole():
    account = Account(price(unit_price="1"))
    account.cuts = (day("02-01"), day("03-15"))
    account.use("01-31", 1)
    account.use("02-01", 1)
    account.bill()
    assert [charge.spans for charge in account.bill_until("03-01")] == [()]


def test_what_was_taxed_whole_stays_whole():
    """The change becomes known after a bill across its day."""
    account = Account(price(unit_price="1"), interval=(2, "month"))
    account.use("01-15", 80)
    account.use("02-10", 30)
    account.bill()
    assert shown(account.bill()) == []
    account.cuts = (day("02-01"),)
    account.use("02-11", 5)
    [charge] = [one for one in account.bill() if one.amount]
    assert (str(charge.amount), charge.spans) == ("5.00", ())


EVENTS = st.lists(
    st.tuples(integers(0, 59), integers(1, 30), integers(0, 4)), min_size=1, max_size=8
)


@pytest.mark.laws
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    events=EVENTS,
    cut=integers(1, 59),
    model=sample("per_unit", "package", "graduated"),
    included=sample("0", "0", "20"),
    aggregation=sample("sum", "sum", "max", "last"),
    minimum=sample("0", "0", "15"),
)
def test_spans_add_up_to_what_days_before_a_change_come_to_alone(
    events, cut, model, included, aggregation, minimum
):
    """However late use comes in, what bills say of the days before a change is what a bill of these days
    alone would be, and all spans are what is charged.
    """
    if aggregation != "sum" and model != "per_unit":
        return
    if aggregation != "sum" or model != "per_unit":
        # What comes late may move units of a component from one side to the other, though it comes to
        # the same: that is not billed.
        events = [(offset, quantity, 0) for offset, quantity, _turn in events]
    rule = price(
        interval=rating.Interval.of(2, "month"),
        model=model,
        unit_price="0.333",
        package_size="7",
        included=included,
        minimum_quantity=minimum,
        tiers=[("10", "1", "0"), (None, "0.5", "0.75")] if model == "graduated" else [],
    )
    change = day("01-01").fromordinal(day("01-01").toordinal() + cut)
    billed, alone = Account(rule, aggregation=aggregation), Account(rule, aggregation=aggregation)
    billed.cuts = (change,)
    for number in range(6):
        for offset, quantity, turn in events:
            when = day("01-01").fromordinal(day("01-01").toordinal() + offset)
            if turn == number:
                billed.use(when, quantity)
        billed.bill()
    for offset, quantity, _turn in sorted(events, key=lambda one: one[2]):
        when = day("01-01").fromordinal(day("01-01").toordinal() + offset)
        if when < change:
            alone.use(when, quantity)
    for _bill in range(6):
        alone.bill()

    def of_use(account):
        return [one for one in account.charges if one.key.kind != "minimum" and not one.key.flat]

    for charge in of_use(billed):
        assert not charge.spans or sum(one[2] for one in charge.spans) == charge.amount
    before = sum(
        amount
        for charge in of_use(billed)
        for _first, last, amount in spans_of(charge)
        if last < change
    )
    assert before == total(of_use(alone))
