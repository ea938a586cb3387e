from freezegun import freeze_time

from ..common import PrepaidCommon


class TestForecast(PrepaidCommon):
    """The overview of an account: what is used of what is free, and what it comes to at the end."""

    @freeze_time("2024-01-10 12:00:00")
    def test_the_days_that_are_left_as_those_before(self):
        self.env["reseller.price.rule"].search([("feature_id", "=", self.feature.id)]).unlink()
        self._create_rule(included_quantity=50, unit_price=1, date_from="2024-01-01")
        other = self._create_feature("other")
        self._create_rule(other, unit_price=2, max_quantity=40, date_from="2024-01-01")
        unused = self._create_feature("unused")
        self._create_rule(unused, unit_price=2, date_from="2024-01-01")
        highest = self._create_feature("highest", aggregation="max")
        self._create_rule(highest, unit_price=3, date_from="2024-01-01")
        self._use("2024-01-03", 30)
        self._use("2024-01-04", 10, "other")
        self._use("2024-01-04", 5, "highest")
        rows = {row["code"]: row for row in self.client_a._get_usage_rows()}
        # What is neither used nor limited is not shown.
        self.assertEqual(set(rows), {"unit", "other", "highest"})
        # 30 units in ten of 31 days are 93, of which 50 are free; 30 of 50 are 60 %.
        unit = rows["unit"]
        self.assertEqual(
            (unit["amount"], unit["expected"], unit["bars"]),
            ("0", "43", [{"kind": "free", "limit": "50", "share": 60}]),
        )
        self.assertEqual((unit["has_included"], unit["has_prepaid"]), (True, False))
        # 10 are 31; of the maximum of 40 they are 25 %.
        self.assertEqual(
            (rows["other"]["amount"], rows["other"]["expected"], rows["other"]["bars"]),
            ("20", "62", [{"kind": "maximum", "limit": "40", "share": 25}]),
        )
        # Of what includes nothing, nothing is left.
        self.assertEqual(
            (rows["other"]["has_included"], rows["other"]["has_prepaid"]), (False, False)
        )
        # One of both says both.
        both = self._create_feature("both")
        self._create_rule(
            both, unit_price=1, included_quantity=20, max_quantity=40, date_from="2024-01-01"
        )
        self._use("2024-01-03", 10, "both")
        [row] = [row for row in self.client_a._get_usage_rows() if row["code"] == "both"]
        self.assertEqual(
            [(bar["kind"], bar["limit"], bar["share"]) for bar in row["bars"]],
            [("free", "20", 50), ("maximum", "40", 25)],
        )
        # The highest value stays what it is.
        self.assertEqual((rows["highest"]["amount"], rows["highest"]["expected"]), ("15", "15"))
        self.assertFalse(rows["highest"]["bars"])
        # What is free for another reason has no limit that could be used up.
        unpriced = self._create_feature("unpriced")
        self._use("2024-01-04", 250, "unpriced")
        flat = self._create_feature("flat")
        self._create_rule(flat, pricing_model="unlimited", recurring_fee=5, date_from="2024-01-01")
        self._use("2024-01-04", 250, "flat")
        trial = self._create_feature("trial")
        self._create_rule(trial, unit_price=1, trial_days=30, date_from="2024-01-01")
        self._use("2024-01-04", 250, "trial")
        rows = {row["code"]: row for row in self.client_a._get_usage_rows()}
        for code in (unpriced.code, flat.code, trial.code):
            self.assertFalse(rows[code]["bars"], code)
        # One event of a broken meter breaks no page.
        self._use("2024-01-04", "999999999999999999999999", "other")
        self.assertIn("other", {row["code"] for row in self.client_a._get_usage_rows()})
        # A forecast changes nothing that is asked.
        now = {row["code"]: row for row in self.client_a.current_usage()}
        self.assertEqual((now["unit"]["used"], now["unit"]["amount"]), ("30", "0"))

    @freeze_time("2024-01-10 12:00:00")
    def test_what_the_next_bill_comes_to_by_now(self):
        self.env["reseller.price.rule"].search([("feature_id", "=", self.feature.id)]).unlink()
        self._create_rule(unit_price=0.05, recurring_fee=10, date_from="2024-01-01")
        self._use("2024-01-03", 30)
        self.env["reseller.manual.charge"].create(
            [
                {"client_id": self.client_a.id, "name": name, "date": day, "unit_price": price}
                for name, day, price in (("Help", "2024-01-05", 4), ("Later", "2024-03-05", 7))
            ]
        )
        self._run("2024-01-01")
        due = self.client_a._get_open_bill()
        # 10.00 of January in arrears, 30 × 0.05, and 4.00 by hand; what is of March waits.
        self.assertEqual(
            (str(due["date"]), due["amount"], due["has_lines"]), ("2024-02-01", "15.5", False)
        )
        preview = self.client_a.preview_statement(due["date"])
        self.assertEqual(preview.amount_total, 15.5)
        shown = self.client_a.usage_html
        self.assertIn("15.50", shown)
        self.assertNotIn("lines of its contract", shown)
        self.env["contract.line"].create(
            {
                "contract_id": self.client_a.contract_id.id,
                "product_id": self.product.id,
                "name": "Support",
                "quantity": 1,
                "price_unit": 5,
                "recurring_next_date": "2024-02-01",
                "date_start": "2024-01-01",
            }
        )
        self.client_a.invalidate_recordset(["usage_html"])
        self.assertIn("lines of its contract", self.client_a.usage_html)
        self.assertIsNone(self._create_client("new", activate=False)._get_open_bill())
