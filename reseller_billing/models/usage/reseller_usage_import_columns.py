import contextlib
import hashlib
import itertools
import re
from collections import Counter
from datetime import UTC, datetime, time
from json.encoder import encode_basestring_ascii
from zoneinfo import ZoneInfo

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ...tables import Number
from .reseller_usage_import import DATE, KEY, NUMBERS, REASON, SAID, SHOWN, _normalise
from .reseller_usage_line_lookup import HELD
from .reseller_usage_mapping import TARGETS
from .reseller_usage_reader import UnreadableEvent

# What need not be read to be written the same way.
PLAIN_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class ResellerUsageImport(models.Model):
    """What a file's rows say."""

    _inherit = "reseller.usage.import"

    def _open(self, after=(0, 0)):
        """Return (header, rows) of the file, see reseller.usage.file."""
        return self.env["reseller.usage.file"]._open(
            self._open_file(), self.encoding, self.delimiter, after
        )

    def _is_workbook(self):
        return self.env["reseller.usage.file"]._is_workbook(self._open_file())

    def _read_columns(self, guess):
        """Make the columns anew from the file's first rows, keeping what has been chosen.

        :param bool guess: whether the columns tell the format, where no mapping does
        """
        for upload in self:
            chosen = {column.name: column.target for column in upload.column_ids}
            mapped = {column.name: column.target for column in upload.mapping_id.column_ids}
            header, samples = [], []
            # The preview tells what is wrong; another encoding or delimiter may read it.
            with contextlib.suppress(UserError):
                header, rows = upload._open()
                samples += (row for _number, row in itertools.islice(rows, 3))
            if guess and not upload.mapping_id:
                upload.format = upload._guess_format(header)
            guessed = self.env["reseller.usage.column"]._guess_targets(header)
            known = mapped or {**guessed, **chosen}
            upload.column_ids = [
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

    def _render_preview(self):
        """Return the first rows as the events that they become, or what keeps them from it."""
        try:
            rows = list(itertools.islice(self._read_events(*self._open()), SHOWN))
            self._check_columns()
        except UserError as error:
            return self.env["ir.qweb"]._render(
                "reseller_billing.usage_import_preview", {"failure": str(error), "rows": []}
            )
        events = [
            {"id": key or f"{digest}/1", **event} if type(event) is dict else event
            for _number, key, digest, event in rows
        ]
        # Who only looks locks nothing.
        lines = self.env["reseller.usage.line"].with_context(reseller_held=HELD)
        lines = lines.with_company(self.company_id)
        _rows, rejected = lines._parse_events(events, self.company_id, lines._open_intake())
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

    def _read_events(self, header, rows):
        """Yield (number of the row, key, digest, event) of rows of the file, see _open.

        What tells a row from others is its event's id, the key that an earlier file of rejected rows gave it,
        or the digest of what its event says, in whichever way the file writes it; properties are no part of
        it. See _key_rows.

        :raise UserError: when the rest of the file cannot be read
        """
        self.ensure_one()
        prepare = getattr(self, f"_get_reader_{self.format}")()
        width, has_ids = len(header), self.has_ids
        for number, texts in rows:
            row = dict(zip(header, texts, strict=False))
            key, _reason = row.pop(KEY, None) or None, row.pop(REASON, None)
            event = prepare(row)
            digest = None
            if not (key or (has_ids and "id" in event)):
                said = ", ".join(
                    encode_basestring_ascii(_normalise(name, event.get(name))) for name in SAID
                )
                digest = hashlib.blake2b(f"[{said}]".encode(), digest_size=16).hexdigest()
            if len(texts) > width and any(texts[width:]):
                event = self._too_long(number, header, texts)
            yield number, key and str(key), digest, event

    def _key_rows(self, batch):
        """Return rows of `_read_events` as (number, key, event), the events with ids.

        The same may be said in a file more than once: each time is an event. Of those before it is counted
        how often.
        """
        said = Counter(digest for _number, _key, digest, _event in batch if digest)
        counts = self._count_said(said) if said else {}
        further = f"/{self.id}" if self.repeats == "further" and not self.replaces else ""
        keyed = []
        for number, key, digest, event in batch:
            if digest:
                counts[digest] += 1
                key = f"{digest}/{counts[digest]}{further}"
            if key and type(event) is dict and "id" not in event:
                event = {**event, "id": key}
            keyed.append((number, key, event))
        return keyed

    def _count_said(self, said):
        """Count what rows say, as {digest: how often}; return how often each was said before."""
        return {
            digest: count - said[digest]
            for digest, count in self.env.execute_query(
                SQL(
                    """
                    INSERT INTO reseller_usage_import_said AS said (import_id, digest, count)
                    SELECT %s, digest, count
                      FROM unnest(%s::varchar[], %s::int[]) AS given (digest, count)
                        ON CONFLICT (import_id, digest)
                           DO UPDATE SET count = said.count + excluded.count
                    RETURNING digest, count
                    """,
                    self.id,
                    list(said),
                    list(said.values()),
                )
            )
        }

    def _forget_said(self):
        """Have this file begin anew, or be done with."""
        self.env.cr.execute(
            SQL("DELETE FROM reseller_usage_import_said WHERE import_id = %s", self.id)
        )

    def _count_rows(self):
        """Return (how many rows the file has, whether each has an id of its own)."""
        header, rows = self._open()
        name = self.column_ids.filtered(lambda column: column.target == "id").name
        if self.format != "table" or name not in header or KEY in header:
            return sum(1 for _row in rows), False
        index = header.index(name)
        with_id = [bool(texts[index:] and texts[index]) for _number, texts in rows]
        return len(with_id), all(with_id)

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
            target: self.column_ids.filtered(lambda column, target=target: column.target == target)
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
                text = row.get(name)
                if text:
                    event[target] = text if target == "quantity" else str(text)
            event["time"] = self._parse_time(event.get("time"), zone)
            event["quantity"] = self._parse_quantity(event.get("quantity"))
            if kept and (properties := {name: str(row[name]) for name in kept if row.get(name)}):
                event["properties"] = properties
            return event

        return prepare

    def _parse_time(self, text, zone):
        """Return a time of the file in RFC 3339, or as it stands where it does not fit."""
        if not text:
            return None
        if PLAIN_TIME.fullmatch(text):
            return text
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
        if text.isascii() and text.isdigit():
            return text
        group, grouped, plain = NUMBERS[self.decimal_sign]
        if grouped.fullmatch(text):
            text = group.sub("", text)
        if not plain.fullmatch(text):
            return f"{text} (?)"
        return text.replace(",", ".")


class ResellerUsageImportSaid(models.Model):
    """What rows without an id have said, and how often, as long as their file is being taken in."""

    _name = "reseller.usage.import.said"
    _description = "What a Usage File Has Said"
    _log_access = False

    import_id = fields.Many2one("reseller.usage.import", required=True, ondelete="cascade")
    digest = fields.Char(required=True)
    count = fields.Integer(required=True)

    _once = models.Constraint("UNIQUE (import_id, digest)")
