from datetime import datetime
from zoneinfo import ZoneInfo

from odoo import api, fields, models
from odoo.exceptions import UserError


class ResellerUsageRepair(models.TransientModel):
    _name = "reseller.usage.repair"
    _description = "Clients of Rejected Usage"

    rejection_ids = fields.Many2many("reseller.usage.rejection", required=True, readonly=True)
    company_id = fields.Many2one("res.company", compute="_compute_company_id")
    action = fields.Selection(
        [
            ("create", "Create the clients that the events name"),
            ("link", "Give the events to a client that is there"),
        ],
        string="What to Do",
        required=True,
        default="create",
    )
    event_count = fields.Integer(string="Events", compute="_compute_company_id")

    # Linking
    client_id = fields.Many2one(
        "reseller.client",
        domain="[('company_id', '=', company_id), ('state', '!=', 'draft')]",
    )

    # Creating
    line_ids = fields.One2many(
        "reseller.usage.repair.line",
        "repair_id",
        string="New Clients",
        compute="_compute_line_ids",
        store=True,
        readonly=False,
    )
    reseller_id = fields.Many2one("reseller.reseller", domain="[('company_id', '=', company_id)]")
    group_id = fields.Many2one(
        "reseller.client.group", domain="[('reseller_id', '=', reseller_id)]"
    )

    @api.depends("rejection_ids")
    def _compute_company_id(self):
        for repair in self:
            repair.company_id = repair.rejection_ids.company_id[:1]
            repair.event_count = len(repair._get_rejections())

    def _get_rejections(self):
        """Return the chosen rejections whose client is what is wrong: no other changes its client."""
        return self.rejection_ids.filtered(
            lambda rejection: rejection.state == "open" and rejection.kind == "client"
        )

    @api.depends("rejection_ids", "reseller_id")
    def _compute_line_ids(self):
        for repair in self:
            first = {}
            zone = ZoneInfo(repair.reseller_id.tz or "UTC")
            for rejection in repair._get_rejections():
                day, ref = _day(rejection.event_time, zone), rejection.client_ref
                if ref:
                    days = [date for date in (first.get(ref), day) if date]
                    first[ref] = min(days, default=False)
            repair.line_ids = [
                fields.Command.clear(),
                *(
                    fields.Command.create({"ref": ref, "name": ref, "date_from": day})
                    for ref, day in sorted(first.items())
                ),
            ]

    def action_apply(self):
        """Create the clients, or name the client in the events; then send the events in again."""
        self.ensure_one()
        if len(self.rejection_ids.company_id) > 1:
            raise UserError(self.env._("Repair the events of one company at a time."))
        rejections = self._get_rejections()
        if self.action == "link":
            if not self.client_id:
                raise UserError(self.env._("Choose the client that the events are of."))
            rejections.client_ref = self.client_id.ref
        else:
            self._create_clients()
        return rejections.action_replay()

    def _create_clients(self):
        if not self.reseller_id:
            raise UserError(self.env._("Choose the reseller of the new clients."))
        if not self.line_ids:
            raise UserError(self.env._("None of these events names a client that is unknown."))
        partners = self.env["res.partner"].create(
            [
                {"name": line.name, "company_type": "company"}
                for line in self.line_ids
                if not line.partner_id
            ]
        )
        made = iter(partners)
        clients = self.env["reseller.client"].create(
            [
                {
                    "partner_id": (line.partner_id or next(made)).id,
                    "reseller_id": self.reseller_id.id,
                    "ref": line.ref,
                    "membership_ids": [
                        fields.Command.create(
                            {"date_from": line.date_from, "group_id": self.group_id.id}
                        )
                    ],
                }
                for line in self.line_ids
            ]
        )
        clients.action_activate()
        return clients


class ResellerUsageRepairLine(models.TransientModel):
    _name = "reseller.usage.repair.line"
    _description = "Client to Create"

    repair_id = fields.Many2one("reseller.usage.repair", required=True, ondelete="cascade")
    ref = fields.Char(string="Reference", required=True)
    name = fields.Char(required=True)
    partner_id = fields.Many2one(
        "res.partner", string="Contact", help="Empty: a new contact of this name."
    )
    date_from = fields.Date(
        string="Served From", required=True, help="The first day of service, and of billing."
    )


def _day(text, zone):
    """Return the day of an event's time in a zone, or False."""
    try:
        return datetime.fromisoformat(text or "").astimezone(zone).date()
    except (ValueError, OverflowError):
        return False
