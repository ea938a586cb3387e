from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from odoo import api, models
from odoo.tools import SQL

from ... import rating


class Less(NamedTuple):
    """What goes below what was billed of a component: a number to find it by, and how much, above zero."""

    number: int
    client: models.BaseModel
    feature_id: int
    key: rating.Key
    days: tuple
    amount: Decimal


class Billed(NamedTuple):
    """An invoice line of a component: what it billed, what of that is left, and for which days."""

    line_id: int
    amount: Decimal
    left: Decimal
    first: date
    last: date


class ResellerStatement(models.Model):
    """What bills give back, and of which invoice lines (rating 26)."""

    _inherit = "reseller.statement"

    def _find_given_back(self, exact):
        """Return {charge id: [(invoice line, amount)]} of what these bills give back of others.

        :param exact: {charge id: (quantity, unit price, amount)} as Decimals
        """
        return self._split_given_back(
            [
                less
                for charge in self._get_invoiced_charges()
                if charge.price_rule_id
                for less in make_less(
                    charge.id,
                    charge.client_id,
                    charge.feature_id.id,
                    rating.Key(
                        charge.cycle_start,
                        charge.price_rule_id.id,
                        charge.kind,
                        charge.level_id.id or None,
                        charge.tier,
                        charge.is_flat_fee,
                    ),
                    (charge.date_from, charge.date_to),
                    exact[charge.id][2],
                    charge._get_spans(),
                )
            ]
        )

    @api.model
    def _split_given_back(self, wanted):
        """Return {number: [(invoice line, amount below zero)]} of what is given back of components.

        A fee is given back of each line that billed its days; other units, newest first, as
        corrections return them, and of the side of a change of rates that they are of. What no line
        has billed comes with no line.

        :param wanted: a list of Less
        """
        if not wanted:
            return {}
        found, lines = defaultdict(dict), self.env["account.move.line"]
        billed = self._load_billed({charge.number: charge for charge in wanted}.values())
        for one in wanted:
            unit, mine = one.client.currency_id._get_exact_rounding(), found[one.number]
            left = [
                row._replace(left=row.left - mine.get(row.line_id, 0)) for row in billed[one.number]
            ]
            days = one.days
            if one.key.kind != "recurring":
                left.sort(key=lambda row, days=days: row.last < days[0] or row.first > days[1])
                days = None
            for line, amount in give_back(one.amount, left, days, unit):
                mine[line] = mine.get(line, 0) + amount
        return {
            number: [(lines.browse(line), -amount) for line, amount in taken.items()]
            for number, taken in found.items()
        }

    def _load_billed(self, wanted):
        """Return {number: [Billed]}, newest first, of what bills have charged of components."""
        wanted = list(wanted)
        keys = list(zip(*(charge.key for charge in wanted), strict=True))
        units = {
            charge.number: charge.client.currency_id._get_exact_rounding() for charge in wanted
        }
        self.env.flush_all()
        found = defaultdict(list)
        for number, line, amount, back, first, last in self.env.execute_query(
            SQL(
                """
                SELECT one.number, line.id, line.charge_amount::text,
                       (SELECT COALESCE(sum(-back.charge_amount), 0)::text
                          FROM account_move_line back
                          JOIN reseller_charge own ON own.id = back.charge_id
                          JOIN reseller_statement bill ON bill.id = own.statement_id
                         WHERE back.reverses_charge_id = before.id
                           -- A credit note has taken back what a void one gave back.
                           AND bill.state != 'void'
                           -- Of what is divided by a change of rates, each line by itself.
                           AND back.charge_date_from <= line.charge_date_to
                           AND back.charge_date_to >= line.charge_date_from
                           AND back.move_id = bill.invoice_id
                           AND back.parent_state != 'cancel'),
                       line.charge_date_from, line.charge_date_to
                  FROM unnest(%s::int[], %s::int[], %s::int[], %s::date[], %s::int[], %s::text[],
                              %s::int[], %s::int[], %s::boolean[])
                       AS one (number, client_id, feature_id, cycle_start, price_rule_id, kind,
                               level_id, tier, is_flat_fee)
                  JOIN reseller_charge before
                    ON before.client_id = one.client_id
                   AND before.feature_id = one.feature_id
                   AND before.cycle_start = one.cycle_start
                   AND before.price_rule_id = one.price_rule_id
                   AND before.kind = one.kind
                   AND before.level_id IS NOT DISTINCT FROM one.level_id
                   AND before.tier = one.tier
                   AND before.is_flat_fee = one.is_flat_fee
                   AND before.amount > 0
                  JOIN reseller_statement statement
                    ON statement.id = before.statement_id AND statement.state != 'void'
                  JOIN account_move_line line
                    ON line.charge_id = before.id
                   AND line.move_id = statement.invoice_id
                   AND line.parent_state != 'cancel'
                   AND line.charge_amount > 0
                 ORDER BY one.number, before.id DESC, line.charge_date_from DESC
                """,
                [charge.number for charge in wanted],
                [charge.client.id for charge in wanted],
                [charge.feature_id for charge in wanted],
                *(list(values) for values in keys),
            )
        ):
            left = Decimal(amount) - rating.round_to(Decimal(back), units[number])
            if left > 0:
                found[number].append(Billed(line, Decimal(amount), left, first, last))
        return found

    def _link_given_back(self):
        """Have the credit notes of these bills name the invoice that they give back of, if it is one."""
        for move in self.invoice_id:
            if move.move_type != "out_refund" or move.state != "posted":
                continue
            lines = move._get_product_lines().filtered(lambda line: not line.reseller_settles)
            invoice = lines.reverses_charge_id.statement_id.invoice_id
            if (
                len(invoice) == 1
                and (invoice.move_type, invoice.state) == ("out_invoice", "posted")
                and all(line.reverses_charge_id for line in lines)
            ):
                # Only now: on posting, Odoo would pay the invoice with it, which accountants choose.
                move.reversed_entry_id = invoice


def make_less(number, client, feature_id, key, days, amount, spans):
    """Return what goes below what was billed as a list of Less: none, one, or one of each span.

    :param Decimal amount: of the charge
    :param spans: (first day, last day, amount) of use that a change of rates divides
    """
    return [
        Less(number, client, feature_id, key, (first, last), -part)
        for first, last, part in spans or [(*days, amount)]
        if part < 0
    ]


def give_back(amount, billed, days, unit):
    """Return [(line id or False, amount)]: how much is given back of which lines.

    :param Decimal amount: above zero
    :param billed: Billed lines, newest first
    :param days: (first, last) of the days given back, or None
    :param Decimal unit: of the currency
    """
    taken = dict.fromkeys((line.line_id for line in billed), Decimal(0))
    shares = {}
    for one in billed if days else ():
        common = (min(one.last, days[1]) - max(one.first, days[0])).days + 1
        length = (one.last - one.first).days + 1
        if common > 0:
            shares[one] = min(Fraction(one.amount) * common / length, Fraction(one.left))
    total, sofar, before = sum(shares.values()), Fraction(0), Decimal(0)
    for one, share in shares.items():
        sofar += share
        until = rating.round_to(Fraction(amount) * sofar / total, unit)
        taken[one.line_id] = min(until - before, one.left)
        before = until
    rest = amount - sum(taken.values())
    for one in billed:
        more = min(one.left - taken[one.line_id], rest)
        taken[one.line_id] += more
        rest -= more
    found = [(line, part) for line, part in taken.items() if part]
    return found + ([(False, rest)] if rest else [])
