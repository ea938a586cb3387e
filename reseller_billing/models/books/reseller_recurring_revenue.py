from odoo import api, fields, models
from odoo.tools import SQL

from ..base.states import live_sql
from ..client.reseller_client import BOOKS
from ..pricing.scopes import book_sql
from .percent import percent_sql

# Months of an average cycle that is counted in days: 365.25 ÷ 12.
DAYS_OF_MONTH = "30.4375"


class ResellerRecurringRevenue(models.Model):
    """What recurring fees bring by the month (MRR), and what came and went of it.

    The MRR of a month is the sum of the recurring fees, without taxes, as live statements charge
    them, of the cycles that cover the month's last day, each divided by the months of its cycle: a
    yearly fee of 120.00 counts 10.00; cycles of weeks or days count by 30.4375 days. What is used,
    paid once, or charged by hand is none, nor what resellers bill themselves. A month is known once
    it is over and an account is billed until its end. A client's change
    against the month before is new (from nothing), expansion, contraction, or churn (to nothing).
    Net revenue retention is what is left of the opening MRR: (opening + expansion + contraction +
    churn) ÷ opening, of the same clients; contraction and churn are below zero.
    """

    _name = "reseller.recurring.revenue"
    _description = "Recurring Revenue"
    _auto = False
    _order = "month desc, client_id"
    _rec_name = "client_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move.line": ["charge_amount", "charge_id", "price_subtotal"],
        "reseller.charge": ["amount", "is_paper", "trace"],
        "reseller.client": ["billed_until", "interval_unit", "reseller_id", "state"],
        "reseller.reseller": ["currency_id"],
        "reseller.statement": ["state"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    client_id = fields.Many2one("reseller.client", readonly=True)
    book = fields.Selection(BOOKS, readonly=True, help="Wholesale: of resellers that buy.")
    currency_id = fields.Many2one("res.currency", readonly=True)
    month = fields.Date(readonly=True, help="The first day of the month.")
    opening = fields.Monetary(string="MRR Before", readonly=True, help="Of the month before.")
    new = fields.Monetary(readonly=True, help="Of clients that had none the month before.")
    expansion = fields.Monetary(readonly=True, help="More than the month before.")
    contraction = fields.Monetary(readonly=True, help="Less than the month before: below zero.")
    churn = fields.Monetary(readonly=True, help="Of clients that have none any more: below zero.")
    mrr = fields.Monetary(
        string="MRR",
        readonly=True,
        help="Recurring fees in force on the month's last day, by month.",
    )
    arr = fields.Monetary(string="ARR", readonly=True, help="Twelve times the MRR.")
    retention = fields.Float(
        string="Net Revenue Retention (%)",
        readonly=True,
        digits=(16, 1),
        aggregator="avg",
        help="(MRR before + expansion + contraction + churn) ÷ MRR before, of the same clients.",
    )

    @property
    def _table_query(self):
        return SQL(
            """
            WITH fee AS (
                -- Each charge tells all that its cycle costs; the latest one is right.
                SELECT DISTINCT ON (charge.client_id, charge.feature_id, charge.cycle_start,
                                    charge.price_rule_id)
                       charge.id, charge.client_id, charge.trace -> 'rated' AS rated,
                       COALESCE(rule.interval_unit, client.interval_unit) AS unit
                  FROM reseller_charge charge
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  JOIN reseller_client client ON client.id = charge.client_id
                  LEFT JOIN reseller_price_rule rule ON rule.id = charge.price_rule_id
                 WHERE charge.kind = 'recurring' AND charge.is_paper IS NOT TRUE AND %(live)s
                 ORDER BY charge.client_id, charge.feature_id, charge.cycle_start,
                          charge.price_rule_id, charge.id DESC
            ), part AS (
                SELECT fee.client_id, (part ->> 'first')::date AS since,
                       (part ->> 'first')::date + (part ->> 'until')::int
                           - (part ->> 'before')::int - 1 AS until,
                       (rated ->> 'fee')::numeric * (part ->> 'units')::numeric
                       * COALESCE(net.share, 1) / CASE
                           WHEN unit IN ('month', 'year')
                           THEN greatest(round((rated ->> 'cycle_days')::numeric / %(days)s), 1)
                           ELSE (rated ->> 'cycle_days')::numeric / %(days)s END AS amount
                  FROM fee
                  LEFT JOIN LATERAL (
                       -- Without the taxes that the price includes.
                       SELECT sum(CASE move.move_type WHEN 'out_refund' THEN -1 ELSE 1 END
                                  * line.price_subtotal) / NULLIF(sum(line.charge_amount), 0) AS share
                         FROM account_move_line line
                         JOIN account_move move ON move.id = line.move_id
                        WHERE line.charge_id = fee.id) AS net ON TRUE
                 CROSS JOIN LATERAL jsonb_array_elements(rated -> 'parts') AS part
                 WHERE (rated ->> 'cycle_days')::int > 0
            ), monthly AS (
                SELECT part.client_id, date_trunc('month', month.last)::date AS month,
                       sum(part.amount) AS mrr
                  FROM part
                 CROSS JOIN LATERAL (
                       SELECT (first + interval '1 month - 1 day')::date AS last
                         FROM generate_series(
                              date_trunc('month', part.since), part.until, '1 month') AS first
                       ) AS month
                 WHERE month.last BETWEEN part.since AND part.until
                 GROUP BY 1, 2
            ), sums AS (
                SELECT client_id, month, sum(mrr) AS mrr, sum(opening) AS opening
                  FROM (
                    SELECT client_id, month, mrr, 0 AS opening FROM monthly
                     UNION ALL
                    SELECT client_id, (month + interval '1 month')::date, 0, mrr FROM monthly
                  ) AS facts
                 GROUP BY client_id, month
            ), rounded AS (
                SELECT sums.client_id, sums.month, client.company_id, client.reseller_id,
                       %(book)s AS book,
                       reseller.currency_id, currency.decimal_places, sums.mrr AS exact,
                       round(sums.mrr, currency.decimal_places) AS mrr,
                       round(sums.opening, currency.decimal_places) AS opening
                  FROM sums
                  JOIN reseller_client client ON client.id = sums.client_id
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                  JOIN res_currency currency ON currency.id = reseller.currency_id
                 -- Months that are over and whose bills are made: of others nothing is known.
                 CROSS JOIN LATERAL (
                       SELECT (sums.month + interval '1 month - 1 day')::date AS last) AS month
                 WHERE month.last < now()::date
                   AND (client.state = 'closed' OR client.billed_until >= month.last)
            )
            SELECT row_number() OVER (ORDER BY month, client_id) AS id, client_id, month,
                   company_id, reseller_id, book, currency_id, opening, mrr,
                   round(exact * 12, decimal_places) AS arr,
                   CASE WHEN opening = 0 THEN mrr ELSE 0 END AS new,
                   CASE WHEN opening != 0 AND mrr > opening THEN mrr - opening ELSE 0 END
                       AS expansion,
                   CASE WHEN mrr != 0 AND mrr < opening THEN mrr - opening ELSE 0 END
                       AS contraction,
                   CASE WHEN mrr = 0 THEN -opening ELSE 0 END AS churn,
                   CASE WHEN opening != 0 THEN mrr * 100 / opening END AS retention
              FROM rounded
            """,
            book=book_sql("client"),
            days=SQL(DAYS_OF_MONTH),
            live=live_sql("statement"),
        )

    @api.model
    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: the retention of several is that of their sums, not an average; of several
        currencies there is none.
        """
        if aggregate_spec != "retention:avg":
            return super()._read_group_select(aggregate_spec, query)
        # What is new was nothing before: nothing of it is kept.
        return percent_sql(self, query, "mrr", "opening", rows="opening")
