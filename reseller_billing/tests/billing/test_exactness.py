from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from unittest.mock import patch

from freezegun import freeze_time

from ..common import ResellerBillingCommon


class TestExactness(ResellerBillingCommon):
    """Statement, invoice and ledger agree for prices and currencies of every size (design 4)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tax_excluded = cls._create_tax("excluded", False)
        cls.tax_included = cls._create_tax("included", True)

    @classmethod
    def _create_tax(cls, name, included):
        return cls.env["account.tax"].create(
            {
                "name": name,
                "amount": 21,
                "type_tax_use": "sale",
                "price_include_override": "tax_included" if included else "tax_excluded",
            }
        )

    def _create_account(self, ref, currency, tax):
        reseller = self._create_reseller(ref, currency_id=currency.id)
        self.product.taxes_id = tax
        return self._create_client(ref, reseller_id=reseller.id)

    def _bill_mixture(self, ref, currency, tax):
        """Bill prices and quantities that test every digit; return the statement."""
        client = self._create_account(ref, currency, tax)
        cases = {
            "tiny": ("0.0000004", "1250001"),
            "long": ("1", "12.345678901234567"),
            "third": ("0.333333333", "7"),
            "half": ("0.005", "1"),
            "whole": ("19.99", "3"),
            "back": ("2.5", "-1"),
            "many": ("0.07", "123456.789"),
            "nothing": ("0.0000004", "1"),
        }
        expected = {}
        for name, (price, quantity) in cases.items():
            feature = self._create_feature(f"{ref}_{name}")
            self._create_rule(feature, unit_price=float(price), currency_id=currency.id)
            self._use("2024-01-05", quantity, feature.code, ref)
            expected[feature.code] = self._round(Decimal(price) * Decimal(quantity), currency)
        self._run("2024-02-01")
        statement = self._statement(client, "2024-02-01")
        exact = statement.charge_ids._get_exact()
        self.assertEqual(
            {charge.feature_id.code: exact[charge.id][2] for charge in statement.charge_ids},
            expected,
        )
        return statement

    def _round(self, amount, currency):
        unit = Decimal(repr(currency.rounding))
        steps = abs(amount) / unit
        whole = int(steps) + (1 if steps - int(steps) >= Decimal("0.5") else 0)
        return unit * whole * (1 if amount >= 0 else -1)

    def test_cash_rounding_of_a_reseller_and_of_a_client(self):
        profit = self.company_data["default_account_revenue"].copy({"name": "Rounding"})
        fifths, halves = self.env["account.cash.rounding"].create(
            [
                {
                    "name": str(step),
                    "rounding": step,
                    "rounding_method": "HALF-UP",
                    "strategy": "add_invoice_line",
                    "profit_account_id": profit.id,
                    "loss_account_id": profit.id,
                }
                for step in (0.05, 0.5)
            ]
        )
        self.reseller.cash_rounding_id = fifths
        other = self._create_client("Half")
        other.cash_rounding_id = halves
        self.client_a.wallet_use = other.wallet_use = "always"
        self._create_rule(self._create_feature("rounded"), unit_price="1.01")
        for ref in ("A", "Half"):
            self._use("2024-01-10", 7, "rounded", ref)
        with freeze_time("2024-01-31 12:00:00"):
            shares = (self.client_a | other)._load_shares()
        self._run("2024-02-01")
        # 7.07 becomes 7.05 and 7.00, and the live balance says so before.
        for client, total in ((self.client_a, 7.05), (other, 7)):
            statement = self._statement(client, "2024-02-01")
            self.assertEqual(statement.amount_total, 7.07)
            self.assertEqual(statement.invoice_id.amount_total, total)
            self.assertEqual(float(shares[client.id][1]), total)
            self.assertAgrees(statement)

    def test_currencies_taxes_and_rounding_methods_agree(self):
        names = {"USD": 0.01, "JPY": 1.0, "TND": 0.001}
        for method in ("round_per_line", "round_globally"):
            self.company.tax_calculation_rounding_method = method
            for name, rounding in names.items():
                currency = self.env.ref(f"base.{name}")
                currency.write({"active": True, "rounding": rounding})
                if currency != self.company.currency_id:
                    self.env["res.currency.rate"].create(
                        {
                            "name": "2024-01-01" if method == "round_per_line" else "2024-01-02",
                            "currency_id": currency.id,
                            "company_id": self.company.id,
                            "rate": 3.17,
                        }
                    )
                for tax in (self.tax_excluded, self.tax_included, self.env["account.tax"]):
                    label = f"{method} {name} {tax.name}"
                    with self.subTest(label):
                        self.assertAgrees(self._bill_mixture(label, currency, tax))

    def test_a_line_shows_quantity_and_price_only_where_odoo_holds_them(self):
        statement = self._bill_mixture("lines", self.company.currency_id, self.tax_excluded)
        lines = {
            line.charge_id.feature_id.code: (line.quantity, line.price_unit)
            for line in statement.invoice_id.invoice_line_ids
        }
        self.assertEqual(lines["lines_whole"], (3, 19.99))
        self.assertEqual(lines["lines_back"], (-1, 2.5))
        self.assertEqual(lines["lines_tiny"], (1, 0.5))
        self.assertEqual(lines["lines_long"], (1, 12.35))
        tiny = statement.invoice_id.invoice_line_ids.filtered(
            lambda line: line.charge_id.feature_id.code == "lines_tiny"
        )
        self.assertIn("1,250,001 × $\N{NO-BREAK SPACE}0.0000004", tiny.name)
        # A charge that rounds to zero is on the statement, and not on the invoice.
        self.assertNotIn("lines_nothing", lines)

    def test_a_bill_of_zero_lines_has_no_invoice_and_one_that_nets_to_zero_has(self):
        self._create_rule(unit_price=1)
        other = self._create_feature("other")
        self._create_rule(other, unit_price=2)
        self._run("2024-02-01")
        self.assertFalse(self._statement(self.client_a, "2024-02-01").invoice_id)
        self._use("2024-02-05", 4)
        self._use("2024-02-05", -2, "other")
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(statement.amount_total, 0)
        self.assertEqual(statement.invoice_id.state, "posted")
        self.assertAgrees(statement)

    def test_rules_match_only_bills_in_their_currency(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        client = self._create_account("eur", euro, self.env["account.tax"])
        self._create_rule(unit_price=1)
        self._use("2024-01-05", 3, client="eur")
        self._run("2024-02-01")
        self.assertFalse(self._statement(client, "2024-02-01").charge_ids)
        self._create_rule(unit_price=2, currency_id=euro.id)
        self._run("2024-03-01")
        statement = self._statement(client, "2024-03-01")
        self.assertEqual(self._amounts(statement), {("unit", "usage"): "6.00"})
        self.assertEqual(statement.invoice_id.currency_id, euro)

    def test_labels_are_in_the_partners_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.client_a.partner_id.lang = "fr_FR"
        self.feature.with_context(lang="fr_FR").name = "Unité"
        self._create_rule(unit_price=1)
        self._use("2024-01-05", 3)
        self._run("2024-02-01")
        line = self._statement(self.client_a, "2024-02-01").invoice_id.invoice_line_ids
        self.assertIn("Unité", line.name)
        self.assertIn("31/01/2024", line.name)

    def test_clients_in_far_zones_around_clock_changes(self):
        self._create_rule(unit_price=1)
        # The last millisecond of March there, and the first of April.
        zones = {
            "Pacific/Kiritimati": ("2024-03-31T09:59:59.999Z", "2024-03-31T10:00:00Z"),
            "America/Los_Angeles": ("2024-04-01T06:59:59.999Z", "2024-04-01T07:00:00Z"),
            "Europe/Berlin": ("2024-03-31T21:59:59.999Z", "2024-03-31T22:00:00Z"),
        }
        for tz, (last, first) in zones.items():
            client = self._create_client(tz, tz=tz)
            lines = self.env["reseller.usage.line"]
            lines.ingest([{**self._event("2024-01-05", 1, client=tz), "time": last}])
            lines.ingest([{**self._event("2024-01-05", 10, client=tz), "time": first}])
            self._run("2024-06-01")
            charges = client.statement_ids.charge_ids
            self.assertEqual(
                {charge.cycle_end: charge.amount for charge in charges},
                {date(2024, 3, 31): 1.0, date(2024, 4, 30): 10.0},
                tz,
            )

    def test_an_amount_of_fifteen_digits_survives(self):
        self._create_rule(unit_price=1)
        self._use("2024-01-05", "1234567890123.45")
        self._run("2024-02-01")
        statement = self._statement(self.client_a, "2024-02-01")
        self.assertEqual(self._amounts(statement), {("unit", "usage"): "1234567890123.45"})
        self.assertAgrees(statement)

    def _read_items(self, invoice):
        """Return all that is stored of an invoice's journal items, but what names the invoice."""
        own = {
            "id",
            "move_id",
            "move_name",
            "reseller_client_id",
            "charge_id",
            "name",
            "ref",
            "create_date",
            "write_date",
        }
        lines = invoice.line_ids.sorted(lambda line: (line.sequence, line.balance, line.id))
        names = [
            name
            for name, field in lines._fields.items()
            if field.store and field.column_type and name not in own
        ]
        items = lines.read(names + ["tax_ids", "tax_tag_ids"], load=None)
        return [{**item, "id": None, "tax_ids": sorted(item["tax_ids"])} for item in items]

    def test_journal_items_are_those_that_odoo_writes_by_itself(self):
        tag = self.env["account.account.tag"].create({"name": "Kept", "applicability": "products"})
        fixed = self.env["account.tax"].create(
            {"name": "fixed", "amount_type": "fixed", "amount": 0.3, "type_tax_use": "sale"}
        )
        none = fixed.browse()
        for number, (tax, tags, quantity) in enumerate(
            [
                (none, tag.browse(), 7),
                (none, tag.browse(), -7),
                (none, tag, 7),
                (self.tax_excluded, tag.browse(), 7),
                (self.tax_excluded + fixed, tag, 7),
                (self.tax_included, tag.browse(), 7),
                (self.tax_included, tag.browse(), -7),
            ]
        ):
            feature = self._create_feature(f"items{number}")
            fee = self._create_feature(f"fee{number}", product_id=self.product.copy().id)
            fee.product_id.taxes_id = self.tax_excluded if tax else none
            self._create_rule(feature, unit_price=0.335)
            self.product.write({"taxes_id": tax.ids, "account_tag_ids": tags.ids})
            found = []
            for way in ("prepared", "plain"):
                partner = self.client_a.partner_id
                client = self._create_client(f"{way}{number}", partner=partner)
                self.env["reseller.client.feature"].create(
                    {"client_id": client.id, "feature_id": fee.id, "date_from": "2024-01-01"}
                )
                if way == "prepared":
                    self._create_rule(
                        fee, recurring_fee=0.37, fee_timing="arrears", enrolment="opt_in"
                    )
                self._use("2024-01-05", quantity, feature.code, client.ref)
                model = self.env.registry["reseller.charge"]
                plain = patch.object(model, "_prepare_balance_vals", lambda *_args: {})
                with plain if way == "plain" else nullcontext():
                    self._run("2024-02-01")
                invoice = self._statement(client, "2024-02-01").invoice_id
                self.assertEqual(invoice.state, "posted")
                found.append(self._read_items(invoice))
            self.assertGreater(len(found[0]), 2)
            self.assertEqual(*found)
