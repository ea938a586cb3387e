from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

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
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.env.cr.savepoint():
            clients.create({**vals, "reseller_id": self.house.id, "ref": "x"})
            self.env.flush_all()
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
        with self.assertRaisesRegex(UserError, "is served after"), self.env.cr.savepoint():
            self.buyer.action_close("2024-03-15")
        for client in self.client_a | self.client_b | late:
            client.action_close("2024-03-10")
        self.buyer.action_close("2024-03-10")
        with self.assertRaisesRegex(UserError, "no open buyer's account"), self.env.cr.savepoint():
            # The account closes with its final bill.
            self._run("2024-05-01")
            self._create_client("D", start="2024-05-01")

    def test_how_it_is_settled_stays_once_something_is_billed(self):
        self.reseller.settlement_date = "2023-12-01"
        self._create_wholesale(unit_price=0.02)
        self._use("2024-01-20", 100)
        self._bill_buyer("2024-02-01")
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
            self.assertRaisesRegex(ValidationError, "billed until 2024-02-01: choose a later day"),
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
