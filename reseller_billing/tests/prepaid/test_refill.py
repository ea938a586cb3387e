from decimal import Decimal

from freezegun import freeze_time
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user
from odoo.tools import mute_logger

from ..common import PrepaidCommon


class TestRefill(PrepaidCommon):
    """What a client has ahead at any moment, what that lets it use, and how it is refilled."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Bills of the past are made; today is 10 March.
        cls._run("2024-03-01")
        cls.startClassPatcher(freeze_time("2024-03-10 12:00:00"))

    def _give(self, amount):
        self.client_a._give_to_wallet(amount, "Fair", f"fair {amount}")

    def _live(self):
        self.client_a.invalidate_recordset()
        return self.client_a.live_balance

    def _arm(self, by="invoice", **values):
        self.client_a.write(
            {"refill_by": by, "refill_amount": 50, "refill_threshold": 20, **values}
        )

    def _replenish(self, **values):
        """Have the client's price sell 100 units more for 40.00 by itself; return it."""
        return self._create_rule(
            reseller_id=self.reseller.id,
            date_from="2024-03-01",
            replenish_quantity=100,
            replenish_price=40,
            **values,
        )

    def _refill(self):
        """Do what the scheduled action does for this client; return the new refills."""
        self.client_a.invalidate_recordset()
        return self.client_a._refill()

    # Balances

    def test_the_live_balance_is_what_the_bill_leaves(self):
        tax = self.env["account.tax"].create({"name": "10 %", "amount": 10})
        self.product.taxes_id = tax
        lot = self._sell("2024-03-02")
        self._give(500)
        self._use("2024-03-05", 130)
        self._use("2024-03-10", 7)
        # 137 used, 100 of the package: 37 × 1.10 = 40.70 are not billed yet.
        self.assertEqual(self._live(), 459.3)
        [entry] = [one for one in self.client_a.current_usage() if one["code"] == "unit"]
        self.assertEqual((entry["prepaid_left"], entry["payable"]), ("0", "37"))
        with freeze_time("2024-03-31 20:00:00"):
            before = self._live()
        with freeze_time("2024-04-02 12:00:00"):
            self._run("2024-04-01")
            self.client_a.invalidate_recordset()
            self.assertEqual(before, self.client_a.wallet_balance)
        self.assertLot(lot, 0, 0)

    def test_taxes_of_the_income_account_are_in_the_live_balance(self):
        account = self.product.product_tmpl_id.get_product_accounts()["income"]
        account.tax_ids = self.env["account.tax"].create({"name": "19 %", "amount": 19})
        self.product.taxes_id = False
        self._give(500)
        self._use("2024-03-05", 100)
        with freeze_time("2024-03-31 20:00:00"):
            before = self._live()
        with freeze_time("2024-04-02 12:00:00"):
            self._run("2024-04-01")
            self.client_a.invalidate_recordset()
            self.assertEqual((before, self.client_a.wallet_balance), (381, 381))

    def test_use_of_a_cycle_that_is_not_billed_yet_counts(self):
        lot = self._sell("2024-03-02")
        with freeze_time("2024-04-01 12:00:00"):  # March is billed on the 2nd
            self._use("2024-03-20", 60)
            self._use("2024-04-01", 15)
            [entry] = [one for one in self.client_a.current_usage() if one["code"] == "unit"]
            self.assertEqual((entry["used"], entry["prepaid_left"]), ("15", "25"))
        self.assertLot(lot, 100, 50)

    def test_what_the_wallet_does_not_pay_for_leaves_the_balance_alone(self):
        fee = self._create_feature("fee")
        self._create_rule(fee, recurring_fee=31, fee_timing="arrears", date_from="2024-03-01")
        self._give(100)
        self._use("2024-03-05", 30)
        # Ten of 31 days' fee in arrears are not due before the cycle ends.
        self.assertEqual(self._live(), 70)
        self.client_a.wallet_use = "usage"
        self.env["reseller.manual.charge"].create(
            {"client_id": self.client_a.id, "name": "Help", "date": "2024-03-09", "unit_price": 5}
        )
        self.assertEqual(self._live(), 70)
        self.client_a.wallet_use = "always"
        self.assertEqual(self._live(), 65)
        self.client_a.wallet_use = "never"
        self.assertEqual(self._live(), 100)

    # Asking before use

    def test_who_may_use_what_is_prepaid_alone_is_refused_more(self):
        tax = self.env["account.tax"].create({"name": "10 %", "amount": 10})
        self.product.taxes_id = tax
        self.client_a.prepaid_only = True
        self.assertFalse(self.client_a.authorize("unit", 1)["allowed"])
        self._give(11)
        self._sell("2024-03-02")
        # 100 units of the package, and 11.00 for 10 more at 1.10.
        self.assertTrue(self.client_a.authorize("unit", 110)["allowed"])
        answer = self.client_a.authorize("unit", 111)
        self.assertEqual(
            (answer["allowed"], answer["reason"]),
            (False, "The prepaid balance does not cover this."),
        )
        event = {"source": "switch", "feature": "unit", "quantity": 60}
        taken = [self.client_a.consume({**event, "id": str(n)})["allowed"] for n in range(3)]
        self.assertEqual(taken, [True, False, False])
        with self.assertRaisesRegex(ValidationError, "let the wallet pay"):
            self.client_a.wallet_use = "never"

    def test_levels_are_asked_at_their_own_price(self):
        level = self._create_level("gold", "Gold")
        self._create_rule(
            reseller_id=self.reseller.id,
            date_from="2024-03-01",
            unit_price=1,
            levels=[(level, 4)],
        )
        self.client_a.prepaid_only = True
        self._give(10)
        self.assertTrue(self.client_a.authorize("unit", 10)["allowed"])
        self.assertFalse(self.client_a.authorize("unit", 3, "gold")["allowed"])
        self.assertTrue(self.client_a.authorize("unit", 2, "gold")["allowed"])
        with self.assertRaisesRegex(UserError, "no price level"):
            self.client_a.authorize("unit", 1, "lead")

    def test_little_units_cost_too(self):
        self._replenish(unit_price=0.004)
        # A price beyond the units is a price, though one unit makes no cent.
        self.assertTrue(self.client_a.authorize("unit", 1)["allowed"])
        self.client_a.prepaid_only = True
        self.assertFalse(self.client_a.authorize("unit", 1)["allowed"])
        self._give(0.01)
        event = {"source": "switch", "feature": "unit", "quantity": 1}
        taken = [self.client_a.consume({**event, "id": str(n)})["allowed"] for n in range(6)]
        # 0.004 and 0.008 are within 0.01, to the cent.
        self.assertEqual(taken, [True, True, False, False, False, False])

    def test_what_has_no_price_is_not_covered(self):
        other = self._create_feature("other")
        self.assertTrue(self.client_a.authorize("other", 1000)["allowed"])
        self.client_a.prepaid_only = True
        self._give(100)
        self.assertFalse(self.client_a.authorize(other.code, 1)["allowed"])

    def test_units_without_a_price_beyond_are_refused(self):
        self._replenish(included_quantity=10)
        self.assertTrue(self.client_a.authorize("unit", 10)["allowed"])
        answer = self.client_a.authorize("unit", 11)
        self.assertEqual(answer["reason"], "10 prepaid units are left, and more have no price.")

    # Refills of the wallet

    def test_a_refill_by_invoice_waits_for_payment_and_is_no_debt(self):
        self._arm()
        self._give(100)
        self.assertFalse(self._refill())
        self._use("2024-03-09", 80)
        # The balance has come down to the threshold of 20, not below it: one is enough.
        refill = self._refill()
        self.assertEqual((refill.state, refill.amount, refill.trigger), ("open", 50, "threshold"))
        invoice = refill.invoice_id
        self.assertEqual((invoice.amount_total, str(invoice.invoice_date_due)), (50, "2024-03-10"))
        self.assertEqual((self.client_a.refill_state, self._live()), ("waiting", 20))
        # No other one while it waits, however much is used; and nobody is locked out for it.
        self._use("2024-03-09", 500)
        self.assertFalse(self._refill())
        with freeze_time("2024-03-25 12:00:00"):
            self.assertFalse(self.client_a._load_debts()[self.client_a.id].owed)
        self._pay(invoice)
        self.assertEqual((refill.state, self._live()), ("paid", -430))
        self.assertBooks()
        # 450 and a unit more bring it strictly above 20: ten at 50.00.
        second = self._refill()
        self.assertEqual(second.amount, 500)
        self._pay(second.invoice_id)
        self.assertEqual(self._live(), 70)
        self.assertFalse(self._refill())
        self.assertBooks()

    def test_a_cancelled_refill_is_not_made_again_on_the_same_day(self):
        self._arm()
        refill = self._refill()
        refill.invoice_id.button_cancel()
        self.assertEqual((refill.state, self.client_a.refill_state), ("canceled", "armed"))
        self.assertFalse(self._refill())
        with freeze_time("2024-03-11 12:00:00"):
            refill = self._refill()
            # One that is not paid keeps its place.
            self.assertFalse(self._refill())
            self.assertEqual((refill.state, refill.invoice_id.state), ("open", "draft"))
            self._pay(refill.invoice_id)
        self.assertEqual(refill.state, "paid")
        self.assertBooks()

    def test_limits_hold_refills_back_visibly(self):
        self._arm(refill_max_charge=120, refill_max_day=150, refill_max_month=220)
        self._use("2024-03-09", 500)
        # Eleven would be needed: two are within 120 for one refill.
        first = self._refill()
        self.assertEqual(first.amount, 100)
        self._pay(first.invoice_id)
        second = self._refill()
        self.assertEqual(second.amount, 50)  # 150 a day
        self._pay(second.invoice_id)
        self.assertFalse(self._refill())
        self.assertEqual(self.client_a.refill_state, "held")
        self.assertIn("above the limits", self.client_a.refill_held)
        told = self.client_a.activity_ids.filtered(lambda one: "held back" in one.summary)
        self.assertEqual(len(told), 1)
        self._refill()
        self.assertEqual(len(self.client_a.activity_ids & told), 1)
        with freeze_time("2024-03-11 12:00:00"):
            third = self._refill()
            self.assertEqual(third.amount, 50)  # 220 a month leave 70
            self.assertFalse(self.client_a.refill_held)
            self._pay(third.invoice_id)
            self.assertFalse(self._refill())
        with freeze_time("2024-04-01 12:00:00"):
            self.assertEqual(self._refill().amount, 100)

    def test_a_fixed_day_refills_once_a_month(self):
        self._arm(refill_on="day", refill_day=5)
        self.assertFalse(self._refill())  # chosen on the 10th
        self.client_a.refill_day = 11
        self.assertFalse(self._refill())
        with freeze_time("2024-03-12 12:00:00"):
            refill = self._refill()
            self.assertEqual((refill.amount, refill.trigger), (50, "day"))
            self._pay(refill.invoice_id)
            self.assertFalse(self._refill())
        with freeze_time("2024-04-11 12:00:00"):
            self.assertEqual(self._refill().amount, 50)

    def test_refill_now_by_hand(self):
        with self.assertRaisesRegex(UserError, "by what and how much"):
            self.client_a.action_refill_now()
        self._arm(refill_max_charge=50)
        self.client_a.action_refill_now()
        self.assertEqual(self.client_a.refill_ids.trigger, "hand")
        with self.assertRaisesRegex(UserError, "under way"):
            self.client_a.action_refill_now()
        user = new_test_user(self.env, "clerk", groups="reseller_billing.group_billing_user")
        for change in (
            lambda client: client.action_refill_now(),
            lambda client: client.write({"refill_by": "card"}),
            lambda client: client.write({"refill_max_charge": 0}),
        ):
            with self.assertRaises(AccessError):
                change(self.client_a.with_user(user))

    def test_only_who_may_charge_has_it_done(self):
        user = new_test_user(self.env, "clerk2", groups="reseller_billing.group_billing_user")
        clients = self.env["reseller.client"].with_user(user)
        partner = self.env["res.partner"].create({"name": "New"})
        vals = {"partner_id": partner.id, "reseller_id": self.reseller.id, "ref": "N"}
        for defaults in (
            {"default_refill_by": "card", "default_refill_amount": 5000},
            {"default_collection_timing": "posting"},
        ):
            with self.assertRaises(AccessError), self.env.cr.savepoint():
                clients.with_context(**defaults).create(vals)
        with self.assertRaises(UserError):
            self.client_a.with_user(user).write({"refill_held": "x"})

    def test_what_keeps_a_refill_from_being_sold_is_told(self):
        self._arm()
        self.company.reseller_usage_product_id = False
        with mute_logger("odoo.addons.reseller_billing"):
            self.client_a._hold_refill("No product")
        self.assertEqual(self.client_a.refill_state, "held")
        self.assertIn("held back", self.client_a.activity_ids.summary)
        self.client_a.refill_max_day = 10
        self.assertFalse(self.client_a.refill_held)

    def test_resellers_that_bill_themselves_have_no_refills(self):
        self.reseller.invoice_to = "none"
        with self.assertRaisesRegex(ValidationError, "bills its clients itself"):
            self._arm()

    # Refills of units

    def test_units_are_refilled_at_their_threshold(self):
        rule = self._replenish(included_quantity=10, unit_price=2, replenish_threshold=5)
        self.client_a.refill_by = "invoice"
        self._use("2024-03-09", 4)
        self.assertFalse(self._refill())
        self._use("2024-03-09", 1)
        refill = self._refill()
        self.assertEqual((refill.feature_id, refill.units, refill.amount), (self.feature, 100, 40))
        # While it waits, more is overage at its price; then units pay.
        self._use("2024-03-10", 25)
        self._pay(refill.invoice_id)
        [entry] = [one for one in self.client_a.current_usage() if one["code"] == "unit"]
        self.assertEqual((entry["prepaid_left"], entry["payable"]), ("80", "0"))
        self._use("2024-03-10", 280)
        # 200 beyond: three of 100 bring it above 5 again.
        second = self._refill()
        self.assertEqual((second.amount, second.charge_item_id.quantity), (120, 3))
        self.assertIn("Refill: 100 units", second.charge_item_id.name)
        for values in ({"replenish_price": 0}, {"pricing_model": "unlimited"}):
            with self.assertRaises(ValidationError), self.env.cr.savepoint():
                rule.write(values)

    def test_who_is_not_enrolled_is_not_refilled(self):
        self._replenish(enrolment="opt_in")
        self.client_a.refill_by = "invoice"
        self.assertFalse(self._refill())
        self.env["reseller.client.feature"].create(
            {
                "client_id": self.client_a.id,
                "feature_id": self.feature.id,
                "date_from": "2024-03-10",
                "quantity": 1,
            }
        )
        self.assertEqual(self._refill().amount, 40)

    def test_the_scheduled_action_refills_who_is_due(self):
        self._arm()
        other = self._create_client("B")
        other.write({"refill_by": "invoice", "refill_amount": 10, "refill_threshold": -1})
        self.assertEqual(
            {
                client: needs[0].price
                for client, needs in (self.client_a | other)._load_needs().items()
            },
            {self.client_a: Decimal(50)},
        )
