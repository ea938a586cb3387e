from odoo import fields, models
from odoo.tools import SQL


class ResellerAccountEntry(models.Model):
    """The itemised history of who pays: the receivable ledger, with the charges of each bill.

    The balance runs over the ledger's own entries. The lines of charges show what a bill is made
    of, before added taxes; they do not count a second time.
    """

    _name = "reseller.account.entry"
    _description = "Entry of an Account's History"
    _auto = False
    _order = "date desc, position desc, is_charge, id desc"
    # What has to reach the database before this is read.
    _depends = {
        "account.move": ["state", "move_type", "reseller_client_id", "reseller_is_offer", "date"],
        "account.move.line": [
            "account_id",
            "amount_currency",
            "amount_residual_currency",
            "date_maturity",
            "parent_state",
            "partner_id",
        ],
        "reseller.statement": ["invoice_id"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Payer", readonly=True)
    client_id = fields.Many2one("reseller.client", string="Account", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    date = fields.Date(readonly=True)
    date_due = fields.Date(string="Due", readonly=True)
    move_id = fields.Many2one("account.move", string="Document", readonly=True)
    position = fields.Integer(readonly=True, help="Documents of one day in the order of entry.")
    charge_id = fields.Many2one("reseller.charge", readonly=True)
    is_charge = fields.Boolean(readonly=True)
    is_offer = fields.Boolean(
        readonly=True, help="It sells only what may be used once it is paid: nothing is owed yet."
    )
    kind = fields.Selection(
        [
            ("invoice", "Invoice"),
            ("credit", "Credit note"),
            ("payment", "Payment"),
            ("other", "Other entry"),
            ("charge", "Charge"),
        ],
        readonly=True,
    )
    name = fields.Char(string="Description", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    charge_amount = fields.Monetary(
        string="Of Which", readonly=True, help="As priced, before added taxes."
    )
    amount = fields.Monetary(
        readonly=True, help="What is owed more, or less if below zero, taxes included."
    )
    residual = fields.Monetary(string="Open", readonly=True)
    balance = fields.Monetary(
        readonly=True, aggregator=None, help="What the payer owed after this entry."
    )

    @property
    def _table_query(self):
        return SQL(
            """
            WITH payer AS (
                SELECT partner.commercial_partner_id FROM reseller_client client
                  JOIN res_partner partner ON partner.id = client.partner_id
                 UNION
                SELECT partner.commercial_partner_id FROM reseller_reseller reseller
                  JOIN res_partner partner ON partner.id = reseller.partner_id
                 UNION
                SELECT commercial_partner_id FROM account_move WHERE reseller_client_id IS NOT NULL
            )
            SELECT entry.*,
                   sum(amount) OVER (
                       PARTITION BY company_id, partner_id, currency_id
                       ORDER BY date, position, is_charge, id) AS balance
              FROM (
                SELECT line.id * 2 AS id, line.company_id, partner.commercial_partner_id AS partner_id,
                       move.reseller_client_id AS client_id, client.reseller_id,
                       line.date, line.date_maturity AS date_due, move.id AS move_id,
                       move.id AS position,
                       NULL::integer AS charge_id, FALSE AS is_charge,
                       COALESCE(move.reseller_is_offer, FALSE) AS is_offer,
                       CASE WHEN move.move_type IN ('out_invoice', 'out_receipt') THEN 'invoice'
                            WHEN move.move_type = 'out_refund' THEN 'credit'
                            WHEN move.origin_payment_id IS NOT NULL
                              OR move.statement_line_id IS NOT NULL THEN 'payment'
                            ELSE 'other' END AS kind,
                       CASE WHEN move.move_type = 'entry' THEN COALESCE(line.name, move.ref)
                            ELSE move.ref END AS name,
                       line.currency_id, NULL::numeric AS charge_amount,
                       line.amount_currency AS amount, line.amount_residual_currency AS residual
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN account_account account ON account.id = line.account_id
                  JOIN res_partner partner ON partner.id = line.partner_id
                  LEFT JOIN reseller_client client ON client.id = move.reseller_client_id
                 WHERE line.parent_state = 'posted'
                   AND account.account_type = 'asset_receivable'
                   AND partner.commercial_partner_id IN (TABLE payer)
                UNION ALL
                SELECT charge.id * 2 + 1, charge.company_id,
                       COALESCE(
                           move.commercial_partner_id,
                           CASE WHEN reseller.invoice_to = 'reseller' THEN theirs.commercial_partner_id
                                ELSE own.commercial_partner_id END),
                       charge.client_id, charge.reseller_id, COALESCE(move.date, charge.bill_date),
                       NULL::date, move.id, COALESCE(move.id, 0), charge.id, TRUE, FALSE, 'charge',
                       charge.name, charge.currency_id, charge.amount, 0, 0
                  FROM reseller_charge charge
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  JOIN reseller_client client ON client.id = charge.client_id
                  JOIN reseller_reseller reseller ON reseller.id = charge.reseller_id
                  JOIN res_partner own ON own.id = client.partner_id
                  JOIN res_partner theirs ON theirs.id = reseller.partner_id
                  LEFT JOIN account_move move ON move.id = statement.invoice_id
                 WHERE move.state = 'posted'
                    OR (move.id IS NULL AND statement.state = 'approved')
              ) AS entry
            """
        )
