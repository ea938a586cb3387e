from odoo import Command

from ..common import PrepaidCommon


class PackagesCommon(PrepaidCommon):
    """Packages that carry a tax."""

    def _create_tax(self, rate, **values):
        """Return a tax with an account of its own."""
        owed = self.prepaid.copy({"name": "Tax"})
        shares = [
            Command.create({"repartition_type": "base"}),
            Command.create({"repartition_type": "tax", "account_id": owed.id}),
        ]
        return self.env["account.tax"].create(
            {
                "name": f"{rate} %",
                "amount": rate,
                "invoice_repartition_line_ids": shares,
                "refund_repartition_line_ids": shares,
                **values,
            }
        )
