from odoo import models


class AccountEdiXmlUbl21(models.AbstractModel):
    _inherit = "account.edi.xml.ubl_21"

    def _add_invoice_line_period_nodes(self, line_node, vals):
        """Override of `account_edi_ubl_cii`: lines of statements have their days of service."""
        done = super()._add_invoice_line_period_nodes(line_node, vals)
        line = vals["base_line"].get("record")
        if (
            vals["document_type"] in ("invoice", "credit_note")
            and getattr(line, "_name", None) == "account.move.line"
            and line.charge_date_from
        ):
            line_node["cac:InvoicePeriod"] = {
                "cbc:StartDate": {"_text": line.charge_date_from},
                "cbc:EndDate": {"_text": line.charge_date_to},
            }
        return done
