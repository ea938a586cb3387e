from fractions import Fraction

from odoo import fields, models
from odoo.exceptions import UserError

from ... import rating

# What would make a line disagree with its charge.
CHARGE_OWNED = {
    "quantity",
    "price_unit",
    "discount",
    "tax_ids",
    "product_id",
    "currency_id",
    "charge_id",
    "display_type",
}


# What billing alone writes.
OF_BILLING = {"reverses_charge_id", "charge_amount", "charge_date_from", "charge_date_to"}
# Whose an item of the ledger is, and of what: copies keep it, so that what reverses it has it too.
WHOSE = {
    "reseller_client_id",
    "reseller_feature_id",
    "reseller_level_id",
    "reseller_settles",
    "reseller_taxed_later",
}

# What would take the cost of a package from the account that owes it.
PACKAGE_OWNED = {"account_id"}


# Billing itself, as a value of the context: an object that no call from outside can send.
BILLING = object()


def _is_billing(records):
    """Whether billing itself changes what statements own."""
    return records.env.context.get("reseller_billing") is BILLING


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    charge_id = fields.Many2one(
        "reseller.charge", readonly=True, copy=False, index="btree_not_null", ondelete="restrict"
    )

    reverses_charge_id = fields.Many2one(
        "reseller.charge",
        string="Gives Back",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="What an earlier bill charged and this line gives back, with its taxes and account.",
    )

    reseller_client_id = fields.Many2one(
        "reseller.client",
        string="Billing Account",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Whose bill, or whose wallet or package, this item is of.",
    )
    reseller_feature_id = fields.Many2one(
        "reseller.feature", string="Feature", readonly=True, ondelete="restrict"
    )
    reseller_level_id = fields.Many2one(
        "reseller.feature.level", string="Level", readonly=True, ondelete="restrict"
    )
    reseller_settles = fields.Selection(
        [("bonus", "Bonus"), ("advance", "Advance payment")],
        string="Settled by the Wallet",
        readonly=True,
        help="What lowers an invoice that a wallet pays: the share of a bonus, which nobody has paid for, "
        "or money whose tax was due when it was paid in.",
    )
    reseller_taxed_later = fields.Boolean(
        string="Taxed at Use",
        readonly=True,
        help="What is sold ahead, or refunded, without a tax: what is used of it is taxed.",
    )
    charge_amount = fields.Monetary(
        string="As Priced",
        readonly=True,
        copy=False,
        help="What this line bills of its charge, as priced: below zero where it gives back.",
    )
    charge_date_from = fields.Date(string="Service From", readonly=True, copy=False)
    charge_date_to = fields.Date(
        string="Service To",
        readonly=True,
        copy=False,
        help="The days of service of what this line bills or gives back.",
    )

    _reseller_revenue = models.Index("(company_id, date) WHERE reseller_client_id IS NOT NULL")

    def _compute_account_id(self):
        """Override of `account`: what sells ahead stays on the account that owes it."""
        settled = self.filtered(lambda line: line.account_id and line._is_settled())
        return super(AccountMoveLine, self - settled)._compute_account_id()

    def _get_computed_taxes(self):
        """Override of `account`: what is given back has the taxes that it was billed with, as they stand
        now; other lines of bills have those of their days of service.
        """
        before = self.reverses_charge_id
        if self.reseller_settles:
            return self.tax_ids
        if not before:
            return self._get_dated_taxes(super()._get_computed_taxes())
        billed = before.move_line_ids.filtered(
            lambda line: line.move_id == before.statement_id.invoice_id and self._shares_days(line)
        )
        return billed[:1].tax_ids if billed else self.tax_ids

    def _shares_days(self, line):
        """Whether this line and another one have a day of service in common, or one has none."""
        if not (self.charge_date_from and line.charge_date_from):
            return True
        return (
            line.charge_date_from <= self.charge_date_to
            and line.charge_date_to >= self.charge_date_from
        )

    def _get_dated_taxes(self, taxes):
        """Return the taxes of this line of a bill as they are on its day.

        :param taxes: as they are where no rate changes
        """
        if not self.charge_id:
            return taxes
        position, template = self.move_id.fiscal_position_id, self.product_id.product_tmpl_id
        plain = template._get_sales_taxes(self.company_id, position)
        dated = template._get_sales_taxes(self.company_id, position, self._get_tax_day())
        return taxes if plain == dated else position.map_tax(dated)

    def _get_tax_day(self):
        """Return the day whose tax this line of a bill takes (rating 26)."""
        self.ensure_one()
        return self.charge_id._get_tax_day(self.charge_date_to)

    def _follow_position(self):
        """Have the price follow where the invoice's fiscal position takes a tax away that it includes."""
        self.ensure_one()
        if self.reverses_charge_id or not self.charge_amount:
            return
        template, position = self.product_id.product_tmpl_id, self.move_id.fiscal_position_id
        own = template._get_sales_taxes(self.company_id, position, self._get_tax_day())
        unit = self.currency_id._get_exact_rounding()
        priced = rating.round_to(rating.exact_of(self.charge_amount), unit)
        amount = template._adapt_price(priced, self.currency_id, own, position.map_tax(own))
        sign = -1 if self.move_id.move_type == "out_refund" else 1
        if self.currency_id.compare_amounts(self.quantity * self.price_unit, sign * float(amount)):
            self.with_context(reseller_billing=BILLING).write(
                {"quantity": 1, "price_unit": sign * float(amount)}
            )

    def _get_charge_days(self, days):
        """Return (first, last) of the days that are given back of this line.

        :param days: (first, last) of the service that is given back; only of those of a recurring fee
            is known which they are
        """
        self.ensure_one()
        own = self.charge_date_from, self.charge_date_to
        common = max(own[0], days[0]), min(own[1], days[1])
        is_fee = self.charge_id.kind == "recurring"
        return common if is_fee and common[0] <= common[1] else own

    def _get_invoiced_share(self, amount):
        """Return what this line has, exact, of an amount of its charge, as priced, that is given back."""
        self.ensure_one()
        unit = self.currency_id._get_exact_rounding()
        billed = rating.round_to(rating.exact_of(self.charge_amount), unit)
        whole = rating.round_to(rating.exact_of(self.quantity * self.price_unit), unit)
        if self.move_id.move_type == "out_refund":
            whole = -whole
        # What was billed before lines knew it was billed as it was priced.
        if not billed or billed == whole:
            return amount
        return rating.round_to(Fraction(amount) * Fraction(whole) / Fraction(billed), unit)

    def _is_settled(self):
        """Whether taxes and account are those of another day: of a sale ahead, its refund, or of what is
        given back.
        """
        self.ensure_one()
        charge = self.charge_id
        return bool(
            charge.kind == "package"
            or charge.manual_charge_id.refund_lot_id
            or self.reverses_charge_id
            or self.reseller_settles
        )

    def _raise_charge_line(self, line):
        raise UserError(
            self.env._(
                "The line '%(line)s' comes from the statement %(statement)s: its amount stays. "
                "Void the bill to bill its period again, or post a credit note.",
                line=line.name,
                statement=line.move_id.reseller_statement_id.name,
            )
        )

    def write(self, vals):
        if (OF_BILLING | WHOSE) & vals.keys() and not _is_billing(self):
            raise UserError(
                self.env._("Whose a line is and what it gives back, billing itself keeps.")
            )
        if (CHARGE_OWNED | PACKAGE_OWNED) & vals.keys() and not _is_billing(self):
            for line in self.filtered(lambda line: line._is_of_statement()):
                if line._is_by_hand():
                    continue
                # Taxes are no part of a statement; what is sold on an invoice stays as it was sold.
                owned = CHARGE_OWNED - ({"tax_ids"} if line.parent_state == "draft" else set())
                if line.charge_id.kind == "package" or line.reseller_settles:
                    owned = CHARGE_OWNED | PACKAGE_OWNED
                for name in owned & vals.keys():
                    field = line._fields[name]
                    if field.type == "many2many":
                        value = line.new({name: vals[name]}, origin=line)[name]._origin
                    else:
                        value = field.convert_to_record(
                            field.convert_to_cache(vals[name], line), line
                        )
                    if value != line[name]:
                        line._raise_charge_line(line)
        return super().write(vals)

    def unlink(self):
        if not _is_billing(self):
            for line in self.filtered(lambda line: line._is_of_statement()):
                if not line._is_by_hand():
                    line._raise_charge_line(line)
        return super().unlink()

    def action_view_charge(self):
        """Open the charge that this line bills: its price, the version of that, its days and events."""
        self.ensure_one()
        return self.charge_id._get_records_action(name=self.env._("Why This Price?"))

    def _tops_up(self):
        """Whether this line sells what no wallet pays: money for the wallet."""
        self.ensure_one()
        return self.charge_id.grants == "money"

    def _is_of_statement(self):
        """Whether a line is what a statement billed, or what lowers its invoice."""
        self.ensure_one()
        lowers = self.reseller_settles and self.move_id.reseller_statement_id
        return bool(self.charge_id or lowers)

    def _is_by_hand(self):
        """Whether a line was added to a draft invoice by hand: its charge follows when it is posted."""
        self.ensure_one()
        item_sudo = self.charge_id.manual_charge_id.sudo()  # who edits invoices
        return self.parent_state == "draft" and item_sudo.is_of_invoice

    def _get_open_receivables(self):
        """Return those of these lines that are receivable, and not reconciled to their end."""
        return self.filtered(
            lambda line: line.account_id.account_type == "asset_receivable" and not line.reconciled
        )
