from datetime import date
from decimal import Decimal

from markupsafe import Markup
from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ... import rating
from ..base.states import live_sql


class ResellerStatement(models.Model):
    _inherit = "reseller.statement"

    unit_draws = fields.Json(
        readonly=True,
        help="Of a preview: the lots, days, levels and units that it would draw, exact as text.",
    )

    rated_use = fields.Json(
        readonly=True,
        help="Of a preview: the buckets of use that it has rated, with their versions.",
    )

    previous_amount = fields.Monetary(
        string="Last Bill", readonly=True, help="What the account's last bill of this kind came to."
    )
    comparison = fields.Selection(
        [
            ("usual", "As usual"),
            ("new", "New"),
            ("higher", "Much higher"),
            ("lower", "Much lower"),
        ],
        readonly=True,
        help="Against the account's last bill, beyond the factor of the settings.",
    )

    change_html = fields.Html(
        string="Last and New",
        compute="_compute_change_html",
        sanitize=False,
        help="The last bill, and this one below it, as bars.",
    )
    basis = fields.Char(
        readonly=True, help="The prices and days of service that a preview rests on."
    )

    @api.depends("previous_amount", "amount_total")
    def _compute_change_html(self):
        bar = Markup(
            '<div class="rounded {}" style="height: 5px; margin: 2px 0; width: {}%"></div>'
        )
        for statement in self:
            last, new = (max(statement[name], 0.0) for name in ("previous_amount", "amount_total"))
            most = max(last, new)
            statement.change_html = most and Markup().join(
                bar.format(style, round(100.0 * amount / most))
                for style, amount in (("bg-secondary", last), ("bg-primary", new))
            )

    # Preparing

    @api.model
    def _prepare_review(self, clients, run):
        """Make the previews of a run: charges as they would be posted, nothing claimed.

        :param clients: due accounts of one company
        :return: the statements
        """
        bills = {client.id: self._prepare_bill(client) for client in clients}
        self._check_freed(bills, run.date)
        charges, covered, draws = self.env["reseller.rating"]._rate(clients, bills)
        # Statements are closed to all users; the caller has checked who may bill.
        model_sudo = self.sudo().with_context(tracking_disable=True, mail_create_nolog=True)
        statements = model_sudo.create(
            [
                {**self._prepare_vals(client, bills[client.id], "preview"), "run_id": run.id}
                for client in clients
            ]
        )
        statements._add_charges(charges, preview=True)
        statements._compare()
        for statement in statements:
            number = statement.client_id.id
            statement.unit_draws = self._pack_draws(draws[number])
            statement.rated_use = covered.get(number)
        for number, basis in statements._get_bases().items():
            statements.browse(number).basis = basis
        return self.browse(statements.ids)

    def _compare(self):
        """Compare these previews with each account's last bill of the same kind."""
        self.env.flush_all()
        before = {
            (client, kind): amount
            for client, kind, amount in self.env.execute_query(
                SQL(
                    """
                    SELECT DISTINCT ON (client_id, kind) client_id, kind, amount_total
                      FROM reseller_statement
                     WHERE client_id = ANY(%s) AND %s
                     ORDER BY client_id, kind, bill_date DESC, id DESC
                    """,
                    self.client_id.ids,
                    live_sql("reseller_statement"),
                )
            )
        }
        for statement in self:
            last = before.get((statement.client_id.id, statement.kind))
            factor = statement.company_id.reseller_review_factor
            amount, comparison = statement.amount_total, "usual"
            if last is None:
                comparison = "new"
            elif amount > max(float(last), 0.0) * factor:
                comparison = "higher"
            elif (amount * factor if last > 0 else amount / factor) < float(last):
                comparison = "lower"
            statement.write({"previous_amount": float(last or 0), "comparison": comparison})

    # Approving

    def _check_prices(self):
        """Refuse previews of companies whose prices in force have changed since they were made.

        Use that has come in since is late use of the next bill: the previews stand as shown.
        """
        self.env.flush_all()
        for company, statements in self.grouped("company_id").items():
            [(changed,)] = self.env.execute_query(
                SQL(
                    """
                    SELECT EXISTS (
                        SELECT FROM reseller_price_rule rule
                         WHERE rule.company_id = %(company)s AND rule.active
                           AND (
                               rule.write_date > %(since)s
                            OR EXISTS (SELECT FROM reseller_price_tier tier
                                        WHERE tier.rule_id = rule.id
                                          AND tier.write_date > %(since)s)
                            OR EXISTS (SELECT FROM reseller_price_level line
                                        WHERE line.rule_id = rule.id
                                          AND line.write_date > %(since)s)))
                    """,
                    company=company.id,
                    since=min(statements.mapped("create_date")),
                )
            )
            if changed:
                raise UserError(
                    self.env._(
                        "Prices have changed since this was prepared: discard the previews and "
                        "prepare again."
                    )
                )

    def _get_bases(self):
        """Return {id: text} of the rows that these previews rest on, to tell one that is gone."""
        found = {}
        for company, statements in self.grouped("company_id").items():
            [(prices,)] = self.env.execute_query(
                SQL(
                    """
                    WITH rules AS (
                        SELECT id FROM reseller_price_rule
                         WHERE company_id = %(company)s AND active
                    )
                    SELECT md5(string_agg(part || id, ',' ORDER BY part, id))
                      FROM (SELECT 'r' AS part, id FROM rules
                            UNION ALL
                            SELECT 't', id FROM reseller_price_tier WHERE rule_id IN (TABLE rules)
                            UNION ALL
                            SELECT 'l', id FROM reseller_price_level WHERE rule_id IN (TABLE rules)
                           ) AS parts
                    """,
                    company=company.id,
                )
            )
            for statement in statements:
                client = statement.client_id
                rows = [sorted(client.membership_ids.ids), sorted(client.enrolment_ids.ids)]
                found[statement.id] = f"{prices} {rows}"
        return found

    def _check_account(self, bill, basis):
        """Refuse a preview whose account has been billed or changed since it was made.

        :param rating.Bill bill: the account's next bill as it is now
        :param str basis: what it rests on now, see _get_bases
        """
        self.ensure_one()
        client, made = self.client_id, self.create_date
        if self.currency_id != client.currency_id:
            raise UserError(
                self.env._(
                    "%(client)s is billed in %(currency)s now: prepare it again.",
                    client=client.display_name,
                    currency=client.currency_id.name,
                )
            )
        freed = self.browse(bill.replaces or [])
        due = freed.bill_date or bill.date
        if (self.bill_date, self.replaces_id, self.rerate_from or None) != (
            due,
            freed,
            bill.rerate_from,
        ):
            raise UserError(
                self.env._(
                    "%s has been billed or voided since: prepare it again.", client.display_name
                )
            )
        others = client.statement_ids.filtered(
            lambda statement: (
                statement.state != "preview"
                and statement.kind != "manual"
                and statement.write_date > made
            )
        )
        if others or self.basis != basis:
            raise UserError(
                self.env._(
                    "Bills, prices or service of %s have changed since: prepare it again.",
                    client.display_name,
                )
            )
        parts = [*client.membership_ids, *client.enrolment_ids]
        items = self.charge_ids.manual_charge_id
        changed = any(part.write_date > made for part in [*parts, *items])
        if changed or items.statement_id or any(items.mapped("is_withdrawn")):
            raise UserError(
                self.env._(
                    "Service or charges by hand of %s have changed since: prepare it again.",
                    client.display_name,
                )
            )

    def _approve(self, run):
        """Turn previews into bills with the charges as they are shown, and post the invoices.

        :param run: the reseller.billing.run; its date is the invoices' date
        :raise UserError: when an account has been billed, or changed, since
        """
        bills, bases = {}, self._get_bases()
        for statement in self:
            client = statement.client_id
            bills[client.id] = self._prepare_bill(client)
            statement._check_account(bills[client.id], bases[statement.id])
        self._check_freed(bills, run.date)
        self._check_contract_lines()
        for statement in self:
            statement.charge_ids.manual_charge_id.statement_id = statement
        self.state = "approved"
        self.flush_recordset()
        # What an event has changed since has another version: the next bill rates it.
        self._cover_usage({statement.client_id.id: statement.rated_use or () for statement in self})
        self._move_on(bills)
        self._invoice(self._unpack_draws(), run.date)

    def _check_contract_lines(self):
        """Take the contracts' extra lines that the previews show, and no others."""
        taken = self._take_contract_lines(preview=False)
        for statement in self:
            # The line may be gone since.
            shown = statement.charge_ids.filtered("is_extra").sorted("sequence")
            due = taken.get(statement.client_id.contract_id.id, [])
            if [(line.contract_line_id.id, line.amount, line.date_from) for line in shown] != [
                (vals["contract_line_id"], float(vals["amount"]), vals["date_from"]) for vals in due
            ]:
                raise UserError(
                    self.env._(
                        "The contract of %s has changed since: prepare it again.",
                        statement.client_id.display_name,
                    )
                )

    @staticmethod
    def _pack_draws(draws):
        """Return rating.Draws as JSON, for a preview to keep."""
        return [
            [draw.lot, draw.day.isoformat(), draw.level, rating.text(draw.quantity)]
            for draw in draws
        ]

    def _unpack_draws(self):
        """Return {client id: [rating.Draw]} of what these previews would draw."""
        return {
            statement.client_id.id: [
                rating.Draw(lot, date.fromisoformat(day), level, Decimal(quantity))
                for lot, day, level, quantity in statement.unit_draws or ()
            ]
            for statement in self
        }
