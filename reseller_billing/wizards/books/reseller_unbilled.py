from collections import defaultdict
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL, date_utils


class ResellerUnbilled(models.TransientModel):
    """What clients have used and nobody has invoiced, less what is invoiced and not served, over some days.

    Opening and closing are what month's ends on these evenings show; billed is what the ledger has.
    Amounts are without taxes. What packages pay for is in their own roll-forward.
    """

    _name = "reseller.unbilled"
    _description = "Roll-Forward of What Is Unbilled"
    _order = "reseller_id, client_id, feature_id, id"
    _rec_name = "client_id"

    company_id = fields.Many2one("res.company", readonly=True)
    client_id = fields.Many2one("reseller.client", readonly=True)
    reseller_id = fields.Many2one("reseller.reseller", readonly=True)
    feature_id = fields.Many2one(
        "reseller.feature",
        readonly=True,
        help="Empty: extra lines of contracts, and charges by hand.",
    )
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    date_from = fields.Date(string="First Day", readonly=True)
    date_to = fields.Date(string="Last Day", readonly=True)
    opening = fields.Monetary(readonly=True, help="On the evening before the first day.")
    earned = fields.Monetary(
        readonly=True,
        help="What was used and served on these days: closing less opening, and billed.",
    )
    billed = fields.Monetary(readonly=True, help="Invoices less credit notes, by their dates.")
    closing = fields.Monetary(readonly=True, help="On the evening of the last day.")
    accrued = fields.Monetary(
        string="Earned, Not Invoiced",
        readonly=True,
        help="Of the closing: a month's end accrues it.",
    )
    deferred = fields.Monetary(
        string="Invoiced, Not Earned",
        readonly=True,
        help="Of the closing: a month's end defers it.",
    )
    opening_balance = fields.Monetary(
        string="Opening, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="At the rate of that day.",
    )
    earned_balance = fields.Monetary(
        string="Earned, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="At the rate of the last day.",
    )
    billed_balance = fields.Monetary(
        string="Billed, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="As it was booked.",
    )
    exchange_balance = fields.Monetary(
        string="Exchange, Company Currency", readonly=True, currency_field="company_currency_id"
    )
    closing_balance = fields.Monetary(
        string="Closing, Company Currency",
        readonly=True,
        currency_field="company_currency_id",
        help="At the rate of the last day.",
    )

    @api.model
    def _make(self, company, first, last):
        """Make the rows of a company's clients, and return them.

        :param date first: the opening is that of the evening before
        :param date last: the closing is that of its evening
        """
        self.env["res.users"]._check_billing_manager()
        before = date_utils.subtract(first, days=1)
        opening, closing = (self._load_nets(company, day) for day in (before, last))
        billed = self._load_billed(company, first, last)
        rows, clients = [], self.env["reseller.client"]
        for client, feature, currency in sorted({*opening, *closing, *billed}):
            key = client, feature, currency
            money = self.env["res.currency"].browse(currency)

            def value(amount, day, money=money):
                return money._convert(amount, company.currency_id, company, day)

            accrued, deferred = closing.get(key, (0.0, 0.0))
            opened, closed = (
                money.round(a - b) for a, b in (opening.get(key, (0.0, 0.0)), (accrued, deferred))
            )
            invoiced, booked = billed.get(key, (0.0, 0.0))
            earned = money.round(closed - opened + invoiced)
            balances = value(opened, before), value(earned, last), booked, value(closed, last)
            if not any((opened, closed, invoiced, earned)):
                continue
            rows.append(
                {
                    "company_id": company.id,
                    "client_id": client,
                    "reseller_id": clients.browse(client).reseller_id.id,
                    "feature_id": feature,
                    "currency_id": currency,
                    "date_from": first,
                    "date_to": last,
                    "opening": opened,
                    "earned": earned,
                    "billed": invoiced,
                    "closing": closed,
                    "accrued": accrued,
                    "deferred": deferred,
                    "opening_balance": balances[0],
                    "earned_balance": balances[1],
                    "billed_balance": balances[2],
                    "exchange_balance": balances[3] - balances[0] - balances[1] + balances[2],
                    "closing_balance": balances[3],
                }
            )
        return self.create(rows)

    @api.model
    def _load_nets(self, company, day):
        """Return {(client id, feature id, currency id): (accrued, deferred)} of a month's end on a day; the
        feature is 0 for extra lines and charges by hand.
        """
        end = self.env["reseller.month.end"].with_company(company)
        end = end.new({"company_id": company.id, "date": day})
        found = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for key, (accrued, deferred, *_used) in end._get_client_nets(end._rate()).items():
            client, item, currency, *_place = key
            sums = found[client, item.id if item._name == "reseller.feature" else 0, currency]
            sums[0] += accrued
            sums[1] += deferred
        return {key: tuple(map(float, sums)) for key, sums in found.items()}

    @api.model
    def _load_billed(self, company, first, last):
        """Return {(client id, feature id, currency id): (amount, in the company's currency)} of what invoices and
        credit notes have booked as income.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line.reseller_client_id, COALESCE(line.reseller_feature_id, 0),
                       line.currency_id, -sum(line.amount_currency), -sum(line.balance)
                  FROM account_move_line line
                  JOIN account_account account ON account.id = line.account_id
                  JOIN account_journal journal ON journal.id = line.journal_id
                 WHERE line.company_id = %s AND line.date BETWEEN %s AND %s
                   AND line.reseller_client_id IS NOT NULL
                   AND line.parent_state = 'posted' AND line.display_type = 'product'
                   -- What reverses a credit note is an entry; what packages earn lies elsewhere.
                   AND journal.type = 'sale'
                   AND account.account_type IN ('income', 'income_other')
                 GROUP BY 1, 2, 3
                """,
                company.id,
                first,
                last,
            )
        )
        return {tuple(row[:3]): (float(row[3]), float(row[4])) for row in rows}
