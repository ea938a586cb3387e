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
            (unit["amount"], unit["expected"], unit["limit"], unit["share"]), ("0", "43", "50", 60)
        )
        # 10 are 31; of the maximum of 40 they are 25 %.
        self.assertEqual(
            (rows["other"]["amount"], rows["other"]["expected"], rows["other"]["share"]),
            ("20", "62", 25),
        )
        # The highest value stays what it is.
        self.assertEqual((rows["highest"]["amount"], rows["highest"]["expected"]), ("15", "15"))
        self.assertIsNone(rows["highest"]["share"])
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
            self.assertEqual((rows[code]["limit"], rows[code]["share"]), (False, None), code)
        # One event of a broken meter breaks no page.
        self._use("2024-01-04", "999999999999999999999999", "other")
        self.assertIn("other", {row["code"] for row in self.client_a._get_usage_rows()})
        # A forecast changes nothing that is asked.
        now = {row["code"]: row for row in self.client_a.current_usage()}
        self.assertEqual((now["unit"]["used"], now["unit"]["amount"]), ("30", "0"))
