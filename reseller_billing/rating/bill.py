"""The bill of one account for one date: what is due now less what was billed (rating 4, 18)."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

from .cycles import DAY, Cycle
from .money import ZERO, digits_unit, exact, quotient, round_to
from .prepaid import NOTHING, Draw, PrepaidUse
from .quantity import EMPTY, ONE, CycleUse, Key, Rated, Stock, net_use, rate_fees, share
from .rules import Enrolment, Membership, Rule
from .timeline import RatedCycle, Timeline, within, without
from .trace import plain


@dataclass(frozen=True)
class Bill:
    """A bill's dates and currency. It covers use from `period_start` to the day before `date`,
    and the advance fees of cycles that begin before `next_date`. One that `accrues` takes the
    served days of fees in arrears, too, though their cycle has not ended: for the month's end.
    `cuts` are days, in order, from which use may be taxed anew: what a day before and a day after have
    in one charge is told apart (rating 26). `replaces` is the caller's name of a void bill whose days
    this one bills again.
    """

    date: date
    period_start: date
    next_date: date
    rounding: Decimal
    rerate_from: date | None = None
    accrues: bool = False
    cuts: tuple[date, ...] = ()
    replaces: int | None = None

    @property
    def since(self):
        """The first day that is rated: before the period where unpriced days have a price now."""
        return min(self.period_start, self.rerate_from or self.period_start)

    @property
    def period_end(self):
        return self.date - DAY


@dataclass(frozen=True)
class Account:
    """A client as the bill sees it; `scopes` maps rank 1 (reseller) and 3 (client) to ids.

    Nothing before `billing_start` is billed; trial and bonus count from activation all the same.
    `extension` is (day or None, last day or None): trials that would end on the day or later last until the last.
    """

    memberships: tuple[Membership, ...]
    scopes: dict[int, int]
    enrolments: dict[int, tuple[Enrolment, ...]] = field(default_factory=dict)
    billing_start: date | None = None
    extension: tuple[date | None, date | None] = (None, None)

    def timeline(self, feature, horizon):
        """Return this account's Timeline of a Feature, as far as cycles open on `horizon` reach.

        An open cycle is seen to its end: its allotment counts the days still to come.
        """
        intervals = [rule.terms.interval for rule in feature.rules if rule.terms.interval]
        return Timeline(
            self.memberships,
            feature.rules,
            self.enrolments.get(feature.id, ()),
            self.scopes,
            max(interval.after(horizon, 1) for interval in [*self._intervals, *intervals]),
            self.billing_start,
            self.extension,
        )

    @property
    def _intervals(self):
        return {row.interval for row in self.memberships}

    def get_fee_horizon(self, feature, horizon):
        """Return the last day of cycles whose fees blocks begun by `horizon` may hold."""
        ends = [
            interval.after(horizon, rule.terms.advance_cycles)
            for rule in feature.rules
            if rule.terms.advance_cycles > 1
            for interval in ([rule.terms.interval] if rule.terms.interval else self._intervals)
        ]
        return max(ends, default=horizon)


@dataclass(frozen=True)
class Feature:
    """A feature with the rules that may price it in the bill's currency.

    `aggregation` makes a cycle's use out of its days: sum and count add them up, max takes the
    highest value, last the final one, of each level (rating 8).
    """

    id: int
    rules: tuple[Rule, ...]
    quantity_digits: int = 6
    aggregation: str = "sum"

    @cached_property
    def has_fees(self):
        """Whether something may be due without use."""
        return any(
            rule.terms.recurring_fee
            or rule.terms.setup_fee
            or rule.terms.has_minimum
            or any(tier.flat_fee for tier in rule.terms.tiers)
            for rule in self.rules
        )

    @cached_property
    def has_once(self):
        return any(rule.terms.has_once for rule in self.rules)

    @cached_property
    def has_setup(self):
        return any(rule.terms.setup_fee for rule in self.rules)

    @cached_property
    def has_on_use(self):
        return any(rule.terms.enrolment == "on_use" for rule in self.rules)

    @cached_property
    def has_minimum(self):
        return any(rule.terms.has_minimum for rule in self.rules)

    @cached_property
    def is_linked(self):
        """Whether a cycle's rating rests on the use of cycles before it (rating 18)."""
        return (self.has_once and self.has_on_use) or any(
            rule.terms.rollover_cycles or rule.terms.bonus for rule in self.rules
        )


@dataclass(frozen=True)
class Charge:
    """A line of a bill. `closed` is the last day of service of a cycle that an earlier bill closed.
    `spans` are (first day, last day, amount) of use in a cycle that a cut of the bill divides.
    """

    feature: int
    key: Key
    cycle_end: date
    first: date
    last: date
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    closed: date | None
    trace: dict
    spans: tuple[tuple[date, date, Decimal], ...] = ()


class Usage:
    """The use of one feature, sorted by day, then level: rows of (day, level, quantity, fresh)."""

    def __init__(self, rows):
        self.rows = rows
        self._days = [row[0] for row in rows]

    def between(self, first, last):
        return self.rows[bisect_left(self._days, first) : bisect_right(self._days, last)]


class FeatureBill:
    """One feature on one bill, in two steps, so that a caller reads only the use that counts.

    First `since` tells from which day use is wanted, then `charges` rates it.
    """

    def __init__(self, account, feature, bill, late_days=()):
        """:param late_days: days before the period with use that no bill has covered"""
        self.feature = feature
        self.bill = bill
        horizon = account.get_fee_horizon(feature, bill.next_date - DAY)
        self._timeline = account.timeline(feature, horizon)
        first = min([bill.since, *late_days])
        late_days = [day for day in late_days if day < bill.since]
        if feature.is_linked and late_days:
            billed = self._timeline.cycles(first, horizon)
        else:
            # A cycle that was open to the last bill counts, also where service ended, or a new rule
            # cut it short, just where that bill ended: what is due of it is settled now.
            last = bill.since - DAY
            billed = [
                cycle
                for cycle in self._timeline.cycles(last, horizon, late_days)
                if (
                    cycle.last_fee_day >= last
                    or any(cycle.first_served <= day <= cycle.last_served for day in late_days)
                )
            ]
        billed = [cycle for cycle in billed if cycle.is_priced]
        self._billed = {cycle.cycle for cycle in billed}
        # Periods whose minimum falls due, or may have changed: a pause or closing takes free units
        # back from all of a cycle, which may reach over several periods.
        self._periods = []
        if feature.has_minimum:
            reach = min([first, *(cycle.first_served for cycle in billed[:1])])
            self._periods = [
                period
                for period in self._timeline.billing_periods(reach, bill.next_date - DAY)
                if reach <= period.last
                and (period.start if bill.accrues else period.last) <= bill.period_end
            ]
        # Cycles in order, those that others rest on with them.
        self.cycles = billed
        since = min(
            [
                *(period.start for period in self._periods),
                *(one.first_served for one in billed[:1]),
            ],
            default=None,
        )
        if since and feature.is_linked:
            since = date.min
        if since and billed and (since < billed[0].first_served or (self._periods and late_days)):
            self.cycles = [
                cycle for cycle in self._timeline.cycles(since, horizon) if cycle.is_priced
            ]

    @property
    def since(self):
        """The first day whose use is wanted, or None."""
        return self.cycles[0].first_served if self.cycles else None

    def priced(self, days):
        """Return those of `days` that a rule prices."""
        spans = [
            (segment.first, segment.last)
            for cycle in self.cycles
            for segment in cycle.segments
            if segment.rule
        ]
        return [day for day in days if any(first <= day <= last for first, last in spans)]

    # Enrolment that use decides, and the trial (rating 5 and 7)

    def _settle(self, usage, until):
        """Return the cycles with enrolment on use and trial settled by use up to a day, the Once, and
        the Rises of units that set-up fees are due for.
        """
        cycles, feature = self.cycles, self.feature

        def is_used(cycle):
            rows = usage.between(cycle.first_served, min(cycle.last_served, until))
            return net_use(rows, feature.aggregation) > 0

        if feature.has_on_use:
            cycles = [cycle if is_used(cycle) else self._leave_out(cycle) for cycle in cycles]
        once, rises = None, ()
        if feature.has_once:
            once = self._timeline.first_enrolled(is_used)
        if once and feature.has_setup:
            rises = tuple(self._timeline.rises(is_used))
        if once and once.rule.terms.trial_days:
            cycles = [self._mark_trial(cycle, once) for cycle in cycles]
        return cycles, once, rises

    @staticmethod
    def _leave_out(cycle):
        """Return a cycle without use, in which nobody is enrolled on use."""
        return replace(
            cycle,
            segments=tuple(
                replace(segment, enrolled=())
                if segment.rule and segment.rule.terms.enrolment == "on_use"
                else segment
                for segment in cycle.segments
            ),
        )

    @staticmethod
    def _mark_trial(cycle, once):
        if cycle.segments[0].first > once.trial_end or cycle.segments[-1].last < once.day:
            return cycle
        trial = once.day, once.trial_end
        return replace(
            cycle,
            segments=tuple(
                replace(
                    segment,
                    enrolled=without(segment.enrolled, *trial),
                    trial=within(segment.enrolled, *trial),
                )
                for segment in cycle.segments
            ),
        )

    # Charges

    def charges(self, usage, prior, prepaid=NOTHING, prior_spans=None):
        """Return (the Charges of this feature, the Draws from its lots).

        :param Usage usage: from `since` on
        :param prior: {Key: (quantity, amount, cycle_end)} of what earlier bills charged
        :param Prepaid prepaid: the lots of units bought ahead
        :param prior_spans: {Key: [(first day, last day, amount)]} of how earlier bills divided use; all
            of it where the bill has cuts
        """
        with exact():
            cycles, uses, rises = self._rate_use(usage, self.bill.period_end, prepaid)
            found, draws = [], []
            for cycle, use in zip(cycles, uses, strict=True):
                if cycle.cycle in self._billed:
                    rated, pending = rate_fees(cycle, self.bill, rises)
                    if use:
                        rated.update(use.components)
                        draws += use.prepaid.get_changes()
                    found += self._cycle_charges(cycle, rated, prior, pending)
            for period in self._periods:
                if self.feature.has_on_use:
                    # Use after the period enrols nobody in it.
                    until = min(period.last, self.bill.period_end)
                    cycles, uses, _rises = self._rate_use(usage, until, prepaid)
                found += self._minimum_charges(period, cycles, uses, usage, prior)
            starts = {cycle.start for cycle in self._billed}
            periods = {period.start for period in self._periods}
            for key, before in prior.items():
                if before[2] < self.bill.since:
                    continue
                if key.kind == "minimum":
                    gone = before[2] <= self.bill.period_end and key.cycle_start not in periods
                else:
                    gone = key.cycle_start not in starts and not self._stands(key, before[2])
                if gone:
                    found.append(self._refund(None, key, before))
            draws += self._return_lots(prepaid, {(draw.day, draw.level) for draw in draws})
            found = [charge for charge in found if charge]
            return self._divide(found, usage, prepaid, prior_spans or {}), draws

    def _divide(self, charges, usage, prepaid, prior_spans):
        """Return charges with their spans: each span has what its days add to what is due of the cycle,
        less what earlier bills had for it.
        """
        if not self.bill.cuts:
            return charges
        rated, found = {}, []
        cycles = {cycle.cycle.start: number for number, cycle in enumerate(self.cycles)}

        def components(key, last):
            """Return what the cycle of a component comes to by a day, as {Key: Rated}."""
            if last not in rated:
                rated[last] = self._rate_use(usage, last, prepaid)[1]
            use = rated[last][cycles[key.cycle_start]]
            return use.components if use else {}

        def due(key, last):
            """Return what is due of a component by a day."""
            found = components(key, last)
            whole = components(key, self.bill.period_end).get(key)
            if not whole:
                return ZERO
            if whole.quantity and whole.rule.terms.model == "volume":
                # All units of a cycle have the price of its last tier: each day has its units of them.
                units = sum(
                    one.quantity
                    for other, one in found.items()
                    if other._replace(tier=key.tier) == key
                )
                part = Fraction(whole.amount) * Fraction(units) / Fraction(whole.quantity)
                return round_to(part, self.bill.rounding)
            return found[key].amount if key in found else ZERO

        for charge in charges:
            key, number = charge.key, cycles.get(charge.key.cycle_start)
            cuts = ()
            if key.kind in ("usage", "overage") and not key.flat and number is not None:
                cycle = self.cycles[number]
                end = min(cycle.last_served, self.bill.period_end)
                # What a bill has taxed whole, before the change was known, stays whole.
                known = prior_spans.get(key, ())
                cuts = [
                    cut
                    for cut in self.bill.cuts
                    if cycle.first_served < cut <= end
                    and not any(first < cut <= last for first, last, amount in known if amount)
                ]
            if cuts:
                firsts = [cycle.first_served, *cuts]
                lasts = [*(cut - DAY for cut in cuts), end]
                until, spans = ZERO, []
                for first, last in zip(firsts, lasts, strict=True):
                    amount = due(key, self.bill.period_end if last == end else last) - until
                    until += amount
                    amount -= sum(
                        (
                            part
                            for _first, day, part in known
                            if (day >= first or first == firsts[0])
                            and (day <= last or last == lasts[-1])
                        ),
                        ZERO,
                    )
                    if amount:
                        within_bill = max(first, charge.first), min(last, charge.last)
                        shown = within_bill if within_bill[0] <= within_bill[1] else (first, last)
                        spans.append((*shown, amount))
                charge = replace(charge, spans=tuple(spans))
            found.append(charge)
        return found

    def _return_lots(self, prepaid, changed):
        """Return Draws that give lots back what they paid for days that are rated again and are no
        days of service any more.

        :param changed: {(day, level)} that have Draws already
        """
        return [
            Draw(lot, day, level, -units)
            for (day, level), lots in prepaid.recorded.items()
            if self.bill.since <= day <= self.bill.period_end
            and (day, level) not in changed
            and not self._timeline.is_served(day)
            for lot, units in lots.items()
            if units
        ]

    def state(self, usage, prepaid=NOTHING):
        """Return (cycle, CycleUse) of the cycle that holds the bill's last day, or None."""
        with exact():
            cycles, uses, _rises = self._rate_use(usage, self.bill.period_end, prepaid)
            for cycle, use in zip(cycles, uses, strict=True):
                if use and cycle.first_served <= self.bill.period_end <= cycle.cycle.last:
                    return cycle, use
        return None

    def _rate_use(self, usage, until, prepaid):
        """Return the settled cycles, the CycleUse of each (None where it has not begun), the Rises."""
        cycles, once, rises = self._settle(usage, until)
        uses = []
        stock = Stock(once.rule.terms.bonus) if once else EMPTY
        lots = PrepaidUse(prepaid)
        for cycle in cycles:
            if cycle.first_served > until or not cycle.served:
                uses.append(None)
                continue
            uses.append(self._use_until(until, cycle, usage, once, stock, lots))
            lots = uses[-1].prepaid
            if self.feature.is_linked:
                stock = uses[-1].get_stock_after()
        return cycles, uses, rises

    def _use_until(self, until, cycle, usage, once, stock, lots, further=None):
        rows = usage.between(cycle.first_served, min(cycle.last_served, until))
        return CycleUse(
            cycle,
            rows,
            until,
            self.bill.rounding,
            self.feature,
            once,
            stock,
            lots,
            further,
        )

    def _stands(self, key, end):
        """Whether a cycle that was charged is one still; if not, it was charged in advance, or its
        priced days were taken back.
        """
        return any(
            cycle.cycle.start == key.cycle_start and cycle.is_priced
            for cycle in self._timeline.cycles(key.cycle_start, end)
        )

    def _cycle_charges(self, cycle, rated, prior, pending):
        """Return the charges that bring a cycle to what it is rated at now.

        :param pending: the keys of fees that are due later: what a closing has made due before stays
        """
        found, silent = [], {}
        for key, component in rated.items():
            quantity, amount, end = prior.get(key, (ZERO, ZERO, None))
            change = component.quantity - quantity, component.amount - amount
            if any(change):
                found.append(self._charge(cycle, key, component, change, amount))
            elif key.kind == "recurring" and end and end < cycle.last_fee_day:
                # As much for a longer cycle that begins where another one would have: what was paid
                # ahead for that is given back.
                whole = component.quantity, component.amount
                found.append(self._refund(None, key, prior[key]))
                found.append(self._charge(cycle, key, component, whole, ZERO))
            elif component.fresh:
                silent[key.rule, key.level] = self._charge(cycle, key, component, change, amount)
        for key, before in prior.items():
            gone = key not in rated and key not in pending and key.kind != "minimum"
            if gone and key.cycle_start == cycle.cycle.start:
                found.append(self._refund(cycle, key, before))
        # Use that costs nothing more is shown all the same, once.
        shown = {(charge.key.rule, charge.key.level) for charge in found if charge}
        return found + [charge for one, charge in silent.items() if one not in shown]

    # The minimum of a billing period (rating 16)

    def _minimum_charges(self, period, cycles, uses, usage, prior):
        """Return the charges that bring a billing period's minimum to what it is now."""
        component = self._rate_minimum(period, cycles, uses, usage)
        key = component and Key(period.start, component.rule.id, "minimum")
        found = []
        if component:
            quantity, amount, _end = prior.get(key, (ZERO, ZERO, None))
            change = component.quantity - quantity, component.amount - amount
            if change[1]:
                found.append(self._charge(period, key, component, change, amount))
        for other, before in prior.items():
            if other.kind == "minimum" and other.cycle_start == period.start and other != key:
                found.append(self._refund(period, other, before))
        return found

    def _rate_minimum(self, period, cycles, uses, usage):
        """Return what a period's minimum comes to, or None; of one that goes on, that of its days so far."""
        last = min(period.last, self.bill.period_end)
        enrolled = [
            (segment.rule, *days)
            for cycle in cycles
            for segment in cycle.served
            for days in within(segment.enrolled, period.start, last)
        ]
        if not enrolled:
            return None
        final = enrolled[-1]
        if not final[0].terms.prorated and last == period.last:
            required = final[0].terms.minimum_quantity
            least = round_to(final[0].terms.minimum_amount, self.bill.rounding)
        else:
            unit = digits_unit(self.feature.quantity_digits)
            required = least = ZERO
            for rule, *days, _units in enrolled:
                if rule.terms.prorated or last < period.last:
                    required += share(rule.terms.minimum_quantity, *days, period, unit)
                    least += share(rule.terms.minimum_amount, *days, period, self.bill.rounding)
        if not required and not least:
            return None
        payable = use_amount = missing_amount = ZERO
        touching = [
            (cycle, use)
            for cycle, use in zip(cycles, uses, strict=True)
            if use and cycle.first_served <= last and cycle.last_served >= period.start
        ]
        whole = {}
        for cycle, use in touching:
            rest = usage, use.once, use.stock, use.prepaid_before
            if cycle.last_served > last:
                use = self._use_until(last, cycle, *rest)
            whole[cycle.cycle] = use
            payable += use.payable + use.paid_by_lots
            use_amount += use.amount
            if cycle.first_served < period.start:
                before = self._use_until(period.start - DAY, cycle, *rest)
                payable -= before.payable + before.paid_by_lots
                use_amount -= before.amount
        missing = max(required - payable, ZERO) if required else ZERO
        if missing:
            cycle, use = next(
                one for one in touching if one[0].first_served <= final[2] <= one[0].last_served
            )
            more = self._use_until(
                min(last, cycle.last_served),
                cycle,
                usage,
                use.once,
                use.stock,
                use.prepaid_before,
                (final[2], missing),
            )
            missing_amount = more.amount - whole[cycle.cycle].amount
        amount = max(missing_amount, least - use_amount) if least else missing_amount
        return Rated(
            final[0],
            ONE if amount else ZERO,
            amount,
            amount,
            {
                "required": required,
                "payable": payable,
                "missing": missing,
                "missing_amount": missing_amount,
                "use_amount": use_amount,
                "minimum_amount": least,
            },
        )

    def _refund(self, cycle, key, before):
        quantity, amount, _end = before
        if not quantity and not amount:
            return None
        return self._charge(cycle, key, None, (-quantity, -amount), amount, before)

    def _charge(self, cycle, key, component, change, billed, before=None):
        """Return a Charge of a RatedCycle, of a billing period, or of a cycle that is no more."""
        bill = self.bill
        if isinstance(cycle, RatedCycle):
            # As long as a bill may look at the cycle again, be it for kept days.
            cycle_end = cycle.last_fee_day
            # Closing ends a cycle before its time, or interrupts it.
            served = cycle.served or cycle.segments
            begun = [one for one in served if one.first <= bill.period_end] or served
            first, last = cycle.first_served, min(begun[-1].last, cycle.cycle.last)
            # A cycle of kept days alone was not served: no bill closed it.
            closed = last if cycle.served and last < bill.period_start else None
            if not closed and key.kind not in ("recurring", "minimum"):
                open_days = (one.first for one in begun if one.last >= bill.period_start)
                first = next(open_days, first)
        elif isinstance(cycle, Cycle):
            cycle_end = last = cycle.last
            first = max(cycle.start, self._timeline.first_day)
            closed = cycle_end if cycle_end < bill.period_start else None
        else:
            # Of days that are no days of service any more.
            cycle_end = before[2]
            first, last = key.cycle_start, cycle_end
            closed = last if last < bill.period_start else None
        rated = component and {
            **component.explanation,
            "kind": key.kind,
            "quantity": component.quantity,
            "unit_price": component.unit_price,
        }
        if key.kind == "recurring" and component:
            parts = component.explanation["parts"]
            first, last = parts[0]["first"], parts[-1]["last"]
            if change[1] < 0:
                first, last = self._get_given_back(cycle, parts) or (first, last)
            elif billed:
                first = self._get_added(parts) or first
        elif key.kind == "setup" and component:
            first = last = component.explanation["day"]
        elif cycle and key.kind not in ("recurring", "minimum") and not closed:
            first, last = max(first, bill.period_start), min(last, bill.period_end)
        trace = {
            "rounding": bill.rounding,
            "billed_before": billed,
            "rated": rated,
        }
        trace = plain(trace)
        if component:
            trace["considered"] = self._considered(cycle, component.rule, first)
        return Charge(
            self.feature.id,
            key,
            cycle_end,
            first,
            max(first, last),
            change[0],
            # A whole charge is given back at the price that it was billed at.
            component.unit_price if component else quotient(change[1], change[0]),
            change[1],
            closed,
            trace,
        )

    @staticmethod
    def _get_added(parts):
        """Return the day from which parts of a fee have more units than before, or None; the last one,
        since earlier bills have charged earlier ones.
        """
        for one, following in reversed(list(pairwise(parts))):
            if following["units"] > one["units"]:
                return following["first"]
        return None

    @staticmethod
    def _get_given_back(cycle, parts):
        """Return the first and last day of a cycle that parts of its fee leave out, or None.

        The last ones, since earlier bills may have given earlier ones back; or those with fewer units.
        """
        last = parts[-1]["last"]
        if last < cycle.cycle.end:
            return last + DAY, cycle.cycle.end
        for one, following in reversed(list(pairwise(parts))):
            if one["last"] + DAY < following["first"]:
                return one["last"] + DAY, following["first"] - DAY
            if following["units"] < one["units"]:
                return following["first"], last
        return None

    def _considered(self, cycle, rule, day):
        """Return the rules considered on the first day of a rule as they are, the winner first."""
        if isinstance(cycle, RatedCycle):
            day = next((one.first for one in cycle.segments if one.rule is rule), day)
        # A rule that waits for the next cycle has not won yet (rating 17).
        others = [one for one in self._timeline.considered(day) if one is not rule]
        return [one.frozen for one in (rule, *others)]


def rate_bill(account, bill, features, usage, prior, late_days=None, prior_spans=None):
    """Rate one account's bill: the core as one call.

    :param features: the Features to bill
    :param usage: {feature id: rows of (day, level, quantity, fresh)}, sorted
    :param prior: {feature id: {Key: (quantity, amount, cycle_end)}} of bills that are not void
    :param late_days: {feature id: days}, see FeatureBill
    :param prior_spans: {feature id: …}, see FeatureBill.charges
    :return: a list of Charges, by feature
    """
    charges = []
    for feature in features:
        part = FeatureBill(account, feature, bill, (late_days or {}).get(feature.id, ()))
        charges += part.charges(
            Usage(usage.get(feature.id, [])),
            prior.get(feature.id, {}),
            prior_spans=(prior_spans or {}).get(feature.id),
        )[0]
    return charges
