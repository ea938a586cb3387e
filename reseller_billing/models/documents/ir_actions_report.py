import lxml.html
from odoo import models
from odoo.addons.base.models.ir_actions_report import _wkhtml
from odoo.tools.pdf import merge_pdf

MARGIN = 12  # mm
# So many documents are printed by one process: half a second each to start, and its memory grows.
TOGETHER = 25
# Fonts of a web page are drawn by the unpatched one as shapes: those of the machine stay text, which can be
# searched and copied.
FONT = (
    "*:not(.fa):not(.oi) {font-family: 'Helvetica', 'Arial', 'DejaVu Sans', sans-serif !important;}"
)


class IrActionsReport(models.Model):
    _inherit = "ir.actions.report"

    def _render_qweb_pdf_prepare_streams(self, report_ref, data, res_ids=None):
        """Override of `base`: remember whether what is printed is ours, see _run_wkhtmltopdf."""
        report = self.with_context(reseller_prints=self._prints_bills(report_ref, res_ids))
        return super(IrActionsReport, report)._render_qweb_pdf_prepare_streams(
            report_ref, data, res_ids
        )

    def _prints_bills(self, report_ref, res_ids):
        """Whether a report prints statements, or invoices and credit notes of which one is a bill's."""
        model = self._get_report(report_ref).model
        if model != "account.move":
            return model == "reseller.statement"
        moves_sudo = self.env[model].sudo()  # who prints has been asked for rights
        ours = [("id", "in", res_ids or []), ("line_ids.reseller_client_id", "!=", False)]
        return bool(moves_sudo.search_count(ours, limit=1))

    def _run_wkhtmltopdf(self, bodies, report_ref=False, header=None, footer=None, **options):
        """Override of `base`: let a wkhtmltopdf with unpatched Qt print bills as the patched one does.

        It refuses several documents at once and ignores running headers and footers: here those
        that look alike become one document, each with its header and footer inside and on pages of
        its own, and the PDFs are merged.
        """
        bodies = list(bodies)
        if _wkhtml().is_patched_qt or not self.env.context.get("reseller_prints"):
            return super()._run_wkhtmltopdf(
                bodies, report_ref=report_ref, header=header, footer=footer, **options
            )
        headers, footers = _parts(header, "header"), _parts(footer, "footer")
        # The paper's margins leave room for running parts, which now stand inside them.
        margins = {}
        if headers:
            margins["data-report-margin-top"] = MARGIN
        if footers:
            margins["data-report-margin-bottom"] = MARGIN
        if margins:
            given = options.get("specific_paperformat_args") or {}
            options["specific_paperformat_args"] = {**given, **margins}
        pages = [
            _with_parts(body, headers[number : number + 1], footers[number : number + 1])
            for number, body in enumerate(bodies)
        ]
        pdfs = [
            super(IrActionsReport, self)._run_wkhtmltopdf(
                [document], report_ref=report_ref, **options
            )
            for document in _join(pages)
        ]
        return merge_pdf(pdfs) if len(pdfs) > 1 else pdfs[0]


def _parts(html, name):
    """Return the headers or footers that a report's running part holds, one per document."""
    if not html:
        return []
    tree = lxml.html.fromstring(html)
    return tree.xpath(
        "//div[contains(concat(' ', normalize-space(@class), ' '), $name)]", name=f" {name} "
    )


def _join(pages):
    """Yield documents, each of those neighbours among some documents that have the same style."""
    batch, style = [], None
    for page in pages:
        tree = lxml.html.document_fromstring(page)
        before, style = style, _get_style(tree)
        if batch and (style != before or len(batch) == TOGETHER):
            yield _merge(batch)
            batch = []
        batch.append(tree)
    yield _merge(batch)


def _merge(trees):
    """Return one document of some, each on pages of its own."""
    first, *others = trees
    for tree in others:
        part = lxml.html.Element("div", style="page-break-before: always")
        part.text = tree.body.text
        part.extend(tree.body)
        first.body.append(part)
    return lxml.html.tostring(first, encoding="unicode", doctype="<!DOCTYPE html>")


def _get_style(tree):
    """Return what decides how a document looks beside what it says."""
    head = [lxml.html.tostring(one) for one in tree.xpath("/html/head/*[not(self::title)]")]
    return head, sorted(tree.body.attrib.items())


def _with_parts(body, headers, footers):
    """Return a document of fonts of the machine, with its header before and its footer after what it says."""
    tree = lxml.html.document_fromstring(body)
    style = lxml.html.Element("style")
    style.text = FONT
    tree.head.append(style)
    content = tree.xpath("//main") or [tree.body]
    for part in headers:
        content[0].insert(0, part)
    for part in footers:
        for counter in part.xpath(".//*[contains(@class, 'page') or contains(@class, 'topage')]"):
            # Page numbers are filled in by running footers only.
            (counter.getparent() if counter.tag == "span" else counter).drop_tree()
            break
        content[0].append(part)
    return lxml.html.tostring(tree, encoding="unicode", doctype="<!DOCTYPE html>")
