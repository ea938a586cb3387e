from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from odoo import models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import rating
from ...models.prepaid.reseller_client_balance import BillLine
from ...models.prepaid.reseller_client_wallet import NEVER, bonus_of


class ResellerMonthEnd(models.TransientModel):
    """What wallets and packages will pay for what is not billed yet, and what has expired by the day."""

    _inherit = "reseller.month.end"

    def _get_prepaid_rows(self, rated):
        """Return {currency id: [(name, (debit, credit), amount, balance)]} beside _get_amounts.

        Bonuses that will pay for use that is accrued are an expense of the day, and lower the accrued
        income. What is left of lots that have ended by then is breakage, though the bill that covers
        their last day books it.

        Accounts are names, see _get_account; amounts are exact, those that lower the profit below zero;
        a balance of None is converted at the day's rate.

        :param rated: see _rate
        """
        bills, charges, draws, waiting = rated
        found = defaultdict(list)
        for currency, *row in self._get_revaluation():
            found[currency].append(tuple(row))
        if not bills:
            return found
        bonuses, expired = defaultdict(Decimal), defaultdict(lambda: [Decimal(0), Decimal(0)])
        for client, (bonus, *ended) in self._get_wallet_costs(bills, charges, waiting).items():
            bonuses[client.currency_id.id] -= bonus
            sums = expired[client.currency_id.id]
            sums[:] = (sum(pair) for pair in zip(sums, ended, strict=True))
        rows = [
            (currency, self.env._("Bonuses"), ("accrued", "bonus"), amount, None)
            for currency, amount in bonuses.items()
        ]
        for name, account, sums in (
            (self.env._("Expired in wallets"), "deposit", expired),
            (self.env._("Expired packages"), "prepaid", self._get_package_costs(draws)),
        ):
            rows += [
                (currency, name, (account, "breakage"), amount, float(balance))
                for currency, (amount, balance) in sums.items()
            ]
        for currency, *row in rows:
            if row[2]:
                found[currency].append(tuple(row))
        return found

    def _get_revaluation(self):
        """Return rows, see _get_prepaid_rows, of what deposits in foreign currencies are worth less, or more
        below zero, at the day's rate than at the rates at which they came; amounts are zero in the currency.
        """
        company = self.company_id
        if not company.reseller_revalues_deposits:
            return []
        self.env.flush_all()
        rows = []
        for number, cost, balance in self.env.execute_query(
            SQL(
                """
                SELECT entry.currency_id, sum(entry.cost)::text, sum(entry.balance)::text
                  FROM reseller_wallet_entry entry
                 WHERE entry.company_id = %s AND entry.date <= %s AND entry.currency_id != %s
                 GROUP BY entry.currency_id
                """,
                company.id,
                self.date,
                company.currency_id.id,
            )
        ):
            currency = self.env["res.currency"].browse(number)
            worth = currency._convert(float(cost), company.currency_id, company, self.date)
            change = company.currency_id.round(float(balance) - worth)
            if change:
                account = "exchange_gain" if change > 0 else "exchange_loss"
                name = self.env._("Deposits at the day's rate")
                rows.append((number, name, ("deposit", account), Decimal(0), change))
        return rows

    def _get_wallet_costs(self, bills, charges, waiting):
        """Return {client: (bonus, expired, balance)} of the clients with wallets: what the accrued use will
        cost as bonus, and the cost of what is left of lots that have ended, also in the company's
        currency.
        """
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # of every account, as in _get_bills
        holders = self.env["reseller.client"].union(
            *(
                client
                for (client,) in lots_sudo._read_group(
                    Domain("client_id", "in", list(bills)) & Domain("date", "<=", self.date),
                    ["client_id"],
                )
            )
        )
        if not holders:
            return {}
        lots = holders._load_lots(dict.fromkeys(holders, (NEVER, self.date)), as_of=self.date)
        lines = holders._prepare_unbilled_lines(self.company_id, charges)
        accrued = {client: len(lines[client]) for client in holders}
        for client, product, amount in waiting:
            if client in holders:
                line = BillLine(product, Decimal(1), amount, amount, None, False, self.date, None)
                lines[client].append(line)
        positions = self.env["reseller.statement"]._get_fiscal_positions(holders, self.company_id)
        drawing = self._rate_drawing_bills(holders, lots, bills)
        found = {}
        for client in holders:
            totals = client._get_totals(lines[client], positions[client.id])
            share = client._limit_share(*totals[:2])
            since = bills[client.id].period_start
            usable = [
                row
                for row in client._keep_to_payer(lots[client], client._get_debtor())
                if not row[0].date_until or row[0].date_until >= since
            ]
            taken = drawing_taken = client._take(share, usable)
            if client in drawing:
                # What waits is on that bill as well.
                all_lines = drawing[client] + lines[client][accrued[client] :]
                whole = client._get_totals(all_lines, positions[client.id])
                drawing_taken = client._take(client._limit_share(*whole[:2]), usable)
            drawn = {vals["lot_id"]: rating.exact_of(vals["cost"]) for vals in drawing_taken}
            expired = [Decimal(0), Decimal(0)]
            for lot, _left, cost in lots[client]:
                if lot.date_until and lot.date_until <= self.date:
                    rest = cost + drawn.get(lot.id, 0)
                    expired[0] += rest
                    expired[1] += lot._get_balance_of(rest)
            bonus = bonus_of(taken)
            # Of what the wallet pays for.
            gross, net = totals[1::2] if client.wallet_use == "usage" else totals[::2]
            if self._lowers_price() and gross:
                # It lowers the price, and the taxes with it.
                unit = client.currency_id._get_exact_rounding()
                bonus = rating.round_to(Fraction(bonus) * Fraction(net) / Fraction(gross), unit)
            found[client] = bonus, *expired
        return found

    def _rate_drawing_bills(self, holders, lots, bills):
        """Return {client: [BillLine]} of the bills of the day after, whose fees for what begins lots draw, too,
        that end with the period before: of clients that have such lots and let wallets pay fees.

        :param holders: clients with wallets
        :param lots: of them, see reseller.client._load_lots
        """
        following, found = self.date + rating.DAY, {}
        for client in holders:
            ended = any(
                lot.date_until and lot.date_until <= self.date for lot, *_left in lots[client]
            )
            if (
                ended
                and client.wallet_use not in ("usage", "never")
                and client._bill_date_after(self.date) == following
            ):
                found[client.id] = replace(
                    bills[client.id],
                    next_date=client._bill_date_after(following),
                    accrues=False,
                )
        clients = holders.browse(found)
        if not clients:
            return {}
        charges, _covered, _draws = self.env["reseller.rating"]._rate(clients, found, self.date)
        return clients._prepare_unbilled_lines(self.company_id, charges)

    def _get_package_costs(self, draws):
        """Return {currency id: (cost, balance)} of what is left of packages that have ended by the day."""
        lots_sudo = self.env["reseller.prepaid.lot"].sudo()  # of every account, as in _get_bills
        self.env.flush_all()
        lots = lots_sudo.browse(
            number
            for (number,) in self.env.execute_query(
                SQL(
                    "SELECT lot.id FROM reseller_prepaid_lot lot"
                    " WHERE lot.company_id = %s AND lot.date_until <= %s AND %s ORDER BY lot.id",
                    self.company_id.id,
                    self.date,
                    lots_sudo._there_sql(self.date),
                )
            )
        )
        taken = defaultdict(Decimal)
        for of_client in draws.values():
            for draw in of_client:
                taken[draw.lot] += draw.quantity
        found = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for number, held in lots._load_exact(self.date).items():
            lot = lots.browse(number)
            if not held.cost:
                continue  # granted before it was sold
            cost, balance = lot._get_cost_taken(held, taken[number])
            found[lot.currency_id.id][0] += held.cost - cost
            found[lot.currency_id.id][1] += held.balance - balance
        return found
