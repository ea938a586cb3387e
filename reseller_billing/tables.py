"""Tables that are handed out as CSV or workbooks: whatever they hold, no spreadsheet program runs it."""

import csv
import io
import re
from decimal import Decimal

import xlsxwriter

from .rating import exact_of

# Where a spreadsheet program, whichever sign parts its columns, may see a formula begin; and a number.
_FORMULA = r"(?=[ ']*[=+\-@\t\r])"
FORMULA = re.compile(r"(^|[;,|\t\r\n])" + _FORMULA)
INERT = re.compile(r"(^|[;,|\t\r\n])'" + _FORMULA)
NUMBER = re.compile(r"[+-]?[\d.,]+([eE][+-]?\d+)?")
# What a cell of a workbook may hold.
MAX_CELL = 32_000
# The digits that a workbook's numbers hold.
MAX_DIGITS = 15
WIDTH = 18


class Number(str):
    """The text of a number that a workbook holds as one: with a decimal point, whatever its look."""

    __slots__ = ()


def make_inert(text):
    """Return the text of a CSV cell as one that no spreadsheet program runs, in any locale."""
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1'", text)


def undo_inert(text):
    """Return what a cell said before `make_inert`: a file that was handed out may come back."""
    return INERT.sub(r"\1", text) if "'" in text else text


def make_csv(head, rows, delimiter=",", encoding="utf-8-sig"):
    """Return a table as CSV; what the encoding does not have is replaced.

    :param head: the names of the columns
    :param rows: of texts and Decimals
    """
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    for row in (head, *rows):
        writer.writerow(f"{one:f}" if isinstance(one, Decimal) else make_inert(one) for one in row)
    return stream.getvalue().encode(encoding, errors="replace")


def make_workbook(tables):
    """Return tables as an XLSX workbook, a sheet each; longer texts are cut.

    Numbers are those that the workbook's own hold exactly; all else is text, and as text nothing is a
    formula or a link.

    :param tables: {title, or None for a sheet's usual one: (head, rows)}, of texts, Numbers and Decimals
    """
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"in_memory": True}) as book:
        bold = book.add_format({"bold": True})
        for title, (head, rows) in tables.items():
            sheet = book.add_worksheet(title)
            for column, text in enumerate(head):
                sheet.write_string(0, column, text, bold)
            for number, row in enumerate(rows, 1):
                for column, one in enumerate(row):
                    if _is_number(one):
                        sheet.write_number(number, column, float(one))
                    else:
                        text = f"{one:f}" if isinstance(one, Decimal) else one
                        sheet.write_string(number, column, text[:MAX_CELL])
            sheet.freeze_panes(1, 0)
            if head:
                sheet.set_column(0, len(head) - 1, WIDTH)
    return stream.getvalue()


def _is_number(cell):
    """Whether a workbook is to hold a cell as a number."""
    if isinstance(cell, Decimal):
        return exact_of(float(cell)) == cell and len(cell.as_tuple().digits) <= MAX_DIGITS
    return isinstance(cell, Number)
