from odoo import fields, models
from odoo.tools import SQL


class ResellerTaxSummary(models.Model):
    """Net amounts and taxes of statements' invoices and credit notes, as the ledger has them."""

    _name = "reseller.tax.summary"
    _description = "Taxes of Statements"
    _auto = False
    _order = "date desc, move_id, tax_id"
    _rec_name = "move_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move": ["commercial_partner_id", "date", "move_type"],
        "reseller.prepaid.entry": ["kind", "lot_id", "move_id"],
        "reseller.prepaid.lot": ["vat_mode"],
        "account.move.line": [
            "account_id",
            "balance",
            "display_type",
            "date",
            "parent_state",
            "partner_id",
            "reseller_client_id",
            "reseller_taxed_later",
            "tax_ids",
            "tax_line_id",
        ],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    client_id = fields.Many2one("reseller.client", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Payer", readonly=True)
    country_id = fields.Many2one("res.country", readonly=True, help="Of the payer.")
    move_id = fields.Many2one("account.move", string="Document", readonly=True)
    date = fields.Date(readonly=True)
    tax_id = fields.Many2one(
        "account.tax", readonly=True, help="Empty: what was sold without a tax."
    )
    currency_id = fields.Many2one("res.currency", readonly=True)
    net = fields.Monetary(
        readonly=True,
        help="In the company's currency, each line once, whatever number of taxes it has; below zero: given back.",
    )
    base = fields.Monetary(string="Tax Base", readonly=True, help="What the tax is computed from.")
    tax = fields.Monetary(string="Tax Amount", readonly=True, help="In the company's currency.")

    @property
    def _table_query(self):
        return SQL(
            """
            WITH ours AS (
                -- Also what reverses or replaces them: its lines tell whose they are.
                SELECT move_id, min(reseller_client_id) AS client_id,
                       -- Entries have their partner on their lines alone.
                       min(partner_id) AS partner_id
                  FROM account_move_line
                 WHERE reseller_client_id IS NOT NULL AND parent_state = 'posted'
                 GROUP BY move_id
            )
            SELECT row_number() OVER (ORDER BY part.move_id, part.tax_id) AS id, move.company_id,
                   client.reseller_id, ours.client_id, partner.id AS partner_id,
                   partner.country_id, part.move_id, move.date, part.tax_id,
                   company.currency_id, sum(part.net) AS net, sum(part.base) AS base,
                   sum(part.tax) AS tax
              FROM (
                SELECT line.move_id, used.tax_id, used.base, used.net, 0::numeric AS tax
                  FROM ours
                  JOIN account_move_line line ON line.move_id = ours.move_id
                  JOIN account_move move ON move.id = line.move_id
                  JOIN res_company company ON company.id = line.company_id
                 CROSS JOIN LATERAL (
                       SELECT COALESCE(child.child_tax, rel.account_tax_id) AS tax_id,
                              -line.balance AS base,
                              CASE WHEN row_number() OVER (
                                       ORDER BY rel.account_tax_id, child.child_tax) = 1
                                   THEN -line.balance ELSE 0 END AS net
                         FROM account_move_line_account_tax_rel rel
                         LEFT JOIN account_tax_filiation_rel child
                           ON child.parent_tax = rel.account_tax_id
                        WHERE rel.account_move_line_id = line.id
                        UNION ALL
                       SELECT NULL, 0, -line.balance
                        WHERE NOT EXISTS (
                              SELECT FROM account_move_line_account_tax_rel rel
                               WHERE rel.account_move_line_id = line.id)
                          -- What is paid ahead and taxed at its use is no sale.
                          AND line.account_id IS DISTINCT FROM company.reseller_deposit_account_id
                          AND line.reseller_taxed_later IS NOT TRUE
                          AND NOT (line.account_id = company.reseller_prepaid_account_id
                                   AND move.move_type = 'entry')
                       ) AS used
                 WHERE line.display_type IN ('product', 'epd', 'rounding')
                 UNION ALL
                SELECT line.move_id, line.tax_line_id, 0, 0, -line.balance
                  FROM ours
                  JOIN account_move_line line ON line.move_id = ours.move_id
                 WHERE line.tax_line_id IS NOT NULL
              ) AS part
              JOIN ours ON ours.move_id = part.move_id
              JOIN account_move move ON move.id = part.move_id
              JOIN res_partner partner
                ON partner.id = COALESCE(move.commercial_partner_id, ours.partner_id)
              JOIN res_company company ON company.id = move.company_id
              JOIN reseller_client client ON client.id = ours.client_id
             WHERE move.move_type IN ('out_invoice', 'out_refund')
                -- Of packages that are taxed at use, the entries of their use, and what reverses these.
                OR EXISTS (
                   SELECT FROM reseller_prepaid_entry entry
                     JOIN reseller_prepaid_lot lot ON lot.id = entry.lot_id
                    WHERE entry.move_id IN (part.move_id, move.reversed_entry_id)
                      AND entry.kind = 'draw' AND lot.vat_mode = 'use')
             GROUP BY part.move_id, part.tax_id, move.company_id, client.reseller_id,
                      ours.client_id, partner.id, move.date, company.currency_id
            """
        )
