from odoo import models


class ResUsers(models.Model):
    _inherit = "res.users"

    def _get_portal_brand(self):
        """Return the reseller under whose name this portal user's pages and mails go, as the system.

        It is the one reseller that the user stands for, or the one that serves all its clients; none
        where there is none, or several.
        """
        self.ensure_one()
        resellers_sudo, clients_sudo = self._get_portal_roles()
        brands_sudo = resellers_sudo or clients_sudo.reseller_id
        return brands_sudo if len(brands_sudo) == 1 else brands_sudo.browse()

    def _get_inviting_reseller(self):
        """Return the reseller that this portal user is invited by, a client's own, as the system; none where
        it is the provider that invites.
        """
        self.ensure_one()
        resellers_sudo, _clients = self._get_portal_roles()
        return resellers_sudo.browse() if resellers_sudo else self._get_portal_brand()
