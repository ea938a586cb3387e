from odoo import fields

from ..common import ResellerBillingCommon


class TaxesCommon(ResellerBillingCommon):
    """A client whose use has 19 %, beside a tax of 16 %."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tax_19, cls.tax_16 = cls._create_taxes(19, 16)
        cls.product.taxes_id = cls.tax_19
        cls.client = cls._create_client("T", start="2025-01-01")

    def _documents(self, *days):
        return [self._statement(self.client, day).invoice_id for day in days]

    def _totals(self, move):
        """Return (revenue by tax, VAT, receivable) of an invoice or credit note, as text."""
        revenue = {
            line.tax_ids.name: f"{line.price_subtotal:.2f}" for line in move.invoice_line_ids
        }
        return revenue, f"{move.amount_tax:.2f}", f"{move.amount_total:.2f}"

    def _price_a_year(self, **values):
        self._create_rule(
            recurring_fee=1200, interval_count=1, interval_unit="year", unit_price=0, **values
        )

    def _use_into_another_tier(self):
        """Use 80 at 1.00, billed with 19 %, and 40 more with 16 %, by which all of it is at 0.80."""
        self._create_rule(
            pricing_model="volume",
            interval_count=2,
            interval_unit="month",
            tier_ids=[
                fields.Command.create({"up_to": 100, "unit_price": 1}),
                fields.Command.create({"is_last": True, "unit_price": 0.8}),
            ],
        )
        self._use("2025-01-10", 80, client="T")
        self._run("2025-02-01")
        self.product.taxes_id = self.tax_16
        self._use("2025-02-10", 40, client="T")

    def _change_rate(self, day="2025-07-01", old=None, new=None):
        return self.env["reseller.tax.change"].create(
            {
                "old_tax_id": (old or self.tax_19).id,
                "new_tax_id": (new or self.tax_16).id,
                "date": day,
            }
        )
