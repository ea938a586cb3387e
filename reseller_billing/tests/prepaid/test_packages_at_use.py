from datetime import date

from freezegun import freeze_time
from odoo import Command

from .common_packages import PackagesCommon


class TestPackagesAtUse(PackagesCommon):
    """Packages that are taxed with what is used of them: the tax is in what was paid."""

    def setUp(self):
        super().setUp()
        self.vat = self.prepaid.copy({"name": "VAT"})
        self.tax = self._create_owed_tax(19, self.vat)
        for number, share in enumerate(
            self.tax.invoice_repartition_line_ids + self.tax.refund_repartition_line_ids
        ):
            share.tag_ids = self.env["account.account.tag"].create(
                {"name": f"Box {number}", "applicability": "taxes"}
            )
        self.product.taxes_id = self.tax
        self.package = self._create_package(
            "100 at use",
            reseller_units=100,
            list_price=119,
            reseller_vat_mode="use",
            taxes_id=self.tax.ids,
        )

    def assertBalances(self, **expected):
        accounts = {
            "vat": self.vat,
            "packages": self.prepaid,
            "income": self.income,
            "breakage": self.breakage,
        }
        self.assertEqual({name: self._balance(accounts[name]) for name in expected}, expected)
        self.assertBooks()

    def _summary(self):
        """Return {(document, tax): (net, base, tax)} of the report of taxes."""
        self.env.flush_all()
        rows = self.env["reseller.tax.summary"].search([("client_id", "=", self.client_a.id)])
        return [
            (row.move_id.move_type, row.partner_id, row.tax_id, row.net, row.base, row.tax)
            for row in rows.sorted(lambda row: (row.date, row.move_id.id))
        ]

    def assertReportedAs(self, entry, kind, price):
        """Odoo's tax report reads of an entry what it reads of a document of its own with that price."""
        document = self.env["account.move"].create(
            {
                "move_type": kind,
                "partner_id": self.client_a.partner_id.id,
                "invoice_date": entry.date,
                "invoice_line_ids": [
                    Command.create({"product_id": self.product.id, "price_unit": price})
                ],
            }
        )
        document.action_post()

        def read(move):
            lines = move.line_ids.filtered(lambda line: line.tax_ids or line.tax_line_id)
            return [
                (
                    line.account_id,
                    line.tax_ids,
                    line.tax_line_id,
                    line.tax_repartition_line_id,
                    line.tax_tag_ids,
                    line.tax_base_amount,
                    line.balance,
                )
                for line in lines.sorted(lambda line: line.tax_line_id.id)
            ]

        self.assertEqual(read(entry), read(document))
        document.button_draft()

    def _taxes_due(self, mode="use"):
        groups = self.env["reseller.prepaid.entry"]._read_group(
            [("lot_id.client_id", "=", self.client_a.id)], ["vat_mode", "kind"], ["tax:sum"]
        )
        return {kind: round(tax, 2) for found, kind, tax in groups if found == mode and tax}

    def test_what_is_used_is_taxed_and_nothing_else(self):
        # 119.00 for 100 units without an invoice's tax: 35 units are 41.65, which are 35.00 and 6.65.
        lot = self._sell("2024-01-02", self.package)
        document = lot.charge_id.statement_id.invoice_id
        self.assertEqual((document.amount_tax, document.amount_total), (0, 119))
        self.assertBalances(packages=-119, vat=0, income=0)
        self._run("2024-01-01")
        statement = self._bill_use("2024-01-20", 35, "2024-02-01")
        self.assertFalse(statement.invoice_id)
        self.assertBalances(packages=-77.35, income=-35, vat=-6.65)
        self.assertLot(lot, 65, 77.35)
        entry = lot.entry_ids.filtered(lambda one: one.kind == "draw").move_id
        payer = self.client_a.partner_id
        self.assertEqual(self._summary(), [("entry", payer, self.tax, 35, 35, 6.65)])
        self.assertReportedAs(entry, "out_invoice", 35)
        # The statement has it, since no invoice does.
        [row] = statement._get_unit_rows()
        self.assertEqual((row["paid"], row["tax"]), (41.65, 6.65))
        page = self.env["ir.actions.report"]._render_qweb_html(
            "reseller_billing.report_statement", statement.ids
        )[0]
        self.assertIn("Taxed now, of what was paid before", page.decode())
        # Void, all is as it was.
        with freeze_time("2024-02-10 12:00:00"):
            statement.action_void()
        self.assertBalances(packages=-119, income=0, vat=0)
        self.assertLot(lot, 100, 119)
        self.assertEqual(sum(row[5] for row in self._summary()), 0)
        self.assertEqual(self._taxes_due(), {"draw": 6.65, "return": -6.65})
        self._run("2024-02-10")
        self.assertBalances(packages=-77.35, income=-35, vat=-6.65)
        # What is left is given back as it was paid: without taxes.
        with freeze_time("2024-02-12 12:00:00"):
            lot.action_refund()
        note = lot.entry_ids.filtered(lambda one: one.kind == "refund").move_id
        self.assertEqual((note.amount_tax, note.amount_total), (0, 77.35))
        self.assertBalances(packages=0, income=-35, vat=-6.65)
        self.assertEqual({row[3:] for row in self._summary() if row[0] == "out_refund"}, set())

    def test_packages_at_receipt_are_as_they_were(self):
        package = self._create_package(
            "100 at receipt", reseller_units=100, list_price=50, taxes_id=self.tax.ids
        )
        lot = self._sell("2024-01-02", package)
        self.assertEqual(lot.vat_mode, "receipt")
        self.assertBalances(packages=-50, vat=-9.5)
        at_use = self._sell("2024-01-03", self.package)
        # Both in one bill: the first gives 100 units, the second 50 for 59.50, which are 50.00 and 9.50.
        self._bill_use("2024-01-20", 150, "2024-02-01")
        self.assertLot(lot, 0, 0)
        self.assertLot(at_use, 50, 59.5)
        self.assertBalances(packages=-59.5, income=-100, vat=-19)
        moves = (lot | at_use).entry_ids.filtered(lambda one: one.kind == "draw").move_id
        self.assertEqual(len(moves), 2)
        self.assertEqual([row[3:] for row in self._summary()], [(50, 50, 9.5), (50, 50, 9.5)])
        self.assertEqual(self._taxes_due("receipt"), {"buy": 9.5})
        with freeze_time("2024-02-05 12:00:00"):
            self._sell("2024-02-02", package).action_refund()
        self.assertEqual(self._taxes_due("receipt"), {"buy": 19, "refund": -9.5})
        self.assertBalances(packages=-59.5, income=-100, vat=-19)

    def test_each_day_has_the_rate_of_its_tax(self):
        lower = self._create_owed_tax(16, self.vat)
        self.env["reseller.tax.change"].create(
            {
                "company_id": self.company.id,
                "old_tax_id": self.tax.id,
                "new_tax_id": lower.id,
                "date": "2024-01-16",
            }
        )
        self._sell("2024-01-02", self.package)
        self._use("2024-01-15", 10)
        # 11.90 each: 10.00 and 1.90 at 19 %, 10.26 and 1.64 at 16 %.
        self._bill_use("2024-01-16", 10, "2024-02-01")
        self.assertBalances(packages=-95.2, income=-20.26, vat=-3.54)

    def test_units_that_are_given_back_take_their_tax_along(self):
        self._sell("2024-01-02", self.package)
        self._use("2024-01-10", 10)
        self._use("2024-01-11", 25)
        self._run("2024-02-01")
        line = self.env["reseller.usage.line"].search(
            [("client_id", "=", self.client_a.id), ("quantity", "=", 10)]
        )
        line.action_void()
        # 10 units are 11.90: 10.00 and 1.90.
        self._run("2024-03-01")
        self.assertBalances(packages=-89.25, income=-25, vat=-4.75)
        back = self.env["account.move.line"].search(
            [("account_id", "=", self.vat.id), ("balance", ">", 0)]
        )
        self.assertReportedAs(back.move_id, "out_refund", 10)

    def test_in_another_currency_it_is_what_the_sale_was_worth(self):
        # 100 units for 50.00 euros, a euro at a half: 25.00. 35 units are 17.50 euros, with 2.79 of tax in
        # them, and 8.75 in the books, with 1.40.
        self.package = self._create_package(
            "Euros", reseller_units=100, list_price=50, reseller_vat_mode="use"
        )
        lot = self._sell_in_euros()
        self.assertLot(lot, 65, 32.5)
        self.assertBalances(packages=-16.25, income=-7.35, vat=-1.4)
        entry = lot.entry_ids.filtered(lambda one: one.kind == "draw").move_id
        due = entry.line_ids.filtered("tax_line_id")
        self.assertEqual((due.currency_id.name, due.amount_currency), ("EUR", -2.79))

    def test_included_taxes_and_customers_abroad(self):
        included = self._create_owed_tax(19, self.vat, price_include_override="tax_included")
        self.product.taxes_id = included
        self._sell("2024-01-02", self.package)
        self._bill_use("2024-01-20", 35, "2024-02-01")
        self.assertBalances(packages=-77.35, income=-35, vat=-6.65)
        # From now on it is abroad: what it uses has no tax, and all that was paid for it is income.
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        none = self._create_owed_tax(0, self.vat)
        none.write(
            {
                "fiscal_position_ids": [Command.set(position.ids)],
                "original_tax_ids": [Command.set(included.ids)],
            }
        )
        self.client_a.partner_id.property_account_position_id = position
        self._bill_use("2024-02-20", 10, "2024-03-01")
        self.assertBalances(packages=-65.45, income=-46.9, vat=-6.65)
        self.assertEqual(self._summary()[-1][2:], (none, 11.9, 11.9, 0))

    def test_no_cent_is_lost_where_the_tax_is_none(self):
        # 0.09 for 3 units: 0.03 each, with 0.0048 of tax in it.
        package = self._create_package(
            "3 at use", reseller_units=3, list_price=0.09, reseller_vat_mode="use"
        )
        lot = self._sell("2024-01-02", package)
        for month in (1, 2, 3):
            self._bill_use(f"2024-{month:02}-10", 1, f"2024-{month + 1:02}-01")
            self.assertBooks()
        self.assertLot(lot, 0, 0)
        self.assertBalances(packages=0, income=-0.09, vat=0)

    def test_what_has_expired_is_no_sale(self):
        self.package.reseller_valid_count = 1
        self._sell("2024-01-02", self.package)
        self._bill_use("2024-01-20", 35, "2024-02-01")
        self._run("2024-03-01")
        self.assertBalances(packages=0, income=-35, vat=-6.65, breakage=-77.35)

    def test_the_month_ends_with_what_is_earned_of_it(self):
        self._run("2024-01-01")
        self._sell("2024-01-02", self.package)
        self._use("2024-01-20", 35)
        wizard = self.env["reseller.month.end"].create(
            {
                "date": "2024-01-31",
                "accrued_account_id": self.breakage.copy({"account_type": "asset_current"}).id,
                "deferred_account_id": self.prepaid.copy().id,
            }
        )
        wizard.action_post()
        # The tax is due with the bill: what is earned are 35.00 of 41.65.
        items = self.env["account.move.line"].search(
            [("date", "<=", "2024-01-31"), ("company_id", "=", self.company.id)]
        )
        sums = {
            name: round(
                sum(items.filtered(lambda one, a=a: one.account_id == a).mapped("balance")), 2
            )
            for name, a in (("income", self.income), ("packages", self.prepaid), ("vat", self.vat))
        }
        self.assertEqual(sums, {"income": -35, "packages": -84, "vat": 0})
        self._run("2024-02-01")
        self.assertBalances(packages=-77.35, income=-35, vat=-6.65)

    def test_a_bill_waits_for_a_tax_and_for_an_open_period(self):
        self._sell("2024-01-02", self.package)
        self._use("2024-01-20", 35)
        self.company.account_sale_tax_id = self.tax
        self.product.taxes_id = False
        run = self._run("2024-02-01")
        self.assertIn("has no sales tax", run.line_ids.filtered("reason").reason)
        self.product.taxes_id = self.tax
        # A period that is locked for taxes takes no use that has some.
        self.company.tax_lock_date = date(2024, 2, 1)
        run = self._run("2024-02-01")
        self.assertIn("in a locked period", run.line_ids.filtered("reason").reason)
        self.company.tax_lock_date = False
        self._run("2024-02-01")
        self.assertBalances(packages=-77.35, income=-35, vat=-6.65)

    def test_no_wallet_pays_what_has_no_tax_yet(self):
        self.company.reseller_bonus_mode = "price"
        with freeze_time("2024-01-02 12:00:00"):
            self.client_a._give_to_wallet(200, "Sorry", "sorry")
        lot = self._sell("2024-01-03", self.package, owed=True)
        invoice = lot.charge_id.statement_id.invoice_id
        self.assertEqual((invoice.amount_total, invoice.amount_residual, lot.cost), (119, 119, 119))
        self.assertEqual(self.client_a.wallet_lot_ids.left, 200)
        # In the portal it costs what its invoice says.
        self.assertEqual(self.client_a._get_package_total(self.package), 119)

    def test_a_sale_that_is_void_is_in_no_report_of_taxes(self):
        lot = self._sell("2024-01-02", self.package)
        with freeze_time("2024-01-05 12:00:00"):
            lot.charge_id.statement_id._void_by_credit_note(date(2024, 1, 5))
        self.assertEqual(self._summary(), [])
        # Nor is one that is replaced.
        invoice = self._sell("2024-01-06", self.package).charge_id.statement_id.invoice_id
        with freeze_time("2024-01-07 12:00:00"):
            self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            ).modify_moves()
        self.assertEqual(self._summary(), [])

    def test_what_had_expired_with_a_void_bill_is_in_no_report_of_taxes(self):
        self.package.reseller_valid_count = 1
        self._sell("2024-01-02", self.package)
        self._run("2024-02-01")
        self._run("2024-03-01")
        self.assertBalances(packages=0, breakage=-119)
        with freeze_time("2024-03-05 12:00:00"):
            self._statement(self.client_a, "2024-03-01").action_void()
        self.assertBalances(packages=-119, breakage=0)
        self.assertEqual(self._summary(), [])

    def test_what_is_given_back_has_the_tax_that_it_was_booked_with(self):
        self._sell("2024-01-02", self.package)
        self._use("2024-01-10", 10)
        self._bill_use("2024-01-11", 25, "2024-02-01")
        self.product.taxes_id = self._create_owed_tax(7, self.vat)
        line = self.env["reseller.usage.line"].search(
            [("client_id", "=", self.client_a.id), ("quantity", "=", 10)]
        )
        line.action_void()
        self._run("2024-03-01")
        self.assertBalances(packages=-89.25, income=-25, vat=-4.75)

    def test_what_was_drawn_without_a_tax_is_given_back_without(self):
        position = self.env["account.fiscal.position"].create({"name": "Abroad"})
        none = self._create_owed_tax(0, self.vat)
        none.write(
            {
                "fiscal_position_ids": [Command.set(position.ids)],
                "original_tax_ids": [Command.set(self.tax.ids)],
            }
        )
        self.client_a.partner_id.property_account_position_id = position
        self._sell("2024-01-02", self.package)
        self._use("2024-01-10", 10)
        self._bill_use("2024-01-11", 25, "2024-02-01")
        self.assertBalances(packages=-77.35, income=-41.65, vat=0)
        self.client_a.partner_id.property_account_position_id = False
        self.env["reseller.usage.line"].search(
            [("client_id", "=", self.client_a.id), ("quantity", "=", 10)]
        ).action_void()
        self._run("2024-03-01")
        self.assertBalances(packages=-89.25, income=-29.75, vat=0)

    def test_a_mandatory_analytic_plan_holds_for_use_of_packages(self):
        receipt = self._create_package("At receipt", reseller_units=100, list_price=50)
        for package in (self.package, receipt):
            self._sell("2024-01-02", package)
        self._use("2024-01-20", 150)
        plan = self.env["account.analytic.plan"].create(
            {"name": "Plan", "default_applicability": "mandatory"}
        )
        project = self.env["account.analytic.account"].create({"name": "P", "plan_id": plan.id})
        run = self._run("2024-02-01")
        self.assertIn("analytic distribution", run.line_ids.filtered("reason").reason)
        self.assertBalances(income=0)
        self.env["account.analytic.distribution.model"].create(
            {"product_id": self.product.id, "analytic_distribution": {str(project.id): 100}}
        )
        self._run("2024-02-01")
        earned = self.env["account.move.line"].search([("account_id", "=", self.income.id)])
        self.assertEqual(len(earned), 2)
        for item in earned:
            self.assertEqual(item.analytic_distribution, {str(project.id): 100})

    def test_a_tax_that_is_no_percentage_is_refused(self):
        self.product.taxes_id = self._create_owed_tax(0.1, self.vat, amount_type="fixed")
        self._sell("2024-01-02", self.package)
        self._use("2024-01-20", 35)
        run = self._run("2024-02-01")
        self.assertIn("is no percentage", run.line_ids.filtered("reason").reason)

    def test_refills_are_taxed_as_what_they_are_sold_as(self):
        self.product.product_tmpl_id.reseller_vat_mode = "use"
        self.client_a.write({"refill_by": "invoice"})
        refill = self.env["reseller.refill"]
        self.assertEqual(
            [refill._get_vat_mode(self.company, feature) for feature in (self.feature, None)],
            ["use", "use"],
        )
        self.product.product_tmpl_id.reseller_vat_mode = False
        self.assertEqual(
            [refill._get_vat_mode(self.company, feature) for feature in (self.feature, None)],
            ["receipt", "use"],
        )
