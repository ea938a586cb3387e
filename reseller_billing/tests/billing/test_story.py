from datetime import date

from ..common import ResellerBillingCommon


class TestStory(ResellerBillingCommon):
    """Four months of one client, every amount by hand: docs/example.md tells the same story.

    The client is served since 1 January 2024, in no group until 15 February, then in Gold.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account = cls._create_feature("account_x")
        cls.keyword = cls._create_feature("keyword_x")
        cls.lead = cls._create_feature("lead_x")
        cls.sms = cls._create_feature("sms_x")
        cls.email = cls._create_feature("email_x")
        cls.lookup = cls._create_feature("lookup_x")
        # Default: 31.00 a month in advance.
        cls._create_rule(cls.account, recurring_fee=31, pricing_model="unlimited")
        # Default: keywords 5.00 each in arrears, for those switched on.
        cls._create_rule(
            cls.keyword,
            recurring_fee=5,
            fee_timing="arrears",
            enrolment="opt_in",
            pricing_model="unlimited",
        )
        cls.env["reseller.client.feature"].create(
            {
                "client_id": cls.client_a.id,
                "feature_id": cls.keyword.id,
                "date_from": "2024-01-01",
                "quantity": 3,
            }
        )
        # Reseller: leads, 1,200 a year included, 0.50 above; a yearly cycle billed monthly.
        cls._create_rule(
            cls.lead,
            reseller_id=cls.reseller.id,
            interval_count=1,
            interval_unit="year",
            included_quantity=1200,
            unit_price=0.5,
        )
        # Reseller: SMS 0.10; group Gold: 0.08; in March the group's price becomes 0.07.
        cls._create_rule(cls.sms, reseller_id=cls.reseller.id, unit_price=0.1)
        cls._create_rule(cls.sms, group_id=cls.group.id, unit_price=0.08, date_to="2024-03-15")
        cls._create_rule(cls.sms, group_id=cls.group.id, unit_price=0.07, date_from="2024-03-16")
        # Default: e-mails in packages of 1,000 at 3.00, over a quarter.
        cls._create_rule(
            cls.email,
            pricing_model="package",
            package_size=1000,
            unit_price=3,
            interval_count=3,
            interval_unit="month",
        )
        # Client: look-ups by volume over a quarter, up to 100 at 1.00, above 0.80; and graduated
        # calls with flat fees.
        cls._create_rule(
            cls.lookup,
            client_id=cls.client_a.id,
            pricing_model="volume",
            interval_count=3,
            interval_unit="month",
            tiers=[(100, 1, 0), (None, 0.8, 0)],
        )
        cls.call = cls._create_feature("call_x")
        cls._create_rule(
            cls.call,
            client_id=cls.client_a.id,
            pricing_model="graduated",
            tiers=[(10, 2, 5), (20, 1, 3), (None, 0.5, 0)],
        )

    def test_four_months(self):
        client = self.client_a
        # 1 January: the opening bill. Account 31.00 in advance; nothing else.
        self._run("2024-01-01")
        opening = self._statement(client, "2024-01-01")
        self.assertEqual(opening.kind, "opening")
        self.assertEqual(self._amounts(opening), {("account_x", "recurring"): "31.00"})
        self.assertAgrees(opening)

        # January: 700 leads, 100 SMS, 400 e-mails, 80 look-ups, 25 calls.
        self._use("2024-01-05", 700, "lead_x")
        self._use("2024-01-10", 100, "sms_x")
        self._use("2024-01-12", 400, "email_x")
        self._use("2024-01-20", 80, "lookup_x")
        self._use("2024-01-31", 25, "call_x")
        self._run("2024-02-01")
        january = self._statement(client, "2024-02-01")
        self.assertEqual(
            self._amounts(january),
            {
                ("account_x", "recurring"): "31.00",  # February
                ("keyword_x", "recurring"): "15.00",  # 3 × 5.00 for January
                ("lead_x", "overage"): "0.00",  # 700 of 1,200 included
                ("sms_x", "usage"): "10.00",  # 100 × 0.10
                ("email_x", "usage"): "3.00",  # 1 package started
                ("lookup_x", "usage"): "80.00",  # 80 × 1.00
                # 5 + 10 × 2, 3 + 10 × 1, 5 × 0.50
                ("call_x", "usage"): "40.50",
            },
        )
        self.assertAgrees(january)

        # February: moves to Gold on the 16th; 200 SMS before, 200 after; a late SMS event of
        # January comes in; 600 more leads; 600 more e-mails; 40 more look-ups; no calls.
        client.action_move_to_group(self.group, date(2024, 2, 16))
        self._use("2024-02-10", 200, "sms_x")
        self._use("2024-02-16", 200, "sms_x")
        self._use("2024-01-15", 50, "sms_x")
        self._use("2024-02-03", 600, "lead_x")
        self._use("2024-02-04", 600, "email_x")
        self._use("2024-02-05", 40, "lookup_x")
        self._run("2024-03-01")
        february = self._statement(client, "2024-03-01")
        self.assertEqual(
            self._amounts(february),
            {
                ("account_x", "recurring"): "31.00",  # March
                ("keyword_x", "recurring"): "15.00",  # February
                ("lead_x", "overage"): "50.00",  # 1,300 − 1,200 = 100 × 0.50
                # 200 × 0.10 + 200 × 0.08 + late 50 × 0.10
                ("sms_x", "usage"): "41.00",
                ("email_x", "usage"): "0.00",  # 1,000 are still the first package
                ("lookup_x", "usage"): "16.00",  # 120 × 0.80 − 80.00
                ("call_x", "usage"): "5.00",  # the first tier, without use
            },
        )
        late = february.charge_ids.filtered("adjusts_statement_id")
        self.assertEqual(late.adjusts_statement_id, january)
        self.assertEqual(
            (late.date_from.isoformat(), late.date_to.isoformat()), ("2024-01-01", "2024-01-31")
        )
        self.assertIn(january.invoice_id.name, late.name)
        self.assertAgrees(february)

        # March: the group's price falls to 0.07 on the 16th; one e-mail more.
        self._use("2024-03-15", 100, "sms_x")
        self._use("2024-03-16", 100, "sms_x")
        self._use("2024-03-20", 1, "email_x")
        self._run("2024-04-01")
        march = self._statement(client, "2024-04-01")
        self.assertEqual(
            self._amounts(march),
            {
                ("account_x", "recurring"): "31.00",  # April
                ("keyword_x", "recurring"): "15.00",
                ("sms_x", "usage"): "15.00",  # 100 × 0.08 + 100 × 0.07
                ("email_x", "usage"): "3.00",  # the second package
                ("call_x", "usage"): "5.00",
            },
        )
        self.assertAgrees(march)

        # April: the account is given free for May by the client's own price; 1,000 SMS of April turn out never to have been sent.
        self._create_rule(
            self.account,
            client_id=client.id,
            pricing_model="unlimited",
            date_from="2024-05-01",
        )
        self._use("2024-04-10", -1000, "sms_x")
        self._run("2024-05-01")
        april = self._statement(client, "2024-05-01")
        self.assertEqual(
            self._amounts(april),
            {
                ("keyword_x", "recurring"): "15.00",
                ("sms_x", "usage"): "-70.00",  # −1,000 × 0.07
                ("call_x", "usage"): "5.00",
            },
        )
        self.assertEqual(april.amount_total, -50.0)
        self.assertEqual(april.invoice_id.move_type, "out_refund")
        self.assertEqual(april.invoice_id.amount_total, 50.0)
        self.assertAgrees(april)

        # All four months and the opening: 31 + 179.50 + 158 + 69 − 50.
        statements = client.statement_ids
        self.assertEqual(sum(statements.mapped("amount_total")), 387.5)
        receivable = self.env["account.move.line"].search(
            [
                ("partner_id", "=", client.partner_id.id),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
            ]
        )
        self.assertEqual(self.company.currency_id.round(sum(receivable.mapped("balance"))), 387.5)
