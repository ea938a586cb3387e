from odoo import models

from ... import rating
from .reseller_client_wallet import NEVER, bonus_of


class ResellerStatement(models.Model):
    """What wallets have paid of an invoice that another one replaces."""

    _inherit = "reseller.statement"

    def _follow_replaced(self):
        """Have what wallets paid of bills pay the invoices that these have now.

        What is beyond a wallet's share of the new one, or is another payer's, is in the wallet again. What
        has lowered an invoice stands on its lines, and stays as it is.
        """
        for statement, draws in self._find_draws().grouped("statement_id").items():
            invoice = statement.invoice_id
            if invoice.state != "posted" or invoice.move_type != "out_invoice":
                continue
            paid = draws.move_id.line_ids._get_open_receivables()
            if not paid:
                continue
            owed = invoice.line_ids._get_open_receivables()
            is_other = paid.partner_id.commercial_partner_id != invoice.commercial_partner_id or (
                bool(owed) and paid.account_id != owed.account_id
            )
            unit = statement.currency_id._get_exact_rounding()
            amount = -sum(paid.mapped("amount_residual_currency"))
            share = statement._get_wallet_share(invoice)
            if statement.client_id.wallet_use == "never":
                # Chosen since: what its wallet has paid stays paid.
                share = rating.round_to(rating.exact_of(invoice.amount_residual), unit)
            if is_other or rating.round_to(rating.exact_of(amount), unit) > share:
                if not statement._may_draw_again(draws):
                    continue  # an open credit of who has paid
                statement.client_id._conflict_with_others()
                day = max(invoice.date, *draws.mapped("date"), *draws.lot_id.mapped("date"))
                statement._give_back(draws, day)
                move = statement._draw_again(draws.lot_id, share, day)
                paid = move.line_ids._get_open_receivables()
            (paid | owed).reconcile()

    def _may_draw_again(self, draws):
        """Whether what wallets had paid may be drawn anew: not where a bonus lowered the price, or would now."""
        self.ensure_one()
        given = bonus_of(
            [{"amount": draw.amount, "cost": draw.cost, "tax": draw.tax} for draw in draws]
        )
        lowered = self.invoice_id.invoice_line_ids.filtered("reseller_settles")
        return not lowered and not (given and self.company_id.reseller_bonus_mode == "price")

    def _find_draws(self):
        """Return the wallet entries of what these bills have drawn and not given back."""
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # whoever posts or replaces
        drawn = entries_sudo.search([("statement_id", "in", self.ids), ("kind", "=", "draw")])
        return drawn.filtered(lambda entry: not entry.move_id.reversal_move_ids)

    def _leave_invoice(self, invoice, reversal):
        """Have what reverses an invoice of this bill settle it: what the wallet has paid of it is for the one
        that replaces it.
        """
        payments = self._find_draws().move_id
        if payments and reversal.state == "posted":
            payments.line_ids.remove_move_reconcile()
            (invoice | reversal).line_ids._get_open_receivables().reconcile()

    def _draw_again(self, lots, wanted, day):
        """Pay this bill's invoice out of lots that had paid it; return what books it, none where nothing is.

        :param lots: those of another payer are left alone
        :param Decimal wanted: the amount
        :param date day: of the entries
        """
        self.ensure_one()
        client, invoice = self.client_id, self.invoice_id
        there = [row for row in client._load_own_lots(NEVER, self._get_days()[1]) if row[0] in lots]
        taken = client._take(wanted, client._keep_to_payer(there, invoice.commercial_partner_id))
        move = self.env["account.move"].with_company(self.company_id)
        discount = self._take_early_discount(taken, taken) if taken else []
        vals = self._prepare_wallet_payment(taken, taken, day, discount) if taken else None
        if not vals:
            return move
        move = move.create(vals)
        move.action_post()
        row = {
            "kind": "draw",
            "date": day,
            "statement_id": self.id,
            "move_id": move.id,
            "reason": move.ref,
        }
        entries_sudo = self.env["reseller.wallet.entry"].sudo()  # whoever posts
        entries_sudo.create([{**vals, **row} for vals in taken])
        return move
