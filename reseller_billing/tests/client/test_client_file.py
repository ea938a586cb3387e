import io

import openpyxl
from odoo.exceptions import UserError
from odoo.tests import HttpCase, new_test_user, tagged

from ..common import ResellerBillingCommon


@tagged("post_install", "-at_install")
class TestClientFile(ResellerBillingCommon, HttpCase):
    """Clients come by a file: the one that Odoo's import offers, filled in."""

    def _import(self, content, user):
        wizard = (
            self.env["base_import.import"]
            .with_user(user)
            .create(
                {
                    "res_model": "reseller.client",
                    "file": content,
                    "file_name": "clients.xlsx",
                    "file_type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                }
            )
        )
        options = {"has_headers": True, "quoting": '"'}
        preview = wizard.parse_preview(options)
        self.assertNotIn("error", preview)
        # Each column is known by its heading.
        names = ["/".join(preview["matches"][number]) for number in range(len(preview["headers"]))]
        options = {**preview["options"], **options}
        return wizard.execute_import(names, preview["headers"], options)

    def test_the_template_filled_in_makes_clients(self):
        user = new_test_user(
            self.env,
            "keeper",
            "reseller_billing.group_billing_manager,base.group_partner_manager",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        user.password = user.login
        self.authenticate(user.login, user.login)
        [template] = self.env["reseller.client"].get_import_templates()
        answer = self.url_open(template["template"])
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        sheet, words = book.worksheets
        headings = [cell.value for cell in sheet[1]]
        self.assertEqual([row[0].value for row in words.rows], headings)
        self.assertTrue(all(row[1].value for row in words.rows))
        known = self.env["res.partner"].create({"name": "Quay Ltd", "email": "Pay@Quay.example"})
        places = {name: number for number, name in enumerate(headings)}
        rows = [
            ("Acme 0", "billing@acme.example", "acme0", "2024-01-15", "Gold"),
            ("Quay Ltd", "pay@quay.example", "quay", None, None),
            *(("Müller", None, f"m{n}", "2024-01-15", None) for n in range(1, 499)),
        ]
        for number, (name, email, ref, first, group) in enumerate(rows, 2):
            values = {
                "Contact Name": name,
                "Contact E-Mail": email,
                "Reference": ref,
                "Reseller": "R1",
                "Service/From": first,
                "Service/Group": group,
                "Bill Every": 2,
                "Cycle Unit": "Weeks",
                "Cycles Begin On": "Day of activation",
            }
            self.assertLessEqual(values.keys(), set(headings))
            for heading in headings:
                sheet.cell(number, places[heading] + 1).value = values.get(heading)
        out = io.BytesIO()
        book.save(out)
        result = self._import(out.getvalue(), user)
        self.assertFalse(result["messages"])
        made = self.env["reseller.client"].browse(result["ids"])
        self.assertEqual(len(made), 500)
        first, second = made[:2]
        self.assertEqual(
            (first.name, first.contact_email, first.group_id, str(first.activation_date)),
            ("Acme 0", "billing@acme.example", self.group, "2024-01-15"),
        )
        self.assertEqual((first.interval_count, first.interval_unit), (2, "week"))
        # A contact that is there is taken. Without an address nothing says that two are the same.
        self.assertEqual(second.partner_id, known)
        self.assertEqual(len(made.partner_id), 500)
        action = made.action_activate_all()
        self.assertEqual(set(made.mapped("state")), {"active"})
        self.assertIn("500", action["params"]["message"])

    def test_what_cannot_be_activated_is_named(self):
        good = self._create_client("G", activate=False)
        bad = self._create_client("X", activate=False)
        contracts = type(self.env["reseller.client"])

        def refuse(clients, original=contracts._create_contracts):
            if bad in clients:
                raise UserError(bad.display_name)
            return original(clients)

        self.patch(contracts, "_create_contracts", refuse)
        params = (good | bad).action_activate_all()["params"]
        self.assertEqual((good.state, bad.state), ("active", "draft"))
        self.assertEqual((params["kind"], params["view"]["res_id"]), ("danger", bad.id))
        self.assertIn("Client X [X]: Client X [X]", params["message"])

    def test_an_address_that_is_none_is_refused(self):
        with self.assertRaisesRegex(UserError, "nowhere is no e-mail address"):
            self.env["reseller.client"].create(
                {
                    "contact_name": "N",
                    "contact_email": "nowhere",
                    "ref": "N",
                    "reseller_id": self.reseller.id,
                }
            )
