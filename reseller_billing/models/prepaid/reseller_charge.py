from odoo import api, fields, models
from odoo.exceptions import UserError

from ... import rating
from ..base.intervals import INTERVAL_UNITS
from .product_template import VAT_MODES

# What a sale gives to who buys; see make_grant.
GRANT = (
    "grant_feature_id",
    "grant_units",
    "grant_bonus",
    "grant_valid_count",
    "grant_valid_unit",
    "grant_release",
    "grant_priority",
    "grant_vat_mode",
)


class ResellerCharge(models.Model):
    """Charges that sell ahead, or give back what was sold."""

    _inherit = "reseller.charge"

    grant_feature_id = fields.Many2one(
        "reseller.feature", string="Units Of", readonly=True, ondelete="restrict"
    )
    grant_units = fields.Float(string="Units of One", readonly=True, min_display_digits=0)
    grant_bonus = fields.Float(
        string="Money on Top of One", readonly=True, min_display_digits="Product Price"
    )
    grant_valid_count = fields.Integer(
        string="Valid For", readonly=True, help="None: it does not expire."
    )
    grant_valid_unit = fields.Selection(INTERVAL_UNITS, string="Validity Unit", readonly=True)
    grant_release = fields.Selection(
        [("paid", "Once it is paid"), ("invoiced", "Once it is invoiced")],
        string="May Be Used",
        readonly=True,
    )
    grant_priority = fields.Integer(string="Drawing Priority", readonly=True)
    grant_vat_mode = fields.Selection(VAT_MODES, string="Taxed", readonly=True)

    _grant_amounts = models.Constraint(
        "CHECK (grants IS NULL OR COALESCE(grant_bonus, 0) >= 0"
        " AND (grants = 'money' OR grant_feature_id IS NOT NULL AND grant_units > 0)"
        " AND grant_release IS NOT NULL)",
        "What a package gives is above zero, and of a feature or money.",
    )

    @api.model
    def _get_columns(self):
        """Override: what a package gives."""
        return (*super()._get_columns(), *GRANT)

    def _load_lot_amounts(self):
        """Return {id: values of its lot} of what the invoice lines of charges say of the lots that they sell.

        Where nothing is sold, not above zero is granted.
        """
        found = {}
        for number, (quantity, _price, _amount) in self._get_exact().items():
            charge = self.browse(number)
            line = charge.move_line_ids[:1]
            # As it was booked, which may differ by a cent of rounding from the line's subtotal.
            vals = {"cost": -line.amount_currency, "cost_balance": -line.balance}
            granted = quantity * rating.exact_of(charge.grant_units)
            # As it was invoiced, on either side.
            paid = line.price_total * (-1 if line.move_id.move_type == "out_refund" else 1)
            vals["tax"] = charge.currency_id.round(paid + line.amount_currency)
            if charge.grants == "money":
                # What is taxed now pays for as much as was paid for it, taxes included.
                unit = charge.currency_id._get_exact_rounding()
                granted = rating.round_to(rating.exact_of(paid), unit)
                granted += quantity * rating.exact_of(charge.grant_bonus)
            found[number] = {**vals, "granted": float(granted) if quantity > 0 else 0.0}
        return found

    def _check_top_up(self, quantity):
        """Refuse top-ups that nobody pays for.

        :param Decimal quantity: how many are sold
        """
        self.ensure_one()
        if self.amount <= 0:
            raise UserError(
                self.env._("%s has no price: give money by a credit of the wallet.", self.name)
            )
        self.client_id._check_holds_money(self.name)
        limit = self.company_id.reseller_wallet_limit
        gift = quantity * rating.exact_of(self.grant_bonus)
        if limit and gift > rating.exact_of(limit):
            raise UserError(
                self.env._(
                    "%(name)s gives %(amount)s on top, above the limit of one person: give it by a "
                    "credit of the wallet, which another one approves.",
                    name=self.name,
                    amount=self.currency_id.format(float(gift)),
                )
            )

    def _check_package_taxes(self):
        """Refuse taxes that would be booked on the account of what is sold ahead, which owes its cost alone."""
        template = self._get_product().product_tmpl_id
        taxes = template._get_sales_taxes(self.company_id, day=self._get_tax_day(None))
        self._check_taxes_of_liability(taxes)

    @api.model
    def _check_taxes_of_liability(self, taxes):
        """See _check_package_taxes."""
        for tax in taxes.flatten_taxes_hierarchy():
            shares = tax.invoice_repartition_line_ids
            if any(
                share.repartition_type == "tax" and share.factor and not share.account_id
                for share in shares
            ):
                raise UserError(
                    self.env._(
                        "The tax %s has no account of its own, so that it would be booked as what is "
                        "sold ahead: set one.",
                        tax.display_name,
                    )
                )

    def _get_liability_account(self):
        """Return where what this charge sells is owed until it is used.

        :raise UserError: when the settings name none
        """
        self.ensure_one()
        if self.grants == "money":
            return self.client_id._get_wallet_account("deposit")
        return self.client_id._get_prepaid_account()

    def _prepare_account_vals(self):
        """Override: what sells ahead is owed, and a refund takes it from there."""
        vals = super()._prepare_account_vals()
        refunded = self.manual_charge_id.refund_lot_id
        if refunded:
            sold = refunded.charge_id.move_line_ids[:1]
            taxes = [fields.Command.set(sold.tax_ids.ids)]
            return {
                **vals,
                "account_id": sold.account_id.id,
                "tax_ids": taxes,
                "reseller_taxed_later": sold.reseller_taxed_later,
            }
        if self.kind != "package":
            return vals
        vals["account_id"] = self._get_liability_account().id
        if not self._takes_taxes():
            vals |= {"tax_ids": [fields.Command.clear()], "reseller_taxed_later": True}
        return vals

    def _takes_taxes(self):
        """Override: a refund has the taxes of the sale, and what is taxed at use none."""
        if self.manual_charge_id.refund_lot_id:
            return False
        if self.kind != "package":
            return super()._takes_taxes()
        return self.grant_vat_mode == "receipt"
