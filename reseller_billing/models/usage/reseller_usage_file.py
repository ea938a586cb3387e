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
# What a spreadsheet may have.
MAX_ROWS = 1 << 20
# Of a number format: the language, colours and conditions, and literal text.
LITERAL = re.compile(r"\[[^\]hms][^\]]*\]|\"[^\"]*\"|\\.")


class ResellerUsageFile(models.AbstractModel):
    """Files that hold a table: CSV, and the first sheet of an XLSX workbook.

    Rows are read one after the other and come as texts. Numbers of a workbook come as the shortest
    decimal that is the number that it holds; days and moments in ISO 8601, days without a time.
    """

    _name = "reseller.usage.file"
    _description = "Tables in Files"

    @api.model
    def _open(self, content, encoding="auto", delimiter="auto"):
        """Return (header, rows) of a file.

        :param bytes content: the file
        :param str encoding: one of ENCODINGS, of a CSV file
        :param str delimiter: one of DELIMITERS, of a CSV file
        :return: the names of the columns, and an iterator over (number of the row, texts); rows are
            numbered as spreadsheet programs do, and those that are empty are left out
        :raise UserError: when the file holds no such table, also from the iterator
        """
        if content.startswith(OLD_WORKBOOK):
            raise UserError(self.env._("This is an old workbook: save it as .xlsx or as CSV."))
        if content.startswith(ZIP):
            rows = self._read_workbook(content)
        else:
            rows = self._read_text(content, encoding, delimiter)
        rows = (self._check_row(number, row) for number, row in rows if any(row))
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
        return number, row

    def _read_text(self, content, encoding, delimiter):
        encoding = self._guess_encoding(content) if encoding == "auto" else encoding
        # The line ends of the text count, not those that stand inside quotes.
        lines = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
        try:
            if delimiter == "auto":
                delimiter = _guess_delimiter(lines.readline(65536))
                lines.seek(0)
            bounded, complete = bounded_lines(lines, MAX_EVENT)
            rows = csv.reader(bounded, delimiter=delimiter, strict=True)
            for row in rows:
                complete()
                if len(row) > MAX_COLUMNS:
                    raise UserError(
                        self.env._(
                            "Line %(number)s has more than %(limit)s columns.",
                            number=rows.line_num,
                            limit=MAX_COLUMNS,
                        )
                    )
                yield rows.line_num, [undo_inert(text.strip()) for text in row]
        except Unreadable as error:
            raise UserError(
                self.env._(
                    "Line %(number)s is larger than %(limit)s KiB.",
                    number=rows.line_num + 1,
                    limit=MAX_EVENT >> 10,
                )
            ) from error
        except UnicodeError as error:
            raise UserError(
                self.env._("The file is not in the encoding that was chosen: %s", error)
            ) from error
        except csv.Error as error:
            raise UserError(
                self.env._(
                    "Line %(number)s is no CSV: %(error)s", number=rows.line_num, error=error
                )
            ) from error

    @api.model
    def _guess_encoding(self, content):
        """Return UTF-8 or UTF-16 where the text says so, else Windows-1252, which takes any text."""
        begin = content[:1024]
        boms = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        if content.startswith(boms):
            return "utf-16"
        if b"\0" in begin:
            # Of Latin letters every other byte is zero: the second one, or the first.
            return "utf-16-be" if begin[::2].count(0) > begin[1::2].count(0) else "utf-16-le"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for start in range(0, len(content), CHUNK):
                decoder.decode(content[start : start + CHUNK])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
        return "utf-8-sig"

    def _read_workbook(self, content):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as parts:
                unpacked = sum(part.file_size for part in parts.infolist())
            if unpacked > MAX_UNPACKED:
                raise UserError(
                    self.env._(
                        "The workbook unpacks to more than %s MiB: split it.", MAX_UNPACKED >> 20
                    )
                )
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            # What a program noted as the sheet's extent may be wrong.
            sheet.reset_dimensions()
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
                yield number, [_cell_text(cell) for cell in cells]
            book.close()
        except UserError:
            raise
        # The library raises what it comes across in a broken file.
        except Exception as error:
            raise UserError(self.env._("The workbook cannot be read: %s", error)) from error

    @api.model
    def _write(self, content, encoding, delimiter, columns, picked):
        """Return rows of a file with columns added, as a file of the same kind.

        :param bytes content: the file, and how it is read, see _open
        :param columns: the names of the columns to add
        :param picked: {number of a row: texts of the added columns}; other rows are left out
        :return: (content as bytes, extension)
        """
        header, rows = self._open(content, encoding, delimiter)
        kept = [index for index, name in enumerate(header) if name not in columns]
        head = [header[index] for index in kept] + list(columns)
        table = []
        for number, row in rows:
            if number in picked:
                row += [""] * (len(header) - len(row))
                table.append([row[index] for index in kept] + row[len(header) :] + picked[number])
        if content.startswith(ZIP):
            return make_workbook({None: (head, table)}), "xlsx"
        encoding = self._guess_encoding(content) if encoding == "auto" else encoding
        if delimiter == "auto":
            delimiter = _guess_delimiter(content[:65536].decode(encoding, errors="replace"))
        return make_csv(head, table, delimiter, encoding), "csv"


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
