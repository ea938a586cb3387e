import pytest
from lxml import html
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_reseller import ResellerPortalCommon


@tagged("post_install", "-at_install")
class TestPortalClient(ResellerPortalCommon):
    """What clients do in the portal: buying, paying, inviting."""

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
