from datetime import date

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import new_test_user

from ..common import ResellerBillingCommon


class TestAccount(ResellerBillingCommon):
    """The itemised history of an account, with the balance of the receivable ledger."""

    def _history(self, client):
        action = client.action_view_account()
        return self.env["reseller.account.entry"].search(
            action["domain"], order="date, position, is_charge, id"
        )

    def _ledger(self, client):
        """What Odoo's own receivable ledger says of the payer."""
        lines = self.env["account.move.line"].search(
            [
                ("partner_id", "child_of", client._get_debtor().id),
                ("account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("company_id", "=", client.company_id.id),
            ]
        )
        return round(sum(lines.mapped("amount_currency")), 2)

    def test_history_runs_from_charge_to_payment(self):
        self.product.taxes_id = self.env["account.tax"].create(
            {"name": "20", "amount": 20, "type_tax_use": "sale"}
        )
        self._create_rule(recurring_fee=10, unit_price=1)
        self._use("2024-01-05", 5)
        self._run("2024-02-01")  # 10.00 on 1 January, 15.00 on 1 February
        client = self.client_a
        invoices = client.statement_ids.sorted("bill_date").invoice_id
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoices[0].ids
        ).create({"payment_date": "2024-02-02"})._create_payments()
        wizard = (
            self.env["account.move.reversal"]
            .with_context(active_model="account.move", active_ids=invoices[1].ids)
            .create({"journal_id": invoices[1].journal_id.id, "date": "2024-02-03"})
        )
        wizard.reverse_moves()
        wizard.new_move_ids.invoice_line_ids[1:].unlink()
        wizard.new_move_ids.invoice_line_ids.write({"quantity": 1, "price_unit": 1})
        wizard.new_move_ids.action_post()
        entries = self._history(client)
        ledger = entries.filtered(lambda one: not one.is_charge)
        # The run's date is the date of both invoices; 12.00, 18.00, −12.00, and −1.20 back.
        self.assertEqual(
            [(one.kind, one.amount, one.balance) for one in ledger],
            [
                ("invoice", 12.0, 12.0),
                ("invoice", 18.0, 30.0),
                ("payment", -12.0, 18.0),
                ("credit", -1.2, 16.8),
            ],
        )
        self.assertEqual(ledger[-1].balance, self._ledger(client))
        self.assertEqual(client.open_balance, self._ledger(client))
        charges = entries - ledger
        self.assertEqual(sorted(charges.mapped("charge_amount")), [5.0, 10.0, 10.0])
        self.assertEqual(charges.mapped("amount"), [0.0] * 3)
        # Due on their date: all that is open is overdue by now.
        self.assertEqual(client.overdue_balance, client.open_balance)

    def test_drafts_and_other_payers_do_not_count(self):
        self._create_rule(recurring_fee=10)
        other = self._create_client("B")
        self._run("2024-01-01")
        statement = self._statement(other, "2024-01-01")
        statement.invoice_id.button_draft()
        self.env.invalidate_all()
        self.assertEqual(other.open_balance, 0.0)
        self.assertEqual(self.client_a.open_balance, 10.0)
        self.assertFalse(self._history(other))
        statement.invoice_id.action_post()
        self.reseller.invoice_to = "reseller"
        self.env.invalidate_all()
        self.assertEqual(self.client_a.payer_id, self.reseller.partner_id)
        self.assertEqual(self.client_a.open_balance, 0.0)

    def test_a_billing_user_reads_it_without_rights_on_the_ledger(self):
        self._create_rule(recurring_fee=10)
        self._run("2024-01-01")
        user = new_test_user(
            self.env,
            "clerk",
            "reseller_billing.group_billing_user",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self.assertEqual(self.client_a.with_user(user).open_balance, 10.0)
        self.assertEqual(date(2024, 1, 1), self._history(self.client_a)[0].date)

    def test_other_customers_books_and_the_contracts_currency_are_closed(self):
        user = new_test_user(self.env, "looker", "reseller_billing.group_billing_user")
        stranger = self.env["res.partner"].create({"name": "Stranger"})
        self.init_invoice("out_invoice", partner=stranger, amounts=[100], post=True)
        self._create_rule(recurring_fee=10)
        self._run("2024-01-01")
        entries = self.env["reseller.account.entry"].with_user(user).search([])
        self.assertIn(self.client_a.partner_id, entries.partner_id)
        self.assertNotIn(stranger, entries.partner_id)
        euro = self.env.ref("base.EUR")
        euro.active = True
        with self.assertRaisesRegex(UserError, "owns the cycle and dates"):
            self.client_a.contract_id.manual_currency_id = euro

    def test_a_contract_follows_its_resellers_currency_until_the_first_bill(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self._create_rule(recurring_fee=10)
        self.reseller.currency_id = euro
        self.assertEqual(self.client_a.contract_id.currency_id, euro)
        self.reseller.currency_id = self.company.currency_id
        self._run("2024-01-01")
        invoice = self.env["account.move"].search(
            [("partner_id", "=", self.client_a.partner_id.id)]
        )
        self.assertEqual(invoice.currency_id, self.company.currency_id)
        with self.assertRaises(UserError):
            self.reseller.currency_id = euro

    def test_charges_without_an_invoice_are_in_the_history(self):
        self._create_rule(recurring_fee=10)
        self.reseller.invoice_to = "none"
        self._run("2024-01-01")
        [entry] = self._history(self.client_a)
        self.assertEqual(
            (entry.kind, entry.charge_amount, entry.amount, entry.balance, str(entry.date)),
            ("charge", 10.0, 0.0, 0.0, "2024-01-01"),
        )
        # Charges of zero have no line on an invoice, and are in the history all the same.
        self.reseller.invoice_to = "client"
        self._create_rule(
            recurring_fee=0, unit_price=0, client_id=self.client_a.id, date_from="2024-02-01"
        )
        self._use("2024-01-20", 4)
        self._run("2024-02-01")
        kinds = self._history(self.client_a).filtered(lambda one: str(one.date) == "2024-02-01")
        self.assertIn(0.0, kinds.filtered("is_charge").mapped("charge_amount"))

    def test_what_is_paid_in_another_currency_settles_both_lists(self):
        self._create_rule(recurring_fee=23)
        self._run("2024-01-01")
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": euro.id,
                "name": "2024-01-01",
                "rate": 0.5,
                "company_id": self.company.id,
            }
        )
        client = self.client_a
        invoice = client.statement_ids.invoice_id
        # 11.50 € are $ 23.00.
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"payment_date": "2024-01-05", "currency_id": euro.id})._create_payments()
        self.assertIn(invoice.payment_state, ("paid", "in_payment"))
        entries = self.env["reseller.account.entry"].search(
            [("partner_id", "=", client._get_debtor().id), ("is_charge", "=", False)],
            order="currency_id, date, position, id",
        )
        by_currency = {
            currency.name: [(one.kind, one.amount, one.balance) for one in of_currency]
            for currency, of_currency in entries.grouped("currency_id").items()
        }
        self.assertEqual(
            {
                "USD": [("invoice", 23.0, 23.0), ("exchange", -23.0, 0.0)],
                "EUR": [("payment", -11.5, -11.5), ("exchange", 11.5, 0.0)],
            },
            by_currency,
        )
        self.assertEqual((client.open_balance, client.overdue_balance), (0, 0))

    def test_what_a_reseller_owes_itself(self):
        self._create_rule(recurring_fee=10)
        other = self._create_reseller("OTH")
        theirs = self._create_client("T", reseller_id=other.id)
        self.assertEqual((self.reseller.open_balance, self.reseller.overdue_balance), (0, 0))
        self.reseller.invoice_to = "reseller"
        self._run("2024-01-01")
        self.env.invalidate_all()
        # Its client's bill is its own debt; the other reseller's client pays itself.
        self.assertEqual((self.reseller.open_balance, self.reseller.overdue_balance), (10, 10))
        self.assertEqual((other.open_balance, theirs.open_balance), (0, 10))
        for action in (self.reseller.action_view_account(), self.reseller.action_view_overdue()):
            found = self.env["reseller.account.entry"].search(action["domain"])
            self.assertEqual(found.move_id.reseller_client_id, self.client_a)
            self.assertIn(10, found.mapped("balance"))
        # Who pays from now on changes nothing about what is owed.
        self.reseller.invoice_to = "client"
        self.assertEqual((self.reseller.open_balance, self.reseller.overdue_balance), (10, 10))
        self.reseller.invoice_to = "reseller"
        action = other.action_view_invoices()
        invoices = self.env["account.move"].search(action["domain"])
        self.assertEqual(invoices.reseller_client_id, theirs)
        groups = self.env["account.move"]._read_group(
            [("reseller_client_id", "!=", False)],
            ["reseller_reseller_id", "reseller_client_id"],
            ["amount_residual:sum"],
        )
        self.assertEqual(groups, [(self.reseller, self.client_a, 10.0), (other, theirs, 10.0)])

    # Lines that an accountant adds to a draft

    def _redraft(self):
        """Return the client's bill of 10.00 and its invoice, a draft again."""
        self._create_rule(recurring_fee=10)
        self._run("2024-01-01")
        statement = self._statement(self.client_a, "2024-01-01")
        statement.invoice_id.button_draft()
        return statement, statement.invoice_id

    def test_a_line_added_to_a_draft_is_a_charge_by_hand(self):
        statement, invoice = self._redraft()
        invoice.invoice_line_ids = [
            Command.create(
                {
                    "name": "On-site",
                    "quantity": 3,
                    "price_unit": 5,
                    "discount": 10,
                    "tax_ids": False,
                }
            ),
            Command.create({"name": "Goodwill", "quantity": 1, "price_unit": -2, "tax_ids": False}),
        ]
        invoice.action_post()
        # 10.00 + 3 × 4.50 − 2.00
        self.assertEqual((statement.amount_total, invoice.amount_total), (21.5, 21.5))
        self.assertAgrees(statement)
        self.assertEqual(
            sorted((one.kind, one.name, one.amount) for one in statement.charge_ids[1:]),
            [("credit", "Goodwill", -2.0), ("manual", "On-site", 13.5)],
        )
        # Posted it stays as it is; in the draft it changes and goes with its line.
        line = invoice.invoice_line_ids.filtered(lambda one: one.name == "On-site")
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            line.with_context(check_move_validity=False).price_unit = 6
        invoice.button_draft()
        line.write({"price_unit": 6, "discount": 0})
        invoice.invoice_line_ids.filtered(lambda one: one.name == "Goodwill").unlink()
        invoice.action_post()
        self.assertEqual((statement.amount_total, invoice.amount_total), (28, 28))
        self.assertAgrees(statement)
        items = self.env["reseller.manual.charge"].search([("client_id", "=", self.client_a.id)])
        self.assertEqual((items.name, items.state, items.amount), ("On-site", "billed", 18))
        # What the statement made itself stays all the same.
        invoice.button_draft()
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            invoice.invoice_line_ids[0].quantity = 2

    def test_a_line_by_hand_goes_with_its_invoice(self):
        statement, invoice = self._redraft()
        invoice.invoice_line_ids = [
            Command.create({"name": "On-site", "quantity": 1, "price_unit": 7, "tax_ids": False})
        ]
        invoice.action_post()
        invoice.button_cancel()
        self.assertEqual(statement.state, "void")
        self._run("2024-01-01")
        again = self._statement(self.client_a, "2024-01-01")
        self.assertEqual((again.amount_total, again.invoice_id.amount_total), (10, 10))
        self.assertAgrees(again)
        item = self.env["reseller.manual.charge"].search([("client_id", "=", self.client_a.id)])
        self.assertEqual((item.name, item.state), ("On-site", "withdrawn"))
        # Nobody opens a charge of another kind to be edited in an invoice.
        with self.assertRaisesRegex(UserError, "Billing itself"):
            item.with_user(self.env.ref("base.user_admin")).write({"is_of_invoice": True})
