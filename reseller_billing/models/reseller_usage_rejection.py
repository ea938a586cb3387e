import hashlib
import json

from odoo import fields, models
from odoo.exceptions import UserError

# Of an event that is kept to be mended: more is no event, and kept by its beginning only.
MAX_PAYLOAD = 512 * 1024


class ResellerUsageRejection(models.Model):
    _name = "reseller.usage.rejection"
    _description = "Rejected Usage Event"
    _order = "id desc"
    _rec_name = "reason"

    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    payload = fields.Text(string="Event", required=True, help="The event as it came, as JSON.")
    digest = fields.Char(readonly=True, required=True)
    reason = fields.Text(required=True, readonly=True)
    state = fields.Selection(
        [("open", "Open"), ("replayed", "Replayed"), ("dismissed", "Dismissed")],
        required=True,
        default="open",
        readonly=True,
    )

    # The same event, rejected again, is one rejection.
    _event_uniq = models.Constraint(
        "UNIQUE (company_id, digest)", "This event is kept as a rejection already."
    )

    def _keep(self, company, rejected):
        """Keep rejected events, as (event, reason); one that is kept already stays one row."""
        by_digest = {}
        for event, reason in rejected:
            payload, digest = _digest(event)
            by_digest[digest] = (payload, reason)
        # The group Usage Ingestion adds rejections, but reads and changes none.
        rejections_sudo = self.sudo()
        there = rejections_sudo.search(
            [("company_id", "=", company.id), ("digest", "in", list(by_digest))]
        )
        for rejection in there:
            _payload, reason = by_digest.pop(rejection.digest)
            rejection.write({"reason": reason, "state": "open"})
        rejections_sudo.create(
            [
                {"company_id": company.id, "payload": payload, "digest": digest, "reason": reason}
                for digest, (payload, reason) in by_digest.items()
            ]
        )

    def write(self, vals):
        if "payload" in vals:
            vals = {
                **vals,
                **dict(
                    zip(("payload", "digest"), _digest(self._loads(vals["payload"])), strict=True)
                ),
            }
        return super().write(vals)

    def _loads(self, payload):
        try:
            return json.loads(payload)
        except ValueError as error:
            raise UserError(self.env._("The event is no valid JSON: %s", error)) from error

    def action_replay(self):
        """Send the events in again, as they stand now; what is taken is marked as replayed."""
        rejections = self.filtered(lambda one: one.state == "open")
        for company, rows in rejections.grouped("company_id").items():
            lines = self.env["reseller.usage.line"].with_company(company)
            outcome = lines.ingest([self._loads(row.payload) for row in rows])
            refused = {entry["index"] for entry in outcome["rejected"]}
            rows.browse(
                [row.id for index, row in enumerate(rows) if index not in refused]
            ).state = "replayed"

    def action_dismiss(self):
        """Set rejections aside for good."""
        self.filtered(lambda one: one.state == "open").state = "dismissed"


def _digest(event):
    """Return an event as normal JSON, and the digest that tells it from others."""
    try:
        payload = json.dumps(event, sort_keys=True, default=str)
    except (RecursionError, TypeError, ValueError):
        # Nested without end, or with keys that JSON has not.
        payload = json.dumps(type(event).__name__)
    if len(payload) > MAX_PAYLOAD:
        payload = json.dumps(payload[:1000])
    return payload, hashlib.sha256(payload.encode()).hexdigest()
