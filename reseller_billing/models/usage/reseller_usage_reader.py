import csv
import io
import json
import zlib

from odoo import api, models
from odoo.exceptions import UserError

from ...untrusted import (
    MAX_BROKEN,
    MAX_DEPTH,
    MAX_EVENT,
    MAX_NUMBER,
    ArrayReader,
    Unreadable,
    bounded_lines,
    loads,
)

# Of a body or file when it is unpacked, and what it may hold.
MAX_UNPACKED = 256 * 1024 * 1024
MAX_EMPTY = 1000
# Of a table: more is none of usage.
MAX_COLUMNS = 1000
FIELDS = ("id", "source", "client", "feature", "time", "quantity", "level", "corrects")


class UnreadableEvent(str):
    """The text of an event that could not be read, with the reason; `ingest` rejects it."""

    __slots__ = ("reason",)

    def __new__(cls, text, reason):
        event = super().__new__(cls, text)
        event.reason = reason
        return event


class UnpackedStream(io.RawIOBase):
    """The content of a gzip stream; raises EOFError where it ends early.

    Unlike gzip.GzipFile it counts what comes out, so that a small body cannot fill the machine.
    """

    def __init__(self, packed, limit):
        self._packed = packed
        self._left = limit
        self._inflate = zlib.decompressobj(wbits=31)

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._inflate.eof:
            raw = self._inflate.unconsumed_tail or self._packed.read(65536)
            if not raw:
                raise EOFError
            data = self._inflate.decompress(raw, len(buffer))
            if data:
                self._left -= len(data)
                if self._left < 0:
                    raise OverflowError
                buffer[: len(data)] = data
                return len(data)
        if self._inflate.unused_data or self._packed.read(1):
            raise zlib.error("something follows the end of the stream")
        return 0


class ResellerUsageReader(models.AbstractModel):
    """Reads usage events out of what systems send, one after the other.

    A format is a method `_read_<name>` that takes a binary stream and yields events as `ingest`
    takes them, or UnreadableEvent for those that are broken, and raises UserError where the rest
    cannot be told apart.
    """

    _name = "reseller.usage.reader"
    _description = "Formats of Usage Events"

    @api.model
    def _get_formats(self):
        """Return {media type: name of the format}."""
        return {
            "application/cloudevents-batch+json": "cloudevents_batch",
            "application/cloudevents+json": "cloudevent",
            "application/x-ndjson": "ndjson",
            "application/ndjson": "ndjson",
            "text/csv": "csv",
        }

    @api.model
    def _read(self, name, stream, packed=False):
        """Yield the events of a stream.

        :param str name: a format of `_get_formats`
        :param stream: a binary stream
        :param bool packed: whether the stream is in gzip
        :raise UserError: when the stream cannot be read to its end
        """
        if packed:
            stream = io.BufferedReader(UnpackedStream(stream, MAX_UNPACKED), 65536)
        try:
            yield from getattr(self, f"_read_{name}")(stream)
        except EOFError as error:
            raise UserError(self.env._("The gzip stream is cut off.")) from error
        except OverflowError as error:
            raise UserError(
                self.env._(
                    "The body unpacks to more than %s MiB: send it in parts.", MAX_UNPACKED >> 20
                )
            ) from error
        except zlib.error as error:
            raise UserError(self.env._("The body is no gzip stream: %s", error)) from error
        except UnicodeDecodeError as error:
            raise UserError(self.env._("The text is not in UTF-8: %s", error)) from error

    # Formats

    def _read_ndjson(self, stream):
        number = empty = 0
        while raw := stream.readline(MAX_EVENT + 1):
            number += 1
            if len(raw) > MAX_EVENT:
                begin = raw
                while raw and not raw.endswith(b"\n"):
                    raw = stream.readline(MAX_EVENT)
                yield UnreadableEvent(
                    begin[:1000].decode(errors="replace"),
                    self._explain(Unreadable("size"), self.env._("Line %s", number)),
                )
                continue
            text = raw.decode(errors="replace").strip()
            if number == 1:
                text = text.removeprefix("\N{BYTE ORDER MARK}")
            if text:
                try:
                    yield loads(text)
                except Unreadable as error:
                    yield UnreadableEvent(text, self._explain(error, self.env._("Line %s", number)))
                continue
            empty += 1
            if empty > MAX_EMPTY:
                raise UserError(self.env._("The body has more than %s empty lines.", MAX_EMPTY))

    def _explain(self, error, where):
        """Return why something cannot be read, in words.

        :param Unreadable error: why
        :param str where: what cannot be read, as the sentence's first words
        """
        match error.code:
            case "size":
                return self.env._(
                    "%(where)s is larger than %(limit)s KiB.", where=where, limit=MAX_EVENT >> 10
                )
            case "depth":
                return self.env._(
                    "%(where)s is nested deeper than %(limit)s levels, or has too many parts.",
                    where=where,
                    limit=MAX_DEPTH,
                )
            case "number":
                return self.env._(
                    "%(where)s has a number of more than %(limit)s digits, or out of range.",
                    where=where,
                    limit=MAX_NUMBER,
                )
            case "broken":
                return self.env._(
                    "More than %(limit)s elements of the body cannot be read, or large ones: "
                    "nothing of it was stored.",
                    limit=MAX_BROKEN,
                )
            case "array":
                return self.env._("%s is no JSON array of events.", where)
        return self.env._("%(where)s is no JSON: %(error)s", where=where, error=error.detail)

    def _read_cloudevents_batch(self, stream):
        try:
            for number, event in enumerate(ArrayReader(stream), 1):
                if isinstance(event, Unreadable):
                    reason = self._explain(event, self.env._("Event %s", number))
                    yield UnreadableEvent(event.text, reason)
                else:
                    yield self._from_cloudevent(event, number)
        except Unreadable as error:
            raise UserError(self._explain(error, self.env._("The body"))) from error

    def _read_cloudevent(self, stream):
        yield self._from_cloudevent(self._read_json(stream.read(MAX_EVENT + 1)), 1)

    @api.model
    def _read_json(self, raw):
        """Return the value of a body that is one JSON text.

        :param bytes raw: the body, or its beginning where it is larger than MAX_EVENT
        :raise UserError: when it is no JSON, or beyond the bounds
        """
        try:
            if len(raw) > MAX_EVENT:
                raise Unreadable("size")
            return loads(raw.decode("utf-8-sig", errors="replace"))
        except Unreadable as error:
            raise UserError(self._explain(error, self.env._("The body"))) from error

    def _from_cloudevent(self, event, number):
        """Return a CloudEvent as an event of ours.

        The subject is the client and the type the feature, unless the data name them; what else
        the data hold are properties.
        """
        reason = None
        if not isinstance(event, dict):
            reason = self.env._("Event %s is no object.", number)
        elif event.get("specversion") != "1.0":
            reason = self.env._("Event %s is no CloudEvent of version 1.0.", number)
        elif not isinstance(event.get("data"), dict):
            reason = self.env._("The data of event %s are no object with a quantity.", number)
        if reason:
            return UnreadableEvent(json.dumps(event, default=str), reason)
        data = dict(event["data"])
        found = {
            "id": event.get("id"),
            "source": event.get("source"),
            "client": data.pop("client", event.get("subject")),
            "feature": data.pop("feature", event.get("type")),
            "time": event.get("time"),
        }
        for name in ("quantity", "level", "corrects"):
            if name in data:
                found[name] = data.pop(name)
        if data:
            found["properties"] = data
        return found

    def _read_csv(self, stream):
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        lines, complete = bounded_lines(text, MAX_EVENT)
        rows = csv.reader(lines, strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]
            missing = [name for name in FIELDS[:6] if name not in header]
            if missing and header:
                raise UserError(
                    self.env._("The first line lacks these columns: %s", ", ".join(missing))
                )
            complete()
            if len(header) > MAX_COLUMNS:
                raise UserError(self.env._("The first line has more than %s columns.", MAX_COLUMNS))
            empty = 0
            for row in rows:
                complete()
                empty += not row
                if empty > MAX_EMPTY:
                    raise UserError(self.env._("The body has more than %s empty lines.", MAX_EMPTY))
                if row:
                    yield self._from_row(header, row, rows.line_num)
        except Unreadable as error:
            where = self.env._("Line %s", rows.line_num + 1)
            raise UserError(self._explain(error, where)) from error
        except csv.Error as error:
            raise UserError(
                self.env._(
                    "Line %(number)s is no CSV: %(error)s", number=rows.line_num, error=error
                )
            ) from error

    def _from_row(self, header, row, number):
        if len(row) != len(header):
            reason = self.env._(
                "Line %(number)s has %(found)s fields, the first line %(wanted)s.",
                number=number,
                found=len(row),
                wanted=len(header),
            )
            return UnreadableEvent(",".join(row), reason)
        values = dict(zip(header, row, strict=True))
        event = {name: values.pop(name) for name in FIELDS if values.get(name)}
        properties = {name: value for name, value in values.items() if name not in FIELDS and value}
        if properties:
            event["properties"] = properties
        return event
