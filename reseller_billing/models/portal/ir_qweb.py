from odoo import models
from odoo.http import request

# Pages that are a reseller's in all but name: those of the portal, and of payments.
BRANDED = ("/my", "/payment/", "/reseller_billing/")


class IrQweb(models.AbstractModel):
    _inherit = "ir.qweb"

    def _get_portal_brand(self, document=None):
        """Return the reseller that heads a page of the portal beside the addon's own, or none.

        :param document: an account.move that the page shows, which may be seen by its address alone
        """
        path = request.httprequest.path if request else ""
        if not f"{path}/".startswith(BRANDED):
            return self.env["reseller.reseller"]
        if document and document._name == "account.move":
            found_sudo = document.sudo().reseller_reseller_id  # whoever has its address sees it
            if found_sudo and found_sudo.invoice_to != "reseller":
                return found_sudo
        return self.env.user._get_portal_brand()
