from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import SQL, date_utils

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
        for (item, currency, position, day), amounts in self._get_amounts(rated).items():
            grouped[currency].append((item, position, day, *amounts))
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
        """Return {(item, currency id, fiscal position id, day): (accrued, deferred, used, balance)}, see
        _get_client_amounts.
        """
        found = defaultdict(lambda: [Decimal(0)] * 4)
        for (_client, *key), amounts in self._get_client_amounts(rated).items():
            sums = found[tuple(key)]
            sums[:] = (one + more for one, more in zip(sums, amounts, strict=True))
        return {key: tuple(amounts) for key, amounts in found.items()}

    def _get_client_nets(self):
        """Return {(client id, feature id, currency id): (accrued, deferred)} of the day, without taxes; the
        feature is 0 for extra lines and charges by hand.
        """
        self.ensure_one()
        found = defaultdict(lambda: [0.0, 0.0])
        for key, amounts in self._get_client_amounts(self._rate()).items():
            client, item, currency_id, position_id, day = key
            currency = self.env["res.currency"].browse(currency_id)
            position = self.env["account.fiscal.position"].browse(position_id or [])
            product, is_product = self._get_product(item)
            sums = found[client, 0 if is_product else item.id, currency_id]
            for number, amount in enumerate(amounts[:2]):
                sums[number] += self._get_net(product, amount, currency, position, day)
        return {key: tuple(amounts) for key, amounts in found.items()}

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
        for lot_sudo, (cost, balance) in lots_sudo._get_cost_of_draws(draws, self.date).items():
            position = lot_sudo.charge_id.statement_id.invoice_id.fiscal_position_id
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
        positions = self.env["reseller.statement"]._get_fiscal_positions(
            clients.browse(billed), self.company_id
        )
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
        waiting = [
            (item.client_id.sudo(False), item._get_product(), item._get_exact()[2])
            for item in self._find_waiting()
        ]
        return bills, charges, draws, waiting + self._get_unbilled_extras(clients)

    def _find_waiting(self):
        """Return the charges by hand that no bill has which the books know by the day.

        Sales of packages and their refunds are no income.
        """
        items_sudo = self.env["reseller.manual.charge"].sudo()  # of every account, as in _get_bills
        self.env.flush_all()
        found = self.env.execute_query(
            SQL(
                """
                SELECT item.id
                  FROM reseller_manual_charge item
                  JOIN reseller_client client ON client.id = item.client_id
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                 WHERE client.company_id = %s
                   AND client.state != 'draft'
                   AND reseller.invoice_to != 'none'
                   AND item.date <= %s
                   AND item.is_withdrawn IS NOT TRUE
                   AND item.refund_lot_id IS NULL
                   -- What had it by the day may be void by now.
                   AND NOT EXISTS (
                       SELECT FROM reseller_charge charge
                         JOIN reseller_statement statement ON statement.id = charge.statement_id
                        WHERE charge.manual_charge_id = item.id AND %s)
                 ORDER BY item.id
                """,
                self.company_id.id,
                self.date,
                self.env["reseller.rating"]._known_sql(self.date),
            )
        )
        items = items_sudo.browse([row[0] for row in found])
        return items.filtered(lambda item: not item.product_id.reseller_grants)

    def _get_unbilled_extras(self, clients):
        """Return (client, product, amount) of the served days of contracts' extra lines that no bill has
        which the books know by the day.
        """
        lines_sudo = self.env["contract.line"].sudo()  # of every account, as in _get_bills
        lines = lines_sudo.search(
            [
                ("contract_id", "in", clients.contract_id.ids),
                ("display_type", "=", False),
                ("is_canceled", "=", False),
                ("date_start", "<=", self.date),
                ("product_id.reseller_grants", "=", False),
            ]
        )
        if not lines:
            return []
        self.env.flush_all()
        billed = defaultdict(list)
        for line, first, last in self.env.execute_query(
            SQL(
                """
                SELECT charge.contract_line_id, charge.date_from, charge.date_to
                  FROM reseller_charge charge
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 WHERE charge.contract_line_id = ANY(%s) AND %s
                 ORDER BY charge.date_from
                """,
                lines.ids,
                self.env["reseller.rating"]._known_sql(self.date),
            )
        ):
            billed[line].append((first, last))
        found = []
        for line in lines:
            client = line.contract_id.reseller_client_id
            amount = line._get_served_amount(billed[line.id], self.date)
            if amount:
                found.append((client.sudo(False), line.product_id, amount))
        return found

    def _get_bills(self):
        """Return {client id: rating.Bill} of the day after, given the bills known by the day."""
        following = date_utils.add(self.date, days=1)
        # The accountant need not have rights on every account of the company.
        clients = (
            self.env["reseller.client"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("company_id", "=", self.company_id.id),
                    ("state", "!=", "draft"),
                    ("reseller_id.invoice_to", "!=", "none"),
                ]
            )
        )
        self.env.flush_all()
        known = dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT statement.client_id, max(statement.bill_date)
                      FROM reseller_statement statement
                     WHERE statement.client_id = ANY(%s) AND statement.kind != 'manual' AND %s
                     GROUP BY statement.client_id
                    """,
                    clients.ids,
                    self.env["reseller.rating"]._known_sql(self.date),
                )
            )
        )
        freed = dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT statement.client_id,
                           min(COALESCE(statement.period_start, statement.bill_date))
                      FROM reseller_statement statement
                      JOIN account_move note ON note.id = statement.credit_note_id
                     WHERE statement.client_id = ANY(%(clients)s) AND statement.kind != 'manual'
                       AND note.date <= %(day)s
                       -- What was billed again by the day is billed.
                       AND NOT EXISTS (
                           SELECT FROM reseller_statement again
                             JOIN account_move move ON move.id = again.invoice_id
                            WHERE again.replaces_id = statement.id
                              AND move.state = 'posted' AND move.date <= %(day)s)
                     GROUP BY statement.client_id
                    """,
                    clients=clients.ids,
                    day=self.date,
                )
            )
        )
        bills = {}
        for client in clients:
            first = max(client.activation_date, client.billing_start or client.activation_date)
            if first <= self.date:
                bills[client.id] = rating.Bill(
                    following,
                    min(known.get(client.id, first), following),
                    following,
                    client.currency_id._get_exact_rounding(),
                    # From the days on that credit notes have freed.
                    freed.get(client.id),
                    accrues=True,
                )
        return bills

    def _get_kept(self, amount, credited, share, currency):
        """Return a share of an amount, less what credit notes gave back, rounded to the currency.

        :param credited: [sum of the credit notes, total of the invoice], as texts, or None
        """
        if credited:
            given, total = map(Fraction, credited)
            share *= max(1 - given / total, 0)
        rounding = self.env["res.currency"].browse(currency)._get_exact_rounding()
        return rating.round_to(Fraction(amount) * share, rounding)

    def _credited_sql(self):
        """Return a query for what credit notes have given back of `statement`'s invoice by the day.

        What was given back is nobody's income any more; credit notes name no line, so that what
        they give back counts for all lines alike.
        """
        return SQL(
            """
            (SELECT ARRAY[sum(given.amount)::text, max(billed.amount)::text]
               FROM account_move invoice
               JOIN account_move credit ON credit.reversed_entry_id = invoice.id
                -- What bills give back themselves, charges tell; what replaces an invoice gives
                -- nothing back.
                AND credit.reseller_statement_id IS NULL
                AND credit.reseller_former_statement_id IS NULL
                AND credit.id IS DISTINCT FROM invoice.reseller_reversal_id
              CROSS JOIN LATERAL (
                -- What a wallet has lowered was credited whole.
                SELECT sum(line.price_total) AS amount FROM account_move_line line
                 WHERE line.move_id = invoice.id AND line.display_type = 'product'
                   AND line.reseller_settles IS NULL) AS billed
              CROSS JOIN LATERAL (
                SELECT sum(line.price_total) AS amount FROM account_move_line line
                 WHERE line.move_id = credit.id AND line.display_type = 'product'
                   AND line.reseller_settles IS NULL) AS given
              WHERE (invoice.id = statement.invoice_id
                     OR invoice.reseller_former_statement_id = statement.id)
                AND billed.amount > 0
                AND credit.state = 'posted'
                AND credit.date <= %s
             HAVING count(*) > 0)
            """,
            self.date,
        )

    def _load_fees(self):
        """Return the latest charges of recurring fees that were invoiced by the day and reach on."""
        return self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT ON (charge.client_id, charge.feature_id, charge.cycle_start,
                                    charge.price_rule_id)
                       charge.client_id, charge.feature_id, charge.currency_id, %s, charge.trace,
                       charge.cycle_end, charge.cycle_start, charge.price_rule_id, charge.kind, charge.level_id,
                       charge.tier, charge.is_flat_fee
                  FROM (
                       -- A bill may have cut the cycle short of the day since.
                       SELECT DISTINCT client_id, feature_id, cycle_start, price_rule_id
                         FROM reseller_charge
                        WHERE company_id = %s AND kind = 'recurring' AND cycle_end > %s) AS fee
                  JOIN reseller_charge charge
                    ON charge.client_id = fee.client_id AND charge.feature_id = fee.feature_id
                   AND charge.cycle_start = fee.cycle_start
                   AND charge.price_rule_id = fee.price_rule_id AND charge.kind = 'recurring'
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  JOIN reseller_reseller reseller ON reseller.id = charge.reseller_id
                 WHERE reseller.invoice_to != 'none' AND %s
                 ORDER BY charge.client_id, charge.feature_id, charge.cycle_start,
                          charge.price_rule_id, charge.id DESC
                """,
                self._credited_sql(),
                self.company_id.id,
                self.date,
                self.env["reseller.rating"]._known_sql(self.date),
            )
        )

    def _get_unearned(self, amount, first, currency):
        """Return what of a set-up fee is for days after the day, over the months of the settings.

        :param date first: the day on which the fee fell due
        """
        months = self.company_id.reseller_setup_months
        until = date_utils.add(first, months=months)
        left, days = (until - self.date).days - 1, (until - first).days
        if left <= 0:
            return Decimal(0)
        share = Fraction(min(left, days), days)
        return rating.round_to(Fraction(amount) * share, currency._get_exact_rounding())

    def _load_setups(self):
        """Return the set-up fees that were invoiced by the day and are not earned to their end."""
        months = self.company_id.reseller_setup_months
        if not months:
            return []
        return self.env.execute_query(
            SQL(
                """
                SELECT charge.client_id, charge.feature_id, charge.currency_id, %s,
                       charge.amount::text, charge.date_from
                  FROM reseller_charge charge
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  JOIN reseller_reseller reseller ON reseller.id = charge.reseller_id
                 WHERE charge.company_id = %s AND charge.kind = 'setup'
                   AND charge.date_from > %s
                   AND reseller.invoice_to != 'none' AND %s
                """,
                self._credited_sql(),
                self.company_id.id,
                date_utils.subtract(self.date, months=months),
                self.env["reseller.rating"]._known_sql(self.date),
            )
        )

    def _load_extras(self):
        """Return the charges of contracts' extra lines that were invoiced by the day and reach on."""
        return self.env.execute_query(
            SQL(
                """
                SELECT charge.client_id, line.product_id, charge.currency_id, %s,
                       charge.amount::text, charge.date_from, charge.date_to
                  FROM reseller_charge charge
                  JOIN contract_line line ON line.id = charge.contract_line_id
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 WHERE charge.company_id = %s AND charge.date_to > %s
                   AND charge.kind != 'package'
                   AND charge.date_from <= charge.date_to
                   AND EXISTS (
                       SELECT FROM account_move invoice
                        WHERE invoice.id = statement.invoice_id
                           OR invoice.reseller_former_statement_id = statement.id)
                   AND %s
                """,
                self._credited_sql(),
                self.company_id.id,
                self.date,
                self.env["reseller.rating"]._known_sql(self.date),
            )
        )

    # Entries

    def _prepare_move_vals(self, currency, rows, prepaid):
        """Return the values of the entry of one currency.

        :param rows: (item, fiscal position id, day, accrued, deferred, used, balance), see _get_amounts
        :param prepaid: see _get_prepaid_rows
        """
        ref = self.env._(
            "Unbilled use and unserved fees on %(day)s, %(currency)s",
            day=self.date,
            currency=currency.name,
        )
        lines = []
        for item, position_id, day, accrued, deferred, used, balance in rows:
            position = self.env["account.fiscal.position"].browse(position_id or [])
            product = self._get_product(item)[0]
            income = self._get_income_account(product, position)
            for net, account, sign in (
                (
                    self._get_net(product, accrued, currency, position, day),
                    self.accrued_account_id,
                    1,
                ),
                (
                    self._get_net(product, deferred, currency, position, day),
                    self.deferred_account_id,
                    -1,
                ),
            ):
                if net:
                    lines += self._prepare_line_vals(
                        product, item, currency, account, income, sign * net
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

    def _get_net(self, product, amount, currency, position, day):
        """Return an amount as priced without the taxes that its price includes on a day."""
        template = product.product_tmpl_id
        own = template._get_sales_taxes(self.company_id, position, day)
        taxes = position.map_tax(own)
        invoiced = template._adapt_price(amount, currency, own, taxes)
        found = taxes.compute_all(float(invoiced), currency, product=product)
        return currency.round(found["total_excluded"])

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


class ResellerMonthEndLine(models.TransientModel):
    _name = "reseller.month.end.line"
    _description = "Accrual and Deferral of a Feature"

    wizard_id = fields.Many2one("reseller.month.end", required=True, ondelete="cascade")
    name = fields.Char(string="For", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    accrued = fields.Monetary(string="Earned, Not Invoiced", readonly=True)
    deferred = fields.Monetary(string="Invoiced, Not Earned", readonly=True)
