from datetime import date

from freezegun import freeze_time

from .common_ledger import LedgerCommon


class TestLedgerReports(LedgerCommon):
    """Reports that tie to the ledger."""

    def test_revenue_is_what_is_earned_and_net(self):
        # 119.00 are paid in by one client, who uses 100.00 and tax of it; another one uses 119.00
        # with the tax in its price: 100.00 each.
        self.product.taxes_id = self._tax(19)
        other = self._create_feature("other")
        other.product_id = self._create_package(
            "Taxed",
            reseller_grants=False,
            reseller_feature_id=False,
            taxes_id=self._tax(19, True).ids,
        )
        self._create_rule(other, unit_price=119)
        self._sell("2024-01-02", self._create_top_up(), price=119)
        second = self._create_client("B")
        self._use("2024-01-10", 100)
        self._use("2024-01-10", 1, "other", client="B")
        self._run("2024-02-01")
        self.assertEqual(self._statement(self.client_a, "2024-02-01").invoice_id.amount_total, 119)
        self.assertEqual(self._statement(second, "2024-02-01").invoice_id.amount_total, 119)
        self.assertEqual(self._revenue(), 200)
        self.assertEqual(self._revenue(("feature_id", "=", other.id)), 100)
        self.assertEqual(self._revenue(("client_id", "=", self.client_a.id)), 100)
        self.assertEqual(self.assertTies(), 200)
        with freeze_time("2024-02-20 12:00:00"):
            data = self.env["reseller.dashboard"].get_data()
        self.assertEqual([one["data"][-2:] for one in data["chart"]["datasets"]], [[0, 200]])
        # Taxes by document: 19.00 of each.
        rows = self.env["reseller.tax.summary"].search([("company_id", "=", self.company.id)])
        self.assertEqual(
            sorted((row.client_id.ref, row.net, row.base, row.tax) for row in rows),
            [("A", 100, 100, 19), ("B", 100, 100, 19)],
        )

    def test_the_rollforward_of_what_is_unbilled(self):
        fee = self._create_feature("fee", aggregation="sum")
        self._create_rule(name="fee", feature=fee, recurring_fee=31)
        rates = [("2024-01-01", 2), ("2024-02-01", 4)]
        euro = self.setup_other_currency("EUR", rates=rates)
        abroad = self._create_reseller("R2", currency_id=euro.id)
        self._create_client("B", reseller_id=abroad.id)
        self._create_rule(unit_price=1, currency_id=euro.id)
        self._run("2024-01-01")
        self._use("2024-01-10", 20)
        self._use("2024-01-10", 40, client="B")
        self.assertEqual(
            self._unbilled("2024-01-01", "2024-01-31"),
            {
                ("A", "fee"): (0, 31, 31, 0),
                ("A", "unit"): (0, 20, 0, 20),
                ("B", "unit"): (0, 40, 0, 40),
            },
        )
        self._run("2024-02-01")
        self._use("2024-02-10", 5)
        # Of February's 31.00 the last 14 of 29 days are not served on the 15th: 14.97.
        february = self._unbilled("2024-02-01", "2024-02-15")
        self.assertEqual(
            february,
            {
                ("A", "fee"): (0, 16.03, 31, -14.97),
                ("A", "unit"): (20, 5, 20, 5),
                ("B", "unit"): (40, 0, 40, 0),
            },
        )
        names = [
            f"{name}_balance" for name in ("opening", "earned", "billed", "exchange", "closing")
        ]
        in_company = self._unbilled("2024-02-01", "2024-02-15", names)
        # 40.00 euros were 20.00, and are billed at 10.00.
        self.assertEqual(in_company["B", "unit"], (20, 0, 10, -10, 0))
        # The 20.00 and 5.00 are what the month's end accrues, the 14.97 what it defers.
        with freeze_time("2024-02-20 12:00:00"):
            wizard = self.env["reseller.month.end"].create({"date": "2024-02-15"})
            wizard.action_compute()
        self.assertEqual(
            sorted((line.name, line.accrued, line.deferred) for line in wizard.line_ids),
            [("Fee", 0, 14.97), ("Unit", 5, 0)],
        )
        self.assertEqual(
            self._unbilled("2024-02-01", "2024-02-15", ("accrued", "deferred"))["A", "fee"],
            (0, 14.97),
        )
        # A void bill is unbilled again, from the day of its credit note.
        with freeze_time("2024-02-20 12:00:00"):
            self._statement(self.client_a, "2024-02-01")._void_by_credit_note(date(2024, 2, 20))
        self.assertEqual(self._unbilled("2024-02-01", "2024-02-15"), february)
        self.assertEqual(self._unbilled("2024-02-01", "2024-02-20")["A", "unit"], (20, 5, 0, 25))

    def test_what_is_unbilled_ties_to_the_month_end_to_the_cent(self):
        # 10.00 with 19 % included are 8.40 for each of three; 30.00 at once would be 25.21.
        self.product.taxes_id = self._tax(19, included=True)
        for ref in ("A", "B", "C"):
            if ref != "A":
                self._create_client(ref)
            self._use("2024-01-10", 10, client=ref)
        rows = self._unbilled("2024-01-01", "2024-01-31", ("closing",))
        self.assertEqual(round(sum(amount for (amount,) in rows.values()), 2), 25.2)
        accounts = {
            "accrued_account_id": self.prepaid.copy({"account_type": "asset_current"}).id,
            "deferred_account_id": self.prepaid.copy({}).id,
        }
        with freeze_time("2024-02-05 12:00:00"):
            self.env["reseller.month.end"].create({"date": "2024-01-31", **accounts}).action_post()
        self.assertEqual(self._revenue(("month", "=", "2024-01-01")), 25.2)

    def test_revenue_adds_up_abroad_with_minimums_set_up_fees_and_contracts(self):
        rates = [("2024-01-01", 2), ("2024-02-01", 4), ("2024-02-05", 5)]
        euro = self.setup_other_currency("EUR", rates=rates)
        abroad = self._create_reseller("R2", currency_id=euro.id)
        client = self._create_client("B", reseller_id=abroad.id)
        self.company.reseller_setup_months = 3
        self._create_rule(unit_price=1, currency_id=euro.id)
        for code, values in (
            ("setup", {"setup_fee": 90, "recurring_fee": 29}),
            ("least", {"unit_price": 1, "minimum_amount": 62}),
        ):
            feature = self._create_feature(code, aggregation="sum")
            self._create_rule(name=code, feature=feature, currency_id=euro.id, **values)
        self._add_extra(client, 58, "2024-01-01")
        accounts = {
            "accrued_account_id": self.prepaid.copy({"account_type": "asset_current"}).id,
            "deferred_account_id": self.prepaid.copy({}).id,
        }

        def end(day, later):
            with freeze_time(f"{later} 12:00:00"):
                self.env["reseller.month.end"].create({"date": day, **accounts}).action_post()
            self.assertTies()
            return self._revenue(("month", "=", f"{day[:7]}-01"))

        self._run("2024-01-01")
        self.assertTies()
        self._sell("2024-01-02", client=client)
        self._use("2024-01-10", 130, client="B")
        # At 2: 29 for January and 30.66 of the 90.00 for set-up (31 of 91 days), 62 at the least, 58,
        # 30 of use, and the package: 50.
        self.assertEqual(
            end("2024-01-31", "2024-02-03"),
            self.company.currency_id.round((29 + 30.66 + 62 + 58 + 30 + 50) / 2),
        )
        self._run("2024-02-01")
        self.assertTies()
        with freeze_time("2024-02-06 12:00:00"):
            item = self.env["reseller.manual.charge"].create(
                {"client_id": client.id, "name": "Visit", "unit_price": 40, "date": "2024-02-06"}
            )
            item.action_bill_now()
        self.assertTies()
        end("2024-02-29", "2024-03-02")
        self._run("2024-03-01")
        self.assertTies()
        with freeze_time("2024-03-05 12:00:00"):
            self._statement(client, "2024-02-01")._void_by_credit_note(date(2024, 3, 5))
        self.assertTies()
        self._run("2024-03-06")
        self.assertTies()
        self.assertBooks()

    def test_revenue_adds_up_with_all_that_there_is(self):
        self._create_rule(
            name="fee", feature=self._create_feature("fee", aggregation="sum"), recurring_fee=31
        )
        self.reseller.cash_rounding_id = self.env["account.cash.rounding"].create(
            {
                "name": "0.05",
                "rounding": 0.05,
                "strategy": "add_invoice_line",
                "profit_account_id": self.income.copy({"name": "Rounding"}).id,
                "loss_account_id": self.income.copy({"name": "Rounding loss"}).id,
                "rounding_method": "UP",
            }
        )
        self._sell("2024-01-02")
        with freeze_time("2024-01-02 12:00:00"):
            self.client_a._give_to_wallet(30, "Fair", "fair", date_until=date(2024, 1, 31))
        self._use("2024-01-10", "130.33")
        with freeze_time("2024-02-05 12:00:00"):
            self.env["reseller.month.end"].create(
                {
                    "date": "2024-01-31",
                    "accrued_account_id": self.prepaid.copy({"account_type": "asset_current"}).id,
                    "deferred_account_id": self.prepaid.copy({}).id,
                }
            ).action_post()
        accrued = self.assertTies()
        # January: 30.33 of use, the fee, and the package, 50.00; reversed in February.
        self.assertEqual(self._revenue(("month", "=", "2024-01-01")), 30.33 + 31 + 50)
        self.assertEqual(accrued, 0)
        self._run("2024-02-01")
        self.assertTies()
        january = self._statement(self.client_a, "2024-02-01")
        with freeze_time("2024-02-10 12:00:00"):
            january._void_by_credit_note(date(2024, 2, 10))
        # What is void is no revenue of its feature either: January's fee, of the opening bill, is left.
        self.assertEqual(self.assertTies(), 31)
        self.assertEqual(self._revenue(("feature_id", "=", self.feature.id)), 0)
        self._run("2024-02-11")
        total = self.assertTies()
        again = self.client_a.statement_ids.filtered(
            lambda one: one.bill_date == january.bill_date and one.state == "invoiced"
        )
        invoice = again.invoice_id
        with freeze_time("2024-02-12 12:00:00"):
            reversal = self.env["account.move.reversal"].create(
                {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
            )
            reversal.modify_moves()
            again.invoice_id.action_post()
        self.assertEqual(self.assertTies(), total)

    def test_revenue_is_net_of_bonuses_that_lower_the_price(self):
        self.company.reseller_bonus_mode = "price"
        self.product.taxes_id = self._tax(19) + self._tax(1)
        with freeze_time("2024-01-02 12:00:00"):
            self.client_a._give_to_wallet(24, "Fair", "fair")
        self._use("2024-01-10", 100)
        with freeze_time("2024-02-05 12:00:00"):
            self.env["reseller.month.end"].create(
                {
                    "date": "2024-01-31",
                    "accrued_account_id": self.prepaid.copy({"account_type": "asset_current"}).id,
                    "deferred_account_id": self.prepaid.copy({}).id,
                }
            ).action_post()
        # 120.00 with 19 % and 1 %, of which 24.00 are given: 80.00 of 100.00.
        self.assertEqual(self._revenue(("month", "=", "2024-01-01")), 80)
        self._run("2024-02-01")
        self.assertEqual(self.assertTies(), 80)
        rows = self.env["reseller.tax.summary"].search([("company_id", "=", self.company.id)])
        self.assertEqual(
            sorted((row.net, row.base, row.tax) for row in rows), [(0, 80, 0.8), (80, 80, 15.2)]
        )

    def test_what_settles_an_advance_is_used_beside_what_is_sold(self):
        self.product.taxes_id = self._tax(19)
        top_up = self._create_top_up(
            reseller_vat_mode="receipt", taxes_id=self.product.taxes_id.ids
        )
        self._sell("2024-01-02", top_up)
        self._run("2024-02-01")
        with freeze_time("2024-02-03 12:00:00"):
            items = self.env["reseller.manual.charge"].create(
                [
                    {
                        "client_id": self.client_a.id,
                        "product_id": product.id,
                        "name": product.name,
                        "date": "2024-02-03",
                        "unit_price": price,
                    }
                    for product, price in ((top_up, 100), (self.product, 40))
                ]
            )
            items.action_bill_now()
        self.assertEqual(
            self._rollforward("2024-02-01", "2024-02-29")["money"], [100, 100, -40, 0, 0, 160]
        )

    def test_the_rollforward_of_wallets_and_packages(self):
        self.company.reseller_wallet_limit = 1000
        self._sell("2024-01-02")
        with freeze_time("2024-01-03 12:00:00"):
            self._pay_in(200)
        self._use("2024-01-10", 160)
        self._run("2024-02-01")
        # 100 of the package, 60.00 of the wallet, both booked on 1 February.
        self.assertEqual(
            self._rollforward("2024-01-01", "2024-01-31"),
            {"money": [0, 200, 0, 0, 0, 200], "units": [0, 50, 0, 0, 0, 50]},
        )
        self.assertEqual(
            self._rollforward("2024-02-01", "2024-02-29"),
            {"money": [200, 0, -60, 0, 0, 140], "units": [50, 0, -50, 0, 0, 0]},
        )
        with freeze_time("2024-03-05 12:00:00"):
            self._statement(self.client_a, "2024-02-01")._void_by_credit_note(date(2024, 3, 5))
            self.client_a._debit_wallet(15, "Fee")
            self.client_a._refund_wallet("Bye")
        # What is given back is less of what was used.
        self.assertEqual(
            self._rollforward("2024-03-01", "2024-03-31"),
            {"money": [140, 0, 60, -15, -185, 0], "units": [0, 0, 50, 0, 0, 50]},
        )
        # A past period stays what it was.
        self.assertEqual(
            self._rollforward("2024-02-01", "2024-02-29")["money"], [200, 0, -60, 0, 0, 140]
        )
        self.assertEqual(
            self._rollforward("2024-01-01", "2024-03-31")["money"],
            [0, 200, 0, -15, -185, 0],
        )

    def test_debt_is_as_old_as_it_was(self):
        self._use("2024-01-10", 60)
        self._use("2024-02-10", 30)
        self._run("2024-02-01")
        self._run("2024-03-01")
        january = self._statement(self.client_a, "2024-02-01").invoice_id
        with freeze_time("2024-04-10 12:00:00"):
            self._pay(january)
            self._receive(7)

        def aged(day):
            rows = self.env["reseller.aged.debt"].with_context(reseller_date_to=day)
            rows.invalidate_model()
            return sorted(
                (row.bucket, row.residual)
                for row in rows.search([("reseller_id", "=", self.reseller.id)])
            )

        self.assertEqual(aged("2024-02-01"), [("0", 60)])
        self.assertEqual(aged("2024-03-02"), [("30", 30), ("30", 60)])
        self.assertEqual(aged("2024-04-05"), [("60", 30), ("90", 60)])
        # Paid on the 10th; the 7.00 that name no bill are the payer's, of its one reseller.
        self.assertEqual(aged("2024-04-10"), [("0", -7), ("60", 30)])
        self.assertEqual(aged("2024-06-30"), [("90", -7), ("older", 30)])
        january.button_draft()
        self.assertEqual(aged("2024-03-02"), [("30", 30)])
