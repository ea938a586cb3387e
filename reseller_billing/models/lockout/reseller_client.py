from odoo import api, fields, models
from odoo.tools import SQL

from . import reseller_lockout_debtor  # noqa: F401


class ResellerClient(models.Model):
    """A client's lock-out, for what its bills leave open."""

    _name = "reseller.client"
    _inherit = ["reseller.client", "reseller.lockout.debtor.mixin"]

    lockout_ids = fields.One2many("reseller.lockout", "client_id", string="Lock-out")
    lockout_exception_ids = fields.One2many(
        "reseller.lockout.exception", "client_id", string="Promises and Overrides"
    )

    def _get_lockout_policy(self, day):
        group = self._get_lockout_group(day)
        policy = group.lockout_policy_id or self.reseller_id.lockout_policy_id
        return policy.filtered("active")

    def _is_lockout_exempt(self, day):
        return self._get_lockout_group(day).is_lockout_exempt

    def _get_lockout_group(self, day):
        """Return the group of a day; after the end of service the last one goes on."""
        self.ensure_one()
        rows = self.membership_ids.filtered("date_from").sorted("date_from")
        begun = rows.filtered(lambda row: row.date_from <= day)
        return (begun[-1:] or rows[:1]).group_id

    def _debtors_sql(self, days):
        return SQL(
            """
            SELECT client.id, asked.day, client.company_id, reseller.currency_id
              FROM unnest(%s::int[], %s::date[]) AS asked (client_id, day)
              JOIN reseller_client client ON client.id = asked.client_id
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
            """,
            self.ids,
            days,
        ), SQL(
            "JOIN account_move move ON move.reseller_client_id = debtor.id "
            "JOIN account_move_line line ON line.move_id = move.id"
        )

    def _owed_sql(self):
        """Override of the mixin: also what was paid on account counts, which names no account.

        An account's own credits pay its oldest items first; those of the contact that pays, then, its
        oldest items, whichever account's they are.
        """
        return SQL(
            """
            , open AS (
                SELECT line.id, payer.commercial_partner_id AS payer_id, line.company_id,
                       line.currency_id, document.reseller_client_id AS client_id,
                       line.amount_residual_currency AS residual,
                       COALESCE(line.date_maturity, line.date) AS due
                  FROM account_move_line line
                  LEFT JOIN res_partner payer ON payer.id = line.partner_id
                  %s
                   AND (payer.commercial_partner_id IN (SELECT payer_id FROM item)
                        OR document.reseller_client_id IN (SELECT debtor_id FROM item))
            ), own_credit AS (
                SELECT company_id, currency_id, client_id, -sum(residual) AS amount
                  FROM open WHERE residual < 0 AND client_id IS NOT NULL
                 GROUP BY company_id, currency_id, client_id
            ), own AS (
                SELECT open.id, open.payer_id, open.company_id, open.currency_id, due, residual,
                       own_credit.amount AS credit,
                       sum(residual) OVER (
                           PARTITION BY open.company_id, open.currency_id, open.client_id
                           ORDER BY due, open.id
                       ) AS running
                  FROM open
                  LEFT JOIN own_credit
                    ON own_credit.company_id = open.company_id
                   AND own_credit.currency_id = open.currency_id
                   AND own_credit.client_id = open.client_id
                 WHERE residual > 0
            ), rest AS (
                SELECT id, payer_id, company_id, currency_id, due,
                       LEAST(residual, GREATEST(running - COALESCE(credit, 0), 0)) AS residual
                  FROM own
            ), credit AS (
                SELECT payer_id, company_id, currency_id, -sum(residual) AS amount
                  FROM open WHERE residual < 0 AND client_id IS NULL
                 GROUP BY payer_id, company_id, currency_id
            ), shared AS (
                SELECT rest.id, residual, credit.amount AS credit,
                       sum(residual) OVER (
                           PARTITION BY rest.payer_id, rest.company_id, rest.currency_id
                           ORDER BY due, rest.id
                       ) AS running
                  FROM rest LEFT JOIN credit USING (payer_id, company_id, currency_id)
            ), owed AS (
                SELECT id, LEAST(residual, GREATEST(running - COALESCE(credit, 0), 0)) AS residual
                  FROM shared
            )
            SELECT item.debtor_id, sum(owed.residual),
                   max(item.days) FILTER (WHERE owed.residual > 0)
              FROM item JOIN owed ON owed.id = item.id
             WHERE item.days > 0
             GROUP BY item.debtor_id
            """,
            self._open_items_sql(),
        )

    @api.model
    def _find_lockout_candidates(self):
        """Override of the mixin: by the invoices of accounts, whoever pays them."""
        self.env.flush_all()
        return [
            row[0]
            for row in self.env.execute_query(
                SQL(
                    """
                    SELECT move.reseller_client_id
                      FROM account_move move
                      JOIN account_move_line line ON line.move_id = move.id
                      JOIN account_account account ON account.id = line.account_id
                     WHERE move.reseller_client_id IS NOT NULL AND move.state = 'posted'
                       AND move.payment_state IN ('not_paid', 'partial')
                       AND account.account_type = 'asset_receivable'
                       AND line.amount_residual_currency > 0
                       AND COALESCE(line.date_maturity, line.date) <= CURRENT_DATE
                     UNION
                    SELECT client_id FROM reseller_lockout
                     WHERE client_id IS NOT NULL AND state != 'clear'
                     ORDER BY 1
                    """
                )
            )
        ]

    def _get_debt_domain(self):
        return [("reseller_client_id", "=", self.id)]
