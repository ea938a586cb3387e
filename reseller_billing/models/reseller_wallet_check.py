from odoo import api, fields, models
from odoo.tools import SQL


class ResellerWalletCheck(models.Model):
    """The law of the wallets: the deposit account owes what is left of the lots' cost.

    A row for each company and currency that has either.
    """

    _name = "reseller.wallet.check"
    _description = "Wallets Against the Deposit Account"
    _auto = False
    _order = "company_id, currency_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move.line": ["account_id", "amount_currency", "currency_id", "parent_state"],
        "res.company": ["reseller_deposit_account_id"],
        "reseller.wallet.entry": ["company_id", "cost", "currency_id"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    account_id = fields.Many2one("account.account", string="Deposit Account", readonly=True)
    cost_left = fields.Monetary(
        string="Left of Lots", readonly=True, help="What was paid in, less its share of draws."
    )
    owed = fields.Monetary(string="On the Account", readonly=True)
    difference = fields.Monetary(readonly=True)

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT sides.company_id * 100000 + sides.currency_id AS id,
                   sides.company_id, sides.currency_id,
                   company.reseller_deposit_account_id AS account_id,
                   sum(sides.cost_left) AS cost_left, sum(sides.owed) AS owed,
                   sum(sides.cost_left - sides.owed) AS difference
              FROM (
                SELECT company_id, currency_id, COALESCE(cost, 0) AS cost_left, 0 AS owed
                  FROM reseller_wallet_entry
                UNION ALL
                SELECT line.company_id, line.currency_id, 0, -line.amount_currency
                  FROM account_move_line line
                  JOIN res_company company ON company.id = line.company_id
                 WHERE line.account_id = company.reseller_deposit_account_id
                   AND line.parent_state = 'posted'
              ) AS sides
              JOIN res_company company ON company.id = sides.company_id
             GROUP BY sides.company_id, sides.currency_id, company.reseller_deposit_account_id
            """
        )

    @api.model
    def _cron_check(self):
        """Raise an activity on a client of a company and currency where lots and books differ."""
        for row in self.search([("difference", "!=", 0)]):
            last = self.env["reseller.wallet.lot"].search(
                [("company_id", "=", row.company_id.id), ("currency_id", "=", row.currency_id.id)],
                limit=1,
            )
            note = self.env._(
                "Lots hold %(cost)s, the deposit account owes %(owed)s. Only wallets may book on it.",
                cost=row.currency_id.format(row.cost_left),
                owed=row.currency_id.format(row.owed),
            )
            if last:
                last.client_id.reseller_id._tell_responsible(
                    last.client_id, self.env._("Wallets and deposit account differ"), note
                )

    def action_view_lots(self):
        """Open the lots of this company and currency."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Wallets"),
            "res_model": "reseller.wallet.lot",
            "view_mode": "list,form",
            "domain": [
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
            ],
        }

    def action_view_items(self):
        """Open the journal items of the deposit account in this currency."""
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
