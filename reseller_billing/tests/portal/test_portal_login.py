from datetime import timedelta
from unittest.mock import patch

import pytest
from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import HOST, tagged
from odoo.tools import mute_logger

from ..common_portal import PortalCommon

RETURN = "/my/reseller_billing/return"
# What a user of the portal can do elsewhere, and who works as one cannot.
FORBIDDEN = (
    ("GET", "/my/account"),
    ("POST", "/my/account"),
    ("GET", "/my/security"),
    ("POST", "/my/security"),
    ("POST", "/my/deactivate_account"),
    ("GET", "/my/address"),
    ("POST", "/my/address/submit"),
    ("GET", "/my/addresses"),
    ("GET", "/my/payment_method"),
    ("GET", "/payment/pay"),
    ("GET", "/my/invoices"),
    ("GET", "/my/reseller"),
    ("GET", "/my/reseller/clients"),
    ("GET", "/web/login"),
    ("GET", "/web/reset_password"),
)
RPC = (
    ("res.users", "write", {"password": "stolen"}),
    ("res.users", "change_password", None),
    ("res.partner", "write", {"email": "thief@example.com"}),
    ("res.users.apikeys.description", "create", {"name": "thief"}),
    ("payment.token", "search_read", None),
)


@pytest.mark.isolation
@tagged("post_install", "-at_install")
class TestPortalLogin(PortalCommon):
    """A reseller's user works as a client's: seen, limited, and over when it is over."""

    def _begin(self, client=None, login="R1", reason="A question about the bill"):
        client = client or self.client_a
        self._log_in(login)
        user = client.partner_id.user_ids[:1]
        path = f"/my/reseller/clients/{client.id}/login"
        return self._post(path, reason=reason, user=str(user.id))

    def _log(self):
        self.env.invalidate_all()
        return self.env["reseller.login"].search([], limit=1)

    def _use_session(self, sid):
        """Go on as the browser that holds a session."""
        self.opener.cookies.clear()
        self.opener.cookies.set("session_id", sid, domain=HOST)

    def test_it_shows_what_the_client_sees_and_is_kept(self):
        answer = self._begin()
        home = f"/my/service/{self.client_a.id}"
        self.assertEqual((answer.status_code, answer.headers["Location"]), (303, home))
        page = self._get(home)
        self.assertEqual(page.status_code, 200)
        self.assertIn("You are logged in as", page.text)
        self.assertIn("/my/reseller_billing/return", page.text)
        for path in ("/report", "/report.csv", "/statements", "/prepaid"):
            self.assertEqual(self._get(home + path).status_code, 200, path)
        # No way to pay or to buy.
        self.assertNotIn("payment=True", page.text)
        self.assertNotIn(f"{home}/buy", self._get(f"{home}/prepaid").text)
        log = self._log()
        self.assertEqual(
            (log.reseller_id, log.client_id, log.by_user_id.login, log.user_id.login, log.reason),
            (self.reseller, self.client_a, "R1", "A", "A question about the bill"),
        )
        self.assertEqual(log.date_until - log.date_from, timedelta(minutes=30))
        # A link ends nothing.
        self.assertEqual(self._get(RETURN).status_code, 200)
        self.assertFalse(self._log().end_cause)
        back = self._post(RETURN)
        self.assertEqual(back.headers["Location"].split("?")[0], "/my/reseller/clients")
        self.assertEqual(self._get("/my/reseller/clients").status_code, 200)
        self.assertEqual(self._get(home).status_code, 404)
        self.assertEqual(self._log().end_cause, "returned")
        # The client reads who was there, and why.
        self._log_in("A")
        page = self._get(home).text
        self.assertIn("A question about the bill", page)
        self.assertNotIn("You are logged in as", page)
        # So does the provider.
        user = self.env.user
        self.assertTrue(self.env["reseller.login"].with_user(user).search_count([]))

    @mute_logger("odoo.http")
    def test_nothing_forbidden_can_be_reached(self):
        email = self.client_a.partner_id.email
        self._begin()
        token = self._token()
        for method, path in FORBIDDEN:
            answer = (
                self._get(path)
                if method == "GET"
                else self._post(path, token, email="thief@example.com", password="x")
            )
            self.assertEqual(answer.status_code, 403, (method, path))
        for model, method, vals in RPC:
            args = [[self.env.user.id]] if vals is None else [[1], vals]
            answer = self.url_open(
                f"/web/dataset/call_kw/{model}/{method}",
                json={"params": {"model": model, "method": method, "args": args, "kwargs": {}}},
            )
            self.assertIn("error", answer.json(), (model, method))
        home = f"/my/service/{self.client_a.id}"
        for path in ("buy", "refill", "method"):
            answer = self._post(f"{home}/{path}", token, refill_by="off", collection_timing="never")
            self.assertEqual(answer.status_code, 403, path)
        # Its other accounts, and those of others, are not reached by it.
        for client in self.clients - self.client_a:
            self.assertEqual(self._get(f"/my/service/{client.id}").status_code, 404)
        # The portal's home has more than this account's.
        self.assertEqual(self._get("/my").headers["Location"], "/my/service")
        # A client's user that is a reseller elsewhere has no more than the client.
        self.assertEqual(self._get(f"/my/reseller/clients/{self.client_a2.id}").status_code, 403)
        self.assertEqual(
            self._post(f"/my/reseller/clients/{self.client_a2.id}/login", token).status_code, 403
        )
        self.assertEqual(self.client_a.partner_id.email, email)

    @mute_logger("odoo.http")
    def test_it_is_over_after_half_an_hour_in_every_tab(self):
        self._begin()
        home = f"/my/service/{self.client_a.id}"
        tab = self.opener.cookies["session_id"]
        token = self._token()
        log = self._log()
        log.sudo().date_until = fields.Datetime.now()  # nobody may change it
        self.env.flush_all()
        # A tab left open: its form is refused, its page leads back.
        self.assertEqual(self._post(f"{home}/refill", token).status_code, 403)
        answer = self._get(home)
        self.assertEqual((answer.status_code, answer.headers["Location"]), (303, RETURN))
        self._post(RETURN)
        self.assertEqual(self._log().end_cause, "expired")
        self.assertIn("Time was up", self._get("/my/reseller/clients").text)
        self.assertEqual(self._get("/my/reseller/clients").status_code, 200)
        # The session of then is no key to anything.
        self._use_session(tab)
        self.assertEqual(self._get(home).status_code, 303)
        self.assertIn("/web/login", self._get(home).headers["Location"])

    @mute_logger("odoo.http")
    def test_it_ends_with_the_right(self):
        self._begin()
        self.reseller.portal_login_as = False
        self.env.flush_all()
        answer = self._get(f"/my/service/{self.client_a.id}")
        self.assertEqual((answer.status_code, answer.headers["Location"]), (303, RETURN))
        self._post(RETURN)
        self.assertEqual(self._log().end_cause, "right")
        # The reseller's user goes on as itself.
        self.assertEqual(self._get("/my/reseller/clients").status_code, 200)
        # The account goes to another contact: its user is none any more, nor who works as it.
        self.reseller.portal_login_as = True
        self._begin()
        self.client_a.partner_id = self.client_b2.partner_id
        self.env.flush_all()
        answer = self._get(f"/my/service/{self.client_a.id}")
        self.assertIn("/web/login", answer.headers["Location"])

    @mute_logger("odoo.http")
    def test_there_is_no_return_to_a_user_that_is_another_by_now(self):
        self._begin()
        user = self.env["res.users"].search([("login", "=", "R1")])
        user.password = "changed-by-the-owner"
        self.env.flush_all()
        self.assertEqual(self._get(f"/my/service/{self.client_a.id}").status_code, 303)
        answer = self._post(RETURN)
        self.assertIn("/web/login", answer.headers["Location"])
        self.assertIn("/web/login", self._get("/my/reseller/clients").headers["Location"])

    @mute_logger("odoo.http")
    def test_who_may_not_does_not(self):
        # Not another reseller's client, not one without a user, not without the right or a reason.
        self.assertEqual(self._begin(self.client_b).status_code, 404)
        self.assertEqual(self._begin(self.client_a, "A").status_code, 404)
        answer = self._begin(reason=" ")
        self.assertEqual(answer.status_code, 200)
        self.assertIn("Say why", answer.text)
        loner = self._create_client("A3")
        self.assertIn("Nobody of this client", self._begin(loner).text)
        self.reseller.portal_login_as = False
        self.assertEqual(self._begin().status_code, 403)
        self.assertFalse(self._log())
        # No user of the back end, whatever contact it has.
        self.reseller.portal_login_as = True
        logs = self.env["reseller.login"]
        reseller_user = self.env["res.users"].search([("login", "=", "R1")])
        self.env.user.partner_id.parent_id = self.client_a.partner_id
        with self.assertRaises(AccessError):
            logs._begin(reseller_user, self.client_a, self.env.user, "why")
        with self.assertRaises(UserError):
            target = self.env["res.users"].search([("login", "=", "A")])
            logs._begin(reseller_user, self.client_a, target, "  ")

    @mute_logger("odoo.http")
    def test_nothing_begins_inside_and_the_clients_own_sessions_go_on(self):
        client_user = self.env["res.users"].search([("login", "=", "A")])
        own = self.authenticate("A", "A-password").sid
        home = f"/my/service/{self.client_a.id}"
        self.assertEqual(self._get(home).status_code, 200)
        self.session = None  # logging in again deletes what is here
        self._begin()
        acting = self.opener.cookies["session_id"]
        # A second one inside the first.
        path = f"/my/reseller/clients/{self.client_a2.id}/login"
        self.assertEqual(self._post(path, reason="more").status_code, 403)
        self.assertEqual(self.env["reseller.login"].search_count([]), 1)
        # The client itself, at the same time, with all its rights and without the banner.
        self._use_session(own)
        page = self._get(home)
        self.assertEqual(page.status_code, 200)
        self.assertNotIn("You are logged in as", page.text)
        self.assertEqual(self._get("/my/account").status_code, 200)
        # The client changes its password: whoever works as it is out.
        client_user.password = "another"
        self.env.flush_all()
        self._use_session(acting)
        self.assertIn("/web/login", self._get(home).headers["Location"])

    def test_logging_out_ends_it(self):
        self._begin()
        self._get("/web/session/logout")
        self.assertEqual(self._log().end_cause, "logout")
        self.assertIn("/web/login", self._get("/my/reseller/clients").headers["Location"])

    @mute_logger("odoo.http")
    def test_a_locked_client_is_left_alone(self):
        self._begin()
        with patch.object(
            type(self.env["res.partner"]),
            "_get_closed_lockouts",
            lambda partner: (
                partner.env["reseller.lockout"].new({})
                if partner in (self.client_a.partner_id, self.client_a2.partner_id)
                else partner.env["reseller.lockout"]
            ),
        ):
            # It is over, and there is a way back.
            answer = self._get(f"/my/service/{self.client_a.id}")
            self.assertEqual(answer.headers["Location"], RETURN)
            answer = self._post(RETURN)
            self.assertIn("/my/reseller/clients", answer.headers["Location"])
            self.assertEqual(self._log().end_cause, "right")
            self.assertIn("You may not log in", self._begin(self.client_a2).text)
