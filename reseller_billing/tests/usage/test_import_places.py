import base64
import csv
import io
import itertools
import os
import pathlib
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.http import Request
from odoo.tests import HttpCase, tagged

from ..common import ResellerBillingCommon
from ..portal.test_web import create_user

TABLE = [
    ["client", "feature", "note"],
    ["A", "unit", "two\nlines"],
    ["", "", ""],
    ["B", "Ünit", 'quoted "text"; more'],
    ["C", "unit", "end\r\nof line"],
    ["D", "", "€"],
]
ADDRESS = "/reseller_billing/usage_file"


def write(table, delimiter, end):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        table
    )
    return stream.getvalue()


class TestImportPlaces(ResellerBillingCommon):
    """A file that is taken in step by step is read on from where it was."""

    def test_reading_goes_on_behind_any_row(self):
        files = self.env["reseller.usage.file"]
        wanted = [row for row in TABLE[1:] if any(row)]
        kinds = itertools.product(
            ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"),
            (",", ";", "\t"),
            ("\n", "\r\n", "\r"),
        )
        for encoding, delimiter, end in kinds:
            content = write(TABLE, delimiter, end).encode(encoding)
            header, rows = files._open(io.BytesIO(content))
            self.assertEqual(header, TABLE[0])
            found, places = [], [(0, 0)]
            for number, texts in rows:
                found.append((number, texts))
                places.append((number, rows.offset))
            self.assertEqual([texts for _number, texts in found], wanted, (encoding, end))
            self.assertEqual(places[-1][1], len(content))
            for count, place in enumerate(places):
                header, rows = files._open(io.BytesIO(content), after=place)
                self.assertEqual((header, list(rows)), (TABLE[0], found[count:]), (encoding, place))

    def _upload(self, lines):
        return self.env["reseller.usage.import"].create(
            {
                "filename": "use.csv",
                "file": base64.b64encode(
                    "\n".join(["client,feature,time,quantity", *lines]).encode()
                ),
            }
        )

    def _get_ids(self):
        lines = self.env["reseller.usage.line"].search([], order="external_id")
        return lines.mapped("external_id")

    def test_what_is_said_again_counts_each_time_however_often_work_begins_anew(self):
        said = "A,unit,2024-01-05 12:00:00,2.50"
        other = "A,unit,2024-01-06 12:00:00,1"
        # The same in other words, the same in between, and once more at the end.
        lines = [said, other, said.replace("2.50", "2.5"), said, other, said]
        whole = self._upload(lines)
        whole.action_import()
        self.assertEqual((whole.accepted, whole.duplicates), (6, 0))
        ids = self._get_ids()
        self.env.cr.execute("DELETE FROM reseller_usage_line; DELETE FROM reseller_usage_daily")
        self.env.invalidate_all()
        one = self._upload(lines)
        one.write({"state": "running", "row_count": 6})
        for done in (2, 4, 6):
            # As another process that goes on with it: it has nothing but what is stored.
            header, rows = one._open((one.last_row, one.last_offset))
            batch = list(itertools.islice(one._read_events(header, rows), 2))
            until = batch[-1][0], rows.offset
            self.assertTrue(one._take(batch, (one.last_row, one.last_offset), until))
            self.assertEqual(one.rows_done, done)
            # What another process has read meanwhile is not taken twice.
            self.assertFalse(one._take(batch, (1, 1), until))
        self.assertEqual((one.accepted, one.duplicates), (6, 0))
        self.assertEqual(self._get_ids(), ids)
        again = self._upload(lines)
        again.action_import()
        self.assertEqual((again.accepted, again.duplicates), (0, 6))
        # A file that is done with, or has been checked, has nothing left of it.
        counted = self.env["reseller.usage.import.said"].search([])
        self.assertEqual(counted.import_id, one)
        one._forget_said()

    def test_a_file_of_ids_alone_and_a_better_one_in_its_place(self):
        whole = "id,client,feature,time,quantity\n" + "".join(
            f"e{number},A,unit,2024-01-05 12:00:00,1\n" for number in range(3)
        )
        mixed = whole.replace("e1,", ",")
        one = self.env["reseller.usage.import"].create(
            {"filename": "use.csv", "file": base64.b64encode(whole.encode())}
        )
        one.action_import()
        self.assertEqual((one.has_ids, one.accepted), (True, 3))
        one.action_undo()
        one.file = base64.b64encode(mixed.encode())
        self.assertFalse(one.has_ids)
        one.action_check()
        self.assertEqual((one.accepted, one.duplicates, one.rejected), (3, 0, 0))
        one.action_import()
        self.assertEqual((one.has_ids, one.accepted), (False, 3))
        counting = self.env["reseller.usage.line"].search([("voided_at", "=", False)])
        self.assertEqual(
            sorted(number.rpartition("/")[2] for number in counting.mapped("external_id")),
            ["2", "e0", "e2"],
        )

    def test_utf_16_without_its_mark_is_not_guessed(self):
        with self.assertRaisesRegex(UserError, "encoding"):
            self.env["reseller.usage.file"]._open(io.BytesIO(b"client,feature\nA,unit\n"), "utf-16")

    def test_rows_with_ids_and_without_in_one_file(self):
        text = (
            "id,client,feature,time,quantity\n"
            "e1,A,unit,2024-01-05 12:00:00,1\n"
            ",A,unit,2024-01-05 12:00:00,1\n"
            "e2,A,unit,2024-01-05 12:00:00,1\n"
            ",A,unit,2024-01-05 12:00:00,1\n"
        )
        for counts in ((4, 0), (0, 4)):
            one = self.env["reseller.usage.import"].create(
                {"filename": "use.csv", "file": base64.b64encode(text.encode())}
            )
            one.action_import()
            self.assertEqual((one.accepted, one.duplicates, one.rejected), (*counts, 0))
        self.assertEqual(
            {number.rpartition("/")[2] for number in self._get_ids()}, {"e1", "e2", "2", "4"}
        )


@tagged("post_install", "-at_install")
class TestUpload(ResellerBillingCommon, HttpCase):
    """A file goes to the server as it is, and to the import of who sent it."""

    CONTENT = b"client,feature,time,quantity\nA,unit,2024-01-05 12:00:00,3\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.office = create_user(
            cls.env,
            "uploading",
            "base.group_user,reseller_billing.group_billing_manager",
            cls.company,
        )

    def _send(self, login, name="calls.csv", content=CONTENT):
        self.authenticate(login, login)
        return self.url_open(
            ADDRESS,
            data={"csrf_token": Request.csrf_token(self)},
            files={"ufile": (name, content, "text/csv")},
        )

    def test_a_file_is_uploaded_and_taken_in(self):
        answer = self._send("uploading").json()
        self.assertEqual(answer["name"], "calls.csv")
        imports = self.env["reseller.usage.import"].with_user(self.office)
        one = imports.create({"filename": answer["name"], "upload_id": answer["id"]})
        self.assertIn("2024-01-05", one.preview_html)
        self.assertEqual(base64.b64decode(one.with_context(bin_size=False).file), self.CONTENT)
        self.assertEqual(one.column_ids.mapped("target"), ["client", "feature", "time", "quantity"])
        one.action_import()
        self.assertEqual((one.state, one.accepted), ("done", 1))
        # Its words are not kept once more.
        attachment = one.sudo()._find_file()  # as the reader does
        self.assertEqual((attachment.id, attachment.index_content), (answer["id"], False))
        # A better file instead.
        two = imports.create({"filename": "x", "file": base64.b64encode(b"nothing")})
        better = self._send("uploading", content=self.CONTENT * 2).json()
        two.upload_id = better["id"]
        self.assertEqual(two._open_file().read(), self.CONTENT * 2)
        self.assertEqual(
            self.env["ir.attachment"].search_count(
                [("res_model", "=", two._name), ("res_id", "=", two.id), ("res_field", "!=", False)]
            ),
            1,
        )

    def test_files_of_others_stay_theirs(self):
        create_user(self.env, "stranger", "base.group_user", self.company)
        refused = self._send("stranger")
        self.assertEqual(refused.status_code, 403)
        self.assertIn("message", refused.json()["error"])
        colleague = create_user(
            self.env,
            "colleague",
            "base.group_user,reseller_billing.group_billing_manager",
            self.company,
        )
        number = self._send("colleague").json()["id"]
        elsewhere = self.env["ir.attachment"].create({"name": "secret", "raw": b"secret"})
        imports = self.env["reseller.usage.import"].with_user(self.office)
        for one in (number, elsewhere.id):
            with self.assertRaises(AccessError):
                imports.create({"filename": "x", "upload_id": one})
            with self.assertRaises(AccessError):
                imports.new({"filename": "x", "upload_id": one})._open_file()
        kept = imports.with_user(colleague).create({"filename": "x", "upload_id": number})
        self.assertEqual(kept._open_file().read(), self.CONTENT)
        # Once it is one import's, it is no other's.
        with self.assertRaises(AccessError):
            imports.with_user(colleague).create({"filename": "y", "upload_id": number})

    def test_what_no_import_takes_is_deleted_after_a_day(self):
        number = self._send("uploading").json()["id"]
        attachment = self.env["ir.attachment"].browse(number)
        self.env["reseller.usage.import"]._gc_uploads()
        self.assertTrue(attachment.exists())
        self.env.cr.execute(
            "UPDATE ir_attachment SET create_date = %s WHERE id = %s",
            [fields.Datetime.now() - timedelta(days=2), number],
        )
        attachment.invalidate_recordset()
        self.env["reseller.usage.import"]._gc_uploads()
        self.assertFalse(attachment.exists())
        # Nor does what was being written when its process died.
        part = pathlib.Path(attachment._filestore()) / "part-of-a-test"
        part.write_bytes(b"x")
        attachment._gc_parts()
        self.assertTrue(part.exists())
        os.utime(part, (0, 0))
        attachment._gc_parts()
        self.assertFalse(part.exists())
