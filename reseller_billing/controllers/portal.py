from odoo import fields, http
from odoo.addons.portal.controllers.portal import CustomerPortal
from odoo.http import request

from ..models.ir_http import OWED


class LockedPortal(CustomerPortal):
    @http.route(OWED, type="http", auth="user", methods=["GET"], website=True)
    def owed(self):
        """Show who is locked out what is owed, with a way to pay each invoice."""
        partner = request.env.user.partner_id
        lockouts_sudo = partner.sudo()._get_closed_lockouts()  # users read none, their own neither
        if not lockouts_sudo:
            return request.redirect("/my")
        # Of the debts' invoices, those that the user's company pays: no other payer's.
        payer = partner.commercial_partner_id
        invoices = lockouts_sudo._get_owed_invoices().filtered(
            lambda move: move.commercial_partner_id == payer
        )
        today = fields.Date.context_today(
            lockouts_sudo.with_context(tz=lockouts_sudo[0].reseller_id.tz)
        )
        return request.render(
            "reseller_billing.portal_owed",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "owed",
                "lockouts": lockouts_sudo,
                "invoices": [
                    (invoice, invoice._get_next_due(), invoice._get_next_due() < today)
                    for invoice in invoices
                ],
            },
        )
