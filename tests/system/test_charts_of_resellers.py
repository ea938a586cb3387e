"""A quarter with a reseller that buys and one that refers, in two charts of accounts, worked out by hand."""

from datetime import date
from decimal import Decimal

import processes
from freezegun import freeze_time
from test_charts import Books

# Chart, country, rate of its default sales tax; what is owed by customers, and of VAT, in the end.
CHARTS = [
    ("de_skr03", "de", 19, "702.10", "-112.10"),
    ("generic_coa", "us", 15, "678.50", "-88.50"),
]


class Trade(Books):
    """A company with a reseller that buys, R, and one that refers, F."""

    def __init__(self, env, chart, country):
        super().__init__(env, chart, country)
        # The client of every month's fee is another story.
        self.client.action_close(date(2024, 1, 1))
        self.env["reseller.price.rule"].search([]).write({"recurring_fee": 0, "unit_price": 0.05})
        self.buying, self.referring = self.make_reseller("R"), self.make_reseller("F")
        self.make_clients(self.buying, "A", "B")
        self.make_clients(self.referring, "C")
        self.env["reseller.price.rule"].create(
            {
                "feature_id": self.feature.id,
                "currency_id": self.company.currency_id.id,
                "book": "wholesale",
                "unit_price": 0.02,
            }
        )
        self.buying._begin_buying("2024-01-01", {"ref": f"R{country}", "billing_anchor": "month"})
        self.set_up_commissions()

    def make_reseller(self, name):
        partner = self.env["res.partner"].create({"name": name})
        return self.env["reseller.reseller"].create(
            {
                "partner_id": partner.id,
                "code": f"{name}/{self.company.name}",
                "currency_id": self.company.currency_id.id,
            }
        )

    def make_clients(self, reseller, *names):
        for name in names:
            client = self.env["reseller.client"].create(
                {
                    "partner_id": self.env["res.partner"].create({"name": name}).id,
                    "reseller_id": reseller.id,
                    "ref": f"{name}/{self.company.name}",
                    "billing_anchor": "month",
                    "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
                }
            )
            client.action_activate()

    def set_up_commissions(self):
        self.referring.write(
            {
                "settlement": "referral",
                "settlement_date": "2024-01-01",
                "self_billing_agreement": "of 1 January 2024",
                "self_billing_from": "2024-01-01",
                "commission_without_vat": True,
            }
        )
        self.env["reseller.commission.rate"].create(
            {"reseller_id": self.referring.id, "date_from": "2024-01-01", "percent": 10}
        )
        self.company.reseller_commission_journal_id = self.env["account.journal"].create(
            {
                "name": "Commissions",
                "code": "COM",
                "type": "purchase",
                "is_self_billing": True,
                "company_id": self.company.id,
            }
        )
        self.company.reseller_commission_product_id = self.env["product.product"].create(
            {"name": "Commission", "type": "service", "supplier_taxes_id": False}
        )

    def margins_of(self, reseller):
        """Return {client's name: (retail, cost, margin)}."""
        rows = self.env["reseller.margin"]._read_group(
            [("reseller_id", "=", reseller.id)],
            ["client_id"],
            ["retail:sum", "cost:sum", "margin:sum"],
        )
        return {
            client.name: tuple(Decimal(f"{amount:.2f}") for amount in amounts)
            for client, *amounts in rows
        }

    def income_of(self, client):
        """Return what accounts of income have of a client."""
        [[balance]] = self.env["account.move.line"]._read_group(
            [
                ("reseller_client_id", "=", client.id),
                ("account_id.account_type", "=", "income"),
                ("parent_state", "=", "posted"),
            ],
            [],
            ["balance:sum"],
        )
        return Decimal(f"{-balance:.2f}")

    def use_of(self, name, day, quantity):
        event = {
            "id": f"{name}/{day}/{self.company.name}",
            "source": "trade",
            "client": f"{name}/{self.company.name}",
            "feature": self.feature.code,
            "time": f"{day}T12:00:00Z",
            "quantity": quantity,
        }
        outcome = self.env["reseller.usage.line"].ingest([event])
        assert outcome["accepted"] == 1, outcome


def test_the_trial_balance_of_a_quarter_with_two_kinds_of_resellers(databases):
    database = databases.clone_with("l10n_de")
    with processes.environment(database) as env:
        for chart, country, rate, owed, vat in CHARTS:
            books = Trade(env, chart, country)
            assert books.company.account_sale_tax_id.amount == rate
            for name, day, quantity in (
                ("A", "2024-01-10", 10000),
                ("B", "2024-01-20", 5000),
                ("C", "2024-01-15", 4000),
            ):
                books.use_of(name, day, quantity)
            books.bill("2024-02-01")
            books.use_of("A", "2024-02-10", 2000)
            books.use_of("C", "2024-02-15", 1000)
            books.bill("2024-03-01")
            books.use_of("B", "2024-03-10", 1000)
            books.use_of("C", "2024-03-15", 2000)
            # Of January, after all its bills.
            books.use_of("A", "2024-01-11", 100)
            with freeze_time("2024-03-31 12:00:00"):
                stated = books.env["reseller.commission"]._make(books.referring, date(2024, 3, 31))
                stated.action_send()
                stated._agree("F", "25.0")
                stated.action_approve()
            books.end("2024-03-31")
            # 15,000 and 2,000 units at 0.02 are invoiced to R, 4,000 and 1,000 at 0.05 to C; of March 1,100 and
            # 2,000 are not billed; F earns 10 % of 250.00. What A and B pay R is nowhere.
            assert books.balances("2024-03-31") == {
                "asset_receivable": Decimal(owed),
                "vat": Decimal(vat),
                "income": Decimal("-712.00"),
                "accrued": Decimal("122.00"),
                "expense": Decimal("25.00"),
                "liability_payable": Decimal("-25.00"),
            }
            papers = books.env["reseller.statement"].search(
                [("reseller_id", "=", books.buying.id), ("is_paper", "=", True)]
            )
            # 15,000 and 2,000 units at 0.05.
            assert round(sum(papers.mapped("paper_total")), 2) == 850
            assert not papers.invoice_id
            books.bill("2024-04-01")
            last = books.balances("2024-04-01")
            assert last["income"] == Decimal("-712.00")
            assert "accrued" not in last
            assert books.margins_of(books.buying) == {
                "A": (Decimal("605.00"), Decimal("242.00"), Decimal("363.00")),
                "B": (Decimal("300.00"), Decimal("120.00"), Decimal("180.00")),
            }
            assert books.income_of(books.buying.buyer_id) == Decimal("362.00")
