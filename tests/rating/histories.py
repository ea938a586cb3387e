"""Random histories of an account, played by the core and by the oracle."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import rating
from account import Account, day, membership
from account import terms as core_terms
from hypothesis import strategies as st
from oracle import Oracle
from rating.rules import Enrolment, LevelTerms, Rule
from strategies import days, integers, sample

START = day("2024-01-05")
MODELS = ["unlimited", "per_unit", "package", "graduated", "volume"]
GAUGE_MODELS = ["unlimited", "per_unit"]


PRICES = sample("0", "0.005", "0.333", "1", "2.5", "0.0000004")
INTERVALS = [None, (10, "day"), (1, "month"), (2, "month"), (1, "week")]


OWN_CYCLES = [(1, "month"), (10, "day"), (2, "week"), (2, "month")]


KNOWN = ["from the start", "in time", "late", "dated back", "at once"]
BILLING = 100  # days
BOOLEANS = st.booleans()
OPTIONAL_DAYS = st.one_of(st.none(), integers(0, 60))
OPTIONAL_PRICES = st.one_of(st.none(), PRICES)
LEVELS = st.sets(sample(7, 8), max_size=2)


def rarely(draw, *others):
    """Draw one of the values, or most often the neutral one that comes first."""
    neutral, *others = others
    return draw(sample(neutral, neutral, neutral, *others))


def draw_terms(draw, interval, aggregation):
    """Terms that may be saved (rating section 6), in plain values."""
    gauge = aggregation in ("max", "last")
    model = draw(sample(*GAUGE_MODELS) if gauge else sample(*MODELS))
    tiers = []
    if model in ("graduated", "volume"):
        for bound in sorted(draw(days(1, 30, 2))):
            tiers.append((bound, draw(PRICES), draw(sample("0", "0", "1.5"))))
        tiers.append((None, draw(PRICES), draw(sample("0", "0.75"))))
    levels = {}
    for level in draw(LEVELS):
        price = draw(OPTIONAL_PRICES)
        levels[level] = (price, draw(sample(None, 3, 10)))
    enrolment = draw(sample("automatic", "automatic", "opt_in", "on_use"))
    advance = enrolment != "on_use" and draw(BOOLEANS)
    unlimited = model == "unlimited"
    return {
        "fee": draw(sample("0", "10", "9.99", "0.01")),
        "advance": advance,
        "advance_cycles": rarely(draw, 1, 2, 3) if advance else 1,
        "refund": rarely(draw, True, False),
        "interval": interval,
        "enrolment": enrolment,
        "trial": rarely(draw, 0, 5, 40),
        "setup": rarely(draw, "0", "7.77"),
        "bonus": rarely(draw, 0, 15),
        "bonus_days": draw(sample(0, 20, 50)),
        "included": draw(sample(0, 0, 5, 20, 100)),
        "rollover": 0 if gauge else rarely(draw, 0, 1, 2),
        "model": model,
        "price": draw(PRICES),
        "size": draw(sample(1, 3, 10)),
        "tiers": tiers,
        "levels": levels,
        "min_quantity": 0 if unlimited else rarely(draw, 0, 12),
        "min_amount": "0" if unlimited else rarely(draw, "0", "25"),
        "prorated": draw(sample(True, True, True, False)),
    }


EVENTS = st.lists(
    st.tuples(
        integers(0, 90),  # day of use
        sample(None, None, 7, 8),
        st.one_of(integers(1, 40), integers(-15, -1)),
        integers(0, 12),  # after how many bills it comes in
        sample(None, None, None, 1, 2, 5),  # … and is voided, so many later
    ),
    max_size=12,
)


@st.composite
def histories(draw):
    interval = draw(sample(*OWN_CYCLES))
    aggregation = rarely(draw, "sum", "max", "last", "count")
    rules = []
    for rank in draw(sample((0,), (0, 2), (0, 1, 3), (1,), (0, 2, 3))):
        since = None if rank == 0 else draw(OPTIONAL_DAYS)
        own = draw(sample(*INTERVALS))
        terms = draw_terms(draw, own, aggregation)
        cuts = sorted(draw(days(1, 80, 2)))
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
                change = draw(sample("same", "price", "all"))
                if change == "price":
                    terms = {
                        **terms,
                        "price": draw(PRICES),
                        "included": draw(sample(0, 5, 20)),
                    }
                elif change == "all":
                    other = draw(sample(own, own, own, *INTERVALS))
                    terms = draw_terms(draw, other, aggregation)
    enrolments = []
    last = -1
    for first in sorted(draw(days(0, 80, 2))):
        if first > last:
            last = first + draw(integers(0, 40))
            enrolments.append((first, last, draw(sample(0, 1, 3))))
    events = draw(EVENTS)
    billing_start = rarely(draw, 0, 3, 17)
    service = draw_life(draw, interval)
    parts = rarely(draw, 1, 10)
    unpriced = rarely(draw, 0, 1, 3)
    return interval, aggregation, rules, service, enrolments, events, billing_start, parts, unpriced


def draw_life(draw, interval):
    """Rows of service (first, last, group, paused, anchor, interval): group moves, pauses, one
    reopening, changes of the billing cycle.
    """
    cuts = sorted(draw(days(1, 80, 3)))
    rows, anchor = [], 0
    gap = draw(sample(None, None, None, *range(len(cuts))))
    by_calendar = draw(BOOLEANS)
    for number, (first, following) in enumerate(zip([0, *cuts], [*cuts, None], strict=True)):
        last = None if following is None else following - 1
        if gap is not None and number == gap + 1:
            # Closed on these days; a new row of cycles begins unless they follow the calendar.
            if following is None:
                last = draw(sample(None, first + 3))
            first += draw(integers(1, 25))
            if last is not None and first > last:
                continue
            if not by_calendar:
                anchor = first
        elif number and not draw(integers(0, 4)):
            anchor, interval = first, draw(sample(interval, *OWN_CYCLES))
        rows.append(
            (
                first,
                last,
                draw(sample(None, 5)),
                rarely(draw, False, True),
                anchor,
                interval,
            )
        )
    return rows


def membership_of(row):
    """Return the Membership of a row of service, (first, last, group, paused, anchor, interval)."""
    first, last, group, paused, anchor, interval = row
    return membership(first, last, group, anchor, paused, interval)


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
            if key not in ("number", "from", "to", "rank", "scope", "interval")
        }
    ) + repr(plain["interval"] and rating.Interval.of(*plain["interval"]))


def take_in(account, truth, waiting, to_void, number, parts):
    """Take in, and void, the events whose turn comes before a bill of a number."""
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


def believe(truth, unknown):
    """Return the rows of service as the account has them, open where a closing is not known."""
    found = []
    for first, last, *rest in truth:
        hidden = last in unknown
        found.append((first, None if hidden else last, *rest))
        if hidden:
            break
    return found


def cycle_changes(rows):
    """Return the days on which cycles begin anew though service goes on."""
    return [
        following[0]
        for row, following in pairwise(rows)
        if row[1] == following[0] - timedelta(days=1) and row[4:] != following[4:]
    ]


def without_changes(rows, when):
    """Return rows of service as if cycles would not change after a day."""
    found, changes = [], cycle_changes(rows)
    hides = False
    for row in rows:
        goes_on = found and found[-1][1] == row[0] - timedelta(days=1)
        hides = goes_on and (hides or (row[0] in changes and row[0] > when))
        found.append((*row[:4], *found[-1][4:]) if hides else row)
    return found


def find_rules(plain_rules, until, announce):
    """Return the rules that are known on a day, open where nobody knows of their end yet."""
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
    return visible


def find_instant(account, changes):
    """Return the first of the days of changes that no bill has yet and that no bill comes on, or None.

    Who is not served on it has no bill made at once.
    """
    if not account.billed_until:
        return None
    free = account.billed_until + timedelta(days=1)
    rows = [(row.date_from, row.date_to or date.max) for row in account.memberships]
    days = [day for day in changes if any(first <= day <= last for first, last in rows)]
    return next((day for day in days if free < day < account.next_bill), None)


def learns(closed, late, last, starts):
    """Return whether a closing becomes known before a bill is made.

    :param late: whether it is dated back already
    """
    reopened = min((first for first in starts if first > closed), default=None)
    waits = (last.date - closed).days < 10 * (1 + closed.toordinal() % 4)
    # At the latest before the bill that service begins again with.
    return (late and not waits) or (reopened and last.date >= reopened)


def play(history, known, extended=None):
    """Bill a history for about 100 days; return the account and the oracle of what it knows.

    :param known: "from the start": everything, but for prices that come only after some bills;
        "in time": the account does not know of a version, a move, a pause or a closing before a bill
        whose days it touches; "late": nor of a closing before the bill of its last day is made;
        "dated back": it learns of a closing up to three bills later; "at once": as "in time", and
        each version and move is billed on its day
    :param extended: (day, last day) of a longer trial, see the oracle
    """
    announce = known == "from the start"
    interval, aggregation, plain_rules, service, enrolments, events, *rest = history
    billing_start, parts, unpriced = rest
    plain_rules = [{**rule, "number": number} for number, rule in enumerate(plain_rules, 1)]
    if aggregation == "count":
        parts = 1
    if not announce:
        unpriced = 0
    truth = [
        (on(first), on(last), group, paused, on(anchor), interval)
        for first, last, group, paused, anchor, interval in service
    ]
    if known == "dated back":
        first, last, *rest = truth[-1]
        # So that there is something to learn late.
        truth[-1] = first, last or max(first, on(30 + 4 * len(events))), *rest
    account = Account(
        start=START,
        interval=interval,
        aggregation=aggregation,
        billing_start=on(billing_start) if billing_start else None,
        extension=extended or (None, None),
        digits=len(str(parts)) - 1,
    )

    def know(until, closed_until):
        visible = find_rules(plain_rules, until, announce)
        rows = [
            (first, last if announce or (last and last <= closed_until) else None, *rest)
            for first, last, *rest in believe(truth, unknown)
            if announce or first <= until or first == START
        ]
        account.rules = [core_rule(rule["number"], rule, parts) for rule in visible]
        if number < unpriced:
            account.rules = []
        account.memberships = [membership_of(row) for row in rows]
        return visible, rows

    account.enrolments = [
        Enrolment(on(first), on(last), Decimal(quantity)) for first, last, quantity in enrolments
    ]
    starts = {row[0] for row in truth}
    closings = {row[1] for row in truth if row[1] and row[1] + timedelta(days=1) not in starts}
    unknown = sorted(closings) if known == "dated back" else []
    number, waiting = 0, sorted(events, key=lambda event: event[3])
    to_void = []
    served = [row for row in truth if not row[1] or row[1] >= on(billing_start)]
    if not served:
        return None
    account.next_bill = max(on(billing_start), served[0][0])
    if billing_start:
        account.billing_start = account.next_bill
    unknown = [last for last in unknown if last >= account.first_day]
    changes = sorted({*starts, *(on(rule["from"]) for rule in plain_rules if rule["from"])})
    while account.next_bill <= START + timedelta(days=BILLING) or number <= unpriced:
        # Closing and reopening make bills of their own, known in time. A change of the cycle makes one,
        # too, but the bill before does not know of it.
        believed = believe(truth, unknown)
        if account.billed_until and not announce:
            free = account.billed_until + timedelta(days=1)
            account.next_bill = min(
                [account.next_bill, *(day for day in cycle_changes(believed) if day > free)]
            )
        if not announce:
            believed = without_changes(believed, account.next_bill)
        account.memberships = [membership_of(row) for row in believed]
        instant = known == "at once" and find_instant(account, changes)
        account.next_bill = instant or account.next_bill
        last = account.prepare_bill()
        until = last.date if instant or last.date in starts else last.period_end
        if unknown:
            closed = unknown[0]
            late = account.billed_until and closed < account.billed_until
            if learns(closed, late, last, starts):
                unknown.pop(0)
                if late:
                    visible, rows = know(account.billed_until, account.billed_until)
                    account.next_bill = account.billed_until + timedelta(days=1)
                    last = replace(account.prepare_bill(), rerate_from=closed + timedelta(days=1))
                    account.bill(last)
                continue
        closes = known == "late" and last.period_end in closings
        visible, rows = know(until, until - timedelta(days=1) if closes else until)
        take_in(account, believe(truth, unknown), waiting, to_void, number, parts)
        if unpriced and number == unpriced:
            last = replace(last, rerate_from=account.first_day)
        account.bill(last)
        if closes:
            # The account is closed on the last day that is billed: a final bill of the same date.
            visible, rows = know(until, until)
            account.next_bill = last.date
            account.bill()
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
        plain,
        [(on(first), on(last_day), quantity) for first, last_day, quantity in enrolments],
        100,
        aggregation,
        account.first_day,
        extended,
    )
    expected = oracle.rate(use, last.period_end, last.next_date - timedelta(days=1), last.date)
    return account, expected
