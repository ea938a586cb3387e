from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user

from ..common import ResellerBillingCommon


class TestManualCharge(ResellerBillingCommon):
    """Charges and credits by hand, in the one itemised history."""

    def setUp(self):
        super().setUp()
        self._create_rule(unit_price=1)

    def _add(self, name, price, **values):
        return self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client_a.id,
                "name": name,
                "unit_price": price,
                "date": "2024-01-20",
                **values,
            }
        )

    def test_it_joins_the_next_bill(self):
        self._use("2024-01-05", 10)
        items = self._add("Training", 99.5, quantity=2) | self._add(
            "Goodwill", 0.333, quantity=30, kind="credit"
        )
        later = self._add("Later", 5, date="2024-02-02")
        self.assertEqual(items.mapped("amount"), [199.0, -9.99])
        preview = self.client_a.preview_statement("2024-02-01")
        self.assertEqual(preview.amount_total, 199.01)
        self.assertEqual(items.mapped("state"), ["waiting", "waiting"])
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        # 10 × 1.00 + 199.00 − 9.99.
        self.assertEqual(statement.amount_total, 199.01)
        self.assertAgrees(statement)
        self.assertEqual(items.statement_id, statement)
        self.assertFalse(later.statement_id)
        self.assertEqual(
            {charge.name: charge.kind for charge in statement.charge_ids if not charge.feature_id},
            {"Training": "manual", "Goodwill": "credit"},
        )
        with self.assertRaisesRegex(UserError, "is on the bill"):
            items[0].unit_price = 1
        with self.assertRaisesRegex(UserError, "is on the bill"):
            items.unlink()

    def test_it_waits_again_when_its_bill_is_void(self):
        item = self._add("Training", 10)
        self._run("2024-02-01")
        invoice = item.statement_id.invoice_id
        self.assertEqual(invoice.amount_total, 10.0)
        invoice.button_draft()
        invoice.button_cancel()
        self.assertEqual(item.state, "waiting")
        self._run("2024-02-01")
        self.assertEqual(item.statement_id.invoice_id.amount_total, 10.0)
        self.assertNotEqual(item.statement_id.invoice_id, invoice)

    def test_it_is_billed_at_once(self):
        self._run("2024-02-01")
        first, second = self._add("One", 10), self._add("Two", 20)
        first.action_bill_now()
        second.action_bill_now()
        credit = self._add("Back", 5, kind="credit")
        credit.action_bill_now()
        kinds = (first | second | credit).statement_id.invoice_id.mapped("move_type")
        self.assertEqual(kinds, ["out_invoice", "out_invoice", "out_refund"])
        for item in (first, second, credit):
            self.assertEqual(item.statement_id.kind, "manual")
            self.assertAgrees(item.statement_id)
        with self.assertRaisesRegex(UserError, "is on the bill"):
            first.action_bill_now()
        # Bills by hand stand apart from the account's bills, which go on.
        self.assertEqual(str(self.client_a.next_bill_date), "2024-03-01")
        january = self._statement(self.client_a, "2024-02-01")
        january.action_void()
        self.assertEqual(str(self.client_a.next_bill_date), "2024-02-01")
        invoice = first.statement_id.invoice_id
        invoice.button_draft()
        invoice.button_cancel()
        self.assertEqual(str(self.client_a.next_bill_date), "2024-02-01")
        self.assertEqual(first.state, "waiting")

    def test_only_managers_add_and_bill(self):
        user = new_test_user(self.env, "clerk", "reseller_billing.group_billing_user")
        item = self._add("One", 10)
        with self.assertRaises(AccessError):
            item.with_user(user).action_bill_now()
        with self.assertRaises(AccessError):
            item.with_user(user).unit_price = 3

    def test_what_was_billed_in_error_is_withdrawn(self):
        item = self._add("Error", 500)
        self._run("2024-02-01")
        invoice = item.statement_id.invoice_id
        with self.assertRaisesRegex(UserError, "Billing itself says"):
            item.statement_id = False
        invoice.button_draft()
        invoice.button_cancel()
        with self.assertRaisesRegex(UserError, "withdraw it"):
            item.unlink()
        item.action_withdraw()
        self.assertEqual(item.state, "withdrawn")
        self._run("2024-02-01")
        self.assertFalse(self._statement(self.client_a, "2024-02-01").charge_ids)
        with self.assertRaisesRegex(UserError, "enter it anew"):
            item.action_bill_now()

    def test_taxes_turn_a_bill_over(self):
        tax = self.env["account.tax"].create(
            {"name": "25 %", "amount": 25, "company_id": self.company.id}
        )
        self.product.taxes_id = tax
        free = self.env["product.product"].create(
            {"name": "Gift", "type": "service", "taxes_id": False}
        )
        self._use("2024-01-05", 100)
        self._add("Gift", 110, kind="credit", product_id=free.id)
        run = self._run("2024-02-01")
        self.assertFalse(run.parked_line_ids)
        statement = self._statement(self.client_a, "2024-02-01")
        # 100.00 and 25.00 of tax, less 110.00: below zero before taxes, above it with them.
        self.assertEqual(statement.amount_total, -10)
        self.assertEqual(statement.invoice_id.move_type, "out_invoice")
        self.assertEqual(statement.invoice_id.amount_total, 15)
        self.assertAgrees(statement)
        # And the other way round, in the next month: −100.00 and −25.00, with 110.00.
        self._use("2024-01-06", -100)
        self._add("Fee", 110, product_id=free.id, date="2024-02-20")
        self.assertFalse(self._run("2024-03-01").parked_line_ids)
        statement = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(statement.amount_total, 10)
        self.assertEqual(statement.invoice_id.move_type, "out_refund")
        self.assertEqual(statement.invoice_id.amount_total, 15)
        self.assertAgrees(statement)

    def test_nothing_is_billed_to_an_account_that_is_not_active(self):
        draft = self._create_client("D", activate=False)
        item = self._add("Early", 5, client_id=draft.id)
        with self.assertRaisesRegex(UserError, "activate it first"):
            item.action_bill_now()
