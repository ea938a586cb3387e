from decimal import Decimal

from freezegun import freeze_time
from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common_taxes import TaxesCommon


@tagged("post_install", "-at_install")
class TestTaxRates(TaxesCommon):
    """Changes of tax rates, and taxes that a price includes."""

    def test_use_is_taxed_by_its_day_and_a_fee_by_its_last(self):
        self._change_rate()
        self._create_rule(unit_price=1, recurring_fee=12, fee_timing="arrears")
        year = self._create_feature("year")
        self._create_rule(year, recurring_fee=1200, interval_count=1, interval_unit="year")
        self._run("2025-01-01")
        # The year ends after the change: all of it has the new rate.
        self.assertEqual(
            self._totals(self._documents("2025-01-01")[0]),
            ({"16 %": "1200.00"}, "192.00", "1392.00"),
        )
        self._use("2025-06-30", 100, client="T")
        self._use("2025-07-01", 200, client="T")
        self._run("2025-06-01")
        # Whichever of the two taxes the product has when bills are made.
        self.product.taxes_id = self.tax_16
        self._run("2025-08-01")
        june, july = self._documents("2025-07-01", "2025-08-01")
        self.assertEqual(self._totals(june), ({"19 %": "100.00"}, "21.28", "133.28"))
        self.assertEqual(len(june.invoice_line_ids), 2)
        self.assertEqual(self._totals(july)[1:], ("33.92", "245.92"))
        self.assertEqual(july.invoice_line_ids.tax_ids, self.tax_16)
        # Late use of June has June's.
        self._use("2025-06-15", 50, client="T")
        self._run("2025-09-01")
        [august] = self._documents("2025-09-01")
        [late] = august.invoice_line_ids.filtered(lambda line: line.price_subtotal == 50)
        self.assertEqual(late.tax_ids, self.tax_19)

    def test_use_across_a_change_of_rate_is_split(self):
        self._change_rate(day="2025-01-16")
        self._create_rule(included_quantity=50, unit_price=1)
        self._use("2025-01-15", 80, client="T")
        self._use("2025-01-16", 30, client="T")
        with freeze_time("2025-01-31 12:00:00"):
            [(_since, due)] = self.client._load_shares().values()
        self.assertEqual(due, Decimal("70.50"))
        self._run("2025-02-01")
        [invoice] = self._documents("2025-02-01")
        # The free units are used by then: 30.00 with 5.70, 30.00 with 4.80.
        self.assertEqual(
            self._totals(invoice), ({"19 %": "30.00", "16 %": "30.00"}, "10.50", "70.50")
        )
        before, after = invoice.invoice_line_ids.sorted("charge_date_from")
        self.assertEqual(before.charge_id, after.charge_id)
        self.assertIn("of which 01/01/2025 to 01/15/2025", before.name)
        self.assertEqual(
            [str(after.charge_date_from), str(after.charge_date_to)], ["2025-01-16", "2025-01-31"]
        )
        self.assertAgrees(self._statement(self.client, "2025-02-01"))
        # What is corrected later is of its day as well, and gives back of its own line.
        self._use("2025-01-10", -40, client="T")
        self._run("2025-03-01")
        [credit] = self._documents("2025-03-01")
        self.assertEqual(self._totals(credit)[1:], ("7.30", "47.30"))
        self.assertAgrees(self._statement(self.client, "2025-03-01"))

    def test_use_that_no_change_touches_stays_one_line(self):
        other, lower = self.env["account.tax"].create(
            [{"name": f"Other {rate} %", "amount": rate} for rate in (7, 5)]
        )
        self._change_rate(day="2025-01-16", old=other, new=lower)
        self._create_rule(unit_price=1)
        self._use("2025-01-15", 80, client="T")
        self._use("2025-01-16", 30, client="T")
        self._run("2025-02-01")
        [line] = self._documents("2025-02-01")[0].invoice_line_ids
        self.assertEqual((line.quantity, line.price_unit, line.tax_ids), (110, 1, self.tax_19))

    def test_a_rate_may_come_back(self):
        self._change_rate(day="2025-02-01")
        self._change_rate(day="2025-03-01", old=self.tax_16, new=self.tax_19)
        self._create_rule(unit_price=1)
        for day in ("2025-01-31", "2025-02-28", "2025-03-01"):
            self._use(day, 100, client="T")
        self._run("2025-04-01")
        self.assertEqual(
            [
                self._totals(move)[1]
                for move in self._documents("2025-02-01", "2025-03-01", "2025-04-01")
            ],
            ["19.00", "16.00", "19.00"],
        )
        with self.assertRaisesRegex(ValidationError, "one rate a day"), self.env.cr.savepoint():
            self._change_rate(day="2025-02-15", old=self.tax_19)
        with self.assertRaisesRegex(ValidationError, "choose two"), self.env.cr.savepoint():
            self._change_rate(day="2025-04-01", new=self.tax_19)

    def test_fiscal_positions_map_the_tax_of_the_day(self):
        self._change_rate()
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        for tax in (self.tax_19, self.tax_16):
            tax.copy(
                {
                    "name": f"{tax.name} abroad",
                    "fiscal_position_ids": position.ids,
                    "original_tax_ids": tax.ids,
                }
            )
        self.client.partner_id.property_account_position_id = position
        self._create_rule(unit_price=1)
        self.product.taxes_id = self.tax_16
        self._use("2025-06-30", 100, client="T")
        self._run("2025-07-01")
        [invoice] = self._documents("2025-07-01")
        self.assertEqual(self._totals(invoice)[0], {"19 % abroad": "100.00"})
        invoice.button_draft()
        invoice.action_update_fpos_values()
        self.assertEqual(self._totals(invoice)[0], {"19 % abroad": "100.00"})

    def test_an_included_tax_that_falls_away_lowers_the_price(self):
        included = self.tax_19.copy(
            {"name": "19 % incl.", "price_include_override": "tax_included", "amount": 19}
        )
        self.product.taxes_id = included
        abroad = self.env["account.fiscal.position"].create({"name": "Abroad"})
        self.client.contract_id.fiscal_position_id = abroad
        self._create_rule(
            recurring_fee=1428, unit_price=1.19, interval_count=1, interval_unit="year"
        )
        self._run("2025-01-01")
        [invoice] = self._documents("2025-01-01")
        # As Odoo does on an invoice by hand.
        product = self.env["product.product"].create(
            {"name": "By hand", "list_price": 1428, "taxes_id": included.ids}
        )
        by_hand = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.client.partner_id.id,
                "fiscal_position_id": abroad.id,
                "invoice_line_ids": [fields.Command.create({"product_id": product.id})],
            }
        )
        self.assertEqual(by_hand.amount_total, 1200)
        self.assertEqual((invoice.amount_untaxed, invoice.amount_tax), (1200, 0))
        self._use("2025-01-10", 100, client="T")
        with freeze_time("2025-01-31 12:00:00"):
            [(_since, due)] = self.client._load_shares().values()
        self.assertEqual(due, 100)
        accrued, deferred = (
            self.company_data["default_account_assets"].copy({"name": name}) for name in "AD"
        )
        wizard = self.env["reseller.month.end"].create(
            {
                "date": "2025-01-31",
                "accrued_account_id": accrued.id,
                "deferred_account_id": deferred.id,
            }
        )
        entries = self.env["account.move"].search(wizard.action_post()["domain"])
        entry = entries.filtered(lambda move: str(move.date) == "2025-01-31")
        # 100.00 of use; 334 of 365 days of 1,200.00.
        self.assertEqual(
            {
                line.account_id: line.balance
                for line in entry.line_ids
                if line.account_id in (accrued, deferred)
            },
            {accrued: 100, deferred: -1098.08},
        )
        self._run("2025-06-01")
        self.client.action_close("2025-06-30")
        self._run("2025-07-01")
        [credit] = self._documents("2025-07-01")
        # 1,428.00 × 184 ÷ 365 = 719.87, of which 604.93 were billed.
        self.assertEqual((credit.move_type, credit.amount_total), ("out_refund", 604.93))
        # With the tax after all, it is as priced.
        self.client.contract_id.fiscal_position_id = False
        right = self.env["account.move"].browse(invoice.action_correct_taxes()["res_id"])
        self.assertEqual((right.amount_untaxed, right.amount_tax), (1200, 228))

    def test_all_units_of_a_long_cycle_have_the_tax_of_their_days(self):
        self._change_rate()
        self._create_rule(
            pricing_model="volume",
            interval_count=1,
            interval_unit="year",
            tiers=[(100, 1, 0), (None, 0.8, 0)],
        )
        self._use("2025-03-10", 80, client="T")
        self._run("2025-09-01")
        self._use("2025-09-10", 40, client="T")
        self._run("2025-10-01")
        [invoice] = self._documents("2025-10-01")
        # 80 at 1.00 back with 19 %; 120 at 0.80, 80 of them of March and 40 of September.
        self.assertEqual(invoice.amount_untaxed, 16)
        self.assertEqual(invoice.amount_tax, 2.08)
        self.assertEqual(
            sorted((line.price_subtotal, line.tax_ids.name) for line in invoice.invoice_line_ids),
            [(-80, "19 %"), (32, "16 %"), (64, "19 %")],
        )
