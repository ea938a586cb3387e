from odoo import models
from odoo.exceptions import UserError


class ResellerLotMixin(models.AbstractModel):
    """Packages that a reseller sells on papers, which nothing of the ledger pays (wholesale W4)."""

    _inherit = "reseller.lot.mixin"

    def _is_on_paper(self):
        """Whether a paper has sold this lot that its reseller ticks off once it is paid."""
        self.ensure_one()
        charge = self.charge_id
        return charge.is_paper and charge.reseller_id.settlement == "resale"

    def _is_there_at_once(self):
        """Override of prepaid: papers say so for themselves."""
        return super()._is_there_at_once() and not self._is_on_paper()

    def _is_free(self):
        """Override of prepaid: what a paper asks for it is no cost of the ledger."""
        if self._is_on_paper():
            return not self.charge_id.amount or self.reseller_id.paper_release == "at_once"
        return super()._is_free()

    def _is_paid(self):
        """Override of prepaid: a paper is paid once its reseller has ticked it off."""
        if self._is_on_paper():
            return self.charge_id.statement_id.is_paper_paid
        return super()._is_paid()

    def _withdraw(self):
        """Have lots wait again whose papers are not paid after all.

        :raise UserError: once units of one were used
        """
        for lot in self.filtered(lambda lot: lot.state == "open" and lot._is_on_paper()):
            if not lot._is_untouched():
                raise UserError(
                    self.env._(
                        "%(lot)s of %(client)s is used in part: its paper stays paid.",
                        lot=lot.display_name,
                        client=lot.client_id.display_name,
                    )
                )
            if not lot._is_free():
                lot._add_entry("cancel", lot.client_id._today(), 0, -1)
                lot.state = "waiting"
