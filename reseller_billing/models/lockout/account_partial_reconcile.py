from odoo import api, models


class AccountPartialReconcile(models.Model):
    _inherit = "account.partial.reconcile"

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `account`: who pays is free in the same transaction."""
        partials = super().create(vals_list)
        partials._get_reconciled_lines()._follow_lockouts(paid=True)
        return partials

    def unlink(self):
        """Override of `account`: a payment that is taken back, as by a charge-back, is owed again."""
        lines = self._get_reconciled_lines()
        done = super().unlink()
        lines._follow_lockouts()
        return done

    def _get_reconciled_lines(self):
        return self.debit_move_id | self.credit_move_id
