import json

from odoo import http
from odoo.exceptions import AccessError
from odoo.http import request

from .portal import ResellerBillingPortal

HOME = "/my/reseller"
CLIENTS = "/my/reseller/clients"
GROUPS = "/my/reseller/groups"
EVENTS = 50
# A range of a report, at most.
MAX_DAYS = 800
CONTACT = ("name", "email", "phone", "street", "street2", "zip", "city", "vat")
# Of the cycles that a reseller may choose.
MONTHS = (1, 3, 6, 12)
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def page(*paths, **routing):
    """Return a route of the reseller's portal: for users, in their language."""
    return http.route(
        list(paths), type="http", auth="user", website=True, **{"methods": ["GET"], **routing}
    )


class ResellerPortal(ResellerBillingPortal):
    """`/my/reseller`: what a reseller sees and does for its clients."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "reseller_client_count" in counters:
            resellers_sudo, _clients = self._get_roles()
            values["reseller_client_count"] = (
                resellers_sudo.env["reseller.client"].search_count(
                    [("reseller_id", "in", resellers_sudo.ids)]
                )
                if resellers_sudo
                else 0
            )
        return values

    def _get_resellers(self):
        """Return the user's resellers, as the system.

        :raise NotFound: for who is none
        """
        resellers_sudo, _clients = self._get_roles()
        if not resellers_sudo:
            raise request.not_found()
        return resellers_sudo

    def _find_reseller(self, reseller_id=None):
        """Return one of the user's resellers, the first without an id, as the system."""
        resellers_sudo = self._get_resellers()
        found = resellers_sudo.filtered(lambda reseller: reseller_id in (None, reseller.id))[:1]
        if not found:
            raise request.not_found()
        return found

    def _find_group(self, group_id, resellers_sudo):
        return self._find_own(
            resellers_sudo.env["reseller.client.group"],
            [("id", "=", group_id), ("reseller_id", "in", resellers_sudo.ids)],
        )

    def _read_form_group(self, post, resellers_sudo, client=None):
        """Return the group that a form moves clients to, empty for none.

        Groups that are never locked out, or by a policy of their own, are the provider's to fill.
        """
        group_id = self._read_id(post, "group")
        if not group_id:
            return resellers_sudo.env["reseller.client.group"]
        group = self._find_group(group_id, resellers_sudo)
        if group not in group.reseller_id._get_open_groups() and (
            not client or group != client.group_id
        ):
            raise AccessError(request.env._("Your provider alone moves clients to this group."))
        return group

    def _earns(self, resellers):
        """Whether one of these resellers earns a commission."""
        return "referral" in resellers.mapped("settlement")

    def _get_buyers(self, resellers):
        """Return the accounts by which these resellers buy, as far as they see what they pay, as the system."""
        return resellers.filtered("portal_see_cost").buyer_ids.filtered(
            lambda buyer: buyer.state != "draft"
        )

    def _lists_statements(self, reseller):
        """Whether a reseller sees what its clients pay, and at which prices."""
        return reseller._sees_money_of_bills() and reseller.portal_see_prices

    def _render_reseller(self, template, reseller, tab, **values):
        resellers_sudo, _clients = self._get_roles()
        return self._render_portal(
            template,
            "reseller_portal",
            **{
                "reseller": reseller,
                "brand": reseller,
                "tab": tab,
                "heading": "",
                "earns": self._earns(resellers_sudo),
                "pays": bool(self._get_buyers(resellers_sudo)),
                # Of any of the user's: the list has those of all.
                "lists_statements": any(map(self._lists_statements, resellers_sudo)),
                **values,
            },
        )

    # Overview

    @page(HOME)
    def reseller_home(self):
        resellers_sudo = self._get_resellers()
        return self._render_reseller(
            "portal_reseller_home",
            resellers_sudo[0],
            "home",
            overviews=[(reseller, reseller._get_overview()) for reseller in resellers_sudo],
            dump=json.dumps,
        )

    @page(f"{HOME}/<int:reseller_id>/unbilled")
    def reseller_unbilled(self, reseller_id):
        """Return what is not billed yet, and what the bills before came to, for the overview.

        Apart from the page, since all clients are rated for it.
        """
        reseller_sudo = self._find_reseller(reseller_id)
        self._check_sees_money(reseller_sudo)
        money = reseller_sudo.currency_id._format_exact
        now, before = reseller_sudo._get_unbilled()
        return request.make_json_response({"now": money(now), "before": money(before)})
