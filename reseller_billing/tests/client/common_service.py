from ..common import ResellerBillingCommon


class ServiceCommon(ResellerBillingCommon):
    """An account with a fee of 31.00 a month, and changes of its service."""

    def setUp(self):
        super().setUp()
        self._create_rule(recurring_fee=31, included_quantity=31, unit_price=1)
        self.client = self._create_client("S")

    def _change(self, clients, change, day, **values):
        wizard = (
            self.env["reseller.client.change"]
            .with_context(active_model="reseller.client", active_ids=clients.ids)
            .create({"change": change, "date": day, **values})
        )
        return wizard.action_apply()

    def _what_if(self, change, day, **values):
        """Return the preview of the client's next bill, were a change made."""
        wizard = (
            self.env["reseller.client.change"]
            .with_context(active_model="reseller.client", active_ids=self.client.ids)
            .create({"change": change, "date": day, **values})
        )
        return self.env["reseller.statement"].browse(wizard.action_preview()["res_id"])

    def _bills(self, client):
        statements = client.statement_ids.filtered(
            lambda one: one.state in ("approved", "invoiced")
        )
        for statement in statements:
            self.assertAgrees(statement)
        return [
            (str(statement.bill_date), statement.kind, f"{statement.amount_total:.2f}")
            for statement in statements.sorted("bill_date")
        ]

    def _price_a_year(self):
        """Give the client features with cycles of a year: 366.00 ahead, 366.00 behind, 366 units
        free and 50 used, 30.00 on use and 4 used.
        """
        year = {"interval_count": 1, "interval_unit": "year"}
        for code, used, values in (
            ("ahead", 0, {"recurring_fee": 366}),
            ("behind", 0, {"recurring_fee": 366, "fee_timing": "arrears"}),
            ("free", 50, {"included_quantity": 366, "unit_price": 1}),
            (
                "used",
                4,
                {
                    "recurring_fee": 30,
                    "unit_price": 1,
                    "enrolment": "on_use",
                    "fee_timing": "arrears",
                },
            ),
        ):
            self._create_rule(self._create_feature(code), **year, **values)
            if used:
                self._use("2024-01-10", used, feature=code, client="S")

    # Dated back

    def _take_back(self, change, day, **values):
        """Make a change that takes billed days back as a manager does; return what was shown before."""
        wizard = (
            self.env["reseller.client.change"]
            .with_context(active_model="reseller.client", active_ids=self.client.ids)
            .create({"change": change, "date": day, **values})
        )
        service = self.client.membership_ids, self.client.membership_ids.mapped("date_to")
        self.assertEqual(wizard.action_apply()["res_id"], wizard.id)
        # Nothing has happened yet.
        self.env.invalidate_all()
        self.assertEqual(service[1], service[0].mapped("date_to"))
        self.assertFalse(self.client.rerate_from)
        shown = wizard.given_back
        # It holds for the day that was looked at.
        wizard.date = "2024-02-20"
        self.assertFalse(wizard.given_back)
        wizard.date = day
        wizard.action_apply()
        self.assertEqual(wizard.action_apply()["tag"], "reseller_billing_notice")
        return shown
