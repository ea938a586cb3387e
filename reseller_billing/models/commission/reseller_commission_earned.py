from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from odoo import models
from odoo.tools import SQL

from ..billing.reseller_charge import METERED

# Of what a reseller earns its share.
BASES = [("billed", "What is billed"), ("paid", "What is paid")]


@dataclass(frozen=True, slots=True)
class Sold:
    """A line of a client's invoice, or credit note, that earns a commission."""

    line_id: int
    move_id: int
    document: str
    client_id: int
    feature_id: int | None
    level_id: int | None
    day: date  # of the bill, or of the one that it adjusts: its rate holds, whatever document bills it
    booked: date  # of the document
    name: str
    net: Fraction  # below zero on credit notes; what a bonus has lowered it by is off


class ResellerCommissionEarned(models.AbstractModel):
    """What a reseller has earned until a day, as the books know it now (wholesale W13)."""

    _name = "reseller.commission.earned"
    _description = "Commissions Earned"

    def _load_sold(self, reseller, until):
        """Return the Solds of a reseller's clients' bills from its settlement on, invoiced until a day.

        A bill that is made again, or whose invoice is replaced, keeps its day. Money that is paid in is no
        revenue: it earns when it is used. A bonus that lowers a bill lowers lines of its taxes alike, those of
        use alone where the wallet pays for use alone.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                WITH sold AS (
                    SELECT line.id, move.id AS move_id, move.name AS document, charge.client_id,
                           charge.feature_id, charge.level_id,
                           COALESCE(adjusted.bill_date, statement.bill_date) AS day,
                           move.invoice_date, line.name,
                           CASE move.move_type WHEN 'out_refund' THEN -1 ELSE 1 END AS sign,
                           line.price_subtotal AS net,
                           client.wallet_use IS DISTINCT FROM 'usage'
                               OR charge.kind = ANY(%(metered)s) AS is_lowered,
                           ARRAY(SELECT rel.account_tax_id FROM account_move_line_account_tax_rel rel
                                  WHERE rel.account_move_line_id = line.id ORDER BY 1) AS taxes
                      FROM account_move move
                      JOIN account_move_line line ON line.move_id = move.id
                      JOIN reseller_charge charge ON charge.id = line.charge_id
                      JOIN reseller_statement statement ON statement.id = charge.statement_id
                      LEFT JOIN reseller_statement adjusted
                        ON adjusted.id = charge.adjusts_statement_id
                      JOIN reseller_client client ON client.id = charge.client_id
                     WHERE client.reseller_id = %(reseller)s
                       AND move.state = 'posted' AND move.move_type IN ('out_invoice', 'out_refund')
                       AND move.currency_id = %(currency)s
                       AND move.invoice_date <= %(until)s
                       AND COALESCE(adjusted.bill_date, statement.bill_date) >= %(first)s
                       AND charge.grants IS DISTINCT FROM 'money'
                ), bonus AS (
                    SELECT line.move_id, line.price_subtotal AS net,
                           ARRAY(SELECT rel.account_tax_id FROM account_move_line_account_tax_rel rel
                                  WHERE rel.account_move_line_id = line.id ORDER BY 1) AS taxes
                      FROM account_move_line line
                     WHERE line.reseller_settles = 'bonus'
                       AND line.move_id IN (SELECT move_id FROM sold)
                )
                SELECT id, move_id, document, client_id, feature_id, level_id, day, invoice_date, name,
                       (sign * net)::text,
                       CASE WHEN is_lowered THEN COALESCE((
                           SELECT sum(bonus.net) FROM bonus
                            WHERE bonus.move_id = sold.move_id AND bonus.taxes = sold.taxes), 0)
                            ELSE 0 END::text,
                       sum(net) FILTER (WHERE is_lowered)
                           OVER (PARTITION BY move_id, taxes)::text
                  FROM sold
                 ORDER BY invoice_date, move_id, id
                """,
                reseller=reseller.id,
                currency=reseller.currency_id.id,
                first=reseller.settlement_date,
                until=until,
                metered=list(METERED),
            )
        )
        return [
            Sold(
                *row,
                Fraction(net)
                * (
                    1 + Fraction(bonus) / Fraction(whole)
                    if Fraction(bonus) and Fraction(whole)
                    else 1
                ),
            )
            for *row, net, bonus, whole in rows
        ]

    def _documents_sql(self, move_ids, until):
        """Return the query of invoices with the posted documents that take them back, and those that take these
        back: ``move_id``, ``of_id`` (the invoice), ``sign``, and of what an advance has settled, which
        lowers a document, ``settled`` (taxes included) and ``settled_net``.
        """
        return SQL(
            """
            WITH RECURSIVE document AS (
                SELECT id AS move_id, id AS of_id FROM account_move WHERE id = ANY(%(moves)s)
                 UNION
                SELECT note.id, document.of_id
                  FROM document JOIN account_move note ON note.reversed_entry_id = document.move_id
                 WHERE note.state = 'posted' AND note.invoice_date <= %(until)s
                   AND NOT EXISTS (SELECT FROM account_move_line line
                                    WHERE line.move_id = note.id AND line.charge_id IS NOT NULL)
            )
            SELECT document.move_id, document.of_id,
                   CASE move.move_type WHEN 'out_refund' THEN -1 ELSE 1 END AS sign,
                   move.amount_total AS total, move.amount_untaxed AS net,
                   COALESCE(-advance.total, 0) AS settled, COALESCE(-advance.net, 0) AS settled_net
              FROM document
              JOIN account_move move ON move.id = document.move_id
              LEFT JOIN LATERAL (
                SELECT sum(line.price_total) AS total, sum(line.price_subtotal) AS net
                  FROM account_move_line line
                 WHERE line.move_id = move.id AND line.reseller_settles = 'advance') advance ON TRUE
            """,
            moves=list(move_ids),
            until=until,
        )

    def _load_shares(self, move_ids, basis, until):
        """Return {invoice id: Fraction} of what counts of invoices until a day.

        :param str basis: *billed*: what is not credited, net; *paid*: money received less money paid back, of
            what the invoice comes to
        """
        money = self._load_money(move_ids, until) if basis == "paid" else {}
        shares = {}
        for number, net, left, total, settled in self.env.execute_query(
            SQL(
                """
                SELECT of_id,
                       sum(sign * (net + settled_net)) FILTER (WHERE move_id = of_id)::text,
                       sum(sign * (net + settled_net))::text,
                       sum(sign * (total + settled)) FILTER (WHERE move_id = of_id)::text,
                       sum(sign * settled)::text
                  FROM (%s) AS document
                 GROUP BY of_id
                """,
                self._documents_sql(move_ids, until),
            )
        ):
            # Before what an advance has settled, whose money came with the advance.
            whole, part = (
                (Fraction(total), money.get(number, Fraction(0)) + Fraction(settled))
                if basis == "paid"
                else (Fraction(net), Fraction(left))
            )
            # What comes to nothing is paid by nothing.
            shares[number] = part / whole if whole else Fraction(1)
        return shares

    def _load_money(self, move_ids, until):
        """Return {invoice id: Fraction} of the money received for invoices, less what was paid back.

        Of what is reconciled with an invoice, or with what takes it back, money is a payment without what it
        wrote off, and a draw of a wallet by what was paid for what it took.
        """
        sums = defaultdict(Fraction)
        for number, amount, money, whole in self.env.execute_query(
            SQL(
                """
                WITH document AS (%(documents)s), part AS (
                    SELECT document.of_id, partial.debit_amount_currency AS amount,
                           other.move_id AS other_id
                      FROM document
                      JOIN account_move_line line ON line.move_id = document.move_id
                      JOIN account_partial_reconcile partial ON partial.debit_move_id = line.id
                      JOIN account_move_line other ON other.id = partial.credit_move_id
                     WHERE partial.max_date <= %(until)s
                     UNION ALL
                    SELECT document.of_id, -partial.credit_amount_currency, other.move_id
                      FROM document
                      JOIN account_move_line line ON line.move_id = document.move_id
                      JOIN account_partial_reconcile partial ON partial.credit_move_id = line.id
                      JOIN account_move_line other ON other.id = partial.debit_move_id
                     WHERE partial.max_date <= %(until)s
                ), other AS (
                    SELECT DISTINCT other_id FROM part
                ), wallet AS (
                    -- Of what a draw pays, what was paid for: a bonus that is an expense is the rest. What was
                    -- taxed when it was paid in has lowered the invoice.
                    SELECT entry.move_id, sum(-entry.cost) AS money,
                           (SELECT -sum(line.amount_currency) FROM account_move_line line
                              JOIN account_account account ON account.id = line.account_id
                             WHERE line.move_id = entry.move_id
                               AND account.account_type = 'asset_receivable') AS whole
                      FROM reseller_wallet_entry entry
                     WHERE entry.kind = 'draw' AND entry.vat_mode IS DISTINCT FROM 'receipt'
                       AND entry.move_id IN (SELECT other_id FROM other)
                     GROUP BY entry.move_id
                ), payment AS (
                    SELECT line.move_id,
                           sum(line.balance) FILTER (
                               WHERE account.account_type NOT IN ('asset_receivable', 'liability_payable')
                                 AND account.account_type ~ '^(asset|liability)_'
                                 AND line.tax_line_id IS NULL) AS money,
                           -sum(line.balance) FILTER (
                               WHERE account.account_type = 'asset_receivable') AS whole
                      FROM account_move_line line
                      JOIN account_account account ON account.id = line.account_id
                      JOIN account_move move ON move.id = line.move_id
                     WHERE line.move_id IN (SELECT other_id FROM other)
                       AND (move.origin_payment_id IS NOT NULL OR move.statement_line_id IS NOT NULL)
                     GROUP BY line.move_id
                )
                SELECT part.of_id, part.amount::text,
                       COALESCE(wallet.money, payment.money, 0)::text,
                       COALESCE(wallet.whole, payment.whole, 1)::text
                  FROM part
                  LEFT JOIN wallet ON wallet.move_id = part.other_id
                  LEFT JOIN payment ON payment.move_id = part.other_id
                """,
                documents=self._documents_sql(move_ids, until),
                until=until,
            )
        ):
            part = Fraction(money) / Fraction(whole) if Fraction(whole) else Fraction(0)
            sums[number] += Fraction(amount) * min(max(part, Fraction(0)), Fraction(1))
        return sums

    def _compute_earned(self, reseller, until, basis=None):
        """Return [(Sold, percentage as a Fraction, share as a Fraction)] of what has earned until a day.

        The commission of each is net × percentage × share, exact.

        :param basis: *billed* or *paid*; the reseller's where None
        """
        sold = self._load_sold(reseller, until)
        basis = basis or reseller.commission_basis
        shares = self._load_shares({one.move_id for one in sold}, basis, until)
        rates = reseller.commission_rate_ids
        held = {}
        found = []
        for one in sold:
            key = (one.feature_id or False, one.level_id or False, one.day)
            if key not in held:
                held[key] = Fraction(repr(rates._get_percent(*key)))
            found.append((one, held[key], shares[one.move_id]))
        return found
