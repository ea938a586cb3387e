from odoo import models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    def action_create_reseller_accounts(self):
        """Make the journal and the accounts that this company has not chosen yet; open the accounts."""
        made = self.company_id._create_reseller_accounts()
        if not made:
            return {"type": "ir.actions.client", "tag": "reload"}
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("New Accounts"),
            "res_model": "account.account",
            "view_mode": "list,form",
            "domain": [("id", "in", made.ids)],
        }
