from decimal import Decimal
from unittest.mock import patch

from freezegun import freeze_time
from odoo import fields
from odoo.tests import Form, new_test_user

from ...models.wholesale import reseller_price_rule
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

    def test_the_whole_cycles_use_shares_whichever_days_a_price_holds_on(self):
        """W15: A's 600 at 0.02 until the 15th, B's 400 at 0.03 after it: 24.00, of which A has 600 of 1,000."""
        rule = self._create_wholesale(unit_price=0.02)
        self._bill_buyer("2024-02-01")
        rule._make_version(self._day("2024-02-16"), {"unit_price": 0.03})
        self._use("2024-02-10", 600)
        self._use("2024-02-20", 400, client="B")
        bill = self._bill_buyer("2024-03-01")
        self.assertEqual(sorted(bill.charge_ids.mapped("amount")), [12, 12])
        self._assert_costs(bill, A="14.40", B="9.60")

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
        """Example 14."""
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
        january = self._statement(self.buyer, "2024-02-01").charge_ids | late.charge_ids
        self.assertEqual(
            sorted((one.client_id.ref, one.amount) for one in january.share_ids),
            [("A", -2), ("A", 2), ("B", 1), ("B", 2)],
        )
        # A void bill shares nothing; billed again it does.
        late.action_void()
        self.assertEqual(self._margins("client_id")["A",][1], 2)
        self._run("2024-03-01")
        self.assertEqual(self._margins("client_id")["A",][1], 0)
        self.assertEqual(sum((january.exists()).share_ids.mapped("amount")), 3)

    def test_fees_that_nobody_used_are_shared_by_days_served(self):
        """30.00 in advance of January: B is served since the 16th."""
        self._create_wholesale(recurring_fee=30, fee_timing="advance", unit_price=0.02)
        self.client_b.membership_ids.date_from = "2024-01-16"
        bill = self._bill_buyer("2024-01-01")
        # 31 days and 16 of 47.
        self._assert_costs(bill, A="19.79", B="10.21")

    def test_use_of_a_level_with_its_own_price_bears_no_other_cost(self):
        """A 1,000 at 0.02, B 100 of a level at 0.10; a fee of 11.00 by all of it."""
        premium = self._create_level("premium", "Premium")
        self._create_wholesale(
            unit_price=0.02,
            recurring_fee=11,
            fee_timing="arrears",
            levels=[(premium, 0.1)],
        )
        self._use("2024-01-10", 1000)
        self._use("2024-01-10", 100, client="B", level="premium")
        # Fees: 10.00 and 1.00.
        self._assert_costs(self._bill_buyer("2024-02-01"), A="30.00", B="11.00")

    def test_days_taken_back_share_fees_anew(self):
        """30.00 in arrears: A 500 on the 20th, B 100. A is closed on the 15th: B has used all there is."""
        self._create_wholesale(recurring_fee=30, fee_timing="arrears", unit_price=0.02)
        self._use("2024-01-20", 500)
        self._use("2024-01-10", 100, client="B")
        self._assert_costs(self._bill_buyer("2024-02-01"), A="35.00", B="7.00")
        self.client_a.action_close(self._day("2024-01-15"), dated_back=True)
        self._assert_costs(self._bill_buyer("2024-03-01"), A="-35.00", B="55.00")

    def test_what_a_bill_gives_back_and_charges_anew_adds_up(self):
        """Two charges of one component on one bill."""
        self._create_wholesale(recurring_fee=30, fee_timing="arrears", unit_price=0.02)
        self._use("2024-01-10", 100)
        bill = self._bill_buyer("2024-02-01")
        fee = bill.charge_ids.filtered(lambda charge: charge.kind == "recurring")
        shares = self.env["reseller.charge.share"]
        self.env.cr.execute("DELETE FROM reseller_charge_share")
        self.env.cr.execute(
            "INSERT INTO reseller_charge (statement_id, client_id, reseller_id, company_id, currency_id, book,"
            " bill_date, name, kind, quantity, unit_price, amount, feature_id, price_rule_id, cycle_start,"
            " cycle_end, tier, is_flat_fee)"
            " SELECT statement_id, client_id, reseller_id, company_id, currency_id, book, bill_date, name,"
            " kind, -1, unit_price, -amount, feature_id, price_rule_id, cycle_start, cycle_end, tier,"
            " is_flat_fee FROM reseller_charge WHERE id = %s",
            [fee.id],
        )
        self.env.invalidate_all()
        shares._share(bill)
        self._assert_costs(bill, A="2.00")
        self.assertFalse(self.env["reseller.margin"]._find_different())

    def test_drafts_bear_no_cost(self):
        self._create_client("D", activate=False)
        self._create_wholesale(recurring_fee=30, fee_timing="advance")
        self._assert_costs(self._bill_buyer("2024-01-01"), A="15.00", B="15.00")

    def test_papers_of_before_are_no_margin(self):
        reseller = self._create_reseller("R0", invoice_to="none")
        client = self._create_client("P", reseller_id=reseller.id, billing_anchor="month")
        self._use("2024-01-10", 100, client="P")
        self._run("2024-02-01")
        self.assertEqual(self._statement(client, "2024-02-01").paper_total, 5)
        self._run("2024-03-01")
        self._have_buy(reseller, "2024-04-01")
        self._use("2024-04-10", 100, client="P")
        self._run("2024-05-01")
        margins = self.env["reseller.margin"].search([("reseller_id", "=", reseller.id)])
        self.assertEqual(sum(margins.mapped("retail")), 5)

    def test_where_no_client_is_served_the_buyer_has_it(self):
        self._create_wholesale(recurring_fee=30, fee_timing="arrears", unit_price=0.02)
        (self.client_a | self.client_b).membership_ids.date_from = "2024-03-01"
        self._assert_costs(self._bill_buyer("2024-02-01"), R1="30.00")

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
        # Told once, whichever night.
        margins._cron_check()
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

    def _told(self, rule):
        """Return what a price says of whom it loses money on, as a billing user without more rights reads it."""
        text = rule.with_user(self.clerk).below_cost_text or ""
        return text.replace("\xa0", "").replace("\ufeff", "").splitlines()[1:]

    def test_a_price_below_cost_is_told_with_whom_it_loses_on(self):
        """500 units of January at 0.01 come to 5.00, and cost 10.00; 100 of B to 1.00 and 2.00."""
        self.clerk = self._create_billing_user("clerk")
        wholesale = self._create_wholesale(unit_price=0.02)
        self._use("2024-01-10", 500)
        self._use("2024-01-10", 100, client="B")
        self._run("2024-02-01")
        self.assertFalse(self.retail.below_cost_text)
        free = self._create_feature("free")
        self.assertFalse(self._create_rule(feature=free, unit_price=1).cost_text)
        retail = self.retail.with_user(self.clerk)
        self.assertEqual(retail.cost_text, wholesale._get_terms_in_words())
        low = self.retail._make_version(self._day("2024-02-01"), {"unit_price": 0.01})
        names = [client.display_name for client in (self.client_a, self.client_b, self.buyer)]
        self.assertEqual(self._told(low), [f"{names[0]}: $5.00", f"{names[1]}: $1.00"])
        # Dearer from the seller: 36.00 for what clients were asked 30.00.
        dear = wholesale._make_version(self._day("2024-02-01"), {"unit_price": 0.06})
        self.assertEqual(self._told(dear), [f"{names[2]}: $6.00"])
        # A form that is filled in.
        form = Form(self.env["reseller.price.rule"])
        form.feature_id = self.feature
        form.reseller_id = self.reseller
        self.assertFalse(form.below_cost_text)

    def test_whom_no_reseller_buys_for_is_not_replayed(self):
        self._run("2024-02-01")
        other = self._create_reseller("R9")
        self._create_client("N", reseller_id=other.id)
        price = self._create_rule(reseller_id=other.id, unit_price=0.01)
        simulations = self.registry["reseller.price.simulation"]
        with patch.object(simulations, "_simulate") as simulate:
            self.assertFalse(price.below_cost_text)
            with patch.object(reseller_price_rule, "MAX_REPLAYED", 1):
                self.assertFalse(self.retail.below_cost_text)
        simulate.assert_not_called()

    def test_costs_of_a_period_are_those_of_its_use(self):
        """A's cycles begin on the 16th. Of 400 units of its February bill's cost, and 600 of the next, 500 are of the
        cycle from 16 January on: 200 of January and 300 of February.
        """
        self.clerk = self._create_billing_user("clerk")
        late = self._create_client("L", start="2024-01-16", billing_anchor="activation")
        self._create_wholesale(unit_price=0.02)
        for day, quantity in (("2024-01-20", 200), ("2024-02-05", 300), ("2024-02-20", 700)):
            self._use(day, quantity, client="L")
        for day in ("2024-02-01", "2024-02-16"):
            self._run(day)
        low = self._create_rule(client_id=late.id, unit_price=0.01, date_from="2024-02-16")
        # What it costs is not billed to its end.
        self.assertEqual(self._told(low), [])
        self._run("2024-03-01")
        low.invalidate_recordset()
        # 500 units at 0.01, and at 0.02.
        self.assertEqual(self._told(low), [f"{late.display_name}: $5.00"])

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
