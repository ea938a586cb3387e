from freezegun import freeze_time
from odoo import Command, fields
from odoo.exceptions import UserError

from .common_wallet import WalletCommon


class TestWalletBooks(WalletCommon):
    """What an accountant has of wallets: an account that agrees, currencies, replaced invoices."""

    def test_without_accounts_nothing_is_lost(self):
        self.company.reseller_bonus_account_id = False
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(10, bonus=1)
        self._use("2024-01-10", 30)
        run = self._run("2024-02-01")
        [parked] = run.parked_line_ids
        self.assertIn("choose them in the settings", parked.reason)
        self.assertEqual(self.client_a.wallet_balance, 11)
        self.company.reseller_bonus_account_id = self.bonus
        run.action_retry_parked()
        while run._process_batch():
            pass
        self.assertEqual(
            self._statement(self.client_a, "2024-02-01").invoice_id.amount_residual, 19
        )
        self.assertBooks()

    def test_a_difference_is_told(self):
        self._pay_in(10)
        check = self.env["reseller.wallet.check"].sudo()  # as the scheduled action
        check._cron_check()
        self.assertFalse(self.client_a.activity_ids)
        self.env["account.move"].create(
            {
                "journal_id": self.company.reseller_wallet_journal_id.id,
                "line_ids": [
                    Command.create({"account_id": self.deposit.id, "debit": 0.01}),
                    Command.create({"account_id": self.bonus.id, "credit": 0.01}),
                ],
            }
        ).action_post()
        check._cron_check()
        self.assertIn("differ", self.client_a.activity_ids.summary)
        self.assertIn("9.99", self.client_a.activity_ids.note)
        row = self.env["reseller.wallet.check"].search([("company_id", "=", self.company.id)])
        self.assertEqual((row.cost_left, row.owed, row.difference), (10, 9.99, 0.01))

    def test_an_accountants_month(self):
        """The trial balance of January to March, worked out by hand.

        Paid in 200.00 with a bonus of 20.00, valid until 15 February, and 50.00 without an end.
        January's use, 66.00: drawn from the first lot, of which 200 × 66 / 220 = 60.00 are cost.
        February's use, 100.00: drawn from it as well, cost 200 × 100 / 220 = 90.91 (left 54: cost
        49.09); these 49.09 expire. March's use, 80.00: 50.00 drawn from the second lot; of the 30.00
        that are left the client pays 10.00. Then 40.00 are paid in, 15.00 of them taken out by
        hand, and 25.00 refunded. The bank shows 200 + 50 + 10 + 40 in, and 25 out.
        """
        bank = self.company_data["default_journal_bank"]
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(200, bonus=20, until="2024-02-15")
            self._pay_in(50)
        self._bill_use("2024-01-10", 66, "2024-02-01")
        self.assertBooks()
        self._bill_use("2024-02-10", 100, "2024-03-01")
        self.assertBooks()
        march = self._bill_use("2024-03-10", 80, "2024-04-01").invoice_id
        self.assertEqual(march.amount_residual, 30)
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=march.ids
        ).create({"amount": 10, "journal_id": bank.id})._create_payments()
        with freeze_time("2024-04-05 12:00:00"):
            self._pay_in(40)
            self._ask("debit", amount=15)
            self._ask("refund")
        self.assertBooks()
        self.assertEqual(self._left(), [(0, 0), (0, 0), (0, 0)])
        receivable = self.client_a.partner_id.property_account_receivable_id
        # The refund is an open credit, that pays nothing by itself; it is paid out.
        [credit] = self.env["account.move.line"].search(
            [
                ("account_id", "=", receivable.id),
                ("parent_state", "=", "posted"),
                ("amount_residual", "<", 0),
            ]
        )
        payment = self.env["account.payment"].create(
            {
                "amount": 25,
                "payment_type": "outbound",
                "partner_type": "customer",
                "partner_id": self.client_a.partner_id.id,
                "journal_id": bank.id,
            }
        )
        payment.action_post()
        (
            credit | payment.move_id.line_ids.filtered(lambda line: line.account_id == receivable)
        ).reconcile()
        self.assertEqual(self.client_a.open_balance, 20)
        # The bank's statement, reconciled with the payments.
        outstanding = self.env["account.payment"].search([]).mapped("outstanding_account_id")
        for line in self.env["account.move.line"].search(
            [("account_id", "in", outstanding.ids), ("parent_state", "=", "posted")]
        ):
            entry = self.env["account.bank.statement.line"].create(
                {
                    "journal_id": bank.id,
                    "date": "2024-04-10",
                    "amount": line.balance,
                    "payment_ref": line.name,
                    "partner_id": self.client_a.partner_id.id,
                }
            )
            _liquidity, suspense, _other = entry._seek_for_lines()
            entry.with_context(force_delete=True, skip_readonly_check=True).move_id.line_ids = [
                Command.update(suspense.id, {"account_id": line.account_id.id})
            ]
            (line | suspense).reconcile()
        income = self.env["account.move.line"].search([("charge_id", "!=", False)]).account_id
        self.assertEqual(
            {
                "bank": self._balance(bank.default_account_id),
                "outstanding": sum(map(self._balance, outstanding)),
                "receivable": self._balance(receivable),
                "deposits": self._balance(self.deposit),
                "revenue": self._balance(income),
                "bonuses": self._balance(self.bonus),
                "breakage": self._balance(self.breakage),
            },
            {
                "bank": 275.0,
                "outstanding": 0.0,
                "receivable": 20.0,
                "deposits": 0.0,
                "revenue": -246.0,
                # 66.00 - 60.00 and 100.00 - 90.91
                "bonuses": 15.09,
                # 49.09 that expired and 15.00 by hand
                "breakage": -64.09,
            },
        )

    def test_deposits_in_a_foreign_currency_move_at_the_rate_at_which_they_came(self):
        # One unit of it is 0.90, then 0.95, 0.85 and 0.80 of the company's.
        rates = [
            ("2024-01-01", 0.90),
            ("2024-02-01", 0.95),
            ("2024-03-01", 0.85),
            ("2024-03-10", 0.80),
        ]
        foreign = self.setup_other_currency("EUR", rates=[(day, 1 / rate) for day, rate in rates])
        abroad = self._create_reseller("F", currency_id=foreign.id)
        self._create_rule(unit_price=1, currency_id=foreign.id)
        client = self._create_client("F", reseller_id=abroad.id)

        def balances():
            lines = self.env["account.move.line"].search(
                [("account_id", "=", self.deposit.id), ("parent_state", "=", "posted")]
            )
            return round(sum(lines.mapped("amount_currency")), 2), round(
                sum(lines.mapped("balance")), 2
            )

        with freeze_time("2024-01-05 12:00:00"):
            payment = self.env["account.payment"].create(
                {
                    "amount": 200,
                    "currency_id": foreign.id,
                    "date": "2024-01-05",
                    "payment_type": "inbound",
                    "partner_type": "customer",
                    "partner_id": client.partner_id.id,
                    "journal_id": self.company_data["default_journal_bank"].id,
                }
            )
            payment.action_post()
            line = payment.move_id.line_ids._get_open_receivables()
            self.env["reseller.wallet.request"].create(
                {
                    "client_id": client.id,
                    "kind": "payment",
                    "reason": "Paid",
                    "payment_line_id": line.id,
                }
            ).action_do()
        self.assertEqual(balances(), (-200, -180))
        self._use("2024-01-10", 100, client="F")
        self._use("2024-02-10", 50, client="F")
        self._run("2024-02-01")
        # 100.00 at 0.90 pay an invoice of 95.00: Odoo books the 5.00.
        self.assertEqual(balances(), (-100, -90))
        self.assertFalse(self.env["reseller.wallet.check"].search([("is_different", "=", True)]))
        first = self._statement(client, "2024-02-01").invoice_id
        self.assertEqual(first.payment_state, "paid")
        self._run("2024-03-01")
        self.assertEqual(balances(), (-50, -45))
        with freeze_time("2024-03-10 12:00:00"):
            self.env["reseller.wallet.request"].create(
                {"client_id": client.id, "kind": "refund", "reason": "Back"}
            ).action_do()
        self.assertEqual(balances(), (0, 0))
        self.assertFalse(self.env["reseller.wallet.check"].search([("is_different", "=", True)]))
        # A bill that is void gives back what it drew, as it drew it.
        self._statement(client, "2024-03-01")._void_by_credit_note(
            fields.Date.to_date("2024-03-15")
        )
        self.assertEqual(balances(), (-50, -45))
        self.assertFalse(self.env["reseller.wallet.check"].search([("is_different", "=", True)]))
        exchange = self.company.income_currency_exchange_account_id
        lost = self.company.expense_currency_exchange_account_id
        items = self.env["account.move.line"].search(
            [("account_id", "in", (exchange | lost).ids), ("parent_state", "=", "posted")]
        )
        # The first bill gained nothing: 90.00 of deposits for an invoice of 95.00 is 5.00 of loss.
        of_first = items.filtered(lambda one: str(one.date) < "2024-03-01")
        self.assertEqual(round(sum(of_first.mapped("balance")), 2), 5)

    def test_what_the_wallet_paid_pays_the_invoice_that_replaces_the_bills(self):
        rounding = self.env["account.cash.rounding"].create(
            {
                "name": "To 5.00",
                "rounding": 5,
                "strategy": "add_invoice_line",
                "profit_account_id": self.breakage.id,
                "loss_account_id": self.breakage.id,
                "rounding_method": "DOWN",
            }
        )
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100, bonus=10)
        self._use("2024-01-10", 33)
        self._run("2024-02-01")
        self.assertEqual(self._left(), [(77, 70)])
        statement = self._statement(self.client_a, "2024-02-01")
        first = statement.invoice_id
        with freeze_time("2024-02-10 12:00:00"):
            same = self._replace(statement)
            self.assertEqual((first.payment_state, same.payment_state), ("reversed", "paid"))
            self.assertEqual(self._left(), [(77, 70)])
            # 33.00 become 30.00: the 3.00 are in the wallet again, 2.73 of them paid in.
            other = self._replace(statement, rounding)
            self.assertEqual((other.amount_total, other.payment_state), (30, "paid"))
        self.assertEqual(self._left(), [(80, 72.73)])
        self.assertEqual(self.client_a.open_balance, 0)
        self.assertBooks()
        # What it has paid stays paid when it is to pay nothing any more.
        self.client_a.wallet_use = "never"
        with freeze_time("2024-02-15 12:00:00"):
            other.button_draft()
            other.action_post()
        self.assertEqual((other.payment_state, self._left()), ("paid", [(80, 72.73)]))
        # Void, all that was drawn is there again.
        with freeze_time("2024-02-20 12:00:00"):
            statement._void_by_credit_note(fields.Date.to_date("2024-02-20"))
        self.assertEqual(self._left(), [(110, 100)])
        self.assertEqual((other.payment_state, self.client_a.open_balance), ("reversed", 0))
        self.assertBooks()

    def test_a_replacement_for_another_payer_is_not_paid_by_the_wallet(self):
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100, bonus=10)
        self._use("2024-01-10", 33)
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        other = self.env["res.partner"].create({"name": "Other"})
        with freeze_time("2024-02-10 12:00:00"):
            invoice = statement.invoice_id
            wizard = self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            )
            # A day to come would leave two documents of one period in the books.
            wizard.date = "2024-03-01"
            with self.assertRaisesRegex(UserError, "an earlier day"), self.env.cr.savepoint():
                wizard.modify_moves()
            wizard.date = "2024-02-10"
            wizard.modify_moves()
            statement.invoice_id.partner_id = other
            statement.invoice_id.action_post()
        # 33.00 are the other's to pay, and in the wallet again.
        self.assertEqual(statement.invoice_id.payment_state, "not_paid")
        self.assertEqual(self._left(), [(110, 100)])
        self.assertEqual(self.client_a.open_balance, 0)
        self.assertBooks()

    def test_a_replacement_is_paid_as_far_as_the_client_chose(self):
        # Metered use alone: 30.00 of 41.00; the fee of 11.00 is owed.
        self.client_a.wallet_use = "usage"
        fee = self._create_feature("fee", aggregation="sum")
        self._create_rule(name="fee", feature=fee, recurring_fee=11, fee_timing="arrears")
        tax = self._create_owed_tax(10, self.deposit.copy({"name": "Tax"}))
        self.product.taxes_id = tax
        with freeze_time("2024-01-01 12:00:00"):
            self._pay_in(100)
        self._use("2024-01-10", 30)
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(statement.invoice_id.amount_total, 45.1)
        self.assertEqual(self._left(), [(67, 67)])
        with freeze_time("2024-02-10 12:00:00"):
            invoice = statement.invoice_id
            self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            ).modify_moves()
            statement.invoice_id.invoice_line_ids.tax_ids = False
            statement.invoice_id.action_post()
        self.assertEqual(statement.invoice_id.amount_residual, 11)
        self.assertEqual(self._left(), [(70, 70)])
        self.assertBooks()
