from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..base.notice import list_action
from ..base.states import LIVE
from .reseller_commission_earned import BASES


class ResellerReseller(models.Model):
    """How a reseller and the provider settle: whether it earns a commission."""

    _inherit = "reseller.reseller"

    settlement = fields.Selection(
        selection_add=[("referral", "Referral: it earns a share of what its clients are billed")],
        ondelete={"referral": "set default"},
    )
    commission_basis = fields.Selection(
        BASES,
        required=True,
        default="billed",
        tracking=True,
        help="Billed: credit notes lower it. Paid: money received, less money paid back.",
    )
    commission_rate_ids = fields.One2many("reseller.commission.rate", "reseller_id", copy=True)
    commission_ids = fields.One2many("reseller.commission", "reseller_id", readonly=True)
    commission_count = fields.Integer(compute="_compute_commission_count")
    self_billing_agreement = fields.Char(
        string="Self-Billing Agreement",
        tracking=True,
        help="Its number or date: without the reseller's agreement nobody may bill in its name.",
    )
    self_billing_from = fields.Date(string="Agreement Valid From", tracking=True)
    self_billing_until = fields.Date(string="Agreement Valid Until", tracking=True)
    commission_without_vat = fields.Boolean(
        string="Charges No VAT",
        tracking=True,
        help="The reseller is a small business or no taxable person: it has no tax ID, and its bills have no "
        "taxes.",
    )

    @api.depends("commission_ids")
    def _compute_commission_count(self):
        counts = dict(
            self.env["reseller.commission"]._read_group(
                [("reseller_id", "in", self.ids)], ["reseller_id"], ["__count"]
            )
        )
        for reseller in self:
            reseller.commission_count = counts.get(reseller._origin, 0)

    @api.onchange("settlement")
    def _onchange_settlement(self):
        if self.settlement == "referral":
            self.invoice_to = "client"

    def _check_invoice_to(self):
        """Override of wholesale: under a referral the provider invoices each client."""
        if self.settlement == "referral" and self.invoice_to != "client":
            raise ValidationError(
                self.env._(
                    "%s earns a share of what its clients are billed: invoices go to each client.",
                    self.name,
                )
            )
        return super()._check_invoice_to()

    def _is_settled(self):
        """Override of wholesale: what commissions rest on stays once there are any, or bills that earn."""
        if self.settlement == "referral":
            bills_sudo = self.env["reseller.statement"].sudo()  # of all its clients, seen or not
            earning = [
                ("reseller_id", "=", self._origin.id),
                ("bill_date", ">=", self.settlement_date),
                ("state", "in", LIVE),
            ]
            return bool(self._get_last_commission() or bills_sudo.search_count(earning, limit=1))
        return super()._is_settled()

    def _get_settlement_fields(self):
        return super()._get_settlement_fields() | {"commission_basis"}

    def _get_last_commission(self):
        """Return the newest commission statement that stands, or none."""
        self.ensure_one()
        commissions_sudo = self.env["reseller.commission"].sudo()  # whoever changes the reseller
        return commissions_sudo.search(
            [("reseller_id", "=", self._origin.id), ("state", "!=", "cancelled")],
            order="date_to desc",
            limit=1,
        )

    def action_view_commissions(self):
        """Open the reseller's commission statements."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_commission_action",
            self.env._("Commissions"),
            [("reseller_id", "=", self.id)],
        )
