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
