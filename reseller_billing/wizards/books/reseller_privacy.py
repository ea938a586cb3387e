import base64
import json

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ...tables import make_workbook

ERASED = "erased"


class ResellerPrivacy(models.TransientModel):
    """All that is stored about a person: handed out, or erased as far as the books allow.

    Of contact, users, messages and invoices Odoo itself keeps and erases the data.
    """

    _name = "reseller.privacy"
    _description = "Personal Data of a Client"

    partner_id = fields.Many2one("res.partner", string="Contact", required=True)
    json_file = fields.Binary(readonly=True, attachment=False)
    json_name = fields.Char(readonly=True)
    xlsx_file = fields.Binary(readonly=True, attachment=False)
    xlsx_name = fields.Char(readonly=True)
    erased = fields.Char(readonly=True)

    def action_export(self):
        """Make the files with all that is stored about the contact, and those beneath it."""
        self.ensure_one()
        tables = self._collect()
        sheets = {}
        for title, rows in tables.items():
            head = list(rows[0]) if rows else []
            sheets[title] = head, [[_as_text(row[name]) for name in head] for row in rows]
        text = json.dumps(tables, indent=2, ensure_ascii=False, default=str)
        name = f"personal-data-{self.partner_id.id}"
        self.write(
            {
                "json_file": base64.b64encode(text.encode()),
                "json_name": f"{name}.json",
                "xlsx_file": base64.b64encode(make_workbook(sheets)),
                "xlsx_name": f"{name}.xlsx",
            }
        )
        return self._reopen()

    def action_erase(self):
        """Erase what the books need not keep: what events say beside their quantity, rejected
        events, and who worked as the client and why. Events, counts, amounts and keys stay.

        :raise UserError: while an account is served
        """
        self.ensure_one()
        self.env["res.users"]._check_billing_manager()
        clients = self._get_clients()
        served = clients.filtered(lambda client: client.state == "active")
        if served:
            raise UserError(self.env._("%s is served: close it first.", served[0].display_name))
        self.env.cr.execute(
            SQL(
                "UPDATE reseller_usage_line SET properties = NULL "
                "WHERE client_id = ANY(%s) AND properties IS NOT NULL",
                clients.ids,
            )
        )
        events = self.env.cr.rowcount
        self.env["reseller.usage.line"].invalidate_model(["properties"])
        rejections = self._get_rejections(clients)
        logins_sudo = self._get_logins(clients).sudo()  # nobody changes the log
        count = len(rejections)
        rejections.sudo().unlink()  # also those that are replayed
        logins_sudo.write({"by_name": ERASED, "as_name": ERASED, "reason": ERASED})
        self.erased = self.env._(
            "%(events)s events, %(rejections)s rejected events and %(logins)s log-ins.",
            events=events,
            rejections=count,
            logins=len(logins_sudo),
        )
        return self._reopen()

    def _get_clients(self):
        return (
            self.env["reseller.client"]
            .with_context(active_test=False)
            .search([("partner_id", "child_of", self.partner_id.id)])
        )

    def _get_rejections(self, clients):
        """Return rejected events that name one of the accounts, in its own company."""
        named = Domain.OR(
            Domain("company_id", "=", client.company_id.id)
            & Domain("client_ref", "in", [ref for ref in (client.ref, client.former_ref) if ref])
            for client in clients
        )
        return self.env["reseller.usage.rejection"].search(named)

    def _get_logins(self, clients):
        return self.env["reseller.login"].search([("client_id", "in", clients.ids)])

    def _collect(self):
        """Return {title: rows as dicts} of all that is stored."""
        clients = self._get_clients()
        names = {
            "Accounts": (
                clients,
                ("ref", "name", "reseller_id", "state", "tz", "billed_until", "next_bill_date"),
            ),
            "Service": (clients.membership_ids, ("client_id", "date_from", "date_to", "group_id")),
            "Enrolments": (
                clients.enrolment_ids,
                ("client_id", "feature_id", "date_from", "date_to", "quantity"),
            ),
            "Statements": (
                clients.statement_ids,
                ("client_id", "name", "bill_date", "state", "amount_total"),
            ),
            "Events": (
                self.env["reseller.usage.line"].search([("client_id", "in", clients.ids)]),
                (
                    *("client_id", "feature_id", "quantity", "occurred_at", "source"),
                    *("external_id", "corrects", "properties"),
                ),
            ),
            "Rejected": (self._get_rejections(clients), ("create_date", "reason", "payload")),
            "Log-ins": (
                self._get_logins(clients),
                ("client_id", "by_name", "as_name", "reason", "date_from", "date_end"),
            ),
        }
        return {
            title: [
                {name: _as_value(row[name]) for name in columns}
                for row in records.read(columns, load="_classic_read")
            ]
            for title, (records, columns) in names.items()
        }

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }


def _as_value(value):
    return value[1] if isinstance(value, tuple) else value


def _as_text(value):
    if value is False or value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
