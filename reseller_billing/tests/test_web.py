from datetime import timedelta

import pytest
from dateutil.relativedelta import relativedelta
from odoo import fields
from odoo.tests import HttpCase, new_test_user, tagged

from .common import ResellerBillingCommon


@tagged("post_install", "-at_install")
class TestWeb(ResellerBillingCommon, HttpCase):
    """What people and systems reach over HTTP."""

    @classmethod
    def _create_user(cls, login, groups):
        return new_test_user(
            cls.env,
            login,
            groups,
            company_id=cls.company.id,
            company_ids=[fields.Command.set(cls.company.ids)],
        )

    def _call(self, key, events):
        return self.url_open(
            "/json/2/reseller.usage.line/ingest",
            json={"events": events},
            headers={"Authorization": f"Bearer {key}"},
        )

    def _create_key(self, login, groups):
        user = self._create_user(login, groups)
        keys = self.env["res.users.apikeys"].with_user(user)
        return keys._generate("rpc", "usage", fields.Datetime.now() + timedelta(days=1))

    def test_usage_arrives_over_json2(self):
        key = self._create_key("meter", "base.group_user,reseller_billing.group_usage_ingestion")
        events = [self._event("2024-01-05", "0.000000000000001"), self._event("2024-01-05", "x")]
        answer = self._call(key, events)
        self.assertEqual(answer.status_code, 200)
        outcome = answer.json()
        self.assertEqual((outcome["accepted"], outcome["duplicates"]), (1, 0))
        self.assertEqual([one["index"] for one in outcome["rejected"]], [1])
        again = self._call(key, events[:1]).json()
        self.assertEqual((again["accepted"], again["duplicates"]), (0, 1))
        self.env.cr.execute("SELECT quantity::text FROM reseller_usage_line")
        self.assertEqual(self.env.cr.fetchall(), [("0.000000000000001",)])
        other = self._create_key("clerk", "base.group_user,reseller_billing.group_billing_user")
        self.assertEqual(self._call(other, events).status_code, 403)
        self.assertEqual(self._call("no key", events).status_code, 401)

    def test_systems_ask_before_they_deliver(self):
        self._create_rule(max_quantity=10, limit_action="block")
        self._use(fields.Date.today(), 7)
        key = self._create_key("asker", "base.group_user,reseller_billing.group_usage_ingestion")

        def ask(key=key, **asked):
            answer = self.url_open(
                "/reseller_billing/v1/authorize",
                json=asked,
                headers={"Authorization": f"Bearer {key}"},
            )
            return answer.status_code, answer.json()

        self.assertEqual(
            ask(client="A", feature="unit", quantity="3"),
            (200, {"allowed": True, "reason": False, "remaining": "3"}),
        )
        status, answer = ask(client="A", feature="unit", quantity=3.5)
        self.assertEqual((status, answer["allowed"], answer["remaining"]), (200, False, "3"))
        self.assertIn("maximum of 10", answer["reason"])
        for asked in (
            {"client": "B", "feature": "unit"},
            {"client": "A", "feature": "none"},
            {"client": "A", "feature": "unit", "quantity": "many"},
            {"client": "A", "feature": "unit", "quantity": -1},
        ):
            status, answer = ask(**asked)
            self.assertEqual(status, 400, asked)
            self.assertTrue(answer["message"])
        other = self._create_key("nobody", "base.group_user")
        self.assertEqual(ask(other, client="A", feature="unit")[0], 403)

    @pytest.mark.tour
    def test_a_manager_bills(self):
        user = self._create_user("biller", "base.group_user,reseller_billing.group_billing_manager")
        user.password = "biller"
        self._create_rule(unit_price=1)
        self._create_rule(unit_price=2, included_quantity=10, client_id=self.client_a.id)
        today = fields.Date.today()
        # Service began two months ago: that month's bill is due on whatever day this runs.
        this_month = today.replace(day=1)
        start = this_month - relativedelta(months=2)
        self.reseller.tz = "UTC"
        self.client_a.membership_ids.date_from = start
        self.client_a.sudo().next_bill_date = start
        for day in (start, this_month):
            self._use(day, 25, time=f"{day}T00:00:00Z")
        self.start_tour("/odoo", "reseller_billing.start_a_run", login="biller")
        run = self.env["reseller.billing.run"].search([], limit=1, order="id desc")
        self.assertEqual(run.state, "running")
        while run._process_batch():
            pass
        self.start_tour(
            f"/odoo/reseller.billing.run/{run.id}", "reseller_billing.check_a_run", login="biller"
        )
