from odoo import fields, models

# Accounts of one contact that follow what it pays on account in its own transaction.
MOST_AT_ONCE = 50


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _follow_lockouts(self, paid=False):
        """Have the ladders of those whose debts these lines are follow, when the transaction ends.

        :param bool paid: whether something was reconciled
        """
        lines = self.exists().filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        lines_sudo = lines.sudo()  # whoever pays or posts need not see who is locked out
        lockouts = lines_sudo.env["reseller.lockout"]
        lockouts._follow(lines_sudo.move_id.reseller_client_id, paid)
        lines_sudo._follow_payers()
        partners = lines_sudo.partner_id.commercial_partner_id
        if partners:
            resellers = lines_sudo.env["reseller.reseller"].with_context(active_test=False)
            lockouts._follow(
                resellers.search([("partner_id.commercial_partner_id", "in", partners.ids)]), paid
            )

    def _follow_payers(self):
        """Have the accounts follow that a contact owes for, where it pays or takes back on account.

        Many are left to the scheduled action: who pays does not wait for them.
        """
        on_account = self.filtered(lambda line: not line.move_id.reseller_client_id)
        payers = on_account.partner_id.commercial_partner_id
        if not payers:
            return
        owed = self.env["account.move"]._read_group(
            [
                ("commercial_partner_id", "in", payers.ids),
                ("company_id", "in", on_account.company_id.ids),
                ("reseller_client_id", "!=", False),
                ("state", "=", "posted"),
                ("payment_state", "in", ("not_paid", "partial")),
                ("invoice_date_due", "<", fields.Date.today()),
            ],
            ["reseller_client_id"],
            limit=MOST_AT_ONCE + 1,
        )
        if len(owed) > MOST_AT_ONCE:
            self.env.ref("reseller_billing.ir_cron_lockout")._trigger()
            return
        clients = self.env["reseller.client"].union(*(client for (client,) in owed))
        self.env["reseller.lockout"]._follow(clients)
