from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from odoo import models
from odoo.tools import SQL


@dataclass(frozen=True, slots=True)
class Sold:
    """A line of a client's invoice, or credit note, that earns a commission."""

    line_id: int
    move_id: int
    client_id: int
    feature_id: int | None
    level_id: int | None
    day: date
    name: str
    net: Fraction  # below zero on credit notes; what a bonus has lowered it by is off


class ResellerCommission(models.AbstractModel):
    """What a reseller has earned until a day, as the books know it now."""

    _name = "reseller.commission.earned"
    _description = "Commissions Earned"

    def _load_sold(self, reseller, until):
        """Return the Solds of a reseller's clients' posted invoices dated from its settlement to a day.

        Money that is paid in is no revenue: it earns when it is used. A bonus that lowers a bill lowers each of
        its lines alike.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line.id, move.id, charge.client_id, charge.feature_id, charge.level_id,
                       move.invoice_date, line.name,
                       (CASE move.move_type WHEN 'out_refund' THEN -1 ELSE 1 END
                        * line.price_subtotal)::text,
                       sum(line.price_subtotal) OVER (PARTITION BY move.id)::text,
                       COALESCE((SELECT sum(bonus.price_subtotal) FROM account_move_line bonus
                                  WHERE bonus.move_id = move.id
                                    AND bonus.reseller_settles = 'bonus'), 0)::text
                  FROM account_move move
                  JOIN account_move_line line ON line.move_id = move.id
                  JOIN reseller_charge charge ON charge.id = line.charge_id
                  JOIN reseller_client client ON client.id = charge.client_id
                 WHERE client.reseller_id = %(reseller)s
                   AND move.state = 'posted' AND move.move_type IN ('out_invoice', 'out_refund')
                   AND move.currency_id = %(currency)s
                   AND move.invoice_date BETWEEN %(first)s AND %(until)s
                   AND charge.grants IS DISTINCT FROM 'money'
                 ORDER BY move.invoice_date, move.id, line.id
                """,
                reseller=reseller.id,
                currency=reseller.currency_id.id,
                first=reseller.settlement_date,
                until=until,
            )
        )
        return [
            Sold(
                *row,
                Fraction(net) * (1 + Fraction(bonus) / Fraction(whole) if Fraction(whole) else 1),
            )
            for *row, net, whole, bonus in rows
        ]

    def _load_shares(self, move_ids, basis, until):
        """Return {invoice id: Fraction} of what counts of invoices until a day (wholesale W13).

        :param str basis: *billed*: what is not credited, net; *paid*: money received less money paid back, of
            what the invoice comes to
        """
        if basis == "billed":
            return self._load_uncredited(move_ids, until)
        return self._load_paid(move_ids, until)

    def _load_uncredited(self, move_ids, until):
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.id, move.amount_untaxed::text,
                       COALESCE(sum(note.amount_untaxed), 0)::text
                  FROM account_move move
                  LEFT JOIN account_move note
                    ON note.reversed_entry_id = move.id AND note.state = 'posted'
                   AND note.move_type = 'out_refund' AND note.invoice_date <= %(until)s
                   AND NOT EXISTS (SELECT FROM account_move_line line
                                    WHERE line.move_id = note.id AND line.charge_id IS NOT NULL)
                 WHERE move.id = ANY(%(moves)s)
                 GROUP BY move.id
                """,
                moves=list(move_ids),
                until=until,
            )
        )
        return {
            number: 1 - Fraction(credited) / Fraction(net) if Fraction(net) else Fraction(1)
            for number, net, credited in rows
        }

    def _load_paid(self, move_ids, until):
        """Return {invoice id: share paid}.

        Of what is reconciled with an invoice, or with a credit note that takes it back, money is a payment
        without what it wrote off, and a draw of a wallet by what was paid for what it took. What a wallet has
        settled before taxes is money that came with the advance.
        """
        sums = defaultdict(Fraction)
        for number, amount, money, whole in self.env.execute_query(
            SQL(
                """
                WITH document AS (
                    -- An invoice, and the credit notes of no bill that take it back.
                    SELECT id AS move_id, id AS of_id FROM account_move WHERE id = ANY(%(moves)s)
                     UNION
                    SELECT note.id, note.reversed_entry_id FROM account_move note
                     WHERE note.reversed_entry_id = ANY(%(moves)s) AND note.state = 'posted'
                       AND NOT EXISTS (SELECT FROM account_move_line line
                                        WHERE line.move_id = note.id AND line.charge_id IS NOT NULL)
                ), part AS (
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
                    -- Of what a draw pays, what was paid for: a bonus that is an expense is the rest.
                    SELECT entry.move_id, sum(-entry.cost) AS money,
                           (SELECT -sum(line.amount_currency) FROM account_move_line line
                              JOIN account_account account ON account.id = line.account_id
                             WHERE line.move_id = entry.move_id
                               AND account.account_type = 'asset_receivable') AS whole
                      FROM reseller_wallet_entry entry
                     WHERE entry.kind = 'draw' AND entry.move_id IN (SELECT other_id FROM other)
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
                moves=list(move_ids),
                until=until,
            )
        ):
            part = Fraction(money) / Fraction(whole) if Fraction(whole) else Fraction(0)
            sums[number] += Fraction(amount) * min(max(part, Fraction(0)), Fraction(1))
        shares = {}
        for number, total, settled in self.env.execute_query(
            SQL(
                """
                SELECT move.id,
                       (CASE move.move_type WHEN 'out_refund' THEN -1 ELSE 1 END
                        * move.amount_total)::text,
                       COALESCE((SELECT -sum(line.price_total) FROM account_move_line line
                                  WHERE line.move_id = move.id
                                    AND line.reseller_settles = 'advance'), 0)::text
                  FROM account_move move WHERE move.id = ANY(%(moves)s)
                """,
                moves=list(move_ids),
            )
        ):
            whole = Fraction(total) + Fraction(settled)
            paid = sums[number] + Fraction(settled)
            # What comes to nothing is paid by nothing.
            shares[number] = paid / whole if whole else Fraction(1)
        return shares

    def _compute_earned(self, reseller, until):
        """Return [(Sold, percentage as a Fraction, share as a Fraction)] of what has earned until a day.

        The commission of each is net × percentage × share, exact.
        """
        sold = self._load_sold(reseller, until)
        shares = self._load_shares({one.move_id for one in sold}, reseller.commission_basis, until)
        rates = reseller.commission_rate_ids
        held = {}
        found = []
        for one in sold:
            key = (one.feature_id or False, one.level_id or False, one.day)
            if key not in held:
                held[key] = Fraction(repr(rates._get_percent(*key)))
            found.append((one, held[key], shares[one.move_id]))
        return found
