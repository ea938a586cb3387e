from odoo import models
from odoo.addons.base.models.ir_actions_report import _wkhtml
from odoo.tools.pdf import merge_pdf


class IrActionsReport(models.Model):
    _inherit = "ir.actions.report"

    def _run_wkhtmltopdf(self, bodies, *args, **kwargs):
        """Override of `base`: print body by body and merge where wkhtmltopdf's Qt is unpatched.

        Such a wkhtmltopdf refuses several documents at once; each is then a PDF of its own first.
        """
        bodies = list(bodies)
        if len(bodies) < 2 or _wkhtml().is_patched_qt:
            return super()._run_wkhtmltopdf(bodies, *args, **kwargs)
        return merge_pdf(
            [super(IrActionsReport, self)._run_wkhtmltopdf([body], *args, **kwargs) for body in bodies]
        )
