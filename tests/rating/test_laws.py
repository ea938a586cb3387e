"""Laws of the core for random histories, against an oracle that prices unit by unit."""

import os
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

import pytest
import rating
from account import Account, day
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


@st.composite
def plain_terms(draw, interval):
    model = draw(st.sampled_from(MODELS))
    tiers = []
    if model in ("graduated", "volume"):
        for bound in sorted(draw(st.sets(st.integers(1, 30), max_size=2))):
            tiers.append((bound, draw(PRICES), draw(st.sampled_from(["0", "0", "1.5"]))))
        tiers.append((None, draw(PRICES), draw(st.sampled_from(["0", "0.75"]))))
    levels = {}
    for level in draw(st.sets(st.sampled_from([7, 8]), max_size=2)):
        price = draw(st.one_of(st.none(), PRICES))
        levels[level] = (price, draw(st.sampled_from([None, 3, 10])))
    return {
        "fee": draw(st.sampled_from(["0", "10", "9.99", "0.01"])),
        "advance": draw(st.booleans()),
        "interval": interval,
        "automatic": draw(st.booleans()),
        "included": draw(st.sampled_from([0, 0, 5, 20, 100])),
        "model": model,
        "price": draw(PRICES),
        "size": draw(st.sampled_from([1, 3, 10])),
        "tiers": tiers,
        "levels": levels,
        "prorated": draw(st.sampled_from([True, True, True, False])),
    }


@st.composite
def histories(draw):
    interval = draw(st.sampled_from([(1, "month"), (10, "day"), (2, "week"), (2, "month")]))
    rules = []
    for rank in draw(st.sampled_from([(0,), (0, 2), (0, 1, 3), (1,), (0, 2, 3)])):
        since = None if rank == 0 else draw(st.one_of(st.none(), st.integers(0, 60)))
        own = draw(st.sampled_from(INTERVALS))
        terms = draw(plain_terms(own))
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
                    terms = draw(plain_terms(draw(st.sampled_from([own, own, own, *INTERVALS]))))
    groups = [(0, draw(st.sampled_from([None, 5])))]
    for move in sorted(draw(st.sets(st.integers(1, 80), max_size=2))):
        groups.append((move, draw(st.sampled_from([None, 5]))))
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
            ),
            max_size=12,
        )
    )
    return interval, rules, groups, enrolments, events


def on(offset):
    return None if offset is None else START + timedelta(days=offset)


def core_rule(number, plain):
    interval = plain["interval"] and rating.Interval.of(*plain["interval"])
    terms = rating.Terms(
        recurring_fee=Decimal(plain["fee"]),
        in_advance=plain["advance"],
        interval=interval,
        automatic=plain["automatic"],
        included=Decimal(plain["included"]),
        model=plain["model"],
        unit_price=Decimal(plain["price"]),
        package_size=Decimal(plain["size"]),
        tiers=tuple(
            rating.Tier(None if up_to is None else Decimal(up_to), Decimal(price), Decimal(fee))
            for up_to, price, fee in plain["tiers"]
        ),
        levels=tuple(
            LevelTerms(
                level,
                None if price is None else Decimal(price),
                None if included is None else Decimal(included),
            )
            for level, (price, included) in sorted(plain["levels"].items())
        ),
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

    Before a bill whose days a version or a group move touches, the account does not know of it,
    unless `announce` is set: then everything is known from the start.
    """
    interval, plain_rules, groups, enrolments, events = history
    account = Account(start=START, interval=interval)

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
        moves = [move for move in groups if announce or on(move[0]) <= until]
        account.rules = [core_rule(number, rule) for number, rule in enumerate(visible, 1)]
        account.memberships = [
            Membership(
                on(first),
                on(moves[number + 1][0] - 1) if number + 1 < len(moves) else None,
                group,
                START,
            )
            for number, (first, group) in enumerate(moves)
        ]
        return visible, moves

    account.enrolments = [
        Enrolment(on(first), on(last), Decimal(quantity)) for first, last, quantity in enrolments
    ]
    number, waiting, use = 0, sorted(events, key=lambda event: event[3]), defaultdict(int)
    while account.next_bill <= START + timedelta(days=100):
        visible, moves = know(account.next_bill - timedelta(days=1))
        for event in list(waiting):
            if event[3] <= number:
                account.use(on(event[0]), event[2], event[1])
                use[on(event[0]), event[1]] += event[2]
                waiting.remove(event)
        last = account.prepare_bill()
        account.bill()
        number += 1
    plain = [
        {**rule, "since": on(rule["from"]), "until": on(rule["to"]), "terms": frozen(rule)}
        for rule in visible
    ]
    oracle = Oracle(
        START,
        START,
        interval,
        plain,
        [(on(first), group) for first, group in moves],
        [(on(first), on(last_day), quantity) for first, last_day, quantity in enrolments],
        100,
    )
    expected = oracle.rate(use, last.period_end, last.next_date - timedelta(days=1))
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
    account, expected = play(history, announce)
    billed = defaultdict(int)
    for charge in account.charges:
        billed[charge.key.cycle_start] += int(charge.amount * 100)
        # Explanation: the trace alone recomputes the amount.
        assert rating.amount_from_trace(charge.trace) == charge.amount
    assert {start: amount for start, amount in billed.items() if amount} == expected


@settings(law, max_examples=HISTORIES // 10)
@given(history=histories())
def test_a_further_bill_without_new_use_changes_no_closed_cycle(history):
    account, _expected = play(history, True)
    closed = account.billed_until
    charges = account.bill()
    assert [c for c in charges if c.cycle_end <= closed and c.amount] == []
