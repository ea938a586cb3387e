from odoo import api, fields, models
from odoo.tools import SQL


class ResellerWalletCheck(models.Model):
    """The law of what is bought ahead: its account owes what is left of the lots' cost.

    A row for each company and currency that has either side: of wallets, and of packages.
    """

    _name = "reseller.wallet.check"
    _description = "Lots Against Their Accounts"
    _auto = False
    _order = "company_id, kind desc, currency_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move.line": [
            "account_id",
            "amount_currency",
            "balance",
            "currency_id",
            "parent_state",
        ],
        "res.company": ["reseller_deposit_account_id", "reseller_prepaid_account_id"],
        "reseller.prepaid.entry": ["balance", "company_id", "cost", "currency_id"],
        "reseller.wallet.entry": ["balance", "company_id", "cost", "currency_id"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    kind = fields.Selection([("money", "Wallets"), ("units", "Packages")], readonly=True)
    account_id = fields.Many2one("account.account", readonly=True)
    cost_left = fields.Monetary(
        string="Left of Lots", readonly=True, help="What was paid in, less its share of draws."
    )
    owed = fields.Monetary(string="On the Account", readonly=True)
    difference = fields.Monetary(readonly=True)
    company_currency_id = fields.Many2one("res.currency", readonly=True)
    balance_left = fields.Monetary(
        string="Left of Lots, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="At the rates at which it was paid in.",
    )
    balance_owed = fields.Monetary(
        string="On the Account, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
    )
    is_different = fields.Boolean(string="Differs", readonly=True)

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT (sides.company_id * 100000 + sides.currency_id) * 2
                   + (sides.kind = 'units')::int AS id,
                   sides.company_id, sides.currency_id, sides.kind, sides.account_id,
                   sum(sides.cost_left) AS cost_left, sum(sides.owed) AS owed,
                   sum(sides.cost_left - sides.owed) AS difference,
                   max(company.currency_id) AS company_currency_id,
                   sum(sides.balance_left) AS balance_left, sum(sides.balance_owed) AS balance_owed,
                   sum(sides.cost_left - sides.owed) != 0
                   OR sum(sides.balance_left - sides.balance_owed) != 0 AS is_different
              FROM (
                SELECT 'money' AS kind, entry.company_id, entry.currency_id,
                       company.reseller_deposit_account_id AS account_id,
                       COALESCE(entry.cost, 0) AS cost_left, 0 AS owed,
                       COALESCE(
                           CASE WHEN entry.currency_id = company.currency_id THEN entry.cost
                                ELSE entry.balance END, 0) AS balance_left,
                       0 AS balance_owed
                  FROM reseller_wallet_entry entry
                  JOIN res_company company ON company.id = entry.company_id
                UNION ALL
                SELECT 'units', entry.company_id, entry.currency_id,
                       company.reseller_prepaid_account_id, COALESCE(entry.cost, 0), 0,
                       COALESCE(entry.balance, 0), 0
                  FROM reseller_prepaid_entry entry
                  JOIN res_company company ON company.id = entry.company_id
                UNION ALL
                SELECT account.kind, line.company_id, line.currency_id, line.account_id,
                       0, -line.amount_currency, 0, -line.balance
                  FROM res_company company
                 CROSS JOIN LATERAL (
                       VALUES ('money', company.reseller_deposit_account_id),
                              ('units', company.reseller_prepaid_account_id)
                       ) AS account (kind, id)
                  JOIN account_move_line line
                    ON line.account_id = account.id AND line.company_id = company.id
                 WHERE line.parent_state = 'posted'
              ) AS sides
              JOIN res_company company ON company.id = sides.company_id
             GROUP BY sides.company_id, sides.currency_id, sides.kind, sides.account_id
            """
        )

    @api.model
    def _cron_check(self):
        """Raise an activity on a client of a company and currency where lots and books differ."""
        for row in self.search([("is_different", "=", True)]):
            last = self.env[row._get_lot_model()].search(
                [("company_id", "=", row.company_id.id), ("currency_id", "=", row.currency_id.id)],
                limit=1,
            )
            note = self.env._(
                "Lots hold %(cost)s, the account %(account)s owes %(owed)s. They alone book on it.",
                account=row.account_id.display_name,
                **row._format_sides(),
            )
            if last:
                last.client_id.reseller_id._tell_responsible(
                    last.client_id, self.env._("What is bought ahead and its account differ"), note
                )

    def _format_sides(self):
        """Return what lots hold and the account owes, in the currency in which they differ."""
        self.ensure_one()
        currency, cost, owed = self.currency_id, self.cost_left, self.owed
        if not currency.compare_amounts(cost, owed):
            currency = self.company_currency_id
            cost, owed = self.balance_left, self.balance_owed
        return {"cost": currency.format(cost), "owed": currency.format(owed)}

    def _get_lot_model(self):
        self.ensure_one()
        return "reseller.prepaid.lot" if self.kind == "units" else "reseller.wallet.lot"

    def action_view_lots(self):
        """Open the lots of this company and currency."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env[self._get_lot_model()]._description,
            "res_model": self._get_lot_model(),
            "view_mode": "list,form",
            "domain": [
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
            ],
        }

    def action_view_items(self):
        """Open the journal items of the account in this currency."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.account_id.display_name,
            "res_model": "account.move.line",
            "view_mode": "list,form",
            "domain": [
                ("account_id", "=", self.account_id.id),
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("parent_state", "=", "posted"),
            ],
        }
