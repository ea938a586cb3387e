"""What a cycle's use comes to if its days that are left are as those before (a forecast)."""

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from rating import UsageRow, expect

FIRST = date(2024, 1, 1)


def rows_of(quantities, level=None):
    return [
        UsageRow(FIRST + timedelta(days=n), level, Decimal(quantity), True)
        for n, quantity in enumerate(quantities)
    ]


def test_by_hand():
    # 30 units in ten days of thirty: 60 more. 10 in three days: 90 more, and a third stays out.
    [row] = expect(rows_of([3] * 10), FIRST, date(2024, 1, 10), date(2024, 1, 30), 0)
    assert row == UsageRow(date(2024, 1, 10), None, Decimal(60), True)
    [row] = expect(rows_of([10, 0, 0]), FIRST, date(2024, 1, 3), date(2024, 1, 31), 0)
    assert row.quantity == 93
    [row] = expect(rows_of([10, 0, 0]), FIRST, date(2024, 1, 3), date(2024, 1, 31), 2)
    assert row.quantity == Decimal("93.33")


def test_levels_apart_and_nothing_of_nothing():
    rows = rows_of([1, 1], level=1) + rows_of([4, 4], level=2) + rows_of([-2])
    found = expect(rows, FIRST, date(2024, 1, 2), date(2024, 1, 4), 0)
    assert {row.level: row.quantity for row in found} == {1: 2, 2: 8}
    assert not expect(rows, FIRST, date(2024, 1, 4), date(2024, 1, 4), 0)


@given(st.integers(1, 1000), st.integers(1, 31), st.integers(0, 31))
def test_the_same_each_day_goes_on(each, elapsed, left):
    today = FIRST + timedelta(days=elapsed - 1)
    found = expect(rows_of([each] * elapsed), FIRST, today, today + timedelta(days=left), 0)
    assert sum(row.quantity for row in found) == each * left
