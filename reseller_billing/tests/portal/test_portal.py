import base64
import csv
import io
from datetime import timedelta

import pytest
from freezegun import freeze_time
from lxml import html
from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger
from openpyxl import load_workbook
from PIL import Image

from ..common_portal import PortalCommon

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
FORMULA = '=HYPERLINK("http://evil.example","x")'


@tagged("post_install", "-at_install")
class TestPortal(PortalCommon):
    """What resellers and clients do in the portal, and what becomes of it."""

    FORM = {"lang": "en_US", "billing_anchor": "month"}

    def setUp(self):
        super().setUp()
        self._log_in("R1")
        self.token = self._token()
        self.path = f"/my/reseller/clients/{self.client_a.id}"

    def _errors(self, answer):
        """Return {field: message} of a form that came back."""
        self.assertEqual(answer.status_code, 200)
        tree = html.fromstring(answer.text)
        return {
            one.get("id")[6:]: one.text_content().strip()
            for one in tree.xpath("//div[contains(@class, 'invalid-feedback')]")
        }

    # New client, edit, groups

    def test_a_new_client_is_served_billed_and_the_resellers(self):
        first = fields.Date.today().replace(day=1)
        answer = self._post(
            "/my/reseller/clients/new",
            self.token,
            **self.FORM,
            name="Café Ümlaut & Söhne",
            email="cafe@example.com",
            city="Bath",
            group=str(self.group.id),
            date=str(fields.Date.today()),
        )
        client = self.env["reseller.client"].search([("name", "=", "Café Ümlaut & Söhne")])
        self.assertEqual(answer.headers["Location"], f"/my/reseller/clients/{client.id}")
        self.assertEqual(
            (client.reseller_id, client.state, client.group_id, client.ref, client.company_id),
            (self.reseller, "active", self.group, "R1-0001", self.company),
        )
        self.assertEqual(client.membership_ids.anchor_date, first)
        self.assertFalse(client.partner_id.user_ids)
        self._post(
            "/my/reseller/clients/new", self.token, **self.FORM, name="Next", date=str(first)
        )
        self.assertTrue(self.env["reseller.client"].search([("ref", "=", "R1-0002")]))

    def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(self):
        before = self.env["res.partner"].search_count([])
        self.reseller.portal_set_cycles = True
        answer = self._post(
            "/my/reseller/clients/new",
            self.token,
            name=" ",
            email="nobody",
            city="Bath & <b>Wells</b>",
            lang="xx",
            months="5",
            billing_anchor="moon",
            tz="Mars/Base",
            date="31.01.2026",
        )
        self.assertEqual(
            set(self._errors(answer)),
            {"name", "email", "lang", "months", "billing_anchor", "tz", "date"},
        )
        tree = html.fromstring(answer.text)
        [city] = tree.xpath("//input[@name='city']")
        self.assertEqual(city.get("value"), "Bath & <b>Wells</b>")
        [name] = tree.xpath("//input[@name='name']")
        self.assertEqual(name.get("aria-invalid"), "true")
        self.assertTrue(tree.xpath(f"//*[@id='{name.get('aria-describedby')}']"))
        self.assertEqual(self.env["res.partner"].search_count([]), before)

    def test_a_client_is_edited_and_moved_to_a_group(self):
        self.client_a2.partner_id.user_ids.unlink()
        path = f"/my/reseller/clients/{self.client_a2.id}"
        today = fields.Date.today()
        answer = self._post(
            path,
            self.token,
            **self.FORM,
            name="Renamed",
            email="new@example.com",
            vat="",
            group=str(self.group.id),
            date=str(today),
        )
        self.assertEqual(answer.status_code, 303)
        contact = self.client_a2.partner_id
        self.assertEqual((contact.name, contact.email), ("Renamed", "new@example.com"))
        # It is billed already: the cycle of the form is not taken.
        self.assertEqual(self.client_a2.billing_anchor, "activation")
        self.assertEqual(self.client_a2.group_id, self.group)
        rows = self.client_a2.membership_ids.sorted("date_from")
        self.assertEqual(rows[0].date_to, today - timedelta(days=1))
        # Nor into days of long ago.
        answer = self._post(
            path, self.token, **self.FORM, name="Renamed", group="", date="2024-01-10"
        )
        self.assertIn("date", self._errors(answer))
        self.assertEqual(self.client_a2.group_id, self.group)
        # Several at once, or none of them.
        answer = self._post(
            "/my/reseller/clients/move",
            self.token,
            client=[str(self.client_a.id), str(self.client_a2.id)],
            group="",
            date="2024-01-10",
        )
        self.assertIn("From today on, within a year", self._get("/my/reseller/clients").text)
        self._post(
            "/my/reseller/clients/move",
            self.token,
            client=[str(self.client_a.id), str(self.client_a2.id)],
            group=str(self.group.id),
            date=str(today),
        )
        self.assertIn("2 clients moved", self._get("/my/reseller/clients").text)
        self.assertEqual(self.client_a.group_id, self.group)

    @mute_logger("odoo.http")
    def test_no_reseller_moves_its_clients_out_of_reach_of_lock_outs(self):
        for vals in (
            {"is_lockout_exempt": True},
            {"lockout_policy_id": self.env.ref("reseller_billing.lockout_policy_client").id},
        ):
            group = self.env["reseller.client.group"].create(
                {"name": "Safe", "reseller_id": self.reseller.id, **vals}
            )
            today = str(fields.Date.today())
            self.assertNotIn("Safe<", self._get(self.path).text)
            answer = self._post(
                self.path, self.token, **self.FORM, name="A", group=str(group.id), date=today
            )
            self.assertEqual(answer.status_code, 403)
            answer = self._post(
                "/my/reseller/clients/move",
                self.token,
                client=str(self.client_a.id),
                group=str(group.id),
                date=today,
            )
            self.assertEqual(answer.status_code, 403)
            self.assertFalse(self.client_a.group_id)
            # Nor out of it, where the provider has put somebody.
            self.client_a2.action_move_to_group(group, fields.Date.today())
            answer = self._post(
                "/my/reseller/clients/move",
                self.token,
                client=str(self.client_a2.id),
                group="",
                date=today,
            )
            self.assertEqual(answer.status_code, 403)
            self.assertEqual(self.client_a2.group_id, group)
            self.client_a2.action_move_to_group(group.browse(), fields.Date.today())

    def test_a_users_mail_and_a_shared_contact_stay(self):
        """Whoever gets a user's mail may set its password: the reseller cannot redirect it."""
        self._post(self.path, self.token, **self.FORM, name="Client A", email="thief@example.com")
        self.assertEqual(self.client_a.partner_id.email_normalized, "a.a@example.com")
        # The contact has an account at another reseller, too.
        self._create_client(
            "AB", partner=self.client_a.partner_id, reseller_id=self.second_reseller.id
        )
        self._post(self.path, self.token, **self.FORM, name="Thief", street="Thief Street")
        self.assertEqual(self.client_a.partner_id.name, "Client A")
        self.assertFalse(self.client_a.partner_id.street)

    def test_a_client_beneath_its_reseller_is_a_client_only(self):
        self.client_a.partner_id.parent_id = self.reseller.partner_id
        user = self.env["res.users"].search([("login", "=", "A")])
        self.assertEqual(user._get_portal_roles(), (self.env["reseller.reseller"], self.client_a))
        employee = self.env["res.partner"].create(
            {"name": "Employee", "parent_id": self.reseller.partner_id.id}
        )
        user.partner_id = employee
        self.assertEqual(user._get_portal_roles(), (self.reseller, self.env["reseller.client"]))

    def test_who_loses_its_account_does_not_become_its_reseller(self):
        self.client_a.partner_id.parent_id = self.reseller.partner_id
        user = self.env["res.users"].search([("login", "=", "A")])
        self.client_a.action_close(fields.Date.today())
        self.client_a.active = False
        nobody = self.env["reseller.reseller"]
        self.assertEqual(user._get_portal_roles(), (nobody, self.client_a))
        self._log_in("A")
        self.assertEqual(self._get("/my/reseller").status_code, 404)
        # Its past stays open to it.
        home = f"/my/service/{self.client_a.id}"
        self.assertEqual(self._get(f"{home}/statements").status_code, 200)
        fresh = self._create_client("NEW", start=fields.Date.today())
        fresh.partner_id.parent_id = self.reseller.partner_id
        other = self._create_portal_user("fresh", fresh)
        fresh.unlink()  # in the back end, or by the reseller
        self.assertFalse(other.active)
        # Another contact for the account leaves its users without one.
        kept = self.env["res.users"].search([("login", "=", "A2")])
        self.client_a2.partner_id.parent_id = self.reseller.partner_id
        self.client_a2.partner_id = self.env["res.partner"].create({"name": "Another"})
        self.assertFalse(kept.active)

    def test_contacts_with_which_others_deal_are_left_alone(self):
        def edited(client):
            self._post(
                f"/my/reseller/clients/{client.id}",
                self.token,
                **self.FORM,
                name="Mine",
                street="X",
            )
            return client.partner_id.street == "X"

        free = self._create_client("F1")
        self.assertTrue(edited(free))
        beneath = self._create_client("F2")
        beneath.partner_id.parent_id = self.client_b.partner_id
        self.assertFalse(edited(beneath))
        above = self._create_client("F3")
        self.client_b2.partner_id.parent_id = above.partner_id
        self.assertFalse(edited(above))
        customer = self._create_client("F4")
        self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": customer.partner_id.id,
                "invoice_date": "2024-01-01",
                "invoice_line_ids": [
                    fields.Command.create({"product_id": self.product.id, "price_unit": 1})
                ],
            }
        ).action_post()
        self.assertFalse(edited(customer))
        self.assertFalse(customer._owns_contact())

    @mute_logger("odoo.http")
    def test_strange_input_is_no_server_error(self):
        self.assertEqual(self._get("/my/reseller/clients?search=%00x").status_code, 200)
        huge = "9" * 5000
        for path in (
            f"/my/reseller/clients?search={huge[:2000]}",
            f"/my/reseller/clients/new?reseller={huge}",
            f"{self.path}/report?feature={huge}&first=0001-01-01&last=0001-01-02",
            "/my/reseller/clients?sortby=x&filterby=y",
        ):
            self.assertLess(self._get(path).status_code, 500, path)
        files = {name: (name, b"x") for name in ("name", "email", "date", "group", "tz", "lang")}
        answer = self.url_open(
            "/my/reseller/clients/new",
            data={"csrf_token": self.token, **self.FORM},
            files=files,
            allow_redirects=False,
        )
        self.assertIn("name", self._errors(answer))

    # Delete

    def test_deleting_keeps_what_must_be_kept(self):
        fresh = self._create_client("FRESH", start=fields.Date.today())
        path = f"/my/reseller/clients/{fresh.id}/delete"
        self.assertIn("deleted for good", self._get(path).text)
        self.assertIn("confirm", self._errors(self._post(path, self.token, confirm="fresh")))
        self._post(path, self.token, confirm="FRESH")
        self.assertFalse(fresh.exists())
        # A is billed for January; today it closes, is archived, and its final bill comes.
        path = f"{self.path}/delete"
        self.assertIn("the final bill comes by itself", self._get(path).text)
        self.assertEqual(self._post(path, self.token, confirm="A").status_code, 303)
        self.client_a.invalidate_recordset()
        today = self.client_a._today()
        self.assertEqual((self.client_a.active, self.client_a.close_date), (False, today))
        self.assertEqual(len(self.client_a.statement_ids.filtered("invoice_id")), 1)
        self.assertNotIn("Client A<", self._get("/my/reseller/clients").text)
        self.assertIn("Client A<", self._get("/my/reseller/clients?filterby=archived").text)

    def test_what_deleting_would_bill_is_shown_before(self):
        today = fields.Date.today()
        recent = self._create_client("RECENT", start=today)
        run = self.env["reseller.billing.run"].create({"date": today})
        self.env["reseller.statement"]._bill(recent, run)
        answer = self._get(f"/my/reseller/clients/{recent.id}/delete")
        self.assertIn("The final bill, were it made now", answer.text)
        recent.invalidate_recordset()
        self.assertEqual((recent.state, recent.close_date), ("active", False))
        # Where other bills come first, it could not be told from them.
        answer = self._get(f"{self.path}/delete")
        self.assertNotIn("The final bill, were it made now", answer.text)

    # Prices

    def test_a_price_within_the_floor_is_what_the_next_bill_has(self):
        path = f"{self.path}/prices/{self.feature.id}"
        today = fields.Date.today()
        errors = self._errors(
            self._post(
                path,
                self.token,
                unit_price="0.49",
                recurring_fee="0",
                included_quantity="101",
                date=str(today),
            )
        )
        self.assertEqual(set(errors), {"unit_price", "included_quantity"})
        for bad in ("NaN", "-1", "1e400", "abc", "0.1234567890123456789"):
            answer = self._post(path, self.token, unit_price=bad, date=str(today))
            self.assertIn("unit_price", self._errors(answer), bad)
        self.assertEqual(
            set(self._errors(self._post(path, self.token, unit_price="1", date="2024-01-31"))),
            {"date"},
        )
        self.assertFalse(self.client_a.price_rule_ids)
        answer = self._post(
            path,
            self.token,
            unit_price="0.55",
            recurring_fee="3",
            included_quantity="0",
            date=str(today),
        )
        self.assertEqual(answer.status_code, 303)
        self.assertIn("Client</span>", self._get(self.path).text)
        # 30 units of today at 0.55 are 16.50.
        self._use(today, 30, client="A", time=fields.Datetime.now().isoformat() + "Z")
        [entry] = [one for one in self.client_a.current_usage() if one["code"] == "unit"]
        self.assertEqual((entry["payable"], entry["amount"]), ("30", "16.5"))
        # Changed again on the same day, then back to what holds for all.
        self._post(
            path,
            self.token,
            unit_price="0.6",
            recurring_fee="0",
            included_quantity="0",
            date=str(today),
        )
        self.assertEqual(self.client_a.price_rule_ids.mapped("unit_price"), [0.6])
        # A look at the bill, which names the price, keeps nobody from changing or dropping it.
        self._get(f"{self.path}/billing")
        later = today + timedelta(days=3)
        answer = self._post(path, self.token, unit_price="0.7", date=str(later))
        self.assertEqual(answer.status_code, 303)
        self.assertEqual(
            self.client_a.price_rule_ids.sorted("date_from").mapped(
                lambda rule: (rule.unit_price, rule.date_from, rule.date_to)
            ),
            [(0.6, today, later - timedelta(days=1)), (0.7, later, False)],
        )
        self._post(path, self.token, drop="1", date=str(today))
        self.assertFalse(self.client_a.price_rule_ids)

    def test_what_the_provider_has_set_stays(self):
        today = fields.Date.today()
        rule = self._create_rule(
            client_id=self.client_a.id, unit_price=2, minimum_amount=500, date_from=today
        )
        path = f"{self.path}/prices/{self.feature.id}"
        self.assertIn("Your provider has set this price", self._get(path).text)
        for form in ({"drop": "1"}, {"unit_price": "0.5"}):
            self._post(path, self.token, date=str(today), **form)
            self.assertTrue(rule.exists().active)
            self.assertFalse(rule.date_to)
        # What is archived is no price: neither shown nor in the way.
        rule.active = False
        self.assertNotIn("Your provider has set this price", self._get(path).text)
        self.assertIn("$\u00a01.00 per unit", self._get(self.path).text)
        # A price for a time does not become one for ever.
        rule.unlink()
        ends = today + timedelta(days=20)
        self._create_rule(
            reseller_id=self.reseller.id, unit_price=0.9, date_from=today, date_to=ends
        )
        self._post(path, self.token, unit_price="0.8", date=str(today))
        self.assertEqual(self.client_a.price_rule_ids.date_to, ends)

    def test_a_groups_price_reaches_its_clients(self):
        today = fields.Date.today()
        self.client_a.action_move_to_group(self.group, today)
        path = f"/my/reseller/groups/{self.group.id}"
        self._post(
            f"{path}/prices/{self.feature.id}",
            self.token,
            unit_price="0.8",
            recurring_fee="0",
            included_quantity="0",
            date=str(today),
        )
        self.assertIn("$\u00a00.80 per unit", self._get(path).text)
        winner = self.client_a._find_price(self.feature, today)
        self.assertEqual((winner.unit_price, winner.scope), (0.8, "group"))
        self.assertFalse(self.client_a.price_rule_ids)
        winner = self.client_a2._find_price(self.feature, today)
        self.assertEqual((winner.unit_price, winner.scope), (1, "default"))

    # Rights

    @mute_logger("odoo.http")
    def test_what_the_provider_has_not_opened_is_refused(self):
        paths = {
            "portal_set_prices": [("GET", f"{self.path}/prices/{self.feature.id}")],
            "portal_see_prices": [("GET", f"{self.path}/prices/{self.feature.id}")],
            "portal_create_clients": [
                ("GET", "/my/reseller/clients/new"),
                ("POST", "/my/reseller/clients/new"),
                ("POST", f"{self.path}/invite"),
            ],
            "portal_delete_clients": [
                ("GET", f"{self.path}/delete"),
                ("POST", f"{self.path}/delete"),
            ],
            "portal_login_as": [("GET", f"{self.path}/login"), ("POST", f"{self.path}/login")],
            "portal_edit_clients": [("POST", self.path), ("POST", "/my/reseller/groups")],
            "portal_brand": [
                ("GET", f"/my/reseller/{self.reseller.id}/brand"),
                ("POST", f"/my/reseller/{self.reseller.id}/brand"),
                ("POST", f"/my/reseller/{self.reseller.id}/brand/preview"),
            ],
        }
        for right, calls in paths.items():
            self.reseller.write({right: False})
            for method, path in calls:
                answer = (
                    self._get(path)
                    if method == "GET"
                    else self._post(path, self.token, confirm="A", reason="x", name="x")
                )
                self.assertEqual(answer.status_code, 403, (right, method, path))
            self.reseller.write({right: True})
        self.reseller.portal_see_prices = False
        self.assertNotIn("per unit", self._get(self.path).text)
        statement = self.client_a.statement_ids.filtered("invoice_id")
        answer = self._get(f"{self.path}/statements/{statement.id}.pdf")
        self.assertEqual(answer.status_code, 403)
        preview = self._post(
            f"/my/reseller/{self.reseller.id}/brand/preview",
            self.token,
            color_primary="#714B67",
            statement_show_price="1",
        )
        self.assertNotIn("7.00", preview.text)
        self.reseller.portal_see_prices = True
        # What is billed to the reseller is its cost.
        self.reseller.write({"invoice_to": "reseller", "portal_see_cost": False})
        page = self._get(f"{self.path}/billing").text
        self.assertNotIn("7.00", page)
        for path in ("/my/reseller", "/my/reseller/clients", f"{self.path}/delete"):
            self.assertNotIn("7.00", self._get(path).text, path)
        self.assertEqual(self._get(f"/my/reseller/{self.reseller.id}/unbilled").status_code, 403)
        answer = self._get(f"{self.path}/statements/{statement.id}.pdf")
        self.assertEqual(answer.status_code, 403)
        # And never the client's to see.
        self._log_in("A")
        page = self._get(f"/my/service/{self.client_a.id}")
        self.assertEqual(page.status_code, 200)
        self.assertNotIn("were it made now", page.text)
        self.assertNotIn("Packages and wallet", page.text)
        answer = self._get(f"/my/service/{self.client_a.id}/statements/{statement.id}.pdf")
        self.assertEqual(answer.status_code, 404)

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
        _now, preview, statements, history = tables
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

    # Clients

    def test_a_client_buys_a_package_once(self):
        self.package.reseller_in_portal = True
        self.package.lst_price = 50
        self._log_in("A")
        home = f"/my/service/{self.client_a.id}"
        self.assertIn("100 units", self._get(f"{home}/prepaid").text)
        first = self._post(f"{home}/buy", product=str(self.package.id))
        again = self._post(f"{home}/buy", product=str(self.package.id))
        self.assertEqual(first.headers["Location"], again.headers["Location"])
        lot = self.client_a.prepaid_lot_ids
        self.assertEqual((lot.state, lot.granted), ("offered", 100))
        invoice = lot.charge_id.statement_id.invoice_id
        self.assertEqual((invoice.amount_total, invoice.reseller_is_offer), (50, True))
        self.assertEqual(invoice.state, "draft")
        page = self._get(first.headers["Location"].split("#")[0]).text
        self.assertIn("o_portal_invoice_sidebar", page)
        self.assertIn("Pay Now", page)
        # The path to it names it, though it has no number yet.
        path = html.fromstring(page).xpath("//li[contains(@class, 'breadcrumb-item active')]")
        self.assertIn(invoice.payment_reference, [one.text_content().strip() for one in path])
        self.assertIn(invoice.payment_reference, self._get(home).text)
        # An offer is not owed: the history's balance is what is.
        owed = self.client_a._load_owed()[self.client_a.id][0]
        self.assertEqual(
            self.client_a._get_history(self.client_a.statement_ids)[0]["balance"], owed
        )
        self.assertIn(f"/my/invoices/{invoice.id}", first.headers["Location"])
        self._pay(invoice)
        self.assertEqual(lot.state, "open")
        # Where the reseller pays for it, the client cannot buy at its cost.
        self.reseller.invoice_to = "reseller"
        answer = self._post(f"{home}/buy", product=str(self.package.id))
        self.assertEqual(answer.status_code, 404)

    def test_who_buys_is_spared_what_staff_has_to_mend(self):
        self.package.write({"reseller_in_portal": True, "lst_price": 50, "taxes_id": False})
        self.company.account_sale_tax_id = self._create_owed_tax(19, self.prepaid.copy())
        self.package.taxes_id = False
        self._log_in("A")
        answer = self._post(f"/my/service/{self.client_a.id}/buy", product=str(self.package.id))
        self.assertEqual(answer.status_code, 200)
        self.assertIn("cannot be bought at the moment", answer.text)
        self.assertNotIn("sales tax", answer.text)
        self.assertFalse(self.client_a.prepaid_lot_ids)
        told = self.client_a.activity_ids
        self.assertEqual(
            told.summary, f"{self.package.display_name} could not be bought in the portal"
        )
        self.assertIn("has no sales tax", told.note)

    def test_bills_that_the_reseller_paid_stay_its_own(self):
        self.reseller.invoice_to = "reseller"
        self._use("2024-02-10", 3, client="A")
        self._run("2024-03-01")
        self.reseller.invoice_to = "client"
        january, february = self.client_a.statement_ids.filtered("invoice_id").sorted("bill_date")
        self._log_in("A")
        home = f"/my/service/{self.client_a.id}"
        text = self._get(f"{home}/statements").text
        self.assertIn(january.name, text)
        self.assertNotIn(february.name, text)
        self.assertNotIn(february.invoice_id.name, text)
        answer = self._get(f"{home}/statements/{february.id}.pdf")
        self.assertEqual(answer.status_code, 404)
        self.assertEqual(self._get(f"{home}/why/{february.charge_ids.id}").status_code, 303)

    def test_cards_of_contacts_beneath_are_not_offered(self):
        method = self.env.ref("payment.payment_method_unknown").sudo()  # another company's
        provider = self.env.ref("payment.payment_provider_demo").sudo()  # as above
        provider = provider.copy({"company_id": self.company.id, "state": "test"})
        tokens = self.env["payment.token"].sudo()  # of somebody else
        self.client_b.partner_id.parent_id = self.client_a.partner_id
        for client in (self.client_a, self.client_b):
            tokens.create(
                {
                    "provider_id": provider.id,
                    "payment_method_id": method.id,
                    "partner_id": client.partner_id.id,
                    "provider_ref": client.ref,
                    "payment_details": client.ref,
                }
            )
        user = self.env["res.users"].search([("login", "=", "A")])
        client_sudo = self.client_a.sudo()  # as the page does
        self.assertEqual(client_sudo._get_usable_tokens(user).mapped("provider_ref"), ["A"])

    def test_a_client_sets_its_refill(self):
        self._log_in("A")
        home = f"/my/service/{self.client_a.id}"
        self.client_a.wallet_use = "always"
        answer = self._post(f"{home}/refill", refill_by="card", refill_amount="30")
        self.assertEqual(set(self._errors(answer)), {"refill_by", "refill_max_month"})
        # Without a limit, or with a threshold out of proportion, one day's refill could be anything.
        answer = self._post(
            f"{home}/refill", refill_by="invoice", refill_amount="0.01", refill_threshold="9999999"
        )
        self.assertEqual(set(self._errors(answer)), {"refill_max_month", "refill_threshold"})
        answer = self._post(
            f"{home}/refill",
            refill_by="invoice",
            refill_amount="30",
            refill_threshold="5",
            refill_max_month="90",
        )
        self.assertEqual(answer.status_code, 303)
        self.assertEqual(
            (self.client_a.refill_by, self.client_a.refill_amount, self.client_a.refill_threshold),
            ("invoice", 30, 5),
        )

    def test_an_invitation_makes_a_portal_user_of_an_address_that_is_free(self):
        client = self._create_client("A4")
        path = f"/my/reseller/clients/{client.id}/invite"
        self.assertIn("e-mail address first", self._post(path, self.token).text)
        client.partner_id.email = self.client_b.partner_id.user_ids.login
        user = self.client_b.partner_id.user_ids
        user.login = user.email = "taken@example.com"
        client.partner_id.email = "taken@example.com"
        answer = self._post(path, self.token).text
        self.assertIn("cannot be invited", answer)
        client.partner_id.email = "free@example.com"
        self.assertEqual(self._post(path, self.token).status_code, 303)
        made = client.partner_id.user_ids
        self.assertEqual((made.login, made._is_portal()), ("free@example.com", True))
        self.assertEqual(client._get_portal_users(), made)
        self.assertIn("free@example.com", str(client.message_ids.mapped("body")))

    @pytest.mark.isolation
    @mute_logger("odoo.http")
    def test_a_key_reads_the_use_of_own_clients_and_nothing_else(self):
        path = f"/my/reseller/{self.reseller.id}/api"
        self.assertEqual(self._get(path).status_code, 403)
        self.resellers.portal_use_api = True
        answer = self._post(path, self.token, name="Dashboard", password="guessed")
        self.assertEqual(set(self._errors(answer)), {"password"})
        answer = self._post(path, self.token, name="Dashboard", password="R1-password")
        page = html.fromstring(answer.text)
        [key] = page.xpath("//code[contains(@class, 'o_reseller_key')]/text()")
        self.assertNotIn(key, self._get(path).text)  # shown once
        self.logout()

        def ask(place, key=key, **data):
            headers = {"Authorization": f"Bearer {key}"}
            return self.url_open(place, headers=headers, **data)

        usage = "/reseller_billing/v1/clients/usage?client=%s&first=2024-01-01&last=2024-01-31"
        answer = ask(usage % "A")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(
            answer.json()["days"],
            [{"day": "2024-01-05", "feature": "unit", "level": None, "quantity": "7"}],
        )
        self.assertEqual([one["feature"] for one in answer.json()["now"]], ["unit"])
        refusals = {ask(usage % ref).text for ref in ("B", "C", "nobody")}
        self.assertEqual(len(refusals), 1)
        self.assertEqual(ask(usage % "B").status_code, 404)
        self.assertEqual(ask(usage.replace("2024-01-31", "x") % "A").status_code, 400)
        self.assertEqual(ask(usage % "A", key="x" * 40).status_code, 401)
        self.assertEqual(self.url_open(usage % "A").status_code, 401)
        # Neither Odoo's own interface nor that of meters.
        answer = ask("/json/2/res.partner/search_read", json={"domain": []})
        self.assertEqual(answer.status_code, 401)
        answer = ask("/reseller_billing/v1/authorize", json={"client": "A", "feature": "unit"})
        self.assertEqual(answer.status_code, 401)
        self.assertEqual(ask("/my/reseller/clients", allow_redirects=False).status_code, 303)
        self.reseller.portal_use_api = False
        self.assertEqual(ask(usage % "A").status_code, 403)
        # Another's key is not there to be withdrawn.
        self.reseller.portal_use_api = True
        keys_sudo = self.env["res.users.apikeys"].sudo()  # of somebody else
        [stored] = keys_sudo.search([("name", "=", "Dashboard")])
        self._log_in("R2")
        path2 = f"/my/reseller/{self.second_reseller.id}/api"
        self.assertEqual(self._post(path2, withdraw=str(stored.id)).status_code, 404)
        self._log_in("R1")
        self.assertEqual(self._post(path, withdraw=str(stored.id)).status_code, 303)
        self.logout()
        self.assertEqual(ask(usage % "A").status_code, 401)

    def test_lists_take_no_more_queries_for_more_clients(self):
        for _warm in range(2):
            self._get("/my/reseller/clients")
            self._get("/my/reseller")

        def count(path):
            before = self.cr.sql_log_count
            self.assertEqual(self._get(path).status_code, 200)
            return self.cr.sql_log_count - before

        few = count("/my/reseller/clients"), count("/my/reseller")
        for number in range(20):
            client = self._create_client(f"Q{number}", start="2024-01-01", group=self.group)
            self._use("2024-02-05", 3, client=client.ref)
        self.env.flush_all()
        self._get("/my/reseller/clients")
        many = count("/my/reseller/clients"), count("/my/reseller")
        self.assertLessEqual(many[0] - few[0], 2, (few, many))
        self.assertLessEqual(many[1] - few[1], 2, (few, many))
