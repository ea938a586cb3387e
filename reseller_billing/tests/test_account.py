from datetime import date

from odoo.exceptions import UserError
from odoo.tests import new_test_user

from .common import ResellerBillingCommon


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
                ("partner_id", "child_of", client._get_payer().id),
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
