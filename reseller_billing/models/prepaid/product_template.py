from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ... import rating
from ..base.intervals import INTERVAL_UNITS

VAT_MODES = [("use", "At use"), ("receipt", "At receipt")]
# When what is sold ahead is taxed where nobody has chosen. A package is of one feature and so of one
# tax, known when it is sold; what money will pay for is not.
VAT_DEFAULTS = {"units": "receipt", "money": "use"}


def make_grant(
    feature, units, vat_mode, bonus=0.0, valid=(0, "month"), release="paid", priority=10
):
    """Return what a sale gives to who buys, as values of its charge.

    :param feature: of which `units` are given with each one sold; None: its price in the wallet
    :param vat_mode: taxed at "use" or at "receipt"
    :param bonus: money on top
    :param valid: number and unit of the interval; none where the number is 0
    """
    return {
        "grants": "units" if feature else "money",
        "grant_feature_id": feature.id if feature else None,
        "grant_units": rating.exact_of(units),
        "grant_bonus": rating.exact_of(bonus),
        "grant_valid_count": valid[0],
        "grant_valid_unit": valid[1],
        "grant_release": release,
        "grant_priority": priority,
        "grant_vat_mode": vat_mode,
    }


class ProductTemplate(models.Model):
    _inherit = "product.template"

    reseller_grants = fields.Selection(
        [("units", "Units of a feature"), ("money", "Money in the wallet")],
        string="Prepaid",
        help="What a client that buys this has ahead, and bills draw on.",
    )
    reseller_feature_id = fields.Many2one(
        "reseller.feature",
        string="Feature",
        ondelete="restrict",
        domain="[('aggregation', 'in', ('sum', 'count'))]",
        check_company=True,
    )
    reseller_units = fields.Float(
        string="Units", min_display_digits=0, help="In one package, with what is given on top."
    )
    reseller_bonus = fields.Float(
        string="Money On Top",
        min_display_digits="Product Price",
        help="Given with each one sold, on top of its price.",
    )
    reseller_valid_count = fields.Integer(
        string="Valid For", help="From the day on which it may be used. None: it does not expire."
    )
    reseller_valid_unit = fields.Selection(INTERVAL_UNITS, string="Validity Unit", default="month")
    reseller_release = fields.Selection(
        [("paid", "Once it is paid"), ("invoiced", "Once it is invoiced")],
        string="May Be Used",
        default="paid",
    )
    reseller_priority = fields.Integer(
        string="Priority", default=10, help="Lower ones are drawn first."
    )

    reseller_vat_mode = fields.Selection(
        VAT_MODES,
        string="Taxed",
        company_dependent=True,
        help="At use: what it pays for may be taxed differently, or its tax is not known yet (a multi-purpose "
        "voucher, Directive 2006/112/EC, art. 30a and 30b): paying is no sale, and what is used is taxed, with "
        "the tax in what was paid. At receipt: all that it pays for has one tax, known when it is sold (a "
        "single-purpose voucher, or a payment on account, art. 65): its invoice has the tax. Empty: money at "
        "use, packages of units at receipt. Ask your adviser.",
    )
    reseller_in_portal = fields.Boolean(
        string="In the Portal", help="Clients that pay themselves may buy it in their portal."
    )

    _reseller_prepaid_positive = models.Constraint(
        "CHECK (COALESCE(reseller_units, 0) >= 0 AND COALESCE(reseller_bonus, 0) >= 0 "
        "AND COALESCE(reseller_valid_count, 0) >= 0)",
        "Units, money on top and validity of a package must not be negative.",
    )

    def _get_vat_mode(self, company, grants):
        """Return when what this sells ahead is taxed, "use" or "receipt", in a company.

        :param grants: "units" or "money"
        """
        return self.with_company(company).reseller_vat_mode or VAT_DEFAULTS[grants]

    @api.constrains("reseller_grants", "reseller_feature_id", "reseller_units")
    def _check_reseller_grants(self):
        for product in self.filtered(lambda product: product.reseller_grants == "units"):
            if not product.reseller_feature_id or not product.reseller_units:
                raise ValidationError(
                    self.env._(
                        "%s: say of which feature a package has how many units.", product.name
                    )
                )
            if product.reseller_feature_id.aggregation not in ("sum", "count"):
                raise ValidationError(
                    self.env._(
                        "%s is billed by its highest or last value: it has no packages.",
                        product.reseller_feature_id.name,
                    )
                )


class ProductProduct(models.Model):
    _inherit = "product.product"

    def _is_taxed_later(self, company):
        """Whether this is sold ahead, and taxed when it is used."""
        self.ensure_one()
        grants = self.reseller_grants
        return bool(grants) and self.product_tmpl_id._get_vat_mode(company, grants) == "use"

    def _prepare_reseller_grant(self, currency, company, date):
        """Return what one of this product gives to who buys it, as values of a charge; None: nothing.

        :param currency: of the bill; money on top is converted as prices are
        :param date: of the sale
        """
        self.ensure_one()
        if not self.reseller_grants:
            return None
        on_top = self.currency_id._convert(self.reseller_bonus, currency, company, date)
        return make_grant(
            self.reseller_feature_id if self.reseller_grants == "units" else None,
            self.reseller_units,
            self.product_tmpl_id._get_vat_mode(company, self.reseller_grants),
            bonus=on_top,
            valid=(self.reseller_valid_count, self.reseller_valid_unit or "month"),
            release=self.reseller_release or "paid",
            priority=self.reseller_priority,
        )
