"""A slow, independent reading of the pricing rules: day by day, unit by unit, in fractions.

It shares no code with the core. Quantities are whole units; allotments are rounded to whole units.
One file, since it is read as a whole beside docs/rating.md.
"""

from calendar import monthrange
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from functools import cache

DAY = timedelta(days=1)

# What the walks ask again for every day and unit; a text or number as the fraction that it is.
exact = cache(Fraction)


def half_up(value):
    """Round to an integer, half away from zero."""
    sign = -1 if value < 0 else 1
    return sign * ((abs(Fraction(value)) * 2 + 1) // 2)


@cache
def running(value, days, length):
    """Return what a value comes to after some of so many days, rounded."""
    return half_up(Fraction(value) * days / length)


@cache
def add(anchor, interval, times):
    count, unit = interval
    if unit in ("day", "week"):
        return anchor + DAY * (count * (7 if unit == "week" else 1) * times)
    months = count * (12 if unit == "year" else 1) * times
    index = anchor.year * 12 + anchor.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def same_length(one, other):
    days = {"day": 1, "week": 7}
    months = {"month": 1, "year": 12}
    for table in (days, months):
        if one[1] in table and other[1] in table:
            return one[0] * table[one[1]] == other[0] * table[other[1]]
    return False


class Day:
    """One day of one feature: the rule in force, its cycle, and what the client has."""

    __slots__ = (
        "anchor",
        "cycle",
        "index",
        "interval",
        "kept",
        "length",
        "number",
        "rule",
        "trial",
        "units",
        "when",
    )

    def __init__(self, when, rule, cycle, length, units, anchor, interval, number):
        self.when, self.rule, self.cycle, self.length = when, rule, cycle, length
        self.units, self.anchor, self.interval, self.number = units, anchor, interval, number
        self.trial = self.kept = False
        self.index = (when - cycle).days

    @property
    def enrolled(self):
        return self.units if not self.trial else 0

    def goes_on_with(self, other):
        """Whether another day's cycle is counted as this one's."""
        return self.anchor == other.anchor and same_length(self.interval, other.interval)


class Oracle:
    """Prices one feature of one client.

    :param service: [(first, last or None, group, paused, anchor, billing cycle as (count, unit))]
    :param rules: dicts with rank, scope, since, until and the terms, in plain Python values
    :param enrolments: [(first, last, quantity)]
    :param billing_start: nothing before this day is billed
    :param extended: (day, last day): trials that end on the day or later last until the last; None
    """

    def __init__(
        self, service, rules, enrolments, cents, aggregation, billing_start, extended=None
    ):
        self.service, self.rules = service, rules
        self.enrolments, self.cents = enrolments, cents
        self.aggregation, self.billing_start = aggregation, billing_start
        self.extended = extended
        self.winners = {}
        # Days after which no cycle begins that a bill of today touches, be it paid ahead.
        longest = {"day": 1, "week": 7, "month": 31, "year": 366}
        self.ahead = DAY * max(
            count * longest[unit] * (rule["advance_cycles"] + 1)
            for rule in [{"interval": None, "advance_cycles": 1}, *rules]
            for count, unit in (
                [rule["interval"]] if rule["interval"] else [row[5] for row in service]
            )
        )

    def winner(self, when, group):
        if (when, group) not in self.winners:
            self.winners[when, group] = self.find_winner(when, group)
        return self.winners[when, group]

    def find_winner(self, when, group):
        best = None
        for rule in self.rules:
            if (rule["since"] and when < rule["since"]) or (rule["until"] and when > rule["until"]):
                continue
            if rule["rank"] == 2 and rule["scope"] != group:
                continue
            if best is None or rule["rank"] > best["rank"]:
                best = rule
        return best

    def units(self, when, rule, paused):
        if not rule or paused:
            return 0
        for first, last, quantity in self.enrolments:
            if first <= when and (last is None or when <= last):
                return quantity
        return 0 if rule["enrolment"] == "opt_in" else 1

    def days(self, horizon):
        """Return the served Days, with the rule in force on each."""
        served = []
        for first, last, group, paused, *cycles in self.service:
            when = first
            while when <= min(last or horizon, horizon):
                served.append((when, self.winner(when, group), paused, cycles))
                when += DAY
        found, base, force = [], None, None
        anchor = interval = times = None
        for position, (when, rule, paused, cycles) in enumerate(served):
            fresh = cycles != base
            if fresh:
                base = cycles
                anchor, client_interval = cycles
                leading = next((one[1] for one in served[position:] if one[1]), None)
                interval = (leading and leading["interval"]) or client_interval
                times, force = 0, None
            begins = fresh
            while add(anchor, interval, times + 1) <= when:
                times, begins = times + 1, True
            own = (rule and rule["interval"]) or client_interval
            waits = force and (not force["prorated"] or (rule and not rule["prorated"]))
            if begins or (rule is not force and not waits):
                force = rule
                if rule and not same_length(own, interval):
                    anchor, interval, times = when, own, 0
            cycle = add(anchor, interval, times)
            length = (add(anchor, interval, times + 1) - cycle).days
            units = self.units(when, force, paused)
            found.append(Day(when, force, cycle, length, units, anchor, interval, times))
        return found

    @staticmethod
    def cycles(days):
        found = []
        for day in days:
            last = found[-1][-1] if found else None
            if last and last.cycle == day.cycle and last.goes_on_with(day):
                found[-1].append(day)
            else:
                found.append([day])
        return found

    def values(self, days, use, until):
        """Return {(day, level): quantity} of a cycle: for last, only the final values."""
        rows = {
            (day.when, level): use[day.when, level]
            for day in days
            for level in (None, 7, 8)
            if day.when <= until and (day.when, level) in use
        }
        if self.aggregation == "last":
            return {
                key: value
                for key, value in rows.items()
                if key[0] == max(when for when, level in rows if level == key[1])
            }
        return rows

    def net(self, days, use, until):
        values = self.values(days, use, until).values()
        return (max(values) if values else 0) if self.aggregation == "max" else sum(values)

    def drop_unused(self, cycles, use, until):
        for days in cycles:
            if self.net(days, use, until) <= 0:
                for day in days:
                    if day.rule and day.rule["enrolment"] == "on_use":
                        day.units = 0

    def rate(self, use, until, fees_until, bill_date):
        """Return {(kind, start): amount in cents}, of cycles and of minimums of billing periods.

        :param use: {(day, level): whole units}
        :param until: the last day of use
        :param fees_until: advance fees of cycles begun by then are due
        """
        self.prepare(use, until, max(until, fees_until) + self.ahead)
        result = defaultdict(int)
        for number, rows in enumerate(self.all_cycles):
            for start, cents in self.fees(number, until, fees_until).items():
                result["cycle", start] += cents
            added = defaultdict(int)
            for day in rows:
                if day.when in self.rises and day.when <= bill_date:
                    fee, units = self.rises[day.when]
                    added[day.rule["terms"]] += Fraction(fee) * units * self.cents
            result["cycle", rows[0].cycle] += sum(map(half_up, added.values()))
        for rows, stock in zip(self.all_cycles, self.stocks, strict=False):
            result["cycle", rows[0].cycle] += self.use_of(rows, use, until, stock)[0]
        for start, cents in self.minimums(use, until).items():
            result["minimum", start] += cents
        return {key: amount for key, amount in result.items() if amount}

    def prepare(self, use, until, horizon):
        """Lay out the cycles, settle what use up to a day decides, and what each takes over."""
        # Once ever, by the whole account's first enrolled day.
        ever = self.days(horizon)
        self.drop_unused(self.cycles(ever), use, until)
        self.once = next((day for day in ever if day.units), None)
        # A set-up fee is due for each unit more than there ever were.
        self.rises, highest = {}, 0
        for day in ever:
            if day.units > highest:
                self.rises[day.when] = day.rule["setup"], day.units - highest
                highest = day.units
        days = [day for day in ever if day.when >= self.billing_start]
        self.all_cycles = self.cycles(days)
        if self.once:
            trial_until = self.trial_until()
            for day in days:
                day.trial = bool(day.units) and self.once.when <= day.when <= trial_until
        bonus = self.once.rule["bonus"] if self.once else 0
        self.stocks, stock = [], {"bonus": bonus, "lots": [], "enrolled": None}
        for rows in self.all_cycles:
            if rows[0].when > until:
                break
            self.stocks.append(stock)
            stock = self.use_of(rows, use, until, stock)[2]

    # Fees

    def block_start(self, number, terms):
        first = number
        while first:
            before = self.all_cycles[first - 1][-1]
            if (
                not before.rule
                or before.rule["terms"] != terms
                or not before.goes_on_with(self.all_cycles[number][0])
            ):
                break
            first -= 1
        rule = next(
            day.rule for day in self.all_cycles[number] if day.rule and day.rule["terms"] == terms
        )
        begun = self.all_cycles[first][0]
        size = rule["advance_cycles"]
        blocks = (self.all_cycles[number][0].number - begun.number) // size
        if not blocks:
            return begun.when, begun.number
        place = begun.number + blocks * size
        return add(begun.anchor, begun.interval, place), place

    def closing(self, when):
        """Return the day of reopening if the account closes on a day, else None."""
        if all(last != when for _first, last, *_rest in self.service):
            return None
        later = [first for first, *_rest in self.service if first > when]
        reopened = min(later, default=date.max)
        return reopened if reopened != when + DAY else None

    def changes_after(self, when):
        """Whether the client's cycles begin anew on the day after one."""
        last = next(
            row for row in self.service if row[0] <= when and (not row[1] or when <= row[1])
        )
        return any(row[0] == when + DAY and row[4:] != last[4:] for row in self.service)

    def fees(self, number, until, fees_until):
        """Return {cycle start: cents}: of a cycle, and of kept ones that were bought with it."""
        rows = self.all_cycles[number]
        found = defaultdict(int)
        on_use = [
            day
            for day in rows
            if day.enrolled
            and day.rule["enrolment"] == "on_use"
            and self.served_until(rows, day) <= until
        ]
        paid = defaultdict(list)
        for day in rows:
            paid[rows[0].cycle].append(day)
            for kept in self.kept_days(number, day):
                paid[kept.cycle].append(kept)
        for start, bought in paid.items():
            whole, spans = set(), defaultdict(list)
            for day in bought:
                rule = day.rule
                if not rule or not rule["fee"] or not day.enrolled:
                    continue
                if rule["enrolment"] == "on_use":
                    due = on_use and rule is on_use[-1].rule
                elif rule["advance"]:
                    begun = rows[0].when
                    if rule["advance_cycles"] > 1:
                        begun = self.block_start(number, rule["terms"])[0]
                    due = begun <= fees_until
                else:
                    due = self.served_until(rows, day) <= until
                if not due:
                    continue
                cents = Fraction(rule["fee"]) * self.cents * day.enrolled
                if rule["prorated"] and rule["enrolment"] != "on_use":
                    spans[rule["terms"]].append((day.index, cents / day.length))
                elif rule["terms"] not in whole:
                    whole.add(rule["terms"])
                    found[start] += half_up(cents)
            for rows_of_terms in spans.values():
                found[start] += self.round_spans(rows_of_terms)
        return found

    @staticmethod
    def round_spans(days):
        """Return the cents of (index, cents of a day), rounded once for each run of days.

        A run's cents are counted from the cycle's first day, as if it had begun there.
        """
        total = sofar = 0
        for position, (index, cents) in enumerate(days):
            if not position or days[position - 1][0] != index - 1:
                total += half_up(sofar)
                sofar = cents * index
                total -= half_up(sofar)
            sofar += cents
        return total + half_up(sofar)

    @staticmethod
    def served_until(rows, day):
        """Return the last of the days that are served without a gap, from a day on."""
        served = {one.when for one in rows}
        found = day.when
        while found + DAY in served:
            found += DAY
        return found

    def kept_days(self, number, day):
        """Return the days after a last day of service whose fee is not given back."""
        rule, found = day.rule, []
        reopened = self.closing(day.when)
        if not reopened or not rule or rule["refund"] or not day.units:
            return found
        if not rule["advance"] or rule["enrolment"] == "on_use":
            return found
        when = day.when + DAY
        end = day.cycle + DAY * (day.length - 1)
        while when <= end and when < reopened:
            found.append(self.keep(day, when, day.cycle, day.length))
            when += DAY
        _start, first = self.block_start(number, rule["terms"])
        for place in range(day.number + 1, first + rule["advance_cycles"]):
            start = add(day.anchor, day.interval, place)
            following = add(day.anchor, day.interval, place + 1)
            if following > reopened:
                break
            when = start
            while when < following:
                found.append(self.keep(day, when, start, (following - start).days))
                when += DAY
        return found

    def keep(self, day, when, cycle, length):
        kept = Day(when, day.rule, cycle, length, day.units, day.anchor, day.interval, day.number)
        kept.kept, kept.trial = True, when <= self.trial_until()
        return kept

    def trial_until(self):
        days = self.once.rule["trial"]
        until = self.once.when + DAY * (days - 1)
        if days and self.extended and until >= self.extended[0]:
            until = max(until, self.extended[1])
        return until

    # Use

    def use_of(self, days, use, until, stock, further=None):
        """Return (cents, payable units, stock after) of a cycle's use up to a day."""
        bonus_days = self.once.rule["bonus_days"] if self.once else 0
        bonus_until = self.once.when + DAY * (bonus_days - 1) if bonus_days else date.max
        before = stock["enrolled"] == days[0].when - DAY
        lots = [dict(lot) for lot in stock["lots"]]
        mine = {
            "bonus": stock["bonus"],
            "lots": lots,
            "stocked": {lot["pool"] for lot in lots} if before and days[0].units else set(),
            "has_bonus": bool(
                self.once
                and stock["bonus"]
                and self.once.when <= days[-1].when
                and days[0].when <= bonus_until
            ),
            "bonus_until": bonus_until,
            # Days on which units taken over may be used: without a break since the last cycle.
            "lots_days": set(),
        }
        when = days[0].when
        for day in days:
            if not before or not day.units or day.when != when:
                break
            mine["lots_days"].add(day.when)
            when += DAY
        rows = self.values(days, use, until)
        total, payable, stretch, counter, leftovers = 0, 0, [], None, []
        priced = [day for day in days if day.rule]
        for position, day in enumerate([*priced, None]):
            mark = day and (
                day.rule["model"],
                day.rule["size"] if day.rule["model"] == "package" else 0,
            )
            if stretch and mark != counter:
                later = priced[position:]
                if stretch[0].when <= until:
                    cents, units, left = self.stretch(stretch, later, rows, until, mine, further)
                    total, payable, leftovers = total + cents, payable + units, leftovers + left
                stretch = []
            counter = mark
            stretch.append(day)
        after = {"bonus": mine["bonus"], "lots": [], "enrolled": None}
        end = days[0].cycle + DAY * (days[0].length - 1)
        position = self.all_cycles.index(days)
        following = (
            self.all_cycles[position + 1][0] if position + 1 < len(self.all_cycles) else None
        )
        cut = following and not days[0].goes_on_with(following)
        if days[-1].units and (days[-1].when == end or cut):
            after["enrolled"] = days[-1].when
            if {day.when for day in days} == mine["lots_days"]:
                after["lots"] = [
                    {**lot, "cycles": lot["cycles"] - 1}
                    for lot in mine["lots"]
                    if lot["left"] and lot["cycles"] > 1
                ]
            after["lots"] += leftovers
        return total, payable, after

    def stretch(self, rows, later, use, until, mine, further):
        """Price the units of days through which the counts run on."""
        state = {
            "drawn": defaultdict(int),
            "drawn_by": defaultdict(int),
            "from_lot": defaultdict(int),
            "from_bonus": defaultdict(int),
            "payable": defaultdict(int),
            "debt": defaultdict(int),
            "position": 0,
            "last": None,
            "entered": [],
            "mine": mine,
        }
        # One amount is rounded for each of: terms, level, tier.
        amounts, volume = defaultdict(Fraction), defaultdict(int)
        tops = defaultdict(int)
        for index, day in enumerate(rows):
            for level in (None, 7, 8):
                quantity = use.get((day.when, level), 0)
                if self.aggregation == "max":
                    top = tops[level, day.trial]
                    tops[level, day.trial] = max(top, quantity)
                    quantity = max(quantity - top, 0)
                if day.trial:
                    continue
                step = 1 if quantity > 0 else -1
                for _unit in range(abs(quantity)):
                    self.unit(step, level, index, rows, later, state, amounts, volume)
        if further and any(day.when == further[0] for day in rows):
            index = next(i for i, day in enumerate(rows) if day.when == further[0])
            for _unit in range(further[1]):
                if rows[0].rule["model"] != "unlimited":
                    self.pay(1, None, None, rows[index].rule, state, amounts, volume)
        model = rows[0].rule["model"]
        enrolled = next((day for day in rows if day.when <= until and day.enrolled), None)
        if model == "graduated":
            if not state["entered"] and enrolled:
                state["entered"] = [(0, enrolled.rule, 0)]
            for number, rule, _low in state["entered"]:
                tier = rule["tiers"][number]
                amounts[rule["terms"], "flat", number] += exact(tier[2])
        if model == "volume":
            rule = state["last"] or (enrolled and enrolled.rule)
            if not state["position"] and not enrolled:
                rule = None
            if rule:
                number = self.tier(rule, state["position"])
                amounts[rule["terms"], "flat", number] += exact(rule["tiers"][number][2])
            for (terms, rule_id), count in volume.items():
                rule = next(day.rule for day in rows if id(day.rule) == rule_id)
                number = self.tier(rule, state["position"])
                amounts[terms, "volume", number] += count * exact(rule["tiers"][number][1])
        cents = sum(half_up(amount * self.cents) for amount in amounts.values())
        return cents, sum(state["payable"].values()), self.leftovers(rows, state)

    def leftovers(self, rows, state):
        """Return lots of included units left, by the rules of the days that granted them."""
        lots, drawn, whole = [], dict(state["drawn"]), set()
        if not any(day.rule["rollover"] for day in rows):
            return lots
        for day in rows:
            for pool in (None, 7, 8):
                if day.rule["prorated"]:
                    given = self.daily_share(pool, day.rule, day)
                elif (pool, id(day.rule)) in whole or not day.enrolled:
                    given = 0
                else:
                    whole.add((pool, id(day.rule)))
                    given = self.allotment(pool, day.rule)
                taken = min(given, drawn.get(pool, 0))
                drawn[pool] = drawn.get(pool, 0) - taken
                if given > taken and day.rule["rollover"]:
                    lots.append(
                        {"pool": pool, "left": given - taken, "cycles": day.rule["rollover"]}
                    )
        return lots

    def tier(self, rule, total):
        for number, (up_to, _price, _fee) in enumerate(rule["tiers"]):
            if up_to is None or total <= up_to:
                return number
        raise AssertionError

    def granted(self, pool, index, rows, later):
        """Past days by their own rules, and from the running segment on all days by today's."""
        rule = rows[index].rule
        first = index
        while (
            first
            and rows[first - 1].rule is rule
            and rows[first].when - rows[first - 1].when == DAY
        ):
            first -= 1
        total = 0
        if not rule["prorated"]:
            if any(day.enrolled for day in rows + later):
                total = self.allotment(pool, rule)
            return total
        for day in rows[:first]:
            total += self.daily_share(pool, day.rule, day)
        for day in rows[first:] + later:
            total += self.daily_share(pool, rule, day)
        return total

    def daily_share(self, pool, rule, day):
        if not day.enrolled:
            return 0
        value = self.allotment(pool, rule)
        return running(value, day.index + 1, day.length) - running(value, day.index, day.length)

    def allotment(self, pool, rule):
        if pool is None:
            return rule["included"]
        return (rule["levels"].get(pool) or (None, 0))[1] or 0

    def unit(self, step, level, index, rows, later, state, amounts, volume):
        when, rule, mine = rows[index].when, rows[index].rule, state["mine"]
        model = rule["model"]
        price, own = rule["levels"].get(level, (None, None))
        pool = level if own else None
        by_level = price is not None or model == "per_unit"
        lane = level if by_level or pool is not None else None
        if model == "unlimited" and price is None:
            return
        signed = (
            by_level
            and not self.allotment(pool, rule)
            and not mine["has_bonus"]
            and pool not in mine["stocked"]
        )
        if signed:
            self.pay(step, lane, price, rule, state, amounts, volume)
        elif step > 0:
            lot = next((one for one in mine["lots"] if one["pool"] == pool and one["left"]), None)
            if state["debt"][lane]:
                state["debt"][lane] -= 1
            elif lot and rows[index].enrolled and when in mine["lots_days"]:
                lot["left"] -= 1
                state["from_lot"][lane, mine["lots"].index(lot)] += 1
            elif rows[index].enrolled and (
                self.granted(pool, index, rows, later) > state["drawn"][pool]
            ):
                state["drawn"][pool] += 1
                state["drawn_by"][pool, lane] += 1
            elif (
                rows[index].enrolled
                and mine["has_bonus"]
                and mine["bonus"]
                and self.once.when <= when <= mine["bonus_until"]
            ):
                mine["bonus"] -= 1
                state["from_bonus"][lane] += 1
            else:
                self.pay(1, lane, price, rule, state, amounts, volume)
        else:
            lots = [number for one, number in state["from_lot"] if one == lane]
            lots = [number for number in sorted(lots) if state["from_lot"][lane, number]]
            if state["payable"][lane] > 0:
                self.pay(-1, lane, price, rule, state, amounts, volume)
            elif state["from_bonus"][lane]:
                mine["bonus"] += 1
                state["from_bonus"][lane] -= 1
            elif state["drawn_by"][pool, lane]:
                state["drawn"][pool] -= 1
                state["drawn_by"][pool, lane] -= 1
            elif lots:
                mine["lots"][lots[-1]]["left"] += 1
                state["from_lot"][lane, lots[-1]] -= 1
            else:
                state["debt"][lane] += 1

    def pay(self, change, lane, price, rule, state, amounts, volume):
        """Add or take one payable unit, and its price."""
        state["payable"][lane] += change
        model = rule["model"]
        if price is not None or model == "per_unit":
            unit_price = price if price is not None else rule["price"]
            amounts[rule["terms"], lane, 0] += change * exact(unit_price)
            return
        before = state["position"]
        state["position"] += change
        number = max(before, state["position"])  # the unit that comes or goes
        state["last"] = rule
        if model == "package":
            if (number - 1) % rule["size"] == 0:
                amounts[rule["terms"], None, 0] += change * exact(rule["price"])
        elif model == "volume":
            volume[rule["terms"], id(rule)] += change
        else:
            tier = self.tier(rule, number)
            amounts[rule["terms"], None, tier] += change * exact(rule["tiers"][tier][1])
            while change > 0 and tier >= len(state["entered"]):
                low = rule["tiers"][len(state["entered"]) - 1][0] if state["entered"] else 0
                state["entered"].append((len(state["entered"]), rule, low))
            while state["entered"] and state["position"] <= state["entered"][-1][2]:
                state["entered"].pop()

    # Minimums

    def minimums(self, use, until):
        """Return {period start: cents} of the billing periods that end by a day."""
        periods = defaultdict(list)
        for first, last, _group, _paused, anchor, interval in self.service:
            when, times = max(first, self.billing_start), 0
            while when <= min(last or until, until):
                while add(anchor, interval, times + 1) <= when:
                    times += 1
                start = add(anchor, interval, times)
                end = add(anchor, interval, times + 1) - DAY
                periods[start, end].append(when)
                when += DAY
        found = {}
        if not any(rule["min_quantity"] or rule["min_amount"] != "0" for rule in self.rules):
            return found
        for (start, end), served in periods.items():
            if served[-1] == end or self.closing(served[-1]) or self.changes_after(served[-1]):
                found[start] = self.minimum(start, end, served[-1], use)
        return found

    def minimum(self, start, end, last, use):
        """Use after the period enrols nobody in it, and counts for nothing."""
        self.prepare(use, last, last + self.ahead)
        days = [
            day
            for rows in self.all_cycles
            for day in rows
            if start <= day.when <= last and day.enrolled
        ]
        if not days:
            return 0
        final = days[-1]
        length = (end - start).days + 1
        if not final.rule["prorated"]:
            required = final.rule["min_quantity"]
            least = half_up(exact(final.rule["min_amount"]) * self.cents)
        else:
            required = least = 0
            for day in days:
                if day.rule["prorated"]:
                    place = (day.when - start).days
                    units = day.rule["min_quantity"]
                    cents = exact(day.rule["min_amount"]) * self.cents
                    required += running(units, place + 1, length)
                    required -= running(units, place, length)
                    least += running(cents, place + 1, length)
                    least -= running(cents, place, length)
        if not required and not least:
            return 0
        amount = payable = 0
        for rows, stock in zip(self.all_cycles, self.stocks, strict=False):
            if rows[0].when <= last and rows[-1].when >= start:
                cents, units, _stock = self.use_of(rows, use, last, stock)
                amount, payable = amount + cents, payable + units
                if rows[0].when < start:
                    cents, units, _stock = self.use_of(rows, use, start - DAY, stock)
                    amount, payable = amount - cents, payable - units
        missing = max(required - payable, 0) if required else 0
        more = 0
        if missing:
            number = next(i for i, rows in enumerate(self.all_cycles) if final in rows)
            rows, stock = self.all_cycles[number], self.stocks[number]
            more = self.use_of(rows, use, last, stock, (final.when, missing))[0]
            more -= self.use_of(rows, use, last, stock)[0]
        return max(more, least - amount) if least else more
