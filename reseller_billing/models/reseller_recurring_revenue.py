from odoo import api, fields, models
from odoo.tools import SQL

# Months of an average cycle that is counted in days: 365.25 ÷ 12.
DAYS_OF_MONTH = "30.4375"


class ResellerRecurringRevenue(models.Model):
    """What recurring fees bring by the month (MRR), and what came and went of it.

    The MRR of a month is the sum of the recurring fees, as live statements charge them, of the
    cycles that cover the month's last day, each divided by the months of its cycle: a yearly fee of
    120.00 counts 10.00. What is used, paid once, or charged by hand is none. A client's change
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
        "reseller.charge": ["amount", "trace"],
        "reseller.client": ["reseller_id"],
        "reseller.statement": ["state"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    client_id = fields.Many2one("reseller.client", readonly=True)
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
                       charge.client_id, charge.cycle_start, charge.cycle_end,
                       charge.trace -> 'rated' AS rated
                  FROM reseller_charge charge
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 WHERE charge.kind = 'recurring' AND statement.state IN ('approved', 'invoiced')
                 ORDER BY charge.client_id, charge.feature_id, charge.cycle_start,
                          charge.price_rule_id, charge.id DESC
            ), part AS (
                SELECT fee.client_id, (part ->> 'first')::date AS since,
                       (part ->> 'first')::date + (part ->> 'until')::int
                           - (part ->> 'before')::int - 1 AS until,
                       (rated ->> 'fee')::numeric * (part ->> 'units')::numeric / CASE
                           WHEN EXTRACT(day FROM age(begun.next, begun.day)) = 0
                           THEN EXTRACT(year FROM age(begun.next, begun.day)) * 12
                                + EXTRACT(month FROM age(begun.next, begun.day))
                           ELSE (rated ->> 'cycle_days')::numeric / %(days)s END AS amount
                  FROM fee
                 CROSS JOIN LATERAL (
                       SELECT fee.cycle_start AS day,
                              fee.cycle_start + (rated ->> 'cycle_days')::int AS next) AS begun
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
                     WHERE month < date_trunc('month', now())
                  ) AS facts
                 GROUP BY client_id, month
            ), rounded AS (
                SELECT sums.client_id, sums.month, client.company_id, client.reseller_id,
                       reseller.currency_id,
                       round(sums.mrr, currency.decimal_places) AS mrr,
                       round(sums.opening, currency.decimal_places) AS opening
                  FROM sums
                  JOIN reseller_client client ON client.id = sums.client_id
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                  JOIN res_currency currency ON currency.id = reseller.currency_id
            )
            SELECT row_number() OVER (ORDER BY month, client_id) AS id, client_id, month,
                   company_id, reseller_id, currency_id, opening, mrr, mrr * 12 AS arr,
                   CASE WHEN opening = 0 THEN mrr ELSE 0 END AS new,
                   CASE WHEN opening != 0 AND mrr > opening THEN mrr - opening ELSE 0 END
                       AS expansion,
                   CASE WHEN mrr != 0 AND mrr < opening THEN mrr - opening ELSE 0 END
                       AS contraction,
                   CASE WHEN mrr = 0 THEN -opening ELSE 0 END AS churn,
                   CASE WHEN opening != 0 THEN mrr * 100 / opening END AS retention
              FROM rounded
            """,
            days=SQL(DAYS_OF_MONTH),
        )

    @api.model
    def _read_group_select(self, aggregate_spec, query):
        """Override of `base`: the retention of several is that of their sums, not an average."""
        if aggregate_spec != "retention:avg":
            return super()._read_group_select(aggregate_spec, query)
        opening = self._field_to_sql(self._table, "opening", query)
        mrr = self._field_to_sql(self._table, "mrr", query)
        return SQL(
            "SUM(%(mrr)s) FILTER (WHERE %(opening)s != 0) * 100 / NULLIF(SUM(%(opening)s), 0)",
            mrr=mrr,
            opening=opening,
        )
