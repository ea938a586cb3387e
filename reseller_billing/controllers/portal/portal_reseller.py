import csv
import io
import json
from datetime import timedelta
from decimal import Decimal

import xlsxwriter
from odoo import fields, http
from odoo.addons.portal.controllers.portal import pager
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command, Domain
from odoo.http import content_disposition, request
from odoo.tools import email_normalize
from odoo.tools.misc import format_date

from ... import rating
from ...models.base.states import LIVE
from ...models.portal.reseller_client_portal import MAX_EVENTS
from ...tools import make_inert
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
        found = resellers_sudo.filtered(lambda one: reseller_id in (None, one.id))[:1]
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

    def _render_reseller(self, template, reseller, tab, **values):
        return self._render_portal(
            template,
            "reseller_portal",
            **{"reseller": reseller, "brand": reseller, "tab": tab, "heading": "", **values},
        )

    # Overview

    @page(HOME)
    def reseller_home(self):
        resellers_sudo = self._get_resellers()
        return self._render_reseller(
            "portal_reseller_home",
            resellers_sudo[0],
            "home",
            overviews=[(one, one._get_overview()) for one in resellers_sudo],
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

    # Clients

    def _get_client_sortings(self):
        return {
            "name": {"label": request.env._("Name"), "order": "name, id"},
            "ref": {"label": request.env._("Reference"), "order": "ref, id"},
            "next": {"label": request.env._("Next Bill"), "order": "next_bill_date, id"},
            "newest": {"label": request.env._("Newest"), "order": "id desc"},
        }

    def _get_client_filters(self, resellers_sudo):
        clients = resellers_sudo.env["reseller.client"]
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
                "domain": Domain("id", "in", clients._search_owing()),
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
        filters = self._get_client_filters(resellers_sudo)
        sortby = sortby if sortby in sortings else "name"
        filterby = filterby if filterby in filters else "all"
        domain = Domain("reseller_id", "in", resellers_sudo.ids) & filters[filterby]["domain"]
        if filterby == "owing":  # also those that are archived
            domain &= Domain("active", "in", (True, False))
        search = self._read_text({"search": search}, "search")
        if search:
            domain &= Domain("name", "ilike", search) | Domain("ref", "ilike", search)
        clients_sudo = resellers_sudo.env["reseller.client"]
        pages = pager(
            CLIENTS,
            clients_sudo.search_count(domain),
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
        return self._render_reseller(
            "portal_reseller_clients",
            resellers_sudo[0],
            "clients",
            clients=clients_sudo,
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

    @page(f"{CLIENTS}/move", methods=["POST"])
    def reseller_clients_move(self, **post):
        """Move chosen clients to a group from a day on; all of them, or none."""
        resellers_sudo = self._get_resellers()
        wanted = {
            int(one)
            for one in request.httprequest.form.getlist("client")
            if one.isdecimal() and len(one) < 10
        }
        clients_sudo = resellers_sudo.env["reseller.client"].with_context(active_test=False)
        clients_sudo = clients_sudo.search(
            [("id", "in", list(wanted)), ("reseller_id", "in", resellers_sudo.ids)]
        )
        if len(clients_sudo) != len(wanted):
            raise request.not_found()
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

    def _check_may_move(self, clients):
        """Refuse to take clients out of groups that the provider fills, now or later."""
        today = fields.Date.today()
        rows = clients.membership_ids.filtered(lambda row: not row.date_to or row.date_to >= today)
        if rows.group_id.filtered(lambda one: one.is_lockout_exempt or one.lockout_policy_id):
            raise AccessError(request.env._("Your provider alone moves clients from this group."))

    # New and edit

    @page(f"{CLIENTS}/new", methods=["GET", "POST"])
    def reseller_client_new(self, reseller=None, **post):
        number = self._read_id({"reseller": reseller}, "reseller")
        reseller_sudo = self._find_reseller(number)
        self._check_right(reseller_sudo, "portal_create_clients")
        errors = {}
        if request.httprequest.method == "POST":
            client = self._create_client(reseller_sudo, post, errors)
            if not errors:
                request.session["reseller_done"] = request.env._("%s is there.", client.name)
                return request.redirect(f"{CLIENTS}/{client.id}")
        return self._render_client_form(reseller_sudo, None, post, errors)

    @page(f"{CLIENTS}/<int:client_id>", methods=["GET", "POST"])
    def reseller_client_edit(self, client_id, **post):
        client_sudo = self._find_client(client_id)
        reseller_sudo = client_sudo.reseller_id
        errors = {}
        if request.httprequest.method == "POST":
            self._check_right(reseller_sudo, "portal_edit_clients")
            self._save_client(client_sudo, post, errors)
            if not errors:
                request.session["reseller_done"] = request.env._("Saved.")
                return request.redirect(f"{CLIENTS}/{client_id}")
        return self._render_client_form(reseller_sudo, client_sudo, post, errors)

    def _render_client_form(self, reseller, client, post, errors):
        contact = client.partner_id if client else reseller.env["res.partner"]
        users = client._get_portal_users() if client else contact.user_ids
        values = {name: contact[name] or "" for name in CONTACT}
        values.update(
            {
                "country": contact.country_id.id,
                "lang": contact.lang or request.env.lang,
                "group": client.group_id.id if client else False,
                "tz": client.tz if client else "",
                "months": client.interval_count if client else 1,
                "billing_anchor": client.billing_anchor if client else "activation",
                "date": reseller._today(),
            }
        )
        for name in ("country", "group"):
            if name in post:
                post[name] = self._read_id(post, name)
        return self._render_reseller(
            "portal_reseller_client",
            reseller,
            "clients",
            heading=client.name if client else request.env._("New client"),
            client=client,
            values={**values, **post},
            errors=errors,
            done=request.session.pop("reseller_done", None),
            may_edit=reseller.portal_edit_clients if client else True,
            own_contact=not client or client._owns_contact(),
            own_email=not client or client._owns_email(),
            own_vat=not client or contact.can_edit_vat(),
            own_country=not client or contact._can_edit_country(),
            invitable=not any(user.login_date for user in users),
            users=users,
            pricing=client._get_pricing() if client and reseller.portal_see_prices else [],
            priceable=self._get_priceable(reseller),
            countries=reseller.env["res.country"].search([]),
            languages=reseller.env["res.lang"].get_installed(),
            zones=reseller.env["reseller.reseller"]._fields["tz"].get_values(reseller.env),
            cycles=[
                (1, request.env._("each month")),
                *((months, request.env._("every %s months", months)) for months in MONTHS[1:]),
            ],
            may_set_cycle=self._may_set_cycle(reseller, client),
            anchors=[
                ("activation", request.env._("The first day of service")),
                ("month", request.env._("The first of the month")),
            ],
            today=reseller._today(),
        )

    @staticmethod
    def _may_set_cycle(reseller, client):
        """Whether a form may say how long cycles are, which it does in months."""
        return reseller.portal_set_cycles and not (
            client and (client.billed_until or client.interval_unit != "month")
        )

    def _get_priceable(self, reseller):
        return reseller.price_floor_ids.feature_id if reseller.portal_set_prices else []

    def _read_contact(self, post, client, reseller, errors):
        """Return the values of a client's contact that a form may set."""
        vals = {name: self._read_text(post, name) for name in CONTACT}
        if not vals["name"]:
            errors["name"] = request.env._("A client has a name.")
        if vals["email"] and not email_normalize(vals["email"]):
            errors["email"] = request.env._("This is no e-mail address.")
        contact = client.partner_id if client else reseller.env["res.partner"]
        if client and not client._owns_email():
            del vals["email"]
        if client and not contact.can_edit_vat():
            del vals["vat"]
        country_id = self._read_id(post, "country")
        vals["country_id"] = (
            country_id and reseller.env["res.country"].browse(country_id).exists().id
        )
        if client and not contact._can_edit_country():
            del vals["country_id"]
        elif contact.state_id.country_id.id != vals["country_id"]:
            vals["state_id"] = False
        vals["lang"] = post.get("lang")
        if vals["lang"] not in dict(reseller.env["res.lang"].get_installed()):
            errors["lang"] = request.env._("Choose one of the languages.")
        return vals

    def _read_service(self, post, reseller, client, errors):
        """Return (values of the account, group) that a form may set."""
        zones = reseller.env["reseller.reseller"]._fields["tz"].get_values(reseller.env)
        vals = {"tz": self._read_raw(post, "tz") or False}
        if vals["tz"] and vals["tz"] not in zones:
            errors["tz"] = request.env._("Choose one of the time zones.")
        if self._may_set_cycle(reseller, client):
            months = self._read_id(post, "months")
            if months not in MONTHS:
                errors["months"] = request.env._("Choose one of the cycles.")
            vals |= {"interval_count": months, "interval_unit": "month"}
        if not (client and client.billed_until):
            vals["billing_anchor"] = self._read_raw(post, "billing_anchor")
            if vals["billing_anchor"] not in ("activation", "month"):
                errors["billing_anchor"] = request.env._("Choose when cycles begin.")
        return vals, self._read_form_group(post, reseller, client)

    def _create_client(self, reseller, post, errors):
        """Make a client with its contact, served from the day of the form on."""
        contact_vals = self._read_contact(post, None, reseller, errors)
        vals, group = self._read_service(post, reseller, None, errors)
        day = self._read_date(post, "date", errors)
        today = reseller._today()
        if day and not today - timedelta(days=31) <= day <= today + timedelta(days=366):
            errors["date"] = request.env._("Within the last month or the next year, please.")
        if errors:
            return None
        client = reseller.env["reseller.client"]
        reseller._take_turn()
        with self._refusals(errors):
            contact = reseller.env["res.partner"].create(
                {
                    **contact_vals,
                    "company_id": reseller.company_id.id,
                    "company_type": "company",
                    "user_id": False,
                }
            )
            client = client.create(
                {
                    **vals,
                    "partner_id": contact.id,
                    "reseller_id": reseller.id,
                    "ref": client._next_ref(reseller),
                    "membership_ids": [Command.create({"date_from": day, "group_id": group.id})],
                }
            )
            client.action_activate()
        return client

    def _save_client(self, client, post, errors):
        """Change what a form may change of a client."""
        reseller = client.reseller_id
        vals, group = self._read_service(post, reseller, client, errors)
        contact_vals = None
        if client._owns_contact():
            contact_vals = self._read_contact(post, client, reseller, errors)
        day = client._today()
        if group != client.group_id:
            self._check_may_move(client)
            day = self._read_near_date(post, "date", errors)
        if errors:
            return
        with self._refusals(errors):
            if contact_vals:
                client.partner_id.write(contact_vals)
            changed = {name: value for name, value in vals.items() if client[name] != value}
            if changed:
                client.write(changed)
            if group != client.group_id:
                client.action_move_to_group(group, day)

    @page(f"{CLIENTS}/<int:client_id>/invite", methods=["POST"])
    def reseller_client_invite(self, client_id):
        """Give a client's contact a portal user, and mail it the invitation."""
        client_sudo = self._find_client(client_id)
        self._check_right(client_sudo.reseller_id, "portal_create_clients")
        self._check_pace("invitations", 10)
        errors = {}
        if not client_sudo._owns_contact():
            errors["form"] = request.env._("Your provider keeps this contact: ask there.")
        elif self._count_pace(f"invitations of client {client_id}") > 3:
            errors["form"] = request.env._("It was invited a moment ago: wait a minute.")
        else:
            with self._refusals(errors):
                client_sudo._invite_to_portal()
        if errors:
            return self._render_client_form(client_sudo.reseller_id, client_sudo, {}, errors)
        request.session["reseller_done"] = request.env._("The invitation is on its way.")
        return request.redirect(f"{CLIENTS}/{client_id}")

    # Delete

    @page(f"{CLIENTS}/<int:client_id>/delete", methods=["GET", "POST"])
    def reseller_client_delete(self, client_id, **post):
        client_sudo = self._find_client(client_id)
        reseller_sudo = client_sudo.reseller_id
        self._check_right(reseller_sudo, "portal_delete_clients")
        errors = {}
        if request.httprequest.method == "POST":
            name = client_sudo.name
            if self._read_text(post, "confirm") != client_sudo.ref:
                errors["confirm"] = request.env._("Type %s to confirm.", client_sudo.ref)
            else:
                last = None
                with self._refusals(errors):
                    last = client_sudo._close_or_delete()
                if not errors:
                    request.session["reseller_done"] = (
                        request.env._(
                            "%(name)s is archived; its service ends on %(day)s.",
                            name=name,
                            day=format_date(request.env, last),
                        )
                        if last
                        else request.env._("%s is deleted.", name)
                    )
                    return request.redirect(CLIENTS)
        preview = client_sudo.env["reseller.statement"]
        if reseller_sudo._sees_money_of_bills():
            with self._refusals({}):
                preview = client_sudo._preview_closing()
        return self._render_reseller(
            "portal_reseller_client_delete",
            reseller_sudo,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            preview=preview,
            sees_prices=reseller_sudo.portal_see_prices,
            has_history=client_sudo._has_history(),
            owed=client_sudo._load_owed()[client_sudo.id][0],
            errors=errors,
        )

    # Report

    def _read_range(self, client, post, errors):
        """Return the days of a report: of the form, or this month to today."""
        today = client._today()
        first = self._read_date(post, "first", errors, required=False) or today.replace(day=1)
        last = self._read_date(post, "last", errors, required=False) or today
        if last < first:
            errors["last"] = request.env._("Not before the first day.")
        elif (last - first).days >= MAX_DAYS:
            errors["last"] = request.env._("At most %s days at once.", MAX_DAYS)
        if errors:
            first, last = today.replace(day=1), today
        return first, last

    @page(
        f"{CLIENTS}/<int:client_id>/report", f"{CLIENTS}/<int:client_id>/report/page/<int:number>"
    )
    def reseller_client_report(self, client_id, number=1, feature=None, **post):
        client_sudo = self._find_client(client_id)
        return self._render_reseller(
            "portal_reseller_report",
            client_sudo.reseller_id,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            **self._prepare_report(
                client_sudo, f"{CLIENTS}/{client_id}/report", number, feature, post
            ),
        )

    def _prepare_report(self, client, url, number, feature, post):
        """Return what the page of a client's use shows, but for the client itself."""
        errors = {}
        first, last = self._read_range(client, post, errors)
        args = {"first": str(first), "last": str(last)}
        rows = client._get_report(first, last)
        wanted = self._read_id({"feature": feature}, "feature")
        used = client.env["reseller.feature"].union(*(row["feature"] for row in rows))
        chosen = used.filtered(lambda one: one.id == wanted)
        events, pages = client.env["reseller.usage.line"], None
        if chosen:
            # Counted by the buckets: a count of raw lines would read them all.
            total = sum(row["events"] for row in rows if row["feature"] == chosen)
            pages = pager(url, total, number, EVENTS, url_args={**args, "feature": chosen.id})
            events = events.search(
                client._get_events_domain(first, last, chosen),
                limit=EVENTS,
                offset=pages["offset"],
                order="billing_date desc, id desc",
            )
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        series = {}
        for row in rows:
            line = series.setdefault(row["feature"], dict.fromkeys(days, Decimal(0)))
            for day, quantity in row["days"].items():
                line[day] += Decimal(quantity or 0)
        return {
            "errors": errors,
            "first": first,
            "last": last,
            "rows": rows,
            "chosen": chosen,
            "events": events,
            "quantities": events._get_exact_quantities(),
            "pager": pages,
            "report_url": url,
            "query": f"first={first}&last={last}",
            "chart": json.dumps(
                {
                    "labels": [format_date(request.env, day) for day in days],
                    "datasets": [
                        {"label": one.name, "data": [float(value) for value in line.values()]}
                        for one, line in series.items()
                    ],
                }
            ),
        }

    @page(f"{CLIENTS}/<int:client_id>/report.<any(csv, xlsx):kind>")
    def reseller_client_report_file(self, client_id, kind, detail="days", **post):
        """Send a client's use as a file: by day, or each event."""
        return self._send_report(self._find_client(client_id), kind, detail, post)

    def _send_report(self, client, kind, detail, post):
        errors = {}
        first, last = self._read_range(client, post, errors)
        if errors:
            raise UserError(next(iter(errors.values())))
        self._take_export()
        rows = self._get_event_rows if detail == "events" else self._get_day_rows
        head, found = rows(client, first, last)
        name = f"{client.ref}-{first}-{last}"
        body = _make_csv(head, found) if kind == "csv" else _make_xlsx(head, found)
        return self._send_file(body, name, kind)

    def _send_file(self, body, name, kind):
        """Return a file of a kind of TYPES to be kept under a name."""
        return request.make_response(
            body,
            [
                ("Content-Type", TYPES[kind]),
                ("Content-Disposition", content_disposition(f"{name.replace('/', '-')}.{kind}")),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )

    def _get_day_rows(self, client, first, last):
        head = [
            request.env._("Day"),
            request.env._("Feature"),
            request.env._("Level"),
            request.env._("Quantity"),
        ]
        return head, [
            (day.isoformat(), row["feature"].name, row["level"].name or "", Decimal(quantity or 0))
            for row in client._get_report(first, last)
            for day, quantity in row["days"].items()
        ]

    def _get_event_rows(self, client, first, last):
        lines = client.env["reseller.usage.line"]
        domain = client._get_events_domain(first, last)
        if lines.search_count(domain, limit=MAX_EVENTS + 1) > MAX_EVENTS:
            raise UserError(
                request.env._(
                    "There are more than %s events: choose fewer days.", f"{MAX_EVENTS:,}"
                )
            )
        lines = lines.search(domain, order="billing_date, id")
        quantities = lines._get_exact_quantities()
        head = [
            request.env._("Day"),
            request.env._("Time (UTC)"),
            request.env._("Feature"),
            request.env._("Level"),
            request.env._("Quantity"),
            request.env._("Event"),
            request.env._("Properties"),
        ]
        return head, [
            (
                line.billing_date.isoformat(),
                fields.Datetime.to_string(line.occurred_at),
                line.feature_id.name,
                line.level_id.name or "",
                Decimal(quantities[line.id]),
                line.external_id,
                json.dumps(line.properties, ensure_ascii=False) if line.properties else "",
            )
            for line in lines
        ]

    # Billing

    @page(f"{CLIENTS}/<int:client_id>/billing")
    def reseller_client_billing(self, client_id):
        client_sudo = self._find_client(client_id)
        reseller_sudo = client_sudo.reseller_id
        errors = {}
        sees_money = reseller_sudo._sees_money_of_bills()
        return self._render_reseller(
            "portal_reseller_billing",
            reseller_sudo,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            preview=self._preview(client_sudo, sees_money, errors),
            sees_money=sees_money,
            sees_prices=reseller_sudo.portal_see_prices,
            usage=client_sudo.current_usage() if client_sudo.state == "active" else [],
            statements=client_sudo.statement_ids.filtered(lambda one: one.state in LIVE),
            history=client_sudo._get_history(client_sudo.statement_ids) if sees_money else [],
            owed=client_sudo._load_owed()[client_sudo.id],
            errors=errors,
            number=lambda text: client_sudo.env["res.lang"]._format_exact(Decimal(text)),
            url=f"{CLIENTS}/{client_id}",
        )

    def _preview(self, client, sees_money, errors):
        """Return what a client's next bill would be, were it made now; empty where it is not shown."""
        preview = client.env["reseller.statement"]
        if client.state == "active" and sees_money:
            with self._refusals(errors):
                preview = client.preview_statement(client.next_bill_date)
        return preview

    def _find_statement(self, client, statement_id):
        return self._find_own(
            client.env["reseller.statement"],
            [("id", "=", statement_id), ("client_id", "=", client.id)],
        )

    @page(f"{CLIENTS}/<int:client_id>/why/<int:charge_id>")
    def reseller_client_why(self, client_id, charge_id):
        """Explain a charge: from which price, of which use, in which steps."""
        client_sudo = self._find_client(client_id)
        self._check_right(client_sudo.reseller_id, "portal_see_prices")
        self._check_sees_money(client_sudo.reseller_id)
        charge = self._find_charge(client_sudo, charge_id)
        if not charge:
            return request.redirect(f"{CLIENTS}/{client_id}/billing")
        return self._render_reseller(
            "portal_reseller_why",
            client_sudo.reseller_id,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            charge=charge,
            steps=charge._get_explanation(with_levels=True),
            back=f"{CLIENTS}/{client_id}/billing",
        )

    def _find_charge(self, client, charge_id):
        """Return a charge of a client; nothing where there is none, as of a preview made anew."""
        return client.env["reseller.charge"].search(
            [("id", "=", charge_id), ("client_id", "=", client.id)], limit=1
        )

    def _check_sees_money(self, reseller):
        if not reseller._sees_money_of_bills():
            self._check_right(reseller, "portal_see_cost")

    @page(f"{CLIENTS}/<int:client_id>/statements/<int:statement_id>.<any(pdf, xlsx):kind>")
    def reseller_client_statement(self, client_id, statement_id, kind):
        client_sudo = self._find_client(client_id)
        self._check_sees_money(client_sudo.reseller_id)
        self._check_right(client_sudo.reseller_id, "portal_see_prices")
        return self._send_statement(self._find_statement(client_sudo, statement_id), kind)

    def _send_statement(self, statement, kind):
        if statement.state not in LIVE:
            raise request.not_found()
        self._take_export()
        if kind == "pdf":
            report = statement.env.ref("reseller_billing.action_report_statement")
            body, _type = report._render_qweb_pdf(report.report_name, statement.ids)
        else:
            # Not through the report: that asks for the user's rights, and the page has asked.
            book = statement.env["report.reseller_billing.statement_xlsx"].with_context(
                active_model=statement._name
            )
            body, _type = book.create_xlsx_report(statement.ids, {})
        return self._send_file(body, statement.name, kind)

    # Groups

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
            pricing=(
                group_sudo._get_pricing(reseller_sudo._today())
                if reseller_sudo.portal_see_prices
                else []
            ),
            priceable=self._get_priceable(reseller_sudo),
            errors=errors,
        )

    # Statements

    @page(f"{HOME}/<int:reseller_id>/brand", methods=["GET", "POST"])
    def reseller_brand(self, reseller_id, **post):
        reseller_sudo = self._find_reseller(reseller_id)
        self._check_right(reseller_sudo, "portal_brand")
        errors = {}
        if request.httprequest.method == "POST":
            vals = self._read_brand(reseller_sudo, post, errors)
            if not errors:
                with self._refusals(errors):
                    # Its clients read them in any language: the form has one text for all.
                    for language, _name in reseller_sudo._get_statement_langs():
                        reseller_sudo.with_context(lang=language).write(vals)
            if not errors:
                request.session["reseller_done"] = request.env._("Saved.")
                return request.redirect(f"{HOME}/{reseller_id}/brand")
        return self._render_reseller(
            "portal_reseller_brand",
            reseller_sudo,
            "brand",
            values=post,
            errors=errors,
            done=request.session.pop("reseller_done", None),
            languages=[
                (False, request.env._("That of the client")),
                *reseller_sudo._get_statement_langs(),
            ],
            columns=[
                ("statement_show_quantity", request.env._("Quantities")),
                ("statement_show_price", request.env._("Prices")),
                ("statement_show_charts", request.env._("Charts of use")),
            ],
        )

    @page(f"{HOME}/<int:reseller_id>/brand/preview", methods=["POST"])
    def reseller_brand_preview(self, reseller_id, **post):
        """Show a statement as the form would have it; nothing is saved."""
        reseller_sudo = self._find_reseller(reseller_id)
        self._check_right(reseller_sudo, "portal_brand")
        vals = self._read_brand(reseller_sudo, post, {})
        body = reseller_sudo._render_brand_preview(vals)
        return request.make_response(
            body,
            [
                ("Content-Type", "text/html; charset=utf-8"),
                # A document with pictures and styles, and no scripts.
                (
                    "Content-Security-Policy",
                    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
                ),
                ("X-Frame-Options", "SAMEORIGIN"),
            ],
        )

    def _read_brand(self, reseller, post, errors):
        """Return the values of a reseller's brand that a form may set."""
        vals = {
            "color_primary": self._read_text(post, "color_primary", 7),
            "statement_header": self._read_text(post, "statement_header"),
            "statement_footer": self._read_text(post, "statement_footer", 500),
            "statement_note": self._read_text(post, "statement_note", 2000, lines=True),
            "statement_lang": post.get("statement_lang") or False,
        }
        for name in ("quantity", "price", "charts"):
            vals[f"statement_show_{name}"] = post.get(f"statement_show_{name}") == "1"
        if vals["statement_lang"] not in (False, *dict(reseller._get_statement_langs())):
            errors["statement_lang"] = request.env._("Choose one of the languages.")
            vals["statement_lang"] = False
        wrong = reseller._explain_color(vals["color_primary"])
        if wrong:
            errors["color_primary"] = wrong
            vals["color_primary"] = reseller.color_primary
        upload = request.httprequest.files.get("logo")
        if post.get("remove_logo"):
            vals["logo"] = False
        elif upload and upload.filename:
            logo = reseller._read_logo(upload.stream)
            if logo:
                vals["logo"] = logo
            else:
                errors["logo"] = request.env._("A PNG, JPEG, GIF or WebP picture of at most 2 MB.")
        return vals


def _make_csv(head, rows):
    """Return a table as CSV, UTF-8 with a mark; texts that a spreadsheet would run are quoted."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(head)
    for row in rows:
        writer.writerow(f"{one:f}" if isinstance(one, Decimal) else make_inert(one) for one in row)
    return stream.getvalue().encode("utf-8-sig")


def _make_xlsx(head, rows):
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(
        stream,
        {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
    )
    sheet = book.add_worksheet()
    bold = book.add_format({"bold": True})
    for column, text in enumerate(head):
        sheet.write_string(0, column, text, bold)
    for number, row in enumerate(rows, 1):
        for column, one in enumerate(row):
            exact = isinstance(one, Decimal) and rating.exact_of(float(one)) == one
            if exact and len(one.as_tuple().digits) <= 15:
                sheet.write_number(number, column, float(one))
            else:
                sheet.write_string(number, column, f"{one:f}" if isinstance(one, Decimal) else one)
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(head) - 1, 18)
    book.close()
    return stream.getvalue()
