from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError


class ResellerManualCharge(models.Model):
    """Packages and top-ups that are sold by hand, and their refunds."""

    _inherit = "reseller.manual.charge"

    refund_lot_id = fields.Many2one(
        "reseller.prepaid.lot",
        string="Refunds",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    refill_id = fields.Many2one(
        "reseller.refill", readonly=True, copy=False, index="btree_not_null", ondelete="restrict"
    )

    @api.onchange("product_id")
    def _onchange_product_id(self):
        """Sell a package at its price, under its name."""
        product = self.product_id
        if product.reseller_grants:
            self.name = product.display_name
            self.unit_price = product.currency_id._convert(
                product.lst_price, self.currency_id, self.company_id, self.date
            )

    @api.constrains("kind", "product_id")
    def _check_package(self):
        for item in self:
            if item.kind == "credit" and item.product_id.reseller_grants and not item.refund_lot_id:
                raise ValidationError(
                    self.env._(
                        "%s is a package: refund what is left on the client's page Packages.",
                        item.product_id.display_name,
                    )
                )

    @api.constrains("product_id", "client_id")
    def _check_holds_money(self):
        """Who is billed on papers has no wallet to top up."""
        for item in self.filtered(lambda item: item.product_id.reseller_grants == "money"):
            item.client_id._check_holds_money(item.name)

    def _prepare_grant(self):
        """Return what one unit of this item gives to the client, as values of its charge; None: nothing.

        See product.product._prepare_reseller_grant.
        """
        self.ensure_one()
        if self.refund_lot_id:
            return None
        if self.refill_id:
            return self.refill_id._prepare_grant()
        if not self.product_id:
            return super()._prepare_grant()
        return self.product_id._prepare_reseller_grant(self.currency_id, self.company_id, self.date)

    @api.model
    def _get_bill_owned(self):
        """Override: what an item refunds or refills."""
        return super()._get_bill_owned() | {"refill_id", "refund_lot_id"}

    @api.model
    def _prepare_line_vals(self, line, statement):
        """Override: a package is sold by its own dialog alone.

        :raise UserError: where a line sells one
        """
        if line.product_id.reseller_grants:
            raise UserError(
                self.env._(
                    "%(product)s is a package: take it from %(invoice)s and sell it by Sell Package.",
                    product=line.product_id.display_name,
                    invoice=line.move_id.display_name,
                )
            )
        return super()._prepare_line_vals(line, statement)
