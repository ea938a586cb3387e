"""The worked examples of the rating rules, amounts derived by hand.

One file, in the order of docs/rating.md, so that both are read side by side.
"""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
import rating
from account import Account, amounts, day, membership, terms, total
from rating.rules import Enrolment, LevelTerms, Rule


def rule(number=1, rank=0, scope=0, since=None, until=None, **values):
    return Rule(number, terms(**values), rank, scope, since and day(since), until and day(until))


def test_fee_of_a_calendar_cycle_joined_late():
    # 31.00 a month, joined on 20 January: 12 of 31 days.
    account = Account(rule(recurring_fee="31.00"), start="01-20", anchor=day("01-01"))
    assert amounts(account.bill()) == ["12.00"]
    assert account.next_bill == day("02-01")
    assert amounts(account.bill()) == ["31.00"]


def test_fee_in_arrears_comes_when_the_cycle_has_ended():
    account = Account(
        rule(recurring_fee="31.00", in_advance=False), start="01-20", anchor=day("01-01")
    )
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == ["12.00"]
    assert amounts(account.bill()) == ["31.00"]


def test_fee_per_enrolled_unit():
    # 3 keywords × 5.00.
    account = Account(rule(recurring_fee="5.00", enrolment="opt_in"))
    account.enrolments = [Enrolment(day("01-01"), None, Decimal(3))]
    assert amounts(account.bill()) == ["15.00"]


def test_fee_is_prorated_when_the_quantity_changes():
    # 3 until 10 January, then 5: 15 × 10/31 + 25 × 21/31 = 21.7741…, rounded once.
    account = Account(rule(recurring_fee="5.00", enrolment="opt_in"))
    account.enrolments = [
        Enrolment(day("01-01"), day("01-10"), Decimal(3)),
        Enrolment(day("01-11"), None, Decimal(5)),
    ]
    assert amounts(account.bill()) == ["21.77"]


def test_opt_in_without_enrolment_has_no_fee_but_prices_use():
    account = Account(rule(recurring_fee="5.00", enrolment="opt_in", included="10", unit_price="2"))
    account.use("01-05", 3)
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == ["6.00"]


def test_zero_switches_an_automatic_feature_off():
    account = Account(rule(recurring_fee="30.00"), start="04-01")
    account.enrolments = [Enrolment(day("04-11"), None, Decimal(0))]
    assert amounts(account.bill()) == ["10.00"]


def test_package_bills_every_started_one():
    # 10 units @ 3.00, 3 units then 3 on two bills of a yearly cycle: 3.00, 0.00.
    account = Account(
        rule(
            model="package",
            unit_price="3.00",
            package_size="10",
            interval=rating.Interval.of(1, "year"),
        )
    )
    account.bill()
    account.use("01-05", 3)
    assert amounts(account.bill()) == ["3.00"]
    account.use("02-05", 3)
    assert amounts(account.bill()) == []
    account.use("03-05", 4)
    assert amounts(account.bill()) == []  # an exact multiple adds none
    account.use("04-05", 1)
    assert amounts(account.bill()) == ["3.00"]


def test_volume_tier_reached_late():
    # ≤ 100 @ 1.00, above @ 0.80; 80 then 40 in one cycle: 80.00, then 16.00.
    account = Account(
        rule(
            model="volume",
            tiers=[("100", "1.00", "0"), (None, "0.80", "0")],
            interval=rating.Interval.of(1, "year"),
        )
    )
    account.bill()
    account.use("01-05", 80)
    assert amounts(account.bill()) == ["80.00"]
    account.use("02-05", 40)
    charges = account.bill()
    assert total(charges) == Decimal("16.00")
    # The old quantity back at what was billed, the new one in full.
    assert sorted((str(c.quantity), str(c.amount)) for c in charges) == [
        ("-80", "-80.00"),
        ("120", "96.00"),
    ]


def test_volume_bound_belongs_to_its_tier():
    account = Account(rule(model="volume", tiers=[("100", "1.00", "0"), (None, "0.80", "0")]))
    account.use("01-05", 100)
    account.bill()
    assert amounts(account.bill()) == ["100.00"]


def test_graduated_tiers_with_flat_fees():
    # ≤ 10 @ 2 + 5 flat, ≤ 20 @ 1 + 3 flat, above @ 0.5: 25 units = 20 + 5 + 10 + 3 + 2.50.
    account = Account(
        rule(model="graduated", tiers=[("10", "2", "5"), ("20", "1", "3"), (None, "0.5", "0")])
    )
    account.bill()
    account.use("01-05", 25)
    assert total(account.bill()) == Decimal("40.50")
    # February: no use, but the first tier counts as entered by an enrolled client.
    assert amounts(account.bill()) == ["5.00"]


def test_graduated_fractions_belong_to_the_next_tier():
    account = Account(rule(model="graduated", tiers=[("10", "2", "0"), (None, "1", "0")]))
    account.bill()
    account.use("01-05", "10.5")
    assert total(account.bill()) == Decimal("20.50")


def test_yearly_allotment_billed_monthly():
    # 1,200 a year included, 0.10 above: 700 in January, 600 in February: 0.00, then 100 × 0.10.
    account = Account(
        rule(included="1200", unit_price="0.10", interval=rating.Interval.of(1, "year"))
    )
    account.bill()
    account.use("01-05", 700)
    assert amounts(account.bill()) == []
    account.use("02-05", 600)
    charges = account.bill()
    assert [(c.key.kind, str(c.amount)) for c in charges] == [("overage", "10.00")]
    assert charges[0].closed is None


def test_trial_free_share_of_an_allotment_rounds_to_whole_units():
    # 100 included, 20 of 30 days enrolled: 67 remain (rounded to whole units).
    account = Account(rule(included="100", unit_price="1"), start="04-01")
    account.enrolments = [Enrolment(day("04-01"), day("04-10"), Decimal(0))]
    account.bill()
    account.use("04-20", 100)
    assert amounts(account.bill()) == ["33.00"]


def test_a_new_version_never_takes_free_units_back():
    # 100 included until 10 April, then 50: 33 + 33 = 66 granted, 100 drawn on day 5.
    account = Account(
        rule(1, until="04-10", included="100", unit_price="1"),
        rule(2, since="04-11", included="50", unit_price="1"),
        start="04-01",
    )
    account.bill()
    account.use("04-05", 100)
    account.use("04-20", 10)
    assert amounts(account.bill()) == ["10.00"]


def test_ending_enrolment_does_take_them_back():
    account = Account(rule(included="90", unit_price="1"), start="04-01")
    account.enrolments = [Enrolment(day("04-11"), None, Decimal(0))]
    account.bill()
    account.use("04-05", 90)
    assert amounts(account.bill()) == ["60.00"]


def test_a_level_with_its_own_allotment_uses_only_that():
    account = Account(
        Rule(
            1,
            terms(
                included="10",
                unit_price="1",
                levels=(
                    LevelTerms(7, Decimal(3), Decimal(2)),
                    LevelTerms(8, Decimal(5)),
                ),
            ),
        )
    )
    account.bill()
    account.use("01-05", 6, level=7)  # 2 of its own, 4 × 3
    account.use("01-06", 4, level=8)  # 4 of the rule's 10
    account.use("01-07", 9)  # 6 of the rule's, 3 × 1
    charges = account.bill()
    assert {charge.key.level: str(charge.amount) for charge in charges} == {
        7: "12.00",
        8: "0.00",
        None: "3.00",
    }


def test_per_unit_without_allotment_may_go_negative():
    account = Account(rule(unit_price="2"))
    account.bill()
    account.use("01-05", -3)
    assert amounts(account.bill()) == ["-6.00"]


def test_elsewhere_the_rated_quantity_stops_at_zero_and_the_rest_is_listed():
    account = Account(rule(included="5", unit_price="2"))
    account.bill()
    account.use("01-05", -3)
    charges = account.bill()
    assert amounts(charges) == []
    assert charges[0].trace["rated"]["unmatched"] == "-3"


def test_late_use_is_an_adjustment_named_after_its_period_at_its_days_price():
    account = Account(
        rule(1, until="01-31", unit_price="1"),
        rule(2, since="02-01", unit_price="3"),
    )
    account.bill_until("02-01")
    account.use("01-15", 4)
    account.use("02-15", 1)
    charges = account.bill()
    assert [(str(c.amount), c.closed) for c in charges] == [
        ("4.00", day("01-31")),
        ("3.00", None),
    ]


def test_a_group_move_in_mid_month_prices_each_day_by_its_group():
    account = Account(
        rule(1, rank=0, unit_price="1.00"),
        rule(2, rank=2, scope=5, unit_price="0.50"),
    )
    account.memberships = [
        membership(day("01-01"), day("01-15"), None, day("01-01")),
        membership(day("01-16"), None, 5, day("01-01")),
    ]
    account.bill()
    account.use("01-15", 10)
    account.use("01-16", 10)
    assert sorted(amounts(account.bill())) == ["10.00", "5.00"]


@pytest.mark.parametrize(
    ("ranks", "winner"), [((0, 1, 2, 3), 3), ((0, 1, 2), 2), ((0, 1), 1), ((0,), 0)]
)
def test_the_most_specific_level_wins_as_a_whole(ranks, winner):
    scopes = {0: 0, 1: 1, 2: 5, 3: 1}
    account = Account(
        *(rule(rank + 1, rank=rank, scope=scopes[rank], unit_price=str(rank + 1)) for rank in ranks)
    )
    account.memberships = [membership(day("01-01"), None, 5, day("01-01"))]
    account.bill()
    account.use("01-05", 1)
    assert amounts(account.bill()) == [f"{winner + 1}.00"]


def test_a_rule_with_another_interval_begins_its_own_cycle():
    # Monthly 31.00 until 14 January, then every 10 days 10.00 from the 15th.
    account = Account(
        rule(1, until="01-14", recurring_fee="31.00"),
        rule(2, since="01-15", recurring_fee="10.00", interval=rating.Interval.of(10, "day")),
    )
    # 14/31 of the month, then cycles beginning on 15 and 25 January.
    assert amounts(account.bill()) == ["14.00", "10.00", "10.00"]
    # 4, 14 and 24 February.
    assert amounts(account.bill()) == ["10.00", "10.00", "10.00"]


def test_an_advance_fee_cut_short_is_given_back():
    account = Account(rule(1, recurring_fee="31.00"))
    assert amounts(account.bill()) == ["31.00"]
    account.rules = [
        rule(1, until="01-14", recurring_fee="31.00"),
        rule(2, since="01-15", recurring_fee="62.00"),
    ]
    # 14.00 stay of the old fee; the new one for 17 days is 34.00; February is 62.00.
    assert sorted(amounts(account.bill())) == ["-17.00", "34.00", "62.00"]


def test_without_proration_amounts_apply_whole_and_changes_wait():
    account = Account(
        rule(1, until="01-14", recurring_fee="31.00", prorated=False, included="5", unit_price="1"),
        rule(2, since="01-15", recurring_fee="62.00", unit_price="7"),
        start="01-10",
        anchor=day("01-01"),
    )
    assert amounts(account.bill()) == ["31.00"]
    account.use("01-20", 6)  # still the old rule: 5 included, 1 × 1.00
    assert sorted(amounts(account.bill())) == ["1.00", "62.00"]


def test_identical_terms_are_no_change():
    fee = {"recurring_fee": "10.00", "included": "10", "unit_price": "0.333"}
    split = Account(rule(1, until="01-14", **fee), rule(2, since="01-15", **fee))
    whole = Account(rule(1, **fee))
    for account in (split, whole):
        account.use("01-03", 9)
        account.use("01-20", 9)
    assert amounts(split.bill()) == amounts(whole.bill()) == ["10.00"]
    assert amounts(split.bill()) == amounts(whole.bill()) == ["2.66", "10.00"]


def test_a_feature_priced_late_is_billed_for_its_unpriced_days():
    account = Account()
    account.use("01-05", 4)
    account.bill_until("02-01")
    assert account.charges == []
    account.uncovered.add((day("01-05"), None))
    account.rules = [rule(unit_price="2")]
    charges = account.bill()
    assert [(str(c.amount), c.closed) for c in charges] == [("8.00", day("01-31"))]


@pytest.mark.parametrize(
    ("unit", "quantity", "price", "expected"),
    [
        ("0.01", "2.000000000000000", "0.0000004", "0.00"),
        ("0.01", "1250000", "0.0000004", "0.50"),
        ("1", "2.5", "1", "3"),
        ("1", "-2.5", "1", "-3"),
        ("0.001", "0.123456789012345", "1", "0.123"),
        ("0.05", "1", "0.975", "1.00"),
        ("0.01", "0.005", "1", "0.01"),
    ],
)
def test_rounding_is_once_half_away_from_zero_in_the_currency(unit, quantity, price, expected):
    account = Account(rule(unit_price=price), rounding=Decimal(unit))
    account.bill()
    account.use("01-05", quantity)
    charge = account.bill()[0]
    assert charge.amount == Decimal(expected)
    assert charge.quantity == Decimal(quantity)
    assert rating.amount_from_trace(charge.trace) == charge.amount


@pytest.mark.parametrize(
    ("anchor", "count", "unit", "starts"),
    [
        ("2024-01-31", 1, "month", ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]),
        ("2023-01-29", 1, "month", ["2023-02-28", "2023-03-29"]),
        ("2024-02-29", 1, "year", ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("2024-08-31", 6, "month", ["2025-02-28", "2025-08-31"]),
        ("2024-02-25", 10, "day", ["2024-03-06", "2024-03-16"]),
        ("2024-02-26", 1, "week", ["2024-03-04"]),
    ],
)
def test_cycles_are_counted_from_the_anchor(anchor, count, unit, starts):
    interval = rating.Interval.of(count, unit)
    anchor = date.fromisoformat(anchor)
    dates = rating.bill_dates_after(anchor, interval, anchor)
    assert [next(dates).isoformat() for _start in starts] == starts


@pytest.mark.parametrize("anchor_day", [1, 15, 28, 29, 30, 31])
@pytest.mark.parametrize(
    "interval", [(1, "month"), (6, "month"), (1, "year"), (10, "day"), (2, "week")]
)
def test_cycles_tile_without_gap_or_overlap(anchor_day, interval):
    anchor, interval = date(2024, 1, anchor_day), rating.Interval.of(*interval)
    when, until = anchor, date(2027, 3, 1)
    cycle = rating.cycle_of(anchor, interval, anchor)
    assert cycle.start == anchor
    while when < until:
        if when > cycle.end:
            following = rating.cycle_of(anchor, interval, when)
            assert (following.start - cycle.end).days == 1
            cycle = following
        assert rating.cycle_of(anchor, interval, when) == cycle
        when += rating.DAY


def test_trial_leaves_its_share_of_the_allotment():
    # 10 of 30 days, 100 included: 67 remain.
    account = Account(rule(trial_days=10, included="100", unit_price="1"), start="04-01")
    account.bill()
    account.use("04-05", 500)
    account.use("04-20", 67)
    assert amounts(account.bill()) == []


def test_a_trial_that_is_extended_lasts_until_that_day():
    # 15 of 30 days instead of 10: half of the allotment and of the fee.
    terms = {"trial_days": 10, "included": "100", "unit_price": "1", "recurring_fee": "30"}
    longer = day("04-10"), day("04-15")
    account = Account(rule(**terms), start="04-01", extension=longer)
    assert amounts(account.bill()) == ["15.00"]
    account.use("04-15", 500)
    account.use("04-16", 80)
    assert amounts(account.bill()) == ["30.00", "30.00"]
    # Known only after the fee of 20.00 was paid in advance: 5.00 of it come back.
    account = Account(rule(**terms), start="04-01")
    assert amounts(account.bill()) == ["20.00"]
    account.extension = longer
    assert amounts(account.bill()) == ["-5.00", "30.00"]
    # One that was over by then stays so, and without a trial there is none to extend.
    for days, first in ((9, "21.00"), (0, "30.00"), (20, "10.00")):
        account = Account(rule(**terms | {"trial_days": days}), start="04-01", extension=longer)
        assert amounts(account.bill()) == [first]


def test_a_trial_happens_once_ever():
    # Switched off and on again, and a new version with a trial of its own: no second one.
    account = Account(
        rule(1, until="05-31", trial_days=10, unit_price="1"),
        rule(2, since="06-01", trial_days=30, setup_fee="50", unit_price="1"),
        start="04-01",
    )
    account.enrolments = [Enrolment(day("04-20"), day("05-10"), Decimal(0))]
    account.bill()
    for when in ("04-05", "05-15", "06-05"):
        account.use(when, 1)
    assert [str(total(account.bill())) for _bill in range(3)] == ["0.00", "1.00", "1.00"]


def test_max_prices_each_rise_by_the_rule_of_its_day():
    # 50 @ 1.00 on day 5, 40 @ 1.20 on day 25: 50.00.
    account = Account(
        rule(1, until="01-20", unit_price="1.00"),
        rule(2, since="01-21", unit_price="1.20"),
        aggregation="max",
    )
    account.bill()
    account.use("01-05", 50)
    account.use("01-25", 40)
    assert amounts(account.bill()) == ["50.00"]
    # A cycle starts from nothing; 30, then a rise of 25 more.
    account.use("02-01", 30)
    account.use("02-09", 55)
    assert amounts(account.bill()) == ["66.00"]


def test_last_prices_the_final_value_by_the_rule_of_its_day():
    account = Account(
        rule(1, until="01-20", unit_price="1.00"),
        rule(2, since="01-21", unit_price="1.20"),
        aggregation="last",
    )
    account.bill()
    account.use("01-05", 50)
    account.use("01-25", 40)
    assert amounts(account.bill()) == ["48.00"]


def test_set_up_of_a_feature_enrolled_on_use_comes_with_its_first_use():
    account = Account(
        rule(
            enrolment="on_use", in_advance=False, recurring_fee="10", setup_fee="5", unit_price="1"
        )
    )
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == []
    account.use("02-20", 3)
    assert sorted(amounts(account.bill())) == ["10.00", "3.00", "5.00"]
    assert amounts(account.bill()) == []


def test_rolled_over_units_lapse_after_their_cycles_oldest_first():
    # 10 a month, for two cycles more. January and February unused: March has 10 + 10 + 10 and
    # draws 12, of January's first; April has February's 8 and March's 10 and its own.
    account = Account(rule(included="10", rollover_cycles=2, unit_price="1"))
    account.bill_until("03-01")
    account.use("03-10", 12)
    assert amounts(account.bill()) == []
    account.use("04-10", 30)
    assert amounts(account.bill()) == ["2.00"]


def test_rolled_over_units_serve_for_their_cycles_only():
    # 10 a month, for one cycle more: March has February's 10 and its own, not January's.
    account = Account(rule(included="10", rollover_cycles=1, unit_price="1"))
    account.bill_until("03-01")
    account.use("03-10", 25)
    assert amounts(account.bill()) == ["5.00"]


def test_a_break_in_enrolment_takes_all_that_was_left_over():
    # April's 30 are left; off from 11 to 15 May: June has May's 25 and its own 30.
    account = Account(rule(included="30", rollover_cycles=3, unit_price="1"), start="04-01")
    account.enrolments = [Enrolment(day("05-11"), day("05-15"), Decimal(0))]
    account.bill_until("06-01")
    account.use("06-10", 60)
    assert amounts(account.bill()) == ["5.00"]


def test_a_kept_fee_is_not_due_again_when_the_account_reopens():
    # No refund: April is paid, closed on the 10th, served again from the 25th.
    account = Account(rule(recurring_fee="30", refund_on_close=False), start="04-01")
    assert amounts(account.bill()) == ["30.00"]
    account.close("04-10")
    account.next_bill = day("04-11")
    assert amounts(account.bill()) == []
    account.memberships.append(membership(day("04-25"), None, None, day("04-01")))
    account.next_bill = day("04-25")
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == ["30.00"]


def test_rolled_over_units_lapse_when_enrolment_ends():
    account = Account(rule(included="30", rollover_cycles=3, unit_price="1"), start="04-01")
    account.enrolments = [Enrolment(day("05-11"), day("05-15"), Decimal(0))]
    account.bill_until("05-01")
    account.use("05-10", 20)  # of April's 30
    account.use("05-20", 40)  # of May's own: 30 × 26/31 = 25
    assert amounts(account.bill()) == ["15.00"]


def test_a_minimum_is_rated_as_further_use_of_the_last_day():
    # 8 @ 2.00 and 4 more of a minimum of 12: 2 @ 2.00 and 2 @ 1.00.
    account = Account(
        rule(model="graduated", tiers=[("10", "2", "0"), (None, "1", "0")], minimum_quantity="12")
    )
    account.bill()
    account.use("01-05", 8)
    charges = account.bill()
    assert {charge.key.kind: str(charge.amount) for charge in charges} == {
        "usage": "16.00",
        "minimum": "6.00",
    }


def test_a_minimum_counts_no_included_units_and_is_prorated():
    # Joined on 16 April: 15 of 30 days of a minimum of 20; 5 of 9 included, 4 payable, 6 missing.
    account = Account(
        rule(included="10", unit_price="1", minimum_quantity="20"),
        start="04-16",
        anchor=day("04-01"),
    )
    account.bill()
    account.use("04-20", 9)
    assert sorted(amounts(account.bill())) == ["4.00", "6.00"]


def test_a_pause_that_takes_free_units_back_counts_to_an_earlier_minimum():
    # A cycle of two months with 60 included (31 + 29 days): 50 free units in January, a minimum of
    # 20.00. Paused from 1 February: 31 are included, 19 are paid; the minimum adds 1.00 only.
    account = Account(
        rule(
            included="60",
            unit_price="1",
            minimum_amount="20",
            interval=rating.Interval.of(2, "month"),
        )
    )
    account.bill()
    account.use("01-05", 50)
    assert amounts(account.bill()) == ["20.00"]
    account.pause("02-01", "02-29")
    assert sorted(amounts(account.bill())) == ["-19.00", "19.00"]


def test_late_use_gives_the_minimum_back():
    account = Account(rule(unit_price="1", minimum_amount="10"))
    account.bill()
    account.use("01-05", 4)
    assert sorted(amounts(account.bill())) == ["4.00", "6.00"]
    account.use("01-06", 8)
    charges = account.bill()
    assert [(c.key.kind, str(c.amount), c.closed and c.closed.isoformat()) for c in charges] == [
        ("usage", "8.00", "2024-01-31"),
        ("minimum", "-6.00", "2024-01-31"),
        ("minimum", "10.00", None),
    ]


def test_a_fee_for_several_cycles_is_given_back_when_it_ends():
    # 6 × 10.00 at once; a new price from April gives back April to June.
    account = Account(rule(1, recurring_fee="10", advance_cycles=6))
    assert amounts(account.bill()) == ["10.00"] * 6
    assert amounts(account.bill()) == []
    account.rules = [
        rule(1, until="03-31", recurring_fee="10", advance_cycles=6),
        rule(2, since="04-01", recurring_fee="12", advance_cycles=2),
    ]
    assert amounts(account.bill()) == ["-10.00"] * 3  # as soon as it is known
    assert amounts(account.bill()) == ["12.00", "12.00"]
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == ["12.00", "12.00"]


def test_paused_days_are_not_enrolled_but_their_use_is_priced():
    account = Account(rule(recurring_fee="30", included="30", unit_price="1"), start="04-01")
    account.pause("04-11", "04-20")
    assert amounts(account.bill()) == ["20.00"]
    account.use("04-15", 2)
    account.use("04-25", 21)
    assert amounts(account.bill()) == ["3.00", "30.00"]


def test_taking_an_account_over_in_mid_cycle():
    # Active since 1 January with a trial of 20 days; billed here from the 16th: 5 days are left of
    # the trial, no set-up fee, and 11 of 31 days of the fee.
    account = Account(
        rule(recurring_fee="31", setup_fee="9", trial_days=20, unit_price="1"),
        billing_start=day("01-16"),
    )
    assert amounts(account.bill()) == ["11.00"]
    account.use("01-20", 5)
    account.use("01-21", 7)
    assert amounts(account.bill()) == ["7.00", "31.00"]


def test_reopening_in_a_cycle_of_the_calendar_goes_on_with_it():
    # 30 days of April: 10 days, then 6 more from the 25th.
    account = Account(rule(recurring_fee="30", included="30", unit_price="1"), start="04-01")
    assert amounts(account.bill()) == ["30.00"]
    account.use("04-05", 16)
    account.close("04-10")
    account.next_bill = day("04-11")
    assert sorted(amounts(account.bill())) == ["-20.00", "6.00"]
    account.memberships.append(membership(day("04-25"), None, None, day("04-01")))
    account.next_bill = day("04-25")
    # The allotment of 6 days more covers the 6 that had none.
    assert sorted(amounts(account.bill())) == ["-6.00", "6.00"]


def test_cycles_of_an_account_that_is_taken_over_count_from_activation():
    # Weeks since the change of 2 January; from the 4th on it is billed: 5 of 7 days, then weeks.
    account = Account(
        rule(1, recurring_fee="7", until="01-01"),
        rule(2, recurring_fee="7", interval=rating.Interval.of(1, "week"), since="01-02"),
        billing_start=day("01-04"),
    )
    charges = account.bill()
    assert [(str(charge.key.cycle_start), str(charge.amount)) for charge in charges] == [
        ("2024-01-02", "5.00"),
        ("2024-01-09", "7.00"),
        ("2024-01-16", "7.00"),
        ("2024-01-23", "7.00"),
        ("2024-01-30", "7.00"),
    ]


YEAR = rating.Interval.of(1, "year")


@pytest.mark.parametrize(
    "values, use, expected",
    [
        # 31 of 366 days are served.
        ({"recurring_fee": "366.00"}, 0, "31.00"),
        ({"recurring_fee": "366.00", "in_advance": False}, 0, "31.00"),
        # Of 366 units 31 are left to be free.
        ({"included": Decimal(366), "unit_price": "1.00"}, 50, "19.00"),
        # A fee on use is whole.
        (
            {
                "recurring_fee": "30.00",
                "enrolment": "on_use",
                "in_advance": False,
                "unit_price": "1.00",
            },
            4,
            "34.00",
        ),
    ],
)
def test_a_closing_on_the_last_billed_day_settles_a_longer_cycle(values, use, expected):
    account = Account(rule(interval=YEAR, **values))
    if use:
        account.use("01-10", use)
    account.bill_until("02-01")
    account.close("01-31")
    account.next_bill = day("02-01")
    account.bill()
    assert total(account.charges) == Decimal(expected)


def reopened(first_rule, *more):
    """Return an account by calendar months, closed on 20 May and open again from 27 May."""
    account = Account(first_rule, *more, start="05-01")
    account.bill()
    account.close("05-20")
    account.next_bill = day("05-21")
    account.bill()
    account.memberships.append(membership(day("05-27"), None, None, day("05-01")))
    account.next_bill = day("05-27")
    return account


def test_what_was_billed_in_arrears_stays_where_the_account_reopens_in_the_same_cycle():
    account = reopened(rule(recurring_fee="31.00", in_advance=False))
    assert amounts(account.charges) == ["20.00"]
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == ["5.00"]


def test_a_fee_on_use_stays_where_the_account_reopens_in_the_same_cycle():
    account = Account(
        rule(recurring_fee="30.00", enrolment="on_use", in_advance=False, unit_price="1.00"),
        start="05-01",
    )
    account.use("05-10", 4)
    account.bill()
    account.close("05-20")
    account.next_bill = day("05-21")
    assert total(account.bill()) == Decimal("34.00")
    account.memberships.append(membership(day("05-27"), None, None, day("05-01")))
    account.next_bill = day("05-27")
    assert amounts(account.bill()) == []
    assert amounts(account.bill()) == []


def test_what_was_billed_in_arrears_stays_where_a_longer_cycle_begins_with_the_reopening():
    account = reopened(
        rule(1, recurring_fee="31.00", in_advance=False, until="05-26"),
        rule(2, recurring_fee="366.00", in_advance=False, interval=YEAR, since="05-27"),
    )
    account.bill()
    assert total(account.charges) == Decimal("20.00")


def test_a_fee_in_advance_of_days_that_another_cycle_takes_is_given_back():
    # Closed on 2 May and open again on 16 May, as known on 1 May: 2 + 16 days of 31.00.
    account = Account(rule(1, recurring_fee="31.00"), start="05-01")
    account.memberships = [
        membership(day("05-01"), day("05-02"), None, day("05-01")),
        membership(day("05-16"), None, None, day("05-01")),
    ]
    assert amounts(account.bill()) == ["18.00"]
    assert amounts(account.bill()) == []
    week = rating.Interval.of(7, "day")
    account.rules = [
        rule(1, recurring_fee="31.00", until="05-15"),
        rule(2, recurring_fee="7.00", interval=week, since="05-16"),
    ]
    charges = account.bill()
    assert sorted(charge.amount for charge in charges if charge.key.rule == 1) == [-16]


def test_units_given_back_for_nothing_name_no_days_that_were_given_back():
    account = Account(
        Rule(1, terms(recurring_fee="0.01")), start="01-13", interval=(2, "month"), digits=0
    )
    account.enrolments = [Enrolment(day("01-01"), None, Decimal(2))]
    account.bill()
    account.enrolments = [
        Enrolment(day("01-01"), day("02-17"), Decimal(2)),
        Enrolment(day("02-18"), day("02-19"), Decimal("1.5")),
        Enrolment(day("02-20"), None, Decimal(2)),
    ]
    [charge] = [one for one in account.bill() if one.cycle_end == day("03-12")]
    # Half a unit less on two of 60 days: 0.00. It says since when the units are as they are.
    assert (charge.quantity, charge.amount) == (Decimal("-0.016667"), 0)
    assert (charge.first, charge.last) == (day("02-20"), day("03-12"))


def test_a_fee_whose_quantity_changes_is_rounded_once():
    # 2, 5 and 1 units for ten days each of thirty: 10.00 × 80 / 30.
    account = Account(rule(recurring_fee="10.00", enrolment="opt_in"), start="04-01")
    account.enrolments = [
        Enrolment(day("04-01"), day("04-10"), Decimal(2)),
        Enrolment(day("04-11"), day("04-20"), Decimal(5)),
        Enrolment(day("04-21"), None, Decimal(1)),
    ]
    assert amounts(account.bill()) == ["26.67"]


def test_a_set_up_fee_is_due_for_each_unit_more_than_there_ever_were():
    account = Account(rule(setup_fee="10.00", enrolment="opt_in"))
    account.enrolments = [
        Enrolment(day("01-01"), day("01-31"), Decimal(1)),
        Enrolment(day("02-01"), day("02-29"), Decimal(3)),
        Enrolment(day("03-01"), day("03-31"), Decimal(1)),
        Enrolment(day("04-01"), None, Decimal(3)),
    ]
    assert [amounts(account.bill()) for _month in range(5)] == [["10.00"], ["20.00"], [], [], []]


def test_a_cycle_that_a_new_rule_has_cut_short_is_billed_once():
    # A yearly rule ends on 14 March: 74 of 366 days.
    account = Account(
        rule(1, recurring_fee="366.00", in_advance=False, interval=YEAR, until="03-14"),
        rule(2, recurring_fee="31.00", in_advance=False, since="03-15"),
    )
    for _month in range(7):
        account.bill()
    assert total(one for one in account.charges if one.key.rule == 1) == Decimal("74.00")


def test_a_fee_in_arrears_stays_where_the_account_reopens_the_day_after():
    account = Account(rule(recurring_fee="366.00", in_advance=False, interval=YEAR))
    account.bill_until("05-01")
    account.close("05-20")
    account.next_bill = day("05-21")
    # 141 of 366 days.
    assert amounts(account.bill()) == ["141.00"]
    account.memberships.append(membership(day("05-21"), None, None, day("01-01")))
    account.next_bill = day("06-01")
    assert amounts(account.bill()) == []
    account.bill_until("12-31")
    assert total(account.charges) == Decimal("141.00")


def test_what_is_given_back_names_its_days():
    account = Account(rule(recurring_fee="31.00"), start="05-01")
    account.bill()
    account.memberships = [
        membership(day("05-01"), day("05-04"), None, day("05-01")),
        membership(day("05-05"), day("05-09"), None, day("05-01"), True),
        membership(day("05-10"), day("05-20"), None, day("05-01")),
    ]
    account.next_bill = day("05-21")
    [back] = account.bill()
    assert (str(back.amount), back.first, back.last) == ("-16.00", day("05-21"), day("05-31"))


def test_fewer_units_name_the_days_from_which_there_are_fewer():
    account = Account(rule(recurring_fee="31.00", enrolment="opt_in"), start="05-01")
    account.enrolments = [Enrolment(day("05-01"), None, Decimal(3))]
    account.bill()
    account.enrolments = [
        Enrolment(day("05-01"), day("05-15"), Decimal(3)),
        Enrolment(day("05-16"), None, Decimal(2)),
    ]
    [back] = [one for one in account.bill() if one.amount < 0]
    assert (str(back.amount), back.first, back.last) == ("-16.00", day("05-16"), day("05-31"))


def test_a_set_up_fee_names_the_day_of_its_rise():
    account = Account(rule(setup_fee="10.00", enrolment="opt_in"), start="05-01")
    account.enrolments = [
        Enrolment(day("05-01"), day("05-19"), Decimal(1)),
        Enrolment(day("05-20"), None, Decimal(3)),
    ]
    account.bill()
    [more] = account.bill()
    assert (str(more.amount), more.first) == ("20.00", day("05-20"))


def test_late_use_in_a_cycle_of_kept_days_is_rated():
    account = Account(
        rule(recurring_fee="10.00", advance_cycles=3, refund_on_close=False, unit_price="1.00"),
        start="05-01",
    )
    account.bill_until("06-01")
    account.use("06-10", 8)
    account.bill_until("07-01")
    account.close("05-20")
    account.next_bill = day("07-05")
    charges = account.bill(replace(account.prepare_bill(), rerate_from=day("05-20")))
    assert Decimal("-8.00") in [one.amount for one in charges]


def change_cycle(account, since, interval):
    """Have other cycles begin on a day, with a bill of it."""
    account.close(day(since) - timedelta(days=1))
    account.memberships.append(membership(day(since), None, None, day(since), False, interval))
    account.next_bill = day(since)


@pytest.mark.parametrize(
    ("values", "before", "due", "after"),
    [
        # Monthly → yearly on 15 February, after the bill of the 1st: 14 of 29 days stay.
        ({"recurring_fee": "31.00"}, ["31.00"], ["-16.03", "31.00"], ["31.00"]),
        ({"recurring_fee": "29.00", "in_advance": False}, ["29.00"], ["14.00"], ["29.00"]),
        # A cycle of its own ends, too: 45 of 366 days of a year; the next has 366 days.
        ({"recurring_fee": "366.00", "interval": YEAR}, [], ["-321.00", "366.00"], ["366.00"]),
        (
            {"recurring_fee": "366.00", "in_advance": False, "interval": YEAR},
            [],
            ["45.00"],
            ["366.00"],
        ),
        # 20 used on the 10th, 14 of 29 units free.
        ({"included": "29", "unit_price": "1.00"}, [], ["6.00"], []),
        # 40.00 a month at least: 14 of 29 days are 19.31, and a year has it once.
        (
            {"unit_price": "0.10", "minimum_amount": "40.00"},
            ["40.00"],
            ["17.31", "2.00"],
            ["40.00"],
        ),
        # Given once, whatever cycles begin.
        ({"setup_fee": "10.00", "trial_days": 60, "unit_price": "1.00"}, [], [], []),
        # Two months at once: both are settled; a block of years begins.
        (
            {"recurring_fee": "31.00", "advance_cycles": 2},
            [],
            ["-16.03", "31.00", "31.00"],
            [],
        ),
    ],
)
def test_a_cycle_that_changes_on_a_day_is_settled_as_if_closed(values, before, due, after):
    account = Account(rule(**values))
    account.bill()
    assert amounts(account.bill()) == before
    account.use("02-10", 20)
    change_cycle(account, "02-15", (1, "year"))
    charges = account.bill()
    assert sorted(amounts(charges)) == sorted(due)
    assert account.bills[-1 if charges else 0].date == day("02-15" if charges else "01-01")
    assert account.next_bill == day("2025-02-15")
    assert amounts(account.bill()) == after


def test_cycles_move_from_the_day_of_activation_to_the_first_of_the_month():
    # 10 January; from March on by the calendar: 20 of 29 days of the cycle of 10 February, then March.
    account = Account(rule(recurring_fee="29.00"), start="01-10")
    account.bill_until("02-10")
    change_cycle(account, "03-01", (1, "month"))
    charges = account.bill()
    assert sorted(amounts(charges)) == ["-9.00", "29.00"]
    [back] = [one for one in charges if one.amount < 0]
    assert (back.first, back.last) == (day("03-01"), day("03-09"))
    assert account.next_bill == day("04-01")
    assert amounts(account.bill()) == ["29.00"]


def test_a_kept_fee_ends_where_the_account_reopens_after_a_bill_in_the_gap():
    # Paid ahead for January and not given back: closed on the 4th, open again on the 26th.
    ten = (10, "day")
    for known in (False, True):
        account = Account(
            rule(
                recurring_fee="31.00",
                refund_on_close=False,
                interval=rating.Interval.of(1, "month"),
            ),
            interval=ten,
        )
        account.bill()
        account.close("01-04")
        account.next_bill = day("01-05")
        again = membership(day("01-26"), None, None, day("01-26"), False, ten)
        account.memberships += [again] if known else []
        account.bill()
        if not known:
            account.bill_until("01-21")
            account.memberships.append(again)
        account.next_bill = day("01-26")
        account.bill_until("02-15")
        # 25 of 31 days stay, and the month from the 26th on.
        assert total(account.charges) == Decimal("56.00")


def test_priced_days_that_are_taken_back_are_given_back_where_others_had_no_price():
    # Priced from 9 February on; 22 of 29 days of February in arrears.
    account = Account(rule(recurring_fee="29.00", in_advance=False, since="02-08"))
    account.bill_until("03-01")
    assert total(account.charges) == Decimal("22.00")
    account.close("02-07")
    account.next_bill = day("03-01")
    account.bill(replace(account.prepare_bill(), rerate_from=day("02-08")))
    assert total(account.charges) == 0


def test_a_fee_on_use_is_one_where_the_account_reopens_in_its_cycle_with_another_price():
    account = Account(
        rule(1, recurring_fee="30.00", enrolment="on_use", in_advance=False, until="05-20"),
        rule(2, recurring_fee="40.00", enrolment="on_use", in_advance=False, since="05-21"),
        start="05-01",
    )
    account.use("05-10", 4)
    account.bill()
    account.close("05-20")
    account.next_bill = day("05-21")
    assert total(account.bill()) == Decimal("30.00")
    account.memberships.append(membership(day("05-27"), None, None, day("05-01")))
    account.next_bill = day("05-27")
    account.bill_until("06-01")
    # One fee a cycle, by the last rule in force of its days.
    assert total(account.charges) == Decimal("40.00")


def test_a_longer_cycle_that_begins_where_a_prepaid_one_would_have_is_billed_once():
    # Three months at once from January on; from March on three months a cycle, for as much.
    account = Account(rule(recurring_fee="31.00", advance_cycles=3))
    assert amounts(account.bill()) == ["31.00", "31.00", "31.00"]
    account.bill()
    change_cycle(account, "03-01", (3, "month"))
    charges = account.bill()
    # March's month goes, a quarter comes in its place; two more quarters are paid ahead with it.
    assert sorted(amounts(charges)) == ["-31.00", "31.00", "31.00", "31.00"]
    [back] = [one for one in charges if one.amount < 0]
    assert (back.first, back.last) == (day("03-01"), day("03-31"))
    [more] = [one for one in charges if one.amount > 0 and one.first == day("03-01")]
    assert (more.last, more.cycle_end) == (day("05-31"), day("05-31"))
    # Nothing is taken again: 62.00 for two months, 93.00 for three quarters, then three more.
    for _quarter in range(3):
        account.bill()
    assert total(account.charges) == Decimal("248.00")


def test_units_that_are_added_are_billed_for_their_days():
    account = Account(rule(recurring_fee="30.00", enrolment="opt_in"), start="04-01")
    account.enrolments = [Enrolment(day("04-01"), None, Decimal(1))]
    account.bill()
    account.enrolments = [
        Enrolment(day("04-01"), day("04-10"), Decimal(1)),
        Enrolment(day("04-11"), None, Decimal(3)),
    ]
    [more] = [one for one in account.bill() if one.key.cycle_start == day("04-01")]
    assert (str(more.amount), more.first, more.last) == ("40.00", day("04-11"), day("04-30"))


@pytest.mark.parametrize("values", [{"minimum_amount": "40"}, {"minimum_quantity": "40"}])
def test_a_minimum_counts_use_after_the_last_day_of_enrolment(values):
    account = Account(rule(enrolment="opt_in", unit_price="1", **values))
    account.enrolments = [Enrolment(day("01-01"), day("01-20"), Decimal(1))]
    account.use("01-05", 10)
    account.use("01-25", 30)
    account.bill()
    # 20 of 31 days: 25.81, or 26 units; 40.00 were used.
    assert total(account.bill()) == Decimal("40.00")


def test_a_minimum_so_far():
    """At a month's end within the billing period: 22 of 31 days of 40.00, 15.00 of them used."""
    account = Account(rule(unit_price="1", minimum_amount="40"), start="01-10")
    account.bill()
    account.use("01-20", 15)
    accrual = replace(
        account.prepare_bill(), date=day("02-01"), next_date=day("02-01"), accrues=True
    )
    assert total(account.bill(accrual)) == Decimal("28.39")


def test_accounts_of_the_same_days_have_prices_of_their_own():
    rules = (
        rule(1, recurring_fee="31.00"),
        rule(2, rank=1, scope=8, recurring_fee="62.00"),
        rule(3, rank=2, scope=5, recurring_fee="93.00"),
        rule(4, rank=3, scope=9, recurring_fee="124.00"),
    )
    feature = rating.Feature(1, rules, 0)
    bill = rating.Bill(day("02-01"), day("01-01"), day("02-01"), Decimal("0.01"))
    found = []
    for group, scopes, paused in (
        (None, {1: 7, 3: 1}, False),
        (None, {1: 8, 3: 2}, False),
        (5, {1: 8, 3: 3}, False),
        (5, {1: 8, 3: 9}, False),
        (None, {1: 7, 3: 4}, True),
    ):
        account = rating.Account(
            (membership(day("01-01"), None, group, day("01-01"), paused),), scopes
        )
        # The same feature for all of them, as for the accounts of a run.
        charges, _draws = rating.FeatureBill(account, feature, bill).charges(rating.Usage([]), {})
        found.append([str(charge.amount) for charge in charges])
    assert found == [["31.00"], ["62.00"], ["93.00"], ["124.00"], []]


@pytest.mark.parametrize("interval", [(1, "year"), (1, "month")])
def test_what_a_price_that_is_left_was_paid_ahead_comes_back_at_once(interval):
    # Three cycles of 1,200.00 are paid ahead on 1 January; from that day on another price holds, 600.00 a
    # cycle, whose cycles begin on the same days. All comes back with the next bill, not cycle by cycle.
    cycle = rating.Interval.of(*interval)
    left = terms(recurring_fee="1200", advance_cycles=3, interval=cycle)
    account = Account(rating.Rule(1, left))
    assert total(account.bill()) == Decimal(3600)
    account.rules = [rating.Rule(2, terms(recurring_fee="600", interval=cycle))]
    back = [charge for charge in account.bill() if charge.key.rule == 1]
    assert total(back) == Decimal(-3600)
    assert not [charge for charge in account.bill() if charge.key.rule == 1]
