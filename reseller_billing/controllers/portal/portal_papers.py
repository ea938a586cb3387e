from odoo.http import request

from .portal_billing import BillingPortal
from .portal_client import SERVICE
from .portal_reseller import CLIENTS, HOME, page


class PapersPortal(BillingPortal):
    """What a reseller pays, and the papers between it and its clients."""

    @page(f"{HOME}/pays")
    def reseller_pays(self):
        """Lead to the account by which the reseller buys; with several, to the list of them."""
        buyers_sudo = self._get_buyers(self._get_resellers())
        if not buyers_sudo:
            raise request.not_found()
        if len(buyers_sudo) > 1:
            return request.redirect(SERVICE)
        return request.redirect(f"{SERVICE}/{buyers_sudo.id}")

    def _find_paper_seller(self, client_id):
        """Return a client of a reseller that bills it by papers, as the system."""
        client_sudo = self._find_client(client_id)
        if client_sudo.reseller_id.settlement != "resale":
            raise request.not_found()
        self._check_sees_money(client_sudo.reseller_id)
        return client_sudo

    def _return_to_billing(self, client, errors, done):
        request.session["reseller_done" if not errors else "reseller_wrong"] = (
            errors.get("form") or done
        )
        return request.redirect(f"{CLIENTS}/{client.id}/billing")

    @page(
        f"{CLIENTS}/<int:client_id>/statements/<int:statement_id>/paid",
        methods=["POST"],
    )
    def reseller_paper_paid(self, client_id, statement_id, **post):
        """Tick a paper off as paid, or take the tick back."""
        client_sudo = self._find_paper_seller(client_id)
        statement = self._find_statement(client_sudo, statement_id)
        errors, is_paid = {}, bool(self._read_raw(post, "paid"))
        with self._refusals(errors):
            if is_paid:
                statement._mark_paid()
            else:
                statement._mark_unpaid()
        done = request.env._("Marked as paid.") if is_paid else request.env._("Not paid.")
        return self._return_to_billing(client_sudo, errors, done)

    @page(f"{CLIENTS}/<int:client_id>/package", methods=["POST"])
    def reseller_sell_package(self, client_id, **post):
        """Sell a package to a client on a paper."""
        client_sudo = self._find_paper_seller(client_id)
        errors = {}
        self._check_pace("packages sold", 20)
        price = self._read_number(post, "price", errors)
        product = client_sudo._get_packages_on_paper().filtered(
            lambda one: one.id == self._read_id(post, "product")
        )
        if not product:
            errors["form"] = request.env._("Choose a package.")
        elif "price" in errors:
            errors["form"] = errors["price"]
        else:
            with self._refusals(errors):
                client_sudo._sell_on_paper(product, price)
        return self._return_to_billing(client_sudo, errors, request.env._("Sold."))
