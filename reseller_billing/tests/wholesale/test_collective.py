import io

import openpyxl

from ..common_wholesale import WholesaleCommon


class TestCollective(WholesaleCommon):
    """What a reseller pays is told by feature, with the clients behind it (wholesale W11)."""

    def setUp(self):
        super().setUp()
        other = self._create_feature("other")
        self._create_wholesale(unit_price=0.02)
        self._create_wholesale(feature=other, unit_price=0.1)
        self._use("2024-01-10", 30)
        self._use("2024-01-11", 20)
        self._use("2024-01-12", 70, client="B")
        self._use("2024-01-12", 4, "other")
        self.bill = self._bill_buyer("2024-02-01")

    def _open_workbook(self, statements):
        report = self.env["ir.actions.report"]
        content, _kind = report._render_xlsx(
            "reseller_billing.action_report_statement_xlsx", statements.ids, {}
        )
        return openpyxl.load_workbook(io.BytesIO(content))

    def test_the_invoice_is_short_and_the_statement_knows_the_clients(self):
        lines = self.bill.invoice_id.invoice_line_ids
        self.assertEqual(sorted(lines.mapped("price_subtotal")), [0.4, 2.4])
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html("reseller_billing.report_statement", self.bill.ids)[0]
            .decode()
        )
        for text in ("Who used it", "Client A", "Client B", "70", "50"):
            self.assertIn(text, html)
        self.assertNotIn("Not a tax invoice", html)
        paper = self._statement(self.client_a, "2024-02-01")
        html = (
            self.env["ir.actions.report"]
            ._render_qweb_html("reseller_billing.report_statement", paper.ids)[0]
            .decode()
        )
        self.assertIn("Not a tax invoice", html)
        self.assertNotIn("Who used it", html)
        self.assertNotIn("0.02", html)

    def test_the_workbook_has_each_client(self):
        rows = [
            (row["feature"], row["ref"], str(row["units"]))
            for row in self.bill._load_use_by_client()
        ]
        self.assertEqual(rows, [("Unit", "B", "70"), ("Unit", "A", "50"), ("Other", "A", "4")])
        book = self._open_workbook(self.bill)
        self.assertEqual(
            [[cell.value for cell in row][1:] for row in book["Clients"].iter_rows(min_row=2)],
            [
                ["Unit", "", "B", "Client B", 70],
                ["Unit", "", "A", "Client A", 50],
                ["Other", "", "A", "Client A", 4],
            ],
        )
        days = {
            (str(row[2].value.date()), row[3].value): row[5].value
            for row in book["Usage by Day"].iter_rows(min_row=2)
        }
        self.assertEqual(days[("2024-01-12", "Unit")], 70)
        self.assertEqual(sum(days.values()), 124)

    def test_a_bill_without_days_lists_no_use(self):
        charges = self.env["reseller.manual.charge"]
        for client in (self.client_a, self.buyer):
            item = charges.create(
                {
                    "client_id": client.id,
                    "name": "Support",
                    "date": "2024-02-01",
                    "quantity": 1,
                    "unit_price": 12,
                }
            )
            item.action_bill_now()
            self.assertEqual(item.statement_id.kind, "manual")
            book = self._open_workbook(item.statement_id)
            days = "Usage by Day"
            used = book[days].iter_rows(min_row=2) if days in book.sheetnames else ()
            self.assertFalse([row for row in used if row[2].value], client.ref)

    def test_from_a_charge_to_the_events_of_all_clients(self):
        charge = self.bill.charge_ids.filtered(lambda one: one.feature_id == self.feature)
        action = charge.action_view_events()
        found = self.env[action["res_model"]].search(action["domain"])
        self.assertEqual(sorted(found.mapped("quantity")), [20, 30, 70])
