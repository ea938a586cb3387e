from datetime import date, timedelta

from ..common import ResellerBillingCommon


class TestMaximum(ResellerBillingCommon):
    """Maximums notify or refuse, and never lose use (rating 13)."""

    def setUp(self):
        super().setUp()
        self.today = date.today()
        self.client = self._create_client("M", start=self.today)
        self.client.partner_id.email = "client@example.com"

    def _check(self):
        alerts = self.env["reseller.usage.alert"].sudo()._check(self.company)
        return sorted(alerts.mapped("threshold"))

    def test_each_share_is_told_once_by_activity_and_mail(self):
        self._create_rule(unit_price=1, max_quantity=10)
        mails = self.env["mail.mail"].search([])
        self._use(self.today, 4, client="M")
        self.assertEqual(self._check(), [])
        self._use(self.today, 5, client="M")
        self.assertEqual(self._check(), [50, 80])
        self.assertEqual(self._check(), [])
        self._use(self.today, 1, client="M")
        self.assertEqual(self._check(), [100])
        activities = self.client.activity_ids
        self.assertEqual(len(activities), 2)
        self.assertEqual(activities.user_id, self.reseller.user_id)
        self.assertIn("10 of at most 10 units of Unit", activities.sorted()[-1].note)
        sent = self.env["mail.mail"].search([]) - mails
        self.assertEqual(len(sent), 2)
        self.assertIn(self.client.partner_id, sent.recipient_ids)

    def test_notify_never_refuses(self):
        self._create_rule(unit_price=1, max_quantity=10)
        self._use(self.today, 12, client="M")
        answer = self.client.authorize("unit", 5)
        self.assertEqual(answer, {"allowed": True, "reason": False, "remaining": "0"})

    def test_block_refuses_what_goes_beyond_but_takes_what_was_used(self):
        self._create_rule(
            unit_price=1, max_quantity=10, limit_action="block", trial_days=5, included_quantity=3
        )
        # All use of the cycle counts: on trial, included or payable.
        self._use(self.today, "7.5", client="M")
        self.assertEqual(self.client.authorize("unit", "2.5")["allowed"], True)
        refused = self.client.authorize("unit", "2.500001")
        self.assertEqual((refused["allowed"], refused["remaining"]), (False, "2.5"))
        self._use(self.today, 5, client="M")
        self.assertEqual(self.client.current_usage()[0]["used"], "12.5")

    def test_the_next_cycle_and_a_higher_level_begin_anew(self):
        self.client = self._create_client("C", start=self.today - timedelta(days=10))
        self.client.write({"interval_count": 10, "interval_unit": "day"})
        self._create_rule(max_quantity=10, limit_action="block")
        self._use(self.today - timedelta(days=1), 10, client="C")
        self.assertEqual(self.client.authorize("unit", 10)["allowed"], True)
        self._use(self.today, 10, client="C")
        self.assertEqual(self.client.authorize("unit", 1)["allowed"], False)
        self._create_rule(max_quantity=11, limit_action="block", client_id=self.client.id)
        self.assertEqual(self.client.authorize("unit", 1)["allowed"], True)

    def test_who_is_not_served_is_refused(self):
        self._create_rule(unit_price=1)
        self.assertEqual(
            self.client.authorize("unit"), {"allowed": True, "reason": False, "remaining": False}
        )
        self.client.action_close(self.today)
        self.assertTrue(self.client.authorize("unit")["allowed"])
        later = self._create_client("L", start=self.today + timedelta(days=1))
        self.assertIn("not served today", later.authorize("unit")["reason"])

    def test_the_highest_value_is_compared_as_a_whole(self):
        gauge = self._create_feature("gauge", aggregation="max")
        self._create_rule(gauge, max_quantity=10, limit_action="block")
        self._use(self.today, 8, "gauge", "M")
        self.assertTrue(self.client.authorize("gauge", 10)["allowed"])
        self.assertFalse(self.client.authorize("gauge", 11)["allowed"])

    def test_a_used_up_allotment_is_listed_without_a_mail(self):
        self._create_rule(included_quantity=10, unit_price=1)
        mails = self.env["mail.mail"].search_count([])
        self._use(self.today, 7, client="M")
        self.assertEqual(self._check(), [])
        self._use(self.today, 1, client="M")
        self.assertEqual(self._check(), [80])
        self._use(self.today, 9, client="M")
        self.assertEqual(self._check(), [100])
        alert = self.env["reseller.usage.alert"].search([], limit=1)
        self.assertEqual((alert.kind, alert.used, alert.maximum), ("included", 10.0, 10.0))
        self.assertEqual(self.env["mail.mail"].search_count([]), mails)
        self.assertFalse(self.client.activity_ids)

    def test_unpriced_use_is_found(self):
        self._create_rule(unit_price=1, group_id=self.group.id, date_from=self.today)
        inside = self._create_client("G", start=self.today, group=self.group)
        for client in (self.client, inside):
            self._use(self.today, 1, client=client.ref)
        buckets = self.env["reseller.usage.daily"].search([("is_unpriced", "=", True)])
        self.assertEqual(buckets.client_id, self.client)
        self.assertFalse(
            self.env["reseller.usage.daily"].search([("client_id", "=", inside.id)]).is_unpriced
        )
