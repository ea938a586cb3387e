import base64
import contextlib
import hashlib
import itertools
import json
import logging
import re
from collections import Counter
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from functools import partial
from zoneinfo import ZoneInfo

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, retrying
from odoo.tools import SQL
from odoo.tools.misc import split_every
from werkzeug.urls import url_quote

from ... import rating
from ...tools import CRON_PATIENCE, USAGE_TURN, take_turn
from .reseller_usage_file import ZIP, Number
from .reseller_usage_mapping import OPTIONS, TARGETS
from .reseller_usage_reader import UnreadableEvent

_logger = logging.getLogger(__name__)
BATCH = 5000
# A file of no more rows is taken in at once.
AT_ONCE = 5000
SHOWN = 10
# Of reasons for rejection: how many are told apart, and how many shown.
MAX_REASONS = 200
REASONS = 20
COUNTS = ("rows_done", "accepted", "duplicates", "rejected")
# Columns of the file of rejected rows: what the row's event is called, and why it was refused.
KEY = "Rejected: event id"
# What makes an event of a file another one; its source is the file's.
SAID = ("client", "feature", "level", "time", "quantity", "corrects")
REASON = "Rejected: reason"
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
    _inherit = "reseller.usage.mapping.mixin"
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
        for one in self:
            first, last = one.replace_from, one.replace_to
            if one.replaces and not (first and last and first <= last):
                raise ValidationError(
                    self.env._("Say from which day to which the file replaces what was there.")
                )

    # Compute

    @api.depends("rows_done", "row_count", "state")
    def _compute_progress(self):
        for one in self:
            done = 100.0 if one.state == "done" else 0.0
            one.progress = (
                min(100.0 * one.rows_done / one.row_count, 100) if one.row_count else done
            )

    def _compute_open_rejection_count(self):
        counts = dict(
            self.env["reseller.usage.rejection"]._read_group(
                [("import_id", "in", self.ids), ("state", "=", "open")], ["import_id"], ["__count"]
            )
        )
        for one in self:
            one.open_rejection_count = counts.get(one, 0)

    @api.depends("file", "state", "column_ids.target", *OPTIONS)
    def _compute_preview_html(self):
        for one in self:
            unfinished = one._origin and one.state in ("new", "checked", "failed")
            one.preview_html = unfinished and one._render_preview()

    def _render_preview(self):
        """Return the first rows as the events that they become, or what keeps them from it."""
        try:
            events = [event for _number, _key, event in self._read_events(limit=SHOWN)]
            self._check_columns()
        except UserError as error:
            return self.env["ir.qweb"]._render(
                "reseller_billing.usage_import_preview", {"failure": str(error), "rows": []}
            )
        lines = self.env["reseller.usage.line"].with_company(self.company_id)
        _rows, rejected = lines._parse_events(events, self.company_id)
        reasons = {entry[0]: entry[1] for entry in rejected}
        return self.env["ir.qweb"]._render(
            "reseller_billing.usage_import_preview",
            {
                "failure": False,
                "rows": [
                    {"event": event, "reason": reasons.get(index)}
                    for index, event in enumerate(events)
                ],
            },
        )

    @api.depends("reasons")
    def _compute_reasons_html(self):
        for one in self:
            found = [(count, row, text) for text, (count, row) in (one.reasons or {}).items()]
            found.sort(key=lambda entry: (-entry[0], entry[1]))
            one.reasons_html = found and self.env["ir.qweb"]._render(
                "reseller_billing.usage_import_reasons",
                {"reasons": found[:REASONS], "more": len(found) - REASONS},
            )

    @api.depends("rejection_ids.state", "rejection_ids.reason")
    def _compute_rejections_file(self):
        for one in self:
            content, _extension = one._write_rejections()
            one.rejections_file = base64.b64encode(content)

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
            self._get_content(), self.encoding, self.delimiter, (KEY, REASON), picked
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
            *("file", "create_missing", "create_prices", "column_ids", "repeats"),
            *("replaces", "replace_from", "replace_to"),
            *("replace_client_ids", "replace_feature_ids"),
            *OPTIONS,
        } & vals.keys()
        # The rejections of a file are told by its rows: another file is another import.
        begun = self.filtered(
            lambda one: (
                one.state in ("running", "done")
                or (one.state == "failed" and (one.rows_done or one.rejection_ids))
            )
        )
        if begun and changing:
            raise UserError(
                self.env._("%s has been taken in: upload the file once more.", begun[0].filename)
            )
        done = super().write(vals)
        waiting = self - begun
        if {"file", "encoding", "delimiter", "mapping_id", "format"} & vals.keys():
            waiting._read_columns(guess="file" in vals and "format" not in vals)
        if changing:
            waiting.filtered(lambda one: one.state != "new").write(
                {"state": "new", "reasons": False}
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

    def _open(self):
        """Return (header, rows) of the file, see reseller.usage.file."""
        return self.env["reseller.usage.file"]._open(
            self._get_content(), self.encoding, self.delimiter
        )

    def _get_content(self):
        self.ensure_one()
        # A form that is being edited has the file as it was saved.
        saved = self._origin or self
        return base64.b64decode(saved.with_context(bin_size=False).file or b"")

    def _is_workbook(self):
        return self._get_content().startswith(ZIP)

    def _read_columns(self, guess):
        """Make the columns anew from the file's first rows, keeping what has been chosen.

        :param bool guess: whether the columns tell the format, where no mapping does
        """
        for one in self:
            chosen = {column.name: column.target for column in one.column_ids}
            mapped = {column.name: column.target for column in one.mapping_id.column_ids}
            header, samples = [], []
            # The preview tells what is wrong; another encoding or delimiter may read it.
            with contextlib.suppress(UserError):
                header, rows = one._open()
                samples += (row for _number, row in itertools.islice(rows, 3))
            if guess and not one.mapping_id:
                one.format = one._guess_format(header)
            guessed = self.env["reseller.usage.column"]._guess_targets(header)
            known = mapped or {**guessed, **chosen}
            one.column_ids = [
                fields.Command.clear(),
                *(
                    fields.Command.create(
                        {
                            "sequence": number,
                            "name": name,
                            "target": known.get(name, False),
                            "sample": ", ".join(row[number] for row in samples if row[number:]),
                        }
                    )
                    for number, name in enumerate(header)
                    if name and name not in (KEY, REASON)
                ),
            ]

    @api.model
    def _guess_format(self, header):
        return "table"

    def _check_columns(self):
        """Raise a UserError that says what the columns lack to become events."""
        self.ensure_one()
        if self.format != "table":
            getattr(self, f"_check_columns_{self.format}")()
            return
        header, _rows = self._open()
        wanted = dict(self.column_ids._fields["target"]._description_selection(self.env))
        given = {
            "client": self.default_client_id,
            "feature": self.default_feature_id,
            "quantity": self.default_quantity,
        }
        targets = set(self.column_ids.mapped("target"))
        lacking = [
            wanted[name]
            for name in ("client", "feature", "time", "quantity")
            if name not in targets and not given.get(name)
        ]
        if lacking:
            raise UserError(
                self.env._(
                    "Choose the columns that are: %s. Or a value for all rows.", ", ".join(lacking)
                )
            )
        gone = [
            column.name
            for column in self.mapping_id.column_ids
            if column.target and column.name not in header
        ]
        if gone:
            raise UserError(
                self.env._("The file lacks columns that the mapping names: %s.", ", ".join(gone))
            )

    # Events

    def _read_events(self, after=0, limit=None):
        """Yield (number of the row, its key, event) of the file's rows after one.

        The key is the event's id where the file has none: what the event says, in whichever way the
        file writes it, and how often it said so before. Properties are no part of it.

        :raise UserError: when the rest of the file cannot be read
        """
        self.ensure_one()
        header, rows = self._open()
        prepare = getattr(self, f"_get_reader_{self.format}")()
        seen = Counter()
        for count, (number, texts) in enumerate(rows):
            if limit is not None and count >= limit:
                return
            row = dict(zip(header, texts, strict=False))
            key, _reason = str(row.pop(KEY, "") or ""), row.pop(REASON, "")
            event = prepare(row)
            if not key:
                # The same may be said in a file more than once: each time is an event.
                said = json.dumps([_normalise(name, event.get(name)) for name in SAID])
                digest = hashlib.blake2b(said.encode(), digest_size=16).digest()
                seen[digest] += 1
                key = f"{digest.hex()}/{seen[digest]}"
                if self.repeats == "further" and not self.replaces:
                    key += f"/{self.id}"
            if number <= after:
                continue
            event.setdefault("id", key)
            if any(texts[len(header) :]):
                event = self._too_long(number, header, texts)
            yield number, key, event

    def _too_long(self, number, header, texts):
        reason = self.env._(
            "Row %(number)s has %(found)s values, the first line names %(wanted)s columns.",
            number=number,
            found=len(texts),
            wanted=len(header),
        )
        return UnreadableEvent(f"{number}: {', '.join(texts)}", reason)

    def _get_reader_table(self):
        """Return a function from a row, by column name, to an event, with an id where it has one."""
        columns = {
            target: self.column_ids.filtered(lambda one, target=target: one.target == target)
            for target, _label in TARGETS
        }
        kept = columns.pop("properties").mapped("name")
        columns = {target: found.name for target, found in columns.items() if found}
        given = {
            "source": self.source,
            "client": self.default_client_id.ref,
            "feature": self.default_feature_id.code,
            "quantity": self.default_quantity,
        }
        given = {name: value for name, value in given.items() if value}
        zone = ZoneInfo(self.tz)

        def prepare(row):
            event = dict(given)
            for target, name in columns.items():
                if row.get(name):
                    event[target] = row[name] if target == "quantity" else str(row[name])
            event["time"] = self._parse_time(event.get("time"), zone)
            event["quantity"] = self._parse_quantity(event.get("quantity"))
            properties = {name: str(row[name]) for name in kept if row.get(name)}
            if properties:
                event["properties"] = properties
            return event

        return prepare

    def _parse_time(self, text, zone):
        """Return a time of the file in RFC 3339, or as it stands where it does not fit."""
        if not text:
            return None
        try:
            moment, clock = self._read_time(text.strip())
            if not clock:
                # So that a client a few zones away has its use on the same day.
                moment = datetime.combine(moment, time(12))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except (ValueError, OverflowError, OSError):
            return str(text)

    def _read_time(self, text):
        """Return (moment, whether it has a time of day); raise ValueError where it does not fit."""
        if self.time_format == "unix":
            return datetime.fromtimestamp(float(text), UTC), True
        if text[:4].isdigit() and text[4:5] == "-":
            # The year comes first: that is clear in any format.
            return datetime.fromisoformat(text), len(text) > len("2026-01-31")
        found = DATE.fullmatch(text)
        if self.time_format == "iso" or not found:
            raise ValueError(text)
        first, second, year, *clock, fraction = found.groups()
        day, month = (first, second) if self.time_format == "dmy" else (second, first)
        moment = datetime(
            *map(int, (year, month, day)),
            *(int(part or 0) for part in clock),
            int((fraction or "").ljust(6, "0")),
        )
        return moment, clock[0] is not None

    def _parse_quantity(self, text):
        """Return a number of the file as a decimal text.

        What is no number as the file writes them is marked, so that it is rejected: 1.5 where 1,5
        is meant must not pass for either.
        """
        if not text or isinstance(text, Number):
            return text and str(text)
        group, grouped, plain = NUMBERS[self.decimal_sign]
        if grouped.fullmatch(text):
            text = group.sub("", text)
        if not plain.fullmatch(text):
            return f"{text} (?)"
        return text.replace(",", ".")

    # Actions

    def action_check(self):
        """Take the whole file in and take it back: say what would come of it."""
        for one in self:
            one._check_waiting()
            one._check_columns()
            if one.state == "failed" and one.rows_done:
                raise UserError(
                    self.env._(
                        "Rows of %s are taken in: Import goes on from there, Undo takes them back.",
                        one.filename,
                    )
                )
            with self.env.cr.savepoint() as savepoint:
                created = one._create_missing()
                vals = one._take_all()
                savepoint.rollback()
            self.env.invalidate_all(flush=False)
            vals["notice"] = "\n".join(filter(None, (created, vals["notice"])))
            one.write({**vals, "state": "checked", "failure": False})

    def action_import(self):
        """Take the file's rows in as usage events.

        A short file is taken in at once, a long one by the scheduled action, batch by batch. Rows
        that have been taken in before are there already and change nothing.
        """
        for one in self:
            one._check_waiting()
            one._check_columns()
            if one.replaces and one.state != "checked":
                raise UserError(
                    self.env._(
                        "%s replaces what was there: press Check first, which says what goes.",
                        one.filename,
                    )
                )
            count = sum(1 for _row in one._open()[1])
            one.write(
                {
                    **dict.fromkeys((*COUNTS, "last_row", "exchanged", "voided"), 0),
                    "row_count": count,
                    "reasons": False,
                    "failure": False,
                    "state": "running",
                }
            )
            one.notice = one._create_missing()
            if count > AT_ONCE:
                cron = self.env.ref("reseller_billing.ir_cron_usage_import")
                cron.sudo()._trigger()  # whoever may import may have it wake up
                continue
            one._take_whole()

    def action_undo(self):
        """Void what imports brought; their files, or better ones, can be taken in again.

        :raise UserError: see `action_void` of events; then nothing is undone
        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        for one in self:
            one.lock_for_update()
            one.invalidate_recordset(["state"])
            if one.state not in ("done", "failed"):
                raise UserError(self.env._("%s has not been taken in.", one.filename))
            lines = self.env["reseller.usage.line"]
            count = lines._void(one.company_id, SQL("line.import_id = %s", one.id), released=True)
            if not count:
                raise UserError(
                    self.env._(
                        "No event that counts is from %s: there is nothing to undo.", one.filename
                    )
                )
            one.rejection_ids.action_dismiss()
            one.write(
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
                        {"sequence": one.sequence, "name": one.name, "target": one.target}
                    )
                    for one in self.column_ids
                    if one.target
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

    @api.model
    def _cron_process(self):
        """Take long files in, one batch a transaction; one that was stopped goes on where it was."""
        cron = self.env["ir.cron"]
        for one in self.search([("state", "=", "running")], order="id"):
            cron._commit_progress(remaining=one.row_count - one.rows_done)
            try:
                if one.replaces:
                    with take_turn(self.env.cr, USAGE_TURN, one.company_id.id, CRON_PATIENCE):
                        retrying(one._take_whole, self.env)
                    cron._commit_progress(one.row_count, remaining=0)
                    continue
                for batch in split_every(BATCH, one._read_events(one.last_row), list):
                    with take_turn(self.env.cr, USAGE_TURN, one.company_id.id, CRON_PATIENCE):
                        retrying(partial(one._take, batch), self.env)
                    if not cron._commit_progress(
                        len(batch), remaining=max(one.row_count - one.rows_done, 0)
                    ):
                        return
                one.state = "done"
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                raise
            except Exception as error:
                # One file that cannot be read does not hold up those behind it.
                self.env.cr.rollback()
                if not isinstance(error, UserError):
                    _logger.exception("Usage file %s cannot be taken in", one.id)
                one.write({"state": "failed", "failure": str(error)})
            cron._commit_progress(remaining=0)

    def _create_missing(self):
        """Make what the rows name and Odoo lacks, where that is asked for.

        :return: what a person should know of it, or False
        """
        return False

    def _ingest(self, batch, scope=None):
        """Ingest rows as (number, key, event); see reseller.usage.line.ingest."""
        self.ensure_one()
        lines = self.env["reseller.usage.line"].with_company(self.company_id)
        lines._check_may_send()
        kept = [
            {"import_id": self.id, "import_row": number, "import_key": key}
            for number, key, _event in batch
        ]
        return lines._ingest([event for _number, _key, event in batch], kept, scope)

    def _take_all(self):
        """Take the whole file in, without commit; return values that say what came of it."""
        outcome, number = _Outcome(), 0
        scope = self._open_scope() if self.replaces else None
        for batch in split_every(BATCH, self._read_events(), list):
            result = self._ingest(batch, scope)
            if scope:
                self._check_told(batch, result["rejected"])
            outcome.add(batch, result)
            number = batch[-1][0]
        vals = {**outcome.counts, "reasons": outcome.reasons, "last_row": number, "notice": False}
        if scope:
            gone, names = self.env["reseller.usage.line"]._close_scope(self.company_id)
            vals.update(exchanged=scope.exchanged, voided=gone)
            if names:
                vals["notice"] = self.env._(
                    "These clients have no row in the file, and lose their use of these days: %s.",
                    ", ".join(names),
                )
        return vals

    def _check_told(self, batch, rejected):
        """Refuse a replacing file with rejected rows of which nobody can tell what they replace."""
        unknown = []
        for entry in rejected:
            number, key, event = batch[entry["index"]]
            if not isinstance(event, dict) or event.get("id") == key:
                unknown.append(f"{number}: {entry['reason']}")
        if unknown:
            raise UserError(
                self.env._(
                    "Rows without an event ID cannot be taken in, and so nothing is replaced: nobody could "
                    "tell what was there before of them. Mend or leave out:\n%s",
                    "\n".join(unknown[:SHOWN]),
                )
            )

    def _open_scope(self):
        """Open the scope that the file replaces: its sources' use of the days, clients and features."""
        sources = {
            event.get("source")
            for _number, _key, event in self._read_events()
            if isinstance(event, dict)
        }
        condition = SQL(
            "line.source = ANY(%s) AND line.billing_date BETWEEN %s AND %s",
            list(sources),
            self.replace_from,
            self.replace_to,
        )
        for column, records in (
            ("client_id", self.replace_client_ids),
            ("feature_id", self.replace_feature_ids),
        ):
            if records:
                condition = SQL(
                    "%s AND %s = ANY(%s)", condition, SQL.identifier("line", column), records.ids
                )
        return self.env["reseller.usage.line"]._open_scope(self.company_id, condition)

    def _take_whole(self):
        """Take the whole file in, with what it replaces, in one transaction, without commit."""
        vals = self._take_all()
        vals["notice"] = "\n".join(filter(None, (self.notice, vals["notice"])))
        self.write({**vals, "state": "done"})

    def _take(self, batch):
        """Take a batch of rows in and count them, without commit."""
        outcome = _Outcome({name: self[name] for name in COUNTS}, self.reasons)
        outcome.add(batch, self._ingest(batch))
        self.write({**outcome.counts, "reasons": outcome.reasons, "last_row": batch[-1][0]})


def _normalise(name, value):
    """Return a member of an event as text that is the same however a file writes it."""
    if value is None:
        return ""
    text = str(value).strip()
    if name != "quantity":
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
            number = batch[entry["index"]][0]
            if entry["reason"] in self.reasons or len(self.reasons) < MAX_REASONS:
                count, first = self.reasons.get(entry["reason"], (0, number))
                self.reasons[entry["reason"]] = [count + 1, first]
