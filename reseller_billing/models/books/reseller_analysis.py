from odoo import api, fields, models
from odoo.tools import SQL

from ..client.reseller_client import BOOKS
from ..pricing.scopes import book_sql


class ResellerAnalysis(models.Model):
    """Use and revenue by month, with the change against the month before.

    A month is that of the day of use, in the client's time zone, and of a journal entry's date.
    Revenue is recognised and net: what the ledger has on income accounts of bills and credit notes,
    of packages that are used, of what has expired, and of month's ends, in the company's currency.
    What is sold ahead, or lies in wallets, is none. Every fact stands twice: in its own month, and as
    what the next one is compared with; sums over any filter or grouping are therefore right.
    """

    _name = "reseller.analysis"
    _description = "Analysis of Use and Revenue"
    _auto = False
    _order = "month desc, client_id, feature_id, level_id"
    _rec_name = "feature_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move": ["reseller_month_end", "reversed_entry_id"],
        "account.move.line": [
            "account_id",
            "balance",
            "date",
            "parent_state",
            "reseller_client_id",
            "reseller_feature_id",
            "reseller_level_id",
            "reseller_settles",
        ],
        "reseller.client": ["reseller_id"],
        "reseller.client.membership": ["client_id", "date_from", "group_id"],
        "reseller.feature": ["aggregation", "category"],
        "reseller.usage.daily": ["quantity"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    group_id = fields.Many2one(
        "reseller.client.group", readonly=True, help="The client's group at the month's end."
    )
    client_id = fields.Many2one("reseller.client", readonly=True)
    book = fields.Selection(
        BOOKS, readonly=True, help="Wholesale: what resellers pay that buy. Use is in its client's."
    )
    feature_id = fields.Many2one("reseller.feature", readonly=True)
    level_id = fields.Many2one("reseller.feature.level", readonly=True)
    category = fields.Selection(
        lambda self: self.env["reseller.feature"]._fields["category"].selection, readonly=True
    )
    month = fields.Date(readonly=True, help="The first day of the month.")
    currency_id = fields.Many2one("res.currency", readonly=True)
    quantity = fields.Float(
        string="Used",
        readonly=True,
        min_display_digits=0,
        help="Units of use; of features that count their highest or last value, the month's.",
    )
    quantity_change = fields.Float(
        string="± Use",
        readonly=True,
        min_display_digits=0,
        help="Against the month before.",
    )
    event_count = fields.Integer(string="Events", readonly=True)
    amount = fields.Monetary(
        string="Revenue",
        readonly=True,
        help="Recognised, without taxes, in the company's currency. Of no client: a month's end.",
    )
    amount_change = fields.Monetary(
        string="± Revenue", readonly=True, help="Against the month before."
    )

    @property
    def _table_query(self):
        return SQL(
            """
            WITH facts AS (
                SELECT bucket.company_id, client_id, feature_id, level_id,
                       date_trunc('month', billing_date)::date AS month,
                       %s AS quantity,
                       sum(bucket.event_count) AS event_count, 0::numeric AS amount
                  FROM reseller_usage_daily bucket
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 GROUP BY bucket.company_id, client_id, feature_id, level_id, month,
                          feature.aggregation
                 UNION ALL
                SELECT company_id, client_id, feature_id, level_id,
                       date_trunc('month', date)::date, 0, 0, sum(amount)
                  FROM (%s) AS revenue
                 GROUP BY 1, 2, 3, 4, 5
            ), compared AS (
                SELECT company_id, client_id, feature_id, level_id, month, quantity, event_count,
                       amount, quantity AS quantity_change, amount AS amount_change
                  FROM facts
                 UNION ALL
                SELECT company_id, client_id, feature_id, level_id,
                       (month + interval '1 month')::date, 0, 0, 0, -quantity, -amount
                  FROM facts
                 WHERE month < date_trunc('month', now())
            )
            SELECT row_number() OVER (
                       ORDER BY compared.company_id, compared.client_id, feature_id, level_id, month)
                       AS id,
                   compared.company_id, client.reseller_id, company.currency_id, %s AS book,
                   (SELECT membership.group_id
                      FROM reseller_client_membership membership
                     WHERE membership.client_id = compared.client_id
                       AND membership.date_from < compared.month + interval '1 month'
                     ORDER BY membership.date_from DESC
                     LIMIT 1) AS group_id,
                   compared.client_id, feature_id, level_id, feature.category, month,
                   sum(quantity) AS quantity, sum(quantity_change) AS quantity_change,
                   sum(event_count) AS event_count, sum(amount) AS amount,
                   sum(amount_change) AS amount_change
              FROM compared
              JOIN res_company company ON company.id = compared.company_id
              LEFT JOIN reseller_client client ON client.id = compared.client_id
              LEFT JOIN reseller_feature feature ON feature.id = compared.feature_id
             GROUP BY compared.client_id, compared.company_id, client.reseller_id,
                      client.buys_for_id, company.currency_id, feature_id, level_id,
                      feature.category, month
            """,
            self.env["reseller.usage.daily"]._counted_together_sql(),
            self._revenue_sql(),
            book_sql("client"),
        )

    @api.model
    def _revenue_sql(self, since=None):
        """Return a query of the recognised revenue, item by item: company_id, client_id, feature_id,
        level_id, date, and amount in the company's currency. What lowers a price lowers it.

        :param date since: the first day; all where None
        """
        condition = SQL(
            """
            line.parent_state = 'posted' AND %s
            AND (line.reseller_settles = 'bonus'
                 OR account.account_type IN ('income', 'income_other'))
            """,
            SQL("line.date >= %s", since) if since else SQL("TRUE"),
        )
        return SQL(
            """
            SELECT line.company_id, line.reseller_client_id AS client_id,
                   line.reseller_feature_id AS feature_id, line.reseller_level_id AS level_id,
                   line.date, -line.balance AS amount
              FROM account_move_line line
              JOIN account_account account ON account.id = line.account_id
             WHERE line.reseller_client_id IS NOT NULL AND %(condition)s
             UNION ALL
            SELECT line.company_id, NULL, line.reseller_feature_id, NULL, line.date, -line.balance
              FROM account_move_line line
              JOIN account_account account ON account.id = line.account_id
             WHERE line.reseller_client_id IS NULL AND %(condition)s
               AND line.move_id IN (
                   SELECT id FROM account_move WHERE reseller_month_end IS NOT NULL
                    UNION ALL
                   SELECT reversal.id
                     FROM account_move reversal
                     JOIN account_move entry ON entry.id = reversal.reversed_entry_id
                    WHERE entry.reseller_month_end IS NOT NULL)
            """,
            condition=condition,
        )
