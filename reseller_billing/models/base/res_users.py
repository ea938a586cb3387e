from odoo import api, models
from odoo.exceptions import AccessError


class ResUsers(models.Model):
    _inherit = "res.users"

    @api.model
    def _is_billing_manager(self):
        """Whether who asks is a billing manager, or the system."""
        return self.env.su or self.env.user.has_group("reseller_billing.group_billing_manager")

    @api.model
    def _check_billing_manager(self):
        """Refuse what only billing managers do.

        :raise AccessError: to others
        """
        if not self._is_billing_manager():
            raise AccessError(self.env._("Only billing managers may do that."))
