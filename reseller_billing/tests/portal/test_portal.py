import base64
import csv
import io

import pytest
from freezegun import freeze_time
from lxml import html
from odoo.tests import tagged
from odoo.tools import mute_logger
from openpyxl import load_workbook
from PIL import Image

from .common_reseller import ResellerPortalCommon

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
FORMULA = '=HYPERLINK("http://evil.example","x")'


@tagged("post_install", "-at_install")
class TestPortal(ResellerPortalCommon):
    """What resellers see in the portal: reports, bills, their brand."""

    # Reporting and billing

    def test_a_report_counts_and_downloads_what_was_used(self):
        level = self._create_level("hot", "Hot")
        self._use(
            "2024-02-10", "2.5", client="A", level=level.code, properties={"to": FORMULA, "n": EVIL}
        )
        days = "first=2024-01-01&last=2024-02-29"
        page = html.fromstring(self._get(f"{self.path}/report?{days}").text)
        rows = [
            [cell.text_content().strip() for cell in row.xpath("./th|./td")][:4]
            for row in page.xpath("//table//tbody/tr")
        ]
        self.assertEqual(rows, [["Unit", "", "1", "7"], ["Unit", "Hot", "1", "2.5"]])
        page = self._get(f"{self.path}/report?{days}&feature={self.feature.id}").text
        self.assertNotIn("<img src=x", page)
        self.assertIn("&lt;script&gt;", page)
        text = self._get(f"{self.path}/report.csv?{days}").content.decode("utf-8-sig")
        self.assertEqual(
            list(csv.reader(io.StringIO(text))),
            [
                ["Day", "Feature", "Level", "Quantity"],
                ["2024-01-05", "Unit", "", "7"],
                ["2024-02-10", "Unit", "Hot", "2.5"],
            ],
        )
        body = self._get(f"{self.path}/report.xlsx?{days}&detail=events").content
        sheet = load_workbook(io.BytesIO(body)).active
        self.assertEqual([cell.value for cell in sheet[3]][4], 2.5)
        self.assertEqual({cell.data_type for row in sheet for cell in row} - {"s", "n"}, set())

    def test_no_cell_of_a_file_is_a_formula(self):
        self.feature.name = FORMULA
        self._use("2024-02-11", 1, client="A", id="@SUM(1)")
        days = "first=2024-01-01&last=2024-02-29"
        text = self._get(f"{self.path}/report.csv?{days}&detail=events").content.decode("utf-8-sig")
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                self.assertFalse(cell.startswith(("=", "+", "-", "@")), cell)
        for detail in ("days", "events"):
            body = self._get(f"{self.path}/report.xlsx?{days}&detail={detail}").content
            sheet = load_workbook(io.BytesIO(body)).active
            self.assertNotIn("f", {cell.data_type for row in sheet for cell in row})

    def test_a_range_that_cannot_be_is_said(self):
        answer = self._get(f"{self.path}/report?first=2024-02-01&last=2024-01-01")
        self.assertEqual(set(self._errors(answer)), {"last"})
        answer = self._get(f"{self.path}/report?first=1900-01-01&last=2024-01-01")
        self.assertEqual(set(self._errors(answer)), {"last"})

    def test_billing_shows_the_preview_the_bills_and_what_was_paid(self):
        self._use("2024-02-10", 4, client="A")
        invoice = self.client_a.statement_ids.invoice_id
        with freeze_time("2024-02-20"):
            self._pay(invoice)
        tree = html.fromstring(self._get(f"{self.path}/billing").text)
        tables = [
            [
                [" ".join(cell.text_content().split()) for cell in row.xpath("./th|./td")]
                for row in table.xpath("./tbody/tr")
            ]
            for table in tree.xpath("//table[contains(@class, 'o_reseller_fold')]")
        ]
        # Of what is used now there is nothing to show: February is long past.
        preview, statements, history = tables
        self.assertEqual([row[1:4] for row in preview], [["4", "1.00", "$ 4.00"]])
        self.assertEqual(
            [row[2:4] for row in statements],
            [[f"{invoice.name} Paid", "$ 7.00"], ["", "$ 0.00"]],  # and the opening one
        )
        self.assertEqual(
            [(row[1].split(" Of which")[0], *row[2:]) for row in history],
            [
                (f"Payment of {invoice.name}", "$ -7.00", "$ 0.00"),
                (f"Invoice {invoice.name}", "$ 7.00", "$ 7.00"),
            ],
        )
        # Why? From the trace: 4 units at 1.00, the default price.
        why = tree.xpath("//a[contains(@href, '/why/')]/@href")[0]
        text = " ".join(html.fromstring(self._get(why).text).text_content().split())
        self.assertIn("4", text)
        self.assertIn("Default", text)
        statement = self.client_a.statement_ids.filtered("invoice_id")
        answer = self._get(f"{self.path}/statements/{statement.id}.pdf")
        # Tests print no PDF, but what it is made of.
        self.assertEqual(answer.headers["Content-Type"], "application/pdf")
        self.assertIn(b"Client A", answer.content)
        answer = self._get(f"{self.path}/statements/{statement.id}.xlsx")
        book = load_workbook(io.BytesIO(answer.content))
        self.assertEqual(book.sheetnames[:2], ["Summary", "Charges"])

    def test_the_overview_counts(self):
        text = " ".join(html.fromstring(self._get("/my/reseller").text).text_content().split())
        self.assertIn("2Active clients", text)
        # Both owe the 7.00 of January, since years.
        self.assertIn("2With open invoices, 2 overdue", text)
        self.assertIn("Client A $ 7.00", text)
        # 4 units of A are not billed; the last bills of A and A2 came to 7.00 each.
        self._use("2024-02-10", 4, client="A")
        answer = self._get(f"/my/reseller/{self.reseller.id}/unbilled").json()
        self.assertEqual(answer, {"now": "$\u00a04.00", "before": "$\u00a014.00"})

    def test_months_count_bills_without_invoices_and_no_offers(self):
        today = self.reseller._today()
        self.reseller.invoice_to = "none"
        self._use("2024-02-10", 4, client="A")
        self._run("2024-03-01")
        self.reseller.invoice_to = "client"
        with freeze_time("2024-03-20"):
            self.client_a.sudo()._buy_package(self.package)  # as the page does
            months = dict(self.reseller._get_billed_months())
        # January: 7 units each of A and A2, with invoices. February: 4 of A, without.
        self.assertEqual((months["Feb 24"], months["Mar 24"]), (14, 4))
        self.assertEqual(len(months), 12)
        self.assertGreater(today.year, 2024)

    def test_overdue_is_what_was_due_before_today_where_the_client_is(self):
        self.client_a.statement_ids.invoice_id.invoice_date_due = "2024-02-10"
        self.client_a.tz = "Pacific/Auckland"
        # It is the 11th there already, and the 10th where the other one is.
        self.client_a2.statement_ids.invoice_id.invoice_date_due = "2024-02-10"
        with freeze_time("2024-02-10 15:00:00"):
            owed = (self.client_a | self.client_a2)._load_owed()
        self.assertEqual(
            {client: tuple(map(str, sums)) for client, sums in owed.items()},
            {self.client_a.id: ("7.00", "7.00"), self.client_a2.id: ("7.00", "0")},
        )

    # Branding

    def test_a_brand_is_previewed_saved_and_printed(self):
        path = f"/my/reseller/{self.reseller.id}/brand"
        form = {
            "color_primary": "#123abc",
            "statement_header": "Messaging for everybody",
            "statement_note": "Thank you.",
            "statement_footer": "bill@r1.example.com",
            "statement_show_quantity": "1",
        }
        preview = self._post(f"{path}/preview", self.token, **form)
        self.assertIn("sandbox", preview.headers["Content-Security-Policy"])
        for text in ("#123abc", "Messaging for everybody", "Thank you.", "Quantity"):
            self.assertIn(text, preview.text)
        self.assertNotIn("Price</th>", preview.text)
        # Of a client with use: with its chart, where that is chosen, and no words in dashes.
        self.assertNotIn("<svg", preview.text)
        drawn = self._post(f"{path}/preview", self.token, **form, statement_show_charts="1")
        self.assertIn("<svg", drawn.text)
        self.assertNotIn("--", html.fromstring(drawn.text).text_content())
        self.assertNotEqual(self.reseller.color_primary, "#123abc")
        self.assertEqual(self._post(path, self.token, **form).status_code, 303)
        self.assertEqual(self.reseller.color_primary, "#123abc")
        statement = self.client_a.statement_ids.filtered("invoice_id")
        document = self.env["ir.qweb"]._render(
            "reseller_billing.report_statement",
            {"docs": statement, "image_data_uri": lambda data: "", "explained": False},
        )
        self.assertIn("Messaging for everybody", document)
        self.assertNotIn("Price</th>", document)
        self.assertIn("Quantity</th>", document)

    def test_pictures_are_drawn_anew_and_others_refused(self):
        path = f"/my/reseller/{self.reseller.id}/brand"
        stream = io.BytesIO()
        Image.new("RGB", (300, 100), "red").save(stream, "PNG")
        good = stream.getvalue() + b"<script>alert(1)</script>"
        svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'

        def send(name, data):
            return self.url_open(
                path,
                data={"csrf_token": self.token, "color_primary": "#714B67"},
                files={"logo": (name, data)},
                allow_redirects=False,
            )

        broken = (b"\x89PNG broken", b"RIFF\0\0\0\0WEBPVP8 junk")
        for name, data in (("a.svg", svg), ("a.png", svg), *(("a.png", one) for one in broken)):
            self.assertIn("logo", self._errors(send(name, data)), name)
        self.assertFalse(self.reseller.logo)
        self.assertEqual(send("logo.png", good).status_code, 303)
        stored = base64.b64decode(self.reseller.logo)
        self.assertNotIn(b"script", stored)
        self.assertLessEqual(max(Image.open(io.BytesIO(stored)).size), 512)

    # Hostile texts

    @pytest.mark.isolation
    def test_texts_of_resellers_and_clients_are_inert(self):
        path = f"/my/reseller/{self.reseller.id}/brand"
        answer = self._post(path, self.token, color_primary="red;background:url(//evil)")
        self.assertEqual(set(self._errors(answer)), {"color_primary"})
        brand = {
            "color_primary": "#714B67",
            "statement_header": EVIL,
            "statement_note": EVIL + "\nsecond line",
            "statement_footer": EVIL,
            "statement_show_quantity": "1",
            "statement_show_price": "1",
        }
        previewed = self._post(f"{path}/preview", self.token, **brand).text
        self._post(path, self.token, **brand)
        self.client_a2.partner_id.user_ids.unlink()
        edit = f"/my/reseller/clients/{self.client_a2.id}"
        header = "x\r\nBcc: thief@example.com"
        self._post(edit, self.token, **self.FORM, name=EVIL + header, street=EVIL, city=EVIL)
        self._post("/my/reseller/groups", self.token, name=EVIL)
        self._use("2024-02-10", 1, client="A2", properties={EVIL: EVIL})
        statement = self.client_a2.statement_ids.filtered("invoice_id")
        printed = str(
            self.env["ir.qweb"]._render(
                "reseller_billing.report_statement",
                {"docs": statement, "image_data_uri": lambda data: "", "explained": True},
            )
        )
        template = self.reseller.statement_template_id
        mail = template._generate_template(statement.ids, ["subject", "body_html"])[statement.id]
        self.assertNotIn("\n", self.client_a2.partner_id.name)
        self.assertNotIn("\n", mail["subject"])
        pages = {
            "preview": previewed,
            "printed": printed,
            "mail": str(mail["body_html"]),
            **{
                one: self._get(one).text
                for one in (
                    "/my/reseller",
                    "/my/reseller/clients",
                    f"/my/reseller/clients?search={EVIL}",
                    "/my/reseller/groups",
                    path,
                    edit,
                    f"{edit}/billing",
                    f"{edit}/delete",
                    f"{edit}/login",
                    f"{edit}/report?first=2024-02-01&last=2024-02-29&feature={self.feature.id}",
                )
            },
        }
        for name, text in pages.items():
            tree = html.fromstring(text)
            self.assertFalse(tree.xpath("//img[@src='x'] | //*[@onerror][not(self::script)]"), name)
            scripts = [one.text or "" for one in tree.xpath("//script")]
            self.assertFalse([one for one in scripts if "alert(1)" in one], name)
            self.assertNotIn(">49<", text, name)

    @pytest.mark.isolation
    @mute_logger("odoo.http")
    def test_forms_of_other_sites_are_refused(self):
        for path in (self.path, f"{self.path}/delete", f"{self.path}/login", "/my/reseller/groups"):
            answer = self.url_open(
                path, data={"confirm": "A", "reason": "x", "name": "x"}, allow_redirects=False
            )
            self.assertEqual(answer.status_code, 400, path)
        self.assertTrue(self.client_a.active)
