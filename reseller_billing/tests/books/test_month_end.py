from freezegun import freeze_time
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import mute_logger
from psycopg2.errors import UniqueViolation

from ..common import ResellerBillingCommon


class TestMonthEnd(ResellerBillingCommon):
    """Accrued and deferred income agree with the charges."""

    def _wizard(self, day):
        accounts = self.env["account.account"]
        return self.env["reseller.month.end"].create(
            {
                "date": day,
                "accrued_account_id": accounts.create(
                    {"name": "Accrued", "code": "149000", "account_type": "asset_current"}
                ).id,
                "deferred_account_id": accounts.create(
                    {"name": "Deferred", "code": "249000", "account_type": "liability_current"}
                ).id,
            }
        )

    def _wizard_of(self, day):
        """Return a wizard for another day, with the accounts of the first one."""
        return self.env["reseller.month.end"].search([], limit=1, order="id").copy({"date": day})

    def _amounts_of(self, wizard):
        wizard.action_compute()
        return {
            (line.name, line.currency_id.name): (line.accrued, line.deferred)
            for line in wizard.line_ids
        }

    def test_unbilled_use_and_unserved_days(self):
        # Billed from the 16th on: 31 days from 16 January to 15 February.
        client = self._create_client("D", start="2024-01-16")
        self._create_rule(recurring_fee=31, unit_price=2, client_id=client.id)
        arrears = self._create_feature("arrears")
        self._create_rule(arrears, recurring_fee=62, fee_timing="arrears", client_id=client.id)
        self._run("2024-01-16")
        self._use("2024-01-20", 5, client="D")
        self._use("2024-02-01", 100, client="D")
        wizard = self._wizard("2024-01-31")
        currency = self.company.currency_id.name
        # Use of January 5 × 2.00; 15 of 31 days of the fee in advance are not served, 16 of 31 of
        # the one in arrears are.
        expected = {("Unit", currency): (10.0, 15.0), ("Arrears", currency): (32.0, 0.0)}
        self.assertEqual(self._amounts_of(wizard), expected)
        # The bill of February is booked in February: what January earned stays the same.
        self._run("2024-02-16")
        self.assertEqual(self._amounts_of(wizard), expected)
        action = wizard.action_post()
        moves = self.env["account.move"].search(action["domain"])
        self.assertEqual(
            sorted((str(move.date), move.state) for move in moves),
            [("2024-01-31", "posted"), ("2024-02-01", "posted")],
        )
        income = self.product._get_product_accounts()["income"]
        january = moves.filtered(lambda one: str(one.date) == "2024-01-31")

        def balance(account):
            lines = january.line_ids.filtered(lambda line: line.account_id == account)
            return sum(lines.mapped("balance"))

        self.assertEqual(balance(wizard.accrued_account_id), 42.0)
        self.assertEqual(balance(wizard.deferred_account_id), -15.0)
        self.assertEqual(balance(income), -27.0)
        self.assertAlmostEqual(sum(moves.line_ids.mapped("balance")), 0.0)
        # January's income, invoices and entries together: 16.00 + 10.00 + 32.00.
        lines = self.env["account.move.line"].search(
            [
                ("account_id", "=", income.id),
                ("date", "<=", "2024-01-31"),
                ("parent_state", "=", "posted"),
            ]
        )
        self.assertEqual(sum(lines.mapped("balance")), -58.0)
        with self.assertRaisesRegex(UserError, "has its entries already"):
            wizard.action_post()

    def test_the_books_of_a_day_stay_what_they_were_when_an_invoice_is_replaced(self):
        client = self._create_client("W", start="2024-01-01")
        self._create_rule(recurring_fee=31, fee_timing="arrears", client_id=client.id)
        self._run("2024-01-31")
        self._run("2024-02-01")
        invoice = self._statement(client, "2024-02-01").invoice_id
        february, january = self._wizard("2024-02-01"), self._wizard_of("2024-01-31")
        currency = self.company.currency_id.name

        def check(in_january, in_february):
            found = [self._amounts_of(january), self._amounts_of(february)]
            self.assertEqual(
                [one.get(("Unit", currency), (0, 0))[0] for one in found],
                [in_january, in_february],
            )

        # January's fee is invoiced on 1 February: accrued before, and 1.07 of February on that day.
        check(31.0, 1.07)
        reversal = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": invoice.journal_id.id, "date": "2024-03-03"})
        )
        reversal.reverse_moves(is_modify=True)
        check(31.0, 1.07)
        replacement = reversal.new_move_ids
        replacement.action_post()
        check(31.0, 1.07)
        # So they do when the replacement is cancelled, which makes the statement void.
        replacement.button_draft()
        replacement.button_cancel()
        check(31.0, 1.07)
        # In March: February's fee and the served days; with the reversal, January's again.
        for day, accrued in (("2024-03-02", 33.0), ("2024-03-03", 65.0)):
            found = self._amounts_of(self._wizard_of(day))
            self.assertEqual(found["Unit", currency], (accrued, 0.0))

    def test_a_fee_of_a_cycle_that_was_cut_short_is_deferred_no_more(self):
        client = self._create_client("Y", interval_unit="year")
        self._create_rule(recurring_fee=366, client_id=client.id)
        self._run("2024-01-01")
        client.action_change_cycle("2024-02-15", 1, "month", "activation")
        self._run("2024-02-15")
        # Of the year 45 days were served; of the month from the 15th on, 14 of 29 days are to come.
        currency = self.company.currency_id.name
        self.assertEqual(
            self._amounts_of(self._wizard("2024-02-29")), {("Unit", currency): (0.0, 176.69)}
        )

    def test_each_currency_has_its_entry_and_included_tax_is_no_income(self):
        self.product.taxes_id = self.env["account.tax"].create(
            {
                "name": "25 incl",
                "amount": 25,
                "type_tax_use": "sale",
                "price_include_override": "tax_included",
            }
        )
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {"name": "2024-01-01", "currency_id": euro.id, "rate": 2, "company_id": self.company.id}
        )
        other = self._create_reseller("E", currency_id=euro.id)
        client = self._create_client("E", reseller_id=other.id)
        self._create_rule(unit_price=1, client_id=client.id)
        self._create_rule(unit_price=1, client_id=self.client_a.id)
        for ref in ("A", "E"):
            self._use("2024-01-10", 10, client=ref)
        wizard = self._wizard("2024-01-31")
        moves = self.env["account.move"].search(wizard.action_post()["domain"])
        found = {
            line.currency_id.name: (line.amount_currency, line.balance)
            for line in moves.line_ids
            if line.account_id == wizard.accrued_account_id and line.balance > 0
        }
        # 10.00 with 25 % included is 8.00 net; two euros are one of the company's currency.
        self.assertEqual(found, {"EUR": (8.0, 4.0), self.company.currency_id.name: (8.0, 8.0)})

    def test_amounts_are_shown_before_there_are_accounts(self):
        self._create_rule(recurring_fee=31, fee_timing="arrears", client_id=self.client_a.id)
        wizard = self.env["reseller.month.end"].create({"date": "2024-01-31"})
        currency = self.company.currency_id.name
        self.assertEqual(self._amounts_of(wizard), {("Unit", currency): (31.0, 0.0)})
        with self.assertRaisesRegex(UserError, "Choose the account of Accrued Income"):
            wizard.action_post()

    def test_use_lies_in_the_month_in_which_it_was_served(self):
        self.company.reseller_accounting_date = "served"
        self._create_rule(unit_price=1, recurring_fee=31)
        self._run("2024-01-01")
        self._use("2024-01-20", 20)
        income = self.product._get_product_accounts()["income"]

        def earned(until):
            lines = self.env["account.move.line"].search(
                [
                    ("account_id", "=", income.id),
                    ("parent_state", "=", "posted"),
                    ("date", "<=", until),
                ]
            )
            return -sum(lines.mapped("balance"))

        wizard = self._wizard("2024-01-31")
        wizard.action_post()
        self.assertEqual(earned("2024-01-31"), 51)
        # The bill of 1 February has January's use and February's fee, and lies in January.
        self._run("2024-02-01")
        invoice = self._statement(self.client_a, "2024-02-01").invoice_id
        self.assertEqual(
            (str(invoice.invoice_date), str(invoice.date), invoice.amount_total),
            ("2024-02-01", "2024-01-31", 51),
        )
        entry = self.env["account.move"].search(
            [("reseller_month_end", "=", "2024-01-31"), ("state", "=", "posted")]
        )
        self.assertTrue(entry.reseller_is_stale)
        for entries in self.env["account.move"]._find_stale_month_ends():
            entries._follow_bills()
        # Made again: of January nothing is unbilled, and all of February's fee is deferred.
        self.assertEqual(entry.state, "cancel")
        self.assertEqual(earned("2024-01-31"), 51)
        self.assertEqual(earned("2024-02-29"), 31 + 51)
        self.assertEqual(
            self._amounts_of(self._wizard_of("2024-01-31")),
            {("Unit", self.company.currency_id.name): (0, 31)},
        )
        # Replaced in March, it lies there; January is what it was.
        with freeze_time("2024-03-10 12:00:00"):
            self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            ).modify_moves()
            again = self._statement(self.client_a, "2024-02-01").invoice_id
            again.action_post()
        self.assertEqual(str(again.date), "2024-03-10")
        self.assertEqual(earned("2024-01-31"), 51)
        # What is locked for taxes keeps it out.
        self._use("2024-02-20", 5)
        self.company.fiscalyear_lock_date = "2024-02-29"
        self._run("2024-03-01")
        march = self._statement(self.client_a, "2024-03-01").invoice_id
        self.assertGreater(str(march.date), "2024-02-29")

    def test_nothing_to_post(self):
        with self.assertRaisesRegex(UserError, "Nothing is unbilled"):
            self._wizard("2024-01-31").action_post()

    def test_a_day_is_posted_once_even_by_two_at_once(self):
        self._create_rule(unit_price=1)
        self._use("2024-01-10", 10)
        wizard = self._wizard("2024-01-31")
        entries = self.env["account.move"].search(wizard.action_post()["domain"])
        entry = entries.filtered("reseller_month_end")
        # The other one's transaction does not see the first entry: the database does.
        twin = entry.copy({"reseller_month_end": entry.reseller_month_end, "date": entry.date})
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(UniqueViolation),
            self.env.cr.savepoint(),
        ):
            twin.action_post()
            self.env.flush_all()

    def test_an_entry_and_its_reversal_stand_and_fall_together(self):
        self._create_rule(unit_price=1)
        self._use("2024-01-10", 10)
        wizard = self._wizard("2024-01-31")
        entries = self.env["account.move"].search(wizard.action_post()["domain"])
        entry = entries.filtered("reseller_month_end")
        entry.button_cancel()
        self.assertEqual(entries.mapped("state"), ["cancel", "cancel"])
        self._use("2024-01-11", 5)
        again = self.env["account.move"].search(wizard.action_post()["domain"])
        (again - again.filtered("reseller_month_end")).button_draft()
        self.assertEqual(again.mapped("state"), ["draft", "draft"])
        again[0].action_post()
        self.assertEqual(again.mapped("state"), ["posted", "posted"])
        balances = {
            str(line.date): line.balance
            for line in again.line_ids
            if line.account_id.account_type == "income"
        }
        self.assertEqual(balances, {"2024-01-31": -15.0, "2024-02-01": 15.0})

    def test_a_locked_month_and_a_draft_invoice(self):
        self._create_rule(recurring_fee=31)
        self._run("2024-01-01")
        # The fee is invoiced on 1 January for all of it; on 10 January 21 days are unserved.
        invoice = self._statement(self.client_a, "2024-01-01").invoice_id
        wizard = self._wizard("2024-01-10")
        self.assertEqual(
            [sum(one) for one in zip(*wizard._get_amounts(wizard._rate()).values(), strict=True)],
            [0, 21, 0, 0],
        )
        # As a draft it is no income: ten days are earned, and none of it is booked.
        invoice.button_draft()
        self.assertEqual(
            [sum(one) for one in zip(*wizard._get_amounts(wizard._rate()).values(), strict=True)],
            [10, 0, 0, 0],
        )
        invoice.action_post()
        # Credited as a whole, it leaves nothing to defer.
        credit = invoice._reverse_moves([{"date": "2024-01-05", "invoice_date": "2024-01-05"}])
        credit.action_post()
        self.assertEqual(wizard._get_amounts(wizard._rate()), {})
        self.company.fiscalyear_lock_date = "2024-01-10"
        with self.assertRaisesRegex(UserError, "in a locked period"):
            wizard.action_post()

    def test_an_export_client_as_its_invoice_has_it(self):
        tax = self.env["account.tax"].create(
            {
                "name": "25 % included",
                "amount": 25,
                "price_include_override": "tax_included",
                "company_id": self.company.id,
            }
        )
        self.product.taxes_id = tax
        export = self.env["account.account"].create(
            {"name": "Export", "code": "400900", "account_type": "income"}
        )
        income = self.product.with_company(self.company)._get_product_accounts()["income"]
        position = self.env["account.fiscal.position"].create(
            {
                "name": "Export",
                "company_id": self.company.id,
                "account_ids": [
                    Command.create({"account_src_id": income.id, "account_dest_id": export.id})
                ],
            }
        )
        self.env["account.tax"].create(
            {
                "name": "0 % export",
                "amount": 0,
                "company_id": self.company.id,
                "fiscal_position_ids": position.ids,
                "original_tax_ids": tax.ids,
            }
        )
        abroad = self._create_client("X")
        abroad.partner_id.property_account_position_id = position
        self._create_rule(unit_price=1)
        for ref in ("A", "X"):
            self._use("2024-01-10", 10, client=ref)
        moves = self.env["account.move"].search(self._wizard("2024-01-31").action_post()["domain"])
        booked = {
            line.account_id: line.balance
            for line in moves.filtered("reseller_month_end").line_ids
            if line.account_id.account_type == "income"
        }
        # 10.00 with 25 % included is 8.00; abroad, where the tax falls away, it is what Odoo bills.
        self.assertEqual(booked, {income: -8.0, export: -8.0})
        self._run("2024-02-01")
        invoice = self._statement(abroad, "2024-02-01").invoice_id
        self.assertEqual(invoice.invoice_line_ids.account_id, export)
        self.assertEqual((invoice.amount_untaxed, invoice.amount_total), (8, 8))

    def test_extra_lines_paid_ahead_and_fees_credited_in_part(self):
        self._create_rule(recurring_fee=31)
        self._add_extra(self.client_a, 366, "2024-01-01", recurring_rule_type="yearly")
        self._run("2024-01-01")
        wizard = self._wizard("2024-01-10")
        currency = self.company.currency_id.name
        # 21 of 31 days of the fee, 356 of 366 days of the line.
        name = self.product.display_name
        self.assertEqual(
            self._amounts_of(wizard),
            {("Unit", currency): (0.0, 21.0), (name, currency): (0.0, 356.0)},
        )
        invoice = self._statement(self.client_a, "2024-01-01").invoice_id
        reversal = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": invoice.journal_id.id, "date": "2024-01-05"})
        )
        reversal.reverse_moves()
        credit = reversal.new_move_ids
        credit.invoice_line_ids[1:].unlink()
        # A quarter of 397.00 is given back: three quarters of each share are left.
        credit.invoice_line_ids.write({"quantity": 1, "price_unit": 99.25})
        credit.action_post()
        self.assertEqual(
            self._amounts_of(wizard),
            {("Unit", currency): (0.0, 15.75), (name, currency): (0.0, 267.0)},
        )
        moves = self.env["account.move"].search(wizard.action_post()["domain"])
        posted = moves.filtered("reseller_month_end")
        deferred = posted.line_ids.filtered(
            lambda line: line.account_id == wizard.deferred_account_id
        )
        self.assertEqual(sum(deferred.mapped("balance")), -282.75)

    def test_charges_by_hand_and_extra_lines_that_no_bill_has(self):
        self._run("2024-01-01")
        item = self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "product_id": self.product.id,
                "name": "Visit",
                "date": "2024-01-20",
                "unit_price": 30,
            }
        )
        self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "product_id": self.product.id,
                "name": "Good will",
                "kind": "credit",
                "date": "2024-01-31",
                "unit_price": 10,
            }
        )
        # From the 17th on, in arrears: 15 of 31 days of 31.00.
        line = self._add_extra(
            self.client_a,
            31,
            "2024-01-17",
            recurring_invoicing_type="post-paid",
            recurring_next_date="2024-02-17",
        )
        currency = self.company.currency_id.name
        wizard = self._wizard("2024-01-31")
        expected = {("Use", currency): (30 + 15, 10)}
        self.assertEqual(self._amounts_of(wizard), expected)
        # Billed in February, they are January's income all the same.
        run = self._run("2024-02-01")
        self.assertFalse(run.parked_line_ids.mapped("reason"))
        self.assertTrue(item.statement_id)
        self.assertEqual(self._amounts_of(wizard), expected)
        self.assertEqual(
            self._amounts_of(self._wizard_of("2024-02-01")), {("Use", currency): (16, 0)}
        )
        self._run("2024-03-01")
        self.assertEqual(str(line.last_date_invoiced), "2024-02-16")
        self.assertEqual(self._amounts_of(wizard), expected)

    def test_extra_lines_of_an_account_that_closes_cost_their_price(self):
        self._run("2024-01-01")
        self._add_extra(
            self.client_a,
            50,
            "2024-01-01",
            recurring_invoicing_type="post-paid",
            recurring_next_date="2024-02-01",
        )
        self.client_a.action_close("2024-01-20")
        currency = self.company.currency_id.name
        wizard = self._wizard("2024-01-15")
        # 15 of 20 days of service, all of which cost 50.00.
        self.assertEqual(self._amounts_of(wizard), {("Use", currency): (37.5, 0)})
        after = self._wizard_of("2024-01-31")
        self.assertEqual(self._amounts_of(after), {("Use", currency): (50, 0)})
        self._run("2024-02-01")
        self.assertEqual(self._statement(self.client_a, "2024-01-21").amount_total, 50)

    def test_set_up_fees_over_some_months(self):
        self._create_rule(setup_fee=120, recurring_fee=1, fee_timing="arrears")
        self._run("2024-01-01")
        self._run("2024-02-01")
        currency = self.company.currency_id.name
        wizard = self._wizard("2024-02-29")
        self.assertEqual(self._amounts_of(wizard), {("Unit", currency): (1, 0)})
        # From 1 January to 30 June: 182 days, 60 of them over.
        self.company.reseller_setup_months = 6
        self.assertEqual(self._amounts_of(wizard), {("Unit", currency): (1, 80.44)})
        self.assertEqual(
            self._amounts_of(self._wizard_of("2024-06-30")), {("Unit", currency): (5, 0)}
        )

    def test_a_minimum_of_a_period_that_goes_on(self):
        # From 10 January to 9 February: 22 of 31 days are over on the 31st, 15.00 of them used.
        client = self._create_client("M", start="2024-01-10")
        self._create_rule(unit_price=1, minimum_amount=40, client_id=client.id)
        self._run("2024-01-10")
        self._use("2024-01-20", 15, client="M")
        self.assertEqual(
            self._amounts_of(self._wizard("2024-01-31")),
            {("Unit", self.company.currency_id.name): (28.39, 0)},
        )
        self._run("2024-02-10")
        self.assertEqual(self._statement(client, "2024-02-10").amount_total, 40)
