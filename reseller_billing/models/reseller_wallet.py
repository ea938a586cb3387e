from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL

from .. import rating
from .account_move_line import BILLING

NEVER, FOREVER = date.min, date.max


class ResellerWalletLot(models.Model):
    """Money that a client has ahead: what it paid in, with a bonus, or was given.

    A lot is never changed. What is left of it is the sum of its entries, and the deposit account
    owes the client the cost that is left: what was paid, less its share of what was drawn.
    """

    _name = "reseller.wallet.lot"
    _description = "Money Lot of a Wallet"
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(
        "res.currency", required=True, readonly=True, help="The client's bills are in it."
    )
    kind = fields.Selection(
        [("payment", "Paid in"), ("gift", "Given")], required=True, readonly=True
    )
    reason = fields.Char(required=True, readonly=True)
    key = fields.Char(
        required=True, readonly=True, help="What the lot was made from: nothing is credited twice."
    )
    date = fields.Date(required=True, readonly=True, help="The first day it may be drawn on.")
    date_until = fields.Date(
        string="Valid Until", readonly=True, help="The last day; empty: it does not expire."
    )
    priority = fields.Integer(
        required=True, readonly=True, default=10, help="Lower ones are drawn first."
    )
    granted = fields.Monetary(required=True, readonly=True, help="What may be drawn in all.")
    cost = fields.Monetary(readonly=True, help="What was paid for it, and is owed until drawn.")
    left = fields.Monetary(compute="_compute_left")
    cost_left = fields.Monetary(compute="_compute_left")
    entry_ids = fields.One2many("reseller.wallet.entry", "lot_id", readonly=True)

    _key_uniq = models.Constraint(
        "UNIQUE (client_id, key)", "This is in the wallet already: nothing is credited twice."
    )
    _amounts = models.Constraint(
        "CHECK (granted > 0 AND COALESCE(cost, 0) >= 0 AND COALESCE(cost, 0) <= granted)",
        "A lot gives an amount above zero, and not less than was paid for it.",
    )
    _dates = models.Constraint(
        "CHECK (date_until IS NULL OR date_until >= date)",
        "A lot's last day must not be before its first.",
    )

    @api.depends("entry_ids.amount", "entry_ids.cost")
    def _compute_left(self):
        for lot in self:
            lot.left = lot.currency_id.round(sum(lot.entry_ids.mapped("amount")))
            lot.cost_left = lot.currency_id.round(sum(lot.entry_ids.mapped("cost")))

    @api.depends("reason", "date")
    def _compute_display_name(self):
        for lot in self:
            lot.display_name = f"{lot.reason} ({lot.date})"

    @api.model
    def _grant(self, client, vals, move=None):
        """Make a lot of a client with its first entry, and return it.

        :param move: the entry that books its cost, if there is any
        """
        lot = self.create({"client_id": client.id, "currency_id": client.currency_id.id, **vals})
        self.env["reseller.wallet.entry"].create(
            {
                "lot_id": lot.id,
                "kind": "grant",
                "date": lot.date,
                "amount": lot.granted,
                "cost": lot.cost,
                "move_id": move and move.id,
            }
        )
        return lot


class ResellerWalletEntry(models.Model):
    """What a lot was given, and what was taken of it and given back: rows are only added."""

    _name = "reseller.wallet.entry"
    _description = "Entry of a Wallet"
    _order = "id desc"
    _check_company_auto = True

    lot_id = fields.Many2one(
        "reseller.wallet.lot", required=True, readonly=True, index=True, ondelete="restrict"
    )
    client_id = fields.Many2one(related="lot_id.client_id", store=True, index=True)
    reseller_id = fields.Many2one(related="lot_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="lot_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="lot_id.currency_id", store=True)
    kind = fields.Selection(
        [
            ("grant", "Credit"),
            ("draw", "Drawn by a bill"),
            ("return", "Given back"),
            ("expire", "Expired"),
            ("refund", "Refunded"),
            ("debit", "Debit by hand"),
        ],
        required=True,
        readonly=True,
    )
    date = fields.Date(required=True, readonly=True)
    amount = fields.Monetary(required=True, readonly=True, help="Below zero: taken.")
    cost = fields.Monetary(readonly=True, help="Of the amount, what was paid for.")
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


class ResellerClientWalletMixin(models.AbstractModel):
    """A client's wallet: lots are drawn by priority, then earliest expiry, then oldest."""

    _name = "reseller.client.wallet.mixin"
    _description = "Wallet of a Client"

    currency_id = fields.Many2one("res.currency")
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
            client.wallet_balance = float(
                sum(left for _lot, left, _cost in lots.get(client._origin, ()))
            )

    @api.model
    def _load_lots(self, days):
        """Return {client: [(lot, left, cost left)]} of what may be drawn, in the order of drawing.

        Amounts are exact Decimals.

        :param days: {client: (first day, last day)}; lots count that are valid on one of these
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
                  JOIN reseller_wallet_entry entry ON entry.lot_id = lot.id
                 GROUP BY lot.id
                HAVING sum(entry.amount) > 0
                 ORDER BY lot.client_id, lot.priority, lot.date_until NULLS LAST, lot.date, lot.id
                """,
                [client.id for client in days],
                [since for since, _until in days.values()],
                [until for _since, until in days.values()],
            )
        )
        lots = self.env["reseller.wallet.lot"].browse([row[1] for row in rows])
        for lot, (client, _lot, left, cost) in zip(lots, rows, strict=True):
            found[self.browse(client)].append((lot, Decimal(left), Decimal(cost)))
        return found

    def _load_own_lots(self, since=NEVER, until=FOREVER):
        self.ensure_one()
        return self._load_lots({self: (since, until)})[self]

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
            found.append(
                {
                    "lot_id": lot.id,
                    "amount": -float(amount),
                    "cost": -float(cost_left - kept),
                }
            )
        return found

    @api.constrains("reseller_id")
    def _check_wallet(self):
        # Whoever moves a client need not see its wallet.
        lots_sudo = self.env["reseller.wallet.lot"].sudo().search([("client_id", "in", self.ids)])
        for lot in lots_sudo:
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
        self._take_turn()
        amount = -line.amount_residual_currency
        if (
            amount <= 0
            or line.parent_state != "posted"
            or line.account_id.account_type != "asset_receivable"
            or line.currency_id != self.currency_id
            or line.company_id != self.company_id
            or line.partner_id.commercial_partner_id != self._get_payer()
            or line.move_id._is_of_wallet(("draw", "return"))
        ):
            raise UserError(
                self.env._(
                    "Choose an open payment of %(payer)s in %(currency)s.",
                    payer=self._get_payer().display_name,
                    currency=self.currency_id.name,
                )
            )
        day = self._today()
        move = self._book(
            day,
            reason,
            [
                (line.account_id, amount, self.env._("Put into the wallet")),
                (self._get_wallet_account("deposit"), -amount, reason),
            ],
            line.partner_id,
        )
        receivable = move.line_ids.filtered(lambda one: one.account_id == line.account_id)
        (line | receivable).reconcile()
        # Lots are closed to all users; whoever is here may book the payment.
        return (
            self.env["reseller.wallet.lot"]
            .sudo()
            ._grant(
                self,
                {
                    "kind": "payment",
                    "reason": reason,
                    "key": f"{line._name},{line.id}",
                    "date": day,
                    "date_until": date_until,
                    "granted": amount + bonus,
                    "cost": amount,
                },
                move,
            )
        )

    def _give_to_wallet(self, amount, reason, key, date_until=False):
        """Give money that nobody has paid; return the lot. Nothing is booked until it is drawn."""
        self.ensure_one()
        # Lots are closed to all users; the caller has checked who may give.
        return (
            self.env["reseller.wallet.lot"]
            .sudo()
            ._grant(
                self,
                {
                    "kind": "gift",
                    "reason": reason,
                    "key": key,
                    "date": self._today(),
                    "date_until": date_until,
                    "granted": amount,
                },
            )
        )

    # Money out

    def _debit_wallet(self, amount, reason):
        """Take money out by hand; what was paid for it is income.

        :raise UserError: when there is not as much
        """
        self.ensure_one()
        self._take_turn()
        today = self._today()
        taken = self._take(Decimal(repr(amount)), self._load_own_lots(today, today))
        if -sum(Decimal(repr(vals["amount"])) for vals in taken) != Decimal(repr(amount)):
            raise UserError(
                self.env._(
                    "The wallet of %(client)s holds %(balance)s.",
                    client=self.display_name,
                    balance=self.currency_id.format(self.wallet_balance),
                )
            )
        return self._add_entries("debit", taken, today, reason, "breakage")

    def _refund_wallet(self, reason):
        """Give what was paid in and not used back: it is an open credit of the payer from then on.

        Given money lapses. An accountant pays the credit out, or lets it pay an invoice.
        """
        self.ensure_one()
        self._take_turn()
        taken = [
            {"lot_id": lot.id, "amount": -float(left), "cost": -float(cost)}
            for lot, left, cost in self._load_own_lots()
        ]
        if not any(vals["cost"] for vals in taken):
            raise UserError(self.env._("Nothing that was paid in is left."))
        payer = self._get_payer().with_company(self.company_id)
        return self._add_entries(
            "refund", taken, self._today(), reason, payer.property_account_receivable_id
        )

    def _add_entries(self, kind, taken, day, reason, account):
        """Store what is taken, and book its cost from the deposit account to another one.

        :param account: an account, or the name of one of the settings
        """
        cost = -sum(Decimal(repr(vals["cost"])) for vals in taken)
        move = self.env["account.move"]
        if cost:
            if isinstance(account, str):
                account = self._get_wallet_account(account)
            move = self._book(
                day,
                reason,
                [
                    (self._get_wallet_account("deposit"), float(cost), reason),
                    (account, -float(cost), reason),
                ],
                self._get_payer(),
            )
        vals = {"kind": kind, "date": day, "reason": reason, "move_id": move.id}
        # Entries are closed to all users; whoever is here may take.
        entries_sudo = self.env["reseller.wallet.entry"].sudo()
        return entries_sudo.create([{**one, **vals} for one in taken])

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

    def _book(self, day, reason, lines, partner):
        """Post an entry in the wallets' journal; return it. See _prepare_entry."""
        model = self.env["account.move"].with_company(self.company_id)
        move = model.create(self._prepare_entry(day, reason, lines, partner))
        move.action_post()
        return move

    def _prepare_entry(self, day, reason, lines, partner):
        """Return the values of an entry in the wallets' journal.

        :param lines: (account, amount in the currency of the bills, debits above zero, label)
        """
        self._get_wallet_account("deposit")
        currency, company = self.currency_id, self.company_id
        lines = [line for line in lines if line[1]]
        balances = [
            currency._convert(amount, company.currency_id, company, day)
            for _account, amount, _label in lines[:-1]
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
                    }
                )
                for (account, amount, label), balance in zip(lines, balances, strict=True)
            ],
        }


class ResellerStatementWalletMixin(models.AbstractModel):
    """Bills that are paid out of wallets."""

    _name = "reseller.statement.wallet.mixin"
    _description = "Payment of Bills by Wallets"

    def _draw_wallets(self, day):
        """Pay the invoices of these bills out of their clients' wallets, and have lots expire.

        A draw is a payment of the invoice, reconciled with it. A lot that ends in a bill's period is
        drawn by it, and expires then.

        :param date day: of the invoices
        """
        statements = self._find_wallets()
        if not statements:
            return
        statements.client_id._take_turn()  # also with bills by hand, which lock nothing
        clients = self.env["reseller.client"]
        spans = {
            statement: (
                statement.period_start or statement.bill_date,
                statement.period_end or fields.Date.subtract(statement.bill_date, days=1),
            )
            for statement in statements
        }
        lots = clients._load_lots(
            {one.client_id: (since, one.bill_date) for one, (since, _until) in spans.items()}
        )
        old = clients._load_lots({one.client_id: (NEVER, span[1]) for one, span in spans.items()})
        wanted, entries = [], []
        for statement, (_since, until) in spans.items():
            client = statement.client_id
            taken = client._take(statement._get_wallet_share(), lots[client])
            if taken:
                entries.append((statement, "draw", taken))
                wanted.append(statement._prepare_wallet_payment(taken, day))
            # A bill by hand covers no days: lots that ended may still pay for use before.
            expired = statement.kind != "manual" and statement._get_expired(
                old[client], taken, until
            )
            if expired:
                entries.append((statement, "expire", expired))
                wanted.append(statement._prepare_expiry(expired, day))
        model = self.env["account.move"].with_company(statements.company_id)
        made = iter(model.create([vals for vals in wanted if vals]))
        moves = [next(made) if vals else model for vals in wanted]
        model.union(*moves).action_post()
        rows, plan = [], []
        for (statement, kind, taken), move in zip(entries, moves, strict=True):
            if kind == "draw":
                plan.append((statement.invoice_id | move).line_ids._get_open_receivables())
            vals = {"kind": kind, "date": day, "statement_id": statement.id, "move_id": move.id}
            rows += [{**one, **vals, "reason": move.ref} for one in taken]
        # Entries are closed to all users; who bills draws.
        self.env["reseller.wallet.entry"].sudo().create(rows)
        self.env["account.move.line"]._reconcile_plan(plan)

    @staticmethod
    def _get_expired(lots, taken, until):
        """Return entry values of what is left of lots whose last day is in the bill's period."""
        drawn = {one["lot_id"]: one for one in taken}
        found = []
        for lot, left, cost in lots:
            if not lot.date_until or lot.date_until > until:
                continue
            one = drawn.get(lot.id, {"amount": 0.0, "cost": 0.0})
            amount = left + Decimal(repr(one["amount"]))
            if amount > 0:
                cost += Decimal(repr(one["cost"]))
                found.append({"lot_id": lot.id, "amount": -float(amount), "cost": -float(cost)})
        return found

    def _find_wallets(self):
        """Return those of these bills whose clients have something in their wallets."""
        holders = (
            self.env["reseller.wallet.lot"]
            .sudo()
            ._read_group(  # bills see their wallets
                [("client_id", "in", self.client_id.ids)], ["client_id"]
            )
        )
        clients = self.env["reseller.client"].union(*(client for (client,) in holders))
        return self.filtered(lambda statement: statement.client_id in clients)

    def _get_wallet_share(self):
        """Return how much of this bill's invoice the wallet may pay, taxes included."""
        self.ensure_one()
        invoice, client = self.invoice_id, self.client_id
        if not invoice or invoice.move_type != "out_invoice" or client.wallet_use == "never":
            return Decimal(0)
        share = invoice.amount_residual
        if client.wallet_use == "usage":
            lines = invoice.invoice_line_ids.filtered(
                lambda line: line.charge_id.kind in ("usage", "overage", "minimum")
            )
            share = min(share, max(sum(lines.mapped("price_total")), 0.0))
        unit = self.currency_id._get_exact_rounding()
        return rating.round_to(Decimal(repr(share)), unit)

    def _prepare_wallet_payment(self, taken, day):
        """Return the values of the entry that pays the invoice: from deposits, and of bonuses."""
        self.ensure_one()
        client, invoice = self.client_id, self.invoice_id
        amount = -sum(Decimal(repr(vals["amount"])) for vals in taken)
        cost = -sum(Decimal(repr(vals["cost"])) for vals in taken)
        reason = self.env._("Wallet pays %s", invoice.name)
        receivable = invoice.line_ids._get_open_receivables()[:1]
        lines = [(client._get_wallet_account("deposit"), float(cost), reason)]
        if amount - cost:
            lines.append((client._get_wallet_account("bonus"), float(amount - cost), reason))
        lines.append((receivable.account_id, -float(amount), reason))
        return client._prepare_entry(day, reason, lines, receivable.partner_id)

    def _prepare_expiry(self, expired, day):
        """Return the values of the entry that makes income of what was paid in, or None."""
        self.ensure_one()
        client = self.client_id
        cost = -sum(Decimal(repr(vals["cost"])) for vals in expired)
        if not cost:
            return None
        reason = self.env._("Expired")
        lines = [
            (client._get_wallet_account("deposit"), float(cost), reason),
            (client._get_wallet_account("breakage"), -float(cost), reason),
        ]
        return client._prepare_entry(day, reason, lines, client._get_payer())

    def _return_to_wallets(self):
        """Give back what void bills had drawn, and what had expired with them, each to its lot."""
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # as _pay_by_wallet
        drawn = entries_sudo.search(
            [("statement_id", "in", self.ids), ("kind", "in", ("draw", "expire", "return"))]
        )
        for move, entries in drawn.grouped("move_id").items():
            left = entries.filtered(lambda one: one.kind != "return")
            if not left:
                continue
            day = fields.Date.context_today(self)
            reversal = self.env["account.move"]
            if move:
                move.line_ids.remove_move_reconcile()
                reversal = move.with_context(reseller_billing=BILLING)._reverse_moves(
                    [{"date": day, "ref": self.env._("Given back: %s", move.ref)}], cancel=True
                )
            entries_sudo.create(
                [
                    {
                        "lot_id": entry.lot_id.id,
                        "kind": "return",
                        "date": day,
                        "amount": -entry.amount,
                        "cost": -entry.cost,
                        "statement_id": entry.statement_id.id,
                        "move_id": reversal.id,
                    }
                    for entry in left
                ]
            )


class ResellerWalletCheck(models.AbstractModel):
    """The law of the wallets: the deposit account owes what is left of the lots' cost."""

    _name = "reseller.wallet.check"
    _description = "Check of Wallets Against the Books"

    def _compare(self):
        """Return {(company, currency): (cost left of lots, what the account owes)}, as Decimals."""
        self.env.flush_all()
        found = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for company, currency, cost in self.env.execute_query(
            SQL(
                "SELECT company_id, currency_id, sum(COALESCE(cost, 0))::text "
                "FROM reseller_wallet_entry GROUP BY company_id, currency_id"
            )
        ):
            found[company, currency][0] = Decimal(cost)
        for company, currency, owed in self.env.execute_query(
            SQL(
                """
                SELECT line.company_id, line.currency_id, (-sum(line.amount_currency))::text
                  FROM account_move_line line
                  JOIN res_company company ON company.id = line.company_id
                 WHERE line.account_id = company.reseller_deposit_account_id
                   AND line.parent_state = 'posted'
                 GROUP BY line.company_id, line.currency_id
                """
            )
        ):
            found[company, currency][1] = Decimal(owed)
        companies, currencies = self.env["res.company"], self.env["res.currency"]
        return {
            (companies.browse(company), currencies.browse(currency)): tuple(amounts)
            for (company, currency), amounts in found.items()
        }

    @api.model
    def _cron_check(self):
        """Raise an activity on the deposit account's journal entries where lots and books differ."""
        for (company, currency), (cost, owed) in self._compare().items():
            if cost == owed:
                continue
            note = self.env._(
                "Lots hold %(cost)s, the deposit account owes %(owed)s. Only wallets may book on it.",
                cost=currency.format(float(cost)),
                owed=currency.format(float(owed)),
            )
            last = self.env["reseller.wallet.lot"].search(
                [("company_id", "=", company.id), ("currency_id", "=", currency.id)], limit=1
            )
            client = last.client_id
            if client:
                summary = self.env._("Wallets and deposit account differ")
                client.reseller_id._tell_responsible(client, summary, note)


class ResellerWalletRequest(models.Model):
    """A credit or debit by hand: with a reason, and above a limit with a second person's approval."""

    _name = "reseller.wallet.request"
    _description = "Credit or Debit of a Wallet"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one("reseller.client", required=True, index=True, ondelete="restrict")
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="client_id.currency_id")
    payer_id = fields.Many2one(related="client_id.payer_id")
    kind = fields.Selection(
        [
            ("payment", "Put an open payment in"),
            ("gift", "Give credit"),
            ("debit", "Take out"),
            ("refund", "Refund what was paid in"),
        ],
        required=True,
        default="payment",
    )
    payment_line_id = fields.Many2one(
        "account.move.line",
        string="Open Payment",
        check_company=True,
        help="A payment of the payer that no invoice is reconciled with.",
    )
    amount = fields.Monetary(help="Of a payment: what is given on top of it.")
    date_until = fields.Date(string="Valid Until", help="The last day; empty: it does not expire.")
    reason = fields.Char(required=True)
    state = fields.Selection(
        [("draft", "New"), ("waiting", "Waits for approval"), ("done", "Done"), ("no", "Refused")],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    asked_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False)

    _amount_positive = models.Constraint(
        "CHECK (COALESCE(amount, 0) >= 0)", "Amounts are above zero."
    )

    @api.depends("client_id", "reason")
    def _compute_display_name(self):
        for request in self:
            request.display_name = f"{request.client_id.display_name}: {request.reason}"

    @api.constrains("kind", "amount", "payment_line_id")
    def _check_amount(self):
        for request in self:
            if request.kind in ("gift", "debit") and not request.amount:
                raise ValidationError(self.env._("Say how much is given or taken."))
            if request.kind == "payment" and not request.payment_line_id:
                raise ValidationError(self.env._("Choose the payment to put in."))

    def write(self, vals):
        """Override of `base`: what was asked for stays as it was asked for."""
        if not self.env.su and (
            {"state", "asked_by_id", "approved_by_id"} & vals.keys()
            or any(request.state != "draft" for request in self)
        ):
            raise UserError(self.env._("This was asked for as it is: make a new one."))
        return super().write(vals)

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if not self.env.su:
                # Neither by values nor by defaults of a context: the buttons alone do it.
                vals.update(state="draft", asked_by_id=False, approved_by_id=False)
        return super().create(vals_list)

    def action_do(self):
        """Do what is asked for; above the company's limit it waits for another person.

        :raise AccessError: without the group Billing Manager
        """
        self.env["reseller.billing.run"]._check_may_bill()
        for request in self.filtered(lambda one: one.state == "draft"):
            request_sudo = request.sudo()  # only these buttons write the state
            request_sudo.asked_by_id = self.env.user
            limit = request.company_id.reseller_wallet_limit
            refunded = request.kind == "refund" and request.client_id.wallet_balance
            if limit and max(request.amount, refunded) > limit:
                request_sudo.state = "waiting"
            else:
                request._do()

    def action_approve(self):
        """Approve what waits, as another person than the one who asked.

        :raise AccessError: without the group Billing Manager, or for one's own request
        """
        self.env["reseller.billing.run"]._check_may_bill()
        for request in self.filtered(lambda one: one.state == "waiting"):
            if request.asked_by_id == self.env.user:
                raise AccessError(self.env._("Another person has to approve this."))
            request.sudo().approved_by_id = self.env.user  # as above
            request._do()

    def action_refuse(self):
        """Refuse what waits.

        :raise AccessError: without the group Billing Manager
        """
        self.env["reseller.billing.run"]._check_may_bill()
        waiting = self.filtered(lambda one: one.state in ("draft", "waiting"))
        waiting.sudo().state = "no"  # as above

    def _do(self):
        self.ensure_one()
        client = self.client_id
        if self.kind == "payment":
            client._fund_wallet(self.payment_line_id, self.reason, self.amount, self.date_until)
        elif self.kind == "gift":
            client._give_to_wallet(
                self.amount, self.reason, f"{self._name},{self.id}", self.date_until
            )
        elif self.kind == "debit":
            client._debit_wallet(self.amount, self.reason)
        else:
            client._refund_wallet(self.reason)
        self.sudo().state = "done"  # only the buttons write it
