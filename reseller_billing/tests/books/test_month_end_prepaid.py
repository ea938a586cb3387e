from ..common import PrepaidCommon


class TestMonthEndPrepaid(PrepaidCommon):
    """What wallets and packages will pay for, and what has expired in them, lies in its own month."""

    def _end(self, day):
        """Post the entries of a day; return them with their reversals."""
        accounts = self.env["account.account"]
        for name, code, kind in (
            ("Accrued", "149000", "asset_current"),
            ("Deferred", "249000", "liability_current"),
        ):
            field = f"reseller_{name.lower()}_account_id"
            if not self.company[field]:
                self.company[field] = accounts.create(
                    {"name": name, "code": code, "account_type": kind}
                )
        wizard = self.env["reseller.month.end"].create({"date": day})
        return self.env["account.move"].search(wizard.action_post()["domain"])

    def _profit(self, day):
        """Return what the ledger says that has been earned up to a day, expenses off."""
        lines = self.env["account.move.line"].search(
            [
                ("parent_state", "=", "posted"),
                ("date", "<=", day),
                ("account_id.internal_group", "in", ("income", "expense")),
            ]
        )
        return round(-sum(lines.mapped("balance")), 2)

    def test_bonuses_that_will_pay_for_accrued_use_are_of_the_month(self):
        top_up = self._create_top_up(reseller_bonus=10)
        self._sell("2024-01-02", top_up)
        other = self._create_client("G")
        self.env["reseller.wallet.request"].create(
            {"client_id": other.id, "kind": "gift", "reason": "Gift", "amount": 500}
        ).action_do()
        # The gift is of today; the use of both is of January.
        other.wallet_lot_ids.sudo().date = "2024-01-02"  # lots are closed to all users
        self.env.cr.execute(
            "UPDATE reseller_wallet_entry SET date = '2024-01-02' WHERE lot_id = %s",
            [other.wallet_lot_ids.id],
        )
        self._use("2024-01-10", 66)
        self._use("2024-01-10", 500, client="G")
        self._end("2024-01-31")
        # 66.00 cost 60.00, the gift nothing.
        self.assertEqual(self._profit("2024-01-31"), 60)
        self._run("2024-02-01")
        self.assertEqual(self._profit("2024-01-31"), 60)
        self.assertEqual(self._profit("2024-02-01"), 60)
        self.assertEqual(self._balance(self.company.reseller_accrued_account_id), 0)

    def test_what_waits_draws_on_the_wallet_as_well(self):
        top_up = self._create_top_up(reseller_valid_count=30, reseller_valid_unit="day")
        self._run("2024-01-01")
        self._sell("2024-01-02", top_up)
        self._add_extra(
            self.client_a,
            66,
            "2024-01-01",
            recurring_invoicing_type="post-paid",
            recurring_next_date="2024-02-01",
        )
        self._end("2024-01-31")
        # 66.00 of the line, and the 34.00 that are left have expired.
        self.assertEqual(self._profit("2024-01-31"), 100)
        self._run("2024-02-01")
        self.assertEqual(self._profit("2024-02-01"), 100)

    def test_what_expires_at_the_end_of_a_month_is_of_that_month(self):
        top_up = self._create_top_up(reseller_valid_count=30, reseller_valid_unit="day")
        package = self._create_package(
            "January",
            reseller_units=100,
            list_price=50,
            reseller_valid_count=30,
            reseller_valid_unit="day",
        )
        self._run("2024-01-01")
        lot, wallet = self._sell("2024-01-02", package), self._sell("2024-01-02", top_up)
        self.assertEqual((str(wallet.date_until), str(lot.date_until)), ("2024-01-31",) * 2)
        # 100 units by the package, then 20.00 by the wallet.
        self._use("2024-01-10", 120)
        [entries] = [self._end("2024-01-31")]
        # 20.00 of use and the package's 50.00; 80.00 of the wallet have expired.
        self.assertEqual(
            self._sum_up(entries, "2024-01-31"),
            {
                "Accrued": 20,
                self.prepaid.name: 50,
                self.income.name: -70,
                self.deposit.name: 80,
                self.breakage.name: -80,
            },
        )
        self.assertEqual(self._profit("2024-01-31"), 150)
        self.assertBooks()
        self._run("2024-02-01")
        # The bill books it for good, on its own day.
        self.assertEqual(self._profit("2024-01-31"), 150)
        self.assertEqual(self._profit("2024-02-01"), 150)
        self.assertEqual(self._balance(self.deposit), 0)

    def test_what_the_bill_after_draws_for_its_fees_has_not_expired(self):
        self._create_rule(self._create_feature("fee"), recurring_fee=25)
        top_up = self._create_top_up(reseller_valid_count=30, reseller_valid_unit="day")
        self._run("2024-01-01")
        self._sell("2024-01-02", top_up)
        self._use("2024-01-10", 20)
        [entries] = [self._end("2024-01-31")]
        # 20.00 of use, and February's fee of 25.00 on the bill that covers the lot's last day: 55.00 have expired.
        self.assertEqual(
            self._sum_up(entries, "2024-01-31"),
            {
                "Accrued": 20,
                self.income.name: -20,
                self.deposit.name: 55,
                self.breakage.name: -55,
            },
        )
        self._run("2024-02-01")
        self.assertEqual(self._balance(self.breakage), -55)
        self.assertEqual(self._balance(self.deposit), 0)
        self.assertBooks()

    def test_missing_accounts_are_made_from_the_chart(self):
        self.company.write(
            {"reseller_bonus_account_id": False, "reseller_wallet_journal_id": False}
        )
        accounts = self.env["account.account"]
        own = [("company_ids", "in", self.company.ids), ("account_type", "=", "expense")]
        last = accounts.search(own, order="code desc", limit=1)
        settings = self.env["res.config.settings"].create({})
        made = accounts.search(settings.action_create_reseller_accounts()["domain"])
        # Those that were chosen stay.
        self.assertEqual(self.company.reseller_deposit_account_id, self.deposit)
        # Accrued and deferred income, bonuses, accrued commissions.
        self.assertEqual(
            sorted(made.mapped("account_type")),
            ["asset_current", "expense", "liability_current", "liability_current"],
        )
        bonus = self.company.reseller_bonus_account_id
        self.assertEqual((bonus.name, len(bonus.code)), ("Bonuses", len(last.code)))
        self.assertEqual(int(bonus.code), int(last.code) + 1)
        self.assertEqual(self.company.reseller_wallet_journal_id.type, "general")
        self.assertEqual(settings.action_create_reseller_accounts()["tag"], "reload")

    def test_a_closed_account_without_a_bill_to_come(self):
        package = self._create_package(
            "Year",
            reseller_units=100,
            list_price=50,
            reseller_valid_count=1,
            reseller_valid_unit="year",
        )
        self._run("2024-01-01")
        lot = self._sell("2024-01-02", package)
        self.client_a.action_close("2024-01-31")
        self._run("2024-02-01")
        self.assertEqual(str(lot.date_until), "2025-01-01")
        self.assertEqual(
            self._sum_up(self._end("2025-01-01"), "2025-01-01"),
            {self.prepaid.name: 50, self.breakage.name: -50},
        )
