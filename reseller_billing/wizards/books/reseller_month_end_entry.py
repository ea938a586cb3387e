from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Command

from ... import rating


class ResellerMonthEnd(models.TransientModel):
    """The entries of a month's end."""

    _inherit = "reseller.month.end"

    def _prepare_move_vals(self, currency, rows, prepaid):
        """Return the values of the entry of one currency.

        :param rows: (item, fiscal position id, accrued, deferred, used, balance), see _get_amounts
        :param prepaid: see _get_prepaid_rows
        """
        ref = self.env._(
            "Unbilled use and unserved fees on %(day)s, %(currency)s",
            day=self.date,
            currency=currency.name,
        )
        lines = []
        for item, position_id, accrued, deferred, used, balance in rows:
            position = self.env["account.fiscal.position"].browse(position_id or [])
            product = self._get_product(item)[0]
            income = self._get_income_account(product, position)
            for net, account, sign in (
                (accrued, self.accrued_account_id, 1),
                (deferred, self.deferred_account_id, -1),
            ):
                if net:
                    lines += self._prepare_line_vals(
                        product, item, currency, account, income, sign * float(net)
                    )
            if used:
                # What is owed for packages moves, as the bill will move it.
                account = self._get_account("prepaid")
                lines += self._prepare_line_vals(
                    product, item, currency, account, income, float(used), float(balance)
                )
        for name, accounts, amount, balance in prepaid:
            debit, credit = map(self._get_account, accounts)
            pair = self._prepare_pair(name, currency, debit, credit, float(amount), balance)
            if accounts == ("accrued", "bonus") and self._lowers_price():
                pair[1]["reseller_settles"] = "bonus"
            lines += pair
        return {
            "move_type": "entry",
            "company_id": self.company_id.id,
            "journal_id": self.journal_id.id,
            "date": self.date,
            "currency_id": currency.id,
            "ref": ref,
            "reseller_month_end": self.date,
            "line_ids": [Command.create(vals) for vals in lines],
        }

    def _prepare_line_vals(self, product, item, currency, account, income, amount, balance=None):
        lines = self._prepare_pair(item.display_name, currency, account, income, amount, balance)
        of_feature = {}
        if item._name == "reseller.feature":
            of_feature["reseller_feature_id"] = item.id
        # With the product, so that Odoo finds the analytic distribution.
        return [{**vals, "product_id": product.id, **of_feature} for vals in lines]

    def _prepare_pair(self, name, currency, debit, credit, amount, balance=None):
        """Return the values of two lines.

        :param float balance: in the company's currency; at the day's rate where None. Sums of what came at
            different rates may lie on either side of zero in the two currencies, which no item may: they
            are two pairs then.
        """
        if balance is not None and amount * balance < 0:
            return [
                *self._prepare_pair(name, currency, debit, credit, amount, 0.0),
                *self._prepare_pair(name, currency, debit, credit, 0.0, balance),
            ]
        if balance is None:
            balance = currency._convert(
                amount, self.company_id.currency_id, self.company_id, self.date
            )
        return [
            {
                "name": name,
                "account_id": one.id,
                "currency_id": currency.id,
                "amount_currency": sign * amount,
                "balance": sign * balance,
                "tax_ids": [Command.clear()],
            }
            for one, sign in ((debit, 1), (credit, -1))
        ]

    def _get_included(self, item, position_id, day):
        """Return (product, its taxes, those of invoices) where prices of an item include taxes on a day, or
        None.
        """
        product = self._get_product(item)[0]
        position = self.env["account.fiscal.position"].browse(position_id or [])
        own = product.product_tmpl_id._get_sales_taxes(self.company_id, position, day)
        taxes = position.map_tax(own)
        if not (own | taxes).flatten_taxes_hierarchy().filtered("price_include"):
            return None
        return product, own, taxes

    def _get_net(self, amount, currency, product, own, taxes):
        """Return an amount as priced without the taxes that its price includes, as a Decimal; see _get_included."""
        invoiced = product.product_tmpl_id._adapt_price(amount, currency, own, taxes)
        found = taxes.compute_all(float(invoiced), currency, product=product)
        unit = currency._get_exact_rounding()
        return rating.round_to(rating.exact_of(found["total_excluded"]), unit)

    def _lowers_price(self):
        """Whether what a bonus pays lowers the price, and is no expense."""
        return self.company_id.reseller_bonus_mode == "price"

    def _get_account(self, name):
        """Return an account by its name in the settings, those of this month's end as they are chosen.

        :raise UserError: when none is chosen
        """
        if name in ("accrued", "deferred"):
            return self[f"{name}_account_id"]
        if name in ("exchange_gain", "exchange_loss"):
            return self.company_id._get_exchange_account(name == "exchange_gain")
        field = f"reseller_{name}_account_id"
        account = self.company_id[field]
        if not account:
            raise UserError(
                self.env._(
                    "Choose the account of %s in the settings of wallets and packages.",
                    self.company_id._fields[field]._description_string(self.env),
                )
            )
        return account

    def _get_income_account(self, product, position):
        accounts = product.product_tmpl_id.with_company(self.company_id)
        account = accounts.get_product_accounts(fiscal_pos=position)["income"]
        if not account:
            raise UserError(self.env._("%s has no income account: set one.", product.display_name))
        return account
