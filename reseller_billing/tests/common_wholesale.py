from odoo import fields

from .common import ResellerBillingCommon


class WholesaleCommon(ResellerBillingCommon):
    """The reseller R1 buys since 1 January 2024, by months; its clients A and B use units for 0.05 each."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.buyer = cls._have_buy(cls.reseller)
        cls.client_b = cls._create_client("B", billing_anchor="month")
        cls.client_a.billing_anchor = "month"
        cls.house = cls.buyer.reseller_id
        cls.retail = cls._create_rule(unit_price=0.05)

    @classmethod
    def _have_buy(cls, reseller, date="2024-01-01", **values):
        """Have a reseller buy from a day on, as the dialog on its form does; return its buyer's account."""
        dialog = cls.env["reseller.buyer.make"].create(
            {"reseller_id": reseller.id, "date": date, **values}
        )
        return cls.env["reseller.client"].browse(dialog.action_make()["res_id"])

    @classmethod
    def _create_wholesale(cls, tiers=(), **values):
        vals = {"pricing_model": "graduated"} if tiers else {}
        return cls._create_rule(tiers=tiers, book="wholesale", **{**vals, **values})

    def _bill_buyer(self, date, since="2024-01-01"):
        """Bill what is due by a date; return the buyer's bill of that date."""
        self._run(date)
        statement = self._statement(self.buyer, date)
        self.assertTrue(statement, date)
        self.assertAgrees(statement)
        return statement

    def _day(self, text):
        return fields.Date.to_date(text)
