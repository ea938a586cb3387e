from odoo import api, models
from odoo.fields import Domain

# By which field documents of any addon name whose they are.
PARTNER_FIELDS = ("partner_id", "order_partner_id")


class IrRule(models.Model):
    _inherit = "ir.rule"

    @api.model
    def _compute_domain(self, model_name, mode="read"):
        """Override of `base`: of a company's documents, a client's user reads its own alone.

        Odoo shows portal users what is of their commercial partner. A client's contact may lie
        beneath its reseller's, and then that is the reseller.
        """
        domain = super()._compute_domain(model_name, mode)
        if self.env.su or not self.env.user.share:
            return domain
        contacts = self.env.user._get_own_contacts()
        if contacts is None:
            return domain
        if model_name == "res.partner":
            return domain & Domain("id", "child_of", contacts.ids)
        fields = self.env[model_name]._fields
        for name in PARTNER_FIELDS:
            field = fields.get(name)
            if field and field.store and field.comodel_name == "res.partner":
                return domain & (Domain(name, "child_of", contacts.ids) | Domain(name, "=", False))
        return domain
