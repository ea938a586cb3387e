import pytest
from freezegun import freeze_time
from odoo import fields
from odoo.tests import HttpCase, new_test_user, tagged

from ..common import ResellerBillingCommon

GROUPS = (
    "base.group_user,reseller_billing.group_billing_manager,base.group_partner_manager,"
    "reseller_billing.group_usage_ingestion"
)


@pytest.mark.tour
@tagged("post_install", "-at_install")
class TestWebEveryDay(ResellerBillingCommon, HttpCase):
    """What people who bill every day see in the browser."""

    def setUp(self):
        super().setUp()
        self.user = new_test_user(
            self.env,
            "daily",
            GROUPS,
            password="daily",
            company_id=self.company.id,
            company_ids=[fields.Command.set(self.company.ids)],
        )

    def _tour(self, name):
        self.start_tour("/odoo", f"reseller_billing.{name}", login="daily")

    def test_a_run_says_why_nothing_is_due(self):
        self._create_rule(unit_price=1)
        self.reseller.tz = "UTC"
        self.company.reseller_billing_delay = 48
        today = fields.Date.today()
        self.client_a.membership_ids.date_from = today
        self.client_a.sudo().next_bill_date = today  # billing itself writes it
        self._tour("a_run_says_why")

    def test_a_price_says_what_it_does_while_it_is_typed(self):
        today = fields.Date.today()
        self.client_a.membership_ids.date_from = fields.Date.subtract(today, days=30)
        day = fields.Date.subtract(today, days=5)
        self._use(day, 250, time=f"{day}T12:00:00Z")
        self._tour("a_price_says_what_it_does")
        made = self.env["reseller.price.rule"].search([("feature_id", "=", self.feature.id)])
        self.assertEqual((made.recurring_fee, made.unit_price), (30, 0.05))

    def test_a_change_is_tried(self):
        live = self._create_rule(unit_price=1)
        self._use("2024-01-05", 10)
        self._run("2024-02-01")
        self._tour("try_a_change")
        self.assertEqual((live.active, live.unit_price), (True, 1))

    def test_use_that_was_added_by_mistake_is_taken_back(self):
        self._tour("undo_what_was_added")
        [line] = self.env["reseller.usage.line"].search([("source", "=", "manual")])
        self.assertEqual(line.quantity, 99)
        self.assertTrue(line.voided_at)
        [bucket] = self.env["reseller.usage.daily"].search([("client_id", "=", self.client_a.id)])
        self.assertEqual(bucket.quantity, 0)

    def test_clients_come_from_a_file(self):
        self._tour("import_clients")
        made = self.env["reseller.client"].search([("ref", "in", ("HD-1", "LS-1"))])
        self.assertEqual(
            made.mapped(lambda one: (one.ref, one.partner_id.email, one.reseller_id.code)),
            [("HD-1", "harbour@example.com", "R1"), ("LS-1", "lake@example.com", "R1")],
        )

    def test_a_reseller_buys_what_its_clients_use(self):
        self._create_rule(unit_price=0.05)
        self.client_a.billing_anchor = "month"
        self._create_client("B", billing_anchor="month")
        self._tour("have_it_buy")
        buyer = self.reseller.buyer_id
        self.assertEqual((buyer.ref, buyer.state), ("BUY-1", "active"))
        [price] = self.env["reseller.price.rule"].search([("book", "=", "wholesale")])
        self.assertEqual((price.scope, price.unit_price), ("default", 0.02))
        day = buyer.activation_date
        following = fields.Date.add(day, months=1)
        self.company.reseller_billing_delay = 0
        # It begins with the next month.
        with freeze_time(f"{following} 12:00:00"):
            self._use(day, 100)
            self._use(day, 50, client="B")
            self._run(following)
        self._tour("what_it_bought")
