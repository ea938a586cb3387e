from odoo import models
from odoo.exceptions import UserError


class ResellerManualCharge(models.Model):
    _inherit = "reseller.manual.charge"

    def action_bill_and_collect(self):
        """Bill these items at once, and charge each bill to its client's saved payment method.

        :raise AccessError: without the group Billing Manager
        :raise UserError: without a saved method, and while another charge is under way
        """
        if any(item.reseller_id.invoice_to == "none" for item in self):
            raise UserError(
                self.env._("The reseller bills its clients itself: there is nothing to charge.")
            )
        self.action_bill_now()
        for invoice in self.statement_id.invoice_id:
            if invoice.move_type == "out_invoice" and invoice.amount_residual > 0:
                invoice.reseller_client_id._claim_collection(invoice, by_hand=True)
        self.client_id._trigger_collection()
        return self.statement_id[:1].action_view_invoice()
