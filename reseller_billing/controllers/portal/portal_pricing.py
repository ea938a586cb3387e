from odoo.http import request
from odoo.tools.misc import format_date

from ...models.pricing.reseller_price_floor import SETTABLE
from .portal_reseller import CLIENTS, GROUPS, ResellerPortal, page


class ResellerPricingPortal(ResellerPortal):
    """The prices that a reseller sets for a client or a group, as far as the provider lets it."""

    @page(f"{CLIENTS}/<int:client_id>/prices/<int:feature_id>", methods=["GET", "POST"])
    def reseller_client_price(self, client_id, feature_id, **post):
        client_sudo = self._find_client(client_id)
        return self._serve_price(
            client_sudo.reseller_id,
            client_sudo,
            {"client_id": client_sudo.id},
            feature_id,
            f"{CLIENTS}/{client_id}",
            post,
        )

    @page(f"{GROUPS}/<int:group_id>/prices/<int:feature_id>", methods=["GET", "POST"])
    def reseller_group_price(self, group_id, feature_id, **post):
        group_sudo = self._find_group(group_id, self._get_resellers())
        return self._serve_price(
            group_sudo.reseller_id,
            group_sudo,
            {"group_id": group_sudo.id},
            feature_id,
            f"{GROUPS}/{group_id}",
            post,
        )

    def _serve_price(self, reseller, owner, scope, feature_id, back, post):
        """Show the form of a price, or set what it says.

        :param owner: the client or the group
        :param dict scope: the values of the price that name the owner
        """
        self._check_right(reseller, "portal_see_prices")
        self._check_right(reseller, "portal_set_prices")
        floor = self._find_own(
            reseller.env["reseller.price.floor"],
            [("reseller_id", "=", reseller.id), ("feature_id", "=", feature_id)],
        )
        feature = floor.feature_id
        clients = owner._get_priced_clients()
        earliest = max(filter(None, (reseller._today(), clients._get_first_free_day())))
        errors, terms, made = {}, {}, None
        day = earliest
        if request.httprequest.method == "POST":
            day = self._read_near_date(post, "date", errors) or earliest
            if day < earliest:
                errors["date"] = request.env._(
                    "From %s on, please.", format_date(request.env, earliest)
                )
        base = owner._find_price(feature, day)
        [(scope_name, scope_id)] = scope.items()
        own = owner.env["reseller.price.rule"].search(
            [
                (scope_name, "=", scope_id),
                ("feature_id", "=", feature.id),
                ("book", "=", "retail"),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", reseller._today()),
            ],
            order="date_from nulls first",
        )
        if refusal := floor._explain_refusal(base, scope_name):
            errors["form"] = refusal
        values = {name: 0.0 if refusal else base[name] for name in SETTABLE}
        if request.httprequest.method == "POST" and not errors:
            if post.get("drop"):
                with self._refusals(errors):
                    owner.env["reseller.client"]._drop_price(own, day)
            else:
                terms = {name: self._read_number(post, name, errors) for name in SETTABLE}
                for name, text in floor._check_terms(terms).items():
                    errors.setdefault(name, text)
                if not errors:
                    with self._refusals(errors):
                        made = owner.env["reseller.client"]._set_price(base, scope, terms, day)
            if not errors:
                request.session["reseller_done"] = request.env._("Saved.")
                if made and reseller._sees_cost():
                    request.session["reseller_told"] = made._describe_below_cost()
                return request.redirect(back)
        return self._render_reseller(
            "portal_reseller_price",
            reseller,
            "clients" if "client_id" in scope else "groups",
            heading=owner.name,
            owner=owner,
            feature=feature,
            limits=floor,
            own=own,
            base=base,
            cost=reseller._get_costs(day).get(feature),
            day=day,
            earliest=earliest,
            values={**values, **terms},
            errors=errors,
            back=back,
        )
