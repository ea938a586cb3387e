from odoo import models


class ResellerStatement(models.Model):
    """Where bills meet what is paid ahead."""

    _inherit = "reseller.statement"

    def _is_offer(self):
        """Whether this bill sells only what may be used once it is paid."""
        self.ensure_one()
        charges = self.charge_ids.filtered("amount")
        return (
            self.kind == "manual"
            and bool(charges)
            and all(
                charge.kind == "package" and charge.grant_release == "paid" for charge in charges
            )
        )

    def _check_invoiceable(self):
        """Override: what is sold ahead needs the account that owes it."""
        done = super()._check_invoiceable()
        for charge in self.charge_ids.filtered(
            lambda charge: charge.kind == "package" and charge.amount
        ):
            charge._get_liability_account()
            if charge._takes_taxes():
                charge._check_package_taxes()
        return done

    def _prepare_invoice_vals(self, date, *args, **kwargs):
        """Override: an offer is paid under the statement's name, and at once."""
        vals = super()._prepare_invoice_vals(date, *args, **kwargs)
        is_offer = self._is_offer()
        if is_offer:
            vals |= {
                "invoice_payment_term_id": False,
                "invoice_date_due": date,
                # A draft has no number: what it is paid under is found in the bank by this.
                "payment_reference": self.name,
            }
        return {**vals, "reseller_is_offer": is_offer}

    def _before_posting(self, moves):
        """Override: a bonus lowers what it pays for, or is given back with it."""
        kept = super()._before_posting(moves)
        back = {statement: statement._take_bonus_back(moves[statement]) for statement in self}
        return {**kept, "back": back, "plan": self._plan_draws(moves)}

    def _post_drafts(self, moves, date, kept):
        """Override: offers stay drafts until something pays them, as the wallet may at once."""
        offers = {one: move for one, move in moves.items() if move._is_pro_forma()}
        owed = {one: move for one, move in moves.items() if one not in offers}
        done = super()._post_drafts(owed, date, kept)
        for statement, offer in offers.items():
            if statement in kept["plan"]:
                offer._post_paid(date)
            offer.line_ids.with_context(validate_analytic=True)._validate_analytic_distribution()
        return done

    def _after_invoice(self, draws, date, kept):
        """Override: what is paid ahead pays, and what is sold ahead is there."""
        done = super()._after_invoice(draws, date, kept)
        for statement, amount in kept.get("back", {}).items():
            statement._give_bonus_back(amount)
        self._draw_units(draws, date)
        self._draw_wallets(date, kept.get("plan", {}))
        self._sell_lots(date)
        return done

    def _before_void(self, frees, date):
        """Override: what bills had drawn is there again, and what they sold is not sold again."""
        done = super()._before_void(frees, date)
        self._return_to_wallets(date)
        self._return_units(date)
        by_hand = self.filtered(lambda statement: statement.kind == "manual")
        items_sudo = by_hand.charge_ids.manual_charge_id.sudo()  # whoever voids
        sold = by_hand.charge_ids.filtered(lambda charge: charge.kind == "package")
        # Nor is refunded again what was refunded: it is there to be used.
        taken_back = sold.manual_charge_id.sudo() | items_sudo.filtered("refund_lot_id")  # as above
        taken_back.is_withdrawn = True
        self.env["reseller.refill"]._cancel(self)
        return done

    def _after_void(self, date):
        """Override: lots follow the invoices that sold them."""
        done = super()._after_void(date)
        for lots in self._find_sold_lots():
            lots._follow_invoices(date)
        return done

    def _after_credit_note(self, invoice, credit, date):
        """Override: what was settled is there again at the rate at which it came, what was sold gone at that."""
        self.client_id._book_exchange_of(invoice | credit, date, credit)
        return super()._after_credit_note(invoice, credit, date)
