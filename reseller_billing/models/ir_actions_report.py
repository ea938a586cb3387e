import lxml.html
from odoo import models
from odoo.addons.base.models.ir_actions_report import _wkhtml
from odoo.tools.pdf import merge_pdf

MARGIN = 12  # mm


class IrActionsReport(models.Model):
    _inherit = "ir.actions.report"

    def _run_wkhtmltopdf(self, bodies, report_ref=False, header=None, footer=None, **options):
        """Override of `base`: let a wkhtmltopdf with unpatched Qt print what the patched one does.

        It refuses several documents at once and ignores running headers and footers: here each
        body is a PDF of its own, with its header and footer inside, and the PDFs are merged.
        """
        bodies = list(bodies)
        if _wkhtml().is_patched_qt:
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
        pdfs = []
        for number, body in enumerate(bodies):
            page = _with_parts(body, headers[number : number + 1], footers[number : number + 1])
            pdfs.append(super()._run_wkhtmltopdf([page], report_ref=report_ref, **options))
        return merge_pdf(pdfs) if len(pdfs) > 1 else pdfs[0]


def _parts(html, name):
    """Return the headers or footers that a report's running part holds, one per document."""
    if not html:
        return []
    tree = lxml.html.fromstring(html)
    return tree.xpath(
        "//div[contains(concat(' ', normalize-space(@class), ' '), $name)]", name=f" {name} "
    )


def _with_parts(body, headers, footers):
    """Return a document with its header before and its footer after what it says."""
    if not headers and not footers:
        return body
    tree = lxml.html.document_fromstring(body)
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
