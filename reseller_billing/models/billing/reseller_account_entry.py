from odoo import api, fields, models
from odoo.fields import Domain
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
        "account.partial.reconcile": ["debit_move_id", "credit_move_id"],
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
            ("exchange", "Against another currency"),
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
            ), ledger AS NOT MATERIALIZED (
                SELECT line.id, line.company_id, partner.commercial_partner_id AS partner_id,
                       move.reseller_client_id AS client_id, client.reseller_id, line.date,
                       line.date_maturity, line.move_id, move.move_type, move.ref, line.name,
                       COALESCE(move.reseller_is_offer, FALSE) AS is_offer,
                       move.origin_payment_id IS NOT NULL
                           OR move.statement_line_id IS NOT NULL AS is_payment,
                       line.currency_id, line.amount_currency, line.amount_residual_currency
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN account_account account ON account.id = line.account_id
                  JOIN res_partner partner ON partner.id = line.partner_id
                  LEFT JOIN reseller_client client ON client.id = move.reseller_client_id
                 WHERE line.parent_state = 'posted'
                   AND account.account_type = 'asset_receivable'
                   AND partner.commercial_partner_id IN (TABLE payer)
            )
            SELECT entry.*,
                   sum(amount) OVER (
                       PARTITION BY company_id, partner_id, currency_id
                       ORDER BY date, position, is_charge, id) AS balance
              FROM (
                SELECT line.id * 4 AS id, line.company_id, line.partner_id, line.client_id,
                       line.reseller_id, line.date, line.date_maturity AS date_due, line.move_id,
                       line.move_id AS position, NULL::integer AS charge_id, FALSE AS is_charge,
                       line.is_offer,
                       CASE WHEN line.move_type IN ('out_invoice', 'out_receipt') THEN 'invoice'
                            WHEN line.move_type = 'out_refund' THEN 'credit'
                            WHEN line.is_payment THEN 'payment'
                            ELSE 'other' END AS kind,
                       CASE WHEN line.move_type = 'entry' THEN COALESCE(line.name, line.ref)
                            ELSE line.ref END AS name,
                       line.currency_id, NULL::numeric AS charge_amount,
                       line.amount_currency AS amount, line.amount_residual_currency AS residual
                  FROM ledger line
                UNION ALL
                -- Paid in another currency: what that was worth in each of the two.
                SELECT side.id * 4 + side.place, line.company_id, line.partner_id, line.client_id,
                       line.reseller_id, side.max_date, NULL::date, other.move_id,
                       greatest(line.move_id, other.move_id) + 1, NULL::integer, FALSE, FALSE,
                       'exchange', counterpart.name, line.currency_id, NULL::numeric, side.amount, 0
                  FROM ledger line
                  -- From the line by its indexes, not through all that was ever reconciled.
                 CROSS JOIN LATERAL (
                    SELECT 2 AS place, id, max_date, credit_move_id AS other_id,
                           -debit_amount_currency AS amount
                      FROM account_partial_reconcile WHERE debit_move_id = line.id
                     UNION ALL
                    SELECT 3, id, max_date, debit_move_id, credit_amount_currency
                      FROM account_partial_reconcile WHERE credit_move_id = line.id
                  ) AS side
                  JOIN account_move_line other ON other.id = side.other_id
                   AND other.currency_id != line.currency_id
                  JOIN account_move counterpart ON counterpart.id = other.move_id
                UNION ALL
                SELECT charge.id * 4 + 1, charge.company_id,
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

    @api.model
    def _load_balances(self, domain, today, keys=("partner_id", "company_id", "currency_id")):
        """Return {(payer, company, currency): (open, overdue)} of what is owed; floats.

        :param domain: of entries
        :param date today: what was due before is overdue
        :param keys: by which fields it is told apart
        """
        # What is only offered is not owed.
        domain = Domain(domain) & Domain("is_charge", "=", False) & Domain("is_offer", "=", False)
        found = {
            tuple(key): (total, 0.0)
            for *key, total in self._read_group(domain, list(keys), ["residual:sum"])
        }
        domain &= Domain("date_due", "<", today)
        for *key, total in self._read_group(domain, list(keys), ["residual:sum"]):
            found[tuple(key)] = (found[tuple(key)][0], total)
        return found
