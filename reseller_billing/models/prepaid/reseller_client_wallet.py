from datetime import date
from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL

from ... import rating

NEVER, FOREVER = date.min, date.max


def total_of(taken, name):
    """Return how much entry values take, of their `amount`, `cost` or `tax`, as an exact Decimal."""
    return -sum((rating.exact_of(vals[name]) for vals in taken), Decimal(0))


def bonus_of(taken):
    """Return how much of what entry values take nobody has paid for, as an exact Decimal."""
    amount, cost, tax = (total_of(taken, name) for name in ("amount", "cost", "tax"))
    return amount - cost - tax


class ResellerClient(models.Model):
    """A client's wallet: lots are drawn by priority, then earliest expiry, then oldest."""

    _inherit = "reseller.client"

    wallet_use = fields.Selection(
        [
            ("always", "Everything"),
            ("usage", "Metered use alone"),
            ("never", "Nothing"),
        ],
        string="Wallet Pays For",
        required=True,
        default="always",
        tracking=True,
    )
    wallet_lot_ids = fields.One2many("reseller.wallet.lot", "client_id", readonly=True)
    wallet_balance = fields.Monetary(
        compute="_compute_wallet_balance", help="What may be drawn today."
    )

    @api.depends("wallet_lot_ids.entry_ids.amount")
    def _compute_wallet_balance(self):
        # One that is being edited has the wallet that is stored; a new one has none.
        stored = self._origin
        lots = self._load_lots({client: (client._today(),) * 2 for client in stored})
        for client in self:
            usable = self._keep_to_payer(lots.get(client._origin, ()), client._get_debtor())
            client.wallet_balance = float(sum(left for _lot, left, _cost in usable))

    @api.model
    def _load_lots(self, days, as_of=FOREVER):
        """Return {client: [(lot, left, cost left)]} of what may be drawn, in the order of drawing.

        Amounts are exact Decimals.

        :param days: {client: (first day, last day)}; lots count that are valid on one of these
        :param date as_of: a day; what was booked later does not count
        """
        self.env.flush_all()
        found = {client: [] for client in days}
        rows = self.env.execute_query(
            SQL(
                """
                SELECT lot.client_id, lot.id, sum(entry.amount)::text,
                       sum(COALESCE(entry.cost, 0))::text
                  FROM unnest(%s::int[], %s::date[], %s::date[]) AS asked (client_id, since, until)
                  JOIN reseller_wallet_lot lot
                    ON lot.client_id = asked.client_id
                   AND lot.date <= asked.until
                   AND COALESCE(lot.date_until, 'infinity') >= asked.since
                  JOIN reseller_client client ON client.id = lot.client_id
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                   AND reseller.currency_id = lot.currency_id
                  JOIN reseller_wallet_entry entry
                    ON entry.lot_id = lot.id AND entry.date <= %s
                 GROUP BY lot.id
                HAVING sum(entry.amount) > 0
                 ORDER BY lot.client_id, lot.priority, lot.date_until NULLS LAST, lot.date, lot.id
                """,
                [client.id for client in days],
                [since for since, _until in days.values()],
                [until for _since, until in days.values()],
                as_of,
            )
        )
        lots = self.env["reseller.wallet.lot"].with_context(reseller_as_of=as_of)
        lots = lots.browse([row[1] for row in rows])
        for lot, (client, _lot, left, cost) in zip(lots, rows, strict=True):
            found[self.browse(client)].append((lot, Decimal(left), Decimal(cost)))
        return found

    def _load_own_lots(self, since=NEVER, until=FOREVER):
        self.ensure_one()
        return self._load_lots({self: (since, until)})[self]

    @staticmethod
    def _keep_to_payer(lots, payer):
        """Return those lots that pay a payer's invoices: nobody's money pays another's debt.

        :param lots: see _load_lots
        :param payer: a commercial partner
        """
        return [row for row in lots if row[0].partner_id in (payer, payer.browse())]

    def _take(self, wanted, lots):
        """Return entry values that take an amount out of lots, as far as they reach.

        Each lot gives up its cost in the proportion in which it is used; what is left last gives up
        the rest.

        :param Decimal wanted: the amount
        :param lots: see _load_lots
        """
        unit = self.currency_id._get_exact_rounding()
        found = []
        for lot, left, cost_left in lots:
            amount = min(wanted, left)
            if amount <= 0:
                break
            wanted -= amount
            share = Fraction(left - amount) / Fraction(repr(lot.granted))
            kept = rating.round_to(Fraction(repr(lot.cost)) * share, unit)
            # Bills that were void in between may leave a cent here or there.
            kept = min(max(kept, cost_left - amount), left - amount, cost_left)
            cost, paid = cost_left - kept, lot._get_paid_left(cost_left)
            paid_kept = kept
            if lot.tax:
                whole = Fraction(repr(lot.cost)) + Fraction(repr(lot.tax))
                paid_kept = rating.round_to(whole * share, unit)
                paid_kept = min(max(paid_kept, paid - amount, kept), left - amount, paid)
            found.append(
                {
                    "lot_id": lot.id,
                    "amount": -float(amount),
                    "cost": -float(cost),
                    "tax": -float(paid - paid_kept - cost),
                    "balance": float(lot._get_balance_of(kept) - lot._get_balance_left(cost_left)),
                }
            )
        return found

    @api.constrains("reseller_id")
    def _check_wallet(self):
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # whoever moves a client may see none
        for lot in lots_sudo.search([("client_id", "in", self.ids)]):
            if lot.reseller_id.currency_id != lot.currency_id:
                raise ValidationError(
                    self.env._(
                        "%s has a wallet in another currency: refund it first.",
                        lot.client_id.display_name,
                    )
                )

    # Money in

    def _fund_wallet(self, line, reason, bonus=0.0, date_until=False):
        """Put an open payment of this account's payer into the wallet; return the lot.

        The payment is booked from the receivable to the deposit account, and is a lot from then on.

        :param line: the payment's receivable journal item, in the currency of the bills
        :param bonus: what is given on top of it
        :raise UserError: when the item is no open payment of the payer in that currency
        """
        self.ensure_one()
        self._conflict_with_others()
        amount = -line.amount_residual_currency
        if (
            amount <= 0
            or line.parent_state != "posted"
            or line.account_id.account_type != "asset_receivable"
            or line.currency_id != self.currency_id
            or line.company_id != self.company_id
            or line.partner_id.commercial_partner_id != self._get_debtor()
            or line.move_id._is_of_wallet(("draw", "return"))
        ):
            raise UserError(
                self.env._(
                    "Choose an open payment of %(payer)s in %(currency)s.",
                    payer=self._get_debtor().display_name,
                    currency=self.currency_id.name,
                )
            )
        day = self._today()
        # Of a bill that was paid with a bonus, that stays bonus.
        given = self._get_given_share(line.move_id, amount)
        lines = [(line.account_id, amount, self.env._("Put into the wallet"))]
        if given:
            lines.append((self._get_wallet_account("bonus"), -given, reason))
        lines.append((self._get_wallet_account("deposit"), given - amount, reason))
        model = self.env["account.move"].with_company(self.company_id)
        move = model.create(self._prepare_entry(day, reason, lines, line.partner_id))
        move.action_post()
        receivable = move.line_ids.filtered(lambda item: item.account_id == line.account_id)
        (line | receivable).reconcile()
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # whoever is here may book the payment
        return lots_sudo._grant(
            self,
            {
                "kind": "payment",
                "partner_id": self._get_debtor().id,
                "reason": reason,
                "key": f"{line._name},{line.id}",
                "date": day,
                "date_until": date_until,
                "granted": amount + bonus,
                "cost": self.currency_id.round(amount - given),
                "cost_balance": -sum(
                    move.line_ids.filtered(
                        lambda line: line.account_id == self._get_wallet_account("deposit")
                    ).mapped("balance")
                ),
            },
            move,
        )

    def _get_given_share(self, note, amount):
        """Return how much of a credit note's amount is what a bonus had paid of the bill that it credits."""
        invoice = note.reversed_entry_id
        statement = invoice.reseller_statement_id or invoice.reseller_former_statement_id
        lowered = invoice.invoice_line_ids.filtered("reseller_settles")
        if not statement or lowered or not invoice.amount_total:
            return 0.0
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # of this account's bill
        [sums] = entries_sudo._read_group(
            [("statement_id", "=", statement.id), ("kind", "in", ("draw", "return"))],
            [],
            ["amount:sum", "cost:sum", "tax:sum"],
        )
        drawn, cost, tax = (-value or 0.0 for value in sums)
        share = amount * (drawn - cost - tax) / invoice.amount_total
        return min(max(self.currency_id.round(share), 0.0), amount)

    def _check_holds_money(self, what):
        """Refuse money of who is billed on papers, also where that begins only: it pays its reseller (wholesale W4).

        :param str what: it would come by, in words
        """
        self.ensure_one()
        reseller_sudo = self.reseller_id.sudo()  # how it bills; it is named to who bills alone
        if reseller_sudo.invoice_to == "none":
            raise UserError(
                self.env._(
                    "%(what)s: %(reseller)s bills its clients itself, and what they pay in is not ours to hold. "
                    "Withdraw it.",
                    what=what,
                    reseller=reseller_sudo.display_name,
                )
            )

    def _give_to_wallet(self, amount, reason, key, date_until=False, date=None):
        """Give money that nobody has paid; return the lot. Nothing is booked until it is drawn.

        :param date date: the first day it may be drawn; today where None
        """
        self.ensure_one()
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # the caller has checked who may give
        return lots_sudo._grant(
            self,
            {
                "kind": "gift",
                "reason": reason,
                "key": key,
                "date": date or self._today(),
                "date_until": date_until,
                "granted": amount,
            },
        )

    # Money out

    def _debit_wallet(self, amount, reason):
        """Take money out by hand; what was paid for it is income.

        :raise UserError: when there is not as much
        """
        self.ensure_one()
        self._conflict_with_others()
        self._take_turn()
        today = self._today()
        lots = self._keep_to_payer(self._load_own_lots(today, today), self._get_debtor())
        taken = self._take(rating.exact_of(amount), lots)
        if total_of(taken, "amount") != rating.exact_of(amount):
            raise UserError(
                self.env._(
                    "The wallet of %(client)s holds %(balance)s.",
                    client=self.display_name,
                    balance=self.currency_id.format(self.wallet_balance),
                )
            )
        return self._add_entries("debit", taken, today, reason, "breakage", self._get_debtor())

    def _refund_wallet(self, reason):
        """Give what was paid in and not used back: it is an open credit of who paid, from then on.

        Given money lapses. An accountant pays the credit out, or lets it pay an invoice.
        """
        self.ensure_one()
        self._conflict_with_others()
        self._take_turn()
        taken, taxed = {}, []
        for lot, left, cost in self._load_own_lots():
            vals = {
                "lot_id": lot.id,
                "amount": -float(left),
                "cost": -float(cost),
                "tax": -float(lot._get_paid_left(cost) - cost),
                "balance": -float(lot._get_balance_left(cost)),
            }
            if lot._was_taxed() and cost:
                taxed.append((lot, vals))
            else:
                taken.setdefault(lot.partner_id, []).append(vals)
        if not taxed and not any(total_of(rows, "cost") for rows in taken.values()):
            raise UserError(self.env._("Nothing that was paid in is left."))
        for lot, vals in taxed:
            note = self._credit_advance(lot, vals, reason)
            self._store_entries("refund", [vals], self._today(), reason, note)
        for payer, rows in taken.items():
            account = payer.with_company(self.company_id).property_account_receivable_id
            self._add_entries("refund", rows, self._today(), reason, account, payer)

    def _add_entries(self, kind, taken, day, reason, account, partner):
        """Store what is taken, and book its cost. See _prepare_cost_entry."""
        move = self.env["account.move"].with_company(self.company_id)
        vals = self._prepare_cost_entry(taken, day, reason, account, partner)
        if vals:
            move = move.create(vals)
            move.action_post()
        return self._store_entries(kind, taken, day, reason, move)

    def _store_entries(self, kind, taken, day, reason, move):
        """Store what is taken out of lots, with what books it."""
        vals = {"kind": kind, "date": day, "reason": reason, "move_id": move.id}
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # whoever is here may take
        return entries_sudo.create([{**entry, **vals} for entry in taken])

    def _book_exchange(self, amount, day, document, owed=None):
        """Move an exchange difference out of the deposits; return the entry, or none without a difference.

        :param float amount: in the company's currency, what a document has debited too much
        :param owed: the account that it has debited; that of deposits if None
        """
        company = self.company_id
        model = self.env["account.move"].with_company(company)
        amount = company.currency_id.round(amount)
        if not amount:
            return model
        account = company._get_exchange_account(is_gain=amount < 0)
        reason = self.env._("Exchange difference: %s", document.name)
        lines = [
            fields.Command.create(
                {
                    "account_id": one.id,
                    "partner_id": document.commercial_partner_id.id,
                    "currency_id": self.currency_id.id,
                    "amount_currency": 0.0,
                    "balance": balance,
                    "name": reason,
                    # A gain is no revenue of the client's.
                    "reseller_client_id": client,
                }
            )
            for one, balance, client in (
                (owed or self._get_wallet_account("deposit"), -amount, self.id),
                (account, amount, False),
            )
        ]
        move = model.create(
            {
                "journal_id": company.reseller_wallet_journal_id.id,
                "date": day,
                "ref": f"{self.ref}: {reason}",
                "line_ids": lines,
            }
        )
        move.action_post()
        return move

    def _book_exchange_of(self, documents, day, document):
        """Have an invoice and what reverses it leave nothing of their rates on what is owed ahead.

        :param documents: both
        :param document: the one that is named
        """
        company = self.company_id
        for owed in company.reseller_deposit_account_id | company.reseller_prepaid_account_id:
            items = documents.line_ids.filtered(lambda line, owed=owed: line.account_id == owed)
            self._book_exchange(sum(items.mapped("balance")), day, document, owed)

    def _credit_advance(self, lot, vals, reason):
        """Post the credit note of what is left of money that was taxed when it was paid in; return it.

        :param vals: what is taken, see _take
        """
        sold = lot.charge_id.move_line_ids[:1]
        invoice = sold.move_id
        note = (
            self.env["account.move"]
            .with_company(self.company_id)
            .create(
                {
                    "move_type": "out_refund",
                    "partner_id": invoice.partner_id.id,
                    "fiscal_position_id": invoice.fiscal_position_id.id,
                    "currency_id": lot.currency_id.id,
                    "invoice_date": self._today(),
                    "ref": f"{self.ref}: {reason}, {invoice.name}",
                    "invoice_line_ids": [
                        fields.Command.create(lot._prepare_settling_line(vals, 1, invoice))
                    ],
                }
            )
        )
        note.action_post()
        debited = note.invoice_line_ids.balance + vals["balance"]
        self._book_exchange(debited, self._today(), note)
        return note

    # Books

    def _get_wallet_account(self, name):
        """Return the deposit, breakage or bonus account of the company's settings."""
        account = self.company_id[f"reseller_{name}_account_id"]
        if not account or not self.company_id.reseller_wallet_journal_id:
            raise UserError(
                self.env._(
                    "Wallets need a journal and the accounts for deposits, breakage and bonuses: "
                    "choose them in the settings."
                )
            )
        return account

    def _prepare_cost_entry(self, taken, day, reason, account, partner):
        """Return the values of the entry that takes cost from the deposit account, None without.

        :param account: where it goes: an account, or the name of one of the settings
        """
        cost = float(total_of(taken, "cost"))
        if not cost:
            return None
        if isinstance(account, str):
            account = self._get_wallet_account(account)
        deposit = self._get_wallet_account("deposit")
        balance = float(total_of(taken, "balance"))
        lines = [(deposit, cost, reason, balance), (account, -cost, reason)]
        return self._prepare_entry(day, reason, lines, partner)

    def _prepare_entry(self, day, reason, lines, partner):
        """Return the values of an entry in the wallets' journal.

        :param lines: (account, amount in the currency of the bills, debits above zero, label, balance in
            the company's currency), the balance only where it is not at the day's rate; the last one
            takes the rest
        """
        self._get_wallet_account("deposit")
        currency, company = self.currency_id, self.company_id
        lines = [line for line in lines if line[1]]
        balances = [
            known[0] if known else currency._convert(amount, company.currency_id, company, day)
            for _account, amount, _label, *known in lines[:-1]
        ]
        balances.append(-sum(balances))  # to the cent of the company's currency
        return {
            "journal_id": company.reseller_wallet_journal_id.id,
            "date": day,
            "ref": f"{self.ref}: {reason}",
            "line_ids": [
                fields.Command.create(
                    {
                        "account_id": account.id,
                        "partner_id": partner.id,
                        "currency_id": currency.id,
                        "amount_currency": currency.round(amount),
                        "balance": company.currency_id.round(balance),
                        "name": label,
                        "reseller_client_id": self.id,
                    }
                )
                for (account, amount, label, *_), balance in zip(lines, balances, strict=True)
            ],
        }
