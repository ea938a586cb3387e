"""A slow, independent reading of the pricing rules: day by day, unit by unit, in fractions.

It shares no code with the core. Quantities are whole units; allotments are rounded to whole units.
"""

from calendar import monthrange
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

DAY = timedelta(days=1)


def half_up(value):
    """Round to an integer, half away from zero."""
    sign = -1 if value < 0 else 1
    return sign * ((abs(Fraction(value)) * 2 + 1) // 2)


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


class Oracle:
    """Prices one feature of one client.

    :param rules: dicts with rank, scope, since, until and the terms, in plain Python values
    :param groups: [(first day, group)], each until the next
    :param enrolments: [(first, last, quantity)]
    """

    def __init__(self, start, anchor, interval, rules, groups, enrolments, cents):
        self.start, self.anchor, self.interval = start, anchor, interval
        self.rules, self.groups, self.enrolments = rules, groups, enrolments
        self.cents = cents

    def winner(self, when):
        group = [one for first, one in self.groups if first <= when][-1]
        best = None
        for rule in self.rules:
            if (rule["since"] and when < rule["since"]) or (rule["until"] and when > rule["until"]):
                continue
            if rule["rank"] == 2 and rule["scope"] != group:
                continue
            if best is None or rule["rank"] > best["rank"]:
                best = rule
        return best

    def units(self, when, rule):
        for first, last, quantity in self.enrolments:
            if first <= when and (last is None or when <= last):
                return quantity
        return 1 if rule["automatic"] else 0

    def days(self, until):
        """Yield (day, winning rule in force, cycle start, cycle length in days, index in cycle)."""
        # Long enough to see whole cycles that are open on the last day.
        horizon = until + DAY * 400
        winners = {}
        when = self.start
        while when <= horizon:
            winners[when] = self.winner(when)
            when += DAY
        first = next((rule for rule in winners.values() if rule), None)
        interval = (first and first["interval"]) or self.interval
        anchor, times, force, begun = self.anchor, 0, None, False
        while add(anchor, interval, times + 1) <= self.start:
            times += 1
        for when, rule in winners.items():
            begins = not begun or when == add(anchor, interval, times + 1)
            if begun and begins:
                times += 1
            own = (rule and rule["interval"]) or self.interval
            if begins or (
                rule is not force
                and not (force and (not force["prorated"] or (rule and not rule["prorated"])))
            ):
                force = rule
            else:
                own = None
            if force is rule and rule and own and not same_length(own, interval):
                anchor, interval, times = when, own, 0
            begun = True
            cycle = add(anchor, interval, times)
            length = (add(anchor, interval, times + 1) - cycle).days
            yield when, force, cycle, length, (when - cycle).days

    def rate(self, use, until, fees_until):
        """Return {cycle start: amount in cents} of use up to a day and fees of cycles up to a day.

        :param use: {(day, level): whole units}
        """
        cycles = defaultdict(list)
        for row in self.days(max(until, fees_until)):
            cycles[row[2]].append(row)
        result = defaultdict(int)
        for start, rows in cycles.items():
            result[start] += self.fees(rows, until, fees_until)
            if rows[0][0] <= until:
                result[start] += self.usage(rows, use, until)
        return {start: amount for start, amount in result.items() if amount}

    def running(self, value, days, length):
        return half_up(Fraction(value) * days / length)

    def fees(self, rows, until, fees_until):
        total = 0
        whole = set()
        for when, rule, _cycle, length, index in rows:
            if not rule or not rule["fee"]:
                continue
            due = rows[0][0] <= fees_until if rule["advance"] else rows[-1][0] <= until
            units = self.units(when, rule)
            if not due or not units:
                continue
            cents = Fraction(rule["fee"]) * self.cents * units
            if rule["prorated"]:
                total += self.running(cents, index + 1, length) - self.running(cents, index, length)
            elif rule["terms"] not in whole:
                whole.add(rule["terms"])
                total += half_up(cents)
        return total

    def usage(self, rows, use, until):
        total, stretch, counter = 0, [], None
        priced = [row for row in rows if row[1]]
        for position, row in enumerate(priced):
            rule = row[1]
            mark = (rule["model"], rule["size"] if rule["model"] == "package" else 0)
            if stretch and mark != counter:
                total += self.stretch(stretch, priced[position:], use, until)
                stretch = []
            counter = mark
            stretch.append(row)
        return total + (self.stretch(stretch, [], use, until) if stretch else 0)

    def stretch(self, rows, later, use, until):
        """Price the units of days through which the counts run on."""
        if rows[0][0] > until:
            return 0
        state = {
            "drawn": defaultdict(int),
            "drawn_by": defaultdict(int),
            "payable": defaultdict(int),
            "debt": defaultdict(int),
            "position": 0,
            "last": None,
            "entered": [],
        }
        # One amount is rounded for each of: terms, level, tier.
        amounts, volume = defaultdict(Fraction), defaultdict(int)
        for index, (when, *_rest) in enumerate(rows):
            if when > until:
                break
            for level in (None, 7, 8):
                quantity = use.get((when, level), 0)
                step = 1 if quantity > 0 else -1
                for _unit in range(abs(quantity)):
                    self.unit(step, level, index, rows, later, state, amounts, volume)
        model = rows[0][1]["model"]
        enrolled = next(
            (row for row in rows if row[0] <= until and self.units(row[0], row[1])), None
        )
        if model == "graduated":
            if not state["entered"] and enrolled:
                state["entered"] = [(0, enrolled[1], 0)]
            for number, rule, _low in state["entered"]:
                tier = rule["tiers"][number]
                amounts[rule["terms"], "flat", number] += Fraction(tier[2])
        if model == "volume":
            rule = state["last"] or (enrolled and enrolled[1])
            if not state["position"] and not enrolled:
                rule = None
            if rule:
                number = self.tier(rule, state["position"])
                amounts[rule["terms"], "flat", number] += Fraction(rule["tiers"][number][2])
            for (terms, rule_id), count in volume.items():
                rule = next(row[1] for row in rows if id(row[1]) == rule_id)
                number = self.tier(rule, state["position"])
                amounts[terms, "volume", number] += count * Fraction(rule["tiers"][number][1])
        return sum(half_up(amount * self.cents) for amount in amounts.values())

    def tier(self, rule, total):
        for number, (up_to, _price, _fee) in enumerate(rule["tiers"]):
            if up_to is None or total <= up_to:
                return number
        raise AssertionError

    def granted(self, pool, index, rows, later):
        """Past days by their own rules, and from the running segment on all days by today's."""
        rule = rows[index][1]
        first = index
        while first and rows[first - 1][1] is rule and rows[first][0] - rows[first - 1][0] == DAY:
            first -= 1
        total = 0
        for when, own, _cycle, length, place in rows[:first]:
            total += self.daily_share(pool, own, when, own, length, place)
        for when, own, _cycle, length, place in rows[first:] + later:
            total += self.daily_share(pool, rule, when, own, length, place)
        if not rule["prorated"]:
            total = (
                self.allotment(pool, rule)
                if any(self.units(when, own) for when, own, *_rest in rows + later)
                else 0
            )
        return total

    def daily_share(self, pool, rule, when, enrolling, length, place):
        if not self.units(when, enrolling):
            return 0
        value = self.allotment(pool, rule)
        return self.running(value, place + 1, length) - self.running(value, place, length)

    def allotment(self, pool, rule):
        if pool is None:
            return rule["included"]
        return (rule["levels"].get(pool) or (None, 0))[1] or 0

    def unit(self, step, level, index, rows, later, state, amounts, volume):
        when, rule = rows[index][:2]
        model = rule["model"]
        price, own = rule["levels"].get(level, (None, None))
        pool = level if own else None
        by_level = price is not None or model == "per_unit"
        lane = level if by_level or pool is not None else None
        if model == "unlimited" and price is None:
            return
        signed = by_level and not self.allotment(pool, rule)
        if signed:
            change = step
            state["payable"][lane] += step
        elif step > 0:
            change = 0
            if state["debt"][lane]:
                state["debt"][lane] -= 1
            elif self.units(when, rule) and (
                self.granted(pool, index, rows, later) > state["drawn"][pool]
            ):
                state["drawn"][pool] += 1
                state["drawn_by"][pool, lane] += 1
            else:
                state["payable"][lane] += 1
                change = 1
        else:
            change = 0
            if state["payable"][lane] > 0:
                state["payable"][lane] -= 1
                change = -1
            elif state["drawn_by"][pool, lane]:
                state["drawn"][pool] -= 1
                state["drawn_by"][pool, lane] -= 1
            else:
                state["debt"][lane] += 1
        if not change:
            return
        if by_level:
            unit_price = price if price is not None else rule["price"]
            amounts[rule["terms"], lane, 0] += change * Fraction(unit_price)
            return
        before = state["position"]
        state["position"] += change
        number = max(before, state["position"])  # the unit that comes or goes
        state["last"] = rule
        if model == "package":
            if (number - 1) % rule["size"] == 0:
                amounts[rule["terms"], None, 0] += change * Fraction(rule["price"])
        elif model == "volume":
            volume[rule["terms"], id(rule)] += change
        else:
            tier = self.tier(rule, number)
            amounts[rule["terms"], None, tier] += change * Fraction(rule["tiers"][tier][1])
            while change > 0 and tier >= len(state["entered"]):
                low = rule["tiers"][len(state["entered"]) - 1][0] if state["entered"] else 0
                state["entered"].append((len(state["entered"]), rule, low))
            while state["entered"] and state["position"] <= state["entered"][-1][2]:
                state["entered"].pop()
