from datetime import timedelta

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_reseller import ResellerPortalCommon


@tagged("post_install", "-at_install")
class TestPortalPrices(ResellerPortalCommon):
    """Resellers set prices within the floor, and do what they were given the right to."""

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
