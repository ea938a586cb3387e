from odoo import fields, models
from odoo.exceptions import UserError


class ResellerClient(models.Model):
    """A client's packages: lots of units that pay for its use."""

    _inherit = "reseller.client"

    prepaid_lot_ids = fields.One2many("reseller.prepaid.lot", "client_id", readonly=True)

    def _get_prepaid_account(self):
        """Return the account of packages that are sold and not used, of the company's settings.

        :raise UserError: when it is not set, or the journal is not
        """
        company = self.company_id
        account = company.reseller_prepaid_account_id
        if not account or not company.reseller_wallet_journal_id:
            raise UserError(
                self.env._(
                    "Packages need an account for what is sold and not used, and the journal of "
                    "wallets: choose them in the settings."
                )
            )
        return account

    def action_sell_package(self):
        """Open the dialog that sells a package or a top-up to this client."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Sell Package"),
            "res_model": "reseller.manual.charge",
            "view_mode": "form",
            "views": [(self.env.ref("reseller_billing.reseller_package_view_dialog").id, "form")],
            "target": "new",
            "context": {"default_client_id": self.id},
        }
