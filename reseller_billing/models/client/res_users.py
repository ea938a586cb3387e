from odoo import models


class ResUsers(models.Model):
    _inherit = "res.users"

    def _get_own_contacts(self):
        """Return the contacts of which this portal user, a client's, may read documents; None where
        Odoo's own rules are right: for others, and for clients that stand on their own.
        """
        self.ensure_one()
        user_sudo = self.sudo()  # the same of whoever asks
        if not user_sudo.partner_id.parent_id:
            return None
        resellers_sudo, clients_sudo = self._get_portal_roles()
        contacts_sudo = clients_sudo.partner_id
        if resellers_sudo or contacts_sudo.commercial_partner_id <= contacts_sudo:
            return None
        return contacts_sudo

    def _get_portal_roles(self):
        """Return (resellers, clients) that this portal user stands for, as the system.

        Of the user's contact and those above it the nearest one that is a reseller or a client
        decides, archived or not: a client that is filed beneath its reseller stays a client. Users
        of the back end, and those of other companies, stand for nobody.
        """
        self.ensure_one()
        env = self.with_context(active_test=False).env
        resellers_sudo = env["reseller.reseller"].sudo()  # portal users have no rights on them
        clients_sudo = env["reseller.client"].sudo()  # nor on these: pages show what they may see
        user_sudo = self.sudo()  # the same of whoever asks
        contact_sudo = user_sudo.partner_id if user_sudo._is_portal() else None
        while contact_sudo:
            mine = [("partner_id", "=", contact_sudo.id)]
            # A house is the provider: its contacts are no reseller's.
            resellers_sudo = resellers_sudo.search([*mine, ("is_house", "=", False)])
            clients_sudo = clients_sudo.search(mine)
            if resellers_sudo or clients_sudo:
                break
            contact_sudo = contact_sudo.parent_id
        # Clients that are archived read their past; a reseller that is stands for nobody.
        ours, active = user_sudo.company_ids, {"active_test": True}
        return (
            resellers_sudo.filtered(
                lambda reseller: reseller.active and reseller.company_id in ours
            ).with_context(**active),
            clients_sudo.filtered(lambda client: client.company_id in ours).with_context(**active),
        )
