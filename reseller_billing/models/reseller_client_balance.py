from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .. import rating
from .reseller_charge import METERED


class ResellerClientBalanceMixin(models.AbstractModel):
    """What a client's wallet holds once it has paid what is used and not billed yet."""

    _name = "reseller.client.balance.mixin"
    _description = "Live Balance of a Client"

    currency_id = fields.Many2one("res.currency")
    prepaid_only = fields.Boolean(
        tracking=True,
        help="Systems that ask before they deliver are refused what neither free units, packages "
        "nor the wallet cover. Use that was made is taken in all the same.",
    )
    live_balance = fields.Monetary(
        compute="_compute_live_balance",
        help="The wallet, less what it would pay of the use and fees that are not billed yet, "
        "taxes included.",
    )

    def _compute_live_balance(self):
        balances = self._origin._load_live_balances()
        for client in self:
            client.live_balance = float(balances.get(client._origin.id, 0))

    @api.constrains("prepaid_only", "wallet_use")
    def _check_prepaid_only(self):
        for client in self:
            if client.prepaid_only and client.wallet_use == "never":
                raise ValidationError(
                    self.env._(
                        "%s may use no more than is prepaid: let the wallet pay for it.",
                        client.display_name,
                    )
                )

    def _load_live_balances(self):
        """Return {client id: balance}: what may be drawn today, less what is not billed yet.

        Exact Decimals in the currency of the bills, taxes included; below zero where more is used.
        """
        lots = self._load_lots({client: (client._today(),) * 2 for client in self})
        unbilled = self._load_unbilled()
        return {
            client.id: sum(
                (
                    left
                    for _lot, left, _cost in self._keep_to_payer(lots[client], client._get_payer())
                ),
                Decimal(0),
            )
            - unbilled[client.id]
            for client in self
        }

    def _load_unbilled(self):
        """Return {client id: amount} of what the wallet would pay, were the bill made now.

        That is use and begun fees that no bill has charged, and charges by hand that wait, with
        taxes, as far as the client's choice has the wallet pay for them.
        """
        found = dict.fromkeys(self.ids, Decimal(0))
        served = self.filtered(lambda one: one.state == "active" and one.wallet_use != "never")
        for company, clients in served.grouped("company_id").items():
            statements = self.env["reseller.statement"].with_company(company)
            bills = {}
            for client in clients:
                tomorrow = fields.Date.add(client._today(), days=1)
                if client.billed_until and client.billed_until >= client._today():
                    continue
                bill = statements._prepare_bill(client, tomorrow)
                # Fees in advance of cycles that have not begun are not due.
                bills[client.id] = replace(bill, next_date=tomorrow)
            rated = clients.filtered(lambda one, bills=bills: one.id in bills)
            charges, _covered, _draws = self.env["reseller.rating"]._rate(rated, bills)
            amounts = defaultdict(Decimal)
            for client in rated:
                for charge in charges[client.id]:
                    if client.wallet_use == "always" or charge.key.kind in METERED:
                        feature = self.env["reseller.feature"].browse(charge.feature)
                        amounts[client, feature._get_product(company)] += charge.amount
            for item in clients._find_waiting_charges():
                amounts[item.client_id, item._get_product()] += item._get_exact()[2]
            positions = statements._get_fiscal_positions(clients, company)
            for (client, product), amount in amounts.items():
                found[client.id] += client._with_taxes(product, amount, positions[client.id])
        return found

    def _find_waiting_charges(self):
        """Return the charges by hand that wait for a bill of today, and that the wallet would pay."""
        everything = self.filtered(lambda one: one.wallet_use == "always")
        items_sudo = self.env["reseller.manual.charge"].sudo()  # part of the account's balance
        waiting = items_sudo.search(
            [("client_id", "in", everything.ids), ("state", "=", "waiting")], order="id"
        )
        return waiting.filtered(
            lambda item: (
                item.date <= item.client_id._today() and item.product_id.reseller_grants != "money"
            )
        )

    def _with_taxes(self, product, amount, position=None):
        """Return what an amount as priced comes to with the taxes of a product; exact Decimals.

        :param position: the id of the fiscal position, or False; it is looked up if None
        """
        self.ensure_one()
        company, currency = self.company_id, self.currency_id
        if not amount or not product:
            return amount
        taxes_sudo = product.sudo().taxes_id._filter_taxes_by_company(company)  # as on the invoice
        if not taxes_sudo:
            return amount
        if position is None:
            statements = self.env["reseller.statement"]
            position = statements._get_fiscal_positions(self, company)[self.id]
        positions_sudo = self.env["account.fiscal.position"].sudo()  # as on the invoice
        taxes_sudo = positions_sudo.browse(position or []).map_tax(taxes_sudo)
        total = taxes_sudo.compute_all(float(amount), currency, product=product)["total_included"]
        return rating.round_to(Decimal(repr(total)), currency._get_exact_rounding())
