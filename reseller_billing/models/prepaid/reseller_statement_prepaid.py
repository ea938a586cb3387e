from collections import defaultdict
from decimal import Decimal

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..billing.account_move_line import BILLING
from .reseller_prepaid_lot import Held


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
                **amounts[charge.id],
            }
            if charge.grants == "money":
                model_sudo = self.env["reseller.wallet.lot"].sudo()  # who bills sells
                vals |= {
                    "kind": "purchase",
                    "vat_mode": charge.grant_vat_mode or "use",
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
        rows, wanted = [], []
        for statement in self.filtered(lambda statement: statement.client_id in holders):
            lots = holders[statement.client_id]
            drawn = draws.get(statement.client_id.id, [])
            taken = {
                "draw": [(draw.lot, draw.day, draw.level, draw.quantity) for draw in drawn],
                "expire": [],
            }
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
                    taken["expire"].append((lot.id, None, None, rest))
            for kind, found in taken.items():
                if found:
                    made, lines = statement._prepare_unit_entries(kind, found, held, booked_on)
                    rows.append((made, len(wanted) if lines else None))
                    if lines:
                        wanted.append(statement._prepare_unit_move(kind, lines, booked_on))
        for booked_on in {vals["date"] for vals in wanted}:
            self._check_prepaid_unlocked(booked_on)
        moves = self.env["account.move"].with_company(self.company_id).create(wanted)
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

    def _check_prepaid_unlocked(self, day):
        """Refuse days of a locked period: Odoo would move the entries to a later one."""
        journal = self.company_id.reseller_wallet_journal_id
        locks = self.company_id._get_violated_lock_dates(day, False, journal)
        if locks:
            raise UserError(
                self.env._(
                    "Use of packages is booked on %(date)s, which is in a locked period, until "
                    "%(lock)s: run with a later date, or unlock the period.",
                    date=day,
                    lock=locks[-1][0],
                )
            )

    def _prepare_unit_entries(self, kind, taken, held, day):
        """Return (entry values, [(lot, cost, balance)]) of what is taken out of lots.

        :param taken: (lot id, day of use, level id, units)
        :param held: {lot id: reseller_prepaid_lot.Held}, which is moved on
        """
        self.ensure_one()
        rows, booked = [], defaultdict(lambda: [Decimal(0), Decimal(0)])
        lots = self.env["reseller.prepaid.lot"].sudo()  # as in _find_unit_lots
        for number, used_on, level, units in taken:
            lot = lots.browse(number)
            cost, balance = lot._get_cost_taken(held[number], units)
            held[number] = Held(
                held[number].units - units, held[number].cost - cost, held[number].balance - balance
            )
            booked[lot][0] += cost
            booked[lot][1] += balance
            rows.append(
                {
                    "lot_id": number,
                    "kind": kind,
                    "date": day,
                    "usage_date": used_on,
                    "level_id": level,
                    "quantity": -units,
                    "cost": -cost,
                    "balance": -balance,
                    "statement_id": self.id,
                }
            )
        return rows, [(lot, *sums) for lot, sums in booked.items() if any(sums)]

    def _prepare_unit_move(self, kind, lines, day):
        """Return the values of the entry that takes cost of lots to income, or breakage.

        :param lines: (lot, cost, balance), exact Decimals, below zero where lots get it
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
        for lot, cost, balance in lines:
            if kind == "expire":
                account = client._get_wallet_account("breakage")
            else:
                account = lot._get_income_account()
            if not account:
                raise UserError(
                    self.env._(
                        "%s has no income account: set one.",
                        lot.feature_id._get_product(company).display_name,
                    )
                )
            partner = lot.charge_id.statement_id.invoice_id.commercial_partner_id
            for one, sign in ((prepaid, 1), (account, -1)):
                commands.append(
                    fields.Command.create(
                        {
                            "account_id": one.id,
                            "partner_id": partner.id,
                            "currency_id": lot.currency_id.id,
                            "amount_currency": sign * float(cost),
                            "balance": sign * float(balance),
                            "name": f"{what}: {lot.name}",
                            "reseller_client_id": client.id,
                            "reseller_feature_id": lot.feature_id.id,
                            "tax_ids": [fields.Command.clear()],
                        }
                    )
                )
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
                       sum(COALESCE(balance, 0))::text AS balance
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
            held = lots._load_exact()
            levelled = [
                (lot, *lot._get_cost_taken(held[lot.id], Decimal(0)))
                for lot in lots
                if lot.id in numbers
            ]
            levelled = [(lot, *costs) for lot, *costs in levelled if any(costs)]
            if not levelled:
                continue
            statement = self.filtered(
                lambda statement, client=client: statement.client_id == client
            )[-1:]
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
                    for lot, cost, balance in levelled
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
            ``left`` (after the bill; exact Decimals)
        """
        found = {statement.id: [] for statement in self}
        self.env.flush_all()
        for number, row in self._load_preview_rows():
            found[number].append(row)
        for row in self.env.execute_query_dict(
            SQL(
                """
                SELECT moved.statement_id, lot.name, lot.date_until, moved.drawn::text,
                       moved.expired::text, rest.units::text AS left
                  FROM (
                    SELECT statement_id, lot_id, max(id) AS last,
                           COALESCE(-sum(quantity) FILTER (WHERE kind = 'draw'), 0) AS drawn,
                           COALESCE(-sum(quantity) FILTER (WHERE kind = 'expire'), 0) AS expired
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
                },
            )
            for (number, lot), units in drawn.items()
        ]
