from collections import defaultdict, namedtuple
from dataclasses import replace
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ... import rating
from ..billing.reseller_charge import METERED, get_tax_day
from ..billing.reseller_statement_given_back import make_less
from .reseller_client_wallet import total_of

# A line of an invoice that is not made yet; amounts are exact, taxes None where the product has them.
BillLine = namedtuple("BillLine", "product quantity price amount taxes is_metered day original")


class ResellerClient(models.Model):
    """What a client's wallet holds once it has paid what is used and not billed yet."""

    _inherit = "reseller.client"

    prepaid_only = fields.Boolean(
        tracking=True,
        help="Systems that ask before they deliver are refused what neither free units, packages "
        "nor the wallet cover. Use that was made is taken in all the same.",
    )
    live_balance = fields.Monetary(
        compute="_compute_live_balance",
        help="What the next bill leaves of the wallet, were it made now: use and fees that are not "
        "billed yet count, taxes included.",
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
        """Return {client id: balance}: what the next bill leaves in the wallet, were it made now.

        Exact Decimals in the currency of the bills, taxes included; below zero where more is used
        than the wallet can pay for. Of lots that have ended nothing is left, though they pay for
        use of the days before.
        """
        shares = self._load_shares()
        lots = self._load_lots({client: (shares[client.id][0], client._today()) for client in self})
        found = {}
        for client in self:
            today, (_since, share) = client._today(), shares[client.id]
            usable = self._keep_to_payer(lots[client], client._get_debtor())
            taken = client._take(share, usable)
            drawn = {vals["lot_id"]: rating.exact_of(vals["amount"]) for vals in taken}
            left = sum(
                (
                    amount + drawn.get(lot.id, 0)
                    for lot, amount, _cost in usable
                    if not lot.date_until or lot.date_until >= today
                ),
                Decimal(0),
            )
            found[client.id] = left - (share - total_of(taken, "amount"))
        return found

    def _load_shares(self):
        """Return {client id: (first day, amount)} of what the wallet would pay, were the bill made now.

        That is of use and begun fees that no bill has charged, and of charges by hand that wait, with
        taxes, as far as the client's choice has the wallet pay for them. Lots that are valid on a day
        from the first one on pay for it.
        """
        found = {client.id: (client._today(), Decimal(0)) for client in self}
        served = self.filtered(
            lambda client: (
                client.state == "active"
                and client.wallet_use != "never"
                and client.reseller_id.invoice_to != "none"
            )
        )
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
            rated = clients.filtered(lambda client, bills=bills: client.id in bills)
            charges, _covered, _draws = self.env["reseller.rating"]._rate(rated, bills)
            lines = rated._prepare_unbilled_lines(company, charges)
            for item in clients._find_waiting_charges():
                sold = item.refund_lot_id.charge_id.move_line_ids[:1]
                taxes = sold.tax_ids if sold else None  # as on the credit note
                lines[item.client_id].append(
                    BillLine(item._get_product(), *item._get_exact(), taxes, False, item.date, None)
                )
            positions = statements._get_fiscal_positions(clients, company)
            for client in clients:
                totals = client._get_totals(lines[client], positions[client.id])
                bill = bills.get(client.id)
                since = min(bill.period_start, client._today()) if bill else client._today()
                found[client.id] = since, client._limit_share(*totals[:2])
        return found

    def _limit_share(self, total, metered):
        """Return how much of an invoice the wallet may pay, by the client's choice.

        :param Decimal total: the invoice's, taxes included; below zero it is a credit note
        :param Decimal metered: of its lines for metered use, taxes included
        """
        self.ensure_one()
        shares = {"always": total, "usage": min(total, metered), "never": Decimal(0)}
        return max(shares[self.wallet_use], Decimal(0))

    def _prepare_unbilled_lines(self, company, charges):
        """Return {client: [BillLine]} of rated charges, with the taxes that their invoice would have.

        :param charges: {client id: [rating.Charge]} of these clients
        """
        statements = self.env["reseller.statement"]
        closing = statements._get_closing_statements(self, charges)
        statements_sudo = statements.union(*closing.values()).sudo()  # part of the balance
        originals = statements_sudo._get_invoice_lines()
        rated = list(
            enumerate((client, charge) for client in self for charge in charges[client.id])
        )
        given_back = statements_sudo._split_given_back(
            [
                less
                for number, (client, one) in rated
                for less in make_less(
                    number,
                    client,
                    one.feature,
                    one.key,
                    (one.first, one.last),
                    one.amount,
                    one.spans,
                )
            ]
        )
        found = defaultdict(list)
        for number, (client, charge) in rated:
            feature = self.env["reseller.feature"].browse(charge.feature)
            closed = closing.get((client.id, charge.closed))
            adjusted = closed and originals.get((closed.id, charge.feature))
            product = feature._get_product(company)
            for part in self.env["reseller.charge"]._split(
                (charge.quantity, charge.unit_price, charge.amount),
                (charge.first, charge.last),
                product,
                company,
                charge.spans,
                given_back.get(number),
            ):
                original = part.original or (None if part.is_dated else adjusted)
                found[client].append(
                    BillLine(
                        product,
                        *part.exact,
                        original.tax_ids if original else None,
                        charge.key.kind in METERED,
                        get_tax_day(charge.key.kind, charge.cycle_end, part.days[1]),
                        original,
                    )
                )
        return found

    def _find_waiting_charges(self):
        """Return the charges by hand that wait for a bill of today, without what no wallet pays."""
        items_sudo = self.env["reseller.manual.charge"].sudo()  # part of the account's balance
        waiting = items_sudo.search(
            [("client_id", "in", self.ids), ("state", "=", "waiting")], order="id"
        )
        return waiting.filtered(
            lambda item: (
                item.date <= item.client_id._today()
                and item.product_id.reseller_grants != "money"
                and not (
                    item.product_id and item.product_id._is_taxed_later(item.client_id.company_id)
                )
            )
        )

    def _with_taxes(self, product, amount):
        """Return what an amount as priced comes to with the taxes of a product; exact Decimals."""
        self.ensure_one()
        position = self.env["reseller.statement"]._get_fiscal_positions(self, self.company_id)
        today = fields.Date.context_today(self)
        line = BillLine(product, Decimal(1), amount, amount, None, False, today, None)
        return self._get_totals([line], position[self.id])[0]

    def _get_line_price(self, line, position):
        """Return (taxes, (quantity, unit price, amount)) of a BillLine as its invoice would have them."""
        exact, taxes, invoiced = line[1:4], line.taxes, line.amount
        if line.original:
            invoiced = line.original._get_invoiced_share(line.amount)
        elif taxes is None:
            template = line.product.product_tmpl_id
            own = template._get_sales_taxes(self.company_id, position, line.day)
            taxes = position.map_tax(own)
            invoiced = template._adapt_price(line.amount, self.currency_id, own, taxes)
        return taxes, exact if invoiced == line.amount else (Decimal(1), invoiced, invoiced)

    def _get_totals(self, lines, position):
        """Return (total, total of metered use, both taxes included; both without taxes) of an invoice, as
        exact Decimals.

        Odoo computes and rounds the taxes as it does on the invoice.

        :param lines: a list of BillLine
        :param position: the id of the fiscal position, or False
        """
        self.ensure_one()
        company, currency = self.company_id, self.currency_id
        taxes_model = self.env["account.tax"].sudo()  # as on the invoice
        positions_sudo = self.env["account.fiscal.position"].sudo()  # as on the invoice
        position_sudo = positions_sudo.browse(position or [])
        digits = self.env["decimal.precision"].precision_get("Product Unit")
        unit = currency._get_exact_rounding()
        plain, bases, payer = [Decimal(0)] * 4, [], self._get_debtor()
        for line in lines:
            product_sudo = line.product.sudo()  # as on the invoice
            taxes_sudo, exact = self._get_line_price(
                line._replace(product=product_sudo), position_sudo
            )
            if not taxes_sudo:
                plain[0] += exact[2]
                plain[2] += exact[2]
                plain[1] += exact[2] if line.is_metered else 0
                plain[3] += exact[2] if line.is_metered else 0
                continue
            quantity, price = self.env["reseller.charge"]._split_amount(*exact, digits)
            base = taxes_model._prepare_base_line_for_taxes_computation(
                {},
                product_id=product_sudo,
                tax_ids=taxes_sudo,
                price_unit=float(price),
                quantity=float(quantity),
                currency_id=currency,
                partner_id=payer,
            )
            taxes_model._add_tax_details_in_base_line(base, company)
            bases.append((base, line.is_metered))
        for base, is_metered in bases:
            if is_metered:
                # The line's own total, before the invoice spreads what rounding leaves.
                taxes_model._round_base_lines_tax_details([base], company)
                plain[1] += _exact(base["tax_details"]["total_included_currency"], unit)
                plain[3] += _exact(base["tax_details"]["total_excluded_currency"], unit)
        if bases:
            invoice = [base for base, _is_metered in bases]
            taxes_model._round_base_lines_tax_details(invoice, company)
            summary = taxes_model._get_tax_totals_summary(invoice, currency, company)
            plain[0] += _exact(summary["total_amount_currency"], unit)
            plain[2] += _exact(summary["base_amount_currency"], unit)
        rounding = self._get_cash_rounding()
        if rounding:
            plain[0] += _exact(rounding.compute_difference(currency, float(plain[0])), unit)
        return tuple(plain)


def _exact(amount, unit):
    return rating.round_to(rating.exact_of(amount), unit)
