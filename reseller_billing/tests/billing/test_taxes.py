from datetime import date
from decimal import Decimal

from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common_taxes import TaxesCommon


@tagged("post_install", "-at_install")
class TestTaxes(TaxesCommon):
    """What invoices and what is given back are taxed with."""

    def test_a_fee_is_given_back_with_the_tax_that_it_was_billed_with(self):
        self._price_a_year()
        plan = self.env["account.analytic.plan"].create({"name": "Plan"})
        project, other = self.env["account.analytic.account"].create(
            [{"name": name, "plan_id": plan.id} for name in "PO"]
        )
        distribution = self.env["account.analytic.distribution.model"].create(
            {"product_id": self.product.id, "analytic_distribution": {str(project.id): 100}}
        )
        self._run("2025-01-01")
        [invoice] = self._documents("2025-01-01")
        self.assertEqual(self._totals(invoice), ({"19 %": "1200.00"}, "228.00", "1428.00"))
        [billed] = invoice.invoice_line_ids
        # All that Odoo would find today is something else.
        self.product.taxes_id = self.tax_16
        self.product.property_account_income_id = self.company_data[
            "default_account_revenue"
        ].copy()
        distribution.analytic_distribution = {str(other.id): 100}
        self.client.partner_id.property_account_position_id = self.env[
            "account.fiscal.position"
        ].create({"name": "Reverse Charge"})
        self._run("2025-06-01")
        self.client.action_close("2025-06-30")
        self._run("2025-07-01")
        [credit] = self._documents("2025-07-01")
        # 184 of 365 days.
        self.assertEqual(self._totals(credit), ({"19 %": "604.93"}, "114.94", "719.87"))
        [line] = credit.invoice_line_ids
        self.assertEqual(line.account_id, billed.account_id)
        self.assertEqual(line.analytic_distribution, {str(project.id): 100})
        self.assertEqual(credit.reversed_entry_id, invoice)
        self.assertIn(f"by {invoice.name}", line.name)
        self.assertIn("07/01/2025 to 12/31/2025", line.name)
        self.assertEqual((invoice.payment_state, credit.payment_state), ("not_paid", "not_paid"))
        self.assertAgrees(self._statement(self.client, "2025-07-01"))

    def test_units_of_another_tier_go_back_with_their_tax(self):
        self._use_into_another_tier()
        self._run("2025-03-01")
        [first, second] = self._documents("2025-02-01", "2025-03-01")
        self.assertEqual(self._totals(first), ({"19 %": "80.00"}, "15.20", "95.20"))
        # 80 at 1.00 back, 120 at 0.80: 96.00 with 15.36.
        self.assertEqual(
            self._totals(second), ({"19 %": "-80.00", "16 %": "96.00"}, "0.16", "16.16")
        )
        [back] = second.invoice_line_ids.filtered(lambda line: line.price_subtotal < 0)
        self.assertIn(f"billed for 01/01/2025 to 01/31/2025 by {first.name}", back.name)
        self.assertFalse(second.reversed_entry_id)
        # Void by a credit note, that bill gives nothing back any more: billed again, it does as before.
        self._statement(self.client, "2025-03-01")._void_by_credit_note(date(2025, 3, 1))
        self._run("2025-03-01")
        again = self._statement(self.client, "2025-03-01").invoice_id
        self.assertNotEqual(again, second)
        self.assertEqual(self._totals(again), self._totals(second))

    def test_what_several_lines_billed_goes_back_to_each(self):
        self._price_a_year(enrolment="opt_in")
        row = self.env["reseller.client.feature"].create(
            {"client_id": self.client.id, "feature_id": self.feature.id, "date_from": "2025-01-01"}
        )
        self._run("2025-01-01")
        self.product.taxes_id = self.tax_16
        self._run("2025-06-01")
        self.client.action_enrol(self.feature, 2, "2025-07-01")
        self.assertTrue(row.date_to)
        self._run("2025-07-01")
        more = self._statement(self.client, "2025-07-01")
        self.assertEqual(self._amounts(more), {("unit", "recurring"): "604.93"})
        self.assertEqual(str(more.charge_ids.date_from), "2025-07-01")
        self._run("2025-09-01")
        self.client.action_close("2025-09-30")
        self._run("2025-10-01")
        [credit] = self._documents("2025-10-01")
        # Of each its 92 days of the last quarter: 302.47 of the first number, 302.46 of the second.
        self.assertEqual(
            self._totals(credit),
            ({"19 %": "302.47", "16 %": "302.46"}, "105.86", "710.79"),
        )
        self.assertFalse(credit.reversed_entry_id)
        self.assertAgrees(self._statement(self.client, "2025-10-01"))

    def test_what_was_given_back_before_is_given_back_once(self):
        self._price_a_year(enrolment="opt_in")
        self.client.action_enrol(self.feature, 1, "2025-01-01")
        self._run("2025-01-01")
        self.product.taxes_id = self.tax_16
        # Two more from April on, with 16 %; one less from July on; then none.
        self._run("2025-03-01")
        self.client.action_enrol(self.feature, 3, "2025-04-01")
        self._run("2025-04-01")
        self._run("2025-06-01")
        self.client.action_enrol(self.feature, 2, "2025-07-01")
        self._run("2025-12-01")
        self.client.action_close("2025-12-30")
        self._run("2025-12-31")
        moves = self.env["account.move"].search(
            [("reseller_client_id", "=", self.client.id), ("state", "=", "posted")]
        )
        by_tax = {}
        for move in moves:
            sign = -1 if move.move_type == "out_refund" else 1
            for line in move.invoice_line_ids:
                rate = line.tax_ids.name
                by_tax[rate] = by_tax.get(rate, 0) + sign * Decimal(f"{line.price_subtotal:.2f}")
        # 90 days of one, 91 of three, 183 of two: 729 of 365 days.
        self.assertEqual(sum(by_tax.values()), Decimal("2396.71"))
        self.assertLessEqual(by_tax["19 %"], Decimal("1200.00"))
        self.assertGreaterEqual(by_tax["16 %"], Decimal(0))

    def test_a_credit_note_that_is_cancelled_frees_what_it_gave_back(self):
        self._price_a_year()
        self._run("2025-01-01")
        self.product.taxes_id = self.tax_16
        self._run("2025-06-01")
        self.client.action_close("2025-06-30")
        for _time in range(2):
            self._run("2025-07-01")
            credit = self._statement(self.client, "2025-07-01").invoice_id
            self.assertEqual(self._totals(credit), ({"19 %": "604.93"}, "114.94", "719.87"))
            credit.button_draft()
            credit.button_cancel()

    def test_a_product_without_a_tax_is_asked_for(self):
        def untaxed():
            tiles = self.env["reseller.dashboard"].get_data()["tiles"]
            return next(tile["count"] for tile in tiles if tile["key"] == "untaxed")

        self._create_rule(recurring_fee=10)
        self.product.taxes_id = False
        self.assertEqual(untaxed(), 0)
        self.company.account_sale_tax_id = self.tax_19
        self.assertEqual(untaxed(), 1)
        run = self._run("2025-01-01")
        self.assertFalse(run.statement_ids)
        self.assertIn("Use has no sales tax at", run.parked_line_ids[0].reason)
        # Of another company is none of this one.
        other = self._create_company(name="Other")
        self.product.taxes_id = self.env["account.tax"].create(
            {"name": "20 %", "amount": 20, "company_id": other.id}
        )
        self.assertFalse(self._run("2025-01-01").statement_ids)
        self.product.taxes_id = False
        self.product.reseller_untaxed = True
        self.assertEqual(untaxed(), 0)
        extra = self.env["product.product"].create({"name": "Line", "taxes_id": False})
        self.client.contract_id.contract_line_ids = [
            fields.Command.create(
                {
                    "product_id": extra.id,
                    "name": "Line",
                    "recurring_next_date": "2030-01-01",
                    "date_start": "2030-01-01",
                }
            )
        ]
        self.assertEqual(untaxed(), 1)
        extra.taxes_id = self.tax_19
        self.assertEqual(untaxed(), 0)
        self._run("2025-01-01")
        self.assertEqual(self._totals(self._documents("2025-01-01")[0])[1:], ("0.00", "10.00"))

    def test_the_shipped_product_has_the_tax_of_every_company(self):
        shipped = self.env.ref("reseller_billing.product_usage")
        self.assertFalse(shipped.taxes_id)
        self.company.account_sale_tax_id = self.tax_19
        self.assertEqual(shipped.taxes_id, self.tax_19)
        other = self._create_company(name="Other")
        self.assertTrue(other.account_sale_tax_id)  # of its chart
        shipped_sudo = shipped.sudo()  # taxes of all companies
        self.assertEqual(shipped_sudo.taxes_id, self.tax_19 | other.account_sale_tax_id)
        # What somebody has chosen stays.
        shipped.taxes_id = self.tax_16
        self.company.account_sale_tax_id = self.tax_16
        self.company.account_sale_tax_id = self.tax_19
        self.assertEqual(shipped.taxes_id, self.tax_16)

    def test_an_invoice_says_when_its_service_was_delivered(self):
        self._create_rule(recurring_fee=31, unit_price=1)
        arrears = self._create_feature("arrears")
        self._create_rule(arrears, recurring_fee=31, fee_timing="arrears", date_from="2025-03-01")
        self._use("2025-01-31", 1, client="T")
        self._run("2025-03-01")
        self.client.action_close("2025-03-20")
        self._run("2025-03-21")
        # The fee of January alone; use of January with February's fee; that of March alone; arrears
        # of March, with what is given back.
        self.assertEqual(
            [
                (str(one.bill_date), str(one.invoice_id.delivery_date))
                for one in self.client.statement_ids.sorted("bill_date")
            ],
            [
                ("2025-01-01", "2025-01-01"),
                ("2025-02-01", "2025-01-31"),
                ("2025-03-01", "2025-03-01"),
                ("2025-03-21", "2025-03-20"),
            ],
        )

    def test_taxes_of_a_draft_are_the_accountants(self):
        self._create_rule(recurring_fee=100)
        self._run("2025-01-01")
        [invoice] = self._documents("2025-01-01")
        self.product.taxes_id = self.tax_16
        invoice.button_draft()
        invoice.action_update_fpos_values()
        self.assertEqual(self._totals(invoice), ({"16 %": "100.00"}, "16.00", "116.00"))
        invoice.invoice_line_ids.tax_ids = self.tax_19
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            invoice.invoice_line_ids.price_unit = 90
        invoice.action_post()
        self.assertEqual(self._totals(invoice), ({"19 %": "100.00"}, "19.00", "119.00"))
        self.assertAgrees(self._statement(self.client, "2025-01-01"))

    def test_wrong_taxes_of_a_posted_bill_are_corrected_by_another_one(self):
        self._price_a_year()
        self._run("2025-01-01")
        [wrong] = self._documents("2025-01-01")
        wrong.journal_id.restrict_mode_hash_table = True
        position = self.env["account.fiscal.position"].create({"name": "16", "auto_apply": False})
        self.tax_16.write(
            {"fiscal_position_ids": position.ids, "original_tax_ids": self.tax_19.ids}
        )
        self.client.partner_id.property_account_position_id = position
        action = wrong.action_correct_taxes()
        right = self.env["account.move"].browse(action["res_id"])
        self.assertEqual((right.state, right.fiscal_position_id), ("draft", position))
        self.assertEqual(self._totals(right), ({"16 %": "1200.00"}, "192.00", "1392.00"))
        right.action_post()
        self.assertEqual(wrong.payment_state, "reversed")
        statement = self._statement(self.client, "2025-01-01")
        self.assertEqual((statement.invoice_id, statement.state), (right, "invoiced"))
        self.assertAgrees(statement)
        with self.assertRaisesRegex(UserError, "posted invoice of a statement"):
            wrong.action_correct_taxes()
        # What is given back later is of the right one.
        self._run("2025-06-01")
        self.client.action_close("2025-06-30")
        self._run("2025-07-01")
        [credit] = self._documents("2025-07-01")
        self.assertEqual(self._totals(credit), ({"16 %": "604.93"}, "96.79", "701.72"))
        self.assertEqual(credit.reversed_entry_id, right)

    def test_a_mandatory_analytic_plan_parks_what_has_none(self):
        self._create_rule(recurring_fee=100)
        plan = self.env["account.analytic.plan"].create(
            {"name": "Plan", "default_applicability": "mandatory"}
        )
        project = self.env["account.analytic.account"].create({"name": "P", "plan_id": plan.id})
        run = self._run("2025-01-01")
        self.assertFalse(run.statement_ids.invoice_id)
        self.assertEqual(len(run.parked_line_ids), 2)
        self.assertIn("analytic distribution", run.parked_line_ids[0].reason)
        self.env["account.analytic.distribution.model"].create(
            {"product_id": self.product.id, "analytic_distribution": {str(project.id): 100}}
        )
        self._run("2025-01-01")
        [invoice] = self._documents("2025-01-01")
        self.assertEqual(invoice.invoice_line_ids.analytic_distribution, {str(project.id): 100})

    def test_correcting_taxes_leaves_prices_and_what_was_settled(self):
        included = self.tax_19.copy(
            {"name": "19 % incl.", "price_include_override": "tax_included", "amount": 19}
        )
        self.product.taxes_id = included
        self._price_a_year()
        # It maps none of these taxes.
        by_hand = self.env["account.fiscal.position"].create({"name": "By hand"})
        self.tax_19.copy({"name": "Other", "fiscal_position_ids": by_hand.ids})
        self.client.contract_id.fiscal_position_id = by_hand
        self._run("2025-01-01")
        [wrong] = self._documents("2025-01-01")
        right_tax = included.copy({"name": "16 % incl.", "amount": 16})
        self.product.taxes_id = right_tax
        action = wrong.action_correct_taxes()
        right = self.env["account.move"].browse(action["res_id"])
        # As priced: 1,200.00 with either tax in it.
        self.assertEqual(right.amount_total, 1200)
        self.assertEqual(right.amount_tax, 165.52)
        self.assertEqual(right.fiscal_position_id, by_hand)
        self.assertEqual(right.delivery_date, wrong.delivery_date)
        right.action_post()
        self._run("2025-06-01")
        self.client.action_close("2025-06-30")
        self._run("2025-07-01")
        [credit] = self._documents("2025-07-01")
        self.assertEqual(credit.invoice_line_ids.tax_ids, right_tax)
        revenue = credit.invoice_line_ids.account_id
        # The invoice turns out to be wrong again; its credit note follows, and keeps its account.
        self.product.taxes_id = self.tax_16
        self.product.property_account_income_id = revenue.copy()
        again = self.env["account.move"].browse(right.action_correct_taxes()["res_id"])
        again.action_post()
        self.assertEqual(self._totals(again), ({"16 %": "1200.00"}, "192.00", "1392.00"))
        self.assertNotEqual(again.invoice_line_ids.account_id, revenue)
        note = self.env["account.move"].browse(credit.action_correct_taxes()["res_id"])
        note.action_post()
        self.assertEqual(self._totals(note), ({"16 %": "604.93"}, "96.79", "701.72"))
        self.assertEqual(note.invoice_line_ids.account_id, revenue)
        self.assertEqual(note.reversed_entry_id, again)
        # Posted again, it still pays nothing by itself.
        note.button_draft()
        note.action_post()
        self.assertEqual((note.payment_state, again.payment_state), ("not_paid", "not_paid"))
        self.assertEqual(note.reversed_entry_id, again)

    def test_what_is_given_back_is_billings_to_say(self):
        self._price_a_year()
        self._run("2025-01-01")
        [invoice] = self._documents("2025-01-01")
        charge = invoice.invoice_line_ids.charge_id
        foreign = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.client.partner_id.id,
                "invoice_line_ids": [
                    fields.Command.create({"name": "x", "quantity": 1, "price_unit": 1200})
                ],
            }
        )
        with self.assertRaisesRegex(UserError, "billing itself keeps"), self.env.cr.savepoint():
            foreign.invoice_line_ids.reverses_charge_id = charge
        with self.assertRaisesRegex(UserError, "billing itself keeps"), self.env.cr.savepoint():
            foreign.reseller_former_statement_id = charge.statement_id
        # Brought in with a document of its own, it takes nothing away.
        foreign.copy(
            {
                "invoice_line_ids": [
                    fields.Command.create(
                        {
                            "name": "x",
                            "quantity": 1,
                            "price_unit": 1200,
                            "reverses_charge_id": charge.id,
                        }
                    )
                ]
            }
        )
        self.product.taxes_id = self.tax_16
        self._run("2025-06-01")
        self.client.action_close("2025-06-30")
        self._run("2025-07-01")
        [credit] = self._documents("2025-07-01")
        self.assertEqual(self._totals(credit), ({"19 %": "604.93"}, "114.94", "719.87"))

    def test_the_live_balance_gives_back_what_the_bill_does(self):
        self._use_into_another_tier()
        with freeze_time("2025-02-20 12:00:00"):
            [(_since, due)] = self.client._load_shares().values()
        # 80.00 with 15.20 back, 96.00 with 15.36: as on the bill of the test above.
        self.assertEqual(due, Decimal("16.16"))
