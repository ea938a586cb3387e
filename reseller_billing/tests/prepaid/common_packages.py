from ..common import PrepaidCommon


class PackagesCommon(PrepaidCommon):
    """Packages that carry a tax, and packages in another currency."""

    def _create_tax(self, rate, **values):
        """Return a tax with an account of its own."""
        owed = self.prepaid.copy({"name": "Tax"})
        return self._create_owed_tax(rate, owed, **{"name": f"{rate} %", **values})

    def _sell_in_euros(self):
        """Sell 100 units for 50.00 euros, of which a euro is a half and then a quarter, and bill 35 units of
        January; return the lot.
        """
        euro = self.setup_other_currency("EUR", rates=[("2024-01-01", 2), ("2024-02-01", 4)])
        reseller = self._create_reseller("R2", currency_id=euro.id)
        self.client_a = self._create_client("B", reseller_id=reseller.id)
        self._create_rule(unit_price=1, currency_id=euro.id)
        lot = self._sell("2024-01-05")
        self._use("2024-01-20", 35, client="B")
        self._run("2024-02-01")
        return lot
