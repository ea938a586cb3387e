import io
import re
import subprocess
from datetime import date, datetime

import openpyxl
import pytest
from odoo.tests import tagged
from odoo.tools import config

from ..common import ResellerBillingCommon


@tagged("post_install", "-at_install")
@pytest.mark.reports
class TestReports(ResellerBillingCommon):
    """Real PDFs by the wkhtmltopdf at hand, alone and in bulk."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Where this test run's own server gives out style sheets.
        cls.env["ir.config_parameter"].set_param(
            "report.url", f"http://127.0.0.1:{config['http_port']}"
        )
        cls._create_rule(recurring_fee=9.99, included_quantity=10, unit_price=0.333)
        cls.other = cls._create_client("B")
        for ref in ("A", "B"):
            cls._use("2024-01-05", 25, client=ref)
        cls._run("2024-02-01")

    def _print(self, report, records):
        with self.allow_pdf_render():
            reports = self.env["ir.actions.report"].with_context(force_report_rendering=True)
            content, kind = reports._render_qweb_pdf(report, records.ids)
        self.assertEqual(kind, "pdf")
        text = subprocess.run(
            ["pdftotext", "-layout", "-", "-"], input=content, capture_output=True, check=True
        ).stdout.decode()
        return text.split("\f")[:-1]

    def test_one_statement_says_what_is_billed(self):
        statement = self._statement(self.client_a, "2024-02-01")
        text = " ".join(self._print("reseller_billing.action_report_statement", statement))
        self.assertEqual(statement.invoice_id.invoice_date_due, date(2024, 2, 1))
        for words in (
            "Client A",
            "Reseller R1",
            statement.invoice_id.name,
            "9.99",
            "used 25, included 10, payable 15",
            "0.333",
            "5.00",  # 15 × 0.333 = 4.995
            "14.99",
        ):
            self.assertIn(words, text)

    def test_explanations_are_printed_on_request(self):
        statement = self._statement(self.client_a, "2024-02-01")
        report = "reseller_billing.action_report_statement_explained"
        text = " ".join(" ".join(self._print(report, statement)).split())
        self.assertIn("Used in the cycle: 25", text)
        self.assertIn("Rounded once", text)

    def test_bulk_prints_one_page_each(self):
        statements = self.client_a.statement_ids | self.other.statement_ids
        pages = self._print("reseller_billing.action_report_statement", statements)
        self.assertEqual(len(pages), 4)
        invoices = self._print("account.account_invoices", statements.invoice_id)
        self.assertGreaterEqual(len(invoices), 4)
        for statement, page in zip(statements, pages, strict=True):
            self.assertIn(statement.name, page)

    def test_a_reseller_that_bills_its_clients_itself(self):
        self.reseller.invoice_to = "none"
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        text = " ".join(self._print("reseller_billing.action_report_statement", statement))
        self.assertIn("Not a tax invoice", text)

    def test_three_hundred_charges_keep_their_heads_and_long_names(self):
        name = "Conversational Messaging with Attachments " * 4
        features = self.env["reseller.feature"].create(
            [
                {"name": f"{name if not n % 50 else 'Channel'} {n}", "code": f"c{n}"}
                for n in range(300)
            ]
        )
        self.env["reseller.price.rule"].create(
            [{"feature_id": feature.id, "unit_price": 1.5} for feature in features]
        )
        self.env["reseller.usage.line"].ingest(
            [self._event("2024-02-05", 2, feature.code) for feature in features]
        )
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        pages = self._print("reseller_billing.action_report_statement", statement)
        self.assertGreater(len(pages), 5)
        for page in pages[: 300 // 32]:
            # Each page of the table begins with what its columns are.
            self.assertRegex(page, r"What\s+Quantity\s+Price\s+Amount")
        text = " ".join(" ".join(pages).split())
        for n in range(300):
            self.assertRegex(text, rf"\b{n}: use, 02/01/2024")
        # 9.99 in advance and 300 × 2 × 1.50.
        self.assertIn("$ 909.99", text)
        self.assertEqual(len(statement._get_usage_charts()), 12)

    def _words(self, report, record):
        """Return [(x of the left edge, word)] of a PDF's first page."""
        with self.allow_pdf_render():
            reports = self.env["ir.actions.report"].with_context(force_report_rendering=True)
            content, _kind = reports._render_qweb_pdf(report, record.ids)
        xml = subprocess.run(
            ["pdftotext", "-bbox", "-", "-"], input=content, capture_output=True, check=True
        ).stdout.decode()
        return [
            (float(x), word)
            for x, word in re.findall(r'<word xMin="([\d.]+)"[^>]*>([^<]*)</word>', xml)
        ]

    def test_a_language_from_right_to_left(self):
        self.env["res.lang"]._activate_lang("ar_001")
        report = "reseller_billing.action_report_statement"
        statement = self._statement(self.client_a, "2024-02-01")

        def places():
            words = self._words(report, statement)
            return (
                next(x for x, word in words if "Unit" in word),
                next(x for x, word in words if "9.99" in word or "9,99" in word),
            )

        name, amount = places()
        self.assertLess(name, amount)
        self.client_a.partner_id.lang = "ar_001"
        self.client_a.partner_id.name = "شركة الاتصالات"
        name, amount = places()
        self.assertLess(amount, name)

    def test_charts_and_the_invoices_annex(self):
        for day, quantity in (("2024-02-10", 30), ("2024-02-20", 12), ("2024-02-21", -2)):
            self._use(day, quantity)
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        [chart] = statement._get_usage_charts()
        self.assertEqual(chart["text"], "40 in all, most on 02/10/2024: 30")
        self.assertEqual((chart["first"], chart["last"]), ("02/01/2024", "02/29/2024"))
        # One bar a day: 10, 20 and 21 February of 29 days, 300 px wide; 32 units are 46 px high.
        step = 300 / 29
        self.assertEqual([round(bar[0] / step) for bar in chart["bars"]], [9, 19, 20])
        self.assertEqual([round(bar[3] * 32 / 46) for bar in chart["bars"]], [30, 12, 2])
        self.assertEqual([bar[4] for bar in chart["bars"]], [False, False, True])
        self.assertEqual(chart["bars"][0][1], 0)
        text = " ".join(self._print("account.account_invoices", statement.invoice_id))
        text = " ".join(text.split())
        # 40 used, 10 included, 30 × 0.333 = 9.99.
        self.assertIn("Used in Cycle", text)
        self.assertRegex(text, r"overage, 02/01/2024 to 02/29/2024 40 10 30 0\.333 \$ 9\.99")
        # Invoices of others are Odoo's own.
        other = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.client_a.partner_id.id,
                "invoice_line_ids": [
                    (0, 0, {"product_id": self.product.id, "quantity": 1, "price_unit": 5})
                ],
            }
        )
        other.action_post()
        self.assertNotIn("Used in Cycle", " ".join(self._print("account.account_invoices", other)))

    def test_an_invoice_can_be_searched_and_copied(self):
        """Its first page is text with any wkhtmltopdf, and no picture of text."""
        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        pages = self._print("account.account_invoices", invoice)
        for words in (invoice.name, "Client A", "9.99", "Unit: overage", "14.99"):
            self.assertIn(words, pages[0])

    def test_a_chart_of_a_year_has_a_bar_for_each_week(self):
        yearly = self._create_client("Y", interval_unit="year")
        self._use("2024-03-05", 3, client="Y")
        self._use("2024-03-07", 4, client="Y")
        self._run("2025-01-01")
        [chart] = self._statement(yearly, "2025-01-01")._get_usage_charts()
        self.assertEqual(len(chart["bars"]), 1)
        self.assertEqual(len(yearly.statement_ids.filtered("period_start")._get_chart_spans()), 53)

    def test_the_workbooks_days_are_what_the_feature_counts(self):
        for code, aggregation, quantities in (
            ("visits", "count", (7, 9)),
            ("peak", "max", (50, 40)),
        ):
            self._create_rule(self._create_feature(code, aggregation=aggregation), unit_price=1)
            for quantity in quantities:
                self._use("2024-02-06", quantity, feature=code)
        report = self._run("2024-03-01").action_export()
        content, _kind = self.env["ir.actions.report"]._render(
            report["report_name"], report["context"]["active_ids"]
        )
        usage = openpyxl.load_workbook(io.BytesIO(content)).worksheets[2].values
        # Two events, and the highest of two values.
        days = {row[3]: row[5] for row in usage if row[3] in ("Visits", "Peak")}
        self.assertEqual(days, {"Visits": 2, "Peak": 50})

    def test_a_run_as_a_workbook(self):
        self.other.partner_id.name = "=1+1"
        gift = self.env["reseller.manual.charge"].create(
            {
                "client_id": self.other.id,
                "name": '=HYPERLINK("http://evil.example")',
                "kind": "credit",
                "unit_price": 3,
                "date": "2024-02-10",
            }
        )
        self._use("2024-02-06", "0.5", client="B")
        self.product.taxes_id = self.env["account.tax"].create({"name": "19 %", "amount": 19})
        run = self._run("2024-03-01")
        report = run.action_export()
        self.assertEqual(report["report_type"], "xlsx")
        content, kind = self.env["ir.actions.report"]._render(
            report["report_name"], report["context"]["active_ids"]
        )
        self.assertEqual(kind, "xlsx")
        book = openpyxl.load_workbook(io.BytesIO(content))
        values = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        summary, charges, usage = (list(sheet.values) for sheet in values.worksheets)
        self.assertEqual([sheet.freeze_panes for sheet in book.worksheets], ["A2"] * 3)
        self.assertEqual([row[1] for row in summary[1:]], ["A", "B"])
        self.assertEqual(summary[2][2], "=1+1")
        self.assertEqual(book.worksheets[0]["C3"].data_type, "s")
        self.assertEqual(summary[1][5], datetime(2024, 3, 1))
        # The formula adds up what the charges say, and that is the statement.
        formula = book.worksheets[0]["K3"].value
        self.assertEqual(formula, "=SUMIF('Charges'!$A$2:$A$5,A3,'Charges'!$J$2:$J$5)")
        for row in summary[1:]:
            found = sum(line[9] for line in charges[1:] if line[0] == row[0])
            statement = run.statement_ids.filtered(lambda one, row=row: one.name == row[0])
            self.assertAlmostEqual(found, statement.amount_total, 9)
            self.assertEqual(row[10], statement.amount_total)
        # 9.99 with 1.90, and 6.99 with 1.33 (1.3281).
        self.assertEqual(
            [row[11:] for row in summary[1:]],
            [(datetime(2024, 3, 1), 9.99, 1.9, 11.89), (datetime(2024, 3, 1), 6.99, 1.33, 8.32)],
        )
        # 9.99 in advance each, 0.5 units of 10 included, and the credit of 3.00.
        self.assertEqual(sorted(line[9] for line in charges[1:]), [-3, 0, 9.99, 9.99])
        credit = next(line for line in charges if line[4] == gift.name)
        self.assertEqual((credit[5], credit[7], credit[8]), (datetime(2024, 2, 10), -1, 3))
        self.assertEqual(
            usage[1:], [(summary[2][0], "B", datetime(2024, 2, 6), "Unit", None, 0.5, 1)]
        )
        self.assertIn("9.99", charges[1][11])
