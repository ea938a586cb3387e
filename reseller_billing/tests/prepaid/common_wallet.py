from ..common import PrepaidCommon


class WalletCommon(PrepaidCommon):
    """A client with a wallet, and what is asked of it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bonus = cls.company.reseller_bonus_account_id

    @classmethod
    def _receive(cls, amount, client=None):
        """Receive money of a client by the bank; return its open receivable item."""
        payment = cls.env["account.payment"].create(
            {
                "amount": amount,
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": (client or cls.client_a).partner_id.id,
                "journal_id": cls.company_data["default_journal_bank"].id,
            }
        )
        payment.action_post()
        return payment.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )

    def _ask(self, kind, **values):
        request = self.env["reseller.wallet.request"].create(
            {"client_id": self.client_a.id, "kind": kind, "reason": "by hand", **values}
        )
        request.action_do()
        return request

    def _pay_in(self, amount, bonus=0.0, until=False):
        line = self._receive(amount)
        self._ask("payment", payment_line_id=line.id, amount=bonus, date_until=until)
        return self.client_a.wallet_lot_ids.sorted("id")[-1]

    def assertBooks(self):
        """The law: the deposit account owes what is left of the lots' cost, to the cent."""
        self.assertFalse(self.env["reseller.wallet.check"].search([("is_different", "=", True)]))
        self.assertEqual(
            -self._balance(self.deposit),
            self.company.currency_id.round(sum(self.client_a.wallet_lot_ids.mapped("cost_left"))),
        )

    def _left(self):
        self.client_a.invalidate_recordset()
        return [(lot.left, lot.cost_left) for lot in self.client_a.wallet_lot_ids.sorted("id")]

    def _replace(self, statement, rounding=None):
        """Reverse a bill's invoice and post the one that replaces it; return that."""
        invoice = statement.invoice_id
        wizard = self.env["account.move.reversal"].create(
            {"move_ids": invoice.ids, "journal_id": invoice.journal_id.id}
        )
        wizard.modify_moves()
        replacement = statement.invoice_id
        replacement.invoice_cash_rounding_id = rounding
        replacement.action_post()
        return replacement
