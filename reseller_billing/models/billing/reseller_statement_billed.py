from odoo import api, fields, models
from odoo.fields import Domain

from ..base.notice import list_action
from ..base.states import LIVE


class ResellerStatement(models.Model):
    """Which statements are bills: those that say something, and are more than an offer."""

    _inherit = "reseller.statement"

    is_offered = fields.Boolean(
        compute="_compute_is_offered",
        search="_search_is_offered",
        help="It sells what may be used once it is paid, and nobody has paid it.",
    )

    @api.depends("invoice_id.reseller_is_offer", "invoice_id.payment_state")
    def _compute_is_offered(self):
        for statement in self:
            invoice_sudo = statement.sudo().invoice_id  # who reads bills need not read invoices
            statement.is_offered = (
                invoice_sudo.reseller_is_offer and invoice_sudo.payment_state == "not_paid"
            )

    def _search_is_offered(self, operator, value):
        if operator != "in":
            return NotImplemented
        moves_sudo = self.env["account.move"].sudo()  # as in _compute_is_offered
        offers = moves_sudo._search(
            Domain("reseller_is_offer", "=", True) & Domain("payment_state", "=", "not_paid")
        )
        offered = Domain("invoice_id", "in", offers)
        return Domain.OR([offered if one else ~offered for one in value])

    @api.model
    def _get_list_action(self, domain):
        """Return the action that opens statements of a domain."""
        return list_action(
            self.env,
            "reseller_billing.reseller_statement_action",
            self.env._("Statements"),
            domain,
        )

    @api.model
    def _get_billed_domain(self):
        """Return the domain of statements that are bills and say something; what is only offered is none."""
        return (
            Domain("state", "in", LIVE)
            & Domain("charge_ids", "!=", False)
            & Domain("is_offered", "=", False)
        )
