import subprocess
from datetime import date

import pytest
from odoo.tests import tagged
from odoo.tools import config

from .common import ResellerBillingCommon


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
