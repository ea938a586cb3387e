from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import UserError, ValidationError

from ..common import PrepaidCommon, ResellerBillingCommon
from ..common_wholesale import WholesaleCommon


class TestBuying(WholesaleCommon):
    """A reseller becomes one that buys, by one dialog; what does not go together is refused by name."""

    def test_one_dialog_makes_house_account_cycle_group_and_prices(self):
        self.assertEqual(
            (self.house.is_house, self.house.invoice_to, self.house.currency_id),
            (True, "client", self.company.currency_id),
        )
        self.assertEqual((self.reseller.settlement, self.reseller.invoice_to), ("resale", "none"))
        self.assertEqual(
            (self.buyer.state, self.buyer.ref, self.buyer.partner_id),
            ("active", "R1", self.reseller.partner_id),
        )
        gold = self.env["reseller.client.group"].create(
            {"name": "Gold", "reseller_id": self.house.id}
        )
        yearly = self._create_feature("peak", aggregation="max")
        self._create_rule(yearly, unit_price=3)
        self.retail.write({"setup_fee": 5, "recurring_fee": 10})
        second = self._create_reseller("R2")
        buyer = self._have_buy(
            second,
            group_id=gold.id,
            interval_count=3,
            price_ids=[fields.Command.set(self.retail.ids)],
            percent=-40,
        )
        self.assertEqual(buyer.reseller_id, self.house)
        self.assertEqual((buyer.group_id, buyer.interval_count), (gold, 3))
        [price] = buyer.price_rule_ids
        self.assertEqual(
            (price.book, price.unit_price, price.recurring_fee, price.setup_fee),
            ("wholesale", 0.03, 6, 0),
        )

    def test_a_pooled_price_stays_of_what_adds_up(self):
        self._create_wholesale(unit_price=0.02)
        with self.assertRaisesRegex(ValidationError, "highest or last value"):
            self.feature.aggregation = "max"

    def test_what_does_not_go_together_is_refused(self):
        rules = self.env["reseller.price.rule"]
        peak = self._create_feature("peak", aggregation="max")
        vals = {"feature_id": self.feature.id, "unit_price": 1, "date_from": "2030-01-01"}
        for values, message in (
            ({**vals, "book": "wholesale", "feature_id": peak.id}, "highest or last value"),
            ({**vals, "book": "wholesale", "client_id": self.client_a.id}, "a client's account"),
            ({**vals, "client_id": self.buyer.id}, "its prices are wholesale"),
            ({**vals, "book": "wholesale", "reseller_id": self.reseller.id}, "of a house"),
            ({**vals, "book": "wholesale", "group_id": self.group.id}, "of a house"),
        ):
            with self.assertRaisesRegex(ValidationError, message), self.env.cr.savepoint():
                rules.create(values)
        with self.assertRaisesRegex(UserError, "buys already"), self.env.cr.savepoint():
            self._have_buy(self.reseller)
        clients = self.env["reseller.client"]
        vals = {"partner_id": self.reseller.partner_id.id, "buys_for_id": self.reseller.id}
        other = self._create_reseller("R2")
        with (
            self.assertRaisesRegex(ValidationError, "Reseller R2 → Reseller R2"),
            self.env.cr.savepoint(),
        ):
            clients.create({**vals, "buys_for_id": other.id, "reseller_id": other.id, "ref": "x"})
        with self.assertRaisesRegex(ValidationError, "provider's house"), self.env.cr.savepoint():
            clients.create(
                {**vals, "buys_for_id": other.id, "reseller_id": self.reseller.id, "ref": "x"}
            )
        with (
            self.assertRaisesRegex(ValidationError, "already: close that one"),
            self.env.cr.savepoint(),
        ):
            clients.create({**vals, "reseller_id": self.house.id, "ref": "x"})
        euro = self.env.ref("base.EUR")
        euro.active = True
        abroad = self._create_reseller("E", currency_id=euro.id)
        with self.assertRaisesRegex(ValidationError, "is billed in EUR"), self.env.cr.savepoint():
            clients.create(
                {**vals, "buys_for_id": abroad.id, "reseller_id": self.house.id, "ref": "x"}
            )
        with (
            self.assertRaisesRegex(ValidationError, "invoices go to nobody else"),
            self.env.cr.savepoint(),
        ):
            self.reseller.invoice_to = "client"
        with self.assertRaisesRegex(UserError, "stays with its seller"), self.env.cr.savepoint():
            self.buyer.action_move_to_reseller(
                other, self.env["reseller.client.group"], "2024-02-01"
            )

    def test_billed_days_of_a_buyer_stay(self):
        self._create_wholesale(unit_price=0.02)
        self.client_a.interval_count = 3
        self._use("2024-01-20", 100)
        self._bill_buyer("2024-02-01")
        self.assertLess(self.client_a.billed_until, self._day("2024-01-01"))
        # Another group changes nothing of what the buyer paid for, though its rows end and begin anew.
        self.client_a.action_move_to_group(self.group, "2024-01-10")
        for change in (
            lambda: self.client_a.action_close("2024-01-15"),
            lambda: self.client_a.membership_ids.filtered("date_to").write(
                {"date_from": "2024-01-03"}
            ),
        ):
            with (
                self.assertRaisesRegex(ValidationError, "first free day is 2024-02-01"),
                self.env.cr.savepoint(),
            ):
                change()
        # What comes in is late use.
        late = self._create_client("C", start="2024-01-10")
        self._use("2024-01-15", 50, client="C")
        self.assertEqual(self._bill_buyer("2024-03-01").amount_total, 1)
        with (
            self.assertRaisesRegex(UserError, "is served on 2024-03-16"),
            self.env.cr.savepoint(),
        ):
            self.buyer.action_close("2024-03-15")
        for client in self.client_a | self.client_b | late:
            client.action_close("2024-03-10")
        self.buyer.action_close("2024-03-10")
        with self.assertRaisesRegex(UserError, "buys nothing on that day"), self.env.cr.savepoint():
            # The account closes with its final bill.
            self._run("2024-05-01")
            self._create_client("D", start="2024-05-01")

    def test_how_it_is_settled_stays_once_something_is_billed(self):
        for vals in ({"settlement": "none"}, {"settlement_date": "2024-06-01"}):
            with (
                self.assertRaisesRegex(ValidationError, "settled so already"),
                self.env.cr.savepoint(),
            ):
                self.reseller.write(vals)

    def test_who_owes_is_felt_beneath_by_one_ladder(self):
        """W3: the buyer's account follows the reseller's policy, and its clients feel it after its days."""
        policy = self.env.ref("reseller_billing.lockout_policy_reseller")
        policy.write({"reaches_clients": True, "reaches_clients_days": 0})
        self.reseller.own_lockout_policy_id = policy
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-20", 100)
        bill = self._bill_buyer("2024-02-01")
        self.env["reseller.lockout"]._evaluate(self.buyer | self.client_a)
        self.assertEqual(self.buyer.lockout_state, "locked")
        self.assertEqual(self.client_a.lockout_state, "clear")
        self.assertFalse(self.client_a.authorize("unit", 1)["allowed"])
        self.env["reseller.lockout"]._evaluate(self.reseller)
        self.assertEqual(self.reseller.lockout_state, "clear")
        journal = self.company_data["default_journal_bank"]
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=bill.invoice_id.ids
        ).create({"journal_id": journal.id})._create_payments()
        self.env.flush_all()
        self.env["reseller.lockout"]._evaluate(self.buyer)
        self.assertTrue(self.client_a.authorize("unit", 1)["allowed"])


class TestBecomingABuyer(ResellerBillingCommon):
    """A reseller whose clients were invoiced buys from a day on (wholesale W12)."""

    def test_days_before_are_settled_as_they_were(self):
        self._create_rule(unit_price=0.05, recurring_fee=31, fee_timing="advance")
        self._create_rule(book="wholesale", unit_price=0.02)
        self._use("2024-01-10", 100)
        self._use("2024-02-10", 100)
        self._run("2024-02-01")
        make = {"reseller_id": self.reseller.id}
        with (
            self.assertRaisesRegex(ValidationError, "billed until 2024-02-29: choose a later day"),
            self.env.cr.savepoint(),
        ):
            dialog = self.env["reseller.buyer.make"].create({**make, "date": "2024-02-01"})
            dialog.action_make()
        # In the middle of the cycle of February, whose fee is paid for 29 days: 14 are given back.
        dialog = self.env["reseller.buyer.make"].create({**make, "date": "2024-02-16"})
        buyer = self.env["reseller.client"].browse(dialog.action_make()["res_id"])
        self._use("2024-02-20", 300)
        self._run("2024-02-16")
        bill = self._statement(self.client_a, "2024-02-16")
        by_paper = {False: 0, True: 0}
        for charge in bill.charge_ids:
            by_paper[charge.is_paper] += charge.amount
        # 100 × 0.05 less 31.00 × 14 ÷ 29; on paper the fee of a cycle of its own.
        self.assertEqual(
            {key: round(amount, 2) for key, amount in by_paper.items()}, {False: -9.97, True: 31}
        )
        self.assertEqual((bill.is_paper, bill.paper_total), (False, 31))
        self.assertEqual(bill.invoice_id.move_type, "out_refund")
        self.assertEqual(bill.invoice_id.amount_total, 9.97)
        self._run("2024-03-16")
        paper = self._statement(self.client_a, "2024-03-16")
        self.assertEqual((paper.is_paper, len(paper.invoice_id)), (True, 0))
        self.assertEqual(paper.amount_total, 15 + 31)
        # The buyer pays for what was used since: 300 × 0.02, and nothing of what the client was invoiced for.
        self._run("2024-03-01")
        self.assertEqual(self._statement(buyer, "2024-03-01").amount_total, 6)
        # Late use of January is the provider's, of the 25th of February the reseller's.
        self._use("2024-01-11", 40)
        self._use("2024-02-25", 20)
        self._run("2024-04-16")
        late = self._statement(self.client_a, "2024-04-16")
        self.assertEqual(late.invoice_id.amount_total, 2)
        self.assertEqual(late.invoice_id.partner_id, self.client_a.partner_id)
        self.assertEqual((late.amount_total, late.paper_total), (34, 32))
        bills = self.env["reseller.statement"].search([("client_id", "=", buyer.id)])
        self.assertEqual(round(sum(bills.mapped("amount_total")), 2), 6.4)

    def _buy(self, date):
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": self.reseller.id, "date": date}
        )
        return self.env["reseller.client"].browse(dialog.action_make()["res_id"])

    def test_every_cycle_ends_where_it_begins_to_buy(self):
        """Whenever a cycle was changed, and whoever comes after the dialog: no day is billed twice."""
        self._create_rule(unit_price=0.05)
        self._create_rule(book="wholesale", unit_price=0.02)
        self.client_a.action_change_cycle("2024-01-15", 1, "month", "activation")
        buyer = self._buy("2024-03-01")
        late = self._create_client("L", start="2024-02-10")
        changed = self._create_client("C", start="2024-01-20")
        changed.action_change_cycle("2024-02-20", 1, "month", "activation")
        for client in (self.client_a, late, changed):
            self._use("2024-02-25", 100, client=client.ref)
            self._use("2024-03-05", 300, client=client.ref)
        self._run("2024-05-01")
        for client in (self.client_a, late, changed):
            bills = client.statement_ids
            self.assertEqual(round(sum(bills.invoice_id.mapped("amount_total")), 2), 5, client.ref)
            self.assertEqual(round(sum(bills.mapped("paper_total")), 2), 15, client.ref)
        bought = sum(buyer.statement_ids.mapped("amount_total"))
        self.assertEqual(round(bought, 2), 18)

    def test_a_months_end_knows_days_before_it_buys(self):
        """The dialog of January is for February: January's use is the provider's to accrue."""
        self._create_rule(unit_price=0.05)
        self._create_rule(book="wholesale", unit_price=0.02)
        self._run("2024-01-01")
        self._buy("2024-02-01")
        self._use("2024-01-20", 100)
        self._use("2024-02-20", 1000)
        accounts = self.env["account.account"]
        wizard = self.env["reseller.month.end"].create(
            {
                "date": "2024-01-31",
                "accrued_account_id": accounts.create(
                    {"name": "Accrued", "code": "149000", "account_type": "asset_current"}
                ).id,
                "deferred_account_id": accounts.create(
                    {"name": "Deferred", "code": "249000", "account_type": "liability_current"}
                ).id,
            }
        )
        for day, amount in (("2024-01-31", 5), ("2024-02-29", 25)):
            wizard.date = day
            wizard.action_compute()
            # 100 × 0.05; in February those, not billed yet, and 1,000 × 0.02.
            self.assertEqual(sum(wizard.line_ids.mapped("accrued")), amount, day)

    def test_who_was_settled_otherwise_or_buys_those_days_is_refused(self):
        self._create_rule(book="wholesale", unit_price=0.02)
        other = self._create_reseller("R2", settlement="referral", settlement_date="2024-01-01")
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": other.id, "date": "2024-02-01"}
        )
        with self.assertRaisesRegex(ValidationError, "settled otherwise"):
            dialog.action_make()
        buyer = self._buy("2024-01-01")
        self.client_a.action_close("2024-02-29")
        buyer.action_close("2024-02-29")
        self._run("2024-04-01")
        self.assertEqual(buyer.state, "closed")
        with (
            self.assertRaisesRegex(ValidationError, "can buy anew from 2024-03-01"),
            self.env.cr.savepoint(),
        ):
            self._buy("2024-02-15")
        again = self._buy("2024-05-01")
        self.assertEqual((again.ref, again.state), ("R1-2", "active"))
        with (
            self.assertRaisesRegex(UserError, "by two accounts on 2024-05-01"),
            self.env.cr.savepoint(),
        ):
            buyer.action_reopen("2024-04-15")
        with self.assertRaisesRegex(ValidationError, "it stays, and invoices go"):
            buyer.reseller_id.invoice_to = "none"

    def test_days_are_taken_back_where_the_buyer_alone_has_billed(self):
        self._create_rule(unit_price=0.05)
        self._create_rule(book="wholesale", unit_price=0.02)
        buyer = self._buy("2024-01-01")
        self.client_a.interval_count = 3
        self._use("2024-01-10", 100)
        self._use("2024-01-20", 50)
        self._run("2024-02-01")
        self.assertEqual(self._statement(buyer, "2024-02-01").amount_total, 3)
        self.client_a.action_close("2024-01-15", dated_back=True)
        self._run("2024-03-01")
        # What was used after its end is given back.
        self.assertEqual(self._statement(buyer, "2024-03-01").amount_total, -1)

    def test_what_it_owed_before_it_bought_it_owes_still(self):
        """Invoiced for its clients and locked, a reseller buys: the debt and the lock stay, clients see none of it."""
        policy = self.env.ref("reseller_billing.lockout_policy_reseller")
        self.reseller.write({"invoice_to": "reseller", "own_lockout_policy_id": policy.id})
        self._create_rule(unit_price=0.05)
        self._create_rule(book="wholesale", unit_price=0.02)
        self._use("2024-01-10", 100)
        self._run("2024-02-01")
        before = self._statement(self.client_a, "2024-02-01")
        lockouts = self.env["reseller.lockout"]
        lockouts._evaluate(self.reseller)
        self.assertEqual(self.reseller.lockout_state, "locked")
        buyer = self._buy("2024-03-01")
        self._use("2024-03-10", 100)
        self._run("2024-04-01")
        lockouts._evaluate(self.reseller)
        lockouts._evaluate(buyer)
        # 5.00 of January, and 2.00 by the buyer's own ladder: no debt stands on two.
        self.assertEqual((self.reseller.lockout_ids.owed, buyer.lockout_ids.owed), (5, 2))
        shown = self.client_a._get_own_statements()
        self.assertNotIn(before, shown)
        self.assertIn(self._statement(self.client_a, "2024-04-01"), shown)

    def test_a_closed_buyer_gets_no_bill_for_what_nothing_prices(self):
        peak = self._create_feature("peak", aggregation="max")
        buyer = self._buy("2024-01-01")
        self._use("2024-01-10", 5, "peak")
        self._use("2024-01-10", 5)
        self.client_a.action_close("2024-01-20")
        buyer.action_close("2024-01-20")
        for date in ("2024-02-01", "2024-03-01", "2024-04-01"):
            self._run(date)
        buyer.sudo().next_bill_date = False  # as when no late use can come any more
        days = self.env["reseller.usage.daily"]
        days._expect_bills()
        self.assertFalse(buyer.next_bill_date)
        self._create_rule(peak, unit_price=1)
        self._run("2024-05-01")
        # What counts by its highest value has no wholesale price: nobody looks for it.
        bucket = days.search([("feature_id", "=", peak.id)])
        days._settle((self.client_a | buyer).ids)
        self.assertEqual((bucket.is_pending, bucket.is_unpriced_wholesale), (False, False))


class TestPaidAhead(PrepaidCommon):
    def test_who_has_paid_ahead_is_named(self):
        self._sell("2024-01-05")
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": self.reseller.id, "date": "2024-02-01"}
        )
        with (
            freeze_time("2024-01-10"),
            self.assertRaisesRegex(ValidationError, r"Client A \[A\] has money or units left"),
        ):
            dialog.action_make()

    def test_nothing_is_sold_ahead_between_the_dialog_and_its_day(self):
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": self.reseller.id, "date": "2024-03-01"}
        )
        dialog.action_make()
        self.package.reseller_in_portal = True
        with freeze_time("2024-02-10 12:00:00"):
            self.assertFalse(self.client_a._get_packages_on_paper())
            with self.assertRaisesRegex(UserError, "package that is offered"):
                self.client_a._sell_on_paper(self.package, 0)
            with self.assertRaisesRegex(UserError, "nothing is sold ahead"):
                self._sell("2024-02-10")
        with freeze_time("2024-03-10 12:00:00"):
            self.assertEqual(self.client_a._get_packages_on_paper(), self.package)
            self.package.reseller_release = "invoiced"
            self.client_a._sell_on_paper(self.package, 45)
        [lot] = self.client_a.prepaid_lot_ids
        self.assertEqual(lot.state, "waiting")

    def test_a_block_of_messages_is_there_once_its_paper_is_ticked(self):
        """A white-label client pays its reseller ahead: outside the ledger, and before it may send."""
        dialog = self.env["reseller.buyer.make"].create(
            {"reseller_id": self.reseller.id, "date": "2024-01-01"}
        )
        buyer = self.env["reseller.client"].browse(dialog.action_make()["res_id"])
        self._create_rule(book="wholesale", unit_price=0.02)
        moves = self.env["account.move"].search_count([])

        def sell(day):
            with freeze_time(f"{day} 12:00:00"):
                item = self.env["reseller.manual.charge"].create(
                    {
                        "client_id": self.client_a.id,
                        "product_id": self.package.id,
                        "name": "100 units",
                        "date": day,
                        "quantity": 1,
                        "unit_price": 50,
                    }
                )
                item.action_bill_now()
            lot = self.env["reseller.prepaid.lot"].search(
                [("charge_id.manual_charge_id", "=", item.id)]
            )
            return item.statement_id, lot

        with freeze_time("2024-01-10 12:00:00"):
            paper, lot = sell("2024-01-10")
            self.assertEqual((paper.is_paper, paper.paper_total), (True, 50))
            self.assertEqual((lot.state, lot.left, lot.cost), ("waiting", 0, 0))
            self.client_a.prepaid_only = True
            self.assertFalse(self.client_a.authorize("unit", 1)["allowed"])
            paper.action_mark_paid()
            self.assertEqual((lot.state, lot.left), ("open", 100))
            self.assertTrue(self.client_a.authorize("unit", 1)["allowed"])
            paper.action_mark_unpaid()
            self.assertEqual((lot.state, lot.left), ("waiting", 0))
            paper.action_mark_paid()
            self.assertLot(lot, 100, 0)
        self._use("2024-01-11", 30)
        self._run("2024-02-01")
        self.assertEqual(self._statement(self.client_a, "2024-02-01").amount_total, 0)
        self.assertEqual(self._statement(buyer, "2024-02-01").amount_total, 0.6)
        self.assertLot(lot, 70, 0)
        with self.assertRaisesRegex(UserError, "used in part: its paper stays paid"):
            paper.action_mark_unpaid()
        # The buyer's invoice alone: what its client paid it is in no ledger.
        self.assertEqual(self.env["account.move"].search_count([]), moves + 1)
        self.reseller.paper_release = "at_once"
        _paper, lot = sell("2024-02-05")
        self.assertEqual((lot.state, lot.left), ("open", 100))
        with self.assertRaisesRegex(UserError, "no paper that stands"):
            self._statement(buyer, "2024-02-01").action_mark_paid()
