from decimal import Decimal

from odoo import fields, models

from .. import rating
from .account_move_line import BILLING
from .reseller_charge import METERED
from .reseller_client_wallet import NEVER, total_of


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
            payer = statement.invoice_id.commercial_partner_id
            usable = client._keep_to_payer(lots[client], payer)
            taken = client._take(statement._get_wallet_share(), usable)
            if taken:
                if statement.invoice_id._is_pro_forma():
                    statement.invoice_id._post_paid(day)
                entries.append((statement, "draw", taken))
                wanted.append(statement._prepare_wallet_payment(taken, day))
            # A bill by hand covers no days: lots that ended may still pay for use before.
            expired = statement.kind != "manual" and statement._get_expired(
                old[client], taken, until
            )
            if expired:
                entries.append((statement, "expire", expired))
                wanted.append(
                    client._prepare_cost_entry(
                        expired, day, self.env._("Expired"), "breakage", client._get_payer()
                    )
                )
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
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # who bills draws
        entries_sudo.create(rows)
        self.env["account.move.line"]._reconcile_plan(plan)

    @staticmethod
    def _get_expired(lots, taken, until):
        """Return entry values of what is left of lots whose last day is in the bill's period."""
        drawn = {one["lot_id"]: one for one in taken}
        found = []
        for lot, left, cost in lots:
            if not lot.date_until or lot.date_until > until:
                continue
            one = drawn.get(lot.id, {"amount": 0.0, "cost": 0.0, "balance": 0.0})
            amount = left + Decimal(repr(one["amount"]))
            if amount > 0:
                balance = lot._get_balance_left(cost) + Decimal(repr(one["balance"]))
                cost += Decimal(repr(one["cost"]))
                found.append(
                    {
                        "lot_id": lot.id,
                        "amount": -float(amount),
                        "cost": -float(cost),
                        "balance": -float(balance),
                    }
                )
        return found

    def _find_wallets(self):
        """Return those of these bills whose clients have something in their wallets."""
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # who bills draws
        holders = lots_sudo._read_group([("client_id", "in", self.client_id.ids)], ["client_id"])
        clients = self.env["reseller.client"].union(*(client for (client,) in holders))
        return self.filtered(lambda statement: statement.client_id in clients)

    def _get_wallet_share(self):
        """Return how much of this bill's invoice the wallet may pay, taxes included."""
        self.ensure_one()
        invoice, client = self.invoice_id, self.client_id
        if not invoice or invoice.move_type != "out_invoice":
            return Decimal(0)
        # No wallet pays what tops it up.
        topped = sum(
            line.price_total
            for line in invoice.invoice_line_ids
            if line.charge_id.kind == "package"
            and line.charge_id.trace["grant"]["grants"] == "money"
        )
        share = invoice.amount_residual - topped
        if invoice.reseller_is_offer:
            # In part it would buy nothing, and what is used has to be paid before.
            balance = client._load_live_balances()[client.id]
            share = share if balance >= Decimal(repr(share)) else 0.0
        lines = invoice.invoice_line_ids.filtered(lambda line: line.charge_id.kind in METERED)
        unit = self.currency_id._get_exact_rounding()
        total, metered = (
            rating.round_to(Decimal(repr(amount)), unit)
            for amount in (share, sum(lines.mapped("price_total")))
        )
        return client._limit_share(total, metered)

    def _prepare_wallet_payment(self, taken, day):
        """Return the values of the entry that pays the invoice: from deposits, and of bonuses."""
        self.ensure_one()
        client, invoice = self.client_id, self.invoice_id
        amount, cost = total_of(taken, "amount"), total_of(taken, "cost")
        reason = self.env._("Wallet pays %s", invoice.name)
        receivable = invoice.line_ids._get_open_receivables()[:1]
        balance = float(total_of(taken, "balance"))
        lines = [(client._get_wallet_account("deposit"), float(cost), reason, balance)]
        if amount - cost:
            lines.append((client._get_wallet_account("bonus"), float(amount - cost), reason))
        lines.append((receivable.account_id, -float(amount), reason))
        return client._prepare_entry(day, reason, lines, receivable.partner_id)

    def _return_to_wallets(self, date=None):
        """Give back what void bills had drawn, and what had expired with them, each to its lot.

        :param date date: of the entries; today where None
        """
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # who voids gives back
        drawn = entries_sudo.search(
            [("statement_id", "in", self.ids), ("kind", "in", ("draw", "expire", "return"))]
        )
        for move, entries in drawn.grouped("move_id").items():
            left = entries.filtered(lambda one: one.kind != "return")
            if not left:
                continue
            day = date or fields.Date.context_today(self)
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
                        "balance": -entry.balance,
                        "statement_id": entry.statement_id.id,
                        "move_id": reversal.id,
                    }
                    for entry in left
                ]
            )
