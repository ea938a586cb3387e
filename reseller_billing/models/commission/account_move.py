from odoo import api, fields, models
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

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `account`: billing itself says what settles a commission."""
        if any("reseller_commission_id" in vals for vals in vals_list):
            self._check_owned_commission()
        return super().create(vals_list)

    def write(self, vals):
        """Override of `account`: as for `create`."""
        if "reseller_commission_id" in vals:
            self._check_owned_commission()
        return super().write(vals)

    def _check_owned_commission(self):
        if not _is_billing(self):
            raise UserError(self.env._("Commission statements themselves say what settles them."))

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
