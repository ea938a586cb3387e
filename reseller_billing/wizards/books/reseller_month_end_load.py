from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

from odoo import models
from odoo.tools import SQL, date_utils

from ... import rating


class ResellerMonthEnd(models.TransientModel):
    """What is unbilled and unserved on the day, as the books knew it."""

    _inherit = "reseller.month.end"

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
                 WHERE client.company_id = %s
                   AND client.state != 'draft'
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
        return items.filtered(
            lambda item: (
                not item.product_id.reseller_grants
                and not item.client_id.reseller_id._is_paper_on(item.date)
            )
        )

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
            # What is of later days is on paper.
            until = client.reseller_id._get_last_invoiced_day(self.date)
            amount = until and line._get_served_amount(billed[line.id], until)
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
                ]
            )
        ).filtered(lambda client: client.reseller_id._get_invoice_to() != "none")
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
                 WHERE charge.is_paper IS NOT TRUE AND %s
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
                 WHERE charge.company_id = %s AND charge.kind = 'setup'
                   AND charge.date_from > %s
                   AND charge.is_paper IS NOT TRUE AND %s
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
                   AND charge.is_paper IS NOT TRUE
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
