"""An account that takes use and bills in memory: what a database does around the core."""

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import rating
from rating import Bill, FeatureBill

DAY = timedelta(days=1)
CENT = Decimal("0.01")
FEATURE = 1
RESELLER, CLIENT = 1, 1


def day(text):
    """Return a day of 2024 from 'MM-DD', or any day from 'YYYY-MM-DD'."""
    return date.fromisoformat(text if len(text) > 5 else f"2024-{text}")


def membership(first, last, group, anchor, paused=False, interval=(1, "month")):
    """Return a Membership, of cycles of a month unless said."""
    return rating.Membership(first, last, group, anchor, rating.Interval.of(*interval), paused)


def terms(**values):
    """Return Terms; numbers may be given as text."""
    for name in (
        "recurring_fee",
        "setup_fee",
        "included",
        "bonus",
        "unit_price",
        "package_size",
        "minimum_quantity",
        "minimum_amount",
    ):
        if name in values:
            values[name] = Decimal(values[name])
    if "tiers" in values:
        values["tiers"] = tuple(
            rating.Tier(up_to and Decimal(up_to), Decimal(price), Decimal(fee))
            for up_to, price, fee in values["tiers"]
        )
    return rating.Terms(**values)


class Account:
    """One client with one feature. Rules and service may be changed between bills."""

    def __init__(
        self,
        *rules,
        start="01-01",
        interval=(1, "month"),
        anchor=None,
        rounding=CENT,
        digits=0,
        aggregation="sum",
        billing_start=None,
        extension=(None, None),
    ):
        self.start = day(start) if isinstance(start, str) else start
        self.anchor = anchor or self.start
        self.rules = list(rules)
        self.memberships = [membership(self.start, None, None, self.anchor, False, interval)]
        self.believed = set()  # what memberships were at any bill
        self.enrolments = []
        self.rounding = rounding
        self.digits = digits
        self.aggregation = aggregation
        self.billing_start = billing_start
        self.extension = extension
        self.events = defaultdict(list)  # (day, level): quantities, as they came
        self.buckets = {}  # (day, level): quantity
        self.uncovered = set()
        self.charges = []
        self.bills = []  # of each charge
        self.lots = {}  # id: rating.UnitLot as it was bought, in the order of drawing
        self.draws = []  # of bills, one list each
        self.billed_until = None
        self.next_bill = billing_start or self.start
        self.cuts = ()  # days on which use is taxed anew

    def buy(self, quantity, first, last=None):
        """Buy units for the days from `first` to `last`; return the lot's id."""
        number = len(self.lots) + 1
        found = rating.UnitLot(number, Decimal(quantity), day(first), last and day(last))
        lots = [*self.lots.values(), found]
        lots.sort(key=lambda lot: (lot.last or date.max, lot.first, lot.id))
        self.lots = {lot.id: lot for lot in lots}
        return number

    def left(self, lot):
        """Return what bills have left of a lot."""
        drawn = [draw.quantity for draws in self.draws for draw in draws if draw.lot == lot]
        return self.lots[lot].left - sum(drawn, Decimal(0))

    def prepaid(self, on=None):
        """Return the lots that are bought by a day as they are left, with recorded draws."""
        recorded = defaultdict(lambda: defaultdict(Decimal))
        for draws in self.draws:
            for draw in draws:
                recorded[draw.day, draw.level][draw.lot] += draw.quantity
        return rating.Prepaid(
            tuple(
                replace(lot, left=self.left(lot.id))
                for lot in self.lots.values()
                if on is None or lot.first <= on
            ),
            {key: dict(lots) for key, lots in recorded.items()},
        )

    def use(self, when, quantity, level=None):
        when = day(when) if isinstance(when, str) else when
        self.events[when, level].append(Decimal(quantity))
        self._sum_up(when, level)

    def void(self, when, quantity, level=None):
        """Take one event back."""
        when = day(when) if isinstance(when, str) else when
        self.events[when, level].remove(Decimal(quantity))
        self._sum_up(when, level)

    def _sum_up(self, when, level):
        events = self.events[when, level]
        aggregate = {"max": max, "last": lambda found: found[-1], "count": len}
        self.buckets.pop((when, level), None)
        if events:
            self.buckets[when, level] = Decimal(aggregate.get(self.aggregation, sum)(events))
        self.uncovered.add((when, level))

    @property
    def first_day(self):
        return self.billing_start or self.start

    def close(self, last):
        """Make a day the last of service."""
        row = self.memberships[-1]
        self.memberships[-1] = replace(row, date_to=day(last) if isinstance(last, str) else last)

    def pause(self, first, last):
        """Pause from a day to a day, within the last row."""
        row = self.memberships.pop()
        first, last = day(first), day(last)
        self.memberships += [
            replace(row, date_to=first - DAY),
            replace(row, date_from=first, date_to=last, paused=True),
            replace(row, date_from=last + DAY),
        ]

    def bill_date_after(self, when):
        """Return the next cycle's first day, the day after closing, or that of reopening."""
        row = [row for row in self.memberships if row.date_from <= when][-1]
        dates = [next(rating.bill_dates_after(row.anchor, row.interval, when))]
        dates += [
            following.date_from
            for one, following in pairwise(self.memberships)
            if one.base != following.base and following.date_from > when
        ]
        starts = {row.date_from for row in self.memberships}
        closings = {row.date_to + DAY for row in self.memberships if row.date_to} - starts
        reopenings = {
            first for first in starts if all(row.date_to != first - DAY for row in self.memberships)
        }
        return min([one for one in closings | reopenings if one > when] + dates)

    def prepare_bill(self):
        start = self.billed_until + DAY if self.billed_until else self.next_bill
        return Bill(self.next_bill, start, self.bill_date_after(self.next_bill), self.rounding)

    def bill(self, bill=None):
        """Bill the next bill date; return its charges."""
        bill = replace(bill or self.prepare_bill(), cuts=self.cuts)
        self.believed.update(self.memberships)
        part, rows = self._prepare_part(bill)
        prior = {}
        for charge in self.charges:
            quantity, amount, _end = prior.get(charge.key, (Decimal(0), Decimal(0), None))
            prior[charge.key] = rating.Billed(
                quantity + charge.quantity,
                amount + charge.amount,
                charge.cycle_end,
            )
        # As in Odoo, what ended before all that the bill looks at is not read.
        bound = min([bill.since - DAY, *self._get_late_days(bill)])
        ends = defaultdict(lambda: date.min)
        for charge in self.charges:
            ends[charge.key] = max(ends[charge.key], charge.cycle_end)
        prior = {
            key: before
            for key, before in prior.items()
            if ends[key] >= bound or key.kind == "minimum"
        }
        spans = {
            key: [part for charge in self.charges if charge.key == key for part in spans_of(charge)]
            for key in prior
        }
        charges, draws = part.charges(rating.Usage(rows), prior, self.prepaid(), spans)
        self.charges += charges
        self.draws.append(draws)
        self.bills += [bill] * len(charges)
        self.uncovered = {one for one in self.uncovered if one[0] > bill.period_end}
        self.billed_until, self.next_bill = bill.period_end, bill.next_date
        return charges

    def prepaid_left(self, when):
        """Return what is left of the lots on a day, unbilled use considered."""
        when = day(when) if isinstance(when, str) else when
        part, rows = self._prepare_part(Bill(when + DAY, when, when + DAY, self.rounding))
        _cycle, use = part.state(rating.Usage(rows), self.prepaid())
        return use.prepaid.get_left(when)

    def _get_late_days(self, bill):
        return sorted({when for when, _level in self.uncovered if when < bill.period_start})

    def _prepare_part(self, bill):
        """Return the FeatureBill, and the rows of use that it wants."""
        account = rating.Account(
            tuple(self.memberships),
            {1: RESELLER, 3: CLIENT},
            {FEATURE: tuple(self.enrolments)},
            self.billing_start,
            self.extension,
        )
        feature = rating.Feature(FEATURE, tuple(self.rules), self.digits, self.aggregation)
        late = self._get_late_days(bill)
        part = FeatureBill(account, feature, bill, late)
        rows = [
            rating.UsageRow(when, level, quantity, (when, level) in self.uncovered)
            for (when, level), quantity in sorted(
                self.buckets.items(), key=lambda item: (item[0][0], item[0][1] or 0)
            )
            if part.since and part.since <= when <= bill.period_end
        ]
        return part, rows

    def bill_until(self, date_text):
        """Bill every due date up to and with a date; return the last bill's charges."""
        charges = []
        while self.next_bill <= day(date_text):
            charges = self.bill()
        return charges


def spans_of(charge):
    """Return the spans of a charge, which is one if nothing divides it."""
    return charge.spans or [rating.Span(charge.first, charge.last, charge.amount)]


def amounts(charges):
    """Return the amounts of charges that are not zero, as text."""
    return [str(charge.amount) for charge in charges if charge.amount]


def total(charges):
    return sum((charge.amount for charge in charges), Decimal(0))
