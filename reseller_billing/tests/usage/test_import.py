import base64
import io
from datetime import date, datetime

import openpyxl
import xlsxwriter
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form

from ..common import ResellerBillingCommon

GERMAN = """\
Kunde;Leistung;Datum;Menge;Notiz
A;unit;31.01.2024 23:30;1.234,5;Müller
B;unit;01.02.2024;0,25;"mit; Semikolon"
A;unit;01.02.2024;1.5;
A;unit;31.13.2024;1;
"""
GERMAN_COLUMNS = {
    "Kunde": "client",
    "Leistung": "feature",
    "Datum": "time",
    "Menge": "quantity",
    "Notiz": "properties",
}


class TestImport(ResellerBillingCommon):
    """Files as people have them become usage, once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client_b = cls._create_client("B")
        cls.lines = cls.env["reseller.usage.line"]
        cls.reseller.tz = "Europe/Berlin"

    def _upload(self, content, columns=None, filename="usage.csv", **values):
        content = content.encode() if isinstance(content, str) else content
        one = self.env["reseller.usage.import"].create(
            {"file": base64.b64encode(content), "filename": filename, **values}
        )
        for column in one.column_ids:
            if columns is not None:
                column.target = columns.get(column.name, False)
        return one

    def _upload_german(self, content=GERMAN, **values):
        return self._upload(
            content,
            GERMAN_COLUMNS,
            **{"decimal_sign": "comma", "time_format": "dmy", "tz": "Europe/Berlin", **values},
        )

    def _counts(self, one):
        return one.accepted, one.duplicates, one.rejected

    def _stored(self):
        """Return [(client, day, quantity as text)] of the stored events."""
        self.env.cr.execute(
            """
            SELECT client.ref, line.billing_date, line.quantity::text
              FROM reseller_usage_line line
              JOIN reseller_client client ON client.id = line.client_id
             ORDER BY client.ref, line.billing_date, line.quantity
            """
        )
        return self.env.cr.fetchall()

    def test_who_only_looks_at_corrections_needs_nothing_that_ingestion_makes(self):
        content = (
            "id,client,feature,time,quantity,corrects\n"
            "e1,A,unit,2024-01-05T12:00:00Z,5,\n"
            "e2,A,unit,2024-01-05T12:00:00Z,-2,e1\n"
        )
        self.env.cr.execute("DROP TABLE IF EXISTS reseller_usage_batch, reseller_usage_refused")
        one = self._upload(content)
        one.invalidate_recordset(["preview_html"])
        self.assertIn("2024-01-05", one.preview_html)
        self.assertFalse(self._stored())

    def test_semicolons_decimal_commas_and_local_times(self):
        one = self._upload_german()
        self.assertEqual(
            one.column_ids.mapped("sample")[:3],
            ["A, B, A", "unit, unit, unit", "31.01.2024 23:30, 01.02.2024, 01.02.2024"],
        )
        one.action_import()
        self.assertEqual((one.state, *self._counts(one)), ("done", 2, 0, 2))
        self.assertEqual(
            self._stored(), [("A", date(2024, 1, 31), "1234.5"), ("B", date(2024, 2, 1), "0.25")]
        )
        first = self.lines.search([("client_id", "=", self.client_a.id)])
        # 23:30 in Berlin; in UTC still the 31st as well, but not the same hour.
        self.assertEqual(first.occurred_at, datetime(2024, 1, 31, 22, 30))
        self.assertEqual(first.properties, {"Notiz": "Müller"})
        self.assertEqual(
            {one.import_row: one.kind for one in one.rejection_ids}, {4: "quantity", 5: "time"}
        )
        # 1.5 in a file of decimal commas is doubtful: replayed as it is, it stays out.
        one.rejection_ids.action_replay()
        self.assertEqual(set(one.rejection_ids.mapped("state")), {"open"})

    def test_the_same_file_counts_once_in_any_encoding(self):
        self._upload_german().action_import()
        for encoding in ("utf-8-sig", "utf-16", "cp1252"):
            again = self._upload_german(GERMAN.encode(encoding))
            again.action_import()
            self.assertEqual(self._counts(again), (0, 2, 2), encoding)
        # The rejected rows are one rejection each, whatever file they came in last.
        self.assertEqual(self.env["reseller.usage.rejection"].search_count([]), 2)
        wrong = self._upload_german(GERMAN.encode("cp1252"), encoding="utf-8-sig")
        self.assertIn("encoding", str(wrong.preview_html))
        with self.assertRaisesRegex(UserError, "encoding"):
            wrong.action_import()

    def test_a_file_counts_once_whatever_else_changes_in_it(self):
        text = "client,feature,time,quantity\nA,unit,2024-01-05 12:00:00,2.5\nA,unit,2024-01-06 12:00:00,1\n"
        names = ("client", "feature", "time", "quantity")
        columns = {name: name for name in names} | {"tag": "properties"}
        self._upload(text, columns).action_import()
        stored = self._stored()
        self.assertEqual(len(stored), 2)
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, names)
            moments = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
            for number, (day, quantity) in enumerate(((5, 2.5), (6, 1)), 1):
                sheet.write_row(number, 0, ["A", "unit"])
                sheet.write_datetime(number, 2, datetime(2024, 1, day, 12), moments)
                sheet.write_number(number, 3, quantity)
        alike = {
            "a column more": "client,feature,time,quantity,tag\nA,unit,2024-01-05 12:00:00,2.5,x\n"
            "A,unit,2024-01-06 12:00:00,1,\n",
            "another tag": "client,feature,time,quantity,tag\nA,unit,2024-01-05 12:00:00,2.5,y\n"
            "A,unit,2024-01-06 12:00:00,1,z\n",
            "other order": "quantity,time,feature,client\n1,2024-01-06 12:00:00,unit,A\n"
            "2.5,2024-01-05 12:00:00,unit,A\n",
            "other decimals": text.replace("2.5", "2.50").replace(",1\n", ",1.0\n"),
            "other times": text.replace("2024-01-05 12", "2024-01-05T12"),
            "a workbook": stream.getvalue(),
        }
        for kind, content in alike.items():
            filename = "a.xlsx" if kind == "a workbook" else "a.csv"
            one = self._upload(content, columns, filename=filename)
            one.action_check()
            self.assertEqual(self._counts(one), (0, 2, 0), (kind, one.reasons))
            one.action_import()
            self.assertEqual(self._counts(one), (0, 2, 0), kind)
        self.assertEqual(self._stored(), stored)
        # Who says that it is further use has it counted; said twice in one file it counts twice.
        one = self._upload(text, columns)
        one.action_check()
        one.repeats = "further"
        self.assertEqual(one.state, "new")
        one.action_import()
        self.assertEqual(self._counts(one), (2, 0, 0))
        twice = text + text.partition("\n")[2]
        one = self._upload(twice, columns)
        one.action_import()
        self.assertEqual(self._counts(one), (2, 2, 0))

    def test_a_workbook_with_dates_as_dates(self):
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream) as book:
            sheet = book.add_worksheet()
            day = book.add_format({"num_format": "dd/mm/yyyy"})
            moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
            sheet.write_row(0, 0, ["client", "feature", "time", "quantity"])
            sheet.write_row(1, 0, ["A", "unit"])
            sheet.write_datetime(1, 2, datetime(2024, 1, 31), day)
            sheet.write_number(1, 3, 0.1)
            sheet.write_row(3, 0, ["B", "unit"])
            sheet.write_datetime(3, 2, datetime(2024, 2, 1), moment)
            sheet.write_number(3, 3, 1e6)
        one = self._upload(stream.getvalue(), filename="usage.xlsx", decimal_sign="comma")
        self.assertEqual(one.column_ids.mapped("target"), ["client", "feature", "time", "quantity"])
        one.action_import()
        self.assertEqual(self._counts(one), (2, 0, 0))
        # A day without a time is that day; midnight UTC is one o'clock in Berlin.
        self.assertEqual(
            self._stored(), [("A", date(2024, 1, 31), "0.1"), ("B", date(2024, 2, 1), "1000000")]
        )

    def test_codes_that_a_workbook_holds_as_numbers(self):
        self._create_client("12345")
        self._create_feature("7")
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream) as book:
            sheet = book.add_worksheet()
            day = book.add_format({"num_format": "[$-de-CH]dd.mm.yyyy;@"})
            sheet.write_row(0, 0, ["client", "feature", "time", "quantity", "id"])
            sheet.write_row(1, 0, [12345, 7])
            sheet.write_datetime(1, 2, datetime(2024, 1, 31), day)
            sheet.write_row(1, 3, [2, 99])
        one = self._upload(stream.getvalue(), filename="usage.xlsx")
        one.action_import()
        self.assertEqual(self._counts(one), (1, 0, 0), one.reasons)
        line = self.lines.search([])
        # A day is noon of that day.
        self.assertEqual((line.external_id, line.occurred_at), ("99", datetime(2024, 1, 31, 12)))

    def test_a_focus_workbook_with_odd_rows(self):
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream) as book:
            sheet = book.add_worksheet()
            day = book.add_format({"num_format": "yyyy-mm-dd"})
            names = "BillingAccountId SubAccountId SkuId ConsumedQuantity ListUnitPrice"
            sheet.write_row(0, 0, [*names.split(), "ChargePeriodStart"])
            sheet.write_row(1, 0, [11, 22, "S1", 1.5, 2])
            sheet.write_datetime(1, 5, datetime(2024, 1, 5), day)
            sheet.write_row(2, 0, [11, 22, "S1", 1.5, "1,5", "soon"])
            sheet.write_row(3, 0, ["Total", None, None, 3])
        one = self._upload(stream.getvalue(), filename="f.xlsx", create_missing=True)
        one.create_prices = True
        self.assertEqual(one.format, "focus")
        one.action_import()
        self.assertEqual(self._counts(one), (1, 0, 2), one.reasons)
        client = self.env["reseller.client"].search([("ref", "=", "22")])
        self._run("2024-02-01")
        self.assertEqual(self._statement(client, "2024-02-01").amount_total, 3.0)

    def test_a_file_that_failed_half_way_is_not_replaced(self):
        text = "client,feature,time,quantity\nX,unit,2024-01-05,1\n"
        one = self._upload(text)
        one.write({"state": "failed", "rows_done": 1})
        with self.assertRaisesRegex(UserError, "upload the file once more"):
            one.file = base64.b64encode(text.encode())
        one.action_import()
        self.assertEqual(self._counts(one), (0, 0, 1))
        with self.assertRaisesRegex(UserError, "upload the file once more"):
            one.action_check()

    def test_a_row_with_too_many_values_keeps_its_identity_when_mended(self):
        text = "client,feature,time,quantity\nA,unit,2024-01-05,1\nA,unit,2024-01-05,1,extra\n"
        one = self._upload(text)
        one.action_import()
        self.assertEqual(self._counts(one), (1, 0, 1))
        rows = base64.b64decode(one.rejections_file).decode("utf-8-sig").splitlines()
        key = one.rejection_ids.import_key
        mended = self._upload(
            f"{rows[0]}\nA,unit,2024-01-05,1,{key},because\n",
            {name: name for name in ("client", "feature", "time", "quantity")},
        )
        mended.action_import()
        self.assertEqual(self._counts(mended), (1, 0, 0), mended.reasons)

    def test_text_in_utf_16_without_a_mark(self):
        for encoding in ("utf-16-le", "utf-16-be"):
            one = self._upload_german(GERMAN.encode(encoding))
            self.assertEqual(one.column_ids[0].name, "Kunde")

    def test_a_check_takes_nothing_in(self):
        text = (
            "client,feature,time,quantity\n" + "A,unit,2024-01-05,1\n" * 3 + "X,unit,2024-01-05,1\n"
        )
        one = self._upload(text)
        one.action_check()
        # Equal rows are events of their own.
        self.assertEqual((one.state, *self._counts(one)), ("checked", 3, 0, 1))
        self.assertEqual(one.reasons, {"There is no client with reference X.": [1, 5]})
        self.assertIn("There is no client with reference X.", one.reasons_html)
        self.assertFalse(self.lines.search([]))
        self.assertFalse(self.env["reseller.usage.rejection"].search([]))
        one.action_import()
        self.assertEqual((one.state, *self._counts(one)), ("done", 3, 0, 1))
        with self.assertRaisesRegex(UserError, "upload the file once more"):
            one.action_import()

    def test_the_first_rows_are_shown_as_the_events_they_become(self):
        one = self._upload_german()
        for text in ("2024-01-31T22:30:00Z", "1234.5", "taken in", "1.5 (?) is no decimal number"):
            self.assertIn(text, one.preview_html)
        one.column_ids[1].target = False
        self.assertIn("Choose the columns that are: Feature (code)", one.preview_html)
        with self.assertRaisesRegex(UserError, r"Feature \(code\)"):
            one.action_import()
        one.default_feature_id = self.feature
        one.action_import()
        self.assertEqual(one.accepted, 2)
        with self.assertRaisesRegex(ValidationError, "Only one column can be the Client"):
            self._upload("x,y\n1,2\n", {"x": "client", "y": "client"})

    def test_a_mapping_is_saved_and_serves_the_next_file(self):
        first = self._upload_german()
        first.save_as = "Gateway"
        first.action_save_mapping()
        mapping = first.mapping_id
        self.assertEqual((mapping.name, mapping.decimal_sign), ("Gateway", "comma"))
        with Form(self.env["reseller.usage.import"]) as form:
            form.file = base64.b64encode(GERMAN.replace("A;", "B;").encode())
            form.mapping_id = mapping
            self.assertEqual((form.time_format, form.tz), ("dmy", "Europe/Berlin"))
        following = form.record
        self.assertEqual({one.name: one.target for one in following.column_ids}, GERMAN_COLUMNS)
        following.action_import()
        self.assertEqual(self._counts(following), (2, 0, 2))
        other = self._upload(GERMAN.replace("Menge", "Anzahl"), mapping_id=mapping.id)
        with self.assertRaisesRegex(UserError, "Choose the columns that are: Quantity"):
            other.action_import()

    def test_rejected_rows_come_back_as_a_file_to_mend_and_load_again(self):
        one = self._upload_german()
        one.action_import()
        self.assertTrue(one.action_download_rejections()["url"].endswith("usage-rejected.csv"))
        text = base64.b64decode(one.rejections_file).decode("utf-8-sig")
        lines = text.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[0].startswith("Kunde;Leistung;Datum;Menge;Notiz;Rejected: event id;"))
        self.assertIn("no decimal number", lines[1])
        mended = self._upload_german(text.replace("1.5;", "1,5;").replace("31.13.", "31.12."))
        mended.action_import()
        self.assertEqual(self._counts(mended), (2, 0, 0))
        self.assertIn(("A", date(2024, 2, 1), "1.5"), self._stored())
        # Loaded once more, also under another time for the same event: nothing counts twice.
        mended = self._upload_german(text.replace("1.5;", "1,5;").replace("31.13.", "30.12."))
        mended.action_import()
        self.assertEqual(self._counts(mended), (0, 1, 1))
        self.assertEqual(mended.rejection_ids.kind, "conflict")

    def test_rejected_rows_of_a_workbook(self):
        stream = io.BytesIO()
        with xlsxwriter.Workbook(stream) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, ["client", "feature", "time", "quantity"])
            sheet.write_row(1, 0, ["=1+1", "unit", "2024-01-05"])
            sheet.write_string(1, 0, "=1+1")
            sheet.write_number(1, 3, 2.5)
        one = self._upload(stream.getvalue(), filename="usage.xlsx")
        one.action_import()
        self.assertEqual(self._counts(one), (0, 0, 1))
        book = openpyxl.load_workbook(io.BytesIO(base64.b64decode(one.rejections_file)))
        _head, row = book.active.values
        self.assertEqual(row[:4], ("=1+1", "unit", "2024-01-05", 2.5))
        self.assertEqual(book.active["A2"].data_type, "s")
        self.assertEqual(row[5], "There is no client with reference =1+1.")

    def test_files_that_are_no_tables_say_so(self):
        for content, words in (
            (b"\n", "empty"),
            (b"\xd0\xcf\x11\xe0old", "old workbook"),
            (b"PK\x03\x04broken", "cannot be read"),
            ("a,b,a\n1,2,3\n", "more than once: a"),
        ):
            one = self._upload(content)
            with self.assertRaisesRegex(UserError, words):
                one.action_check()
        one = self._upload(
            'client,feature,time,quantity\nA,unit,2024-01-05,1\nA,"unit"x,2024-01-05,1\n'
        )
        with self.assertRaisesRegex(UserError, "Line 3 is no CSV"):
            one.action_import()
        wide = self._upload("client,feature,time,quantity\nA,unit,2024-01-05,1,extra\n")
        wide.action_import()
        self.assertIn("Row 2 has 5 values", wide.rejection_ids.reason)

    def test_groups_of_digits_and_other_forms_of_numbers_and_times(self):
        one = self._upload("client,feature,time,quantity\nA,unit,2024-01-05,1\n")
        numbers = {
            "point": {
                "0,125": "0,125 (?)",
                "1,234 567": "1,234 567 (?)",
                "1,234.5": "1234.5",
                "1'000": "1000",
                "1e3": "1e3",
                "1,5": "1,5 (?)",
                "-2": "-2",
            },
            "comma": {
                "0.125": "0.125 (?)",
                "-0.500": "-0.500 (?)",
                "1.234.567,5": "1234567.5",
                "1.234,5": "1234.5",
                "1 000": "1000",
                ",5": ".5",
                "1.5": "1.5 (?)",
                "-2": "-2",
            },
        }
        for sign, cases in numbers.items():
            one.decimal_sign = sign
            for text, expected in cases.items():
                self.assertEqual(one._parse_quantity(text), expected)
        times = {
            "iso": {
                "2024-03-31 02:30": "2024-03-31T02:30:00Z",
                "2024-01-05T10:00:00+02:00": "2024-01-05T08:00:00Z",
                "05.01.2024": "05.01.2024",
                "2024-01-31T2359+0200": "2024-01-31T21:59:00Z",
            },
            "dmy": {"05.01.2024 10:00": "2024-01-05T10:00:00Z", "5/1/2024": "2024-01-05T12:00:00Z"},
            "mdy": {"05/01/2024 10:00:30": "2024-05-01T10:00:30Z", "13/01/2024": "13/01/2024"},
            "unix": {
                "1704449000.5": "2024-01-05T10:03:20.500000Z",
                "soon": "soon",
                "1704449000000000000": "1704449000000000000",
            },
        }
        for form, cases in times.items():
            one.time_format = form
            prepare = one._get_reader_table()
            for text, expected in cases.items():
                self.assertEqual(prepare({"time": text})["time"], expected)
        # What no clock can show elsewhere is left for a person.
        one.write({"time_format": "iso", "tz": "Europe/Berlin"})
        null = "0001-01-01 00:00:00"
        self.assertEqual(one._get_reader_table()({"time": null})["time"], null)


class TestRepair(ResellerBillingCommon):
    """The repair desk: what was rejected is found by reason, mended, and taken in."""

    def _reject(self, *events):
        outcome = self.env["reseller.usage.line"].ingest(list(events))
        self.assertEqual(len(outcome["rejected"]), len(events))
        return self.env["reseller.usage.rejection"].search([], order="id")

    def test_kinds_of_reasons(self):
        self.client_a.action_close("2024-03-31")
        rejections = self._reject(
            self._event("2024-01-05", 1, client="X"),
            self._event("2024-01-05", 1, "none"),
            self._event("2024-01-05", 1, level="gold"),
            self._event("2024-04-05", 1),
            self._event("2024-01-05", "1,5"),
            self._event("2024-01-05", 1, time="yesterday"),
            self._event("2024-01-05", 1, corrects="gone"),
            self._event("2024-01-05", 1, id=7),
            "no event",
        )
        self.assertEqual(
            rejections.mapped("kind"),
            [
                "client",
                "feature",
                "level",
                "service",
                "quantity",
                "time",
                "corrects",
                "id",
                "unreadable",
            ],
        )
        self.assertEqual(rejections[0].client_ref, "X")
        self.assertEqual(rejections[7].event_id, "7")

    def test_many_are_mended_at_once(self):
        rejections = self._reject(*(self._event("2024-01-05", 2, "smss") for _n in range(3)))
        rejections.write({"feature_code": "unit", "event_quantity": "2.5"})
        self.assertEqual(rejections.action_replay()["params"]["kind"], "success")
        self.assertEqual(set(rejections.mapped("state")), {"replayed"})
        self.env.cr.execute("SELECT sum(quantity)::text FROM reseller_usage_daily")
        self.assertEqual(self.env.cr.fetchone(), ("7.5",))
        unreadable = self._reject("broken") - rejections
        with self.assertRaisesRegex(UserError, "cannot be read"):
            unreadable.client_ref = "A"

    def _repair(self, rejections, **values):
        action = rejections.action_repair_clients()
        form = Form(self.env["reseller.usage.repair"].with_context(**action["context"]))
        for name, value in values.items():
            setattr(form, name, value)
        return form

    def test_unknown_clients_are_created(self):
        rejections = self._reject(
            self._event("2024-02-05", 1, client="N1"),
            self._event("2024-02-03", 1, client="N1"),
            self._event("2024-02-07", 1, client="N2"),
        )
        form = self._repair(rejections, reseller_id=self.reseller, group_id=self.group)
        with form.line_ids.edit(0) as line:
            line.name = "New One Ltd"
        form.save().action_apply()
        clients = self.env["reseller.client"].search([("ref", "in", ("N1", "N2"))], order="ref")
        self.assertEqual(clients.mapped("name"), ["New One Ltd", "N2"])
        self.assertEqual(clients.mapped("activation_date"), [date(2024, 2, 3), date(2024, 2, 7)])
        self.assertEqual(clients.membership_ids.group_id, self.group)
        self.assertEqual(set(rejections.mapped("state")), {"replayed"})
        self.assertEqual(self.env["reseller.usage.line"].search_count([]), 3)
        # Service begins on the first event's day where the reseller is.
        self.reseller.tz = "America/New_York"
        late = self._reject(self._event("2024-02-05", 1, client="N3", time="2024-02-05T03:00:00Z"))
        late = late.filtered(lambda one: one.state == "open")
        self._repair(late, reseller_id=self.reseller).save().action_apply()
        self.assertEqual(late.state, "replayed")

    def test_events_are_given_to_a_client_that_is_there(self):
        rejections = self._reject(self._event("2024-02-05", 4, client="a"))
        # One that was refused for another reason stays with its client.
        self._create_client("B")
        other = self._reject(self._event("2024-02-05", "x", client="B")) - rejections
        chosen = rejections | other
        self._repair(chosen, action="link", client_id=self.client_a).save().action_apply()
        self.assertEqual(rejections.state, "replayed")
        self.assertEqual((other.state, other.client_ref), ("open", "B"))
        self.assertEqual(self.env["reseller.usage.line"].search([]).client_id, self.client_a)
