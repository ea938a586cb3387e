from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL

# Odoo lets portal users read companies: how these bill is not theirs to know.
OFFICE = "base.group_user"


class ResCompany(models.Model):
    _inherit = "res.company"

    reseller_usage_product_id = fields.Many2one(
        "product.product",
        string="Generic Usage Product",
        ondelete="restrict",
        default=lambda self: self.env.ref(
            "reseller_billing.product_usage", raise_if_not_found=False
        ),
        help="Gives taxes and income account to charges of features without a product of their own.",
        groups=OFFICE,
    )
    reseller_billing_delay = fields.Integer(
        string="Billing Delay (hours)",
        default=24,
        help="A bill is due this many hours after its date has begun in the client's time zone, "
        "so that usage that comes in a little late is still on it.",
        groups=OFFICE,
    )
    reseller_late_days = fields.Integer(
        string="Late Usage Window (days)",
        default=62,
        help="Usage of days that are billed already is taken, and billed as an adjustment, "
        "while it is not older than this. Older events are rejected, for a person to decide.",
        groups=OFFICE,
    )

    reseller_refuse_unpriced = fields.Boolean(
        string="Refuse Unpriced Use",
        help="Systems that ask before they deliver are refused what has no price. Use that was made "
        "is taken in all the same.",
        groups=OFFICE,
    )
    reseller_key_requests = fields.Integer(
        string="Requests per Minute",
        default=6000,
        help="That a metering system may send, with one key. More are refused with 429. 0: any.",
        groups=OFFICE,
    )
    reseller_key_rejections = fields.Integer(
        string="Rejected Events per Minute",
        default=10000,
        help="Of one key: a request with more of them is refused as a whole with 429, and nothing of "
        "it is stored. 0: any.",
        groups=OFFICE,
    )
    reseller_lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out of New Resellers' Clients",
        check_company=True,
        help="What new resellers begin with. Empty: nobody is locked out.",
        groups=OFFICE,
    )
    reseller_own_lockout_policy_id = fields.Many2one(
        "reseller.lockout.policy",
        string="Lock-out of New Resellers",
        check_company=True,
        help="For debts of their own. Empty: none is locked out.",
        groups=OFFICE,
    )
    reseller_lockout_minimum = fields.Float(
        string="Least Debt",
        digits="Product Price",
        default=1.0,
        help="Less than this, in the currency that is owed, warns and locks out nobody.",
        groups=OFFICE,
    )
    reseller_charge_retry_days = fields.Integer(
        string="Days Between Tries",
        default=3,
        help="After a declined charge of a saved payment method. After three declines it is paused.",
        groups=OFFICE,
    )
    reseller_wallet_journal_id = fields.Many2one(
        "account.journal",
        string="Journal of Wallets",
        check_company=True,
        domain="[('type', '=', 'general')]",
        groups=OFFICE,
    )
    reseller_deposit_account_id = fields.Many2one(
        "account.account",
        string="Deposits of Clients",
        check_company=True,
        domain="[('account_type', '=', 'liability_current')]",
        help="What clients have paid in and not used. Wallets alone book on it.",
        groups=OFFICE,
    )
    reseller_prepaid_account_id = fields.Many2one(
        "account.account",
        string="Packages Sold and Not Used",
        check_company=True,
        domain="[('account_type', '=', 'liability_current')]",
        help="Deferred income: what packages of units cost, until they are used. They alone book "
        "on it.",
        groups=OFFICE,
    )
    reseller_breakage_account_id = fields.Many2one(
        "account.account",
        string="Breakage",
        check_company=True,
        help="Income from deposits that expired or were taken out by hand.",
        groups=OFFICE,
    )
    reseller_bonus_mode = fields.Selection(
        [("price", "Lowers the price"), ("expense", "Is an expense")],
        string="What a Bonus Pays",
        required=True,
        default="price",
        help="What nobody has paid for is no consideration (Directive 2006/112/EC, art. 73 and 79): it lowers "
        "the bill that it pays, and its taxes. As an expense, the bill keeps both. Ask your adviser.",
        groups=OFFICE,
    )
    reseller_accounting_date = fields.Selection(
        [("bill", "The invoice date"), ("served", "The last day served")],
        string="Accounting Date of Bills",
        required=True,
        default="bill",
        help="With the last day served, January's use that is billed on 1 February lies in January's books and "
        "taxes, unless these are locked.",
        groups=OFFICE,
    )
    reseller_revalues_deposits = fields.Boolean(
        string="Revalue Deposits in Foreign Currency",
        help="At each month's end, by entries that reverse themselves. Money that may be claimed back is a debt "
        "in its currency (IAS 21.23); payment in advance for what is not refunded stays at the rate at which it "
        "came (IFRIC 22). Ask your auditor.",
        groups=OFFICE,
    )
    reseller_bonus_account_id = fields.Many2one(
        "account.account",
        string="Bonuses",
        check_company=True,
        help="What is given on top of payments, or for nothing, once a bill draws it.",
        groups=OFFICE,
    )
    reseller_wallet_limit = fields.Float(
        string="Approval Above",
        digits="Product Price",
        help="Credits and debits of wallets by hand above this amount, in the currency of the bills, "
        "wait for a second person; what one account had within a day counts together. 0: none does.",
        groups=OFFICE,
    )
    reseller_review_runs = fields.Boolean(
        string="Review Billing Runs",
        help="New runs are prepared and compared with the last bills, and posted once approved.",
        groups=OFFICE,
    )
    reseller_approver_differs = fields.Boolean(
        string="Approver Is Another Person",
        help="Whoever prepared a run may not approve it.",
        groups=OFFICE,
    )
    reseller_review_factor = fields.Float(
        string="Outlier Factor",
        default=2.0,
        help="A bill is listed as an outlier when it is so many times its predecessor, or more; "
        "or so many times smaller.",
        groups=OFFICE,
    )

    # How long things are kept; 0: for good.
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

    def write(self, vals):
        """Override of `base`: what wallets owe stays on the account on which it was booked, and a chart
        of accounts brings the default tax.
        """
        for name, entries in (
            ("reseller_deposit_account_id", "reseller.wallet.entry"),
            ("reseller_prepaid_account_id", "reseller.prepaid.entry"),
        ):
            if name in vals:
                changed = self.filtered(lambda one, name=name: one[name].id != vals[name])
                changed._check_nothing_owed(entries)
        done = super().write(vals)
        if vals.get("account_sale_tax_id"):
            self._tax_shipped_product()
        return done

    def _get_exchange_account(self, is_gain):
        """Return Odoo's account of exchange differences.

        :raise UserError: when the company has none
        """
        kind = "income" if is_gain else "expense"
        account = self[f"{kind}_currency_exchange_account_id"]
        if not account:
            raise UserError(
                self.env._("Choose the accounts of exchange differences in Odoo's settings.")
            )
        return account

    def _create_reseller_accounts(self):
        """Make the journal and the accounts that are not chosen yet, with codes that go on from those of
        the chart's accounts of their kind; return the accounts.

        :raise AccessError: without rights on the chart of accounts
        """
        self.ensure_one()
        accounts = self.env["account.account"].with_company(self)
        made, vals = accounts.browse(), {}
        for field, account_type, like in (
            ("reseller_deposit_account_id", "liability_current", "liability_current"),
            ("reseller_prepaid_account_id", "liability_current", "liability_current"),
            ("reseller_breakage_account_id", "income_other", "income"),
            ("reseller_bonus_account_id", "expense", "expense"),
            ("reseller_accrued_account_id", "asset_current", "asset_current"),
            ("reseller_deferred_account_id", "liability_current", "liability_current"),
        ):
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

    @api.constrains("reseller_deposit_account_id", "reseller_prepaid_account_id")
    def _check_prepaid_accounts(self):
        for company in self:
            account = company.reseller_prepaid_account_id
            if account and account == company.reseller_deposit_account_id:
                raise ValidationError(
                    self.env._("Wallets and packages need accounts of their own: choose two.")
                )

    def _check_nothing_owed(self, entries):
        entries_sudo = self.env[entries].sudo()  # who changes settings may see none
        held = entries_sudo._read_group(
            [("company_id", "in", self.ids)], ["company_id", "currency_id"], ["cost:sum"]
        )
        for company, currency, cost in held:
            if not currency.is_zero(cost):
                raise UserError(
                    self.env._(
                        "Clients of %(company)s have %(amount)s ahead on this account: it stays "
                        "until that is refunded or used.",
                        company=company.name,
                        amount=currency.format(cost),
                    )
                )

    def _take_turn_with_prices(self):
        """Let a run that is started and a change of prices at the same time not pass each other.

        Both write a row of the company: one of the two transactions fails and is repeated, and then
        sees what the other one did.
        """
        self.env.cr.execute(
            SQL(
                "UPDATE res_company SET reseller_late_days = reseller_late_days WHERE id = ANY(%s)",
                sorted(self.ids),
            )
        )

    @api.model
    def _set_reseller_usage_product(self):
        """Give companies that have none the generic usage product, on installation."""
        product = self.env.ref("reseller_billing.product_usage")
        companies = self.with_context(active_test=False).search(
            [("reseller_usage_product_id", "=", False)]
        )
        companies.reseller_usage_product_id = product
        companies._tax_shipped_product()

    def _tax_shipped_product(self):
        """Give the shipped usage product the default sales taxes of these companies.

        Odoo does so for products that have a tax elsewhere; this one is there before any has.
        """
        product = self.env.ref("reseller_billing.product_usage", raise_if_not_found=False)
        if product:
            template_sudo = product.product_tmpl_id.sudo()  # of all companies
            for company in self.sudo():  # as above
                if template_sudo._lacks_sales_tax(company):
                    template_sudo._force_default_sale_tax(company)
