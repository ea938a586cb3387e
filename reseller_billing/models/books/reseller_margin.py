from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL, date_utils

from ..base.states import live_sql
from .percent import percent_sql


class ResellerMargin(models.Model):
    """What is left to resellers that buy: what their clients are asked on papers, less what they pay.

    Both are without the taxes that prices include, as live statements have them. The month is that of a
    charge's first day of service, else of its bill, and of use that of its day; use has no bill date.
    Money that is paid into a wallet is no cost, what it pays for is. Summed over clients and features,
    retail is what is on paper, and cost what resellers are invoiced, before bonuses (wholesale W15).
    """

    _name = "reseller.margin"
    _description = "Margin of Resellers"
    _auto = False
    _order = "month desc, reseller_id, client_id, feature_id, bill_date desc"
    _rec_name = "client_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move.line": ["charge_id", "move_type", "price_subtotal"],
        "reseller.charge": ["amount", "book", "included_tax", "is_paper"],
        "reseller.charge.share": ["amount", "charge_id", "client_id", "statement_id"],
        "reseller.client": ["buys_for_id", "reseller_id"],
        "reseller.feature": ["aggregation"],
        "reseller.reseller": ["currency_id", "settlement_date"],
        "reseller.statement": ["invoice_id", "state"],
        "reseller.usage.daily": ["quantity"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    client_id = fields.Many2one(
        "reseller.client",
        readonly=True,
        help="The reseller's own account has what it uses itself, and what no client does.",
    )
    feature_id = fields.Many2one("reseller.feature", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    month = fields.Date(readonly=True, help="The first day of the month of service.")
    bill_date = fields.Date(readonly=True, help="Of what is billed; use has none.")
    quantity = fields.Float(string="Used", readonly=True, min_display_digits=0)
    retail = fields.Monetary(readonly=True, help="What clients are asked on papers, without taxes.")
    cost = fields.Monetary(readonly=True, help="What the reseller pays for it, without taxes.")
    margin = fields.Monetary(readonly=True, help="Retail less cost.")
    margin_percent = fields.Float(
        string="Margin (%)",
        readonly=True,
        digits=(16, 1),
        aggregator="avg",
        help="Of retail; of several, that of their sums.",
    )

    @property
    def _table_query(self):
        """Override of `base`: with (the id of a reseller, the first day of a month) in the context as
        ``reseller_margin_of``, its money of that month alone, without use: what a page need not read is much.
        """
        reseller, month = self.env.context.get("reseller_margin_of") or (None, None)
        mine = SQL("buys_for_id = %s", reseller) if reseller else SQL("buys_for_id IS NOT NULL")
        days = SQL("TRUE")
        if month:
            following = date_utils.add(fields.Date.to_date(month), months=1)
            days = SQL("day >= %s AND day < %s", month, following)
        return SQL(
            """
            WITH buyer AS (
                SELECT id, buys_for_id FROM reseller_client WHERE %(mine)s
            ), fact AS (
                -- Each in one group: the least number is one's own.
                SELECT number, company_id, currency_id, reseller_id, client_id, feature_id, day, bill_date,
                       0 AS quantity, retail, 0 AS cost
                  FROM (%(retail)s) AS asked WHERE %(days)s
                 UNION ALL
                SELECT number, company_id, currency_id, reseller_id, client_id, feature_id, day, bill_date,
                       0, 0, cost
                  FROM (%(shares)s) AS shared
                 UNION ALL
                SELECT min(bucket.id)::bigint * 4 + 2, bucket.company_id, reseller.currency_id,
                       reseller.id, client.id, bucket.feature_id,
                       date_trunc('month', bucket.billing_date)::date, NULL, %(used)s, 0, 0
                  FROM reseller_usage_daily bucket
                  JOIN reseller_client client ON client.id = bucket.client_id
                  JOIN reseller_reseller reseller
                    ON reseller.id = COALESCE(client.buys_for_id, client.reseller_id)
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE reseller.id IN (SELECT buys_for_id FROM buyer) AND %(uses)s
                 GROUP BY 2, 3, 4, 5, 6, 7, feature.aggregation
            ), sums AS (
                SELECT min(number) AS id, company_id, currency_id, reseller_id, client_id, feature_id,
                       date_trunc('month', day)::date AS month, bill_date,
                       sum(quantity) AS quantity, sum(retail) AS retail, sum(cost) AS cost
                  FROM fact
                 GROUP BY 2, 3, 4, 5, 6, 7, 8
            )
            SELECT sums.*, retail - cost AS margin,
                   (retail - cost) * 100 / NULLIF(retail, 0) AS margin_percent
              FROM sums
            """,
            mine=mine,
            days=days,
            uses=SQL("FALSE") if month else SQL("TRUE"),
            retail=self._retail_sql(),
            shares=self._shares_sql(days),
            used=self.env["reseller.usage.daily"]._counted_together_sql(),
        )

    @api.model
    def _retail_sql(self):
        """Return the query for what clients of the resellers of some `buyer`s are asked on papers."""
        return SQL(
            """
            SELECT charge.id::bigint * 4 AS number, charge.company_id, charge.currency_id,
                   charge.reseller_id, charge.client_id, charge.feature_id,
                   COALESCE(charge.date_from, charge.bill_date) AS day, charge.bill_date,
                   charge.amount - COALESCE(charge.included_tax, 0) AS retail
              FROM reseller_charge charge
              JOIN reseller_statement statement ON statement.id = charge.statement_id
              JOIN reseller_reseller reseller ON reseller.id = charge.reseller_id
             WHERE charge.book = 'retail' AND charge.is_paper AND %s
               AND charge.reseller_id IN (SELECT buys_for_id FROM buyer)
               -- Before, papers had no cost.
               AND COALESCE(charge.cycle_start, charge.date_from, charge.bill_date)
                   >= COALESCE(reseller.settlement_date, '-infinity')
            """,
            live_sql("statement"),
        )

    @api.model
    def _cost_sql(self):
        """Return the query for what some `buyer`s are billed, charge by charge: `cost`, without the taxes that its
        price includes, and `whole`, as priced.
        """
        return SQL(
            """
            SELECT charge.id, charge.company_id, charge.currency_id,
                   buyer.buys_for_id AS reseller_id, charge.feature_id,
                   COALESCE(charge.date_from, charge.bill_date) AS day, charge.bill_date,
                   charge.amount AS whole, COALESCE(billed.net, charge.amount) AS cost
              FROM reseller_charge charge
              JOIN buyer ON buyer.id = charge.client_id
              JOIN reseller_statement statement ON statement.id = charge.statement_id
              LEFT JOIN LATERAL (%s) AS billed ON TRUE
             WHERE charge.grants IS DISTINCT FROM 'money' AND %s
            """,
            self._invoiced_sql(),
            live_sql("statement"),
        )

    @api.model
    def _shares_sql(self, days):
        """Return the query for what accounts beneath some `buyer`s cost, share by share.

        :param SQL days: a condition on the `day` of charges

        Where the invoice has less than the charge, for the price includes taxes, each share has its part of that: as
        much as the sums up to it and before it differ, rounded.
        """
        return SQL(
            """
            SELECT number, company_id, currency_id, reseller_id, client_id, feature_id, day, bill_date,
                   CASE WHEN net = whole THEN amount
                        ELSE round(until * net / whole, digits)
                             - round((until - amount) * net / whole, digits) END AS cost
              FROM (
                SELECT share.id::bigint * 4 + 1 AS number, charge.company_id, charge.currency_id,
                       charge.reseller_id, charge.feature_id, charge.day, charge.bill_date,
                       charge.whole, charge.cost AS net, share.client_id, share.amount,
                       currency.decimal_places AS digits,
                       sum(share.amount) OVER (
                           PARTITION BY charge.id ORDER BY share.client_id, share.id) AS until
                  -- Its invoice is looked up once a charge.
                  FROM (SELECT * FROM (%s) AS billed WHERE %s OFFSET 0) AS charge
                  JOIN res_currency currency ON currency.id = charge.currency_id
                  JOIN reseller_charge_share share ON share.charge_id = charge.id
                  JOIN reseller_statement sharing ON sharing.id = share.statement_id AND %s
              ) AS shares
            """,
            self._cost_sql(),
            days,
            live_sql("sharing"),
        )

    @api.model
    def _load_months(self, resellers, since=None):
        """Return [(reseller id, currency id, first day of a month, retail, cost)] of resellers that buy, as Decimals:
        the sums of this report, which need neither shares nor use.

        :param resellers: records
        :param date since: the first month; all where None
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH buyer AS (
                    SELECT id, buys_for_id FROM reseller_client WHERE buys_for_id = ANY(%s)
                )
                SELECT reseller_id, currency_id, date_trunc('month', day)::date, sum(retail)::text,
                       sum(cost)::text
                  FROM (
                    SELECT reseller_id, currency_id, day, retail, 0 AS cost FROM (%s) AS asked
                     UNION ALL
                    SELECT reseller_id, currency_id, day, 0, cost FROM (%s) AS billed
                  ) AS facts
                 WHERE %s
                 GROUP BY 1, 2, 3
                 ORDER BY 1, 2, 3
                """,
                resellers.ids,
                self._retail_sql(),
                self._cost_sql(),
                SQL("day >= %s", since) if since else SQL("TRUE"),
            )
        )
        return [(*row[:3], Decimal(row[3]), Decimal(row[4])) for row in rows]

    @api.model
    def _invoiced_sql(self):
        """Return the query for what the invoice of a `charge` of a `statement` has of it, `net` of taxes; NULL where
        none has."""
        return SQL(
            """
            SELECT sum(CASE move.move_type WHEN 'out_refund' THEN -1 ELSE 1 END
                       * line.price_subtotal) AS net
              FROM account_move_line line
              JOIN account_move move ON move.id = line.move_id
             WHERE line.charge_id = charge.id AND line.move_id = statement.invoice_id
            """
        )

    @api.model
    def _find_different(self):
        """Return [(buyer's account id, bill's name, what its shares miss, currency id)] of standing bills whose shares
        do not come to what they charge: the law of margins. Below zero, they have too much.
        """
        self.env.flush_all()
        return self.env.execute_query(
            SQL(
                """
                SELECT charge.client_id, statement.name, sum(charge.amount - shared.amount),
                       charge.currency_id
                  FROM reseller_charge charge
                  JOIN reseller_client buyer ON buyer.id = charge.client_id
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 CROSS JOIN LATERAL (
                       SELECT COALESCE(sum(share.amount), 0) AS amount
                         FROM reseller_charge_share share
                         JOIN reseller_statement sharing ON sharing.id = share.statement_id
                        WHERE share.charge_id = charge.id AND %s) AS shared
                 WHERE buyer.buys_for_id IS NOT NULL AND %s AND charge.amount != shared.amount
                 GROUP BY charge.client_id, statement.id, charge.currency_id
                 ORDER BY charge.client_id, statement.id
                """,
                live_sql("sharing"),
                live_sql("statement"),
            )
        )

    @api.model
    def _cron_check(self):
        """Raise an activity on a buyer's account whose bills and their shares differ."""
        summary = self.env._("A bill and what clients cost of it differ")
        for client, name, missing, currency in self._find_different():
            buyer = self.env["reseller.client"].browse(client)
            buyer.reseller_id._tell_responsible(
                buyer,
                summary,
                self.env._(
                    "The shares of %(bill)s miss %(amount)s: margins are wrong by that.",
                    bill=name,
                    amount=self.env["res.currency"].browse(currency).format(missing),
                ),
                once=True,
            )

    @api.model
    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: the percentage of several is that of their sums, not an average; of several
        currencies there is none.
        """
        if aggregate_spec != "margin_percent:avg":
            return super()._read_group_select(aggregate_spec, query)
        return percent_sql(self, query, "margin", "retail")
