import json
import shlex
import uuid
from datetime import UTC, datetime

from odoo import api, fields, http, models


class ResellerUsageKeyShow(models.AbstractModel):
    """A key, this once, with what sends its first event; nothing of it is stored."""

    _name = "reseller.usage.key.show"
    _description = "Key of a Metering System, Shown Once"

    id = fields.Id()  # a form without has no defaults
    key = fields.Char(readonly=True)
    address = fields.Char(
        readonly=True,
        default=lambda self: self._get_address(),
        help="Where events are sent to.",
    )
    example = fields.Text(
        string="First Event",
        readonly=True,
        default=lambda self: self._get_example(),
        help="Sends one unit of use of today.",
    )

    @api.model
    def _get_address(self):
        return f"{self.get_base_url()}/reseller_billing/v1/usage"

    @api.model
    def _get_example(self):
        """Return a command line that sends an event of today, with names that are there."""
        key = self.env["reseller.usage.key"].browse(self.env.context.get("active_id"))
        company = key.company_id or self.env.company
        clients = key.client_ids or self.env["reseller.client"].search(
            [
                ("company_id", "=", company.id),
                ("state", "=", "active"),
                *([("reseller_id", "in", key.reseller_ids.ids)] if key.reseller_ids else []),
            ],
            order="id",
            limit=1,
        )
        prices = self.env["reseller.price.rule"].search([("company_id", "=", company.id)], limit=1)
        features = key.feature_ids or prices.feature_id
        features = features or self.env["reseller.feature"].search([], limit=1)
        event = {
            "id": f"first-{uuid.uuid4()}",
            "source": (key.sources or "my-meter").split(",")[0].strip(),
            "client": clients[:1].ref or "CLIENT",
            "feature": features[:1].code or "FEATURE",
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "quantity": 1,
        }
        headers = {
            "Authorization": f"Bearer {self.env.context.get('default_key') or 'KEY'}",
            "Content-Type": "application/x-ndjson",
        }
        if http.request and len(http.db_list(force=True)) > 1:
            headers["X-Odoo-Database"] = self.env.cr.dbname
        options = "".join(
            f" -H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()
        )
        body = shlex.quote(json.dumps(event, ensure_ascii=False))
        return f"curl -sS {shlex.quote(self._get_address())}{options} --data-binary {body}"
