import base64
import random
from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError

from ...models.usage import reseller_usage_import
from ..common import ResellerBillingCommon

NAMES = ("id", "client", "feature", "time", "quantity")


class TestImportAgain(ResellerBillingCommon):
    """Files that are undone, and files that replace what was delivered before."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client_b = cls._create_client("B")
        cls.lines = cls.env["reseller.usage.line"]
        cls._create_rule(unit_price=1)

    def _upload(self, rows, names=NAMES, **values):
        """Return the import of a file of rows, in the order of the names."""
        text = "\n".join(",".join(map(str, row)) for row in [names, *rows])
        return self.env["reseller.usage.import"].create(
            {"file": base64.b64encode(text.encode()), "filename": "usage.csv", **values}
        )

    def _deliver(self, rows, names=NAMES, **values):
        """Return the import of a file that replaces January and February."""
        values = {"replace_from": "2024-01-01", "replace_to": "2024-02-29", **values}
        return self._upload(rows, names, replaces=True, **values)

    def _replace(self, *arguments, **values):
        """Check and import a delivery; return the import."""
        one = self._deliver(*arguments, **values)
        one.action_check()
        one.action_import()
        return one

    def _live(self):
        """Return {event id: quantity as text} of what counts."""
        self.lines.flush_model()
        self.env.cr.execute(
            "SELECT external_id, trim_scale(quantity)::text FROM reseller_usage_line"
            " WHERE voided_at IS NULL"
        )
        return dict(self.env.cr.fetchall())

    def _billed(self, client):
        """Return what all bills of a client come to."""
        charges = self.env["reseller.charge"].search([("client_id", "=", client.id)])
        return sum((values[2] for values in charges._get_exact().values()), Decimal(0))

    def assertBuckets(self):
        """What is billed by day is what the events that count add up to."""
        self.env.cr.execute(
            """
            SELECT client_id, feature_id, billing_date, sum(quantity), count(*)
              FROM reseller_usage_line WHERE voided_at IS NULL
             GROUP BY client_id, feature_id, billing_date
            EXCEPT
            SELECT client_id, feature_id, billing_date, quantity, event_count
              FROM reseller_usage_daily
            """
        )
        self.assertEqual(self.env.cr.fetchall(), [])
        self.env.cr.execute(
            """
            SELECT COALESCE(sum(quantity), 0), count(*) FROM reseller_usage_line
             WHERE voided_at IS NULL
            EXCEPT
            SELECT COALESCE(sum(quantity), 0), COALESCE(sum(event_count), 0)
              FROM reseller_usage_daily
            """
        )
        self.assertEqual(self.env.cr.fetchall(), [])

    # Undoing

    def test_an_import_is_undone_and_the_better_file_taken_in(self):
        rows = [
            ("A", "unit", "2024-01-05", 7),
            ("B", "unit", "2024-01-06", 70),
            ("C", "unit", "", 1),
        ]
        one = self._upload(rows, NAMES[1:])
        one.action_import()
        self.assertEqual((one.accepted, one.rejected), (2, 1))
        self._run("2024-02-01")
        self.assertEqual(self._billed(self.client_b), 70)
        one.action_undo()
        self.assertEqual((one.state, self._live()), ("undone", {}))
        self.assertIn("2 events count no more", one.notice)
        self.assertEqual(one.rejection_ids.mapped("state"), ["dismissed"])
        self.assertBuckets()
        # The right quantity is 7 for both; what was right before has the same id again.
        better = self._upload([rows[0], ("B", "unit", "2024-01-06", 7)], NAMES[1:])
        better.action_import()
        self.assertEqual((better.accepted, better.duplicates, better.rejected), (2, 0, 0))
        self._run("2024-03-01")
        self.assertEqual((self._billed(self.client_a), self._billed(self.client_b)), (7, 7))
        statement = self._statement(self.client_b, "2024-03-01")
        self.assertEqual(self._amounts(statement)["unit", "usage"], "-63.00")
        self.assertAgrees(statement)
        self.assertBuckets()
        # Undone as well, and the first file once more, by the same import.
        better.action_undo()
        one.action_import()
        self.assertEqual((one.state, one.accepted), ("done", 2))
        self._run("2024-04-01")
        self.assertEqual((self._billed(self.client_a), self._billed(self.client_b)), (7, 70))
        with self.assertRaisesRegex(UserError, "has not been taken in"):
            better.action_undo()
        self.lines.search([("import_id", "=", one.id)]).action_void()
        with self.assertRaisesRegex(UserError, "nothing to undo"):
            one.action_undo()

    def test_what_is_in_the_way_of_undoing_is_named(self):
        one = self._upload(
            [("x", "A", "unit", "2024-01-05", 7), ("y", "B", "unit", "2024-03-05", 2)]
        )
        one.action_import()
        self._run("2024-02-01")
        self.company.reseller_late_days = 62
        old = self.lines.search([("external_id", "=", "x")])
        for act in (one.action_undo, old.action_void):
            with self.assertRaisesRegex(
                UserError, "credit them by hand(.|\n)*Client A: 2024-01-05"
            ):
                act()
        self.assertEqual((one.state, self._live()), ("done", {"x": "7", "y": "2"}))
        self.company.reseller_late_days = 100000
        one.action_undo()
        self.assertEqual(self._live(), {})
        user = self._create_billing_user("undo-user")
        with self.assertRaises(AccessError):
            one.with_user(user).action_undo()

    def test_corrections_go_with_what_they_correct(self):
        one = self._upload(
            [("x", "A", "unit", "2024-01-05", 100), ("y", "A", "unit", "2024-01-06", 5)]
        )
        one.action_import()
        for number, quantity, corrects in (
            ("less", -30, "x"),
            ("more", 20, "less"),
            ("z", -1, "y"),
        ):
            self._use("2024-01-20", quantity, id=number, source="file", corrects=corrects)
        self.lines.search([("external_id", "=", "x")]).action_void()
        self.assertEqual(self._live(), {"y": "5", "z": "-1"})
        self.assertBuckets()
        one.action_undo()
        self.assertEqual(self._live(), {})
        self.assertBuckets()
        self._run("2024-02-01")
        self.assertEqual(self._billed(self.client_a), 0)

    def test_a_delivered_correction_stays_with_the_event_that_is_exchanged(self):
        names = (*NAMES, "corrects")
        rows = [
            ("x", "A", "unit", "2024-01-05", 100, ""),
            ("less", "A", "unit", "2024-01-06", -30, "x"),
        ]
        for quantity in (100, 90):
            rows[0] = (*rows[0][:4], quantity, "")
            one = self._replace(rows, names)
            self.assertEqual(one.rejected, 0, one.reasons)
        self.assertEqual(self._live(), {"x": "90", "less": "-30"})
        self._replace(rows[:1], names)
        self.assertEqual(self._live(), {"x": "90"})

    def test_what_a_person_voids_comes_again_only_if_it_may(self):
        self._use("2024-01-05", 7, id="x")
        event = self.lines.search([("external_id", "=", "x")])
        event.action_void()
        # Who did it stays in the account's history.
        note = self.client_a.message_ids[0]
        self.assertEqual(note.author_id, self.env.user.partner_id)
        self.assertIn("voided, with their corrections: x", note.body)
        self.assertEqual(self.lines.ingest([self._event("2024-01-05", 7, id="x")])["duplicates"], 1)
        self._use("2024-01-06", 7, id="y")
        self.lines.search([("external_id", "=", "y")]).action_void_released()
        # Under its id another one may come, once.
        other = self._event("2024-01-08", 9, id="y")
        self.assertEqual(self.lines.ingest([other])["accepted"], 1)
        self.assertEqual(self.lines.ingest([other])["duplicates"], 1)
        self.assertEqual(len(self.lines.ingest([{**other, "quantity": 8}])["rejected"]), 1)
        self.assertEqual(self._live(), {"y": "9"})
        # So it is of use that is asked for and taken in at once.
        asked = {"feature": "unit", "quantity": "2", "id": "z", "source": "test"}
        self.client_a.consume(asked)
        self.lines.search([("external_id", "=", "z")]).action_void_released()
        self.client_a.consume({**asked, "quantity": "3"})
        self.assertEqual(self._live(), {"y": "9", "z": "3"})
        self.assertBuckets()

    # Replacing

    def test_a_delivery_replaces_the_one_before(self):
        first = [
            ("1", "A", "unit", "2024-01-05", 10),
            ("2", "A", "unit", "2024-01-06", 20),
            ("3", "B", "unit", "2024-01-07", 30),
            ("4", "A", "unit", "2024-03-01", 1000),
        ]
        self._upload(first).action_import()
        # What others sent is none of the file's sources.
        self._use("2024-01-08", 500, client="B")
        self._run("2024-02-01")
        one = self._deliver(
            [first[0], ("2", "A", "unit", "2024-01-06", 25), ("5", "A", "unit", "2024-01-31", 5)]
        )
        before = self._live()
        one.action_check()
        counts = one.accepted, one.duplicates, one.rejected, one.exchanged, one.voided
        self.assertEqual(counts, (2, 1, 0, 1, 1))
        self.assertIn("Client B", one.notice)
        self.assertNotIn("Client A", one.notice)
        self.assertEqual(self._live(), before)
        one.action_import()
        self.assertEqual(
            (one.state, one.accepted, one.duplicates, one.exchanged, one.voided),
            ("done", 2, 1, 1, 1),
        )
        live = self._live()
        self.assertEqual(len(live), 5)
        self.assertEqual(
            [live.get(name) for name in "12345"], ["10", "25", None, "1000", "5"], live
        )
        self.assertBuckets()
        self._run("2024-03-01")
        # 10 + 25 + 5 for A; B has what came another way.
        self.assertEqual((self._billed(self.client_a), self._billed(self.client_b)), (40, 500))
        self.assertAgrees(self._statement(self.client_b, "2024-03-01"))
        # The delivery before, once more.
        again = self._deliver(first[:3])
        with self.assertRaisesRegex(UserError, "press Check first"):
            again.action_import()
        again.action_check()
        again.action_import()
        self.assertEqual((again.accepted, again.duplicates, again.voided), (2, 1, 1))
        self._run("2024-04-01")
        self.assertEqual((self._billed(self.client_a), self._billed(self.client_b)), (1030, 530))

    def test_rows_without_ids_are_told_by_what_they_say(self):
        rows = [
            ("A", "unit", "2024-01-05", 10),
            ("A", "unit", "2024-01-05", 10),
            ("B", "unit", "2024-01-06", 1),
        ]
        self._upload(rows, NAMES[1:]).action_import()
        one = self._replace([rows[0], ("B", "unit", "2024-01-06", 2)], NAMES[1:])
        # Said twice before and once now; another quantity is another row.
        self.assertEqual((one.accepted, one.duplicates, one.exchanged, one.voided), (1, 1, 0, 2))
        self.assertEqual(sorted(self._live().values()), ["10", "2"])

    def test_clients_and_features_narrow_what_is_replaced(self):
        other = self._create_feature("other")
        first = [
            ("1", "A", "unit", "2024-01-05", 1),
            ("2", "A", "other", "2024-01-05", 2),
            ("3", "B", "unit", "2024-01-05", 3),
            ("4", "B", "unit", "2024-01-06", 4),
        ]
        self._upload(first).action_import()
        narrow = {"replace_client_ids": self.client_b.ids, "replace_feature_ids": self.feature.ids}
        self._replace([first[3]], **narrow)
        self.assertEqual(set(self._live()), {"1", "2", "4"})
        outside = self._deliver([first[0], first[3]], **narrow)
        with self.assertRaisesRegex(UserError, "1 rows are outside"):
            outside.action_check()
        self._replace([("5", "A", "other", "2024-01-07", 5)], replace_feature_ids=other.ids)
        self.assertEqual(set(self._live()), {"1", "4", "5"})

    def test_a_delivery_that_is_empty_or_wrong_takes_nothing_back(self):
        first = [("1", "A", "unit", "2024-01-05", 1), ("2", "B", "unit", "2024-01-05", 2)]
        self._upload(first).action_import()
        for rows in ([], [("1", "nobody", "unit", "2024-01-05", 1)]):
            with self.assertRaisesRegex(UserError, "replaces nothing"):
                self._replace(rows)
        # A row that nobody can tell from others could stand for anything.
        told = [("A", "unit", "2024-01-05", 1), ("A", "unit", "2024-01-05", "?")]
        with self.assertRaisesRegex(UserError, "nothing is replaced(.|\n)*3: The quantity"):
            self._replace(told, NAMES[1:])
        with self.assertRaisesRegex(UserError, "nothing is replaced(.|\n)*has 6 values"):
            self._replace([first[0], (*first[1], "surplus")])
        self.assertEqual(self._live(), {"1": "1", "2": "2"})
        # A row that cannot be taken in leaves what it said before.
        one = self._replace(
            [("1", "A", "unit", "2024-01-05", "?"), ("3", "B", "unit", "2024-01-09", 3)]
        )
        self.assertEqual((one.accepted, one.rejected, one.voided), (1, 1, 1))
        self.assertEqual(self._live(), {"1": "1", "3": "3"})
        with self.assertRaises(ValidationError):
            self._deliver(first, replace_to=False)
        # Billed days that are too old are not taken back.
        self._run("2024-02-01")
        self.company.reseller_late_days = 62
        with self.assertRaisesRegex(UserError, "credit them by hand"):
            self._replace([("9", "B", "unit", "2024-02-09", 3)])

    def test_deliveries_step_by_step_bill_what_the_last_one_says(self):
        clients = {"A": self.client_a, "B": self.client_b}
        for seed in range(4):
            chance, said = random.Random(seed), {}
            source = f"cloud {seed}"
            billed = {ref: self._billed(client) for ref, client in clients.items()}
            for month in range(3):
                for number in map(str, range(8)):
                    fate = chance.random()
                    if fate < 0.3:
                        said.pop(number, None)
                    elif fate < 0.7 or number not in said:
                        day = f"2024-0{chance.randint(1, 2)}-{chance.randint(10, 28)}"
                        said[number] = (chance.choice("AB"), "unit", day, chance.randint(1, 9))
                said["0"] = ("A", "unit", "2024-01-15", 1)
                rows = [(number, *row) for number, row in said.items()]
                # As a long file is taken in, or as a short one.
                with patch.object(reseller_usage_import, "AT_ONCE", chance.choice([0, 100])):
                    one = self._replace(rows, source=source)
                    if one.state == "running":
                        one._take_whole()
                self.assertEqual((one.state, one.rejected), ("done", 0), one.reasons)
                self.assertEqual(one.accepted + one.duplicates, len(rows))
                self.assertBuckets()
                self._run(
                    f"2024-{3 + 3 * seed + month:02d}-01" if seed < 3 else f"2025-0{month + 1}-01"
                )
            self.assertEqual(
                {ref: self._billed(client) - billed[ref] for ref, client in clients.items()},
                {ref: sum(row[3] for row in said.values() if row[0] == ref) for ref in clients},
                seed,
            )

    def test_an_event_of_a_deleted_import_stays(self):
        one = self._upload([("1", "A", "unit", "2024-01-05", 1)])
        one.action_import()
        self.assertEqual(self.lines.search([("import_id", "=", one.id)]).external_id, "1")
        one.unlink()
        self.assertFalse(self.lines.search([("external_id", "=", "1")]).import_id)
