from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import strategies as st
from odoo.tools import SQL

from ...models.client.floors import beneath_sql
from ..common_wholesale import WholesaleCommon

CENT = Decimal("0.01")
START = date(2024, 1, 1)
# Whole cents: so it does not matter where weeks and months begin.
RETAIL = (Decimal("0.05"), Decimal("0.07"))
# Up to 100 units, and above, of each version.
STEPS = ((Decimal("0.03"), Decimal("0.02")), (Decimal("0.041"), Decimal("0.033")))
BOUND = 100
RUN = ("run", "all")


def rounded(amount):
    return Decimal(amount).quantize(CENT, ROUND_HALF_UP)


@pytest.mark.laws
class TestBothBooks(WholesaleCommon):
    """Whatever happens, and in whatever order: each floor's bills add up to its rating of everything."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.days = cls.env["reseller.usage.daily"]
        # Its own bills come by quarters, those of its reseller by months.
        cls.client_b.interval_count = 3
        # To whom clients move.
        cls.second = cls._create_reseller("R2")
        cls.second_buyer = cls._have_buy(cls.second)
        cls.buyers = cls.buyer | cls.second_buyer
        cls.wholesale = cls._create_wholesale(
            ((BOUND, float(STEPS[0][0]), 0), (None, float(STEPS[0][1]), 0))
        )

    def test_each_floor_adds_up_and_no_bucket_is_lost_or_doubled(self):
        client = st.integers(0, 2)
        step = st.one_of(
            st.tuples(st.just("use"), client, st.integers(0, 75), st.integers(1, 90)),
            st.tuples(st.just("less"), client, st.integers(1, 90)),
            st.tuples(st.just("take back"), client),
            st.tuples(st.just("run"), st.sampled_from(["all", "clients", "buyers"])),
            st.tuples(st.sampled_from(["settle", "new"])),
            st.tuples(st.just("move"), client),
            st.tuples(st.just("void"), st.integers(0, 3), st.integers(0, 4)),
            st.tuples(st.sampled_from(["retail price", "wholesale price"])),
            st.tuples(st.just("close"), client),
            st.tuples(st.just("reopen"), client),
        )

        self._play_histories(
            step,
            (6, 24),
            20,
            [("use", 1, 10, 50), RUN, ("settle",), RUN, RUN],
            [("use", 0, 10, 80), ("use", 1, 10, 50), *[RUN] * 7, ("void", 3, 0), RUN],
            # Late, of two, and as much as before of both.
            [
                *[("use", 0, 10, 60), ("use", 1, 10, 50), ("use", 1, 10, 20), *[RUN] * 4],
                *[("take back", 0), ("use", 1, 35, 60), *[RUN] * 4],
            ],
            # The buyers' bills come first; a client moves, and what comes late is its former reseller's.
            [
                *[("use", 0, 10, 60), ("use", 1, 10, 50), *[("run", "buyers")] * 5, ("move", 0)],
                *[RUN] * 6,
                *[("use", 0, 75, 40), ("less", 1, 20), *[RUN] * 4, ("use", 0, 10, 30), *[RUN] * 4],
            ],
        )

    def _play(self, steps):
        self.today = START
        self.clients = self.client_a | self.client_b
        self.moved = set()
        self.events = defaultdict(list)
        self.served = {one: [[START, None]] for one in self.clients}
        # What holds from which month on.
        self.versions = {"retail": [(START, 0)], "wholesale": [(START, 0)]}
        for name, *values in steps:
            getattr(self, "_do_" + name.replace(" ", "_"))(*values)
        end = self.today + relativedelta(months=7)
        for _again in range(2):
            self._run(end)
        for statement in self.env["reseller.statement"].search(
            [("client_id", "in", self.buyers.ids), ("state", "=", "invoiced")]
        ):
            self.assertAgrees(statement)
        for one in self.clients:
            self.assertEqual(self._billed(one), self._expect_retail(one), one.ref)
        for buyer in self.buyers:
            self.assertEqual(self._billed(buyer), self._expect_wholesale(buyer), buyer.ref)
            self._check_coverage(buyer)
            self._check_margins(buyer)
        self._do_settle()
        pending = [("client_id", "in", self.clients.ids), ("is_pending", "=", True)]
        self.assertFalse(self.days.search(pending))

    # Steps

    def _pick(self, number):
        return self.clients[number % len(self.clients)]

    def _is_served(self, one, day):
        return any(first <= day and (not last or day <= last) for first, last in self.served[one])

    def _send(self, one, day, quantity):
        # A meter knows nothing of moves: the day says whose it is.
        event = self._event(day.isoformat(), quantity, client=one.former_ref or one.ref)
        outcome = self.env["reseller.usage.line"].ingest([event])
        self.assertEqual(outcome["accepted"], 1, outcome)
        self.events[one].append((event["id"], day, quantity))

    def _do_use(self, number, back, quantity):
        one = self._pick(number)
        day = max(self.today + relativedelta(days=10 - back), START)
        if self._is_served(one, day):
            self._send(one, day, quantity)

    def _do_less(self, number, quantity):
        """Take a part of an event back by one below zero, of the same day, at most all of it."""
        one = self._pick(number)
        if self.events[one] and self.events[one][-1][2] > 0:
            _taken, day, before = self.events[one].pop()
            self._send(one, day, -min(quantity, before))
            # Not to be taken back once more.
            self.events[one].append((None, day, before))

    def _do_take_back(self, number):
        one = self._pick(number)
        whole = [event for event in self.events[one] if event[0] and event[2] > 0]
        if whole:
            self.events[one].remove(whole[0])
            self.env["reseller.usage.line"].search(
                [("external_id", "=", whole[0][0])]
            ).action_void()

    def _do_run(self, of="all"):
        self.today += relativedelta(days=10)
        chosen = {"all": (), "clients": self.clients, "buyers": self.buyers}[of]
        self._run(self.today, chosen)

    def _do_move(self, number):
        """Move a client to the other reseller, from a day that neither side has billed."""
        one = self._pick(number)
        day = (self.today + relativedelta(months=2)).replace(day=16)
        first, last = self.served[one][-1]
        if last or first >= day or one in self.moved:
            return
        other = self.second if one.reseller_id == self.reseller else self.reseller
        following = one.action_move_to_reseller(other, self.env["reseller.client.group"], day)
        self.served[one][-1][1] = day - relativedelta(days=1)
        self.served[following] = [[day, None]]
        self.clients |= following
        self.moved.add(one)

    def _do_settle(self):
        self.days._settle(sorted((self.clients | self.buyers).ids))

    def _do_new(self):
        one = self._create_client(
            f"law{len(self.clients)}", start=self.today.isoformat(), interval_unit="week"
        )
        self.clients |= one
        self.served[one] = [[self.today, None]]

    def _do_void(self, number, place):
        one = self.buyers[place % 2] if number == 3 else self._pick(number)
        bills = one.statement_ids.filtered(
            lambda bill: bill.state in ("approved", "invoiced") and bill.charge_ids
        ).sorted("bill_date")
        if not bills:
            return
        bill = bills[place % len(bills)]
        if bill.invoice_id:
            bill._void_by_credit_note(max(self.today, bill.invoice_id.date))
        else:
            bill.action_void()

    def _change_price(self, book, rule, terms):
        # No bill has it yet.
        day = (self.today + relativedelta(months=1)).replace(day=1)
        versions = self.versions[book]
        if versions[-1][0] >= day:
            return
        rule = rule.search(
            [("book", "=", book), ("feature_id", "=", self.feature.id), ("date_to", "=", False)]
        )
        number = 1 - versions[-1][1]
        rule._make_version(day, terms(number))
        versions.append((day, number))

    def _do_retail_price(self):
        self._change_price(
            "retail", self.retail, lambda number: {"unit_price": float(RETAIL[number])}
        )

    def _do_wholesale_price(self):
        def terms(number):
            low, high = map(float, STEPS[number])
            tiers = [
                {"sequence": 0, "up_to": BOUND, "unit_price": low},
                {"sequence": 1, "is_last": True, "unit_price": high},
            ]
            return {"tier_ids": [(0, 0, tier) for tier in tiers]}

        self._change_price("wholesale", self.wholesale, terms)

    def _do_close(self, number):
        one = self._pick(number)
        day = self.today + relativedelta(months=1, days=9)
        if self.served[one][-1][1] or self.served[one][-1][0] > day:
            return
        one.action_close(day)
        self.served[one][-1][1] = day

    def _do_reopen(self, number):
        one = self._pick(number)
        closed = self.served[one][-1][1]
        day = self.today + relativedelta(months=3)
        if (
            one not in self.moved
            and closed
            and closed < day
            and not (one.billed_until and day <= one.billed_until)
        ):
            one.action_reopen(day)
            self.served[one].append([day, None])

    # What must come out

    def _version(self, book, month):
        return next(number for day, number in reversed(self.versions[book]) if day <= month)

    def _by_month(self, events):
        found = defaultdict(int)
        for _id, day, quantity in events:
            found[day.replace(day=1)] += quantity
        return found

    def _expect_retail(self, one):
        return sum(
            (
                rounded(RETAIL[self._version("retail", month)] * used)
                for month, used in self._by_month(self.events[one]).items()
            ),
            Decimal(0),
        )

    def _get_events(self, buyer):
        """Return {account: events} of the accounts beneath a buyer."""
        return {
            one: events
            for one, events in self.events.items()
            if one.reseller_id == buyer.buys_for_id
        }

    def _expect_wholesale(self, buyer):
        everything = [event for events in self._get_events(buyer).values() for event in events]
        total = Decimal(0)
        for month, used in self._by_month(everything).items():
            low, high = STEPS[self._version("wholesale", month)]
            total += rounded(low * min(used, BOUND)) + rounded(high * max(used - BOUND, 0))
        return total

    def _billed(self, one):
        live = one.statement_ids.filtered(lambda bill: bill.state in ("approved", "invoiced"))
        exact = live.charge_ids._get_exact()
        return sum((amount for _quantity, _price, amount in exact.values()), Decimal(0))

    def _check_coverage(self, buyer):
        """On both floors a bill covers each bucket as it stands, and so they say."""
        self.env.flush_all()
        for floor in (SQL("bucket.client_id"), SQL("%s", buyer.id)):
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT bucket.id
                      FROM reseller_client buyer
                     CROSS JOIN LATERAL (%s) AS beneath
                      JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
                     WHERE buyer.id = %s AND NOT %s
                    """,
                    beneath_sql("buyer"),
                    buyer.id,
                    self.days._covered_sql(floor=floor),
                )
            )
            self.assertFalse(rows)

    def _expect_costs(self, buyer):
        """Return {(month, client id): Decimal}: each tier of a month by the clients' use, to the cent."""
        used = defaultdict(dict)
        for one, events in self._get_events(buyer).items():
            for month, quantity in self._by_month(events).items():
                if quantity:
                    used[month][one.id] = quantity
        costs = defaultdict(Decimal)
        for month, by_client in used.items():
            low, high = STEPS[self._version("wholesale", month)]
            whole = sum(by_client.values())
            for amount in (rounded(low * min(whole, BOUND)), rounded(high * max(whole - BOUND, 0))):
                cents = int(amount * 100)
                parts = {one: divmod(cents * units, whole) for one, units in by_client.items()}
                left = cents - sum(part for part, _rest in parts.values())
                nearest = sorted(parts, key=lambda one: (-parts[one][1], one))
                for one, (part, _rest) in parts.items():
                    costs[month, one] += CENT * (part + (one in nearest[:left]))
        return {key: cost for key, cost in costs.items() if cost}

    def _check_margins(self, buyer):
        """Each client costs its part of what the buyer was billed, whenever which use was billed (law of W15)."""
        self.env.invalidate_all()
        mine = [("reseller_id", "=", buyer.buys_for_id.id)]
        rows = self.env["reseller.margin"].search(mine)
        costs = defaultdict(Decimal)
        for row in rows:
            costs[row.month, row.client_id.id] += rounded(Decimal(repr(row.cost)))
        self.assertEqual(
            {key: cost for key, cost in costs.items() if cost}, self._expect_costs(buyer)
        )
        beneath = self.clients.filtered(lambda one: one.reseller_id == buyer.buys_for_id)
        retail = sum((self._billed(one) for one in beneath), Decimal(0))
        cost = self._billed(buyer)
        sums = self.env["reseller.margin"]._read_group(
            mine, [], ["retail:sum", "cost:sum", "margin:sum"]
        )
        found = tuple(rounded(Decimal(repr(amount or 0.0))) for amount in sums[0])
        self.assertEqual(found, (retail, cost, retail - cost))
        self.assertFalse(self.env["reseller.margin"]._find_different())
        # And the ledger: what it was invoiced, less what was credited.
        lines = self.env["account.move.line"].search(
            [
                ("partner_id", "=", buyer.partner_id.id),
                ("parent_state", "=", "posted"),
                ("account_id.internal_group", "=", "income"),
            ]
        )
        self.assertEqual(rounded(Decimal(repr(-sum(lines.mapped("balance"))))), cost)
