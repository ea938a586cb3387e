import codecs
import csv
import io
import re
import zipfile
from datetime import date, datetime, time

import openpyxl
from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools import OrderedSet

from ...tables import Number, make_csv, make_workbook, undo_inert
from ...untrusted import MAX_EVENT, Unreadable, bounded_lines
from .reseller_usage_reader import MAX_COLUMNS, MAX_UNPACKED

DELIMITERS = [("auto", "By the first line"), (",", ","), (";", ";"), ("\t", "Tab"), ("|", "|")]
ENCODINGS = [
    ("auto", "Automatic"),
    ("utf-8-sig", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("cp1252", "Latin-1 (Windows-1252)"),
]
# What tells a workbook, a file packed by zip, from text.
ZIP = b"PK\x03\x04"
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
CHUNK = 1 << 20
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What a spreadsheet may have.
MAX_ROWS = 1 << 20
# Of a number format: the language, colours and conditions, and literal text.
LITERAL = re.compile(r"\[[^\]hms][^\]]*\]|\"[^\"]*\"|\\.")


class Rows:
    """Rows of a table, one after the other."""

    def __init__(self, rows):
        """Begin before the first of rows, which come as (number, offset, texts)."""
        self._rows = rows
        #: bytes up to the end of the last row; 0 where a file is read from its beginning alone
        self.offset = 0

    def __iter__(self):
        """Return itself."""
        return self

    def __next__(self):
        """Return (number of the row, texts)."""
        number, self.offset, texts = next(self._rows)
        return number, texts


class ResellerUsageFile(models.AbstractModel):
    """Files that hold a table: CSV, and the first sheet of an XLSX workbook.

    Rows are read one after the other and come as texts. Numbers of a workbook come as the shortest
    decimal that is the number that it holds; days and moments in ISO 8601, days without a time.
    """

    _name = "reseller.usage.file"
    _description = "Tables in Files"

    @api.model
    def _open(self, stream, encoding="auto", delimiter="auto", after=(0, 0)):
        """Return (header, rows) of a file.

        :param stream: the file, as a binary stream that is at its beginning
        :param str encoding: one of ENCODINGS, of a CSV file
        :param str delimiter: one of DELIMITERS, of a CSV file
        :param after: where an earlier reading ended, as (number of the row, offset of its Rows)
        :return: the names of the columns, and Rows, which yield (number of the row, texts); rows are
            numbered as spreadsheet programs do, and those that are empty are left out
        :raise UserError: when the file holds no such table, also from the iterator
        """
        begin = stream.read(len(OLD_WORKBOOK))
        stream.seek(0)
        if begin == OLD_WORKBOOK:
            raise UserError(self.env._("This is an old workbook: save it as .xlsx or as CSV."))
        read = self._read_workbook if self._is_workbook(stream) else self._read_text
        rows = Rows(read(stream, encoding, delimiter, after))
        _number, header = next(rows, (0, []))
        while header and not header[-1]:
            header.pop()
        if not header:
            raise UserError(self.env._("The file is empty: its first line names the columns."))
        repeated = [name for name in OrderedSet(header) if name and header.count(name) > 1]
        if repeated:
            raise UserError(
                self.env._("These columns are there more than once: %s", ", ".join(repeated))
            )
        return header, rows

    def _check_row(self, number, row):
        if any("\0" in text for text in row):
            raise UserError(
                self.env._("Row %s holds zero characters: choose the file's encoding.", number)
            )

    def _read_text(self, stream, encoding, delimiter, after):
        """Yield (number, offset behind it, texts) of the first row, and of those after one."""
        encoding = self._guess_encoding(stream) if encoding == "auto" else encoding
        codec, offset = _find_codec(stream, encoding)
        if codec == "utf-16":
            raise self._explain_encoding(self.env._("it has no mark at its beginning"))
        stream.seek(offset)
        if delimiter == "auto":
            lines = io.TextIOWrapper(stream, encoding=codec, newline="")
            try:
                delimiter = _guess_delimiter(lines.readline(65536))
            except UnicodeError as error:
                raise self._explain_encoding(error) from error
            finally:
                lines.detach()
        rows = self._parse_text(stream, codec, delimiter, (0, offset))
        if after[1]:
            yield next(rows)
            rows.close()
            rows = self._parse_text(stream, codec, delimiter, after)
        yield from rows

    def _parse_text(self, stream, codec, delimiter, after):
        """See _read_text: the rows that are not empty, from a place in the file on."""
        before, offset = after
        stream.seek(offset)
        # The line ends of the text count, not those that stand inside quotes.
        text = io.TextIOWrapper(stream, encoding=codec, newline="")
        lines, complete = bounded_lines(text, MAX_EVENT)
        # An ASCII character is one byte, but in UTF-16.
        is_narrow = not codec.startswith("utf-16")
        has_zero = False

        def measure():
            nonlocal offset, has_zero
            for line in lines:
                offset += len(line) if is_narrow and line.isascii() else len(line.encode(codec))
                has_zero = has_zero or "\0" in line
                yield line

        rows = csv.reader(measure(), delimiter=delimiter, strict=True)
        try:
            for row in rows:
                complete()
                if len(row) > MAX_COLUMNS:
                    raise UserError(
                        self.env._(
                            "Line %(number)s has more than %(limit)s columns.",
                            number=before + rows.line_num,
                            limit=MAX_COLUMNS,
                        )
                    )
                texts = [undo_inert(cell.strip()) for cell in row]
                if not any(texts):
                    continue
                if has_zero:
                    self._check_row(before + rows.line_num, texts)
                yield before + rows.line_num, offset, texts
        except Unreadable as error:
            raise UserError(
                self.env._(
                    "Line %(number)s is larger than %(limit)s KiB.",
                    number=before + rows.line_num + 1,
                    limit=MAX_EVENT >> 10,
                )
            ) from error
        except UnicodeError as error:
            raise self._explain_encoding(error) from error
        except csv.Error as error:
            raise UserError(
                self.env._(
                    "Line %(number)s is no CSV: %(error)s",
                    number=before + rows.line_num,
                    error=error,
                )
            ) from error
        finally:
            text.detach()

    def _explain_encoding(self, error):
        return UserError(self.env._("The file is not in the encoding that was chosen: %s", error))

    @api.model
    def _guess_encoding(self, stream):
        """Return UTF-8 or UTF-16 where the text says so, else Windows-1252, which takes any text."""
        stream.seek(0)
        begin = stream.read(1024)
        if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\0" in begin:
            # Of Latin letters every other byte is zero: the second one, or the first.
            return "utf-16-be" if begin[::2].count(0) > begin[1::2].count(0) else "utf-16-le"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(begin)
            while chunk := stream.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
        return "utf-8-sig"

    def _read_workbook(self, stream, _encoding, _delimiter, after):
        """See _read_text; a workbook has no place to begin from but its first row."""
        try:
            with zipfile.ZipFile(stream) as parts:
                unpacked = sum(part.file_size for part in parts.infolist())
            if unpacked > MAX_UNPACKED:
                raise UserError(
                    self.env._(
                        "The workbook unpacks to more than %s MiB: split it.", MAX_UNPACKED >> 20
                    )
                )
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            # What a program noted as the sheet's extent may be wrong.
            sheet.reset_dimensions()
            is_headed = False
            # Rows that a file leaves out are made up: a number beyond all sheets would make them for ever.
            for number, cells in enumerate(sheet.iter_rows(max_row=MAX_ROWS + 1), 1):
                if number > MAX_ROWS:
                    raise UserError(
                        self.env._("The workbook numbers rows beyond %s.", f"{MAX_ROWS:,}")
                    )
                if len(cells) > MAX_COLUMNS:
                    raise UserError(
                        self.env._(
                            "Row %(number)s has cells beyond column %(limit)s: delete what is not "
                            "part of the table.",
                            number=number,
                            limit=MAX_COLUMNS,
                        )
                    )
                if is_headed and number <= after[0]:
                    continue
                texts = [_cell_text(cell) for cell in cells]
                if any(texts):
                    is_headed = True
                    self._check_row(number, texts)
                    yield number, 0, texts
            book.close()
        except UserError:
            raise
        # The library raises what it comes across in a broken file.
        except Exception as error:
            raise UserError(self.env._("The workbook cannot be read: %s", error)) from error

    @api.model
    def _is_workbook(self, stream):
        """Return whether a file, as a stream at its beginning, is a workbook."""
        begin = stream.read(len(ZIP))
        stream.seek(0)
        return begin == ZIP

    @api.model
    def _write(self, stream, encoding, delimiter, columns, picked):
        """Return rows of a file with columns added, as a file of the same kind.

        :param stream: the file, and how it is read, see _open
        :param columns: the names of the columns to add
        :param picked: {number of a row: texts of the added columns}; other rows are left out
        :return: (content as bytes, extension)
        """
        header, rows = self._open(stream, encoding, delimiter)
        kept = [index for index, name in enumerate(header) if name not in columns]
        head = [header[index] for index in kept] + list(columns)
        table = []
        for number, row in rows:
            if number in picked:
                row += [""] * (len(header) - len(row))
                table.append([row[index] for index in kept] + row[len(header) :] + picked[number])
        stream.seek(0)
        if self._is_workbook(stream):
            return make_workbook({None: (head, table)}), "xlsx"
        encoding = self._guess_encoding(stream) if encoding == "auto" else encoding
        if delimiter == "auto":
            stream.seek(0)
            delimiter = _guess_delimiter(stream.read(65536).decode(encoding, errors="replace"))
        return make_csv(head, table, delimiter, encoding), "csv"


def _find_codec(stream, encoding):
    """Return (codec, where the text begins) of a stream in an encoding, past the mark at its beginning."""
    stream.seek(0)
    begin = stream.read(4)
    wide = "utf-16" if encoding == "utf-16" else encoding.removesuffix("-sig")
    for mark, codec in MARKS:
        if begin.startswith(mark) and codec.startswith(wide):
            return codec, len(mark)
    return wide, 0


def _guess_delimiter(line):
    """Return the delimiter that cuts the first line of a text into the most columns."""
    line = line.splitlines()[0] if line else ""
    return max(
        (name for name, _label in DELIMITERS[1:]),
        key=lambda one: len(next(csv.reader([line], delimiter=one), [])),
    )


def _cell_text(cell):
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return Number(int(value) if value == int(value) else repr(value))
    if isinstance(value, datetime):
        # What stands in brackets or quotes is no hour.
        number_format = LITERAL.sub("", cell.number_format or "")
        if "h" not in number_format.lower() and value.time() == time.min:
            return value.date().isoformat()
        return value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).strip()
