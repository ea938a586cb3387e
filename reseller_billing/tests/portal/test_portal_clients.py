from datetime import timedelta

from lxml import html
from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_reseller import ResellerPortalCommon


@tagged("post_install", "-at_install")
class TestPortalClients(ResellerPortalCommon):
    """Resellers make, edit and delete clients in the portal."""

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

    def test_all_that_a_list_has_is_moved_and_nothing_else(self):
        """What is ticked on one page of many: what is searched for, and of the reseller alone."""
        today = fields.Date.today()
        named = [self._create_client(f"N{number}") for number in range(3)]
        for client in named:
            client.partner_id.name = f"Harbour {client.ref}"
        theirs = self._create_client("BX", reseller_id=self.second_reseller.id)
        theirs.partner_id.name = "Harbour of another"
        page = self._get("/my/reseller/clients?search=Harbour").text
        self.assertIn("1–3 of 3", page)
        self._post(
            "/my/reseller/clients/move",
            self.token,
            every="1",
            filterby="all",
            search="Harbour",
            group=str(self.group.id),
            date=str(today),
        )
        self.assertIn("3 clients moved", self._get("/my/reseller/clients").text)
        self.assertEqual({client.group_id for client in named}, {self.group})
        self.assertFalse((theirs | self.client_a2 | self.client_b).group_id)

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
