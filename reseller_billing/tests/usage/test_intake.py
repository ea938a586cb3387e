import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ...models.usage.reseller_usage_intake import PlainReader
from ...models.usage.reseller_usage_line import Refusal
from ..common import ResellerBillingCommon


class TestIntake(ResellerBillingCommon):
    """Events that are read in one pass say what they say, and are stored as others are."""

    VALUES = {
        "id": ["a", "", "x" * 256, "é", "a\0", "a\rb", 7, None, ["a"]],
        "source": ["s", "", "s\0", None, {}],
        "client": ["A", "moved", "closed", "billed", "later", "unknown", None, ["A"]],
        "feature": ["unit", "other", "unknown", None, []],
        "quantity": [
            1,
            0,
            -1,
            10**24,
            True,
            1.5,
            "2.50",
            "1e3",
            "x",
            float("nan"),
            None,
            Decimal("0.1"),
        ],
        "time": [
            "2024-01-20T12:00:00Z",
            "2024-01-20T23:30:00Z",
            "2024-01-20T22:59:59Z",
            "2024-03-31T00:30:00Z",
            "1972-01-06T00:44:00Z",
            "1972-12-31T23:59:59Z",
            "2024-01-20T12:00:60Z",
            "2024-01-20T24:00:00Z",
            "2024-W03-6T12:00:00Z",
            "2024-01-20 12:00:00Z",
            "2024-01-20t12:00:00z",
            "2024-01-20T12:00:00.5Z",
            "2024-01-20T12:00:00+02:00",
            "2024-01-20T12:00:000Z",
            "２024-01-20T12:00:00Z",
            "2024-02-30T12:00:00Z",
            "2999-01-20T12:00:00Z",
            20240120,
            None,
            [*"2024-01-20T12:00", ":", "0", "0", "Z"],
            [*"2024-01-20T12:00", ":", 0, 0, 0],
        ],
        "level": [None, None, None, "", "hd"],
        "corrects": [None, None, None, "", "b"],
        "properties": [None, None, None, {}, {"a": 1}],
    }

    def test_what_is_read_in_one_pass_is_what_is_read_part_by_part(self):
        day = datetime(2024, 1, 15).date()
        ever = [(datetime(1971, 1, 1).date(), None)]
        accounts = {
            "A": [(1, "UTC", ever, None, None, None)],
            "moved": [(2, "UTC", ever, None, None, None), (3, "UTC", ever, None, None, None)],
            "closed": [(4, "Europe/Berlin", [(ever[0][0], day)], None, None, None)],
            "billed": [(5, "Africa/Monrovia", ever, datetime(2024, 1, 20).date(), None, None)],
            "later": [(6, "Pacific/Chatham", ever, None, datetime(2024, 1, 21).date(), None)],
        }
        features, levels = {"unit": 11, "other": 12}, {(11, "hd"): 21}
        latest = datetime.now(UTC) + timedelta(days=1)
        lines = self.env["reseller.usage.line"]
        plain = PlainReader(accounts, features, latest, lines._parse_quantity)
        chance, read = random.Random(30), 0
        for _time in range(20_000):
            event = {
                # Most parts are good, so that the others come one by one.
                name: values[0] if chance.random() < 0.8 else chance.choice(values)
                for name, values in self.VALUES.items()
                if chance.random() < 0.99
            }
            if chance.random() < 0.5:
                event["time"] = (
                    f"2024-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}T12:{chance.randrange(60):02}:01Z"
                )
            row = plain.read_event(event)
            if row is None:
                continue
            read += 1
            try:
                other = lines._parse_event(
                    event, accounts, features, levels, None, {}, (day, latest)
                )
            except Refusal as error:
                self.fail(f"{event}: {error}")
            other = *other[:4], str(other[4]), str(other[5]), *other[6:]
            self.assertEqual(row, other, event)
        # Else this would show nothing.
        self.assertGreater(read, 4000)

    def test_what_is_stored_at_once_is_what_is_stored_one_by_one(self):
        self._create_feature("peak", aggregation="max")
        self._create_feature("last", aggregation="last")
        chance = random.Random(30)
        events = [
            self._event(
                f"2024-01-{chance.randrange(10, 13)}",
                chance.choice(
                    [1, "0.1", 7, "123456789012345678901234.000000000000000000000000000001"]
                ),
                chance.choice(["unit", "peak", "last"]),
            )
            for _number in range(60)
        ]
        for number, event in enumerate(events):
            # Several of one moment: of these the last one stored counts.
            event.update(
                id=f"{number:02}", time=f"{event['time'][:11]}1{chance.randrange(2)}:00:00Z"
            )
        lines = self.env["reseller.usage.line"]

        def read():
            self.env.flush_all()
            self.env.cr.execute(
                """
                SELECT feature_id, billing_date, quantity::text, event_count, max_quantity::text,
                       last_quantity::text, last_at, version > 0
                  FROM reseller_usage_daily WHERE client_id = %s ORDER BY feature_id, billing_date
                """,
                [self.client_a.id],
            )
            return self.env.cr.fetchall()

        with self.env.cr.savepoint() as savepoint:
            self.assertEqual(lines.ingest(events)["accepted"], 60)
            at_once = read()
            savepoint.rollback()
        for event in events:
            self.assertEqual(lines.ingest([event])["accepted"], 1)
        self.assertEqual(at_once, read())
        # With some that are there already, and one twice, the others come in all the same.
        more = [*events[:3], *(dict(event, id=f"more {event['id']}") for event in events[:5])]
        outcome = lines.ingest([*more, more[-1]])
        self.assertEqual((outcome["accepted"], outcome["duplicates"]), (5, 4))
        self.assertFalse(outcome["rejected"])

    def test_one_broken_event_is_refused_alone(self):
        good = [
            self._event("2024-01-10", 1, id=number)
            for number in ("a\rb", "\r", "a\nb", 'a"b', "a,b", "\\.", "\\N")
        ]
        bad = self._event("2024-01-10", 1, time=[*"2024-01-10T12:00", ":", "0", "0", "Z"])
        outcome = self.env["reseller.usage.line"].ingest([*good, bad])
        self.assertEqual((outcome["accepted"], len(outcome["rejected"])), (len(good), 1))
        lines = self.env["reseller.usage.line"].search([("client_id", "=", self.client_a.id)])
        self.assertEqual(set(lines.mapped("external_id")), {event["id"] for event in good})

    def test_a_rejection_is_closed_by_what_comes_in_at_once(self):
        lines = self.env["reseller.usage.line"]
        wrong = self._event("2024-01-10", 1, client="nobody")
        lines.ingest([wrong])
        rejection = self.env["reseller.usage.rejection"].search([("event_id", "=", wrong["id"])])
        self.assertEqual(rejection.state, "open")
        outcome = lines.ingest([dict(wrong, client="A"), dict(wrong, id="other", client="nobody")])
        self.assertEqual((outcome["accepted"], len(outcome["rejected"])), (1, 1))
        self.assertEqual(rejection.state, "replayed")
        # What is wrong and right in one delivery stays as it is.
        outcome = lines.ingest([dict(wrong, id="both"), dict(wrong, id="both", client="A")])
        self.assertEqual((outcome["accepted"], len(outcome["rejected"])), (1, 1))
        both = self.env["reseller.usage.rejection"].search([("event_id", "=", "both")])
        self.assertEqual(both.state, "open")
