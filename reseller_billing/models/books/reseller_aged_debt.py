from odoo import fields, models
from odoo.tools import SQL

from . import reseller_report_mixin  # noqa: F401

# Days overdue that a bucket begins with.
BUCKETS = [(91, "older"), (61, "90"), (31, "60"), (1, "30")]


class ResellerAgedDebt(models.Model):
    """What payers of resellers' bills owed on the evening of a day, by how long it was overdue.

    Each row is an open item of the receivable ledger as it stood: payments that came later, and
    reconciliations that were made later, do not count. Open credits stand below zero.
    """

    _name = "reseller.aged.debt"
    _description = "Aged Debt"
    _inherit = ["reseller.report.mixin"]
    _auto = False
    _order = "date_due, id"
    _rec_name = "move_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move": [
            "commercial_partner_id",
            "move_type",
            "reseller_client_id",
            "reseller_former_statement_id",
            "reseller_is_offer",
            "reversed_entry_id",
        ],
        "account.move.line": [
            "account_id",
            "amount_currency",
            "balance",
            "date",
            "date_maturity",
            "parent_state",
            "partner_id",
            "reseller_client_id",
        ],
        "account.partial.reconcile": [
            "amount",
            "credit_amount_currency",
            "credit_move_id",
            "debit_amount_currency",
            "debit_move_id",
            "max_date",
        ],
        "reseller.client": ["reseller_id"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Payer", readonly=True)
    reseller_id = fields.Many2one(
        "reseller.reseller",
        readonly=True,
        help="Of a payment that names no bill: the one whose bills the payer pays, if it is one.",
    )
    client_id = fields.Many2one("reseller.client", readonly=True)
    move_id = fields.Many2one("account.move", string="Document", readonly=True)
    date = fields.Date(readonly=True)
    date_due = fields.Date(string="Due", readonly=True)
    days_overdue = fields.Integer(readonly=True, aggregator="max")
    bucket = fields.Selection(
        [
            ("0", "Not due"),
            ("30", "1 to 30 days"),
            ("60", "31 to 60 days"),
            ("90", "61 to 90 days"),
            ("older", "More than 90 days"),
        ],
        string="Overdue",
        readonly=True,
    )
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_currency_id = fields.Many2one("res.currency", readonly=True)
    residual_currency = fields.Monetary(string="Open", readonly=True)
    residual = fields.Monetary(
        string="Open, Company Currency", readonly=True, currency_field="company_currency_id"
    )

    @property
    def _table_query(self):
        _first, last = self._get_report_days()
        buckets = SQL(" ").join(
            SQL("WHEN open.days_overdue >= %s THEN %s", days, name) for days, name in BUCKETS
        )
        return SQL(
            """
            WITH bill AS (
                SELECT move.id, client.id AS client_id, client.reseller_id, move.company_id,
                       move.commercial_partner_id AS payer
                  FROM account_move move
                  LEFT JOIN reseller_statement former
                    ON former.id = move.reseller_former_statement_id
                  JOIN reseller_client client
                    ON client.id = COALESCE(move.reseller_client_id, former.client_id)
                 WHERE move.reseller_client_id IS NOT NULL
                    OR move.reseller_former_statement_id IS NOT NULL
            ), payer AS (
                SELECT payer AS id, company_id,
                       CASE WHEN min(reseller_id) = max(reseller_id)
                            THEN min(reseller_id) END AS reseller_id
                  FROM bill GROUP BY payer, company_id
            )
            SELECT open.id, NULL::date AS date_from, %(last)s::date AS date_to, open.company_id, open.partner_id, open.reseller_id, open.client_id,
                   open.move_id, open.date, open.date_due, open.days_overdue,
                   CASE %(buckets)s ELSE '0' END AS bucket,
                   open.currency_id, open.company_currency_id, open.residual_currency, open.residual
              FROM (
                SELECT line.id, line.company_id, payer.id AS partner_id,
                       CASE WHEN owner.id IS NOT NULL THEN owner.reseller_id
                            -- A payment that names no bill; invoices of something else are not ours.
                            WHEN move.move_type = 'entry' THEN payer.reseller_id END AS reseller_id,
                       owner.id AS client_id, line.move_id, line.date,
                       COALESCE(line.date_maturity, line.date) AS date_due,
                       %(last)s::date - COALESCE(line.date_maturity, line.date) AS days_overdue,
                       line.currency_id, line.company_currency_id,
                       line.amount_currency - COALESCE(settled.in_currency, 0)
                           AS residual_currency,
                       line.balance - COALESCE(settled.amount, 0) AS residual
                  FROM payer
                  JOIN res_partner partner ON partner.commercial_partner_id = payer.id
                  JOIN account_move_line line
                    ON line.partner_id = partner.id AND line.company_id = payer.company_id
                  JOIN account_account account ON account.id = line.account_id
                  JOIN account_move move ON move.id = line.move_id
                  LEFT JOIN bill ON bill.id = line.move_id
                  LEFT JOIN bill reversed ON reversed.id = move.reversed_entry_id
                  LEFT JOIN reseller_client owner
                    ON owner.id = COALESCE(
                       bill.client_id, line.reseller_client_id, reversed.client_id)
                  LEFT JOIN LATERAL (
                       SELECT sum(part.amount) AS amount, sum(part.in_currency) AS in_currency
                         FROM (
                           SELECT amount, debit_amount_currency AS in_currency
                             FROM account_partial_reconcile
                            WHERE debit_move_id = line.id AND max_date <= %(last)s
                            UNION ALL
                           SELECT -amount, -credit_amount_currency
                             FROM account_partial_reconcile
                            WHERE credit_move_id = line.id AND max_date <= %(last)s
                         ) AS part
                  ) AS settled ON TRUE
                 WHERE account.account_type = 'asset_receivable'
                   AND line.parent_state = 'posted'
                   AND line.date <= %(last)s
                   AND (owner.id IS NOT NULL OR move.move_type = 'entry')
                   -- What is only offered is not owed.
                   AND move.reseller_is_offer IS NOT TRUE
              ) AS open
             WHERE open.residual != 0 OR open.residual_currency != 0
            """,
            buckets=buckets,
            last=last,
        )
