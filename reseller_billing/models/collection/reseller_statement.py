from odoo import models
from odoo.tools.misc import format_date


class ResellerStatement(models.Model):
    _inherit = "reseller.statement"

    def _after_invoice(self, draws, date, kept):
        """Override: saved payment methods are charged at once, where clients chose that."""
        done = super()._after_invoice(draws, date, kept)
        clients = self.filtered("invoice_id").client_id
        clients.filtered(lambda client: client._collects_at_once())._trigger_collection()
        return done

    def _get_payment_notes(self):
        """Override: what is debited, and when."""
        notes = super()._get_payment_notes()
        client, invoice = self.client_id, self.invoice_id
        is_open = invoice.move_type == "out_invoice" and invoice.amount_residual > 0
        if (
            not is_open
            or not client._collects_by_itself(invoice)
            or not client._has_collectable_method()
            or client._get_method_owner() != invoice.commercial_partner_id
        ):
            return notes
        amount = self.currency_id.format(invoice.amount_residual)
        method = client.payment_token_id.sudo().display_name  # who pays knows it
        if client.collection_timing == "due" and not invoice.reseller_is_offer:
            note = self.env._(
                "%(amount)s is debited from %(method)s on %(day)s: there is nothing to do.",
                amount=amount,
                method=method,
                day=format_date(self.env, invoice.invoice_date_due),
            )
        else:
            note = self.env._(
                "%(amount)s is debited from %(method)s now: there is nothing to do.",
                amount=amount,
                method=method,
            )
        return [*notes, note]
