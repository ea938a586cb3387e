import io
from unittest.mock import patch

import openpyxl
from odoo.tests import tagged

from ...controllers.portal.portal_statements import MAX_STATEMENTS
from ..common_portal import PortalCommon

PATH = "/my/reseller/statements"


@tagged("post_install", "-at_install")
class TestPortalStatements(PortalCommon):
    """A reseller lists the statements of all its clients, and takes them in one file."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._use("2024-02-05", 3, client="A")
        cls._use("2024-02-05", 5, client="A2")
        cls._run("2024-03-01")

    def test_by_month_and_by_what_is_to_be_paid(self):
        self._log_in("R1")
        page = self._get(PATH).text
        # The newest month comes first.
        for text in ("A/2024-03-01", "A2/2024-03-01", "March 2024", "February 2024"):
            self.assertIn(text, page)
        self.assertNotIn("/2024-02-01", page)
        self.assertNotIn("B/2024", page)
        self.assertIn("$\N{NO-BREAK SPACE}8.00", page)  # 3 + 5
        page = self._get(f"{PATH}?filterby=2024-02").text
        self.assertIn("A/2024-02-01", page)
        self.assertNotIn("/2024-03-01", page)
        self.assertIn("No statement matches", self._get(f"{PATH}?state=paid").text)
        invoice = self._statement(self.client_a, "2024-03-01").invoice_id
        self._pay(invoice)
        page = self._get(f"{PATH}?state=paid").text
        self.assertIn("A/2024-03-01", page)
        self.assertNotIn("A2/2024-03-01", page)
        # What is none is the newest month.
        self.assertIn("A/2024-03-01", self._get(f"{PATH}?filterby=x&state=y").text)

    def test_one_file_of_all(self):
        self._log_in("R1")
        answer = self._get(f"{PATH}.xlsx?filterby=2024-03")
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        cells = {str(cell.value) for sheet in book for row in sheet.rows for cell in row}
        self.assertLessEqual({"A/2024-03-01", "A2/2024-03-01"}, cells)
        self.assertFalse({cell for cell in cells if cell.startswith("B")} & {"B/2024-03-01", "B"})
        answer = self._get(f"{PATH}.pdf?filterby=2024-03")
        self.assertEqual(answer.headers["Content-Type"], "application/pdf")
        self.assertEqual(self._get(f"{PATH}.pdf?filterby=2023-01").status_code, 404)
        # An empty list makes no file.
        self.assertEqual(self._get(f"{PATH}.xlsx?filterby=2024-03&state=paid").status_code, 303)
        self.assertIn("choose another part", self._get(PATH).text)
        # What one file does not hold comes in parts.
        with patch.dict(MAX_STATEMENTS, xlsx=1):
            page = self._get(f"{PATH}?filterby=2024-03").text
            self.assertIn('<option value="2">2–2</option>', page)
            names = {}
            for part in ("1", "2"):
                answer = self._get(f"{PATH}.xlsx?filterby=2024-03&state=all&part={part}")
                book = openpyxl.load_workbook(io.BytesIO(answer.content))
                names[part] = {
                    cell.value
                    for row in book.worksheets[0].rows
                    for cell in row
                    if str(cell.value).endswith("/2024-03-01")
                }
            self.assertEqual(names, {"1": {"A/2024-03-01"}, "2": {"A2/2024-03-01"}})
            for part in ("3", "0", "-1", "x", "9" * 20):
                answer = self._get(f"{PATH}.xlsx?filterby=2024-03&part={part}")
                self.assertEqual(answer.status_code, 303, part)

    def test_only_who_sees_prices_and_money(self):
        self._log_in("R1")
        self.reseller.portal_see_prices = False
        self.assertEqual(self._get(PATH).status_code, 403)
        self.assertNotIn(f'href="{PATH}"', self._get("/my/reseller").text)
        self.reseller.write(
            {"portal_see_prices": True, "invoice_to": "reseller", "portal_see_cost": False}
        )
        self.assertEqual(self._get(f"{PATH}.xlsx?filterby=2024-03").status_code, 403)
        self._log_in("A")
        self.assertEqual(self._get(PATH).status_code, 404)
