from odoo import fields, models
from odoo.exceptions import UserError

from ..billing.account_move_line import _is_billing


class AccountMove(models.Model):
    _inherit = "account.move"

    reseller_commission_id = fields.Many2one(
        "reseller.commission",
        string="Commission Statement",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="What this bill in the reseller's name settles.",
    )

    def _check_not_of_commission(self):
        stated = self.filtered("reseller_commission_id")
        if stated and not _is_billing(self):
            raise UserError(
                self.env._(
                    "%s settles a commission statement: cancel that, which reverses the bill.",
                    stated[0].name,
                )
            )

    def button_draft(self):
        """Override of `account`: a self-billed bill stays as its statement says it."""
        self._check_not_of_commission()
        return super().button_draft()

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """Override of `account`: a self-billed bill is reversed with its statement."""
        self._check_not_of_commission()
        return super()._reverse_moves(default_values_list, cancel)
