from odoo import fields, models

from ..base.notice import list_action


class ResellerClient(models.Model):
    """What an account owes, and its bills."""

    _inherit = "reseller.client"

    payer_id = fields.Many2one("res.partner", compute="_compute_balance")
    open_balance = fields.Monetary(
        compute="_compute_balance", help="What the payer of this account's invoices owes."
    )
    overdue_balance = fields.Monetary(compute="_compute_balance")

    def _get_debtor(self):
        """Return whose receivable ledger this account's invoices are in."""
        self.ensure_one()
        if self.reseller_id._get_invoice_to() == "reseller":
            return self.reseller_id.partner_id.commercial_partner_id
        by_hand = self.contract_id.sudo().invoice_partner_id  # the account's own contract
        return (by_hand or self.partner_id).commercial_partner_id

    def _compute_balance(self):
        today = fields.Date.context_today(self)
        for client in self:
            client.payer_id = client._get_debtor()
        domain = [
            ("partner_id", "in", self.payer_id.ids),
            ("company_id", "in", self.company_id.ids),
        ]
        balances = self.env["reseller.account.entry"]._load_balances(domain, today)
        for client in self:
            key = (client.payer_id, client.company_id, client.currency_id)
            client.open_balance, client.overdue_balance = balances.get(key, (0.0, 0.0))

    def action_view_account(self):
        """Open the itemised history: charges, invoices, credits and payments, with the balance."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_account_entry_action",
            self.env._("Account of %s", self._get_debtor().display_name),
            [
                ("partner_id", "=", self._get_debtor().id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
            ],
        )
