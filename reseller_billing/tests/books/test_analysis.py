from ..common import ResellerBillingCommon


class TestAnalysis(ResellerBillingCommon):
    """Use and revenue by month, with what they gained or lost."""

    def test_use_revenue_and_change(self):
        gauge = self._create_feature("peak", aggregation="max")
        self._create_rule(unit_price=2)
        self._create_rule(gauge, unit_price=10)
        self.client_a.membership_ids.date_to = "2024-02-15"
        self.env["reseller.client.membership"].create(
            {
                "client_id": self.client_a.id,
                "date_from": "2024-02-16",
                "group_id": self.group.id,
            }
        )
        self._use("2024-01-05", 10)
        self._use("2024-01-31", "2.5")
        self._use("2024-02-10", 4)
        self._use("2024-01-06", 7, "peak")
        self._use("2024-01-20", 5, "peak")
        self._run("2024-02-01")
        self._run("2024-03-01")
        rows = {
            (row.feature_id.code, str(row.month)): row
            for row in self.env["reseller.analysis"].search(
                [("client_id", "=", self.client_a.id), ("month", "<", "2024-05-01")]
            )
        }

        def shown(code, month):
            row = rows[code, month]
            return (row.quantity, row.quantity_change, row.amount, row.amount_change)

        # Use of January is billed on 1 February, at 2.00: 12.5 units; then 4 units; then none.
        self.assertEqual(shown("unit", "2024-01-01"), (12.5, 12.5, 0, 0))
        self.assertEqual(shown("unit", "2024-02-01"), (4, -8.5, 25, 25))
        self.assertEqual(shown("unit", "2024-03-01"), (0, -4, 8, -17))
        self.assertEqual(shown("unit", "2024-04-01"), (0, 0, 0, -8))
        # The highest value of the month, not the sum.
        self.assertEqual(shown("peak", "2024-01-01"), (7, 7, 0, 0))
        self.assertEqual(shown("peak", "2024-02-01"), (0, -7, 70, 70))
        self.assertEqual(rows["unit", "2024-01-01"].event_count, 2)
        self.assertFalse(rows["unit", "2024-01-01"].group_id)
        self.assertEqual(rows["unit", "2024-02-01"].group_id, self.group)
        # A void bill brings nothing.
        invoice = self._statement(self.client_a, "2024-03-01").invoice_id
        invoice.button_draft()
        invoice.button_cancel()
        self.env["reseller.analysis"].invalidate_model()
        [(total,)] = self.env["reseller.analysis"]._read_group(
            [("client_id", "=", self.client_a.id)], [], ["amount:sum"]
        )
        self.assertEqual(total, 95)
