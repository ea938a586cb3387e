from datetime import timedelta

from odoo.fields import Command
from odoo.http import request
from odoo.tools import email_normalize
from odoo.tools.misc import format_date

from .portal_reseller import CLIENTS, CONTACT, MONTHS, ResellerPortal, page


class ClientFormPortal(ResellerPortal):
    """One client of a reseller: new, edit, invite, delete."""

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
            told=request.session.pop("reseller_told", None),
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
        reseller._conflict_with_others()
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
