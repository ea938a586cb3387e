import json

from odoo import fields, models
from odoo.tools import SQL

from . import reseller_report_mixin  # noqa: F401

# What an entry of a lot is in the roll-forward.
COLUMNS = {
    "buy": "added",
    "grant": "added",
    "cancel": "added",
    "draw": "used",
    "return": "used",
    "expire": "expired",
    "debit": "expired",
    "refund": "refunded",
}
MOVED = ("added", "used", "expired", "refunded", "accrued", "exchange", "other")


class ResellerRollforward(models.Model):
    """What is owed for wallets and packages, from one day to another: as the ledger has it.

    Amounts are what the accounts of deposits and packages owe: above zero, in the currency of the
    bills and in the company's, as it was booked. Opening and what moved it add up to the closing.
    """

    _name = "reseller.rollforward"
    _description = "Roll-Forward of Wallets and Packages"
    _inherit = ["reseller.report.mixin"]
    _auto = False
    _order = "company_id, kind, reseller_id, client_id, currency_id"
    _rec_name = "client_id"
    # What has to reach the database before this is read.
    _depends = {
        "account.move": ["reseller_client_id", "reseller_month_end", "reversed_entry_id"],
        "account.move.line": [
            "account_id",
            "amount_currency",
            "balance",
            "currency_id",
            "date",
            "parent_state",
            "reseller_client_id",
            "reseller_settles",
        ],
        "reseller.client": ["reseller_id"],
        "res.company": ["reseller_deposit_account_id", "reseller_prepaid_account_id"],
        "reseller.prepaid.entry": ["move_id", "kind"],
        "reseller.wallet.entry": ["move_id", "kind"],
    }

    company_id = fields.Many2one("res.company", readonly=True)
    kind = fields.Selection([("money", "Wallets"), ("units", "Packages")], readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    client_id = fields.Many2one("reseller.client", readonly=True)
    account_id = fields.Many2one("account.account", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_currency_id = fields.Many2one("res.currency", readonly=True)

    opening = fields.Monetary(readonly=True, help="What was owed before the first day.")
    added = fields.Monetary(readonly=True, help="Paid in and bought.")
    used = fields.Monetary(readonly=True, help="Drawn by bills, less what void ones gave back.")
    expired = fields.Monetary(
        readonly=True, help="Income as breakage; also what was taken out by hand."
    )
    refunded = fields.Monetary(readonly=True)
    accrued = fields.Monetary(
        string="At Month's End",
        readonly=True,
        help="What a month's end has booked as used or expired, and takes back the day after: of no client.",
    )
    exchange = fields.Monetary(
        readonly=True, help="Nothing: exchange differences are in the company's currency alone."
    )
    other = fields.Monetary(readonly=True, help="What nothing here has booked: entries by hand.")
    closing = fields.Monetary(readonly=True, help="What is owed on the evening of the last day.")
    opening_balance = fields.Monetary(
        string="Opening, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    added_balance = fields.Monetary(
        string="Added, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    used_balance = fields.Monetary(
        string="Used, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    expired_balance = fields.Monetary(
        string="Expired, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
    )
    refunded_balance = fields.Monetary(
        string="Refunded, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    accrued_balance = fields.Monetary(
        string="At Month's End, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
    )
    exchange_balance = fields.Monetary(
        string="Exchange, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    other_balance = fields.Monetary(
        string="Other, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    closing_balance = fields.Monetary(
        string="Closing, Company Currency", readonly=True, currency_field="company_currency_id"
    )

    @property
    def _table_query(self):
        first, last = self._get_report_days()
        sums = [
            SQL(
                "sum(amount) FILTER (WHERE part = %(part)s) AS %(name)s,"
                " sum(balance) FILTER (WHERE part = %(part)s) AS %(in_company)s",
                part=part,
                name=SQL.identifier(part),
                in_company=SQL.identifier(f"{part}_balance"),
            )
            for part in ("opening", *MOVED)
        ]
        return SQL(
            """
            SELECT row_number() OVER (
                       ORDER BY item.company_id, item.kind, item.client_id, item.account_id,
                                item.currency_id) AS id,
                   %(first)s::date AS date_from, %(last)s::date AS date_to,
                   item.company_id, item.kind, item.client_id, client.reseller_id,
                   item.account_id, item.currency_id,
                   max(company.currency_id) AS company_currency_id, %(sums)s,
                   sum(amount) AS closing, sum(balance) AS closing_balance
              FROM (
                SELECT line.company_id, account.kind, line.account_id, line.currency_id,
                       COALESCE(line.reseller_client_id, move.reseller_client_id) AS client_id,
                       -line.amount_currency AS amount, -line.balance AS balance,
                       CASE WHEN line.date < %(first)s THEN 'opening'
                            WHEN COALESCE(move.reseller_month_end, reversed.reseller_month_end)
                                 IS NOT NULL THEN 'accrued'
                            WHEN line.amount_currency = 0 THEN 'exchange'
                            -- What lowers an invoice is drawn by it, whatever else that sells.
                            WHEN line.reseller_settles = 'advance'
                                 AND COALESCE(entry.kind, 'buy') = 'buy' THEN 'used'
                            ELSE COALESCE(%(parts)s::jsonb ->> entry.kind, 'other') END AS part
                  FROM res_company company
                 CROSS JOIN LATERAL (
                       VALUES ('money', company.reseller_deposit_account_id),
                              ('units', company.reseller_prepaid_account_id)
                       ) AS account (kind, id)
                  JOIN account_move_line line
                    ON line.account_id = account.id AND line.company_id = company.id
                  JOIN account_move move ON move.id = line.move_id
                  LEFT JOIN account_move reversed ON reversed.id = move.reversed_entry_id
                  LEFT JOIN LATERAL (
                       -- What is given back is less of what was taken.
                       SELECT found.kind FROM (
                           SELECT move_id, kind FROM reseller_wallet_entry
                            WHERE move_id IN (move.id, move.reversed_entry_id)
                              AND account.kind = 'money'
                            UNION ALL
                           SELECT move_id, kind FROM reseller_prepaid_entry
                            WHERE move_id IN (move.id, move.reversed_entry_id)
                              AND account.kind = 'units'
                       ) AS found
                       ORDER BY found.move_id
                       LIMIT 1
                  ) AS entry ON line.date >= %(first)s
                 WHERE line.parent_state = 'posted' AND line.date <= %(last)s
              ) AS item
              JOIN res_company company ON company.id = item.company_id
              LEFT JOIN reseller_client client ON client.id = item.client_id
             GROUP BY item.company_id, item.kind, item.client_id, client.reseller_id,
                      item.account_id, item.currency_id
            """,
            sums=SQL(", ").join(sums),
            first=first,
            last=last,
            parts=json.dumps(COLUMNS),
        )
