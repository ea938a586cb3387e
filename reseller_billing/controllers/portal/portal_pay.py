from odoo import fields, http
from odoo.addons.account_payment.controllers.payment import PaymentPortal
from odoo.addons.account_payment.controllers.portal import PortalAccount
from odoo.http import request

from .portal_client import SERVICE, ClientPortal
from .portal_reseller import page


class PayPortal(ClientPortal, PortalAccount, PaymentPortal):
    """All that a client owes, paid at once; who is locked out reaches it, too (see ir.http)."""

    def _get_due(self, client):
        return self._get_payable(client)._filter_paid_together()

    @page(f"{SERVICE}/<int:client_id>/pay")
    def client_pay(self, client_id):
        """Show the form that pays all open invoices of an account."""
        client_sudo = self._find_account(client_id)
        invoices = self._get_due(client_sudo)
        url = f"{SERVICE}/{client_id}"
        if not invoices:
            return request.redirect(url)
        company, currency = invoices.company_id, invoices.currency_id
        amount = currency.round(sum(invoices.mapped("amount_residual")))
        common = self._get_common_page_view_values(
            invoices_data={
                "partner": invoices.partner_id,
                "company": company,
                "total_amount": amount,
                "currency": currency,
                "amount_residual": amount,
                "landing_route": f"{url}?paid=1",
                "transaction_route": f"{url}/pay/transaction",
            }
        )
        return self._render_service(
            "portal_service_pay",
            client_sudo,
            "home",
            invoices=invoices,
            payment={"date": fields.Date.today(), "amount": amount, "currency": currency},
            **{**common, "amount": amount},
        )

    @http.route(f"{SERVICE}/<int:client_id>/pay/transaction", type="jsonrpc", auth="user")
    def client_pay_transaction(self, client_id, **kwargs):
        """Begin a payment of all open invoices of an account; return what its form goes on with."""
        invoices = self._get_due(self._find_account(client_id))
        if not invoices:
            raise request.not_found()
        kwargs.pop("payment_reference", None)  # Odoo's form sends what the page did not say
        self._validate_transaction_kwargs(kwargs)
        # Drawn here: each look at the page would take another one.
        batch = len(invoices) > 1 and invoices.company_id.get_next_batch_payment_communication()
        return self._process_transaction(
            request.env.user.partner_id.id,
            invoices.currency_id.id,
            invoices.ids,
            batch,
            **kwargs,
        )
