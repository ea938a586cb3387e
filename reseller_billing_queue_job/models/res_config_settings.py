from markupsafe import Markup
from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    reseller_queue_state = fields.Html(
        string="Job Queue", compute="_compute_reseller_queue_state", sanitize=False
    )

    def _compute_reseller_queue_state(self):
        marks = {"ok": "text-success", "warning": "text-warning", "danger": "text-danger"}
        icons = {"ok": "fa-check", "warning": "fa-exclamation-triangle", "danger": "fa-times"}
        text = Markup("").join(
            Markup('<li class="mb-1"><i class="fa %s %s me-2"/>%s</li>')
            % (icons[level], marks[level], sentence)
            for level, sentence in self.env["reseller.queue"]._describe()
        )
        self.reseller_queue_state = Markup('<ul class="list-unstyled mb-0">%s</ul>') % text
