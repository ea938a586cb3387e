from decimal import Decimal

from odoo import api, fields, models
from odoo.tools.misc import format_date

from ... import rating


class ResellerCharge(models.Model):
    """How charges become invoice lines."""

    _inherit = "reseller.charge"

    def _prepare_whose_vals(self):
        """Return the values of an item of the ledger that say whose it is, and of what."""
        self.ensure_one()
        return {
            "reseller_client_id": self.client_id.id,
            "reseller_feature_id": self.feature_id.id,
            "reseller_level_id": self.level_id.id,
        }

    def _prepare_invoice_line_vals(self, part, adjusted, sign, quantity_digits, position):
        """Return the values of an invoice line of this charge.

        Where it cannot carry quantity and price, see _split_amount, both are in its label.

        :param Part part: what it bills of this charge
        :param adjusted: the invoice line that an adjustment takes taxes and account from, or None
        :param int sign: 1 on an invoice, -1 on a credit note
        :param int quantity_digits: decimal places of an invoice line's quantity
        :param position: the invoice's account.fiscal.position
        """
        self.ensure_one()
        quantity, price, amount = part.exact
        vals = {
            "name": self.name,
            "charge_id": self.id,
            "charge_amount": float(amount),
            "charge_date_from": part.days[0],
            "charge_date_to": part.days[1],
            **self._prepare_whose_vals(),
            "sequence": self.sequence,
            "display_type": "product",
        }
        if self.contract_line_id:
            vals.update(self._prepare_contract_line_vals())
        else:
            vals["product_id"] = self._get_product().id
        if part.is_divided:
            vals["name"] = self.env._(
                "%(text)s, of which %(first)s to %(last)s",
                text=self.name,
                first=format_date(self.env, part.days[0]),
                last=format_date(self.env, part.days[1]),
            )
        vals |= self._prepare_account_vals()
        if part.original:
            vals |= self._prepare_given_back_vals(part, vals["name"])
        elif adjusted:
            vals |= self._prepare_original_vals(adjusted)
            if part.is_dated:
                del vals["tax_ids"]
        invoiced = self._get_invoiced(part, vals, adjusted, position)
        if invoiced != amount:
            quantity, price, amount = Decimal(1), invoiced, invoiced
        vals.update(self._prepare_balance_vals(vals["product_id"], amount))
        held, each = self._split_amount(quantity, price, amount, quantity_digits)
        if (held, each) == (quantity, price):
            return {**vals, "quantity": float(quantity) * sign, "price_unit": float(price)}
        quantity, price, _amount = part.exact
        if self.kind != "recurring" and abs(quantity) != 1:
            units = self.env["res.lang"]._format_exact(quantity)
            each = self.currency_id._format_exact(price)
            vals["name"] = f"{vals['name']} · {units} × {each}"
        return {**vals, "quantity": 1.0, "price_unit": float(amount) * sign}

    def _get_invoiced(self, part, vals, adjusted, position):
        """Return a part's amount, exact, as its invoice line has it: see product.template._adapt_price.

        What takes the taxes of another line is as much as that one had of what it billed.
        """
        amount = part.exact[2]
        if "tax_ids" in vals:
            original = part.original or adjusted
            return original._get_invoiced_share(amount) if original else amount
        template = self.env["product.product"].browse(vals["product_id"]).product_tmpl_id
        day = self._get_tax_day(part.days[1])
        taxes = template._get_sales_taxes(self.company_id, position, day)
        return template._adapt_price(amount, self.currency_id, taxes, position.map_tax(taxes))

    @api.model
    def _prepare_original_vals(self, original):
        """Return what an invoice line takes from one that it changes what was billed by."""
        vals = {
            "tax_ids": [fields.Command.set(original.tax_ids.ids)],
            "analytic_distribution": original.analytic_distribution or False,
        }
        if original.account_id.active:
            vals["account_id"] = original.account_id.id
        return vals

    def _prepare_given_back_vals(self, part, name):
        """Return what an invoice line takes from one that it gives back of (rating 26)."""
        self.ensure_one()
        original = part.original
        before, invoice = original.charge_id, original.move_id
        if invoice != self.adjusts_statement_id.invoice_id or self.kind != "recurring":
            name = self.env._(
                "%(text)s (billed for %(first)s to %(last)s by %(document)s)",
                text=name,
                first=format_date(self.env, original.charge_date_from),
                last=format_date(self.env, original.charge_date_to),
                document=invoice.name or before.statement_id.name,
            )
        return {
            **self._prepare_original_vals(original),
            "name": name,
            "reverses_charge_id": before.id,
        }

    @api.model
    def _split_amount(self, quantity, price, amount, quantity_digits):
        """Return (quantity, unit price) of an invoice line for a charge; exact Decimals.

        They are the charge's own where Odoo's fields hold them exactly and their product is the
        amount already; otherwise 1 and the amount.

        :param int quantity_digits: decimal places of an invoice line's quantity
        """
        holds = (
            quantity == round(quantity, quantity_digits)
            and quantity * price == amount
            and rating.exact_of(float(price)) == price
        )
        return (quantity, price) if holds else (Decimal(1), amount)

    def _takes_taxes(self):
        """Whether this charge takes its product's taxes, rather than those of what it gives back, or none."""
        self.ensure_one()
        return True

    def _prepare_account_vals(self):
        """Hook: return the account and taxes of this charge's invoice line, where they are not its product's."""
        return {}

    def _get_product(self):
        """Return the product whose taxes and account this charge takes."""
        self.ensure_one()
        if self.contract_line_id:
            return self.contract_line_id.product_id
        if self.manual_charge_id:
            return self.manual_charge_id._get_product()
        return self.feature_id._get_product(self.company_id)

    def _prepare_balance_vals(self, product_id, amount):
        """Return what Odoo would find for the journal item of a line without taxes.

        Given it, Odoo need not write each line a second time, which nearly halves its work. A line
        that has taxes it computes anew all the same. Left to Odoo: conversion, and account tags.
        """
        if (
            self.currency_id != self.company_id.currency_id
            or self.env["product.product"].browse(product_id).sudo().account_tag_ids  # as Odoo does
        ):
            return {}
        return {"balance": -float(amount), "amount_currency": -float(amount)}

    def _prepare_contract_line_vals(self):
        self.ensure_one()
        line = self.contract_line_id
        return {
            "product_id": line.product_id.id,
            "product_uom_id": line.uom_id.id,
            "contract_line_id": line.id,
            "analytic_distribution": line.analytic_distribution,
        }
