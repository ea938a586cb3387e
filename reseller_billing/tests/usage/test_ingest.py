import json
from decimal import Decimal

from odoo.exceptions import UserError

from ..common import ResellerBillingCommon


class TestIngest(ResellerBillingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lines = cls.env["reseller.usage.line"]

    def _bucket(self, day, feature=None):
        return self.env["reseller.usage.daily"].search(
            [
                ("client_id", "=", self.client_a.id),
                ("feature_id", "=", (feature or self.feature).id),
                ("billing_date", "=", day),
            ]
        )

    def test_an_account_without_a_turn_gets_one(self):
        self.env.cr.execute("DELETE FROM reseller_client_turn")
        self._use("2024-01-10", 3)
        self.env.cr.execute("SELECT client_id, kind FROM reseller_client_turn")
        self.assertEqual(self.env.cr.fetchall(), [(self.client_a.id, "service")])

    def test_an_event_that_is_sent_twice_in_one_body_is_kept_as_rejected(self):
        wrong = self._event("2024-01-10", "much", id="twice")
        outcome = self.env["reseller.usage.line"].ingest(
            [self._event("2024-01-10", 3, id="twice"), wrong]
        )
        self.assertEqual((outcome["accepted"], len(outcome["rejected"])), (1, 1))
        rejection = self.env["reseller.usage.rejection"].search([("event_id", "=", "twice")])
        self.assertEqual((rejection.state, rejection.event_quantity), ("open", "much"))
        # Sent again as it should be, it is there already; in the next body that takes it in, it is done.
        self.env["reseller.usage.line"].search([]).action_void_released()
        self.env["reseller.usage.line"].ingest([self._event("2024-01-10", 5, id="twice")])
        self.assertEqual(rejection.state, "replayed")

    def test_the_same_event_again_is_a_duplicate(self):
        event = self._event("2024-01-05", 3)
        self.assertEqual(
            self.lines.ingest([event]), {"accepted": 1, "duplicates": 0, "rejected": []}
        )
        self.assertEqual(
            self.lines.ingest([event, event]), {"accepted": 0, "duplicates": 2, "rejected": []}
        )
        bucket = self._bucket("2024-01-05")
        self.assertEqual((bucket.quantity, bucket.event_count), (3, 1))

    def test_twice_in_one_batch(self):
        event = self._event("2024-01-05", 3)
        self.assertEqual(
            self.lines.ingest([event, dict(event)]),
            {"accepted": 1, "duplicates": 1, "rejected": []},
        )

    def test_all_that_rfc_3339_allows_is_a_time(self):
        for number, when in enumerate(
            ("2024-01-05t12:00:00z", "2024-01-05T23:59:60Z", "2024-01-05 12:00:00.123456789+00:00")
        ):
            event = self._event("2024-01-05", 1, time=when, id=f"t{number}")
            self.assertEqual(self.lines.ingest([event])["accepted"], 1, when)
        self.assertEqual(self._bucket("2024-01-05").quantity, 3)

    def test_no_properties_and_empty_ones_are_the_same(self):
        event = self._event("2024-01-05", 1)
        self.assertEqual(self.lines.ingest([event])["accepted"], 1)
        self.assertEqual(self.lines.ingest([{**event, "properties": {}}])["duplicates"], 1)
        self.assertEqual(self.lines.ingest([{**event, "properties": None}])["duplicates"], 1)

    def test_the_same_id_with_other_content_is_a_conflict(self):
        event = self._event("2024-01-05", 3)
        outcome = self.lines.ingest([event, {**event, "quantity": 4}])
        self.assertEqual((outcome["accepted"], outcome["duplicates"]), (1, 0))
        self.assertEqual(outcome["rejected"][0]["index"], 1)
        self.assertIn("other content", outcome["rejected"][0]["reason"])
        self.assertEqual(self._bucket("2024-01-05").quantity, 3)
        # Equal numbers are equal content, however they are written.
        self.assertEqual(self.lines.ingest([{**event, "quantity": "3.0"}])["duplicates"], 1)

    def test_every_bad_event_is_rejected_with_its_reason_and_the_good_one_kept(self):
        good = self._event(
            "2024-01-05", "0.000000000000001", properties={"path": "C:\\u0000", "name": "Zoë"}
        )
        cases = [
            ({"id": None}, "id is no text"),
            ({"source": ""}, "source is no text"),
            ({"client": "nobody"}, "no client"),
            ({"client": ["A"]}, "no client"),
            ({"feature": "nothing"}, "no feature"),
            ({"level": "gold"}, "no level"),
            ({"time": "2024-01-05T12:00:00"}, "no offset"),
            ({"time": "yesterday"}, "not RFC 3339"),
            ({"time": 5}, "not RFC 3339"),
            ({"time": "2024-W01-5T12:00:00Z"}, "not RFC 3339"),
            ({"time": "20240105T120000Z"}, "not RFC 3339"),
            ({"time": "2024-01-05T12:00:60Z"}, "not RFC 3339"),
            ({"client": "A "}, "blanks at its ends"),
            ({"client": "Zoe\u0308"}, "Unicode NFD"),
            ({"quantity": None}, "no quantity"),
            ({"quantity": True}, "no quantity"),
            ({"quantity": "many"}, "no decimal number"),
            ({"quantity": "NaN"}, "no decimal number"),
            ({"quantity": "1_5"}, "no decimal number"),
            ({"quantity": "１"}, "no decimal number"),
            ({"quantity": "1e99"}, "out of range"),
            ({"quantity": "1e-40"}, "decimal places"),
            ({"time": "2023-12-31T12:00:00Z"}, "not served"),
            ({"properties": "x"}, "properties"),
            # What PostgreSQL cannot hold must not take the rest of the batch along.
            ({"id": "a\0b"}, "id is no text"),
            ({"id": "\ud800"}, "id is no text"),
            ({"id": "é" * 3000}, "id is no text"),
            ({"client": "A\0"}, "no client"),
            ({"client": "\udfff"}, "no client"),
            ({"feature": "\0"}, "no feature"),
            ({"time": "\0"}, "not RFC 3339"),
            ({"properties": {"a": "\0"}}, "zero character"),
            ({"properties": {"a": "\ud800"}}, "no JSON"),
            ({"properties": {"a": float("nan")}}, "no JSON"),
        ]
        events = [{**self._event("2024-01-05", 1), **change} for change, _reason in cases]
        outcome = self.lines.ingest([good, *events, "no object"])
        self.assertEqual(outcome["accepted"], 1)
        self.assertEqual(len(outcome["rejected"]), len(cases) + 1)
        for (_change, reason), rejected in zip(cases, outcome["rejected"], strict=False):
            self.assertIn(reason, rejected["reason"])
        self.env.cr.execute(
            "SELECT quantity::text FROM reseller_usage_daily WHERE client_id = %s",
            [self.client_a.id],
        )
        self.assertEqual(Decimal(self.env.cr.fetchone()[0]), Decimal("0.000000000000001"))
        self.assertEqual(self.env["reseller.usage.rejection"].search_count([]), len(cases) + 1)

    def test_a_rejection_is_mended_and_replayed(self):
        event = self._event("2024-01-05", 2, client="B")
        self.lines.ingest([event])
        rejection = self.env["reseller.usage.rejection"].search([])
        rejection.action_replay()
        self.assertEqual(rejection.state, "open")
        self.assertEqual(self.env["reseller.usage.rejection"].search_count([]), 1)
        rejection.payload = json.dumps({**event, "client": "A"})
        rejection.action_replay()
        self.assertEqual(rejection.state, "replayed")
        self.assertEqual(self._bucket("2024-01-05").quantity, 2)
        with self.assertRaisesRegex(UserError, "no valid JSON"):
            rejection.payload = "{"

    def test_a_rejection_closes_when_its_event_is_taken_in_later(self):
        event = self._event("2024-01-05", 2, client="B")
        self.lines.ingest([event])
        rejection = self.env["reseller.usage.rejection"].search([])
        self.assertEqual(rejection.state, "open")
        self._create_client("B")
        self.assertEqual(self.lines.ingest([event])["accepted"], 1)
        self.assertEqual(rejection.state, "replayed")

    def test_the_day_is_the_clients_own(self):
        self.client_a.tz = "Pacific/Kiritimati"  # UTC+14
        self.lines.ingest([{**self._event("2024-01-05", 1), "time": "2024-01-05T09:59:59.999Z"}])
        self.lines.ingest([{**self._event("2024-01-05", 5), "time": "2024-01-05T10:00:00Z"}])
        self.assertEqual(self._bucket("2024-01-05").quantity, 1)
        self.assertEqual(self._bucket("2024-01-06").quantity, 5)

    def test_billed_days_take_use_inside_the_late_window_only(self):
        self._create_rule(unit_price=1)
        self._run("2024-02-01")
        self.company.reseller_late_days = 62
        with self.subTest("outside"):
            outcome = self.lines.ingest([self._event("2024-01-05", 1)])
            self.assertIn("late usage", outcome["rejected"][0]["reason"])
        with self.subTest("a day that is not billed has no window"):
            self.assertEqual(self.lines.ingest([self._event("2024-02-05", 1)])["accepted"], 1)

    def test_events_are_append_only(self):
        self._use("2024-01-05", 1)
        line = self.lines.search([])
        for attempt in (
            lambda: line.write({"quantity": 5}),
            lambda: line.unlink(),
            lambda: self.lines.create({"quantity": 5}),
        ):
            with self.assertRaisesRegex(UserError, "facts"):
                attempt()

    def test_manual_entry(self):
        entry = self.env["reseller.usage.entry"].create(
            {
                "client_id": self.client_a.id,
                "feature_id": self.feature.id,
                "occurred_at": "2024-01-09 08:00:00",
                "quantity": "1.5",
            }
        )
        entry.action_save()
        self.assertEqual(self._bucket("2024-01-09").quantity, 1.5)
        entry.quantity = "x"
        with self.assertRaisesRegex(UserError, "no decimal number"):
            entry.action_save()

    def test_current_usage(self):
        today = self.client_a._today()
        self._create_rule(included_quantity=10, unit_price=0.5)
        other = self._create_feature("free")
        self._use(today.isoformat(), 14)
        self._use(today.isoformat(), 2, feature=other.code)
        usage = {entry["code"]: entry for entry in self.client_a.current_usage()}
        self.assertEqual(
            [usage["unit"][name] for name in ("used", "included_left", "payable", "amount")],
            ["14", "0", "4", "2"],
        )
        self.assertEqual([usage["free"]["used"], usage["free"]["amount"]], ["2", "0"])
        self.assertLessEqual(usage["unit"]["cycle_start"], today)
        self.assertGreaterEqual(usage["unit"]["cycle_end"], today)
