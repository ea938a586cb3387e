from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import date_utils

from ... import rating
from ...models.billing.reseller_charge import get_tax_day


class ResellerMonthEnd(models.TransientModel):
    """Accrues unbilled use and defers unserved days of fees, by entries that reverse themselves."""

    _name = "reseller.month.end"
    _description = "Accruals and Deferrals at the Month's End"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, readonly=True
    )
    date = fields.Date(
        string="Last Day",
        required=True,
        default=lambda self: date_utils.subtract(
            date_utils.start_of(fields.Date.context_today(self), "month"), days=1
        ),
        help="The entries are dated this day, and reversed on the next.",
    )
    journal_id = fields.Many2one(
        "account.journal",
        required=True,
        check_company=True,
        domain="[('type', '=', 'general')]",
        default=lambda self: self.env["account.journal"].search(
            [("company_id", "=", self.env.company.id), ("type", "=", "general")], limit=1
        ),
    )
    accrued_account_id = fields.Many2one(
        "account.account",
        string="Accrued Income",
        check_company=True,
        domain="[('account_type', '=', 'asset_current')]",
        default=lambda self: self.env.company.reseller_accrued_account_id,
        help="Holds the use that is not invoiced yet.",
    )
    deferred_account_id = fields.Many2one(
        "account.account",
        string="Deferred Income",
        check_company=True,
        domain="[('account_type', '=', 'liability_current')]",
        default=lambda self: self.env.company.reseller_deferred_account_id,
        help="Holds the fees that are invoiced for days to come.",
    )
    line_ids = fields.One2many("reseller.month.end.line", "wizard_id", readonly=True)

    # Actions

    def action_compute(self):
        """Show what would be posted."""
        self.ensure_one()
        self.line_ids.unlink()
        sums, rated = defaultdict(lambda: [Decimal(0), Decimal(0)]), self._rate()
        for (item, currency, _position, _day), amounts in self._get_amounts(rated).items():
            accrued, deferred, used, _balance = amounts
            sums[item.display_name, currency][0] += accrued + used
            sums[item.display_name, currency][1] += deferred
        for currency, rows in self._get_prepaid_rows(rated).items():
            for name, _accounts, amount, balance in rows:
                # What is revalued changes in the company's currency alone.
                if not amount:
                    currency, amount = self.company_id.currency_id.id, rating.exact_of(balance)
                sums[name, currency][0] += amount
        self.line_ids = [
            Command.create(
                {
                    "name": name,
                    "currency_id": currency,
                    "accrued": float(accrued),
                    "deferred": float(deferred),
                }
            )
            for (name, currency), (accrued, deferred) in sums.items()
        ]
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Month's End"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_post(self):
        """Post the entries, one per currency, and their reversals; open them.

        :raise UserError: when the day has entries already, nothing is to be posted, or an account is
            missing
        """
        self.ensure_one()
        self.env["res.users"]._check_billing_manager()
        for name in ("accrued_account_id", "deferred_account_id"):
            if not self[name]:
                raise UserError(
                    self.env._(
                        "Choose the account of %s: the settings remember it.",
                        self._fields[name]._description_string(self.env),
                    )
                )
        moves = self.env["account.move"]
        there = moves.search(
            [
                ("company_id", "=", self.company_id.id),
                ("reseller_month_end", "=", self.date),
                ("state", "=", "posted"),
            ],
            limit=1,
        )
        if there:
            raise UserError(
                self.env._(
                    "%(day)s has its entries already: %(entry)s. Cancel them first.",
                    day=self.date,
                    entry=there.name,
                )
            )
        moves = self._post_what_there_is()
        if not moves:
            raise UserError(self.env._("Nothing is unbilled or unserved on %s.", self.date))
        self.company_id.sudo().write(  # the settings remember what was chosen
            {
                "reseller_accrued_account_id": self.accrued_account_id.id,
                "reseller_deferred_account_id": self.deferred_account_id.id,
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Month's End"),
            "res_model": "account.move",
            "view_mode": "list,form",
            "domain": [("id", "in", moves.ids)],
        }

    def _post_what_there_is(self):
        """Post the entries of the day and their reversals; return both, none where nothing is to be posted."""
        moves = self.env["account.move"]
        self._check_unlocked()
        grouped, rated = defaultdict(list), self._rate()
        for (item, currency, position, _day), amounts in self._get_amounts(rated).items():
            grouped[currency].append((item, position, *amounts))
        prepaid = self._get_prepaid_rows(rated)
        for currency in self.env["res.currency"].browse({**grouped, **prepaid}):
            moves |= moves.create(
                self._prepare_move_vals(
                    currency, grouped.get(currency.id, []), prepaid.get(currency.id, [])
                )
            )
        if not moves:
            return moves
        moves.action_post()
        following = date_utils.add(self.date, days=1)
        reversals = moves._reverse_moves(
            [{"date": following, "ref": self.env._("Reversal of: %s", move.ref)} for move in moves]
        )
        reversals.action_post()
        return moves | reversals

    def _check_unlocked(self):
        """Refuse days of a locked period: Odoo would move the entries to a later one."""
        for day in (self.date, date_utils.add(self.date, days=1)):
            locks = self.company_id._get_violated_lock_dates(day, False, self.journal_id)
            if locks:
                raise UserError(
                    self.env._(
                        "%(day)s is in a locked period, until %(lock)s: unlock it, "
                        "or choose a later day.",
                        day=day,
                        lock=locks[-1][0],
                    )
                )

    # Amounts

    def _get_amounts(self, rated):
        """Return {(item, currency id, fiscal position id, day): (accrued, deferred, used, balance)}, without
        taxes: the sums of _get_client_nets.
        """
        found = defaultdict(lambda: [Decimal(0)] * 4)
        for (_client, *key), amounts in self._get_client_nets(rated).items():
            sums = found[tuple(key)]
            sums[:] = (one + more for one, more in zip(sums, amounts, strict=True))
        return {key: tuple(amounts) for key, amounts in found.items()}

    def _get_client_nets(self, rated):
        """Return what _get_client_amounts does, without the taxes that prices include, each client's rounded by
        itself, as its invoice will be.
        """
        found, included = {}, {}
        for key, (accrued, deferred, *used) in self._get_client_amounts(rated).items():
            _client, item, currency_id, *place = key
            currency = self.env["res.currency"].browse(currency_id)
            unit = currency._get_exact_rounding()
            if (item, *place) not in included:
                included[(item, *place)] = self._get_included(item, *place)
            terms = included[(item, *place)]
            found[key] = (
                *(
                    self._get_net(amount, currency, *terms)
                    if terms and amount
                    else rating.round_to(Fraction(amount), unit)
                    for amount in (accrued, deferred)
                ),
                *used,
            )
        return found

    def _get_product(self, item):
        """Return (product, whether it is one itself) of an item, see _get_client_amounts."""
        is_product = item._name == "product.product"
        return item if is_product else item._get_product(self.company_id), is_product

    def _get_client_amounts(self, rated):
        """Return {(client id, item, currency id, fiscal position id, day): (accrued, deferred, used, balance)},
        as Decimals; the day is one with the rates of the taxes that prices include.

        The first two are as priced; what is used of packages, and not booked, is without taxes; its
        balance is that in the company's currency, at the rate at which they were sold.
        An item is a reseller.feature, or the product of a contract's extra line or of a charge by hand.
        What is earned by the day and not invoiced by it is accrued: what a bill of the next day would
        charge, were there only the bills that the books know by then; charges by hand that wait; the
        served days of extra lines. Of fees and extra lines that are invoiced, the shares of days after
        it are deferred.

        :param rated: see _rate
        """
        bills, charges, draws, waiting = rated
        found = defaultdict(lambda: [Decimal(0)] * 4)
        if not bills:
            return {}
        clients = self.env["reseller.client"].browse(bills)
        features, products = self.env["reseller.feature"], self.env["product.product"]
        currencies = self.env["res.currency"]
        lots_sudo = self.env["reseller.prepaid.lot"].sudo()  # of every account, as in _get_bills
        drawn = lots_sudo._get_cost_of_draws(draws, self._get_positions(draws), self.date)
        for (lot_sudo, position), (cost, balance) in drawn.items():
            feature = features.browse(lot_sudo.feature_id.id)
            place = lot_sudo.client_id.id, feature, lot_sudo.currency_id.id, position.id
            used = found[(*place, self._get_rates_of(self.date))]
            used[2] += cost
            used[3] += balance
        changed = set()
        fees, setups, extras = self._load_fees(), self._load_setups(), self._load_extras()
        billed = {client for client in bills if charges[client]}
        billed |= {row[0] for row in (*fees, *setups, *extras)}
        billed |= {client.id for client, _product, _amount in waiting}
        positions = self._get_positions(billed)
        for client in clients:
            for charge in charges[client.id]:
                feature = features.browse(charge.feature)
                change = charge.amount
                if charge.key.kind == "recurring":
                    change -= rating.unserved_from_trace(charge.trace, self.date)
                elif charge.key.kind == "setup":
                    change -= self._get_unearned(charge.amount, charge.first, client.currency_id)
                changed.add((client.id, charge.feature, *charge.key))
                place = client.id, feature, client.currency_id.id, positions[client.id]
                for _first, last, part in charge.spans or [(charge.first, charge.last, change)]:
                    day = get_tax_day(charge.key.kind, charge.cycle_end, last)
                    key = (*place, self._get_rates_of(day))
                    found[key][0 if part >= 0 else 1] += abs(part)
        for client, product, amount in waiting:
            place = client.id, product, client.currency_id.id, positions[client.id]
            key = (*place, self._get_rates_of(self.date))
            found[key][0 if amount >= 0 else 1] += abs(amount)
        for client, feature, currency, credited, trace, end, *component in fees:
            if (client, feature, *rating.Key(*component)) not in changed:
                unserved = rating.unserved_from_trace(trace, self.date)
                place = client, features.browse(feature), currency, positions[client]
                key = (*place, self._get_rates_of(end))
                found[key][1] += self._get_kept(unserved, credited, Fraction(1), currency)
        for client, feature, currency, credited, amount, first in setups:
            place = client, features.browse(feature), currency, positions[client]
            key = (*place, self._get_rates_of(first))
            unearned = self._get_unearned(amount, first, currencies.browse(currency))
            found[key][1] += self._get_kept(unearned, credited, Fraction(1), currency)
        for client, product, currency, credited, amount, first, last in extras:
            days = (last - first).days + 1
            share = Fraction(min((last - self.date).days, days), days)
            place = client, products.browse(product), currency, positions[client]
            key = (*place, self._get_rates_of(last))
            found[key][1] += self._get_kept(amount, credited, share, currency)
        return {key: tuple(amounts) for key, amounts in found.items() if any(amounts)}

    def _get_positions(self, numbers):
        """Return {client id: fiscal position id} of the bills of accounts, by their ids."""
        clients = self.env["reseller.client"].browse(numbers)
        return self.env["reseller.statement"]._get_fiscal_positions(clients, self.company_id)

    def _get_rates_of(self, day):
        """Return the first day with the tax rates of a day, so that amounts of both go together."""
        cuts = self.env["reseller.tax.change"]._get_cuts(self.company_id)
        return max((cut for cut in cuts if cut <= day), default=date.min)

    def _rate(self):
        """Return (bills, charges, draws, waiting) of what is not billed by the day.

        See reseller.rating._rate; waiting are (client, product, amount) of charges by hand and of extra
        lines.
        """
        bills = self._get_bills()
        clients = self.env["reseller.client"].browse(bills)
        if not bills:
            return {}, {}, {}, []
        charges, _covered, draws = self.env["reseller.rating"]._rate(clients, bills, self.date)
        for client in clients:
            reseller = client.reseller_id
            charges[client.id] = [
                charge
                for charge in charges[client.id]
                if not reseller._is_paper_on(charge.key.cycle_start or charge.first)
            ]
        waiting = [
            (item.client_id.sudo(False), item._get_product(), item._get_exact()[2])
            for item in self._find_waiting()
        ]
        return bills, charges, draws, waiting + self._get_unbilled_extras(clients)

    # Entries


class ResellerMonthEndLine(models.TransientModel):
    _name = "reseller.month.end.line"
    _description = "Accrual and Deferral of a Feature"

    wizard_id = fields.Many2one("reseller.month.end", required=True, ondelete="cascade")
    name = fields.Char(string="For", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    accrued = fields.Monetary(string="Earned, Not Invoiced", readonly=True)
    deferred = fields.Monetary(string="Invoiced, Not Earned", readonly=True)
