from odoo import fields, models
from odoo.tools import SQL


class ResellerAnalysis(models.Model):
    """Use and revenue by month, with the change against the month before.

    A month is that of the day of use, in the client's time zone, and of a charge's bill date.
    Revenue is what statements charge that are not void, before added taxes. Every fact stands
    twice: in its own month, and as what the next one is compared with; sums over any filter or
    grouping are therefore right.
    """

    _name = "reseller.analysis"
    _description = "Analysis of Use and Revenue"
    _auto = False
    _order = "month desc, client_id, feature_id, level_id"
    _rec_name = "feature_id"
    # What has to reach the database before this is read.
    _depends = {
        "reseller.charge": ["amount"],
        "reseller.client": ["reseller_id"],
        "reseller.client.membership": ["client_id", "date_from", "group_id"],
        "reseller.feature": ["aggregation", "category"],
        "reseller.statement": ["state"],
        "reseller.usage.daily": ["quantity"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    group_id = fields.Many2one(
        "reseller.client.group", readonly=True, help="The client's group at the month's end."
    )
    client_id = fields.Many2one("reseller.client", readonly=True)
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
    amount = fields.Monetary(string="Revenue", readonly=True, help="Before added taxes.")
    amount_change = fields.Monetary(
        string="± Revenue", readonly=True, help="Against the month before."
    )

    @property
    def _table_query(self):
        return SQL(
            """
            WITH facts AS (
                SELECT client_id, feature_id, level_id,
                       date_trunc('month', billing_date)::date AS month,
                       %s AS quantity,
                       sum(bucket.event_count) AS event_count, 0::numeric AS amount
                  FROM reseller_usage_daily bucket
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 GROUP BY client_id, feature_id, level_id, month, feature.aggregation
                 UNION ALL
                SELECT charge.client_id, charge.feature_id, charge.level_id,
                       date_trunc('month', charge.bill_date)::date, 0, 0, sum(charge.amount)
                  FROM reseller_charge charge
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 WHERE statement.state IN ('approved', 'invoiced')
                 GROUP BY 1, 2, 3, 4
            ), compared AS (
                SELECT client_id, feature_id, level_id, month, quantity, event_count, amount,
                       quantity AS quantity_change, amount AS amount_change
                  FROM facts
                 UNION ALL
                SELECT client_id, feature_id, level_id, (month + interval '1 month')::date,
                       0, 0, 0, -quantity, -amount
                  FROM facts
                 WHERE month < date_trunc('month', now())
            )
            SELECT row_number() OVER (
                       ORDER BY compared.client_id, feature_id, level_id, month) AS id,
                   client.company_id, client.reseller_id, reseller.currency_id,
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
              JOIN reseller_client client ON client.id = compared.client_id
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
              LEFT JOIN reseller_feature feature ON feature.id = compared.feature_id
             GROUP BY compared.client_id, client.company_id, client.reseller_id,
                      reseller.currency_id, feature_id, level_id, feature.category, month
            """,
            self.env["reseller.usage.daily"]._counted_together_sql(),
        )
