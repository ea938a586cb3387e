"""Laws of the core for random histories, against an oracle that prices unit by unit."""

import os
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import rating
from account import Account, day
from account import terms as core_terms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle
from rating.rules import Enrolment, LevelTerms, Membership, Rule

pytestmark = pytest.mark.laws

HISTORIES = int(os.environ.get("RB_HISTORIES", "2000"))
START = day("2024-01-05")
MODELS = ["unlimited", "per_unit", "package", "graduated", "volume"]
PRICES = st.sampled_from(["0", "0.005", "0.333", "1", "2.5", "0.0000004"])
INTERVALS = [None, (10, "day"), (1, "month"), (2, "month"), (1, "week")]


BILLING = 100  # days
LIFE = 90


def rarely(draw, *others):
    """Draw one of the values, or most often the neutral one that comes first."""
    neutral, *others = others
    return draw(st.sampled_from([neutral, neutral, neutral, *others]))


@st.composite
def plain_terms(draw, interval, aggregation):
    """Terms that may be saved (rating section 6), in plain values."""
    gauge = aggregation in ("max", "last")
    model = draw(st.sampled_from(["unlimited", "per_unit"] if gauge else MODELS))
    tiers = []
    if model in ("graduated", "volume"):
        for bound in sorted(draw(st.sets(st.integers(1, 30), max_size=2))):
            tiers.append((bound, draw(PRICES), draw(st.sampled_from(["0", "0", "1.5"]))))
        tiers.append((None, draw(PRICES), draw(st.sampled_from(["0", "0.75"]))))
    levels = {}
    for level in draw(st.sets(st.sampled_from([7, 8]), max_size=2)):
        price = draw(st.one_of(st.none(), PRICES))
        levels[level] = (price, draw(st.sampled_from([None, 3, 10])))
    enrolment = draw(st.sampled_from(["automatic", "automatic", "opt_in", "on_use"]))
    advance = enrolment != "on_use" and draw(st.booleans())
    unlimited = model == "unlimited"
    return {
        "fee": draw(st.sampled_from(["0", "10", "9.99", "0.01"])),
        "advance": advance,
        "advance_cycles": rarely(draw, 1, 2, 3) if advance else 1,
        "refund": rarely(draw, True, False),
        "interval": interval,
        "enrolment": enrolment,
        "trial": rarely(draw, 0, 5, 40),
        "setup": rarely(draw, "0", "7.77"),
        "bonus": rarely(draw, 0, 15),
        "bonus_days": draw(st.sampled_from([0, 20, 50])),
        "included": draw(st.sampled_from([0, 0, 5, 20, 100])),
        "rollover": 0 if gauge else rarely(draw, 0, 1, 2),
        "model": model,
        "price": draw(PRICES),
        "size": draw(st.sampled_from([1, 3, 10])),
        "tiers": tiers,
        "levels": levels,
        "min_quantity": 0 if unlimited else rarely(draw, 0, 12),
        "min_amount": "0" if unlimited else rarely(draw, "0", "25"),
        "prorated": draw(st.sampled_from([True, True, True, False])),
    }


@st.composite
def histories(draw):
    interval = draw(st.sampled_from([(1, "month"), (10, "day"), (2, "week"), (2, "month")]))
    aggregation = rarely(draw, "sum", "max", "last", "count")
    rules = []
    for rank in draw(st.sampled_from([(0,), (0, 2), (0, 1, 3), (1,), (0, 2, 3)])):
        since = None if rank == 0 else draw(st.one_of(st.none(), st.integers(0, 60)))
        own = draw(st.sampled_from(INTERVALS))
        terms = draw(plain_terms(own, aggregation))
        cuts = sorted(draw(st.sets(st.integers(1, 80), max_size=2)))
        for cut in [*cuts, None]:
            if since is None or cut is None or cut > since:
                rules.append(
                    {
                        **terms,
                        "rank": rank,
                        "scope": 5 if rank == 2 else 1,
                        "from": since,
                        "to": cut,
                    }
                )
                since = cut + 1 if cut is not None else None
                change = draw(st.sampled_from(["same", "price", "all"]))
                if change == "price":
                    terms = {
                        **terms,
                        "price": draw(PRICES),
                        "included": draw(st.sampled_from([0, 5, 20])),
                    }
                elif change == "all":
                    other = draw(st.sampled_from([own, own, own, *INTERVALS]))
                    terms = draw(plain_terms(other, aggregation))
    enrolments = []
    last = -1
    for first in sorted(draw(st.sets(st.integers(0, 80), max_size=2))):
        if first > last:
            last = first + draw(st.integers(0, 40))
            enrolments.append((first, last, draw(st.sampled_from([0, 1, 3]))))
    events = draw(
        st.lists(
            st.tuples(
                st.integers(0, 90),  # day of use
                st.sampled_from([None, None, 7, 8]),
                st.one_of(st.integers(1, 40), st.integers(-15, -1)),
                st.integers(0, 12),  # after how many bills it comes in
                st.sampled_from([None, None, None, 1, 2, 5]),  # … and is voided, so many later
            ),
            max_size=12,
        )
    )
    billing_start = rarely(draw, 0, 3, 17)
    service = draw(lives(interval))
    parts = rarely(draw, 1, 10)
    unpriced = rarely(draw, 0, 1, 3)
    return interval, aggregation, rules, service, enrolments, events, billing_start, parts, unpriced


@st.composite
def lives(draw, interval):
    """Rows of service (first, last, group, paused, anchor): group moves, pauses, one reopening."""
    cuts = sorted(draw(st.sets(st.integers(1, 80), max_size=3)))
    rows, anchor = [], 0
    gap = draw(st.sampled_from([None, None, None, *range(len(cuts))]))
    by_calendar = draw(st.booleans())
    for number, (first, following) in enumerate(zip([0, *cuts], [*cuts, None], strict=True)):
        last = None if following is None else following - 1
        if gap is not None and number == gap + 1:
            # Closed on these days; a new row of cycles begins unless they follow the calendar.
            if following is None:
                last = draw(st.sampled_from([None, first + 3]))
            first += draw(st.integers(1, 25))
            if last is not None and first > last:
                continue
            if not by_calendar:
                anchor = first
        rows.append(
            (
                first,
                last,
                draw(st.sampled_from([None, 5])),
                rarely(draw, False, True),
                anchor,
            )
        )
    return rows


def on(offset):
    return None if offset is None else START + timedelta(days=offset)


def core_rule(number, plain, parts):
    """Return a rule of the core; of the oracle's units, `parts` are one of its own."""
    interval = plain["interval"] and rating.Interval.of(*plain["interval"])
    terms = core_terms(
        recurring_fee=plain["fee"],
        in_advance=plain["advance"],
        advance_cycles=plain["advance_cycles"],
        refund_on_close=plain["refund"],
        interval=interval,
        enrolment=plain["enrolment"],
        trial_days=plain["trial"],
        setup_fee=plain["setup"],
        bonus=Decimal(plain["bonus"]) / parts,
        bonus_days=plain["bonus_days"] or None,
        included=Decimal(plain["included"]) / parts,
        rollover_cycles=plain["rollover"],
        model=plain["model"],
        # A package has one price, however its units are cut.
        unit_price=Decimal(plain["price"]) * (1 if plain["model"] == "package" else parts),
        package_size=Decimal(plain["size"]) / parts,
        tiers=[
            (up_to and Decimal(up_to) / parts, Decimal(price) * parts, fee)
            for up_to, price, fee in plain["tiers"]
        ],
        levels=tuple(
            LevelTerms(
                level,
                None if price is None else Decimal(price) * parts,
                None if included is None else Decimal(included) / parts,
            )
            for level, (price, included) in sorted(plain["levels"].items())
        ),
        minimum_quantity=Decimal(plain["min_quantity"]) / parts,
        minimum_amount=plain["min_amount"],
        prorated=plain["prorated"],
    )
    return Rule(
        number,
        terms,
        plain["rank"],
        plain["scope"] if plain["rank"] else 0,
        on(plain["from"]),
        on(plain["to"]),
    )


def frozen(plain):
    """Return a plain rule's terms as a value that tells equal terms from others."""
    return repr(
        {
            key: value
            for key, value in sorted(plain.items())
            if key not in ("from", "to", "rank", "scope", "interval")
        }
    ) + repr(plain["interval"] and rating.Interval.of(*plain["interval"]))


def play(history, announce):
    """Bill a history for about 100 days; return the account and the oracle of what it knows.

    Before a bill whose days a version, a move, a pause or a closing touches, the account does not
    know of it, unless `announce` is set: then everything is known from the start, but for prices
    that come only after some bills.
    """
    interval, aggregation, plain_rules, service, enrolments, events, *rest = history
    billing_start, parts, unpriced = rest
    if aggregation == "count":
        parts = 1
    if not announce:
        unpriced = 0
    truth = [
        (on(first), on(last), group, paused, on(anchor))
        for first, last, group, paused, anchor in service
    ]
    account = Account(
        start=START,
        interval=interval,
        aggregation=aggregation,
        billing_start=on(billing_start) if billing_start else None,
        digits=len(str(parts)) - 1,
    )

    def know(until):
        known = [
            rule
            for rule in plain_rules
            if announce or rule["from"] is None or on(rule["from"]) <= until
        ]
        visible = []
        for rule in known:
            follower = rule["to"] is not None and any(
                other["rank"] == rule["rank"] and other["from"] == rule["to"] + 1 for other in known
            )
            visible.append(rule if follower or announce else {**rule, "to": None})
        rows = [
            (first, last if announce or (last and last <= until) else None, *rest)
            for first, last, *rest in truth
            if announce or first <= until or first == START
        ]
        account.rules = [core_rule(number, rule, parts) for number, rule in enumerate(visible, 1)]
        if number < unpriced:
            account.rules = []
        account.memberships = [
            Membership(first, last, group, anchor, paused)
            for first, last, group, paused, anchor in rows
        ]
        return visible, rows

    account.enrolments = [
        Enrolment(on(first), on(last), Decimal(quantity)) for first, last, quantity in enrolments
    ]
    number, waiting = 0, sorted(events, key=lambda event: event[3])
    to_void = []
    served = [row for row in truth if not row[1] or row[1] >= on(billing_start)]
    if not served:
        return None
    account.next_bill = max(on(billing_start), served[0][0])
    if billing_start:
        account.billing_start = account.next_bill
    while account.next_bill <= START + timedelta(days=BILLING) or number <= unpriced:
        # Closing and reopening make bills of their own, known in time.
        account.memberships = [
            Membership(first, last, group, anchor, paused)
            for first, last, group, paused, anchor in truth
        ]
        last = account.prepare_bill()
        visible, rows = know(
            last.date if last.date in [row[0] for row in truth] else last.period_end
        )
        for event in list(waiting):
            when = on(event[0])
            inside = any(row[0] <= when and (not row[1] or when <= row[1]) for row in truth)
            if event[3] <= number:
                waiting.remove(event)
                if not inside or when < account.first_day:
                    continue
                account.use(when, Decimal(event[2]) / parts, event[1])
                if event[4]:
                    to_void.append((number + event[4], when, Decimal(event[2]) / parts, event[1]))
        for voided in list(to_void):
            if voided[0] <= number:
                to_void.remove(voided)
                account.void(*voided[1:])
        if unpriced and number == unpriced:
            last = replace(last, rerate_from=account.first_day)
        account.bill(last)
        number += 1
    use = {key: int(quantity * parts) for key, quantity in account.buckets.items()}
    plain = [
        {
            **rule,
            "since": on(rule["from"]),
            "until": on(rule["to"]),
            "setup": rule["setup"],
            "terms": frozen(rule),
        }
        for rule in visible
    ]
    oracle = Oracle(
        rows,
        interval,
        plain,
        [(on(first), on(last_day), quantity) for first, last_day, quantity in enrolments],
        100,
        aggregation,
        account.first_day,
    )
    expected = oracle.rate(use, last.period_end, last.next_date - timedelta(days=1), last.date)
    return account, expected


law = settings(
    max_examples=HISTORIES // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=bool(os.environ.get("CI")),
)


@pytest.mark.parametrize("announce", [True, False], ids=["known_from_the_start", "just_in_time"])
@law
@given(history=histories())
def test_all_bills_of_a_cycle_add_up_to_its_rating(announce, history):
    check_additivity(history, announce)


FOCUS = {
    # Units that cycles hand on: little is paid unless a lot is used up, lapses or comes back.
    "carried over": {
        "fee": ["0"],
        "included": [5, 20],
        "rollover": [1, 2, 3],
        "bonus": [0, 15],
        "model": ["per_unit", "graduated", "volume"],
        "enrolment": ["automatic", "automatic", "opt_in", "on_use"],
        "price": ["1"],
        "levels": [{}, {7: (None, 3)}],
        "min_quantity": [0, 12],
        "trial": [0, 5],
        "prorated": [True, True, False],
    },
    # Fees paid ahead, when prices change, accounts close and reopen.
    "paid ahead": {
        "fee": ["10", "9.99"],
        "advance": [True],
        "advance_cycles": [1, 2, 3, 4],
        "refund": [False, True],
        "enrolment": ["automatic"],
        "setup": ["0", "7.77"],
        "trial": [0, 5],
        "prorated": [True, True, False],
    },
}
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


@st.composite
def focused_histories(draw, focus):
    """Histories with few options, short cycles and much use, so that those options matter."""
    interval = draw(st.sampled_from([(10, "day"), (2, "week"), (1, "month")]))

    def version():
        terms = {**PLAIN, **{name: draw(st.sampled_from(of)) for name, of in FOCUS[focus].items()}}
        graded = terms["model"] in ("graduated", "volume")
        terms["tiers"] = [(8, "2", "0"), (None, "1", "0")] if graded else []
        return terms

    cuts = sorted(draw(st.sets(st.integers(1, 80), max_size=1)))
    terms = version()
    rules, since = [], None
    for cut in [*cuts, None]:
        rules.append({**terms, "rank": 0, "scope": 1, "from": since, "to": cut})
        since = cut + 1 if cut is not None else None
        terms = version() if draw(st.booleans()) else terms
    enrolments = []
    if draw(st.booleans()):
        first = draw(st.integers(0, 60))
        last = first + draw(st.integers(0, 40))
        enrolments.append((first, last, draw(st.sampled_from([0, 1, 2]))))
    events = draw(
        st.lists(
            st.tuples(
                st.integers(0, 99),
                st.sampled_from([None, None, None, 7]),
                st.one_of(st.integers(1, 30), st.integers(1, 30), st.integers(-15, -1)),
                st.integers(0, 10),
                st.sampled_from([None, None, None, 2]),
            ),
            min_size=5 if focus == "carried over" else 0,
            max_size=20 if focus == "carried over" else 3,
        )
    )
    return interval, "sum", rules, draw(lives(interval)), enrolments, events, 0, 1, 0


@pytest.mark.parametrize("announce", [True, False], ids=["known_from_the_start", "just_in_time"])
@pytest.mark.parametrize("focus", FOCUS)
@settings(law, max_examples=HISTORIES // 4)
@given(data=st.data())
def test_all_bills_add_up_where_cycles_are_linked(focus, announce, data):
    check_additivity(data.draw(focused_histories(focus)), announce)


def check_additivity(history, announce):
    """Bill a history, and compare the sums of the bills with the oracle's rating."""
    played = play(history, announce)
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
        check_days(charge, bill, account.memberships)
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
    played = play(history, True)
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
