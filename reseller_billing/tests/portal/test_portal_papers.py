import pytest
from lxml import html
from odoo import fields
from odoo.tests import tagged

from ..common_portal import PortalCommon

PAYS = "/my/reseller/pays"


@tagged("post_install", "-at_install")
class TestPortalPapers(PortalCommon):
    """A reseller that buys looks at what it pays, and has papers between it and its clients."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._create_rule(unit_price=0.3, date_from="2024-03-01", client_id=cls.client_a2.id)
        cls.buyer = cls._have_reseller_buy(cls.reseller)
        cls.bill = cls.env["reseller.statement"].search(
            [("client_id", "=", cls.buyer.id), ("bill_date", "=", "2024-04-01")]
        )
        cls.paper = cls.env["reseller.statement"].search(
            [("client_id", "=", cls.client_a.id), ("bill_date", "=", "2024-04-01")]
        )

    @pytest.mark.isolation
    def test_what_it_pays_is_its_own_to_see(self):
        page = f"/my/service/{self.buyer.id}"
        pdf = f"{page}/statements/{self.bill.id}.pdf"
        self._log_in("R1")
        self.assertIn(f'href="{PAYS}"', self._get("/my/reseller").text)
        self.assertTrue(self._get(PAYS).headers["Location"].endswith(page))
        home = self._get(page).text
        self.assertIn("What you pay", home)
        # 30 units at 0.37, to be paid.
        self.assertIn("11.10", home)
        self.assertIn(self.bill.invoice_id.name, home)
        self.assertIn("11.10", self._get(f"{page}/statements").text)
        self.assertIn("wallet", self._get(f"{page}/prepaid").text)
        report = self._get(f"{page}/report?first=2024-03-01&last=2024-03-31").text
        self.assertIn("30", report)
        self.assertEqual(self._get(pdf).status_code, 200)
        book = self._get(f"{page}/statements/{self.bill.id}.xlsx")
        self.assertEqual(book.status_code, 200)
        # Others have neither page nor file, and nothing of theirs says what it pays.
        for login in ("A", "A2", "B", "R2", "R3", "C"):
            self._log_in(login)
            for path in (page, f"{page}/statements", f"{page}/prepaid", f"{page}/report", pdf):
                self.assertEqual(self._get(path).status_code, 404, (login, path))
            self.assertEqual(self._get(PAYS).status_code, 404, login)
        self._log_in("A")
        for path in ("", "/statements", "/report", f"/statements/{self.paper.id}.pdf"):
            text = self._get(f"/my/service/{self.client_a.id}{path}").text
            for secret in ("0.37", "11.10", self.bill.invoice_id.name, self.buyer.ref + "/2024"):
                self.assertNotIn(secret, text, path)
        # As the provider has it see.
        self.reseller.portal_see_cost = False
        self._log_in("R1")
        self.assertEqual(self._get(PAYS).status_code, 404)
        self.assertNotIn("11.10", self._get(page).text)
        self.assertEqual(self._get(pdf).status_code, 404)

    def test_a_buyer_pays_ahead_as_any_account_does(self):
        """A package is bought and a refill set on the page of what it pays; its client's page has neither."""
        page = f"/my/service/{self.buyer.id}"
        self.package.write({"reseller_in_portal": True, "lst_price": 50})
        self._log_in("R1")
        self.assertIn("100 units", self._get(f"{page}/prepaid").text)
        answer = self._post(f"{page}/buy", product=str(self.package.id))
        [lot] = self.buyer.prepaid_lot_ids
        invoice = lot.charge_id.statement_id.invoice_id
        self.assertIn(f"/my/invoices/{invoice.id}", answer.headers["Location"])
        self.assertEqual((lot.state, invoice.amount_total), ("offered", 50))
        self.assertEqual(invoice.partner_id, self.reseller.partner_id)
        self._pay(invoice)
        self.assertEqual((lot.state, lot.left), ("open", 100))
        self.buyer.wallet_use = "always"
        answer = self._post(
            f"{page}/refill",
            refill_by="invoice",
            refill_amount="30",
            refill_threshold="5",
            refill_max_month="90",
        )
        self.assertEqual(answer.status_code, 303)
        self.assertEqual((self.buyer.refill_by, self.buyer.refill_amount), ("invoice", 30))
        self.assertEqual(self._get(f"{page}/pay").status_code, 200)
        self._log_in("A")
        self.assertEqual(
            self._post(
                f"/my/service/{self.client_a.id}/buy", product=str(self.package.id)
            ).status_code,
            404,
        )

    def test_a_buyer_that_is_locked_reaches_what_it_owes_and_no_more(self):
        """One ladder for one debt: the reseller's portal closes with its account, its clients' does not."""
        policy = self.env.ref("reseller_billing.lockout_policy_reseller")
        self.reseller.own_lockout_policy_id = policy
        lockouts = self.env["reseller.lockout"].sudo()  # as the scheduled action
        lockouts._evaluate(self.buyer)
        self.assertEqual(self.buyer.lockout_state, "locked")
        self._log_in("R1")
        for path in ("/my", "/my/reseller", f"/my/reseller/clients/{self.client_a.id}"):
            answer = self.url_open(path)
            self.assertTrue(answer.url.endswith("/my/reseller_billing/owed"), path)
            self.assertIn(self.bill.invoice_id.name, answer.text)
        self._log_in("A")
        page = self.url_open(f"/my/service/{self.client_a.id}")
        self.assertTrue(page.url.endswith(f"/my/service/{self.client_a.id}"))
        self.assertNotIn(self.bill.invoice_id.name, page.text)
        self._log_in("R1")
        self._pay(self.bill.invoice_id)
        self.env.flush_all()
        lockouts._evaluate(self.buyer)
        self.assertTrue(self.url_open("/my/reseller").url.endswith("/my/reseller"))

    @pytest.mark.isolation
    def test_mails_say_nothing_of_what_it_pays(self):
        """Papers are mailed to clients of a reseller that buys, its own bill to itself."""
        self.company.email = "billing@provider.example.com"
        clients = self.client_a | self.client_a2
        for client in clients:
            client.partner_id.email = f"{client.ref}@example.com"
        before = self.env["mail.mail"].search([])
        (clients.statement_ids | self.bill).sudo()._send_mails()  # as the scheduled action
        mails = self.env["mail.mail"].search([]) - before
        theirs = mails.filtered(lambda mail: mail.recipient_ids & clients.partner_id)
        own = mails - theirs
        self.assertTrue(theirs)
        self.assertEqual(own.recipient_ids, self.reseller.partner_id)
        self.assertIn(self.bill.invoice_id.name, own.subject + str(own.body_html))
        for mail in theirs:
            texts = [mail.subject, str(mail.body_html), mail.email_from]
            texts += [
                html_of
                for one in mail.attachment_ids
                for html_of in (one.name, (one.raw or b"").decode(errors="ignore"))
            ]
            for secret in ("0.37", "11.10", self.bill.invoice_id.name, f"{self.buyer.ref}/2024"):
                self.assertFalse([text for text in texts if secret in text], (mail.subject, secret))

    def test_papers_are_ticked_and_packages_sold_on_them(self):
        billing = f"/my/reseller/clients/{self.client_a.id}"
        paid = f"{billing}/statements/{self.paper.id}/paid"
        self._log_in("R1")
        page = self._get(f"{billing}/billing").text
        self.assertIn("Mark as paid", page)
        self._post(paid, paid="1")
        self.assertTrue(self.paper.is_paper_paid)
        self.assertIn("Take back", self._get(f"{billing}/billing").text)
        self._post(paid)
        self.assertFalse(self.paper.is_paper_paid)
        self.package.reseller_in_portal = True
        self._post(f"{billing}/package", product=self.package.id, price="45.50")
        [lot] = self.env["reseller.prepaid.lot"].search([("client_id", "=", self.client_a.id)])
        sold = lot.charge_id.statement_id
        self.assertEqual((lot.state, sold.paper_total), ("waiting", 45.5))
        self._post(f"{billing}/statements/{sold.id}/paid", paid="1")
        self.assertEqual((lot.state, lot.left), ("open", 100))
        for data, text in (
            ({"product": self.package.id, "price": "x"}, "number"),
            ({"product": self.product.id, "price": "1"}, "Choose a package"),
            ({"product": self.package.id, "price": "-1"}, "number"),
        ):
            self._post(f"{billing}/package", **data)
            self.assertIn(text, self._get(f"{billing}/billing").text)
        # Another's clients, and those who do not buy.
        other = f"/my/reseller/clients/{self.client_b.id}"
        for path in (f"{other}/package", f"{other}/statements/{self.paper.id}/paid"):
            self.assertEqual(self._post(path, paid="1").status_code, 404)
        self._log_in("R2")
        self.assertEqual(self._post(paid, paid="1").status_code, 404)
        self.assertEqual(
            self._post(f"{other}/package", product=self.package.id, price="1").status_code, 404
        )
        self.assertFalse(self.paper.is_paper_paid)
        self.assertEqual(fields.Date.to_string(self.paper.bill_date), "2024-04-01")

    @pytest.mark.isolation
    def test_what_it_earns_is_its_own_to_see(self):
        """Of March A is asked 10.00 for 3.70, and A2, whose price is lower, 6.00 for 7.40."""
        page = "/my/reseller/margin"
        self._log_in("R1")
        self.assertIn(f'href="{page}"', self._get("/my/reseller").text)
        text = self._read_cells(self._get(page).text)
        for row in (
            ("March 2024", "$ 16.00", "$ 11.10", "$ 4.90", "30.6"),
            ("Unit", "$ 16.00", "$ 11.10", "$ 4.90", "30.6"),
            ("Client A2", "$ 6.00", "$ 7.40", "$ -1.40", "-23.3"),
            ("Client A", "$ 10.00", "$ 3.70", "$ 6.30", "63.0"),
        ):
            self.assertIn(row, text)
        # Another month than it has is the newest.
        again = self._get(f"{page}?month=1999-01-01&reseller={self.reseller.id}").text
        self.assertEqual(self._read_cells(again), text)
        other = f"{page}?reseller={self.second_reseller.id}"
        self.assertEqual(self._get(other).status_code, 404)
        # What it pays is beside each price.
        prices = f"/my/reseller/clients/{self.client_a.id}/prices/{self.feature.id}"
        edit = f"/my/reseller/clients/{self.client_a.id}"
        for path in (prices, edit, f"/my/reseller/groups/{self.group.id}"):
            text = self._get(path).text
            self.assertIn("You pay", text, path)
            self.assertIn("0.37", text, path)
        for login in ("A", "B", "R2", "R3"):
            self._log_in(login)
            self.assertEqual(self._get(page).status_code, 404, login)
        self.reseller.portal_see_cost = False
        self._log_in("R1")
        self.assertEqual(self._get(page).status_code, 404)
        self.assertNotIn("You pay", self._get(prices).text)
        self.assertNotIn("You pay", self._get(edit).text)

    def _read_cells(self, page):
        """Return the rows of all tables of a page, as texts."""
        rows = html.fromstring(page).xpath("//table//tr")
        return [
            tuple(" ".join(cell.text_content().replace("\ufeff", "").split()) for cell in row)
            for row in rows
        ]

    def test_a_price_below_cost_is_told_at_once(self):
        self.reseller.price_floor_ids.unit_price = 0.1
        path = f"/my/reseller/clients/{self.client_a.id}/prices/{self.feature.id}"
        self._log_in("R1")
        today = fields.Date.today()
        data = {"recurring_fee": "0", "included_quantity": "0", "date": str(today)}
        # 10 units of March would have come to 2.00, and cost 3.70.
        self.assertEqual(self._post(path, unit_price="0.2", **data).status_code, 303)
        text = self._get(f"/my/reseller/clients/{self.client_a.id}").text
        self.assertIn("loses money on", text)
        self.assertIn("$1.70", " ".join(text.replace("\xa0", "").split()))
        self._post(path, unit_price="0.5", **data)
        self.assertNotIn(
            "loses money on", self._get(f"/my/reseller/clients/{self.client_a.id}").text
        )
        # Whoever does not see what it pays is not told.
        self.reseller.portal_see_cost = False
        self._post(path, unit_price="0.2", **data)
        self.assertNotIn(
            "loses money on", self._get(f"/my/reseller/clients/{self.client_a.id}").text
        )

    @pytest.mark.tour
    def test_a_reseller_looks_at_what_it_pays_and_earns(self):
        self.reseller.price_floor_ids.unit_price = 0.1
        self.start_tour("/my", "reseller_billing.portal_buyer", login="R1")
        self.assertEqual(self.client_a.price_rule_ids.unit_price, 0.2)
