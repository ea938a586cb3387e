"""Every billing option, at every level, with the fee in advance and in arrears.

Each case is one client from 1 April 2024 on, billed monthly unless it says otherwise; the bills are
those of 1 April (opening), 1 May and 1 June. Amounts are derived by hand, in the comments.
"""

import pathlib
from dataclasses import dataclass
from decimal import Decimal

import pytest
import rating
from account import Account, day, membership, terms, total
from rating.rules import Enrolment, LevelTerms, Rule

HOT, COLD = 7, 8
# The level's rank, and what the rule belongs to; under each lies a rule that must not be seen.
LEVELS = {"default": (0, 0), "reseller": (1, 1), "group": (2, 5), "client": (3, 1)}


@dataclass
class Case:
    """Terms, use as (day, quantity[, level]), and the totals of bills by timing of the fee."""

    terms: dict
    use: tuple = ()
    advance: tuple | None = None
    arrears: tuple | None = None
    enrolled: int | None = None
    close: str | None = None
    aggregation: str = "sum"
    start: str = "04-01"
    maximum: Decimal | None = None


FEE = {"recurring_fee": "30.00"}
CASES = {
    "fee": Case(FEE, advance=("30", "30", "30"), arrears=("0", "30", "30")),
    "set-up fee": Case(
        {**FEE, "setup_fee": "99.00"}, advance=("129", "30", "30"), arrears=("99", "30", "30")
    ),
    # 10 of 30 days free: 20.00 of the fee and 67 of 100 included are left; 80 − 67 = 13 @ 1.00.
    "trial": Case(
        {**FEE, "trial_days": 10, "included": "100", "unit_price": "1"},
        (("04-05", 50), ("04-20", 80)),
        advance=("20", "43", "30"),
        arrears=("0", "33", "30"),
    ),
    # A trial does not waive the set-up fee.
    "trial with set-up fee": Case(
        {**FEE, "trial_days": 30, "setup_fee": "9.00"},
        advance=("9", "30", "30"),
        arrears=("9", "0", "30"),
    ),
    # 20 units, valid 40 days, up to 10 May: April draws 15, 5 May draws 5 of 10; 5 + 5 @ 1.00.
    "bonus": Case(
        {**FEE, "bonus": "20", "bonus_days": 40, "unit_price": "1"},
        (("04-10", 15), ("05-05", 10), ("05-20", 5)),
        advance=("30", "30", "40"),
        arrears=("0", "30", "40"),
    ),
    # Included units go first: 10 of 12 in April, 2 of the bonus; May 10, then 8 of 11, 3 @ 1.00.
    "bonus after included": Case(
        {**FEE, "bonus": "10", "included": "10", "unit_price": "1"},
        (("04-10", 12), ("05-05", 21)),
        advance=("30", "30", "33"),
        arrears=("0", "30", "33"),
    ),
    # 150 − 100 = 50 @ 0.10.
    "allotment": Case(
        {**FEE, "included": "100", "unit_price": "0.10"},
        (("04-10", 150), ("05-10", 100)),
        advance=("30", "35", "30"),
        arrears=("0", "35", "30"),
    ),
    # 40 of April roll over: 150 − 40 − 100 = 10 @ 0.10.
    "rollover": Case(
        {**FEE, "included": "100", "rollover_cycles": 1, "unit_price": "0.10"},
        (("04-10", 60), ("05-10", 150)),
        advance=("30", "30", "31"),
        arrears=("0", "30", "31"),
    ),
    # Hot: 5 − 2 of its own @ 3.00; cold shares the rule's: 12 − 10 @ 1.00.
    "levels": Case(
        {
            **FEE,
            "included": "10",
            "levels": (
                LevelTerms(HOT, Decimal(3), Decimal(2)),
                LevelTerms(COLD, Decimal(1)),
            ),
        },
        (("04-05", 5, HOT), ("04-06", 12, COLD)),
        advance=("30", "41", "30"),
        arrears=("0", "41", "30"),
    ),
    "per unit": Case(
        {**FEE, "unit_price": "0.5"},
        (("04-05", 10),),
        advance=("30", "35", "30"),
        arrears=("0", "35", "30"),
    ),
    # 25 units start 3 packages of 10.
    "package": Case(
        {**FEE, "model": "package", "package_size": "10", "unit_price": "3"},
        (("04-05", 25),),
        advance=("30", "39", "30"),
        arrears=("0", "39", "30"),
    ),
    # 10 @ 2.00 and 5 @ 1.00.
    "graduated": Case(
        {**FEE, "model": "graduated", "tiers": [("10", "2", "0"), (None, "1", "0")]},
        (("04-05", 15),),
        advance=("30", "55", "30"),
        arrears=("0", "55", "30"),
    ),
    # 15 @ 1.00.
    "volume": Case(
        {**FEE, "model": "volume", "tiers": [("10", "2", "0"), (None, "1", "0")]},
        (("04-05", 15),),
        advance=("30", "45", "30"),
        arrears=("0", "45", "30"),
    ),
    "unlimited": Case(
        {**FEE, "model": "unlimited"},
        (("04-05", 1000),),
        advance=("30", "30", "30"),
        arrears=("0", "30", "30"),
    ),
    # 60 used, 40 missing: 100 @ 0.10. May has none: 100 @ 0.10.
    "minimum quantity": Case(
        {**FEE, "minimum_quantity": "100", "unit_price": "0.10"},
        (("04-05", 60),),
        advance=("30", "40", "40"),
        arrears=("0", "40", "40"),
    ),
    # 6.00 is raised to 25.00, nothing to 25.00; the fee does not count.
    "minimum amount": Case(
        {**FEE, "minimum_amount": "25.00", "unit_price": "0.10"},
        (("04-05", 60),),
        advance=("30", "55", "55"),
        arrears=("0", "55", "55"),
    ),
    # The first tier's flat fee in every month, the second's when it is entered: 1 + 20, 5 + 5; 1.
    "tier flat fee": Case(
        {**FEE, "model": "graduated", "tiers": [("10", "2", "1"), (None, "1", "5")]},
        (("04-05", 15),),
        advance=("30", "61", "31"),
        arrears=("0", "61", "31"),
    ),
    # Three events and one, whatever they say.
    "count": Case(
        {**FEE, "unit_price": "2"},
        (("04-05", 50), ("04-05", 50), ("04-20", -7), ("05-02", 10)),
        advance=("30", "36", "32"),
        arrears=("0", "36", "32"),
        aggregation="count",
    ),
    # A maximum refuses or tells; what was used beyond it is billed all the same.
    "maximum": Case(
        {**FEE, "unit_price": "1"},
        (("04-05", 15),),
        advance=("30", "45", "30"),
        arrears=("0", "45", "30"),
        maximum=Decimal(10),
    ),
    # The highest value of each month.
    "max": Case(
        {**FEE, "unit_price": "1"},
        (("04-05", 50), ("04-20", 40), ("05-02", 10), ("05-09", 12)),
        advance=("30", "80", "42"),
        arrears=("0", "80", "42"),
        aggregation="max",
    ),
    # The final value of each month.
    "last": Case(
        {**FEE, "unit_price": "1"},
        (("04-05", 50), ("04-20", 40), ("05-02", 10), ("05-09", 12)),
        advance=("30", "70", "42"),
        arrears=("0", "70", "42"),
        aggregation="last",
    ),
    "cycle of two months": Case(
        {**FEE, "interval": rating.Interval.of(2, "month")},
        advance=("30", "0", "30"),
        arrears=("0", "0", "30"),
    ),
    "three months bought at once": Case({**FEE, "advance_cycles": 3}, advance=("90", "0", "0")),
    # In arrears and whole, only in a month with use.
    "on use": Case(
        {**FEE, "enrolment": "on_use", "unit_price": "1"},
        (("05-20", 4),),
        arrears=("0", "0", "34"),
    ),
    # Three keywords.
    "quantity": Case(
        {**FEE, "enrolment": "opt_in"},
        advance=("90", "90", "90"),
        arrears=("0", "90", "90"),
        enrolled=3,
    ),
    "switched off": Case(FEE, advance=("0", "0", "0"), arrears=("0", "0", "0"), enrolled=0),
    # Joined on 16 April in a cycle of the calendar: 15 of 30 days.
    "by the day": Case(FEE, advance=("15", "30", "30"), arrears=("0", "15", "30"), start="04-16"),
    "whole": Case(
        {**FEE, "prorated": False},
        advance=("30", "30", "30"),
        arrears=("0", "30", "30"),
        start="04-16",
    ),
    # Closed on 10 May, final bill of 11 May: 10 of 31 days are 9.68.
    "closed with refund": Case(
        FEE, advance=("30", "30", "-20.32"), arrears=("0", "30", "9.68"), close="05-10"
    ),
    "closed without refund": Case(
        {**FEE, "refund_on_close": False},
        advance=("30", "30", "0"),
        arrears=("0", "30", "9.68"),
        close="05-10",
    ),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("name", "timing"),
    [
        (name, timing)
        for name, case in CASES.items()
        for timing in ("advance", "arrears")
        if getattr(case, timing)  # the other is refused at save
    ],
)
def test_option(name, timing, level):
    case = CASES[name]
    expected = getattr(case, timing)
    rank, scope = LEVELS[level]
    priced = terms(**{**case.terms, "in_advance": timing == "advance"})
    rules = [Rule(9, priced, rank, scope, maximum=case.maximum, blocks=True)]
    for other, other_scope in LEVELS.values():
        if other < rank:
            hidden = terms(recurring_fee="1000", setup_fee="1000", unit_price="1000")
            rules.append(Rule(other + 1, hidden, other, other_scope))
    account = Account(*rules, start=case.start, anchor=day("04-01"), aggregation=case.aggregation)
    account.memberships = [membership(day(case.start), None, 5, day("04-01"))]
    if case.enrolled is not None:
        account.enrolments = [Enrolment(day(case.start), None, Decimal(case.enrolled))]
    for use in case.use:
        account.use(*use)
    totals = []
    for number in range(3):
        if case.close and number == 2:
            account.close(case.close)
            account.next_bill = account.bill_date_after(day("05-01"))
        charges = account.bill()
        totals.append(total(charges))
        for charge in charges:
            assert rating.amount_from_trace(charge.trace) == charge.amount
    assert totals == [Decimal(amount) for amount in expected]


def test_a_model_of_another_addon_is_rated_like_ours():
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text()
    block = next(part for part in page.split("```python\n") if "class Pairs" in part)
    exec(block.partition("```")[0].replace("odoo.addons.reseller_billing.", ""), {})
    try:
        client = Account(Rule(1, terms(model="pairs", unit_price="2", included="1")), digits=0)
        client.use("01-10", 6)
        # One is free, of five every other one is.
        assert total(client.bill_until("02-01")) == 6
        client.use("01-11", -1)
        # Of four, too: the correction gives 2.00 back.
        assert total(client.bill_until("03-01")) == -2
    finally:
        del rating.models.MODELS["pairs"]
