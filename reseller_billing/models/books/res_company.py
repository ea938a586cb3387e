from odoo import fields, models

from ..base.res_company import OFFICE


class ResCompany(models.Model):
    """Month's ends, and how long things are kept."""

    _inherit = "res.company"

    reseller_revalues_deposits = fields.Boolean(
        string="Revalue Deposits in Foreign Currency",
        help="At each month's end, by entries that reverse themselves. Money that may be claimed back is a debt "
        "in its currency (IAS 21.23); payment in advance for what is not refunded stays at the rate at which it "
        "came (IFRIC 22). Ask your auditor.",
        groups=OFFICE,
    )
    reseller_keep_rejections = fields.Integer(
        string="Rejected Events (months)",
        groups=OFFICE,
    )
    reseller_keep_imports = fields.Integer(
        string="Files of Imports (months)",
        groups=OFFICE,
    )
    reseller_keep_logins = fields.Integer(
        string="Log-ins as Clients (months)",
        groups=OFFICE,
    )
    reseller_keep_properties = fields.Integer(
        string="Properties of Events (months)",
        groups=OFFICE,
    )
    reseller_setup_months = fields.Integer(
        string="Months of a Set-up Fee",
        help="Set-up fees are earned day by day over so many months: month's end defers the rest. "
        "0: at once.",
        groups=OFFICE,
    )
    reseller_accrued_account_id = fields.Many2one(
        "account.account",
        string="Accrued Income of Resellers",
        check_company=True,
        groups=OFFICE,
    )
    reseller_deferred_account_id = fields.Many2one(
        "account.account",
        string="Deferred Income of Resellers",
        check_company=True,
        groups=OFFICE,
    )

    def _get_reseller_accounts(self):
        """Return the accounts of the settings: (field, type, type of the accounts whose codes they follow)."""
        return (
            ("reseller_deposit_account_id", "liability_current", "liability_current"),
            ("reseller_prepaid_account_id", "liability_current", "liability_current"),
            ("reseller_breakage_account_id", "income_other", "income"),
            ("reseller_bonus_account_id", "expense", "expense"),
            ("reseller_accrued_account_id", "asset_current", "asset_current"),
            ("reseller_deferred_account_id", "liability_current", "liability_current"),
        )

    def _create_reseller_accounts(self):
        """Make the journal and the accounts that are not chosen yet, with codes that go on from those of
        the chart's accounts of their kind; return the accounts.

        :raise AccessError: without rights on the chart of accounts
        """
        self.ensure_one()
        accounts = self.env["account.account"].with_company(self)
        made, vals = accounts.browse(), {}
        for field, account_type, like in self._get_reseller_accounts():
            if self[field]:
                continue
            domain = [("company_ids", "parent_of", self.id)]
            for one in (account_type, like):
                last = accounts.search(
                    [*domain, ("account_type", "=", one)], order="code desc", limit=1
                )
                if last:
                    break
            account = accounts.create(
                {
                    "name": self._fields[field]._description_string(self.env),
                    "code": accounts._search_new_account_code(last.code or "100000"),
                    "account_type": account_type,
                }
            )
            made |= account
            vals[field] = account.id
        if not self.reseller_wallet_journal_id:
            journals = self.env["account.journal"]
            journal = journals.search(
                [("company_id", "=", self.id), ("code", "=", "RBW"), ("type", "=", "general")],
                limit=1,
            ) or journals.create(
                {
                    "name": self.env._("Wallets and Packages"),
                    "code": "RBW",
                    "type": "general",
                    "company_id": self.id,
                }
            )
            vals["reseller_wallet_journal_id"] = journal.id
        self.sudo().write(vals)  # who may make accounts may name them here
        return made
