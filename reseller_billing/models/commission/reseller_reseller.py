from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from ..base.states import LIVE
from .reseller_commission_earned import BASES


class ResellerReseller(models.Model):
    """How a reseller and the provider settle: whether it earns a commission."""

    _inherit = "reseller.reseller"

    settlement = fields.Selection(
        [
            ("none", "None: as invoices say"),
            ("referral", "Referral: it earns a share of what its clients are billed"),
        ],
        required=True,
        default="none",
        tracking=True,
        help="Under a referral you invoice the clients, and the reseller earns a percentage of the net "
        "revenue, by feature and level.",
    )
    settlement_date = fields.Date(
        string="Settled From",
        tracking=True,
        help="The first day whose invoices earn. No client may be billed for it yet.",
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

    @api.constrains("settlement", "settlement_date", "invoice_to")
    def _check_settlement(self):
        for reseller in self:
            if reseller.settlement == "none":
                continue
            if reseller.invoice_to != "client":
                raise ValidationError(
                    self.env._(
                        "%s earns a share of what its clients are billed: invoices go to each client.",
                        reseller.name,
                    )
                )
            if not reseller.settlement_date:
                raise ValidationError(self.env._("Say from which day on %s earns.", reseller.name))
            bills_sudo = self.env["reseller.statement"].sudo()  # of all its clients, seen or not
            domain = Domain("reseller_id", "=", reseller.id) & Domain("state", "in", LIVE)
            last = bills_sudo.search(domain, order="bill_date desc", limit=1).bill_date
            if last and reseller.settlement_date <= last and not reseller._get_last_commission():
                raise ValidationError(
                    self.env._(
                        "Clients of %(reseller)s are billed until %(last)s: choose a later day.",
                        reseller=reseller.name,
                        last=last,
                    )
                )
            reseller._check_nothing_ahead()

    def _check_nothing_ahead(self):
        """Refuse to settle otherwise while a client has paid ahead: what it has left was sold as it was."""
        clients_sudo = self.env["reseller.client"].sudo()  # of all its clients, seen or not
        buyers_sudo = clients_sudo.search(
            Domain("reseller_id", "=", self.id)
            & (Domain("wallet_lot_ids", "!=", False) | Domain("prepaid_lot_ids", "!=", False))
        )
        holding = buyers_sudo.filtered(
            lambda client: any(
                lots.filtered(lambda lot: lot.cost_left > 0)
                for lots in (client.wallet_lot_ids, client.prepaid_lot_ids)
            )
        )[:1]
        if holding and not self._get_last_commission():
            raise ValidationError(
                self.env._(
                    "%s has money or units left that were paid before: let it use them, or refund them first.",
                    holding.display_name,
                )
            )

    def write(self, vals):
        """Override of `base`: what commissions rest on stays once there are any."""
        owned = {"settlement", "settlement_date", "commission_basis"} & vals.keys()
        for reseller in self:
            changed = [
                name
                for name in owned
                if reseller._fields[name].convert_to_cache(vals[name], reseller) != reseller[name]
            ]
            if changed and reseller._get_last_commission():
                raise ValidationError(
                    self.env._(
                        "%s has commission statements: how it is settled stays. Make another reseller, and "
                        "move its clients.",
                        reseller.name,
                    )
                )
        return super().write(vals)

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
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Commissions"),
            "res_model": "reseller.commission",
            "view_mode": "list,form",
            "domain": [("reseller_id", "=", self.id)],
        }
