import base64
import io
import json
from datetime import timedelta

import openpyxl
from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from ..common_portal import PortalCommon


@tagged("post_install", "-at_install")
class TestRetention(PortalCommon):
    """What is personal is forgotten in time, handed out and erased; what was billed stays."""

    def _use_twice(self):
        for day, ticket in (("2024-01-10", "old"), ("2030-01-10", "new")):
            with freeze_time(f"{day} 12:00:00"):
                self._use(day, 1, client="A", id=ticket, properties={"phone": ticket})
                self.env["reseller.usage.line"].ingest(
                    [self._event(day, "many", client="A", id=f"bad {ticket}")]
                )

    def _purge(self):
        with freeze_time("2030-02-01 12:00:00"):
            retention = self.env["reseller.retention"].sudo()
            for name in ("rejections", "files", "logins", "properties"):
                done, more = getattr(retention, f"_gc_{name}")()
                self.assertFalse(more, name)
                self.assertGreaterEqual(done, 0)
        self.env.invalidate_all()

    def test_it_keeps_for_good_what_no_setting_limits_and_forgets_the_rest(self):
        self._use_twice()
        lines = self.env["reseller.usage.line"].search([("external_id", "in", ("old", "new"))])
        rejections = self.env["reseller.usage.rejection"].search([("client_ref", "=", "A")])
        self.assertEqual(len(rejections), 2)
        self._purge()
        self.assertEqual(len(lines.filtered("properties")), 2)
        self.company.write(
            {f"reseller_keep_{one}": 6 for one in ("rejections", "imports", "logins", "properties")}
        )
        # Open rejections wait for a decision, however old.
        self._purge()
        self.assertEqual(len(rejections.exists()), 2)
        self.assertEqual(lines.filtered("properties").external_id, "new")
        self.assertEqual(lines.mapped("quantity"), [1, 1])
        with freeze_time("2024-01-11"):
            rejections.filtered(lambda one: one.event_id == "bad old").action_dismiss()
            self.env.flush_all()
        self._purge()
        self.assertEqual(rejections.exists().event_id, "bad new")
        # What was forgotten and comes again is the same event.
        again = self._event("2024-01-10", 1, client="A", id="old", properties={"phone": "old"})
        outcome = self.env["reseller.usage.line"].ingest([again])
        self.assertEqual((outcome["duplicates"], outcome["rejected"]), (1, []))

    def test_all_is_handed_out_and_erased_but_the_bill(self):
        self._use_twice()
        statement = self.client_a.statement_ids.filtered(lambda one: one.amount_total > 0)[:1]
        before = statement.amount_total
        self.env["reseller.login"].sudo().create(
            {
                "reseller_id": self.reseller.id,
                "client_id": self.client_a.id,
                "by_name": "Ann of R1",
                "as_name": "Client A",
                "reason": "A question",
                "date_from": fields.Datetime.now(),
                "date_until": fields.Datetime.now() + timedelta(minutes=30),
            }
        )
        wizard = self.env["reseller.privacy"].create({"partner_id": self.client_a.partner_id.id})
        wizard.action_export()
        tables = json.loads(base64.b64decode(wizard.json_file))
        self.assertEqual([row["ref"] for row in tables["Accounts"]], ["A"])
        # 7 of 5 January, and the two of this test.
        self.assertEqual(sorted(row["quantity"] for row in tables["Events"]), [1, 1, 7])
        self.assertIn({"phone": "old"}, [row["properties"] for row in tables["Events"]])
        self.assertEqual(len(tables["Rejected"]), 2)
        self.assertEqual(tables["Log-ins"][0]["by_name"], "Ann of R1")
        self.assertNotIn("Client B", json.dumps(tables))
        book = openpyxl.load_workbook(io.BytesIO(base64.b64decode(wizard.xlsx_file)))
        self.assertEqual(book.sheetnames, list(tables))
        self.assertEqual(book["Events"].max_row, 4)
        with self.assertRaisesRegex(UserError, "is served"):
            wizard.action_erase()
        self.client_a.action_close(self.client_a.billed_until)
        while self.client_a.state == "active":
            self._run(fields.Date.add(self.client_a.next_bill_date, days=0))
        wizard.action_erase()
        self.env.invalidate_all()
        tables = wizard._collect()
        self.assertFalse([row for row in tables["Events"] if row["properties"]])
        self.assertFalse(tables["Rejected"])
        self.assertEqual(tables["Log-ins"][0]["by_name"], "erased")
        self.assertEqual(statement.amount_total, before)
