from odoo import api, fields, models
from odoo.tools import SQL

# The columns of an entry, in the order in which they are inserted.
COLUMNS = (
    "lot_id",
    "kind",
    "date",
    "usage_date",
    "level_id",
    "quantity",
    "cost",
    "balance",
    "tax",
    "statement_id",
    "move_id",
    "reason",
)


class ResellerPrepaidEntry(models.Model):
    """What a lot of units was given, and what was taken of it and given back: rows are only added.

    A bill draws for the use of each day and price level apart: these are facts that no later bill
    moves (rating 12).
    """

    _name = "reseller.prepaid.entry"
    _description = "Entry of Prepaid Units"
    _order = "id desc"
    _log_access = False

    lot_id = fields.Many2one(
        "reseller.prepaid.lot", required=True, readonly=True, index=True, ondelete="restrict"
    )
    client_id = fields.Many2one(related="lot_id.client_id")
    feature_id = fields.Many2one(related="lot_id.feature_id")
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True, ondelete="restrict")
    kind = fields.Selection(
        [
            ("buy", "Bought"),
            ("grant", "Released"),
            ("cancel", "Taken back"),
            ("draw", "Drawn by a bill"),
            ("return", "Given back"),
            ("expire", "Expired"),
            ("refund", "Refunded"),
        ],
        required=True,
        readonly=True,
    )
    date = fields.Date(required=True, readonly=True)
    usage_date = fields.Date(string="For Use On", readonly=True)
    level_id = fields.Many2one("reseller.feature.level", readonly=True, ondelete="restrict")
    quantity = fields.Float(
        string="Units",
        required=True,
        readonly=True,
        min_display_digits=0,
        help="Below zero: taken.",
    )
    cost = fields.Monetary(readonly=True, help="Of the units, what was paid for them.")
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    balance = fields.Monetary(
        string="Cost, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="At the rate at which it was sold.",
    )
    vat_mode = fields.Selection(related="lot_id.vat_mode")
    tax = fields.Monetary(
        string="Taxes",
        readonly=True,
        help="That became due with this entry: at receipt with the invoice, at use with what is used. Below "
        "zero: given back.",
    )
    statement_id = fields.Many2one(
        "reseller.statement", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    move_id = fields.Many2one(
        "account.move",
        string="Journal Entry",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    reason = fields.Char(readonly=True)

    _used = models.Index("(lot_id, usage_date) WHERE usage_date IS NOT NULL")

    @api.model
    def _insert(self, rows):
        """Insert entries with their exact values.

        The ORM would pass quantities through floats.

        :param rows: dicts with values for COLUMNS, Decimals for exact numbers
        """
        if not rows:
            return
        # ORM writes that these rows refer to come first.
        self.env.flush_all()
        self.env.cr.execute_values(
            f"""
            INSERT INTO reseller_prepaid_entry ({", ".join(COLUMNS)}, company_id, currency_id)
            SELECT row.*, lot.company_id, lot.currency_id
              FROM (VALUES %s) AS row ({", ".join(COLUMNS)})
              JOIN reseller_prepaid_lot lot ON lot.id = row.lot_id
            """,
            [tuple(row.get(name) for name in COLUMNS) for row in rows],
            template="(%s::int, %s, %s::date, %s::date, %s::int, %s::numeric, %s::numeric, "
            "%s::numeric, %s::numeric, %s::int, %s::int, %s)",
        )
        self.env.cr.execute(
            SQL(
                """
                UPDATE reseller_prepaid_lot lot SET is_spent = rest.units = 0
                  FROM (SELECT lot_id, sum(quantity) AS units FROM reseller_prepaid_entry
                         WHERE lot_id = ANY(%s) GROUP BY lot_id) AS rest
                 WHERE lot.id = rest.lot_id AND lot.is_spent IS DISTINCT FROM (rest.units = 0)
                """,
                list({row["lot_id"] for row in rows}),
            )
        )
        self.env["reseller.prepaid.lot"].invalidate_model(
            ["entry_ids", "left", "cost_left", "is_spent"]
        )

    @api.model
    def _find_moves(self, statements):
        """Return the journal entries that book what bills drew of lots, what expired, and the exchange
        differences of refunds; credit notes of refunds are documents of their own.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                "SELECT DISTINCT entry.move_id FROM reseller_prepaid_entry entry "
                "JOIN account_move move ON move.id = entry.move_id AND move.move_type = 'entry' "
                "WHERE entry.statement_id = ANY(%s) AND entry.kind IN ('draw', 'expire', 'refund') "
                "ORDER BY entry.move_id",
                statements.ids,
            )
        )
        return self.env["account.move"].browse([row[0] for row in rows])
