import base64
import logging
import re
from decimal import Decimal, InvalidOperation

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL
from werkzeug.urls import url_quote

from ... import rating
from .reseller_usage_mapping import OPTIONS

_logger = logging.getLogger(__name__)
BATCH = 5000
# A file of no more rows is taken in at once.
AT_ONCE = 5000
SHOWN = 10
# Of reasons for rejection: how many are told apart, and how many shown.
MAX_REASONS = 200
REASONS = 20
COUNTS = ("rows_done", "accepted", "duplicates", "rejected")
# Up to where a file is taken in.
PLACE = ("last_row", "last_offset")
# Columns of the file of rejected rows: what the row's event is called, and why it was refused.
KEY = "Rejected: event id"
# What makes an event of a file another one; its source is the file's.
SAID = ("client", "feature", "level", "time", "quantity", "corrects")
REASON = "Rejected: reason"
# A quantity that is written in no other way.
PLAIN_COUNT = re.compile(r"[1-9]\d{0,17}", re.ASCII)
DATE = re.compile(
    r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})"
    r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?)?"
)


def _number_patterns(groups, point):
    """Return patterns of numbers with this decimal sign: what groups digits, with groups, without.

    A number with groups begins with another digit than 0 and has one kind of sign between them.
    """
    return (
        re.compile(groups),
        re.compile(
            rf"[+-]?[1-9]\d{{0,2}}(?P<group>{groups})\d{{3}}(?:(?P=group)\d{{3}})*(?:{point}\d+)?"
        ),
        re.compile(rf"[+-]?\d*{point}?\d+(?:[eE][+-]?\d+)?"),
    )


NUMBERS = {
    "point": _number_patterns("[,' \u00a0\u202f]", r"\."),
    "comma": _number_patterns("[.' \u00a0\u202f]", ","),
}


class ResellerUsageImport(models.Model):
    _name = "reseller.usage.import"
    _description = "Import of a Usage File"
    _inherit = ["reseller.usage.mapping.mixin", "reseller.work.mixin"]
    _order = "id desc"
    _rec_name = "filename"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    file = fields.Binary(required=True, attachment=True, help="CSV or XLSX.")
    filename = fields.Char(string="File Name", required=True, default="usage")
    mapping_id = fields.Many2one(
        "reseller.usage.mapping", check_company=True, help="Fills in how the file is read."
    )
    default_client_id = fields.Many2one(check_company=True)
    default_feature_id = fields.Many2one(check_company=True)
    column_ids = fields.One2many("reseller.usage.column", "import_id", string="Columns")
    create_missing = fields.Boolean(
        string="Create What Is Missing",
        help="Unknown billing accounts become resellers, sub-accounts clients, SKUs features.",
    )
    create_prices = fields.Boolean(
        string="Price New Features",
        help="Every new feature gets a default price: the list unit price in the file.",
    )
    state = fields.Selection(
        [
            ("new", "New"),
            ("checked", "Checked"),
            ("running", "Running"),
            ("done", "Done"),
            ("failed", "Failed"),
            ("undone", "Undone"),
        ],
        required=True,
        default="new",
        readonly=True,
        copy=False,
        index=True,
    )
    preview_html = fields.Html(compute="_compute_preview_html", sanitize=False)

    # Progress and result
    row_count = fields.Integer(string="Rows", readonly=True, copy=False)
    last_row = fields.Integer(
        readonly=True, copy=False, help="The number of the last row that was taken in."
    )
    last_offset = fields.Integer(
        readonly=True, copy=False, help="Where in the file that row ends, in bytes; 0: not known."
    )
    has_ids = fields.Boolean(
        readonly=True, copy=False, help="Each row of the file has an event ID of its own."
    )
    rows_done = fields.Integer(readonly=True, copy=False)
    progress = fields.Float(compute="_compute_progress", help="Per cent of the rows.")
    accepted = fields.Integer(readonly=True, copy=False)
    duplicates = fields.Integer(string="There Already", readonly=True, copy=False)
    repeats = fields.Selection(
        [("same", "The same again: it counts once"), ("further", "Further use: it counts as well")],
        string="What Is There Already Is",
        required=True,
        default="same",
        copy=False,
        help="Of rows that say what rows of an earlier file said, and have no ID of their own.",
    )
    rejected = fields.Integer(readonly=True, copy=False)

    # Replacing
    replaces = fields.Boolean(
        string="Replaces Earlier Use",
        help="What the file's sources have sent for these days, and the file has not, is voided: for "
        "files of a month that are delivered again until they are final.",
    )
    replace_from = fields.Date(string="First Day", help="In the clients' time zones.")
    replace_to = fields.Date(string="Last Day", help="In the clients' time zones.")
    replace_client_ids = fields.Many2many(
        "reseller.client", string="Of Clients", check_company=True, help="Empty: all clients."
    )
    replace_feature_ids = fields.Many2many(
        "reseller.feature", string="Of Features", check_company=True, help="Empty: all features."
    )
    exchanged = fields.Integer(
        string="Changed", readonly=True, copy=False, help="Events whose IDs say other things now."
    )
    voided = fields.Integer(
        string="Gone", readonly=True, copy=False, help="Events that the file has no more."
    )
    reasons = fields.Json(readonly=True, copy=False)
    reasons_html = fields.Html(string="Why", compute="_compute_reasons_html", sanitize=False)
    rejections_file = fields.Binary(
        compute="_compute_rejections_file",
        attachment=False,
        help="The rows whose rejections are open, with the reasons, to be mended and loaded again.",
    )
    save_as = fields.Char(string="Save Mapping As", copy=False, help="Empty: the mapping chosen.")
    failure = fields.Text(readonly=True, copy=False)
    notice = fields.Text(readonly=True, copy=False, help="What is left to do by hand.")
    rejection_ids = fields.One2many("reseller.usage.rejection", "import_id", readonly=True)
    open_rejection_count = fields.Integer(compute="_compute_open_rejection_count")

    @api.constrains("replaces", "replace_from", "replace_to")
    def _check_replaced_days(self):
        for upload in self:
            first, last = upload.replace_from, upload.replace_to
            if upload.replaces and not (first and last and first <= last):
                raise ValidationError(
                    self.env._("Say from which day to which the file replaces what was there.")
                )

    # Compute

    @api.depends("rows_done", "row_count", "state")
    def _compute_progress(self):
        for upload in self:
            done = 100.0 if upload.state == "done" else 0.0
            upload.progress = (
                min(100.0 * upload.rows_done / upload.row_count, 100) if upload.row_count else done
            )

    def _compute_open_rejection_count(self):
        counts = dict(
            self.env["reseller.usage.rejection"]._read_group(
                [("import_id", "in", self.ids), ("state", "=", "open")], ["import_id"], ["__count"]
            )
        )
        for upload in self:
            upload.open_rejection_count = counts.get(upload, 0)

    @api.depends("file", "upload_id", "state", "column_ids.target", *OPTIONS)
    def _compute_preview_html(self):
        for upload in self:
            unfinished = upload._origin and upload.state in ("new", "checked", "failed")
            upload.preview_html = unfinished and upload._render_preview()

    @api.depends("reasons")
    def _compute_reasons_html(self):
        for upload in self:
            found = [(count, row, text) for text, (count, row) in (upload.reasons or {}).items()]
            found.sort(key=lambda entry: (-entry[0], entry[1]))
            upload.reasons_html = found and self.env["ir.qweb"]._render(
                "reseller_billing.usage_import_reasons",
                {"reasons": found[:REASONS], "more": len(found) - REASONS},
            )

    @api.depends("rejection_ids.state", "rejection_ids.reason")
    def _compute_rejections_file(self):
        for upload in self:
            content, _extension = upload._write_rejections()
            upload.rejections_file = base64.b64encode(content)

    def _write_rejections(self):
        """Return (content, extension) of the file of this one's rows whose rejections are open."""
        self.ensure_one()
        picked = {
            rejection.import_row: [
                rejection.event_id or rejection.import_key or "",
                rejection.reason,
            ]
            for rejection in self.rejection_ids
            if rejection.state == "open"
        }
        return self.env["reseller.usage.file"]._write(
            self._open_file(), self.encoding, self.delimiter, (KEY, REASON), picked
        )

    # Options and columns

    @api.onchange("mapping_id")
    def _onchange_mapping_id(self):
        if self.mapping_id:
            self.update(self._prepare_options(self.mapping_id))

    @api.model
    def _prepare_options(self, owner):
        return {
            name: owner[name].id if owner._fields[name].type == "many2one" else owner[name]
            for name in OPTIONS
        }

    @api.model_create_multi
    def create(self, vals_list):
        mappings = self.env["reseller.usage.mapping"]
        imports = super().create(
            [
                {**self._prepare_options(mappings.browse(vals["mapping_id"])), **vals}
                if vals.get("mapping_id")
                else vals
                for vals in vals_list
            ]
        )
        for one, vals in zip(imports, vals_list, strict=True):
            # The web client sends the default along.
            one._read_columns(guess=vals.get("format", "table") == "table")
        return imports

    def write(self, vals):
        changing = {
            *("file", "upload_id", "create_missing", "create_prices", "column_ids", "repeats"),
            *("replaces", "replace_from", "replace_to"),
            *("replace_client_ids", "replace_feature_ids"),
            *OPTIONS,
        } & vals.keys()
        # The rejections of a file are told by its rows: another file is another import.
        begun = self.filtered(
            lambda upload: (
                upload.state in ("running", "done")
                or (upload.state == "failed" and (upload.rows_done or upload.rejection_ids))
            )
        )
        if begun and changing:
            raise UserError(
                self.env._("%s has been taken in: upload the file once more.", begun[0].filename)
            )
        done = super().write(vals)
        waiting = self - begun
        of_file = {"file", "upload_id"} & vals.keys()
        if of_file or {"encoding", "delimiter", "mapping_id", "format"} & vals.keys():
            waiting._read_columns(guess=bool(of_file) and "format" not in vals)
        if changing:
            waiting.filtered(lambda upload: upload.state != "new").write(
                {"state": "new", "reasons": False, "has_ids": False}
            )
        return done

    @api.ondelete(at_uninstall=False)
    def _unlink_except_running(self):
        if "running" in self.mapped("state"):
            raise UserError(self.env._("An import that is at work cannot be deleted."))

    def unlink(self):
        lines = self.env["reseller.usage.line"]
        self.env.cr.execute(
            SQL(
                "UPDATE reseller_usage_line SET import_id = NULL WHERE import_id = ANY(%s)",
                self.ids,
            )
        )
        lines.invalidate_model(["import_id"])
        return super().unlink()

    # Events

    # Actions

    def action_check(self):
        """Take the whole file in and take it back: say what would come of it."""
        for upload in self:
            upload._check_waiting()
            upload._check_columns()
            if upload.state == "failed" and upload.rows_done:
                raise UserError(
                    self.env._(
                        "Rows of %s are taken in: Import goes on from there, Undo takes them back.",
                        upload.filename,
                    )
                )
            with self.env.cr.savepoint() as savepoint:
                created = upload._create_missing()
                vals = upload._take_all()
                savepoint.rollback()
            self.env.invalidate_all(flush=False)
            vals["notice"] = "\n".join(filter(None, (created, vals["notice"])))
            upload.write({**vals, "state": "checked", "failure": False})

    def action_import(self):
        """Take the file's rows in as usage events.

        A short file is taken in at once, a long one by the scheduled action, batch by batch. Rows
        that have been taken in before are there already and change nothing.
        """
        for upload in self:
            upload._check_waiting()
            upload._check_columns()
            if upload.replaces and upload.state != "checked":
                raise UserError(
                    self.env._(
                        "%s replaces what was there: press Check first, which says what goes.",
                        upload.filename,
                    )
                )
            count, has_ids = upload._count_rows()
            upload._forget_said()
            upload.write(
                {
                    **dict.fromkeys((*COUNTS, *PLACE, "exchanged", "voided"), 0),
                    "row_count": count,
                    "has_ids": has_ids,
                    "reasons": False,
                    "failure": False,
                    "state": "running",
                }
            )
            upload.notice = upload._create_missing()
            if count > AT_ONCE:
                upload._trigger()
                continue
            upload._take_whole()

    def action_undo(self):
        """Void what imports brought; their files, or better ones, can be taken in again.

        :raise UserError: see `action_void` of events; then nothing is undone
        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        for upload in self:
            upload.lock_for_update()
            upload.invalidate_recordset(["state"])
            if upload.state not in ("done", "failed"):
                raise UserError(self.env._("%s has not been taken in.", upload.filename))
            lines = self.env["reseller.usage.line"]
            count = lines._void(
                upload.company_id, SQL("line.import_id = %s", upload.id), released=True
            )
            if not count:
                raise UserError(
                    self.env._(
                        "No event that counts is from %s: there is nothing to undo.",
                        upload.filename,
                    )
                )
            upload.rejection_ids.action_dismiss()
            upload._forget_said()
            upload.write(
                {
                    "state": "undone",
                    "notice": self.env._(
                        "%(user)s has undone this: %(count)s events count no more. What was billed "
                        "of them is given back with the next bills.",
                        user=self.env.user.name,
                        count=count,
                    ),
                }
            )

    def _check_waiting(self):
        self.ensure_one()
        # Another window may show it as it was before.
        self.lock_for_update()
        self.invalidate_recordset(["state"])
        if self.state in ("running", "done"):
            raise UserError(
                self.env._("%s has been taken in: upload the file once more.", self.filename)
            )

    def action_save_mapping(self):
        """Keep how this file is read, for files to come."""
        self.ensure_one()
        vals = {
            **self._prepare_options(self),
            "column_ids": [
                fields.Command.clear(),
                *(
                    fields.Command.create(
                        {"sequence": column.sequence, "name": column.name, "target": column.target}
                    )
                    for column in self.column_ids
                    if column.target
                ),
            ],
        }
        if self.save_as:
            mapping = self.mapping_id.create(
                {**vals, "name": self.save_as, "company_id": self.company_id.id}
            )
            self.write({"mapping_id": mapping.id, "save_as": False})
        elif self.mapping_id:
            self.mapping_id.write(vals)
        else:
            raise UserError(self.env._("Give the mapping a name."))

    def action_view_rejections(self):
        """Open the rejections of this file's rows."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "reseller_billing.reseller_usage_rejection_action"
        )
        return {**action, "domain": [("import_id", "=", self.id)]}

    def action_view_events(self):
        """Open the events that this file brought, also those that count no more."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "reseller_billing.reseller_usage_line_action"
        )
        return {**action, "domain": [("import_id", "=", self.id)], "context": {}}

    def action_download_rejections(self):
        """Download the rows whose rejections are open, to be mended and loaded again."""
        self.ensure_one()
        if not self.open_rejection_count:
            raise UserError(self.env._("No rejection of %s is open.", self.filename))
        extension = "xlsx" if self._is_workbook() else "csv"
        name = f"{self.filename.rpartition('.')[0] or self.filename}-rejected.{extension}"
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self._name}/{self.id}/rejections_file"
            f"?download=true&filename={url_quote(name)}",
            "target": "download",
        }

    # Work


def _normalise(name, value):
    """Return a member of an event as text that is the same however a file writes it."""
    text = "" if value is None else str(value).strip()
    if name != "quantity" or PLAIN_COUNT.fullmatch(text):
        return text
    try:
        return rating.text(Decimal(text).normalize())
    except (InvalidOperation, ValueError):
        return text


class _Outcome:
    """What became of the rows so far: counts by field, and {reason: [rows, number of the first]}."""

    def __init__(self, counts=None, reasons=None):
        self.counts = counts or dict.fromkeys(COUNTS, 0)
        self.reasons = dict(reasons or {})

    def add(self, batch, outcome):
        """Add the outcome of a batch of rows, as reseller.usage.line.ingest returns it."""
        self.counts["rows_done"] += len(batch)
        self.counts["accepted"] += outcome["accepted"]
        self.counts["duplicates"] += outcome["duplicates"]
        self.counts["rejected"] += len(outcome["rejected"])
        for entry in outcome["rejected"]:
            reason = entry["reason"]
            if reason in self.reasons or len(self.reasons) < MAX_REASONS:
                count, first = self.reasons.get(reason, (0, batch[entry["index"]][0]))
                self.reasons[reason] = [count + 1, first]
