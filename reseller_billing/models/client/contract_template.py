from odoo import fields, models


class ContractTemplate(models.Model):
    _inherit = "contract.template"

    generation_type = fields.Selection(
        selection_add=[("reseller", "Reseller Billing")],
        ondelete={"reseller": lambda records: records._set_generation_type_invoice()},
    )

    def _set_generation_type_invoice(self):
        """Give contracts back to manual invoicing when the addon goes: nothing bills them unasked."""
        self.write({"generation_type": False})
