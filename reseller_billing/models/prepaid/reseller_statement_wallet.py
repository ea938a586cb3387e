from decimal import Decimal

from odoo import fields, models

from ... import rating
from ..billing.account_move_line import BILLING
from ..billing.reseller_charge import METERED
from .reseller_client_wallet import NEVER, bonus_of, total_of


class ResellerStatement(models.Model):
    """Bills that are paid out of wallets."""

    _inherit = "reseller.statement"

    def _plan_draws(self, moves):
        """Return {statement: entry values} of what wallets give for drafts, and lower these by it: by the
        share of a bonus, and by money that was taxed when it was paid in.

        :param moves: {statement: its draft invoice}
        """
        statements = self._find_wallets().filtered(lambda statement: statement in moves)
        if not statements:
            return {}
        statements.client_id._conflict_with_others()  # also with bills by hand, which lock nothing
        lots = self.env["reseller.client"]._load_lots(
            {bill.client_id: (bill._get_days()[0], bill.bill_date) for bill in statements}
        )
        found = {}
        for statement in statements:
            client, invoice = statement.client_id, moves[statement]
            payer = invoice.commercial_partner_id
            usable = client._keep_to_payer(lots[client], payer)
            share = statement._get_wallet_share(invoice)
            left = sum(left for _lot, left, _cost in usable)
            if (
                invoice.invoice_cash_rounding_id
                and statement._is_lowered_by(usable)
                and float(share) == invoice.amount_total <= left
            ):
                # Nothing of it is paid in cash.
                invoice.with_context(reseller_billing=BILLING).invoice_cash_rounding_id = False
                share = statement._get_wallet_share(invoice)
            taken = client._take(share, usable)
            if taken:
                found[statement] = taken
                statement._lower_invoice(invoice, taken)
        return found

    def _is_lowered_by(self, lots):
        """Whether what these lots give may lower an invoice.

        :param lots: see reseller.client._load_lots
        """
        return self.company_id.reseller_bonus_mode == "price" or any(
            lot._was_taxed() for lot, _left, _cost in lots
        )

    def _pays_for(self, line):
        """Whether an invoice line is what the client has its wallet pay for."""
        charge = line.charge_id
        is_chosen = self.client_id.wallet_use != "usage" or charge.kind in METERED
        return bool(charge) and is_chosen and not line._tops_up()

    def _take_bonus_back(self, invoice):
        """Lower what a draft gives back by the share that a bonus had paid; return what that is, taxes
        included.

        Nobody has paid it, so that nobody is paid it: it is in the wallet again.
        """
        self.ensure_one()
        client, rows = self.client_id, []
        for line in invoice.invoice_line_ids:
            before = (
                line.reverses_charge_id or line.charge_id.manual_charge_id.refund_lot_id.charge_id
            )
            if not before:
                continue
            billed = before.statement_id.invoice_id
            bonus = billed.invoice_line_ids.filtered(
                lambda one, line=line: (
                    one.reseller_settles == "bonus" and one.tax_ids == line.tax_ids
                )
            )
            paid_for = billed.invoice_line_ids.filtered(
                lambda charged, line=line: (
                    charged.tax_ids == line.tax_ids and self._pays_for(charged)
                )
            )
            whole = sum(paid_for.mapped("price_total"))
            if not bonus or not whole or before not in paid_for.charge_id:
                continue
            share = -sum(bonus.mapped("price_total")) / whole
            price = self.currency_id.round(-share * line.quantity * line.price_unit)
            rows.append(
                {
                    "name": self.env._("Bonus"),
                    "product_id": line.product_id.id,
                    "account_id": client._get_wallet_account("bonus").id,
                    "tax_ids": [fields.Command.set(line.tax_ids.ids)],
                    "quantity": 1.0,
                    "price_unit": price,
                    "reseller_client_id": client.id,
                    "reseller_settles": "bonus",
                    "sequence": 9997,
                }
            )
        if not rows:
            return 0.0
        before = invoice.amount_total
        invoice.with_context(reseller_billing=BILLING).write(
            {"invoice_line_ids": [fields.Command.create(vals) for vals in rows]}
        )
        return self.currency_id.round(abs(invoice.amount_total - before))

    def _give_bonus_back(self, amount):
        """Put a bonus that had paid for what this bill gives back into the wallet again."""
        self.ensure_one()
        if amount:
            reason = self.env._("Bonus given back: %s", self.name)
            # With the bill, as what that draws.
            self.client_id._give_to_wallet(
                amount, reason, f"{self._name},{self.id}", date=self.invoice_id.date
            )

    def _get_days(self):
        """Return (first, last) day of use that lots pay for with this bill."""
        self.ensure_one()
        return (
            self.period_start or self.bill_date,
            self.period_end or fields.Date.subtract(self.bill_date, days=1),
        )

    def _lower_invoice(self, invoice, taken):
        """Add the lines to a draft that lower it: nobody has paid for a bonus, and what was taxed at its
        receipt is not taxed again. The wallet pays what is left of its share.
        """
        self.ensure_one()
        rows = []
        bonus = bonus_of(taken)
        if bonus and self.company_id.reseller_bonus_mode == "price":
            rows += self._prepare_bonus_lines(invoice, float(bonus))
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # who bills draws
        for vals in taken:
            lot_sudo = lots_sudo.browse(vals["lot_id"])
            if lot_sudo._was_taxed() and vals["cost"]:
                sold = lot_sudo.charge_id.statement_id.invoice_id
                rows.append(lot_sudo._prepare_settling_line(vals, -1, sold))
        if rows:
            invoice.with_context(reseller_billing=BILLING).write(
                {"invoice_line_ids": [fields.Command.create(vals) for vals in rows]}
            )

    def _prepare_bonus_lines(self, invoice, amount):
        """Return the values of the lines that take a bonus off what the wallet pays for, by its taxes.

        :param float amount: taxes included; the taxes are as Odoo divides a discount
        """
        self.ensure_one()
        client, taxes = self.client_id, self.env["account.tax"]
        bases, _tax_lines = invoice._get_rounded_base_and_tax_lines()
        paid_for = [base for base in bases if self._pays_for(base["record"])]
        lines = taxes._prepare_global_discount_lines(
            paid_for, self.company_id, "fixed", amount, computation_key="reseller_bonus"
        )
        account = client._get_wallet_account("bonus")
        return [
            {
                "name": self.env._("Bonus"),
                "product_id": base["product_id"].id,
                "account_id": account.id,
                "tax_ids": [fields.Command.set(base["tax_ids"].ids)],
                "quantity": base["quantity"],
                "price_unit": base["price_unit"],
                "extra_tax_data": taxes._export_base_line_extra_tax_data(base),
                "reseller_client_id": client.id,
                "reseller_settles": "bonus",
                "sequence": 9998,
            }
            for base in lines
        ]

    def _draw_wallets(self, day, plan):
        """Pay the invoices of these bills out of their clients' wallets, and have lots expire.

        A draw is a payment of the invoice, reconciled with it; what has lowered the invoice needs none. A
        lot that ends in a bill's period is drawn by it, and expires then.

        :param date day: of bills without an invoice; others are drawn for on their accounting date
        :param plan: see _plan_draws
        """
        statements = self._find_wallets()
        if not statements:
            return
        statements.client_id._conflict_with_others()
        clients = self.env["reseller.client"]
        old = clients._load_lots(
            {statement.client_id: (NEVER, statement._get_days()[1]) for statement in statements}
        )
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # who bills draws
        wanted, entries, days = [], [], {}
        for statement in statements:
            client, taken = statement.client_id, plan.get(statement, [])
            # With the invoice in the books, but not before the money was there.
            days[statement] = max(
                statement.invoice_id.date or day,
                *lots_sudo.browse([vals["lot_id"] for vals in taken]).mapped("date"),
                NEVER,
            )
            settled = [
                vals
                for vals in taken
                if lots_sudo.browse(vals["lot_id"])._was_taxed() and vals["cost"]
            ]
            paying = [vals for vals in taken if vals not in settled]
            if taken:
                discount = statement._take_early_discount(taken, paying)
                payment = statement._prepare_wallet_payment(
                    taken, paying, days[statement], discount
                )
                parts = [(paying, payment), (settled, None)] if paying else [(settled, payment)]
                for some, vals in parts:
                    if some:
                        entries.append((statement, "draw", some))
                        wanted.append(vals)
            # A bill by hand covers no days: lots that ended may still pay for use before.
            expired = statement.kind != "manual" and statement._get_expired(
                old[client], taken, statement._get_days()[1]
            )
            if expired:
                entries.append((statement, "expire", expired))
                wanted.append(
                    client._prepare_cost_entry(
                        expired,
                        days[statement],
                        self.env._("Expired"),
                        "breakage",
                        client._get_debtor(),
                    )
                )
        model = self.env["account.move"].with_company(statements.company_id)
        made = iter(model.create([vals for vals in wanted if vals]))
        moves = [next(made) if vals else model for vals in wanted]
        model.union(*moves).action_post()
        rows, plan = [], []
        for (statement, kind, taken), move in zip(entries, moves, strict=True):
            if kind == "draw" and move:
                plan.append((statement.invoice_id | move).line_ids._get_open_receivables())
            reason = move.ref or self.env._("Settled by %s", statement.invoice_id.name)
            vals = {
                "kind": kind,
                "date": days[statement],
                "statement_id": statement.id,
                "move_id": move.id,
            }
            rows += [{**entry, **vals, "reason": reason} for entry in taken]
        for statement in statements:
            rows += statement._settle_exchange(statement.invoice_id, entries, days[statement])
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # who bills draws
        entries_sudo.create(rows)
        self.env["account.move.line"]._reconcile_plan(plan)

    def _settle_exchange(self, invoice, entries, day):
        """Book what an invoice has settled of advances at its own rate, and not at that at which they came;
        return the values of wallet entries that name the booking.

        :param entries: (statement, kind, entry values) of what these bills take
        """
        self.ensure_one()
        settled = invoice.invoice_line_ids.filtered(lambda line: line.reseller_settles == "advance")
        if not settled or invoice.currency_id == self.company_id.currency_id:
            return []
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # who bills draws
        taken = [
            vals
            for statement, kind, some in entries
            if statement == self and kind == "draw"
            for vals in some
            if lots_sudo.browse(vals["lot_id"])._was_taxed()
        ]
        move = self.client_id._book_exchange(
            sum(settled.mapped("balance")) - float(total_of(taken, "balance")), day, invoice
        )
        names = ("amount", "cost", "tax", "balance")
        return [
            {
                **dict.fromkeys(names, 0.0),
                "lot_id": taken[0]["lot_id"],
                "kind": "draw",
                "date": day,
                "statement_id": self.id,
                "move_id": move.id,
                "reason": move.ref,
            }
            for _once in move
        ]

    @staticmethod
    def _get_expired(lots, taken, until):
        """Return entry values of what is left of lots whose last day is in the bill's period."""
        drawn = {entry["lot_id"]: entry for entry in taken}
        found = []
        for lot, left, cost in lots:
            if not lot.date_until or lot.date_until > until:
                continue
            one = drawn.get(lot.id, dict.fromkeys(("amount", "cost", "tax", "balance"), 0.0))
            amount = left + rating.exact_of(one["amount"])
            if amount > 0:
                balance = lot._get_balance_left(cost) + rating.exact_of(one["balance"])
                tax = lot._get_paid_left(cost) - cost + rating.exact_of(one["tax"])
                cost += rating.exact_of(one["cost"])
                found.append(
                    {
                        "lot_id": lot.id,
                        "amount": -float(amount),
                        "cost": -float(cost),
                        "tax": -float(tax),
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

    def _get_wallet_share(self, invoice):
        """Return how much of this bill's invoice, as drafted, the wallet may pay, taxes included."""
        self.ensure_one()
        client = self.client_id
        if invoice.move_type != "out_invoice":
            return Decimal(0)
        # No wallet pays what tops it up.
        topped = sum(line.price_total for line in invoice.invoice_line_ids if line._tops_up())
        share = invoice.amount_residual - topped
        if invoice.reseller_is_offer and topped:
            return Decimal(0)  # it cannot be paid whole
        if invoice.reseller_is_offer:
            # In part it would buy nothing, and what is used has to be paid before.
            balance = client._load_live_balances()[client.id]
            share = share if balance >= rating.exact_of(share) else 0.0
        lines = invoice.invoice_line_ids.filtered(lambda line: line.charge_id.kind in METERED)
        unit = self.currency_id._get_exact_rounding()
        total, metered = (
            rating.round_to(rating.exact_of(amount), unit)
            for amount in (share, sum(lines.mapped("price_total")))
        )
        return client._limit_share(total, metered)

    def _take_early_discount(self, taken, paying):
        """Return the values of the journal items of the discount that Odoo grants for payment by today, where
        the wallet pays all; what it saves stays in the lots.

        :param taken: all that lots give, see _plan_draws
        :param paying: of it, what is not taxed yet: entry values, which are lowered
        """
        self.ensure_one()
        invoice = self.invoice_id
        if not invoice.invoice_payment_term_id.early_discount:
            return []
        values = invoice._get_invoice_next_payment_values()
        unit = self.currency_id._get_exact_rounding()
        due, wanted = (
            rating.round_to(rating.exact_of(amount), unit)
            for amount in (values.get("amount_due", 0.0), invoice.amount_residual)
        )
        pays = total_of(paying, "cost")
        if self.company_id.reseller_bonus_mode == "expense":
            pays += bonus_of(taken)
        left = wanted - due
        if values.get("installment_state") != "epd" or pays != wanted or left > pays:
            return []
        for vals in reversed(paying):
            saved = min(left, -rating.exact_of(vals["cost"]))
            if saved > 0:
                left -= saved
                kept = (vals["cost"] + float(saved)) / vals["cost"]
                vals["balance"] = self.company_id.currency_id.round(vals["balance"] * kept)
                for name in ("amount", "cost"):
                    vals[name] = self.currency_id.round(vals[name] + float(saved))
        line = values["epd_line"]
        lines = self.env["account.move"]._get_invoice_counterpart_amls_for_early_payment_discount(
            [
                {
                    "aml": line,
                    "amount_currency": -line.amount_residual_currency,
                    "balance": -line.balance,
                }
            ],
            values["epd_discount_amount"],
        )
        return [vals for group in lines.values() for vals in group]

    def _prepare_wallet_payment(self, taken, paying, day, discount):
        """Return the values of the entry that pays the invoice: from deposits, and of bonuses where these
        are an expense; None where nothing is left to pay.

        :param taken: all that lots give, see _plan_draws
        :param paying: of it, what was not taxed when it was paid in
        :param discount: values of journal items, see _take_early_discount
        """
        self.ensure_one()
        client, invoice = self.client_id, self.invoice_id
        cost = amount = total_of(paying, "cost")
        if self.company_id.reseller_bonus_mode == "expense":
            amount += bonus_of(taken)
        if not amount:
            return None
        reason = self.env._("Wallet pays %s", invoice.name)
        receivable = invoice.line_ids._get_open_receivables()[:1]
        balance = float(total_of(paying, "balance"))
        lines = [(client._get_wallet_account("deposit"), float(cost), reason, balance)]
        if amount - cost:
            lines.append((client._get_wallet_account("bonus"), float(amount - cost), reason))
        lines += [
            (
                self.env["account.account"].browse(vals["account_id"]),
                vals["amount_currency"],
                vals["name"],
                vals["balance"],
            )
            for vals in discount
        ]
        amount += sum((rating.exact_of(vals["amount_currency"]) for vals in discount), Decimal(0))
        lines.append((receivable.account_id, -float(amount), reason))
        entry = client._prepare_entry(day, reason, lines, receivable.partner_id)
        for command, vals in zip(entry["line_ids"][-1 - len(discount) : -1], discount, strict=True):
            # With what the tax report reads.
            command[2].update({**vals, "partner_id": receivable.partner_id.id})
        return entry

    def _get_payment_notes(self):
        """Override: what the wallet has paid."""
        notes = super()._get_payment_notes()
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # the client's own
        [(drawn,)] = entries_sudo._read_group(
            [("statement_id", "=", self.id), ("kind", "in", ("draw", "return"))],
            [],
            ["amount:sum"],
        )
        if drawn:
            notes.append(
                self.env._("%s of it is paid by the wallet.", self.currency_id.format(-drawn))
            )
        return notes

    def _return_to_wallets(self, date=None):
        """Give back what void bills had drawn, and what had expired with them, each to its lot.

        :param date date: of the entries; today where None
        """
        lots_sudo = self.env["reseller.wallet.lot"].sudo()  # who voids gives back
        keys = [f"{self._name},{statement.id}" for statement in self]
        for lot_sudo in lots_sudo.search([("key", "in", keys), ("state", "=", "open")]):
            if lot_sudo.left:
                share = -lot_sudo.left / lot_sudo.granted
                lot_sudo._add_entry("cancel", lot_sudo.client_id._today(), 0, share)
            lot_sudo.state = "canceled"
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # who voids gives back
        drawn = entries_sudo.search(
            [("statement_id", "in", self.ids), ("kind", "in", ("draw", "expire"))]
        )
        self._give_back(drawn, date or fields.Date.context_today(self))

    def _give_back(self, drawn, day):
        """Give what bills had drawn back to its lots, but for what was given back already.

        :param drawn: wallet entries
        :param date day: of the entries
        """
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # who voids gives back
        for move, left in drawn.grouped("move_id").items():
            if move.reversal_move_ids:
                continue
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
                        "tax": -entry.tax,
                        "balance": -entry.balance,
                        "statement_id": entry.statement_id.id,
                        "move_id": reversal.id,
                    }
                    for entry in left
                ]
            )
