from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from ..common import ResellerBillingCommon

ZONES = ("Pacific/Kiritimati", "America/Los_Angeles", "Europe/Berlin")
CYCLES = ((1, "year"), (6, "month"), (10, "day"), (1, "month"))
STARTS = ("2020-02-29", "2023-01-29", "2023-01-30", "2023-01-31")
# Days around both clock changes, and the ends of months and of a leap February.
DAYS = (
    "2020-02-29",
    "2021-02-27",
    "2021-02-28",
    "2023-02-28",
    "2023-12-31",
    "2024-02-29",
    "2024-03-09",
    "2024-03-10",
    "2024-03-30",
    "2024-03-31",
    "2024-10-26",
    "2024-10-27",
    "2024-11-02",
    "2024-11-03",
    "2025-02-28",
    "2025-12-31",
    "2026-02-28",
    "2026-07-30",
)
UNTIL = date(2026, 11, 1)


class TestTime(ResellerBillingCommon):
    """Periods tile without gap or overlap, and each event is in one of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Statements only: three years of invoices add nothing here.
        cls.reseller.invoice_to = "none"
        cls._create_rule(unit_price=1)
        cls.clients = {}
        for zone in ZONES:
            for start in STARTS:
                for count, unit in CYCLES:
                    ref = f"{zone}/{count} {unit}/{start}"
                    cls.clients[ref] = cls._create_client(
                        ref,
                        start=start,
                        tz=zone,
                        interval_count=count,
                        interval_unit=unit,
                    )
        cls.events = []
        for ref, client in cls.clients.items():
            zone = ZoneInfo(client.tz)
            for number, text in enumerate(DAYS):
                day = date.fromisoformat(text)
                if day < client.activation_date:
                    continue
                last = datetime(day.year, day.month, day.day, 23, 59, 59, 999000, tzinfo=zone)
                following = day + timedelta(days=1)
                first = datetime(following.year, following.month, following.day, tzinfo=zone)
                # Every event has a quantity of its own: 1, 2, 4, 8 …
                cls.events.append((ref, day, last, 4**number))
                cls.events.append((ref, following, first, 2 * 4**number))
        outcome = cls.env["reseller.usage.line"].ingest(
            [
                {
                    "id": f"t{number}",
                    "source": "time",
                    "client": ref,
                    "feature": "unit",
                    "time": moment.isoformat(),
                    "quantity": quantity,
                }
                for number, (ref, _day, moment, quantity) in enumerate(cls.events)
            ]
        )
        assert outcome["accepted"] == len(cls.events), outcome["rejected"][:3]
        cls._run(UNTIL)

    def test_periods_tile_and_hold_each_event_once(self):
        for ref, client in self.clients.items():
            with self.subTest(ref):
                statements = client.statement_ids.sorted("bill_date").filtered("period_start")
                day = client.activation_date
                for statement in statements:
                    self.assertEqual(statement.period_start, day)
                    self.assertEqual(statement.bill_date, statement.period_end + timedelta(days=1))
                    expected = sum(
                        quantity
                        for name, when, _moment, quantity in self.events
                        if name == ref and statement.period_start <= when <= statement.period_end
                    )
                    self.assertEqual(statement.amount_total, expected, statement.name)
                    day = statement.bill_date
                self.assertGreaterEqual(client.next_bill_date, UNTIL)
                billed = sum(statements.mapped("amount_total"))
                self.assertEqual(
                    billed,
                    sum(
                        quantity
                        for name, when, _moment, quantity in self.events
                        if name == ref and when < day
                    ),
                )

    def test_month_ends_are_counted_from_the_day_of_activation(self):
        for zone in ZONES:
            for cycle, start, expected in (
                ("1 month", "2020-02-29", "2020-02-29 2020-03-29 2020-04-29 2020-05-29"),
                ("1 month", "2023-01-31", "2023-01-31 2023-02-28 2023-03-31 2023-04-30"),
                ("1 month", "2023-01-30", "2023-01-30 2023-02-28 2023-03-30 2023-04-30"),
                ("6 month", "2020-02-29", "2020-02-29 2020-08-29 2021-02-28 2021-08-29"),
                ("6 month", "2023-01-31", "2023-01-31 2023-07-31 2024-01-31 2024-07-31"),
                ("1 year", "2020-02-29", "2020-02-29 2021-02-28 2022-02-28 2023-02-28 2024-02-29"),
                ("1 year", "2023-01-29", "2023-01-29 2024-01-29 2025-01-29"),
                ("10 day", "2023-01-31", "2023-01-31 2023-02-10 2023-02-20 2023-03-02"),
            ):
                dates = expected.split()
                client = self.clients[f"{zone}/{cycle}/{start}"]
                found = client.statement_ids.sorted("bill_date")[: len(dates)]
                self.assertEqual([str(one.bill_date) for one in found], dates, client.ref)
