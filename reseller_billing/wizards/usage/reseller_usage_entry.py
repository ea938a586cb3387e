import uuid

from odoo import fields, models
from odoo.exceptions import UserError

from ...models.base.notice import make_notice


class ResellerUsageEntry(models.TransientModel):
    _name = "reseller.usage.entry"
    _description = "Manual Entry of Usage"

    client_id = fields.Many2one("reseller.client", required=True)
    feature_id = fields.Many2one("reseller.feature", required=True)
    level_id = fields.Many2one("reseller.feature.level", domain="[('feature_id', '=', feature_id)]")
    occurred_at = fields.Datetime(string="When", required=True, default=fields.Datetime.now)
    quantity = fields.Char(
        required=True, default="1", help="An exact decimal number; negative to correct."
    )
    note = fields.Char()

    def _prepare_event(self):
        self.ensure_one()
        return {
            "id": str(uuid.uuid4()),
            "source": "manual",
            "client": self.client_id.ref,
            "feature": self.feature_id.code,
            "level": self.level_id.code or None,
            "time": f"{self.occurred_at.isoformat()}Z",
            "quantity": self.quantity,
            "properties": {
                "entered_by": self.env.user.login,
                **({"note": self.note} if self.note else {}),
            },
        }

    def action_save(self):
        """Take the entry in as a usage event; refuse it with the reason if that cannot be."""
        self.ensure_one()
        lines = self.env["reseller.usage.line"].with_company(self.client_id.company_id)
        event = self._prepare_event()
        outcome = lines.ingest([event])
        if outcome["rejected"]:
            raise UserError(outcome["rejected"][0]["reason"])
        line = lines.search([("source", "=", event["source"]), ("external_id", "=", event["id"])])
        return make_notice(
            line,
            self.env._(
                "Taken in: %(quantity)s × %(feature)s of %(client)s.",
                quantity=self.quantity,
                feature=self.feature_id.name,
                client=self.client_id.display_name,
            ),
            undo="action_void",
        )
