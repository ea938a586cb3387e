from decimal import Decimal

from ..common import ResellerBillingCommon

# 3 × 0.3335 = 1.0005, rounded half away from zero in each currency.
AMOUNTS = {"USD": "1.00", "EUR": "1.00", "JPY": "1", "KWD": "1.001"}


class TestCompanies(ResellerBillingCommon):
    """Two companies with resellers in four currencies: nothing mixes, all rounds right."""

    def test_nothing_mixes_and_all_rounds_right(self):
        other = self.setup_other_company()["company"]
        other.write({"reseller_usage_product_id": self.product.id, "reseller_late_days": 100000})
        companies = self.company | other
        self.env.user.company_ids |= companies
        statements = {}
        clients = {}
        for company in companies:
            env = self.env(context={**self.env.context, "allowed_company_ids": company.ids})
            for name in AMOUNTS:
                currency = env.ref(f"base.{name}")
                currency.active = True
                reseller = env["reseller.reseller"].create(
                    {
                        "partner_id": env["res.partner"].create({"name": f"R {name}"}).id,
                        "code": name,
                        "company_id": company.id,
                        "currency_id": currency.id,
                    }
                )
                # The same references in both companies.
                client = env["reseller.client"].create(
                    {
                        "partner_id": env["res.partner"].create({"name": f"C {name}"}).id,
                        "reseller_id": reseller.id,
                        "ref": name,
                        "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
                    }
                )
                client.action_activate()
                clients[company, name] = client
                # The second company's price is ten times the first one's.
                env["reseller.price.rule"].create(
                    {
                        "feature_id": self.feature.id,
                        "company_id": company.id,
                        "currency_id": currency.id,
                        "unit_price": 0.3335 if company == self.company else 3.335,
                    }
                )
        for company in companies:
            lines = self.env["reseller.usage.line"].with_company(company)
            outcome = lines.ingest([self._event("2024-01-05", 3, client=name) for name in AMOUNTS])
            self.assertEqual(outcome["accepted"], len(AMOUNTS))
        for company in companies:
            run = (
                self.env["reseller.billing.run"]
                .with_context(allowed_company_ids=company.ids)
                .create({"date": "2024-02-01", "company_id": company.id})
            )
            run.action_start()
            while run._process_batch():
                pass
            self.assertFalse(run.parked_line_ids.mapped("reason"))
            self.assertEqual(run.statement_ids.company_id, company)
        for (company, name), client in clients.items():
            with self.subTest(company=company.name, currency=name):
                statement = client.statement_ids.filtered("period_start")
                statements[company, name] = statement
                charge = statement.charge_ids
                expected = (
                    AMOUNTS[name]
                    if company == self.company
                    # 3 × 3.335 = 10.005.
                    else {"USD": "10.01", "EUR": "10.01", "JPY": "10", "KWD": "10.005"}[name]
                )
                self.assertEqual(charge._get_exact()[charge.id][2], Decimal(expected))
                invoice = statement.invoice_id
                self.assertEqual(invoice.state, "posted")
                self.assertEqual(invoice.company_id, company)
                self.assertEqual(invoice.currency_id.name, name)
                self.assertEqual(invoice.amount_untaxed, float(expected))
                self.assertEqual(invoice.line_ids.account_id.company_ids, company)
        # Use taken back in the second company is a refund there, and its month's end its own.
        lines = self.env["reseller.usage.line"].with_company(other)
        lines.ingest([self._event("2024-01-06", -1, client="KWD")])
        lines.ingest([self._event("2024-02-06", 2, client="EUR")])
        env = self.env(context={**self.env.context, "allowed_company_ids": other.ids})
        accounts = env["account.account"]
        wizard = env["reseller.month.end"].create(
            {
                "date": "2024-02-29",
                "accrued_account_id": accounts.create(
                    {"name": "Accrued", "code": "149000", "account_type": "asset_current"}
                ).id,
                "deferred_account_id": accounts.create(
                    {"name": "Deferred", "code": "249000", "account_type": "liability_current"}
                ).id,
            }
        )
        wizard.action_compute()
        self.assertEqual(
            {line.currency_id.name: (line.accrued, line.deferred) for line in wizard.line_ids},
            # 2 × 3.335; one of 3.335 less, which is no income any more.
            {"EUR": (6.67, 0.0), "KWD": (0.0, 3.335)},
        )
        moves = env["account.move"].search(wizard.action_post()["domain"])
        self.assertEqual(moves.company_id, other)
        run = env["reseller.billing.run"].create({"date": "2024-03-01", "company_id": other.id})
        run.action_start()
        while run._process_batch():
            pass
        refund = clients[other, "KWD"].statement_ids.sorted("id")[-1]
        self.assertEqual((refund.amount_total, refund.invoice_id.move_type), (-3.335, "out_refund"))
        self.assertEqual(
            [statements[self.company, name].amount_total for name in ("EUR", "KWD")],
            [1.0, 1.001],
        )
        # Each company sees its own alone.
        for company in companies:
            seen = (
                self.env["reseller.statement"]
                .with_user(self.env.user)
                .with_context(allowed_company_ids=company.ids)
            )
            self.assertEqual(seen.search([]).company_id, company)
