from decimal import Decimal

from freezegun import freeze_time
from odoo import fields
from odoo.tests import new_test_user

from ..common_wholesale import WholesaleCommon

TIERS = ((1000, 0.03, 0), (None, 0.02, 0))


class TestMargin(WholesaleCommon):
    """What each client costs, and what a reseller earns (docs/wholesale.md W15, W16; amounts by hand)."""

    def _costs(self, bill):
        """Return {ref: Decimal} of what a bill says that each account costs, less than before below zero."""
        costs = {}
        for share in self.env["reseller.charge.share"].search([("statement_id", "=", bill.id)]):
            ref = share.client_id.ref
            costs[ref] = costs.get(ref, Decimal(0)) + Decimal(repr(share.amount))
        return {ref: cost for ref, cost in costs.items() if cost}

    def _margins(self, *fields_by, domain=()):
        """Return {group: (retail, cost, margin)} of the reseller's."""
        names = ("retail:sum", "cost:sum", "margin:sum")
        rows = self.env["reseller.margin"]._read_group(
            [("reseller_id", "=", self.reseller.id), *domain], fields_by, names
        )
        return {
            tuple(
                one.ref if hasattr(one, "ref") else str(one) for one in row[: len(fields_by)]
            ): tuple(
                Decimal(repr(amount)).quantize(Decimal("0.01")) for amount in row[len(fields_by) :]
            )
            for row in rows
        }

    def _assert_costs(self, bill, **costs):
        expected = {ref: Decimal(cost) for ref, cost in costs.items()}
        self.assertEqual(self._costs(bill), expected)

    def test_tiers_are_shared_by_use(self):
        """Example 2."""
        self._create_wholesale(TIERS)
        self._use("2024-01-10", 1000)
        self._use("2024-01-20", 50, client="B")
        self._assert_costs(self._bill_buyer("2024-02-01"), A="29.52", B="1.48")

    def test_late_use_shares_anew(self):
        """Example 5."""
        self._create_wholesale(TIERS)
        self._use("2024-01-10", 900)
        self._use("2024-01-10", 50, client="B")
        self._assert_costs(self._bill_buyer("2024-02-01"), A="27.00", B="1.50")
        self._use("2024-01-20", 100, client="B")
        late = self._bill_buyer("2024-03-01")
        self.assertEqual(sorted(late.charge_ids.mapped("amount")), [1, 1.5])
        self._assert_costs(late, A="-0.43", B="2.93")
        # Of January, on February's bill.
        margins = self._margins("month:month", "bill_date:day", "client_id")
        january, bill_date = "2024-01-01", "2024-03-01"
        self.assertEqual(margins[january, bill_date, "A"], (0, Decimal("-0.43"), Decimal("0.43")))
        self.assertEqual(margins[january, bill_date, "B"], (5, Decimal("2.93"), Decimal("2.07")))

    def test_use_given_back_lowers_the_margin_of_its_month(self):
        """Example 9: A's April comes to 24.00, then to 9.00."""
        self._create_wholesale(unit_price=0.02)
        self._use("2024-04-10", 300)
        event = self._event("2024-04-11", 500)
        self.env["reseller.usage.line"].ingest([event])
        for date in ("2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01"):
            self._run(date)
        april = {("A",): (40, 16, 24)}
        domain = [("month", "=", "2024-04-01")]
        self.assertEqual(self._margins("client_id", domain=domain), april)
        self.env["reseller.usage.line"].search([("external_id", "=", event["id"])]).action_void()
        self._use("2024-05-10", 200)
        self._run("2024-06-01")
        april = {("A",): (15, 6, 9)}
        self.assertEqual(self._margins("client_id", domain=domain), april)
        self.assertEqual(
            self._margins("client_id", domain=[("month", "=", "2024-05-01")]),
            {("A",): (10, 4, 6)},
        )
        [(used, percent)] = self.env["reseller.margin"]._read_group(
            domain, [], ["quantity:sum", "margin_percent:avg"]
        )
        self.assertEqual((used, round(percent, 6)), (300, 60))

    def test_an_allotment_is_shared_by_use(self):
        """Example 14, and in a currency without cents."""
        self._create_client("C")
        self._create_wholesale(included_quantity=10000, unit_price=0.01)
        for client, quantity in (("A", 5000), ("B", 4000), ("C", 3000)):
            self._use("2024-01-10", quantity, client=client)
        self._assert_costs(self._bill_buyer("2024-02-01"), A="8.33", B="6.67", C="5.00")

    def test_whole_yen_go_to_the_largest_remainders_then_to_the_lower_ids(self):
        yen = self.env.ref("base.JPY")
        yen.active = True
        reseller = self._create_reseller("RY", currency_id=yen.id)
        self._have_buy(reseller)
        group = self.env["reseller.client.group"].create(
            {"name": "Yen", "reseller_id": reseller.id}
        )
        refs = ("Y1", "Y2", "Y3")
        for ref in refs:
            self._create_client(ref, reseller_id=reseller.id, group=group, billing_anchor="month")
        self._create_wholesale(minimum_amount=100, currency_id=yen.id)
        for ref in refs:
            self._use("2024-01-10", 7, client=ref)
        self._run("2024-02-01")
        bill = self._statement(reseller.buyer_ids, "2024-02-01")
        self._assert_costs(bill, Y1="34", Y2="33", Y3="33")

    def test_what_use_moves_without_a_charge_is_shared_anew(self):
        """As much less of one as more of the other: the bill is the same, what they cost is not."""
        self._create_wholesale(unit_price=0.02)
        event = self._event("2024-01-10", 100)
        self.env["reseller.usage.line"].ingest([event])
        self._use("2024-01-10", 50, client="B")
        self._assert_costs(self._bill_buyer("2024-02-01"), A="2.00", B="1.00")
        self.env["reseller.usage.line"].search([("external_id", "=", event["id"])]).action_void()
        self._use("2024-01-20", 100, client="B")
        late = self._bill_buyer("2024-03-01")
        self.assertEqual(late.amount_total, 0)
        self._assert_costs(late, A="-2.00", B="2.00")
        # A void bill shares nothing; billed again it does.
        late.action_void()
        self.assertEqual(self._margins("client_id")["A",][1], 2)
        self._run("2024-03-01")
        self.assertEqual(self._margins("client_id")["A",][1], 0)

    def test_fees_that_nobody_used_are_shared_by_days_served(self):
        """30.00 in advance of January: B is served since the 16th; then none is, and the buyer has it."""
        self._create_wholesale(recurring_fee=30, fee_timing="advance", unit_price=0.02)
        self.client_b.membership_ids.date_from = "2024-01-16"
        bill = self._bill_buyer("2024-01-01")
        # 31 days and 16 of 47.
        self._assert_costs(bill, A="19.79", B="10.21")

    def test_what_is_charged_by_hand_is_the_buyers_own(self):
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 100)
        self._use("2024-01-10", 50, client="R1")
        self.env["reseller.manual.charge"].create(
            {
                "client_id": self.buyer.id,
                "name": "Support",
                "date": "2024-01-15",
                "quantity": 1,
                "unit_price": 12,
            }
        )
        self._assert_costs(self._bill_buyer("2024-02-01"), A="2.00", R1="13.00")

    def test_taxes_in_prices_are_no_margin(self):
        """20 % in both prices: of papers 60.00 and 12.00, of the invoice 24.00 by 500 and 100 units."""
        self.product.taxes_id = self._create_taxes(20).with_context(active_test=False)
        self.product.taxes_id.price_include_override = "tax_included"
        self.retail.unit_price = 0.12
        self._create_wholesale(unit_price=0.048)
        self._use("2024-01-10", 500)
        self._use("2024-01-10", 100, client="B")
        bill = self._bill_buyer("2024-02-01")
        self.assertEqual((bill.amount_total, bill.invoice_id.amount_untaxed), (28.8, 24))
        self.assertEqual(self._margins("client_id"), {("A",): (50, 20, 30), ("B",): (10, 4, 6)})

    def test_a_law_that_is_broken_is_told(self):
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 100)
        bill = self._bill_buyer("2024-02-01")
        margins = self.env["reseller.margin"]
        margins._cron_check()
        self.assertFalse(self.reseller.activity_ids | self.buyer.activity_ids)
        self.env.cr.execute(
            "UPDATE reseller_charge_share SET amount = 1.99 WHERE statement_id = %s", [bill.id]
        )
        self.env.invalidate_all()
        margins._cron_check()
        [activity] = self.buyer.activity_ids
        self.assertIn(bill.name, activity.note)

    def test_who_may_read_margins(self):
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 100)
        self._bill_buyer("2024-02-01")
        clerk = new_test_user(
            self.env, "margins", "reseller_billing.group_billing_user", company_id=self.company.id
        )
        margins = self.env["reseller.margin"].with_user(clerk)
        self.assertTrue(margins.search([("reseller_id", "=", self.reseller.id)]))
        other = self._create_company()
        clerk.write({"company_ids": [fields.Command.set(other.ids)], "company_id": other.id})
        self.assertFalse(margins.search([]))
        self.assertFalse(self.env["reseller.charge.share"].with_user(clerk).search([]))

    # Prices

    def test_a_price_below_cost_is_told_with_whom_it_loses_on(self):
        """500 units of January at 0.01 come to 5.00, and cost 10.00; 100 of B to 1.00 and 2.00."""
        wholesale = self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 500)
        self._use("2024-01-10", 100, client="B")
        self._run("2024-02-01")
        self.assertFalse(self.retail.below_cost_text)
        self.assertEqual(self.retail.cost_text, wholesale._get_terms_in_words())
        low = self.retail._make_version(self._day("2024-02-01"), {"unit_price": 0.01})
        self.assertIn(
            f"{self.client_a.display_name} $5.00", low.below_cost_text.replace("\xa0", "")
        )
        self.assertIn(
            f"{self.client_b.display_name} $1.00", low.below_cost_text.replace("\xa0", "")
        )
        # Dearer from the seller: 36.00 for what clients were asked 30.00.
        dear = wholesale._make_version(self._day("2024-02-01"), {"unit_price": 0.06})
        self.assertIn(f"{self.buyer.display_name} $6.00", dear.below_cost_text.replace("\xa0", ""))

    def test_the_simulation_shows_what_is_left(self):
        wholesale = self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 500)
        self._use("2024-01-10", 100, client="B")
        self._run("2024-02-01")
        for rule, price, expected in (
            (self.retail, 0.04, {"A": (15, 10), "B": (3, 2)}),
            (wholesale, 0.03, {"R1": (18, 12)}),
        ):
            draft = rule.copy({"active": False, "unit_price": price})
            simulation = self.env["reseller.price.simulation"].create(
                {"draft_ids": draft.ids, "periods": 1}
            )
            simulation.action_simulate()
            found = {
                line.client_id.ref: (line.old_margin, line.new_margin)
                for line in simulation.line_ids
            }
            self.assertEqual(found, expected)
            self.assertTrue(simulation.has_margin)

    def test_dashboards_say_what_was_left_last_month(self):
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 500)
        self._run("2024-02-01")
        with freeze_time("2024-02-10"):
            data = self.env["reseller.dashboard"].get_data()
            money = self.company.currency_id.format
            self.assertEqual(
                data["margins"],
                [
                    {
                        "currency": self.company.currency_id.name,
                        "retail": money(25),
                        "cost": money(10),
                        "margin": money(15),
                        "is_loss": False,
                    }
                ],
            )
            self.reseller.invalidate_recordset(["last_margin"])
            self.assertEqual(self.reseller.last_margin, 15)
