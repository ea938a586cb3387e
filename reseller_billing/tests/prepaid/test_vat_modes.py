from datetime import date

from freezegun import freeze_time
from odoo import Command
from odoo.exceptions import UserError

from ..common import PrepaidCommon


class TestVatModes(PrepaidCommon):
    """What a bonus pays has no tax; what was taxed when it was paid in is not taxed again."""

    def setUp(self):
        super().setUp()
        self.company.reseller_bonus_mode = "price"
        self.vat = self.prepaid.copy({"name": "VAT"})
        self.tax = self._tax(19)
        self.product.taxes_id = self.tax
        self.bonus = self.company.reseller_bonus_account_id

    def _tax(self, rate, **values):
        return self._create_owed_tax(rate, self.vat, **values)

    def _pay_in(self, amount, bonus, day="2024-01-02"):
        with freeze_time(f"{day} 12:00:00"):
            line = self._receive(amount).move_id.line_ids._get_open_receivables()
            return self.client_a._fund_wallet(line, "Paid in", bonus)

    def _receipt(self, price=100, **values):
        return self._create_top_up(
            reseller_vat_mode="receipt", taxes_id=values.pop("taxes", self.tax).ids, **values
        )

    def assertBalances(self, **expected):
        accounts = {
            "vat": self.vat,
            "deposits": self.deposit,
            "income": self.income,
            "bonuses": self.bonus,
            "breakage": self.breakage,
        }
        self.assertEqual({name: self._balance(accounts[name]) for name in expected}, expected)
        self.assertBooks()

    # At use

    def test_a_bonus_lowers_the_bill_and_its_taxes(self):
        # 20.00 and 3.80; of 110.00 that cost 100.00 the 23.80 take 23.80 × 10 ÷ 110 = 2.16 of bonus.
        lot = self._pay_in(100, 10)
        statement = self._bill_use("2024-01-10", 20, "2024-02-01")
        invoice = statement.invoice_id
        self.assertEqual(
            (
                invoice.amount_untaxed,
                invoice.amount_tax,
                invoice.amount_total,
                invoice.payment_state,
            ),
            (18.18, 3.46, 21.64, "paid"),
        )
        bonus = invoice.invoice_line_ids.filtered("reseller_settles")
        self.assertEqual((bonus.name, bonus.price_total), ("Bonus", -2.16))
        self.assertLot(lot, 86.2, 78.36)
        self.assertBalances(vat=-3.46, deposits=-78.36, income=-20, bonuses=1.82)
        # Void by a credit note, all is as it was.
        with freeze_time("2024-02-10 12:00:00"):
            note = statement._void_by_credit_note(date(2024, 2, 10))
        self.assertEqual((note.amount_tax, note.amount_total), (3.46, 21.64))
        self.assertLot(lot, 110, 100)
        self.assertBalances(vat=0, deposits=-100, income=0, bonuses=0)

    def test_a_gift_leaves_no_tax(self):
        with freeze_time("2024-01-02 12:00:00"):
            lot = self.client_a._give_to_wallet(119, "Sorry", "sorry")
        invoice = self._bill_use("2024-01-10", 100, "2024-02-01").invoice_id
        self.assertEqual(
            (invoice.amount_untaxed, invoice.amount_tax, invoice.payment_state), (0, 0, "paid")
        )
        self.assertLot(lot, 0, 0)
        self.assertBalances(vat=0, deposits=0, income=-100, bonuses=100)

    def test_a_bonus_is_divided_by_the_taxes_of_what_it_pays(self):
        other = self._create_feature("other")
        seven = self._tax(7, price_include_override="tax_included")
        other.product_id = self._create_package(
            "Seven", reseller_grants=False, reseller_feature_id=False, taxes_id=seven.ids
        )
        self._create_rule(other, unit_price=10.7)
        self._use("2024-01-10", 10, "other")
        with freeze_time("2024-01-02 12:00:00"):
            self.client_a._give_to_wallet(22.6, "Sorry", "sorry")
        invoice = self._bill_use("2024-01-10", 100, "2024-02-01").invoice_id
        # 119.00 and 107.00, 26.00 of tax; a tenth of it is given: 20.00 net, 1.90 and 0.70.
        self.assertEqual(
            (invoice.amount_untaxed, invoice.amount_tax, invoice.amount_total), (180, 23.4, 203.4)
        )
        self.assertEqual(invoice.amount_residual, 203.4)
        self.assertBalances(vat=-23.4, deposits=0, income=-200, bonuses=20)

    def test_a_bonus_pays_for_metered_use_alone_where_the_client_wants_that(self):
        fee = self._create_feature("fee")
        fee.product_id = self._create_package(
            "Untaxed", reseller_grants=False, reseller_feature_id=False, reseller_untaxed=True
        )
        self._create_rule(fee, recurring_fee=50, fee_timing="arrears")
        self.client_a.wallet_use = "usage"
        with freeze_time("2024-01-02 12:00:00"):
            self.client_a._give_to_wallet(200, "Sorry", "sorry")
        invoice = self._bill_use("2024-01-10", 100, "2024-02-01").invoice_id
        self.assertEqual((invoice.amount_untaxed, invoice.amount_tax), (50, 0))
        self.assertEqual(self.client_a.wallet_balance, 81)

    def test_the_lines_that_lower_a_bill_stay(self):
        self._pay_in(100, 10)
        invoice = self._bill_use("2024-01-10", 200, "2024-02-01").invoice_id
        with freeze_time("2024-02-02 12:00:00"):
            self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            ).modify_moves()
        again = self._statement(self.client_a, "2024-02-01").invoice_id
        self.assertEqual((again.state, again.amount_total), ("draft", invoice.amount_total))
        bonus = again.invoice_line_ids.filtered("reseller_settles")
        for change in ({"price_unit": 0}, {"tax_ids": False}, {"reseller_settles": False}):
            with self.assertRaises(UserError), self.env.cr.savepoint():
                bonus.write(change)
        with self.assertRaises(UserError), self.env.cr.savepoint():
            bonus.unlink()
        again.action_post()
        # It is of no charge by hand.
        statement = again.reseller_statement_id
        self.assertEqual(statement.charge_ids.mapped("kind"), ["usage"])

    def test_the_month_ends_with_a_bonus_that_lowers_the_price(self):
        self._pay_in(100, 10)
        self._use("2024-01-10", 20)
        with freeze_time("2024-02-01 12:00:00"):
            wizard = self.env["reseller.month.end"].create({"date": "2024-01-31"})
            wizard.action_compute()
        # 2.16 of 23.80: without its taxes 1.82.
        self.assertEqual(
            {line.name: line.accrued for line in wizard.line_ids}, {"Unit": 20, "Bonuses": -1.82}
        )

    def test_what_a_bonus_had_paid_is_given_back_as_bonus(self):
        # A year of 1,200.00 and 228.00, all of it given; closed on 30 June, 184 of 366 days are not served:
        # 603.28, of which nobody is paid anything, and 717.90 are in the wallet again.
        fee = self._create_feature("fee")
        self._create_rule(fee, recurring_fee=1200, interval_count=1, interval_unit="year")
        with freeze_time("2023-12-31 12:00:00"):
            lot = self.client_a._give_to_wallet(1428, "Year", "year")
        lot.sudo().date = "2024-01-01"  # rows are read alone
        self._run("2024-01-01")
        invoice = self.client_a.statement_ids.invoice_id
        self.assertEqual((invoice.amount_total, invoice.amount_tax), (0, 0))
        with freeze_time("2024-06-30 12:00:00"):
            self.client_a.action_close("2024-06-30")
        self._run("2024-07-01")
        notes = self.client_a.statement_ids.invoice_id - invoice
        self.assertEqual({(note.amount_untaxed, note.amount_tax) for note in notes}, {(0, 0)})
        given = self.client_a.wallet_lot_ids - lot
        self.assertEqual((given.kind, given.granted, given.cost), ("gift", 717.9, 0))
        self.assertBalances(vat=0, deposits=0)
        self.assertEqual(
            self._balance(self.bonus) + self._balance(self.income), 0, "nobody has paid anything"
        )

    def test_a_package_that_a_bonus_paid_is_refunded_as_bonus(self):
        self.package.taxes_id = self.tax
        with freeze_time("2024-01-01 12:00:00"):
            self.client_a._give_to_wallet(59.5, "Fair", "fair")
        lot = self._sell("2024-01-02", pay=False)
        invoice = lot.charge_id.statement_id.invoice_id
        self.assertEqual((invoice.amount_total, invoice.state, lot.state), (0, "posted", "open"))
        with freeze_time("2024-01-05 12:00:00"):
            lot.action_refund()
        self.assertEqual(self.client_a.wallet_balance, 59.5)
        self.assertBalances(vat=0, deposits=0, bonuses=0)

    def test_cash_is_rounded_where_cash_is_paid(self):
        self.product.taxes_id = False
        self.product.reseller_untaxed = True
        self.reseller.cash_rounding_id = self.env["account.cash.rounding"].create(
            {
                "name": "0.05",
                "rounding": 0.05,
                "strategy": "add_invoice_line",
                "profit_account_id": self.income.copy({}).id,
                "loss_account_id": self.income.copy({}).id,
                "rounding_method": "HALF-UP",
            }
        )
        lot = self._pay_in(100, 10)
        # Of 42.00 the bonus takes 3.82: 38.18, to the cent.
        invoice = self._bill_use("2024-01-10", 42, "2024-02-01").invoice_id
        self.assertEqual((invoice.amount_total, invoice.payment_state), (38.18, "paid"))
        self.assertLot(lot, 68, 61.82)

    def test_the_month_ends_with_what_the_wallet_pays_for(self):
        fee = self._create_feature("fee")
        fee.product_id = self._create_package(
            "Untaxed", reseller_grants=False, reseller_feature_id=False, reseller_untaxed=True
        )
        self._create_rule(fee, recurring_fee=50, fee_timing="arrears")
        self.client_a.wallet_use = "usage"
        with freeze_time("2024-01-02 12:00:00"):
            self.client_a._give_to_wallet(200, "Sorry", "sorry")
        self._use("2024-01-10", 100)
        wizard = self.env["reseller.month.end"].create({"date": "2024-01-31"})
        wizard.action_compute()
        self.assertEqual(
            {line.name: line.accrued for line in wizard.line_ids},
            {"Unit": 100, "Fee": 50, "Bonuses": -100},
        )

    def test_a_bonus_stays_bonus_when_its_bill_is_credited(self):
        self.company.reseller_bonus_mode = "expense"
        self.product.taxes_id = False
        self.product.reseller_untaxed = True
        self._pay_in(100, 10)
        invoice = self._bill_use("2024-01-10", 66, "2024-02-01").invoice_id
        self.assertBalances(deposits=-40, bonuses=6)
        with freeze_time("2024-02-05 12:00:00"):
            wizard = self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            )
            note = self.env["account.move"].browse(wizard.refund_moves()["res_id"])
            note.action_post()
            lot = self.client_a._fund_wallet(note.line_ids._get_open_receivables(), "Sorry")
        self.assertEqual((lot.granted, lot.cost), (66, 60))
        self.assertBalances(deposits=-100, bonuses=0, income=0)

    def test_a_wallet_that_pays_early_gets_the_discount(self):
        # 2 % within ten days, taxes with it: of 119.00 it pays 116.62, and the tax is 18.62.
        self.client_a.partner_id.property_payment_term_id = self.env["account.payment.term"].create(
            {
                "name": "2 % in 10 days",
                "early_discount": True,
                "discount_percentage": 2,
                "discount_days": 10,
                "early_pay_discount_computation": "included",
                "line_ids": [
                    Command.create({"value": "percent", "value_amount": 100, "nb_days": 30})
                ],
            }
        )
        lot = self._pay_in(200, 0)
        self._use("2024-01-10", 100)
        with freeze_time("2024-02-03 12:00:00"):
            self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        invoice = statement.invoice_id
        self.assertEqual((invoice.amount_total, invoice.payment_state), (119, "paid"))
        self.assertLot(lot, 83.38, 83.38)
        self.assertBalances(vat=-18.62, deposits=-83.38, income=-100)
        with freeze_time("2024-02-10 12:00:00"):
            statement._void_by_credit_note(date(2024, 2, 10))
        self.assertLot(lot, 200, 200)
        self.assertBalances(vat=0, deposits=-200, income=0)

    # At receipt

    def test_the_month_ends_with_an_advance_as_it_was(self):
        self._sell("2024-01-02", self._receipt())
        self._use("2024-01-10", 40)

        def shown():
            wizard = self.env["reseller.month.end"].create({"date": "2024-01-31"})
            wizard.action_compute()
            return {line.name: line.accrued for line in wizard.line_ids if line.accrued}

        self.assertEqual(shown(), {"Unit": 40})
        self._run("2024-02-01")
        self.assertEqual(shown(), {"Unit": 40})
        self._bill_use("2024-02-10", 100, "2024-03-01")
        self.assertEqual(shown(), {"Unit": 40})

    def test_what_would_tear_an_advance_from_its_bill_is_refused(self):
        self._sell("2024-01-02", self._receipt())
        invoice = self._bill_use("2024-01-10", 40, "2024-02-01").invoice_id
        wizard = self.env["account.move.reversal"].create(
            {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
        )
        with self.assertRaisesRegex(UserError, "Void by Credit Note"), self.env.cr.savepoint():
            wizard.refund_moves()
        with self.assertRaisesRegex(UserError, "Void by Credit Note"), self.env.cr.savepoint():
            invoice.action_correct_taxes()
        # A duplicate is an invoice of its own.
        self.assertEqual(invoice.copy().amount_total, 47.6)
        self.assertBooks()

    def test_a_top_up_beside_what_is_given_back(self):
        top_up = self._receipt()
        fee = self._create_feature("fee")
        self._create_rule(fee, recurring_fee=1200, interval_count=1, interval_unit="year")
        self._run("2024-06-01")
        with freeze_time("2024-06-30 12:00:00"):
            self.client_a.action_close("2024-06-30")
            self.env["reseller.manual.charge"].create(
                {
                    "client_id": self.client_a.id,
                    "product_id": top_up.id,
                    "name": "Top-up",
                    "date": "2024-06-30",
                    "unit_price": 100,
                }
            )
        self._run("2024-07-01")
        lot = self.client_a.wallet_lot_ids
        self.assertEqual((lot.granted, lot.cost, lot.tax), (119, 100, 19))
        self.assertEqual(lot.charge_id.statement_id.invoice_id.move_type, "out_refund")
        self.assertBooks()

    def test_draws_lie_in_the_books_where_their_bills_do(self):
        self.company.reseller_accounting_date = "served"
        with freeze_time("2024-01-02 12:00:00"):
            payment = self._pay_in(100, 10)
            payment.sudo().date_until = "2024-01-31"  # rows are read alone
        self.product.taxes_id = False
        self.product.reseller_untaxed = True
        statement = self._bill_use("2024-01-10", 66, "2024-02-01")
        entries = payment.entry_ids.filtered("statement_id")
        self.assertEqual(set(entries.mapped(lambda one: str(one.date))), {"2024-01-31"})
        self.assertEqual(str(statement.invoice_id.date), "2024-01-31")
        # 66.00 of which 6.00 are bonus; 40.00 of what was paid have expired.
        self.assertBalances(income=-66, bonuses=6, breakage=-40, deposits=0)

    def test_an_advance_is_taxed_once(self):
        lot = self._sell("2024-01-02", self._receipt())
        document = lot.charge_id.statement_id.invoice_id
        self.assertEqual((document.amount_tax, document.amount_total), (19, 119))
        self.assertEqual((lot.granted, lot.cost, lot.tax), (119, 100, 19))
        self.assertBalances(vat=-19, deposits=-100)
        # 40.00 and 7.60: a bill of nothing, that settles 40.00 and 7.60.
        statement = self._bill_use("2024-01-10", 40, "2024-02-01")
        invoice = statement.invoice_id
        self.assertEqual(
            (invoice.amount_untaxed, invoice.amount_tax, invoice.payment_state), (0, 0, "paid")
        )
        settled = invoice.invoice_line_ids.filtered("reseller_settles")
        self.assertIn(document.name, settled.name)
        self.assertEqual((settled.price_subtotal, settled.price_total), (-40, -47.6))
        self.assertLot(lot, 71.4, 60)
        self.assertBalances(vat=-19, deposits=-60, income=-40)
        # 100.00 more than is there: 119.00 less 71.40 are to be paid, with the tax of that alone.
        invoice = self._bill_use("2024-02-10", 100, "2024-03-01").invoice_id
        self.assertEqual(
            (invoice.amount_untaxed, invoice.amount_tax, invoice.amount_residual), (40, 7.6, 47.6)
        )
        self.assertLot(lot, 0, 0)
        self.assertBalances(vat=-26.6, deposits=0, income=-140)
        # By when it is taxed: 19.00 with the receipt, all of it settled; a gift is of the other mode.
        with freeze_time("2024-03-02 12:00:00"):
            self.client_a._give_to_wallet(1, "Fair", "fair")
        sums = self.env["reseller.wallet.entry"]._read_group(
            [("client_id", "=", self.client_a.id)], ["vat_mode", "kind"], ["amount:sum", "tax:sum"]
        )
        self.assertEqual(
            {tuple(row) for row in sums if row[2] or row[3]},
            {
                ("receipt", "buy", 0, 19),
                ("receipt", "grant", 119, 0),
                ("receipt", "draw", -119, -19),
                ("use", "grant", 1, 0),
            },
        )

    def test_cents_of_an_advance_add_up(self):
        lot = self._sell("2024-01-02", self._receipt(list_price=33.33))
        for month in range(2, 8):
            self._bill_use(f"2024-{month - 1:02}-10", "5.55", f"2024-{month:02}-01")
            self.assertBooks()
        # 33.33 and 6.33: six times 5.55 and 1.05 are 39.60, so that 0.06 are left.
        self.assertLot(lot, 0.06, 0.05)
        self.assertEqual(round(sum(lot.entry_ids.mapped("tax")), 2), 0.01)
        self._bill_use("2024-07-10", 10, "2024-08-01")
        self.assertLot(lot, 0, 0)
        self.assertEqual(round(sum(lot.entry_ids.mapped("tax")), 2), 0)
        self.assertBooks()

    def test_an_advance_with_a_bonus_and_an_included_tax(self):
        included = self._tax(19, price_include_override="tax_included")
        self.company.reseller_wallet_limit = 1000
        lot = self._sell(
            "2024-01-02",
            self._receipt(taxes=included, list_price=119, reseller_bonus=11.9),
            price=119,
        )
        self.assertEqual((lot.granted, lot.cost, lot.tax), (130.9, 100, 19))
        # 110.00 and 20.90 use all of it: the bonus takes 10.00 and 1.90 off.
        invoice = self._bill_use("2024-01-10", 110, "2024-02-01").invoice_id
        self.assertEqual((invoice.amount_untaxed, invoice.amount_tax), (0, 0))
        self.assertLot(lot, 0, 0)
        self.assertBalances(vat=-19, deposits=0, income=-110, bonuses=10)

    def test_what_is_left_of_an_advance_is_refunded_with_its_taxes(self):
        lot = self._sell("2024-01-02", self._receipt())
        statement = self._bill_use("2024-01-10", 40, "2024-02-01")
        with freeze_time("2024-02-05 12:00:00"):
            statement._void_by_credit_note(date(2024, 2, 5))
        self.assertLot(lot, 119, 100)
        self.assertBalances(vat=-19, deposits=-100, income=0)
        self._run("2024-02-06")
        with freeze_time("2024-02-10 12:00:00"):
            self.client_a._refund_wallet("Bye")
        self.assertLot(lot, 0, 0)
        entry = lot.entry_ids.filtered(lambda one: one.kind == "refund")
        note = entry.move_id
        self.assertEqual(
            (note.move_type, note.amount_tax, note.amount_total), ("out_refund", 11.4, 71.4)
        )
        self.assertBalances(vat=-7.6, deposits=0, income=-40)
        with self.assertRaisesRegex(UserError, "belongs to a wallet"):
            note.button_draft()

    def test_deposits_in_another_currency_are_revalued_and_back(self):
        self.company.reseller_revalues_deposits = True
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            [
                {"currency_id": euro.id, "name": day, "rate": rate, "company_id": self.company.id}
                for day, rate in (("2024-01-01", 0.5), ("2024-01-31", 0.4), ("2024-02-28", 0.8))
            ]
        )
        reseller = self._create_reseller("Euros", currency_id=euro.id)
        client = self._create_client("E", reseller_id=reseller.id)
        with freeze_time("2024-01-02 12:00:00"):
            payment = self._receive(100, partner_id=client.partner_id.id, currency_id=euro.id)
            client._fund_wallet(payment.move_id.line_ids._get_open_receivables(), "Paid in")
        accounts = {
            f"{name}_account_id": self.prepaid.copy({"account_type": kind}).id
            for name, kind in (("accrued", "asset_current"), ("deferred", "liability_current"))
        }

        def owed(day):
            lines = self.env["account.move.line"].search(
                [
                    ("account_id", "=", self.deposit.id),
                    ("parent_state", "=", "posted"),
                    ("date", "<=", day),
                ]
            )
            return -sum(lines.mapped("balance"))

        # 100 came at 2.00; at the end of January they are worth 250.00, at that of February 125.00.
        with freeze_time("2024-03-02 12:00:00"):
            for day, worth in (("2024-01-31", 250), ("2024-02-29", 125)):
                wizard = self.env["reseller.month.end"].create({"date": day, **accounts})
                wizard.action_compute()
                self.assertEqual(
                    [(line.currency_id, line.accrued) for line in wizard.line_ids],
                    [(self.company.currency_id, 200 - worth)],
                )
                wizard.action_post()
                self.assertEqual(owed(day), worth)
        self.assertEqual(owed("2024-02-15"), 200)
        self.assertEqual(owed("2024-03-01"), 200)
        self.assertBooks()

    def test_an_advance_in_another_currency_leaves_the_deposits_as_it_came(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            [
                {"currency_id": euro.id, "name": day, "rate": rate, "company_id": self.company.id}
                for day, rate in (("2024-01-01", 0.5), ("2024-01-20", 0.4))
            ]
        )
        reseller = self._create_reseller("Euros", currency_id=euro.id)
        client = self._create_client("E", reseller_id=reseller.id)
        self._create_rule(unit_price=1, currency_id=euro.id)
        lot = self._sell("2024-01-02", self._receipt(), price=100, client=client)
        self.assertEqual((lot.cost, lot.cost_balance), (100, 200))
        self._use("2024-01-10", 100, client="E")
        self._run("2024-02-01")
        invoice = self._statement(client, "2024-02-01").invoice_id
        self.assertEqual((invoice.amount_total, invoice.amount_residual), (0, 0))
        # 100 came at 2.00; the use is income at 2.50, with no more tax than there was; what is between is
        # exchange.
        self.assertBalances(deposits=0, income=-250, vat=-38)
        with freeze_time("2024-03-10 12:00:00"):
            self.env["res.currency.rate"].create(
                {
                    "currency_id": euro.id,
                    "name": "2024-03-01",
                    "rate": 0.8,
                    "company_id": self.company.id,
                }
            )
            self._statement(client, "2024-02-01")._void_by_credit_note(date(2024, 3, 10))
        self.assertBalances(deposits=-200)
        with freeze_time("2024-03-11 12:00:00"):
            client._refund_wallet("Bye")
        self.assertBalances(deposits=0)
