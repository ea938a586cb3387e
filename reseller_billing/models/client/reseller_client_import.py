from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import email_normalize

from ..base.notice import make_notice

CONTACT = ("contact_name", "contact_email")
# Accounts that a message names.
NAMED = 20


class ResellerClient(models.Model):
    """Many clients at once: from a file whose rows name a contact, and activated from the list."""

    _inherit = "reseller.client"

    contact_name = fields.Char(
        compute="_compute_contact",
        inverse="_inverse_contact",
        help="For files of clients: the contact of this name and e-mail address is taken, or made.",
    )
    contact_email = fields.Char(
        string="Contact E-Mail", compute="_compute_contact", inverse="_inverse_contact"
    )

    @api.depends("partner_id.name", "partner_id.email")
    def _compute_contact(self):
        for client in self:
            client.contact_name = client.partner_id.name
            client.contact_email = client.partner_id.email

    def _inverse_contact(self):
        for client in self:
            values = {"name": client.contact_name, "email": client.contact_email}
            changed = {
                name: value
                for name, value in values.items()
                if value and value != client.partner_id[name]
            }
            if changed:
                client.partner_id.write(changed)

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `base`: the contact may be named instead of chosen."""
        named = [
            tuple((vals.get(field) or "").strip() for field in CONTACT)
            if not vals.get("partner_id")
            else ("", "")
            for vals in vals_list
        ]
        contacts = self._find_contacts([contact for contact in named if any(contact)])
        prepared = []
        for vals, contact in zip(vals_list, named, strict=True):
            vals = {field: value for field, value in vals.items() if field not in CONTACT}
            if any(contact):
                vals["partner_id"] = contacts.pop(0).id
            prepared.append(vals)
        return super().create(prepared)

    @api.model
    def _find_contacts(self, named):
        """Return the contacts of names and e-mail addresses; they are made where there are none.

        Those of equal names and addresses are one. Without an address nothing says that two are the same:
        each gets a contact of its own.

        :param named: [(name, e-mail address)], either may be empty
        :return: [res.partner], one for each
        """
        partners = self.env["res.partner"]
        keys = []
        for number, (name, email) in enumerate(named):
            normalized = email and email_normalize(email)
            if email and not normalized:
                raise UserError(self.env._("%s is no e-mail address.", email))
            keys.append(((name or email).lower(), normalized) if email else number)
        emails = {key[1] for key in keys if isinstance(key, tuple)}
        domain = [("email_normalized", "in", list(emails))]
        domain.append(("company_id", "in", (False, self.env.company.id)))
        found = {
            ((partner.name or "").lower(), partner.email_normalized): partner
            for partner in (partners.search(domain, order="id desc") if emails else partners)
        }
        missing = {
            key: {"name": name or email, "email": email or False}
            for (name, email), key in zip(named, keys, strict=True)
            if key not in found
        }
        made = partners.create(list(missing.values()))
        found.update(zip(missing, made, strict=True))
        return [found[key] for key in keys]

    @api.model
    def get_import_templates(self):
        """Return the file that explains how clients are imported, for Odoo's import."""
        return [
            {
                "label": self.env._("Import Template for Clients"),
                "template": "/reseller_billing/client_template",
            }
        ]

    @api.model
    def _get_template_columns(self):
        """Return the columns of the file of clients: (path of the field, example, explanation)."""
        return [
            (
                "contact_name",
                "Acme Ltd",
                self.env._(
                    "The client's name. A contact of this name and e-mail address is taken, or made: that "
                    "needs the right to create contacts."
                ),
            ),
            (
                "contact_email",
                "billing@acme.example",
                self.env._("Where its statements and invoices go. May be empty."),
            ),
            (
                "ref",
                "acme",
                self.env._(
                    "Required: the id by which usage names this client. Each client has its own."
                ),
            ),
            (
                "reseller_id",
                self.env["reseller.reseller"].search([], limit=1).display_name or "Bluewave",
                self.env._("Required: the reseller's name or code, as in Odoo."),
            ),
            (
                "membership_ids/group_id",
                "",
                self.env._("The client group, by its name as in Odoo. Empty: none."),
            ),
            (
                "membership_ids/date_from",
                fields.Date.to_string(fields.Date.context_today(self).replace(day=1)),
                self.env._(
                    "The first day of service, as YYYY-MM-DD. Empty: the day of activation."
                ),
            ),
            (
                "interval_count",
                "1",
                self.env._("Billed every so many days, weeks, months or years."),
            ),
            (
                "interval_unit",
                dict(self._fields["interval_unit"]._description_selection(self.env))["month"],
                self.env._("One of: %s.", ", ".join(self._get_labels("interval_unit"))),
            ),
            (
                "billing_anchor",
                self._get_labels("billing_anchor")[0],
                self.env._(
                    "Whether cycles begin on the day of activation or on the first of the month."
                ),
            ),
            (
                "billing_start",
                "",
                self.env._(
                    "Where another system has billed until now: the first day that is billed here."
                ),
            ),
            ("tz", "", self.env._("The time zone, such as Europe/Berlin. Empty: the reseller's.")),
        ]

    @api.model
    def _get_labels(self, name):
        """Return the labels of a selection, in the language of who asks."""
        field = self._fields[name]
        return [label for _value, label in field._description_selection(self.env)]

    @api.model
    def _get_column_label(self, path):
        """Return what a column of the file of clients is called: the labels of its fields."""
        labels, model = [], self
        for name in path.split("/"):
            field = model._fields[name]
            labels.append(field._description_string(self.env))
            model = self.env.get(field.comodel_name) if field.relational else None
        return "/".join(labels)

    def action_activate_all(self):
        """Activate new accounts, each for itself where they cannot be activated together.

        :return: the action that says how many are active, and of the others why not
        """
        new = self.filtered(lambda client: client.state == "draft")
        refused = {}
        try:
            with self.env.cr.savepoint():
                new.action_activate()
        except UserError:
            for client in new:
                try:
                    with self.env.cr.savepoint():
                        client.action_activate()
                except UserError as error:
                    refused[client] = str(error)
        count = len(new) - len(refused)
        if not refused:
            message = self.env._("%s accounts are active now.", count)
        else:
            shown = [
                self.env._("%(client)s: %(reason)s", client=client.display_name, reason=reason)
                for client, reason in list(refused.items())[:NAMED]
            ]
            if len(refused) > NAMED:
                shown.append(self.env._("and %s more", len(refused) - NAMED))
            message = self.env._(
                "%(count)s accounts are active now. %(refused)s are not:\n%(reasons)s",
                count=count,
                refused=len(refused),
                reasons="\n".join(shown),
            )
        return make_notice(
            self.browse().union(*refused), message, kind="danger" if refused else "success"
        )
