from ..common import ResellerBillingCommon


class TestExplanation(ResellerBillingCommon):
    """Why this price? In words, from the frozen trace."""

    def _explain(self, statement, kind, **options):
        charge = statement.charge_ids.filtered(lambda one: one.kind == kind and not one.is_flat_fee)
        return {
            title: [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
            for title, lines in charge._get_explanation(**options)
        }

    def test_levels_quantity_days_and_rounding(self):
        client = self._create_client("E", start="2024-04-01", group=self.group)
        self._create_rule(unit_price=5)
        self._create_rule(unit_price=3, reseller_id=self.reseller.id)
        self._create_rule(
            group_id=self.group.id,
            recurring_fee=30,
            trial_days=10,
            included_quantity=9,
            rollover_cycles=1,
            bonus_quantity=2,
            unit_price=0.333,
        )
        self._use("2024-04-05", 4, client="E")
        self._use("2024-04-20", 5, client="E")
        self._run("2024-05-01")
        self._use("2024-05-20", 15, client="E")
        self._run("2024-06-01")
        april = self._statement(client, "2024-04-01")
        self.assertEqual(
            self._explain(april, "recurring"),
            {
                "Price": [
                    "$ 30.00 per cycle, 10 days free trial, 9 included, kept for 1 more cycles, "
                    "bonus of 2, $ 0.333 per unit"
                ],
                "Days": ["1 × $ 30.00 for 20 of the cycle's 30 days, 04/11/2024 to 04/30/2024"],
                "Amount": ["Due: $ 20.00", "This charge: $ 20.00"],
            },
        )
        # April: 6 of 9 included are left by the trial, 5 drawn: 1 rolls over.
        # May: 15 − 1 − 9 − 2 = 3 × 0.333 = 0.999.
        may = self._statement(client, "2024-06-01")
        explained = self._explain(may, "overage", with_scopes=True)
        self.assertEqual(
            explained["Quantity"],
            [
                "Used in the cycle: 15",
                "Free, left over from earlier cycles: − 1",
                "Free, included in the price: − 9",
                "Free, from the bonus: − 2",
                "To be paid: 3",
            ],
        )
        self.assertEqual(
            explained["Amount"],
            ["3 × $ 0.333 = $ 0.999", "Rounded once: $ 1.00", "This charge: $ 1.00"],
        )
        self.assertEqual(
            [line.split(":")[0] for line in explained["Price"]],
            ["Group", "Reseller", "Default"],
        )
        self.assertIn("this one holds", explained["Price"][0])
        self.assertIn("$ 3.00 per unit — overridden", explained["Price"][1])
        # What others pay is not for the client.
        shown = str(self._explain(may, "overage"))
        self.assertNotIn("3.00 per unit", shown)
        self.assertIn("Used in the cycle", may.charge_ids[0].explanation_html + shown)

    def test_tiers_minimum_and_what_was_billed_before(self):
        self._create_rule(
            pricing_model="volume",
            tiers=[(100, 1, 0), (None, 0.8, 0)],
            interval_count=1,
            interval_unit="year",
            minimum_amount=90,
        )
        self._use("2024-01-05", 80)
        self._run("2024-02-01")
        january = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(
            self._explain(january, "minimum")["Minimum"],
            ["Use comes to at least $ 90.00; it came to $ 80.00"],
        )
        self._use("2024-02-05", 40)
        self._run("2024-03-01")
        february = self._statement(self.client_a, "2024-03-01")
        new = february.charge_ids.filtered(lambda one: one.kind == "usage" and one.amount > 0)
        text = dict(new._get_explanation())
        self.assertEqual(
            [line.replace("\N{NO-BREAK SPACE}", " ") for line in text["Tier"]],
            [
                "Tier 2, above 100 units: $ 0.80 each",
                "All units of the cycle cost what the tier of their total says.",
            ],
        )
        old = february.charge_ids.filtered(lambda one: one.kind == "usage" and one.amount < 0)
        self.assertIn(
            "Billed before: $\N{NO-BREAK SPACE}80.00", dict(old._get_explanation())["Amount"][0]
        )

    def test_prices_that_were_overridden_are_shown_as_they_were(self):
        default = self._create_rule(unit_price=5, included_quantity=3, enrolment="opt_in")
        self._create_rule(
            client_id=self.client_a.id,
            pricing_model="graduated",
            tiers=[(10, 2, 1), (None, 1, 0)],
        )
        self._use("2024-01-05", 15)
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        charge = statement.charge_ids.filtered(lambda one: one.tier == 2)
        expected = [
            "Client: graduated: $ 1.00 + $ 2.00 up to 10; $ 1.00 — this one holds: it is the most "
            "specific",
            "Default: 3 included, $ 5.00 per unit, for those who are switched on — overridden",
        ]

        def explain():
            steps = dict(charge._get_explanation(with_scopes=True))
            return [line.replace("\N{NO-BREAK SPACE}", " ") for line in steps["Price"]]

        self.assertEqual(explain(), expected)
        default.unit_price = 7
        self.assertEqual(explain(), expected)
        default.unlink()
        self.assertEqual(explain(), expected)
        self.assertIn("Tier 2, above 10 units", dict(charge._get_explanation())["Tier"][0])
