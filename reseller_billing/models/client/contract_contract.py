from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

CLIENT_OWNED = {
    "generation_type",
    "currency_id",
    "manual_currency_id",
    "line_recurrence",
    "recurring_rule_type",
    "recurring_interval",
    "date_start",
    "recurring_next_date",
    "reseller_client_id",
}

# A client's account, as a value of the context: an object that no call from outside can send.
CLIENT = object()


class ContractContract(models.Model):
    _inherit = "contract.contract"

    generation_type = fields.Selection(
        selection_add=[("reseller", "Reseller Billing")],
        ondelete={"reseller": lambda records: records._set_generation_type_invoice()},
    )
    reseller_client_id = fields.Many2one(
        "reseller.client",
        string="Billing Account",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The account owns the cycle: this contract gives its invoices' header and extra lines.",
    )

    @api.depends("reseller_client_id.next_bill_date")
    def _compute_recurring_next_date(self):
        """A billing account's contract is due when the account is."""
        owned = self.filtered("reseller_client_id")
        for contract in owned:
            contract.recurring_next_date = contract.reseller_client_id.next_bill_date
        return super(ContractContract, self - owned)._compute_recurring_next_date()

    @api.constrains("generation_type", "reseller_client_id")
    def _check_generation_type(self):
        for contract in self:
            if contract.reseller_client_id and contract.generation_type != "reseller":
                raise ValidationError(
                    self.env._(
                        "The contract of a billing account is billed by the account's billing runs."
                    )
                )

    def write(self, vals):
        if CLIENT_OWNED & vals.keys() and self.env.context.get("reseller_sync") is not CLIENT:
            owned = self.filtered("reseller_client_id")
            changed = {
                name
                for name in CLIENT_OWNED & vals.keys()
                if any(
                    contract._fields[name].convert_to_cache(vals[name], contract)
                    != contract._fields[name].convert_to_cache(contract[name], contract)
                    for contract in owned
                )
            }
            if changed:
                raise UserError(
                    self.env._(
                        "The billing account %s owns the cycle and dates of its contract: change them there.",
                        owned[0].reseller_client_id.display_name,
                    )
                )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billing_account(self):
        if self.reseller_client_id:
            raise UserError(self.env._("This contract belongs to a billing account: keep it."))

    @api.model
    def _get_contracts_to_invoice_domain(self, date_ref=None):
        """Keep the contracts of billing accounts out of the cron and of the manual wizard."""
        domain = super()._get_contracts_to_invoice_domain(date_ref)
        return Domain(domain) & Domain("reseller_client_id", "=", False)

    def _recurring_create_invoice(self, date_ref=False):
        owned = self.filtered("reseller_client_id")
        if owned:
            raise UserError(
                self.env._(
                    "%s is billed by the billing runs of its account, not by its contract.",
                    owned[0].display_name,
                )
            )
        return super()._recurring_create_invoice(date_ref)
