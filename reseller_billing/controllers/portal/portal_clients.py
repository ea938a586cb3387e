from decimal import Decimal

from odoo import fields
from odoo.addons.portal.controllers.portal import pager
from odoo.exceptions import AccessError
from odoo.fields import Domain
from odoo.http import request

from .portal_reseller import CLIENTS, ResellerPortal, page


class ClientsPortal(ResellerPortal):
    """A reseller's clients in a list."""

    def _get_client_sortings(self):
        return {
            "name": {"label": request.env._("Name"), "order": "name, id"},
            "ref": {"label": request.env._("Reference"), "order": "ref, id"},
            "next": {"label": request.env._("Next Bill"), "order": "next_bill_date, id"},
            "newest": {"label": request.env._("Newest"), "order": "id desc"},
        }

    def _get_client_filters(self, resellers_sudo):
        filters = {
            "all": {"label": request.env._("All"), "domain": Domain.TRUE},
            "active": {
                "label": request.env._("Active"),
                "domain": Domain("state", "=", "active"),
            },
            "draft": {"label": request.env._("New"), "domain": Domain("state", "=", "draft")},
            "closed": {
                "label": request.env._("Closed"),
                "domain": Domain("state", "=", "closed"),
            },
            "owing": {
                "label": request.env._("With open invoices"),
                "domain": self._get_owing_domain(resellers_sudo),
            },
            "locked": {
                "label": request.env._("Locked out"),
                "domain": Domain("lockout_ids.state", "in", ("restricted", "locked")),
            },
            "archived": {
                "label": request.env._("Archived"),
                "domain": Domain("active", "=", False),
            },
        }
        for group in resellers_sudo.group_ids:
            filters[f"group-{group.id}"] = {
                "label": request.env._("Group %s", group.name),
                "domain": Domain("group_id", "in", group.ids),
            }
        return filters

    @page(CLIENTS, f"{CLIENTS}/page/<int:number>")
    def reseller_clients(self, number=1, sortby="name", filterby="all", search="", **kw):
        resellers_sudo = self._get_resellers()
        sortings = self._get_client_sortings()
        sortby = sortby if sortby in sortings else "name"
        filters, filterby, search, domain = self._read_client_filter(
            resellers_sudo, filterby, search
        )
        clients_sudo = resellers_sudo.env["reseller.client"]
        count = clients_sudo.search_count(domain)
        pages = pager(
            CLIENTS,
            count,
            number,
            self._items_per_page,
            url_args={"sortby": sortby, "filterby": filterby, "search": search},
        )
        clients_sudo = clients_sudo.search(
            domain,
            order=sortings[sortby]["order"],
            limit=self._items_per_page,
            offset=pages["offset"],
        )
        first = pages["offset"] + 1
        return self._render_reseller(
            "portal_reseller_clients",
            resellers_sudo[0],
            "clients",
            clients=clients_sudo,
            number=lambda value: request.env["res.lang"]._format_exact(Decimal(value)),
            shown=(first, pages["offset"] + len(clients_sudo), count),
            sums=self._get_open_sums(resellers_sudo, domain),
            groups=resellers_sudo._get_open_groups(),
            owed=clients_sudo._load_owed(),
            today=resellers_sudo[0]._today(),
            done=request.session.pop("reseller_done", None),
            wrong=request.session.pop("reseller_wrong", None),
            pager=pages,
            default_url=CLIENTS,
            searchbar_sortings=sortings,
            sortby=sortby,
            searchbar_filters=filters,
            filterby=filterby,
            search=search,
        )

    def _read_client_filter(self, resellers, filterby, search):
        """Return (filters, chosen filter, search text, domain) of a list of clients."""
        filters = self._get_client_filters(resellers)
        filterby = filterby if filterby in filters else "all"
        domain = Domain("reseller_id", "in", resellers.ids) & filters[filterby]["domain"]
        if filterby == "owing":  # also those that are archived
            domain &= Domain("active", "in", (True, False))
        search = self._read_text({"search": search}, "search")
        if search:
            domain &= Domain("name", "ilike", search) | Domain("ref", "ilike", search)
        return filters, filterby, search, domain

    def _get_open_sums(self, resellers, domain):
        """Return [(currency, amount)] of what all clients of a list owe, where the resellers may see it."""
        readable = resellers.filtered(lambda one: one._sees_money_of_bills())
        clients = resellers.env["reseller.client"].search(
            domain & Domain("reseller_id", "in", readable.ids) & self._get_owing_domain(resellers)
        )
        sums = {}
        for client_id, (amount, _late) in clients._load_owed().items():
            currency = clients.browse(client_id).currency_id
            sums[currency] = sums.get(currency, Decimal(0)) + amount
        return list(sums.items())

    def _get_owing_domain(self, resellers):
        return Domain("id", "in", resellers.env["reseller.client"]._search_owing())

    @page(f"{CLIENTS}/move", methods=["POST"])
    def reseller_clients_move(self, **post):
        """Move chosen clients to a group from a day on; all of them, or none."""
        resellers_sudo = self._get_resellers()
        clients_sudo = self._read_chosen(resellers_sudo, post)
        clients_sudo = clients_sudo.with_context(active_test=True)
        for reseller in clients_sudo.reseller_id:
            self._check_right(reseller, "portal_edit_clients")
        group = self._read_form_group(post, resellers_sudo)
        errors = {}
        day = self._read_near_date(post, "date", errors)
        self._check_may_move(clients_sudo)
        if not clients_sudo:
            errors["form"] = request.env._("Choose the clients to move.")
        if not errors:
            with self._refusals(errors):
                clients_sudo.action_move_to_group(group, day)
        if errors:
            request.session["reseller_wrong"] = next(iter(errors.values()))
        else:
            request.session["reseller_done"] = request.env._("%s clients moved.", len(clients_sudo))
        return request.redirect(CLIENTS)

    def _read_chosen(self, resellers, post):
        """Return the clients that a list's form has ticked, or all that the list has.

        :raise NotFound: where one is not among the resellers' own
        """
        clients = resellers.env["reseller.client"].with_context(active_test=False)
        if post.get("every"):
            *_rest, domain = self._read_client_filter(
                resellers, post.get("filterby"), post.get("search") or ""
            )
            return clients.with_context(active_test=True).search(domain)
        wanted = {
            int(one)
            for one in request.httprequest.form.getlist("client")
            if one.isdecimal() and len(one) < 10
        }
        found = clients.search([("id", "in", list(wanted)), ("reseller_id", "in", resellers.ids)])
        if len(found) != len(wanted):
            raise request.not_found()
        return found

    def _check_may_move(self, clients):
        """Refuse to take clients out of groups that the provider fills, now or later."""
        today = fields.Date.today()
        rows = clients.membership_ids.filtered(lambda row: not row.date_to or row.date_to >= today)
        if rows.group_id.filtered(lambda group: group.is_lockout_exempt or group.lockout_policy_id):
            raise AccessError(request.env._("Your provider alone moves clients from this group."))
