"""What is billed: an account, a feature with its rules, and the dates of a bill (rating 4, 18)."""

import datetime
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from .cycles import DAY, Interval
from .rules import Enrolment, Membership, Rule
from .timeline import Extension, Timeline

# Timelines of a feature that accounts share; more than a batch of accounts has.
KEPT = 1000


@dataclass(frozen=True)
class Bill:
    """A bill's dates and currency. It covers use from `period_start` to the day before `date`,
    and the advance fees of cycles that begin before `next_date`. One that `accrues` takes the
    served days of fees in arrears, too, though their cycle has not ended: for the month's end.
    `cuts` are days, in order, from which use may be taxed anew: what a day before and a day after have
    in one charge is told apart (rating 26). `replaces` is the caller's name of a void bill whose days
    this one bills again.
    """

    date: datetime.date
    period_start: datetime.date
    next_date: datetime.date
    rounding: Decimal
    rerate_from: datetime.date | None = None
    accrues: bool = False
    cuts: tuple[datetime.date, ...] = ()
    replaces: int | None = None

    @property
    def since(self) -> datetime.date:
        """The first day that is rated: before the period where unpriced days have a price now."""
        return min(self.period_start, self.rerate_from or self.period_start)

    @property
    def period_end(self) -> datetime.date:
        """The last day of the period."""
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
    extension: Extension = (None, None)

    def timeline(self, feature: "Feature", horizon: date) -> Timeline:
        """Return this account's Timeline of a feature, as far as cycles open on `horizon` reach.

        An open cycle is seen to its end: its allotment counts the days still to come.
        """
        enrolments = self.enrolments.get(feature.id, ())
        scopes = tuple(
            (rank, self.scopes[rank])
            for rank, ids in feature.scoped.items()
            if self.scopes.get(rank) in ids
        )
        key = (
            *(horizon, scopes, self.memberships),
            *(enrolments, self.billing_start, self.extension),
        )
        # Accounts of the same days and prices have the same cycles.
        found = feature.timelines.get(key)
        if found is None:
            if len(feature.timelines) >= KEPT:
                feature.timelines.clear()
            intervals = [rule.terms.interval for rule in feature.rules if rule.terms.interval]
            found = feature.timelines[key] = Timeline(
                self.memberships,
                feature.rules,
                enrolments,
                dict(scopes),
                max(interval.after(horizon, 1) for interval in [*self._intervals, *intervals]),
                self.billing_start,
                extension=self.extension,
            )
        return found

    @property
    def _intervals(self) -> set[Interval]:
        return {row.interval for row in self.memberships}

    def get_fee_horizon(self, feature: "Feature", horizon: date) -> date:
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
    def timelines(self) -> dict[tuple[Any, ...], Timeline]:
        """The timelines of accounts so far, see Account.timeline."""
        return {}

    @cached_property
    def scoped(self) -> dict[int, frozenset[int]]:
        """The ids of resellers and clients that have rules of their own, by rank."""
        return {
            rank: frozenset(rule.scope for rule in self.rules if rule.rank == rank)
            for rank in (1, 3)
        }

    @cached_property
    def has_fees(self) -> bool:
        """Whether something may be due without use."""
        return any(
            rule.terms.recurring_fee
            or rule.terms.setup_fee
            or rule.terms.has_minimum
            or any(tier.flat_fee for tier in rule.terms.tiers)
            for rule in self.rules
        )

    @cached_property
    def has_once(self) -> bool:
        """Whether something is given or due once ever."""
        return any(rule.terms.has_once for rule in self.rules)

    @cached_property
    def has_setup(self) -> bool:
        """Whether a set-up fee may be due."""
        return any(rule.terms.setup_fee for rule in self.rules)

    @cached_property
    def has_on_use(self) -> bool:
        """Whether use decides on enrolment."""
        return any(rule.terms.enrolment == "on_use" for rule in self.rules)

    @cached_property
    def has_minimum(self) -> bool:
        """Whether a billing period may have a minimum."""
        return any(rule.terms.has_minimum for rule in self.rules)

    @cached_property
    def is_linked(self) -> bool:
        """Whether a cycle's rating rests on the use of cycles before it (rating 18)."""
        return (self.has_once and self.has_on_use) or any(
            rule.terms.rollover_cycles or rule.terms.bonus for rule in self.rules
        )
