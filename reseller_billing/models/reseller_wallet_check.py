from collections import defaultdict
from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL


class ResellerWalletCheck(models.AbstractModel):
    """The law of the wallets: the deposit account owes what is left of the lots' cost."""

    _name = "reseller.wallet.check"
    _description = "Check of Wallets Against the Books"

    def _compare(self):
        """Return {(company, currency): (cost left of lots, what the account owes)}, as Decimals."""
        self.env.flush_all()
        found = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for company, currency, cost in self.env.execute_query(
            SQL(
                "SELECT company_id, currency_id, sum(COALESCE(cost, 0))::text "
                "FROM reseller_wallet_entry GROUP BY company_id, currency_id"
            )
        ):
            found[company, currency][0] = Decimal(cost)
        for company, currency, owed in self.env.execute_query(
            SQL(
                """
                SELECT line.company_id, line.currency_id, (-sum(line.amount_currency))::text
                  FROM account_move_line line
                  JOIN res_company company ON company.id = line.company_id
                 WHERE line.account_id = company.reseller_deposit_account_id
                   AND line.parent_state = 'posted'
                 GROUP BY line.company_id, line.currency_id
                """
            )
        ):
            found[company, currency][1] = Decimal(owed)
        companies, currencies = self.env["res.company"], self.env["res.currency"]
        return {
            (companies.browse(company), currencies.browse(currency)): tuple(amounts)
            for (company, currency), amounts in found.items()
        }

    @api.model
    def _cron_check(self):
        """Raise an activity on the deposit account's journal entries where lots and books differ."""
        for (company, currency), (cost, owed) in self._compare().items():
            if cost == owed:
                continue
            note = self.env._(
                "Lots hold %(cost)s, the deposit account owes %(owed)s. Only wallets may book on it.",
                cost=currency.format(float(cost)),
                owed=currency.format(float(owed)),
            )
            last = self.env["reseller.wallet.lot"].search(
                [("company_id", "=", company.id), ("currency_id", "=", currency.id)], limit=1
            )
            client = last.client_id
            if client:
                summary = self.env._("Wallets and deposit account differ")
                client.reseller_id._tell_responsible(client, summary, note)
