from freezegun import freeze_time
from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user

from .common_wallet import WalletCommon


class TestWallet(WalletCommon):
    """Money that clients have ahead, from its payment to its last cent."""

    def test_a_lot_gives_up_its_cost_in_the_proportion_of_its_use(self):
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100, bonus=10)
        self.assertEqual(self.client_a.wallet_balance, 110)
        # Left 80: 100 × 80 / 110 = 72.727…; left 50: 45.454…; left 20: 18.181…
        shown = []
        for month in (2, 3, 4, 5):
            statement = self._bill_use(f"2024-{month - 1:02}-10", 30, f"2024-{month:02}-01")
            shown.append(
                (self._left()[0], statement.invoice_id.amount_residual, self._balance(self.bonus))
            )
            self.assertAgrees(statement)
            self.assertBooks()
        self.assertEqual(
            shown,
            [
                ((80, 72.73), 0, 2.73),
                ((50, 45.45), 0, 5.45),
                ((20, 18.18), 0, 8.18),
                ((0, 0), 10, 10),
            ],
        )
        entry = self.client_a.wallet_lot_ids.entry_ids.sorted("id")[-1]
        self.assertEqual((entry.kind, entry.statement_id), ("draw", statement))
        self.assertEqual(
            sorted((line.account_id, line.balance) for line in entry.move_id.line_ids),
            sorted(
                [
                    (self.deposit, 18.18),
                    (self.bonus, 1.82),
                    (self.client_a.partner_id.property_account_receivable_id, -20),
                ]
            ),
        )

    def test_lots_are_drawn_by_priority_then_expiry_then_age(self):
        with freeze_time("2024-01-01 12:00:00"):
            last = self._pay_in(10)
            soon = self._pay_in(10, until="2024-06-30")
            sooner = self._pay_in(10, until="2024-03-31")
            client = self.client_a
            given = client._give_to_wallet(10, "Sorry", "sorry")
            first = (
                self.env["reseller.wallet.lot"]
                .sudo()  # no way in sets a priority yet
                ._grant(
                    client,
                    {
                        "kind": "gift",
                        "reason": "Fair",
                        "key": "fair",
                        "date": "2024-01-01",
                        "granted": 10,
                        "priority": 1,
                    },
                )
            )
        statement = self._bill_use("2024-01-10", 35, "2024-02-01")
        entries = self.env["reseller.wallet.entry"].search([("statement_id", "=", statement.id)])
        self.assertEqual(
            [(entry.lot_id, entry.amount) for entry in entries.sorted("id")],
            [(first, -10), (sooner, -10), (soon, -10), (last, -5)],
        )
        self.assertEqual(given.left, 10)
        self.assertEqual(statement.invoice_id.payment_state, "paid")
        self.assertBooks()

    def test_what_the_wallet_pays_for_is_the_clients_choice(self):
        fee = self._create_feature("fee")
        self._create_rule(fee, recurring_fee=40, fee_timing="advance", proration="none")
        tax = self.env["account.tax"].create({"name": "10 %", "amount": 10})
        self.product.taxes_id = tax
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(1000)
        for use, left in (("usage", 44), ("never", 66), ("always", 0)):
            self.client_a.wallet_use = use
            day = self.client_a.next_bill_date
            if use == "usage":
                self.client_a.wallet_use = "never"
                self._run(day)  # the opening bill has fees alone
                self.client_a.wallet_use = use
                day = self.client_a.next_bill_date
            # 20 units and a fee of 40.00, with tax 22.00 and 44.00.
            statement = self._bill_use(fields.Date.subtract(day, days=5), 20, day)
            self.assertEqual(statement.invoice_id.amount_residual, left, use)
        self.assertBooks()

    def test_a_lot_that_ends_in_a_bills_period_is_drawn_and_then_expires(self):
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100, bonus=20, until="2024-01-15")
            self._ask("gift", amount=5, date_until="2024-01-31")
        statement = self._bill_use("2024-01-20", 30, "2024-02-01")
        # 30 of 120 are 25.00 of the cost; the rest, 75.00, is income.
        self.assertEqual(self._left(), [(0, 0), (0, 0)])
        self.assertEqual(self._balance(self.breakage), -75)
        self.assertEqual(self._balance(self.bonus), 5)
        self.assertBooks()
        # A void bill takes none of it: nothing is drawn, and nothing has expired.
        statement.invoice_id.button_cancel()
        self.assertEqual(self._left(), [(120, 100), (5, 0)])
        self.assertEqual(self._balance(self.breakage), 0)
        self.assertBooks()
        self._run("2024-02-01")
        self.assertEqual(self._left(), [(0, 0), (0, 0)])
        self.assertEqual(self._balance(self.breakage), -75)
        self.assertBooks()

    def test_a_bill_by_hand_has_nothing_expire_that_a_later_bill_may_draw(self):
        self._run("2024-01-01")
        with freeze_time("2024-01-02 12:00:00"):
            self._pay_in(100, until="2024-01-15")
        with freeze_time("2024-01-20 12:00:00"):
            item = self.env["reseller.manual.charge"].create(
                {
                    "client_id": self.client_a.id,
                    "name": "Visit",
                    "unit_price": 5,
                    "date": "2024-01-20",
                }
            )
            item.action_bill_now()
        self.assertEqual(self._left(), [(100, 100)])
        self._bill_use("2024-01-10", 30, "2024-02-01")
        self.assertEqual((self._left(), self._balance(self.breakage)), ([(0, 0)], -70))
        self.assertBooks()

    def test_nobodys_money_pays_anothers_debt(self):
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100)
            self._ask("gift", amount=5)
        # From now on the reseller pays for the account.
        self.reseller.invoice_to = "reseller"
        invoice = self._bill_use("2024-01-10", 30, "2024-02-01").invoice_id
        self.assertEqual(invoice.partner_id, self.reseller.partner_id)
        self.assertEqual(invoice.amount_residual, 25, "of what was given alone")
        self.assertEqual(self._left(), [(100, 100), (0, 0)])
        self.assertEqual(self.client_a.wallet_balance, 0)
        with self.assertRaisesRegex(UserError, "holds"):
            self._ask("debit", amount=1)
        self._ask("refund")
        self.assertBooks()
        [credit] = self.env["account.move.line"].search(
            [
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("amount_residual", "<", 0),
            ]
        )
        self.assertEqual(
            (credit.partner_id, credit.amount_residual), (self.client_a.partner_id, -100)
        )

    def test_the_deposit_account_stays_while_it_owes_anything(self):
        other = self.deposit.copy({"code": "299101"})
        self._pay_in(10)
        with self.assertRaisesRegex(UserError, "10.00 ahead on this account"):
            self.company.reseller_deposit_account_id = other
        self._ask("refund")
        self.company.reseller_deposit_account_id = other

    def test_entries_of_wallets_stay_with_them(self):
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100, bonus=10)
        self._bill_use("2024-01-10", 110, "2024-02-01")
        entries = self.env["reseller.wallet.entry"].search([("move_id", "!=", False)])
        self.assertEqual(len(entries.move_id), 2)
        for move in entries.move_id:
            for act in (move.button_draft, move.button_cancel, move._reverse_moves):
                with self.assertRaisesRegex(UserError, "belongs to a wallet"):
                    act()
        # A draw that was freed of its invoice is no payment.
        draw = entries.filtered(lambda one: one.kind == "draw").move_id
        draw.line_ids.remove_move_reconcile()
        with self.assertRaisesRegex(UserError, "open payment"):
            self._ask("payment", payment_line_id=draw.line_ids._get_open_receivables().id)

    def test_approval_is_not_given_by_a_context(self):
        self.company.reseller_wallet_limit = 100
        other = self.env.ref("base.user_admin")
        request = (
            self.env["reseller.wallet.request"]
            .with_context(default_state="waiting", default_asked_by_id=other.id)
            .create(
                {"client_id": self.client_a.id, "kind": "gift", "amount": 1000, "reason": "mine"}
            )
        )
        request.action_approve()
        self.assertEqual((request.state, self.client_a.wallet_balance), ("draft", 0))

    def test_a_reviewed_run_draws_when_it_posts(self):
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100)
        self._run("2024-01-01")
        self._use("2024-01-20", 30)
        run = self.env["reseller.billing.run"].create({"date": "2024-02-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        self.assertEqual(self._left(), [(100, 100)])
        run.action_approve()
        while run._process_batch():
            pass
        self.assertEqual(self._left(), [(70, 70)])
        self.assertEqual(self._statement(self.client_a, "2024-02-01").invoice_id.amount_residual, 0)
        self.assertBooks()

    def test_a_payment_is_put_in_once_and_only_an_open_one_of_the_payer(self):
        line = self._receive(50)
        self._ask("payment", payment_line_id=line.id)
        self.assertEqual(line.amount_residual, 0)
        with self.assertRaisesRegex(UserError, "open payment of Client A"):
            self._ask("payment", payment_line_id=line.id)
        other = self._create_client("B")
        with self.assertRaisesRegex(UserError, "open payment of Client A"):
            self._ask("payment", payment_line_id=self._receive(50, other).id)
        self.assertEqual(self.client_a.wallet_balance, 50)
        # The bank takes the money back: what was put in is owed.
        line.payment_id.action_cancel()
        self.assertEqual(self.client_a.open_balance, 50)
        self.assertBooks()

    def test_large_amounts_wait_for_a_second_person(self):
        self.company.reseller_wallet_limit = 100
        self.assertEqual(self._ask("gift", amount=100).state, "done")
        request = self._ask("gift", amount=100.01)
        self.assertEqual((request.state, self.client_a.wallet_balance), ("waiting", 100))
        with self.assertRaisesRegex(AccessError, "Another person"):
            request.action_approve()
        manager = new_test_user(
            self.env,
            "second",
            "base.group_user,reseller_billing.group_billing_manager",
            company_id=self.company.id,
            company_ids=[Command.set(self.company.ids)],
        )
        for vals in ({"amount": 5}, {"state": "draft"}, {"asked_by_id": manager.id}):
            with self.assertRaises(UserError):
                request.write(vals)
        request.with_user(manager).action_approve()
        request.with_user(manager).action_approve()
        self.client_a.invalidate_recordset()
        self.assertEqual((request.state, self.client_a.wallet_balance), ("done", 200.01))
        with self.assertRaises(AccessError):
            self.client_a.wallet_lot_ids.with_user(manager).unlink()
        with self.assertRaises(AccessError):
            self.client_a.wallet_lot_ids.entry_ids[0].with_user(manager).amount = 7
        with self.assertRaisesRegex(UserError, "holds"):
            self.company.reseller_wallet_limit = 0
            self._ask("debit", amount=200.02)
