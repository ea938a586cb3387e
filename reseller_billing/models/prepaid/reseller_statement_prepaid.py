from collections import defaultdict
from decimal import Decimal

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ... import rating
from ..billing.account_move_line import BILLING

NO_TAXES = [fields.Command.clear()]


class ResellerStatement(models.Model):
    """Bills that sell packages, and bills whose use lots of units have paid."""

    _inherit = "reseller.statement"

    # Selling

    def _sell_lots(self, day):
        """Make the lots of the packages and top-ups that these bills sell, and end what they refund."""
        for charge in self.charge_ids.filtered(lambda charge: charge.kind == "credit"):
            lot_sudo = charge.manual_charge_id.sudo().refund_lot_id  # who bills refunds
            if lot_sudo:
                lot_sudo._add_refund(charge.statement_id, day)
        sold = self.charge_ids.filtered(lambda charge: charge.kind == "package")
        exact, amounts = sold._get_exact(), sold._load_lot_amounts()
        for charge in sold:
            quantity = exact[charge.id][0]
            if quantity <= 0:
                continue
            if charge.grants == "money":
                charge._check_top_up(quantity)
            vals = {
                "client_id": charge.client_id.id,
                "charge_id": charge.id,
                "state": "offered" if charge.statement_id.invoice_id._is_pro_forma() else "waiting",
                "currency_id": charge.currency_id.id,
                "valid_count": charge.grant_valid_count,
                "valid_unit": charge.grant_valid_unit,
                "release": charge.grant_release,
                "priority": charge.grant_priority,
                "vat_mode": charge.grant_vat_mode,
                **amounts[charge.id],
            }
            if charge.grants == "money":
                model_sudo = self.env["reseller.wallet.lot"].sudo()  # who bills sells
                vals |= {
                    "kind": "purchase",
                    "partner_id": charge.statement_id._get_partner().commercial_partner_id.id,
                    "reason": charge.name,
                    "key": f"{charge._name},{charge.id}",
                    "date": day,
                }
            else:
                model_sudo = self.env["reseller.prepaid.lot"].sudo()  # as above
                vals |= {
                    "feature_id": charge.grant_feature_id.id,
                    "name": charge.name,
                }
            model_sudo.create(vals)._sell(day)

    def _find_sold_lots(self):
        """Return the lots of units and of money that these bills have sold, as a list of both."""
        return [
            self.env[name]._find_sold(self)
            for name in ("reseller.prepaid.lot", "reseller.wallet.lot")
        ]

    # Drawing

    def _draw_units(self, draws, day):
        """Take what these bills draw out of lots of units, have lots expire, and book both.

        The share of the cost that goes with the units is income now; of what expires, breakage.

        :param draws: {client id: [rating.Draw]}
        :param date day: of the journal entries of bills without an invoice; others lie with theirs
        """
        wanted_lots = {draw.lot for of_client in draws.values() for draw in of_client}
        holders = self._find_unit_lots(wanted_lots)
        lots = self.env["reseller.prepaid.lot"].union(*holders.values())
        there = set(lots.ids)
        for statement in self:
            for draw in draws.get(statement.client_id.id, ()):
                if draw.lot not in there:
                    statement._raise_lot_changed(lots.browse(draw.lot))
        if not lots:
            return
        held = lots._load_exact()
        positions, drawn_taxes = self._get_use_positions(lots), lots._load_drawn_taxes(draws)
        rows, wanted = [], []
        for statement in self.filtered(lambda statement: statement.client_id in holders):
            lots = holders[statement.client_id]
            drawn = draws.get(statement.client_id.id, [])
            # What is taxed now has an entry of its own: the tax report's.
            taken = defaultdict(list)
            for draw in drawn:
                taken["draw", lots.browse(draw.lot).vat_mode].append(draw)
            moved = defaultdict(Decimal)
            for draw in drawn:
                moved[draw.lot] += draw.quantity
            until = statement._get_days()[1]
            booked_on = statement.invoice_id.date or day
            for lot in lots:
                rest = held[lot.id].units - moved[lot.id]
                if rest < 0:
                    statement._raise_lot_changed(lot)
                # A bill by hand covers no days: use that lots pay for may not be billed yet.
                ended = lot.date_until and lot.date_until <= until and statement.kind != "manual"
                if rest and ended:
                    taken["expire", None].append(rating.Draw(lot.id, None, None, rest))
            for (kind, _mode), found in taken.items():
                made, lines = statement._prepare_unit_entries(
                    kind, found, held, booked_on, (positions.get(statement), drawn_taxes)
                )
                rows.append((made, len(wanted) if lines else None))
                if lines:
                    wanted.append(statement._prepare_unit_move(kind, lines, booked_on))
        for booked_on, has_tax in {
            (vals["date"], any(line.get("tax_ids") != NO_TAXES for *_, line in vals["line_ids"]))
            for vals in wanted
        }:
            self._check_prepaid_unlocked(booked_on, has_tax)
        moves = self.env["account.move"].with_company(self.company_id).create(wanted)
        for move in moves.with_context(validate_analytic=True):
            # What is owed needs no plan, what is earned does.
            move.line_ids.filtered("product_id")._validate_analytic_distribution()
        moves.action_post()
        self.env["reseller.prepaid.entry"]._insert(
            [
                {**vals, "move_id": moves[number].id if number is not None else None}
                for made, number in rows
                for vals in made
            ]
        )

    def _find_unit_lots(self, numbers):
        """Return {client: released lots} of the clients of these bills, with units or of some ids."""
        lots_sudo = self.env["reseller.prepaid.lot"].sudo()  # who bills draws
        found = lots_sudo.search(
            [
                ("client_id", "in", self.client_id.ids),
                ("state", "=", "open"),
                "|",
                ("is_spent", "=", False),
                ("id", "in", list(numbers)),
            ],
            order="id",
        )
        return found.grouped("client_id")

    def _raise_lot_changed(self, lot):
        raise UserError(
            self.env._(
                "%(lot)s of %(client)s has changed since: prepare it again.",
                lot=lot.sudo().display_name,  # it is named to who bills alone
                client=self.client_id.display_name,
            )
        )

    def _get_use_positions(self, lots):
        """Return {statement: fiscal position} of these bills, where some of the lots are taxed at use."""
        if all(lot._was_taxed() for lot in lots):
            return {}
        found = {
            statement: statement.invoice_id.fiscal_position_id
            for statement in self.filtered("invoice_id")
        }
        others = self - self.browse().union(*found)
        numbers = self._get_fiscal_positions(others.client_id, self.company_id)
        positions = self.env["account.fiscal.position"]
        return found | {
            statement: positions.browse(numbers[statement.client_id.id] or [])
            for statement in others
        }

    def _check_prepaid_unlocked(self, day, has_tax):
        """Refuse days of a locked period: Odoo would move the entries to a later one.

        :param bool has_tax: whether what is booked is in the tax report
        """
        journal = self.company_id.reseller_wallet_journal_id
        locks = self.company_id._get_violated_lock_dates(day, has_tax, journal)
        if locks:
            raise UserError(
                self.env._(
                    "Use of packages is booked on %(date)s, which is in a locked period, until "
                    "%(lock)s: run with a later date, or unlock the period.",
                    date=day,
                    lock=locks[-1][0],
                )
            )

    def _prepare_unit_entries(self, kind, taken, held, day, terms):
        """Return (entry values, [(lot, items)]) of what is taken out of lots.

        :param taken: rating.Draw of each, without a day where it expires
        :param held: {lot id: reseller_prepaid_lot.Held}, which is moved on
        :param terms: (fiscal position of the bill, see _get_use_positions; what _load_drawn_taxes returns)
        :return: entry values, and what their journal entry has, see _prepare_unit_move
        """
        self.ensure_one()
        lots = self.env["reseller.prepaid.lot"].sudo()  # as in _find_unit_lots
        rows, booked = [], defaultdict(lambda: [Decimal(0), Decimal(0), None])
        position, drawn = terms
        for draw in taken:
            lot = lots.browse(draw.lot)
            cost, balance = lot._take_units(held, draw.quantity)
            place, taxes = lot._get_position(position), self.env["account.tax"]
            if kind == "draw" and not lot._was_taxed() and lot.cost:
                lot.feature_id._get_product(lot.company_id).product_tmpl_id._check_has_sales_tax(
                    lot.company_id
                )
                taxes = lot._get_taxes_of_draw(place, draw, drawn)
                lot._check_taxes_of_use(taxes)
            sums = booked[lot, place, taxes]
            sums[0] += cost
            sums[1] += balance
            sums[2] = {
                "lot_id": lot.id,
                "kind": kind,
                "date": day,
                "usage_date": draw.day,
                "level_id": draw.level,
                "quantity": -draw.quantity,
                "cost": -cost,
                "balance": -balance,
                "tax": Decimal(0),
                "statement_id": self.id,
            }
            rows.append(sums[2])
        lines = []
        for (lot, place, taxes), (cost, balance, last) in booked.items():
            if not (cost or balance):
                continue
            if kind == "expire":
                items = [
                    {
                        "account_id": self.client_id._get_wallet_account("breakage").id,
                        "amount_currency": -float(cost),
                        "balance": -float(balance),
                        "tax_ids": NO_TAXES,
                    }
                ]
            else:
                items = lot._prepare_use_lines(cost, balance, taxes, place)
            due = -sum(vals["amount_currency"] for vals in items[1:])
            last["tax"] = rating.exact_of(self.currency_id.round(due))
            lines.append((lot, cost, balance, items))
        return rows, lines

    def _prepare_unit_move(self, kind, lines, day):
        """Return the values of the entry that takes cost of lots to income, or breakage.

        :param lines: (lot, cost, balance, values of the items on the other side); exact Decimals, below zero
            where lots get it
        """
        self.ensure_one()
        client, company = self.client_id, self.company_id
        prepaid = client._get_prepaid_account()
        what = {
            "draw": self.env._("Used"),
            "expire": self.env._("Expired"),
            "return": self.env._("Given back"),
        }[kind]
        commands = []
        for lot, cost, balance, items in lines:
            own = {
                "partner_id": lot.charge_id.statement_id.invoice_id.commercial_partner_id.id,
                "currency_id": lot.currency_id.id,
            }
            whose = {
                "name": f"{what}: {lot.name}",
                "reseller_client_id": client.id,
                "reseller_feature_id": lot.feature_id.id,
            }
            owed = {
                "account_id": prepaid.id,
                "amount_currency": float(cost),
                "balance": float(balance),
                "tax_ids": NO_TAXES,
            }
            commands += [
                fields.Command.create(
                    # Taxes have names of their own.
                    {**own, **({} if vals.get("display_type") == "tax" else whose), **vals}
                )
                for vals in (owed, *items)
            ]
        return {
            "journal_id": company.reseller_wallet_journal_id.id,
            "date": day,
            "ref": f"{client.ref}: {self.name}",
            "line_ids": commands,
        }

    # Taking back

    def _return_units(self, date=None):
        """Give back what void bills had drawn of lots, and what had expired with them.

        :param date date: of the entries; today where None
        """
        entries_sudo = self.env["reseller.prepaid.entry"].sudo()  # who voids gives back
        self.env.flush_all()
        found = self.env.execute_query_dict(
            SQL(
                """
                SELECT lot_id, usage_date, level_id, statement_id, move_id,
                       sum(quantity)::text AS quantity, sum(COALESCE(cost, 0))::text AS cost,
                       sum(COALESCE(balance, 0))::text AS balance,
                       sum(COALESCE(tax, 0))::text AS tax
                  FROM reseller_prepaid_entry
                 WHERE statement_id = ANY(%s)
                 GROUP BY lot_id, usage_date, level_id, statement_id, move_id
                HAVING sum(quantity) != 0 OR sum(COALESCE(cost, 0)) != 0
                 ORDER BY lot_id, usage_date, level_id
                """,
                self.ids,
            )
        )
        if not found:
            return
        day = date or fields.Date.context_today(self)
        moves = entries_sudo._find_moves(self).filtered(lambda move: not move.reversal_move_ids)
        moves.with_context(reseller_billing=BILLING)._reverse_moves(
            [{"date": day, "ref": self.env._("Given back: %s", move.ref)} for move in moves],
            cancel=True,
        )
        entries_sudo._insert(
            [
                {
                    **row,
                    "kind": "return",
                    "date": day,
                    "quantity": -Decimal(row["quantity"]),
                    "cost": -Decimal(row["cost"]),
                    "balance": -Decimal(row["balance"]),
                    "tax": -Decimal(row["tax"]),
                    "move_id": moves.browse(row["move_id"]).reversal_move_ids[:1].id or None,
                }
                for row in found
            ]
        )
        self._level_unit_costs({row["lot_id"] for row in found}, day)

    def _level_unit_costs(self, numbers, day):
        """Have lots hold the share of their cost that goes with their units.

        Bills before and after one that was void took shares that were rounded with its own: a cent
        more or less, which goes to income.

        :param numbers: ids of lots
        :param date day: of the journal entries
        """
        for client, lots in self._find_unit_lots(numbers).items():
            statement = self.filtered(
                lambda statement, client=client: statement.client_id == client
            )[-1:]
            position = statement._get_use_positions(lots).get(statement)
            held = lots._load_exact()
            levelled = [
                (lot, *lot._get_cost_taken(held[lot.id], Decimal(0)))
                for lot in lots
                if lot.id in numbers
            ]
            none = self.env["account.tax"]
            levelled = [
                (lot, *costs, lot._prepare_use_lines(*costs, none, lot._get_position(position)))
                for lot, *costs in levelled
                if any(costs)
            ]
            if not levelled:
                continue
            vals = statement._prepare_unit_move("return", levelled, day)
            move = self.env["account.move"].with_company(self.company_id).create(vals)
            move.action_post()
            self.env["reseller.prepaid.entry"]._insert(
                [
                    {
                        "lot_id": lot.id,
                        "kind": "return",
                        "date": day,
                        "quantity": Decimal(0),
                        "cost": -cost,
                        "balance": -balance,
                        "move_id": move.id,
                    }
                    for lot, cost, balance, _items in levelled
                ]
            )

    # Reading

    def _get_unit_rows(self):
        """Return what this bill drew of each lot of units, see _load_unit_rows."""
        self.ensure_one()
        return self._load_unit_rows()[self.id]

    def _load_unit_rows(self):
        """Return {id: rows} of what these bills drew of each lot of units.

        :return: rows are dicts with ``name`` of the lot, ``date_until``, ``drawn``, ``expired`` and
            ``left`` (after the bill; exact Decimals), ``paid`` (for what is drawn) and ``tax`` (in it, where
            it is taxed at use)
        """
        found = {statement.id: [] for statement in self}
        self.env.flush_all()
        for number, row in self._load_preview_rows():
            found[number].append(row)
        for row in self.env.execute_query_dict(
            SQL(
                """
                SELECT moved.statement_id, lot.name, lot.date_until, moved.drawn::text,
                       moved.expired::text, rest.units::text AS left, moved.paid, moved.tax
                  FROM (
                    SELECT statement_id, lot_id, max(id) AS last,
                           COALESCE(-sum(quantity) FILTER (WHERE kind = 'draw'), 0) AS drawn,
                           COALESCE(-sum(quantity) FILTER (WHERE kind = 'expire'), 0) AS expired,
                           COALESCE(-sum(cost) FILTER (WHERE kind = 'draw'), 0)::float AS paid,
                           COALESCE(sum(tax) FILTER (WHERE kind = 'draw'), 0)::float AS tax
                      FROM reseller_prepaid_entry
                     WHERE statement_id = ANY(%s) AND kind IN ('draw', 'expire')
                     GROUP BY statement_id, lot_id
                  ) AS moved
                  JOIN reseller_prepaid_lot lot ON lot.id = moved.lot_id
                 CROSS JOIN LATERAL (
                    SELECT sum(quantity) AS units FROM reseller_prepaid_entry entry
                     WHERE entry.lot_id = moved.lot_id AND entry.id <= moved.last
                  ) AS rest
                 ORDER BY moved.statement_id, lot.id
                """,
                self.ids,
            )
        ):
            number = row.pop("statement_id")
            numbers = {name: Decimal(row[name]) for name in ("drawn", "expired", "left")}
            found[number].append({**row, "date_until": row["date_until"] or False, **numbers})
        return found

    def _load_preview_rows(self):
        """Return (statement id, row) of what these previews would draw, see _load_unit_rows."""
        previews = self.filtered(
            lambda statement: statement.state == "preview" and statement.unit_draws
        )
        drawn = defaultdict(Decimal)
        for statement in previews:
            for draw in statement._unpack_draws()[statement.client_id.id]:
                drawn[statement.id, draw.lot] += draw.quantity
        lots_sudo = self.env["reseller.prepaid.lot"].sudo()  # part of what the bill says
        exact = lots_sudo.browse({lot for _number, lot in drawn})._load_exact()
        return [
            (
                number,
                {
                    "name": lots_sudo.browse(lot).name,
                    "date_until": lots_sudo.browse(lot).date_until,
                    "drawn": units,
                    "expired": Decimal(0),
                    "left": exact[lot].units - units,
                    "paid": 0.0,
                    "tax": 0.0,
                },
            )
            for (number, lot), units in drawn.items()
        ]
