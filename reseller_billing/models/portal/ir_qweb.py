from odoo import models
from odoo.http import request

# Of the session: its user has been shown what closed the portal.
WAS_LOCKED = "reseller_was_locked"
# Pages that are a reseller's in all but name: those of the portal, and of payments.
BRANDED = ("/my/", "/payment/", "/reseller_billing/")


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

    def _is_open_again(self):
        """Whether the portal was closed to this session's user, and is so no more; told once."""
        if not request.session.get(WAS_LOCKED):
            return False
        partner_sudo = self.env.user.partner_id.sudo()  # users read no lock-outs, their own neither
        if partner_sudo._get_closed_lockouts():
            return False
        request.session.pop(WAS_LOCKED)
        return True
