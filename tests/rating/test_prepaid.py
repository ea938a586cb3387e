"""Lots of units bought ahead (rating 9, 12): examples by hand, and laws of random histories."""

import os
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
import rating
from account import Account, amounts, day, terms, total
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import integers, sample

pytestmark = pytest.mark.rating

HISTORIES = int(os.environ.get("RB_HISTORIES", "2000"))


def account(rounding="0.01", **values):
    rule = rating.Rule(1, terms(**{"unit_price": "0.10", **values}))
    return Account(rule, rounding=Decimal(rounding))


def test_units_are_drawn_after_included_and_before_payable_ones():
    # 100 included, 50 bought, 180 used: 30 are payable.
    client = account(included="100")
    lot = client.buy(50, "01-03")
    client.use("01-10", 120)
    client.use("01-20", 60)
    charges = client.bill_until("02-01")
    assert amounts(charges) == ["3.00"]
    assert charges[0].trace["rated"]["prepaid"] == "50"
    assert client.left(lot) == 0


def test_units_pay_from_their_purchase_to_their_last_day():
    # Bought on the 10th for ten days: neither the 9th's nor the 20th's use is paid.
    client = account()
    lot = client.buy(100, "01-10", "01-19")
    for when in ("01-09", "01-10", "01-19", "01-20"):
        client.use(when, 7)
    assert amounts(client.bill_until("02-01")) == ["1.40"]
    assert client.left(lot) == 86
    assert [(draw.day, draw.quantity) for draw in client.draws[-1]] == [
        (day("01-10"), 7),
        (day("01-19"), 7),
    ]


def test_what_ends_first_is_drawn_first():
    client = account()
    late, early = client.buy(50, "01-01", "12-31"), client.buy(20, "01-05", "02-15")
    client.use("01-04", 10)  # the one that ends first is not bought yet
    client.use("01-20", 25)
    client.bill_until("02-01")
    assert (client.left(late), client.left(early)) == (35, 0)


def test_what_is_bought_later_pays_nothing_that_is_billed():
    client = account()
    client.use("01-20", 40)
    assert amounts(client.bill_until("02-01")) == ["4.00"]
    lot = client.buy(100, "02-01")
    client.use("02-02", 30)
    assert amounts(client.bill_until("03-01")) == []
    client.use("01-21", 5)  # late, of a day before the purchase
    client.use("02-03", 5)  # late, of a day after it
    client.use("03-03", 1)
    assert amounts(client.bill_until("04-01")) == ["0.50"]
    assert client.left(lot) == 64


def test_a_correction_gives_units_back_to_the_lots_that_they_came_from():
    client = account()
    first, second = client.buy(60, "01-01"), client.buy(60, "01-02")
    client.use("01-10", 100)
    client.use("01-20", 50)
    assert amounts(client.bill_until("02-01")) == ["3.00"]
    client.use("01-10", -50)  # of that day: 40 from the second lot, 10 from the first
    charges = client.bill_until("03-01")
    # What the 20th was charged stands, though the lots have units again.
    assert amounts(charges) == []
    assert (client.left(first), client.left(second)) == (10, 40)
    client.use("03-01", 45)
    assert amounts(client.bill_until("04-01")) == []
    assert (client.left(first), client.left(second)) == (0, 5)


def test_a_correction_on_a_day_of_its_own_gives_back_payable_units_first():
    client = account()
    lot = client.buy(60, "01-01")
    client.use("01-10", 80)
    client.use("01-12", -30)  # 20 payable, then 10 of the lot
    assert amounts(client.bill_until("02-01")) == []
    assert client.left(lot) == 10
    client.use("02-02", 4)
    client.bill_until("03-01")
    assert client.left(lot) == 6
    client.void("01-12", -30)  # the correction was wrong: what it gave back is paid by now
    assert amounts(client.bill_until("04-01")) == ["3.00"]
    assert client.left(lot) == 6


def test_use_that_is_taken_back_whole_returns():
    client = account()
    lot = client.buy(60, "01-01")
    client.use("01-10", 60)
    client.bill_until("02-01")
    client.void("01-10", 60)
    client.use("02-02", 1)
    assert amounts(client.bill_until("03-01")) == []
    assert client.left(lot) == 59


def test_units_that_lots_pay_count_to_the_minimum():
    # 100 at least: 30 by the lot and 50 payable leave 20 to pay for.
    client = account(minimum_quantity="100")
    client.buy(30, "01-01")
    client.use("01-10", 80)
    assert total(client.bill_until("02-01")) == Decimal("7.00")


def test_tiers_count_payable_units_alone():
    client = account(model="graduated", tiers=[("10", "1", "0"), (None, "0.50", "0")])
    client.buy(100, "01-01")
    client.use("01-10", 112)
    assert total(client.bill_until("02-01")) == Decimal("11.00")


def test_a_yearly_cycle_that_is_billed_monthly_draws_once():
    client = account(interval=rating.Interval.of(1, "year"), included="10")
    lot = client.buy(100, "01-15")
    left = []
    for month in range(1, 6):
        client.use(f"{month:02}-20", 25)
        client.bill_until(f"{month + 1:02}-01")
        left.append(client.left(lot))
    # 15, then 25 a month; of the fifth month's use 15 are payable.
    assert left == [85, 60, 35, 10, 0]
    assert total(client.charges) == Decimal("1.50")


def test_what_could_not_be_drawn_again_stays_billed():
    # 36 of the lot in February, 9 given back, of which March draws 9 and pays 11.
    client = account(unit_price="1", interval=rating.Interval.of(1, "year"))
    lot = client.buy(36, "02-01")
    client.use("02-13", 36)
    client.use("02-16", -9)
    client.use("03-08", 20)
    assert total(client.bill_until("04-01")) == 11
    client.void("02-16", -9)
    client.void("03-08", 20)
    client.use("04-02", 0)
    # The 9 of February are not there as it is looked at: they are paid, and those of March return.
    assert total(client.bill_until("05-01")) == -2
    assert client.left(lot) == 9
    client.use("05-02", 1)
    assert amounts(client.bill_until("06-01")) == []
    assert client.left(lot) == 8


def test_a_closing_dated_back_returns_units():
    client = account(unit_price="1")
    lot = client.buy(100, "01-01")
    for when, units in (("02-05", 10), ("02-20", 20), ("03-10", 30)):
        client.use(when, units)
    client.bill_until("04-01")
    assert client.left(lot) == 40
    client.close("02-10")
    client.next_bill = client.billed_until + timedelta(days=1)
    client.bill(replace(client.prepare_bill(), rerate_from=day("02-11")))
    # What it paid for the 20 and 30 of days that are no days of service any more.
    assert client.left(lot) == 90
    assert total(client.charges) == 0
    client.bill()
    assert client.left(lot) == 90


# Laws ----------------------------------------------------------------------------------------

START = date(2024, 1, 1)


def on(offset):
    return START + timedelta(days=offset)


LOTS = st.lists(
    st.tuples(
        integers(0, 80),  # bought on
        integers(1, 60),  # units
        sample(None, None, 5, 30),  # valid for days
    ),
    max_size=4,
)
USES = st.lists(
    st.tuples(
        integers(0, 100),  # day
        sample(None, None, 7),
        st.one_of(integers(1, 60), integers(1, 60), integers(-40, -1)),
        sample(0, 0, 0, 20, 45),  # known so many days later
        sample(None, None, 40, 60),  # … and voided, so many days later
    ),
    max_size=14,
)


@st.composite
def histories(draw):
    lots, uses = draw(LOTS), draw(USES)
    included = draw(sample(0, 0, 25))
    rollover = draw(sample(0, 0, 1)) if included else 0
    interval = draw(sample(None, None, (1, "year")))
    return lots, uses, included, rollover, interval


@pytest.mark.laws
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_laws_of_lots(history):
    lots, uses, included, rollover, interval = history
    client = account(
        "0.001",
        included=str(included),
        rollover_cycles=rollover,
        unit_price="1",
        interval=interval and rating.Interval.of(*interval),
    )
    plan = defaultdict(list)
    for bought, units, valid in lots:
        last = valid and on(bought + valid - 1).isoformat()
        plan[bought].append((client.buy, (units, on(bought).isoformat(), last)))
    for number, (used, level, units, delay, voided) in enumerate(uses):
        # Quantities that tell events apart, so that the right one is voided.
        event = (on(used), Decimal(units) + Decimal(number) / 1000, level)
        plan[used + delay].append((client.use, event))
        if voided:
            plan[used + delay + voided].append((client.void, event))
    for today in range(190):
        if on(today) == client.next_bill:
            _bill_and_check(client, included)
        for action, args in plan.pop(today, ()):
            action(*args)
    plain = not rollover and not interval
    if plain and all(units > 0 and not late and not void for _d, _l, units, late, void in uses):
        left = {lot: client.left(lot) for lot in client.lots}
        assert _expected(client, included) == (left, total(client.charges))


def _bill_and_check(client, included):
    bill = client.prepare_bill()
    uncovered = {one for one in client.uncovered if one[0] <= bill.period_end}
    has_use = bill.period_start <= bill.period_end
    live = client.prepaid_left(bill.period_end) if has_use else None
    before = {lot: client.left(lot) for lot in client.lots}
    client.bill()
    draws = client.draws[-1]
    if has_use:
        # The live balance is what the bill leaves.
        valid = [lot.id for lot in client.lots.values() if lot.serves(bill.period_end)]
        assert live == sum(map(client.left, valid), Decimal(0))
    for draw in draws:
        drawn = _drawn(client, lambda one, draw=draw: one[:3] == draw[:3])
        # Lots pay for their days alone.
        assert drawn <= 0 or client.lots[draw.lot].serves(draw.day)
        # What was drawn for use that has not changed stands, but for what corrections take back.
        if (draw.day, draw.level) not in uncovered:
            assert abs(drawn) < abs(drawn - draw.quantity)
    for lot in client.lots.values():
        assert 0 <= client.left(lot.id) <= lot.left
        assert before[lot.id] - client.left(lot.id) == sum(
            (draw.quantity for draw in draws if draw.lot == lot.id), Decimal(0)
        )
    # Rated once more, nothing changes.
    again, more = _bill_again(client, bill)
    assert not [charge for charge in again if charge.amount or charge.quantity]
    assert not more
    _check_use(client, bill, included)


def _drawn(client, wanted):
    """Return the units of those draws of all bills that `wanted` tells."""
    return sum(
        (draw.quantity for draws in client.draws for draw in draws if wanted(draw)), Decimal(0)
    )


def _bill_again(client, bill):
    """Return (charges, draws) of a bill that is rated once more, with nothing new."""
    following = client.prepare_bill()
    part, rows = client._prepare_part(following)
    rows = [row for row in rows if row[0] <= bill.period_end]
    prior = {}
    for charge in client.charges:
        quantity, amount, _end = prior.get(charge.key, (Decimal(0), Decimal(0), None))
        prior[charge.key] = rating.Billed(
            quantity + charge.quantity, amount + charge.amount, charge.cycle_end
        )
    usage = rating.Usage([row._replace(unbilled=False) for row in rows])
    charges, draws = part.charges(usage, prior, client.prepaid())
    return charges, draws


def _check_use(client, bill, included):
    """Each cycle's use is paid once: by free units, by lots, or in money at 1.00 a unit."""
    for first in {charge.key.cycle_start for charge in client.charges}:
        interval = client.rules[0].terms.interval or client.memberships[0].interval
        last = interval.after(first, 1) - timedelta(days=1)
        units = [(when, units) for (when, _level), units in client.buckets.items() if units]
        used = [units for when, units in units if first <= when <= min(last, bill.period_end)]
        drawn = _drawn(client, lambda draw, span=(first, last): span[0] <= draw.day <= span[1])
        charged = sum(
            (charge.quantity for charge in client.charges if charge.key.cycle_start == first),
            Decimal(0),
        )
        if not included:
            assert drawn + charged == sum(used)
        else:
            # Between what free units leave, and all use without its corrections. (Each month, too, has
            # units left of the one before.)
            positive = sum(one for one in used if one > 0)
            free = included * (2 if client.rules[0].terms.rollover_cycles else 1)
            assert sum(used) - free <= drawn + charged <= positive


def _expected(client, included):
    """Return ({lot: left}, total) by drawing each day's use in turn, without corrections."""
    left = {lot.id: lot.left for lot in client.lots.values()}
    free, money = defaultdict(lambda: Decimal(included)), Decimal(0)
    for (when, _level), units in sorted(
        client.buckets.items(), key=lambda item: (item[0][0], item[0][1] or 0)
    ):
        if when > client.billed_until:
            continue
        month = when.year, when.month
        drawn = min(units, free[month])
        free[month] -= drawn
        units -= drawn
        for lot in client.lots.values():
            if lot.serves(when):
                drawn = min(units, left[lot.id])
                left[lot.id] -= drawn
                units -= drawn
        money += units
    return left, money
