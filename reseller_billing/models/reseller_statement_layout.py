from math import ceil

from odoo import models
from odoo.addons.base.models.ir_actions_report import _wkhtml

# What wkhtmltopdf with unpatched Qt makes of the statement's styles, in points, and the characters
# of a line, both on the safe side: a page may stay a little emptier than it must.
PAGE, FIRST_PAGE = 730, 540
HEADING, HEAD, PADDING = 26, 16, 6
NAME_LINE, NOTE_LINE = 9.5, 8.1
NAME_WIDTH, NOTE_WIDTH = 56, 66


class ResellerStatement(models.Model):
    """How a statement is cut into pages."""

    _inherit = "reseller.statement"

    def _get_pages(self, explained=False):
        """Return the tables of charges as the report shows them, page by page.

        A wkhtmltopdf with patched Qt cuts tables by itself and repeats their heads: it gets all in
        one. The unpatched one does not, so that each page gets tables with heads of their own.

        :param bool explained: whether each charge comes with its explanation
        :return: pages as lists of (title, rows); the title is empty where a table goes on, and rows
            are (charge, notes)
        """
        self.ensure_one()
        sections = [
            (title, [(charge, charge._get_notes(explained)) for charge in charges])
            for title, charges in self._get_sections()
        ]
        if _wkhtml().is_patched_qt:
            return [sections]
        pages, left = [[]], FIRST_PAGE
        for title, rows in sections:
            left -= HEADING + HEAD
            table = []
            for row in rows:
                needed = _height(*row)
                if needed > left and (table or pages[-1]):
                    if table:
                        pages[-1].append((title, table))
                        title = ""
                    pages.append([])
                    table, left = [], PAGE - HEAD
                table.append(row)
                left -= needed
            pages[-1].append((title, table))
        return pages


class ResellerCharge(models.Model):
    _inherit = "reseller.charge"

    def _get_notes(self, explained):
        """Return [(title, text)] that stand under a charge on the statement."""
        self.ensure_one()
        if explained:
            return [(title, "; ".join(lines)) for title, lines in self._get_explanation()]
        waterfall = self._get_waterfall()
        return [("", waterfall)] if waterfall else []


def _height(charge, notes):
    """Return about how many points a charge takes."""
    lines = sum(ceil((len(title) + 2 + len(text)) / NOTE_WIDTH) for title, text in notes)
    return PADDING + NAME_LINE * ceil(len(charge.name) / NAME_WIDTH) + NOTE_LINE * lines
