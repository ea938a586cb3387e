import hashlib
import json
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL
from odoo.tools.misc import split_every

from ..base.notice import make_notice
from .reseller_usage_line import COLUMNS

# Of an event that is kept to be mended: more is no event, and kept by its beginning only.
MAX_PAYLOAD = 512 * 1024
BATCH = 5000
# The event's parts that are shown and mended one by one: field → name in the event.
PARTS = {
    "event_id": "id",
    "event_source": "source",
    "client_ref": "client",
    "feature_code": "feature",
    "level_code": "level",
    "event_time": "time",
    "event_quantity": "quantity",
}


class ResellerUsageRejection(models.Model):
    _name = "reseller.usage.rejection"
    _description = "Rejected Usage Event"
    _order = "id desc"
    _rec_name = "reason"

    company_id = fields.Many2one("res.company", required=True, readonly=True, index=True)
    payload = fields.Text(string="Event", required=True, help="The event as it came, as JSON.")
    digest = fields.Char(readonly=True, required=True)
    reason = fields.Text(required=True, readonly=True)
    kind = fields.Selection(
        [
            ("unreadable", "Cannot be read"),
            ("id", "ID or source"),
            ("client", "Unknown client"),
            ("feature", "Unknown feature"),
            ("level", "Unknown level"),
            ("time", "Time"),
            ("quantity", "Quantity"),
            ("properties", "Properties"),
            ("corrects", "Correction"),
            ("service", "Not served on the day"),
            ("locked", "Locked out"),
            ("late", "Too late"),
            ("conflict", "Sent with other content"),
            ("key", "Not the key's to send"),
        ],
        string="What Is Wrong",
        readonly=True,
        required=True,
        index=True,
    )
    state = fields.Selection(
        [("open", "Open"), ("replayed", "Taken In"), ("dismissed", "Dismissed")],
        required=True,
        default="open",
        readonly=True,
        index=True,
    )
    import_id = fields.Many2one(
        "reseller.usage.import",
        string="From File",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    import_row = fields.Integer(string="Row", readonly=True, aggregator=None)
    import_key = fields.Char(readonly=True, help="The event's id where the file gives none.")

    # The event, part by part
    event_id = fields.Char(
        string="Event ID", compute="_compute_parts", inverse="_inverse_parts", store=True
    )
    event_source = fields.Char(compute="_compute_parts", inverse="_inverse_parts", store=True)
    client_ref = fields.Char(
        string="Client", compute="_compute_parts", inverse="_inverse_parts", store=True
    )
    feature_code = fields.Char(
        string="Feature", compute="_compute_parts", inverse="_inverse_parts", store=True
    )
    level_code = fields.Char(
        string="Level", compute="_compute_parts", inverse="_inverse_parts", store=True
    )
    event_time = fields.Char(
        string="Time",
        compute="_compute_parts",
        inverse="_inverse_parts",
        store=True,
        help="With its offset, such as 2026-01-31T23:59:59+01:00.",
    )
    event_quantity = fields.Char(
        string="Quantity",
        compute="_compute_parts",
        inverse="_inverse_parts",
        store=True,
        help="With a decimal point.",
    )

    _open = models.Index("(company_id, event_source, event_id) WHERE state = 'open'")
    # The same event, rejected again, is one rejection.
    _event_uniq = models.Constraint(
        "UNIQUE (company_id, digest)", "This event is kept as a rejection already."
    )

    def _describe_news(self):
        """Return why this event was rejected, for who waits for it."""
        self.ensure_one()
        return self.reason

    @api.depends("payload")
    def _compute_parts(self):
        for rejection in self:
            try:
                event = json.loads(rejection.payload or "")
            except ValueError:
                event = None
            for field, text in _get_parts(event if isinstance(event, dict) else {}).items():
                rejection[field] = text or False

    def _inverse_parts(self):
        """Write the parts that were changed into the event."""
        for rejection in self:
            event = rejection._load()
            if not isinstance(event, dict):
                raise UserError(
                    self.env._("This event cannot be read: write it anew, as a JSON object.")
                )
            for field, name in PARTS.items():
                if (rejection[field] or "") == _brief(event.get(name)):
                    continue
                if rejection[field]:
                    event[name] = rejection[field]
                else:
                    event.pop(name, None)
            rejection.payload = json.dumps(event)

    # Keeping

    @api.model
    def _close_taken_in(self, company, intake):
        """Close what was rejected before of the events of an intake that were taken in just now.

        What was rejected of it itself stays.
        """
        self.flush_model(["event_id", "event_source", "state"])
        others = SQL(
            "rejection.company_id = %s AND rejection.state = 'open' AND rejection.kind != 'conflict'"
            " AND rejection.id != ALL(%s)",
            company.id,
            intake.refused,
        )
        [(is_open,)] = self.env.execute_query(
            SQL("SELECT EXISTS (SELECT FROM reseller_usage_rejection rejection WHERE %s)", others)
        )
        if not is_open:
            return
        taken = SQL("reseller_usage_batch AS batch")
        if not intake.is_laid:
            taken = SQL(
                "unnest(%s::varchar[], %s::varchar[]) AS batch (source, external_id)",
                *(
                    [row[COLUMNS.index(name)] for row in intake.rows]
                    for name in ("source", "external_id")
                ),
            )
        self.env.cr.execute(
            SQL(
                """
                UPDATE reseller_usage_rejection rejection SET state = 'replayed'
                  FROM %s
                 WHERE %s
                   AND rejection.event_source = batch.source
                   AND rejection.event_id = batch.external_id
                """,
                taken,
                others,
            )
        )
        if self.env.cr.rowcount:
            self.invalidate_model(["state"])

    def _keep(self, company, rejected):
        """Keep rejected events, as (event, values); one that is kept already stays one row.

        :return: their ids
        """
        by_digest = {}
        for event, vals in rejected:
            payload, digest = _digest(event)
            parts = _get_parts(event if type(event) is dict else {})
            by_digest[digest] = {"payload": payload, "digest": digest, **vals, **parts}
        names = ["payload", "digest", "reason", "kind", "import_id", "import_row", "import_key"]
        names += PARTS
        rows = [{name: row.get(name) or None for name in names} for row in by_digest.values()]
        columns = SQL(", ").join(map(SQL.identifier, names))
        self.flush_model()
        # A meter gone wrong may have many thousands rejected at once.
        found = self.env.execute_query(
            SQL(
                """
                INSERT INTO reseller_usage_rejection AS there (
                    company_id, state, create_uid, create_date, write_uid, write_date, %(columns)s)
                SELECT %(company)s, 'open', %(uid)s, %(now)s, %(uid)s, %(now)s, %(columns)s
                  FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (%(typed)s)
                    ON CONFLICT (company_id, digest) DO UPDATE
                   SET state = 'open', write_uid = excluded.write_uid,
                       write_date = excluded.write_date, reason = excluded.reason,
                       kind = excluded.kind,
                       import_id = COALESCE(excluded.import_id, there.import_id),
                       import_row = COALESCE(excluded.import_row, there.import_row),
                       import_key = COALESCE(excluded.import_key, there.import_key)
                RETURNING id
                """,
                columns=columns,
                company=company.id,
                uid=self.env.uid,
                now=fields.Datetime.now(),
                rows=json.dumps(rows),
                typed=SQL(", ").join(
                    SQL("%s %s", SQL.identifier(name), SQL(self._fields[name].column_type[1]))
                    for name in names
                ),
            )
        )
        self.invalidate_model()
        return [number for (number,) in found]

    def write(self, vals):
        if "payload" in vals:
            vals = {
                **vals,
                **dict(
                    zip(("payload", "digest"), _digest(self._loads(vals["payload"])), strict=True)
                ),
            }
        return super().write(vals)

    def _load(self):
        self.ensure_one()
        return self._loads(self.payload)

    def _loads(self, payload):
        try:
            return json.loads(payload)
        except ValueError as error:
            raise UserError(self.env._("The event is no valid JSON: %s", error)) from error

    # Actions

    def action_replay(self):
        """Send the events in again, as they stand now; what is taken is marked as replayed."""
        rejections = self.filtered(lambda rejection: rejection.state == "open")
        taken = 0
        for company, rows in rejections.grouped("company_id").items():
            lines = self.env["reseller.usage.line"].with_company(company)
            lines._check_may_send()
            for batch in split_every(BATCH, rows.ids, rows.browse):
                kept = [
                    {
                        "import_id": row.import_id.id,
                        "import_row": row.import_row,
                        "import_key": row.import_key,
                    }
                    for row in batch
                ]
                outcome = lines._ingest([row._load() for row in batch], kept)
                refused = {entry["index"] for entry in outcome["rejected"]}
                replayed = batch.browse(
                    [row.id for index, row in enumerate(batch) if index not in refused]
                )
                replayed.state = "replayed"
                taken += len(replayed)
        refused = len(rejections) - taken
        return make_notice(
            rejections.filtered(lambda rejection: rejection.state == "open"),
            self.env._(
                "%(taken)s taken in, %(refused)s still rejected.", taken=taken, refused=refused
            ),
            kind="warning" if refused else "success",
        )

    def action_dismiss(self):
        """Set rejections aside for good."""
        rejections = self.filtered(lambda rejection: rejection.state == "open")
        rejections.state = "dismissed"
        return make_notice(
            rejections,
            self.env._("%s rejections are set aside.", len(rejections)),
            undo="action_reopen",
        )

    def action_reopen(self):
        """Have rejections that were set aside wait again."""
        self.filtered(lambda rejection: rejection.state == "dismissed").state = "open"

    def action_repair_clients(self):
        """Open the dialog that creates the clients which events name, or gives the events to one."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "reseller_billing.reseller_usage_repair_action"
        )
        return {**action, "context": {"default_rejection_ids": self.ids}}


def _get_parts(event):
    """Return {field: text} of an event's parts."""
    return {field: _brief(event.get(name)) for field, name in PARTS.items()}


def _brief(value):
    """Return a part of an event, which may be of any type, as a text that a field can hold."""
    if value is None:
        return ""
    text = value
    if not isinstance(value, str):
        try:
            text = str(value) if isinstance(value, Decimal) else json.dumps(value, default=str)
        except (RecursionError, TypeError, ValueError):
            text = type(value).__name__
    return text.replace("\0", "").encode(errors="replace").decode()[:255]


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
