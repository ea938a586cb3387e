from odoo import api, fields, models

from ..client.reseller_client import BOOKS


class ResellerStatement(models.Model):
    """Which book a bill is of, and what of it is on paper, as it was made (wholesale W5, W10)."""

    _inherit = "reseller.statement"

    book = fields.Selection(
        BOOKS,
        required=True,
        readonly=True,
        default="retail",
        help="Wholesale: what a reseller pays for all that its clients use. Retail: what a client pays.",
    )
    is_paper = fields.Boolean(
        readonly=True,
        help="Between the reseller and its client: the provider invoices nothing of it.",
    )
    paper_total = fields.Monetary(
        string="On Paper",
        readonly=True,
        help="What of the total the reseller asks of its client, and the provider invoices to nobody.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `base`: the book of the account, and whether it is a paper, stay as they are now."""
        clients_sudo = self.env["reseller.client"].sudo()  # as statements are made
        clients_sudo = clients_sudo.browse([vals["client_id"] for vals in vals_list])
        for vals, client_sudo in zip(vals_list, clients_sudo, strict=True):
            day = fields.Date.to_date(vals["bill_date"])
            vals["book"] = client_sudo.book
            vals["is_paper"] = client_sudo.reseller_id._is_paper_on(day)
        return super().create(vals_list)

    def _get_invoiced_charges(self):
        """Return the charges of these statements that the provider invoices."""
        return self.charge_ids.filtered(lambda charge: not charge.is_paper)
