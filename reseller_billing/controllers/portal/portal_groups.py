from odoo.http import request

from .portal_reseller import GROUPS, ResellerPortal, page


class GroupsPortal(ResellerPortal):
    """A reseller's client groups."""

    def _read_group_name(self, post, errors):
        name = self._read_text(post, "name", 80)
        if not name:
            errors["name"] = request.env._("A group has a name.")
        return name

    @page(GROUPS, methods=["GET", "POST"])
    def reseller_groups(self, reseller=None, **post):
        number = self._read_id({"reseller": reseller}, "reseller")
        reseller_sudo = self._find_reseller(number)
        errors = {}
        if request.httprequest.method == "POST":
            self._check_right(reseller_sudo, "portal_edit_clients")
            name = self._read_group_name(post, errors)
            if name:
                reseller_sudo.env["reseller.client.group"].create(
                    {"name": name, "reseller_id": reseller_sudo.id}
                )
                return request.redirect(GROUPS)
        resellers_sudo = self._get_resellers()
        today = reseller_sudo._today()
        counts = dict(
            resellers_sudo.env["reseller.client.membership"]._read_group(
                [
                    ("group_id", "in", resellers_sudo.group_ids.ids),
                    ("date_from", "<=", today),
                    "|",
                    ("date_to", "=", False),
                    ("date_to", ">=", today),
                ],
                ["group_id"],
                ["client_id:count_distinct"],
            )
        )
        return self._render_reseller(
            "portal_reseller_groups",
            reseller_sudo,
            "groups",
            groups=resellers_sudo.group_ids,
            counts=counts,
            errors=errors,
        )

    @page(f"{GROUPS}/<int:group_id>", methods=["GET", "POST"])
    def reseller_group(self, group_id, **post):
        group_sudo = self._find_group(group_id, self._get_resellers())
        reseller_sudo = group_sudo.reseller_id
        errors = {}
        if request.httprequest.method == "POST":
            self._check_right(reseller_sudo, "portal_edit_clients")
            name = self._read_group_name(post, errors)
            if name:
                for language, _name in group_sudo.env["res.lang"].get_installed():
                    group_sudo.with_context(lang=language).name = name
                request.session["reseller_done"] = request.env._("Saved.")
                return request.redirect(f"{GROUPS}/{group_id}")
        return self._render_reseller(
            "portal_reseller_group",
            reseller_sudo,
            "groups",
            heading=group_sudo.name,
            group=group_sudo,
            clients=group_sudo.env["reseller.client"].search(
                [("group_id", "in", group_sudo.ids)], limit=200
            ),
            done=request.session.pop("reseller_done", None),
            told=request.session.pop("reseller_told", None),
            pricing=(
                group_sudo._get_pricing(reseller_sudo._today())
                if reseller_sudo.portal_see_prices
                else []
            ),
            priceable=self._get_priceable(reseller_sudo),
            errors=errors,
        )
