"""A quarter in the books of three charts of accounts: its trial balance, worked out by hand."""

from datetime import date
from decimal import Decimal

import processes
from freezegun import freeze_time

# Chart, country, rate of its default sales tax; then what is on the accounts in the end: bank, VAT,
# bonuses, breakage. Revenue is 173.00 in each.
CHARTS = [
    ("de_skr03", "de", 19, "279.50", "-32.87", "13.31", "-86.94"),
    ("fr", "fr", 20, "280.00", "-34.60", "13.42", "-85.82"),
    ("generic_coa", "us", 15, "277.50", "-25.95", "12.86", "-91.41"),
]


class Books:
    """A company with a chart, a reseller and one client."""

    def __init__(self, env, chart, country):
        company = env["res.company"].create({"name": chart})
        # On the contact: on the company, Odoo would install all that it has for the country.
        company.partner_id.country_id = env.ref(f"base.{country}")
        env.user.company_ids |= company
        charts = env["account.chart.template"]
        charts.try_loading(chart, company, install_demo=False)
        self.env = env(context={**env.context, "allowed_company_ids": company.ids})
        self.company = company.with_env(self.env)
        self.company.write({"reseller_late_days": 100000, "reseller_bonus_mode": "expense"})
        self.company._create_reseller_accounts()
        self.product = self.env.ref("reseller_billing.product_usage")
        self.company.reseller_usage_product_id = self.product
        currency = company.currency_id
        currency.active = True
        partners = self.env["res.partner"].create([{"name": "R"}, {"name": "C"}])
        reseller = self.env["reseller.reseller"].create(
            {"partner_id": partners[0].id, "code": chart, "currency_id": currency.id}
        )
        self.feature = self.env["reseller.feature"].create(
            {"name": "Unit", "code": f"unit_{country}", "company_id": company.id}
        )
        self.env["reseller.price.rule"].create(
            {
                "feature_id": self.feature.id,
                "currency_id": currency.id,
                "unit_price": 1,
                "recurring_fee": 31,
                "fee_timing": "arrears",
            }
        )
        self.client = self.env["reseller.client"].create(
            {
                "partner_id": partners[1].id,
                "reseller_id": reseller.id,
                "ref": country,
                "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
            }
        )
        self.client.action_activate()

    def receive(self, amount, day):
        """Receive money by the bank; return its open receivable item."""
        journal = self.env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", self.company.id)], limit=1
        )
        # Straight to the bank, as its statement would book it.
        payment = self.env["account.move"].create(
            {
                "journal_id": journal.id,
                "date": day,
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "account_id": account.id,
                            "partner_id": self.client.partner_id.id,
                            "balance": sign * float(amount),
                        },
                    )
                    for account, sign in (
                        (journal.default_account_id, 1),
                        (self.client.partner_id.property_account_receivable_id, -1),
                    )
                ],
            }
        )
        payment.action_post()
        return payment.line_ids._get_open_receivables()

    def sell_package(self, rate):
        """Sell 100 units for 50.00 and tax on 2 January, paid at once."""
        package = self.env["product.product"].create(
            {
                "name": "100 units",
                "type": "service",
                "taxes_id": [(6, 0, self.company.account_sale_tax_id.ids)],
                "list_price": 50,
                "reseller_grants": "units",
                "reseller_feature_id": self.feature.id,
                "reseller_units": 100,
                "company_id": self.company.id,
            }
        )
        item = self.env["reseller.manual.charge"].create(
            {
                "client_id": self.client.id,
                "product_id": package.id,
                "name": package.name,
                "date": "2024-01-02",
                "unit_price": 50,
            }
        )
        item.action_bill_now()
        invoice = item.statement_id.invoice_id
        gross = Decimal(50) * (100 + rate) / 100
        assert Decimal(str(invoice.amount_total)) == gross
        self.env["reseller.offer.payment"].create(
            {"invoice_id": invoice.id, "line_id": self.receive(gross, "2024-01-02").id}
        ).action_take()

    def pay_in(self):
        """Pay 220.00 in on 3 January, with 22.00 on top, until 31 March."""
        self.env["reseller.wallet.request"].create(
            {
                "client_id": self.client.id,
                "kind": "payment",
                "reason": "Paid in",
                "payment_line_id": self.receive(220, "2024-01-03").id,
                "amount": 22,
                "date_until": "2024-03-31",
            }
        ).action_do()

    def use(self, day, quantity):
        outcome = self.env["reseller.usage.line"].ingest(
            [
                {
                    "id": f"{self.client.ref}/{day}",
                    "source": "charts",
                    "client": self.client.ref,
                    "feature": self.feature.code,
                    "time": f"{day}T12:00:00Z",
                    "quantity": quantity,
                }
            ]
        )
        assert outcome["accepted"] == 1, outcome

    def bill(self, day):
        run = self.env["reseller.billing.run"].create({"date": day, "company_id": self.company.id})
        run.action_start()
        while run._process_batch():
            pass
        assert not run.parked_line_ids, run.parked_line_ids.mapped("reason")

    def end(self, day):
        self.env["reseller.month.end"].create({"date": day}).action_post()

    def balances(self, until):
        """Return the trial balance of a day by what accounts are for, without those at zero."""
        company = self.company
        names = {
            company[f"reseller_{name}_account_id"]: name
            for name in ("deposit", "prepaid", "breakage", "bonus", "accrued", "deferred")
        }
        lines = self.env["account.move.line"].search(
            [
                ("company_id", "=", company.id),
                ("parent_state", "=", "posted"),
                ("date", "<=", until),
            ]
        )
        found = {}
        for line in lines:
            account = line.account_id
            name = "vat" if line.tax_line_id else names.get(account, account.account_type)
            found[name] = found.get(name, Decimal(0)) + Decimal(str(line.balance))
        return {name: amount for name, amount in found.items() if amount}


def test_the_trial_balance_of_a_quarter(databases):
    database = databases.clone_with("l10n_de,l10n_fr_account")
    with processes.environment(database) as env:
        for chart, country, rate, bank, vat, bonus, breakage in CHARTS:
            books = Books(env, chart, country)
            assert books.company.account_sale_tax_id.amount == rate
            with freeze_time("2024-01-03 12:00:00"):
                books.sell_package(rate)
                books.pay_in()
            # 100 units by the package, 20.00 and the fee with the bill.
            books.use("2024-01-10", 120)
            books.end("2024-01-31")
            books.bill("2024-02-01")
            books.bill("2024-03-01")
            # January is taken back, and billed again as it was.
            first = books.client.statement_ids.filtered(
                lambda one: str(one.bill_date) == "2024-02-01"
            )
            with freeze_time("2024-03-05 12:00:00"):
                first._void_by_credit_note(date(2024, 3, 5), "Wrong address")
            books.bill("2024-03-06")
            books.use("2024-03-10", 10)
            books.end("2024-03-31")
            earned = {
                "income": Decimal(-173),
                "bonus": Decimal(bonus),
                "breakage": Decimal(breakage),
            }
            # The quarter has all of it, though the last bill is of April.
            ended = books.balances("2024-03-31")
            assert {name: ended.get(name) for name in earned} == earned, chart
            books.bill("2024-04-01")
            # 51.00, 31.00 and 41.00 and their tax by the wallet; what it has left has expired.
            assert books.balances("2024-04-01") == {
                "asset_cash": Decimal(bank),
                "vat": Decimal(vat),
                **earned,
            }, chart
            checks = env["reseller.wallet.check"]
            assert not checks.search([("is_different", "=", True)])
