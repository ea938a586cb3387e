from odoo import models
from odoo.exceptions import AccessDenied


class ResUsers(models.Model):
    _inherit = "res.users"

    def _check_uid_passwd(self, uid, passwd):
        """Override of `base`: who is locked out of the portal has no other way in either.

        XML-RPC and JSON-RPC ask this with every call, as the system.
        """
        done = super()._check_uid_passwd(uid, passwd)
        user = self.browse(uid)
        if user.share and user.partner_id._get_closed_lockouts():
            raise AccessDenied(self.env._("The account is locked: pay what it owes first."))
        return done

    def _get_portal_roles(self):
        """Return (resellers, clients) that this portal user stands for, as the system.

        Of the user's contact and those above it the nearest one that is a reseller or a client
        decides: a client that is filed beneath its reseller stays a client. Users of the back end,
        and those of other companies, stand for nobody.
        """
        self.ensure_one()
        # Portal users have no rights on any model of the addon: pages show what they may see.
        resellers_sudo = self.env["reseller.reseller"].sudo()
        clients_sudo = self.env["reseller.client"].sudo()  # as above
        user_sudo = self.sudo()  # the same of whoever asks
        contact_sudo = user_sudo.partner_id if user_sudo._is_portal() else None
        while contact_sudo:
            mine = [
                ("partner_id", "=", contact_sudo.id),
                ("company_id", "in", user_sudo.company_ids.ids),
            ]
            resellers_sudo, clients_sudo = resellers_sudo.search(mine), clients_sudo.search(mine)
            if resellers_sudo or clients_sudo:
                break
            contact_sudo = contact_sudo.parent_id
        return resellers_sudo, clients_sudo
