from odoo import fields, models
from odoo.exceptions import UserError


class AccountMoveReversal(models.TransientModel):
    _inherit = "account.move.reversal"

    def reverse_moves(self, is_modify=False):
        """Override of `account`: a replacement takes over the statement of what it replaces."""
        bills = self.move_ids.filtered("reseller_statement_id")
        if is_modify and bills and self.date > fields.Date.context_today(self):
            raise UserError(
                self.env._(
                    "%s is the invoice of a statement, which its replacement bills at once: choose today or an "
                    "earlier day.",
                    bills[0].name,
                )
            )
        self.move_ids._check_replaceable(is_modify)
        action = super().reverse_moves(is_modify)
        if is_modify:
            originals = self.move_ids.filtered("reseller_statement_id")
            replaced = dict(zip(self.move_ids, self.new_move_ids, strict=True))
            for move in originals:
                move._move_statement_to(replaced[move], move.reversal_move_ids.sorted("id")[-1:])
        return action
