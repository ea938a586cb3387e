from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ... import rating
from ..base.states import IS_LIVE, LIVE
from .reseller_charge import METERED

# Says that a bill is made at once; no request can send it.
INSTANT = object()


class ResellerStatement(models.Model):
    _name = "reseller.statement"
    _description = "Statement"
    _inherit = [
        "portal.mixin",
        "mail.thread",
        "mail.activity.mixin",
    ]
    _order = "bill_date desc, id desc"
    _check_company_auto = True

    name = fields.Char(compute="_compute_name", store=True)
    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(
        related="client_id.reseller_id", store=True, index=True, readonly=True
    )
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    kind = fields.Selection(
        [
            ("opening", "Opening"),
            ("cycle", "Cycle"),
            ("final", "Final"),
            ("instant", "Instant"),
            ("manual", "Manual"),
        ],
        required=True,
        readonly=True,
    )
    bill_date = fields.Date(required=True, readonly=True)
    period_start = fields.Date(
        readonly=True, help="First day of use on this bill. An opening bill has none."
    )
    period_end = fields.Date(readonly=True, help="Last day of use on this bill, inclusive.")
    rerate_from = fields.Date(readonly=True)
    assumption = fields.Char(
        string="What If", readonly=True, help="Of a preview: what is not so, but might be."
    )
    state = fields.Selection(
        [
            ("preview", "Preview"),
            ("approved", "Approved"),
            ("invoiced", "Invoiced"),
            ("void", "Void"),
        ],
        required=True,
        readonly=True,
        tracking=True,
        index=True,
    )
    run_id = fields.Many2one("reseller.billing.run", readonly=True, index=True, ondelete="set null")
    charge_ids = fields.One2many("reseller.charge", "statement_id", string="Charges", readonly=True)
    invoice_id = fields.Many2one(
        "account.move", readonly=True, copy=False, index="btree_not_null", ondelete="set null"
    )
    credit_note_id = fields.Many2one(
        "account.move",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The credit note that made this bill void, on its date.",
    )
    is_freed = fields.Boolean(
        string="To Be Billed Again",
        readonly=True,
        copy=False,
        help="Its days are free between days that other bills cover: the next run bills them again first.",
    )
    replaces_id = fields.Many2one(
        "reseller.statement",
        string="Instead Of",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The void bill whose days this one bills again.",
    )
    amount_total = fields.Monetary(
        string="Total", readonly=True, help="The sum of the charges, before added taxes."
    )
    _bill_uniq = models.UniqueIndex(
        f"(client_id, kind, bill_date) WHERE {IS_LIVE} AND kind != 'manual'",
        "This bill exists already: a period is never billed twice.",
    )
    _no_overlap = models.Constraint(
        "EXCLUDE USING gist (int4range(client_id, client_id, '[]') WITH &&, "
        "daterange(period_start, period_end, '[]') WITH &&) "
        f"WHERE ({IS_LIVE} AND period_start IS NOT NULL)",
        "Two statements of a client must not cover the same day: a period is never billed twice.",
    )
    _freed = models.Index("(client_id, bill_date) WHERE is_freed")
    _preview_uniq = models.UniqueIndex("(client_id, COALESCE(run_id, 0)) WHERE state = 'preview'")

    @api.depends("client_id.ref", "bill_date", "kind", "state")
    def _compute_name(self):
        for statement in self:
            name = f"{statement.client_id.ref}/{statement.bill_date}"
            # An account has any number of bills by hand.
            suffix = {
                "opening": "/0",
                "final": "/F",
                "instant": "/I",
                "manual": f"/{statement.id}",
            }.get(statement.kind)
            if suffix:
                name += suffix
            statement.name = name

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        if any(statement.state != "preview" for statement in self):
            raise UserError(self.env._("Statements are history: void the last one instead."))

    # Making bills

    @api.model
    def _prepare_bill(self, client, date=None):
        """Return the rating.Bill of an account's next bill, or of a given date.

        The next one is, first, that of days that a void one has freed (rating 25).
        """
        # Days that are free are rated again: an account without has none.
        if not date and client.rerate_from and (freed := client._get_freed_statements()):
            return freed[0]._prepare_freed_bill()
        date = date or client.next_bill_date
        start = client.billed_until and fields.Date.add(client.billed_until, days=1)
        return rating.Bill(
            date,
            start or min(client.next_bill_date, date),
            client._bill_date_after(date),
            client.currency_id._get_exact_rounding(),
            client.rerate_from or None,
        )

    def _prepare_vals(self, client, bill, state):
        if bill.replaces:
            freed_sudo = self.browse(bill.replaces).sudo()  # as it is billed
            return freed_sudo._prepare_freed_vals(bill, state)
        kind = client._get_turns().get(bill.date, "cycle")
        if not client.billed_until and bill.period_end < bill.period_start:
            kind = "opening"
        if self.env.context.get("reseller_instant") is INSTANT or client._had_instant(bill.date):
            kind = "instant"
        # An opening bill has no days of use, nor has a final one of an account billed to its end.
        served = kind != "opening" and bill.period_start <= bill.period_end
        return {
            "client_id": client.id,
            "currency_id": client.currency_id.id,
            "kind": kind,
            "bill_date": bill.date,
            "period_start": served and bill.period_start,
            "period_end": served and bill.period_end,
            "rerate_from": bill.rerate_from,
            "state": state,
        }

    @api.model
    def _bill_at_once(self, client, day):
        """Bill an account, locked by the caller, up to a day, without a run; return the statement."""
        client.sudo().next_bill_date = day  # billing keeps it
        statements = self.with_company(client.company_id).with_context(reseller_instant=INSTANT)
        made = statements._bill(
            client, self.env["reseller.billing.run"], fields.Date.context_today(self)
        )
        return self.browse(made.ids)

    @api.model
    def _bill(self, clients, run, date=None):
        """Bill accounts of one company for their next bill dates, and post the invoices.

        :param clients: due accounts, locked by the caller
        :param run: the reseller.billing.run, or none
        :param date date: of the invoices; the run's
        :return: the statements, in the order of the clients
        """
        bills = {client.id: self._prepare_bill(client) for client in clients}
        self._check_freed(bills, date or run.date)
        charges, covered, draws = self.env["reseller.rating"]._rate(clients, bills)
        # Statements are closed to all users; the caller has checked who may bill.
        statements_sudo = self.sudo().with_context(tracking_disable=True, mail_create_nolog=True)
        statements = statements_sudo.create(
            [
                {**self._prepare_vals(client, bills[client.id], "approved"), "run_id": run.id}
                for client in clients
            ]
        )
        statements._add_charges(charges)
        statements._cover_usage(covered)
        statements._move_on(bills)
        statements._invoice(draws, date or run.date)
        return self.browse(statements.ids)

    def _add_charges(self, charges, preview=False):
        """Store rated charges, and those of the contracts' extra lines, and sum them up."""
        self._insert_charges(self._prepare_charges(charges, preview))

    def _prepare_charges(self, charges, preview=False):
        """Return the values of rated charges, and of those of the contracts' extra lines."""
        rows = []
        extra = self._take_contract_lines(preview)
        by_hand = self._take_manual_charges(preview)
        closed = self._get_closing_statements(self.client_id, charges)
        for language, statements in self.grouped(
            lambda statement: statement._get_language()
        ).items():
            model = self.env["reseller.charge"].with_context(lang=language or self.env.lang)
            for statement in statements:
                found = [
                    model._prepare_vals(
                        statement,
                        charge,
                        closed.get((statement.client_id.id, charge.closed), self.browse()),
                    )
                    for charge in charges[statement.client_id.id]
                ]
                found += extra.get(statement.client_id.contract_id.id, [])
                found += by_hand.get(statement.id, [])
                rows += [
                    {**statement._prepare_charge_vals(), **vals, "sequence": number}
                    for number, vals in enumerate(found, 1)
                ]
        return rows

    def _insert_charges(self, rows):
        """Insert charges of these statements and sum them up."""
        self.env["reseller.charge"]._insert(rows)
        totals = {number: [Decimal(0), Decimal(0), None] for number in self.ids}
        for row in rows:
            sums = totals[row["statement_id"]]
            sums[0] += row["amount"]
            sums[1] += row["amount"] if row["is_paper"] else 0
            sums[2] = row["is_paper"] and sums[2] is not False
        self.env.cr.execute_values(
            "UPDATE reseller_statement SET amount_total = sums.total, paper_total = sums.paper, "
            # One that has something to invoice, of days before, is none.
            "is_paper = COALESCE(sums.is_paper, reseller_statement.is_paper) "
            "FROM (VALUES %s) AS sums (id, total, paper, is_paper) "
            "WHERE reseller_statement.id = sums.id",
            [(number, *sums) for number, sums in totals.items()],
            template="(%s, %s, %s, %s::boolean)",
        )
        self.invalidate_recordset(["amount_total", "paper_total", "is_paper", "charge_ids"])

    def _prepare_charge_vals(self):
        self.ensure_one()
        return {
            "statement_id": self.id,
            "client_id": self.client_id.id,
            "reseller_id": self.reseller_id.id,
            "company_id": self.company_id.id,
            "currency_id": self.currency_id.id,
            "book": self.book,
            "bill_date": self.bill_date,
            "tier": 0,
            "is_flat_fee": False,
            "level_id": None,
            "feature_id": None,
            "price_rule_id": None,
            "adjusts_statement_id": None,
            "contract_line_id": None,
            "manual_charge_id": None,
        }

    @api.model
    def _get_closing_statements(self, clients, charges):
        """Return {(client id, day): statement} for the closed cycles that charges adjust.

        :param charges: {client id: [rating.Charge]} of clients; these bills have no part in it
        """
        days = {charge.closed for rows in charges.values() for charge in rows if charge.closed}
        if not days:
            return {}
        statements = self.search(
            [
                ("client_id", "in", clients.ids),
                ("state", "in", LIVE),
                ("id", "not in", self.ids),
                ("period_end", ">=", min(days)),
                ("period_start", "<=", max(days)),
            ]
        )
        return {
            (statement.client_id.id, day): statement
            for statement in statements
            for day in days
            if statement.period_start <= day <= statement.period_end
        }

    def _take_contract_lines(self, preview):
        """Return {contract id: charge values} of the contracts' extra lines that are due.

        Lines due by the bill date are taken until none is due; taking one moves it on, unless for
        a preview.
        """
        if preview:
            with self.env.cr.savepoint() as savepoint:
                found = self._take_contract_lines(preview=False)
                savepoint.rollback()
            self.env["contract.line"].invalidate_model()
            return found
        again = self.filtered("replaces_id")
        others = self - again
        dates = {statement.client_id.contract_id.id: statement.bill_date for statement in others}
        found = {}
        for line in others._find_contract_lines():
            found.setdefault(line.contract_id.id, []).extend(
                line._take_due(dates[line.contract_id.id])
            )
        return found | again._take_freed_lines()

    def _find_contract_lines(self):
        """Return the lines of the contracts that may be due by these bills' dates, as the system."""
        contracts_sudo = self.client_id.contract_id.sudo()  # the accounts' own
        closing = self.client_id.filtered("close_date").contract_id
        return (
            self.env["contract.line"]
            .sudo()  # as above
            .search(
                Domain("contract_id", "in", contracts_sudo.ids)
                & Domain("display_type", "=", False)
                & Domain("is_canceled", "=", False)
                & (
                    Domain(
                        "recurring_next_date", "<=", max(self.mapped("bill_date"), default=False)
                    )
                    | Domain("contract_id", "in", closing.ids)
                )
            )
        )

    def _take_manual_charges(self, preview):
        """Return {statement id: charge values} of the waiting charges and credits by hand.

        Those of days after the bill date go on waiting.
        """
        # Whoever bills an account bills what was entered for it.
        items_sudo = self.env["reseller.manual.charge"].sudo()
        waiting = items_sudo.search(
            [
                ("client_id", "in", self.client_id.ids),
                ("statement_id", "=", False),
                ("is_withdrawn", "=", False),
            ],
            order="date, id",
        ).grouped("client_id")
        found = {}
        for statement in self:
            items = waiting.get(statement.client_id, items_sudo).filtered(
                lambda item, until=statement.bill_date: item.date <= until
            )
            if not preview:
                items.statement_id = statement
            found[statement.id] = [item._prepare_charge_vals() for item in items]
        return found

    @api.model
    def _bill_by_hand(self, items):
        """Bill charges and credits by hand at once, one bill per client.

        :param items: waiting reseller.manual.charge records
        :return: the statements
        """
        statements = self.browse()
        for company, of_company in items.grouped("company_id").items():
            # Statements are closed to all users; the caller has checked who may bill.
            model_sudo = self.sudo().with_context(tracking_disable=True, mail_create_nolog=True)
            grouped = list(of_company.grouped("client_id").items())
            made = model_sudo.create(
                [
                    {
                        "client_id": client.id,
                        "currency_id": client.currency_id.id,
                        "kind": "manual",
                        "bill_date": client._today(),
                        "state": "approved",
                    }
                    for client, _items in grouped
                ]
            )
            rows = []
            for statement, (_client, mine) in zip(made, grouped, strict=True):
                mine.sudo().statement_id = statement  # billed with this, as above
                rows += [
                    {
                        **statement._prepare_charge_vals(),
                        **item._prepare_charge_vals(),
                        "sequence": number,
                    }
                    for number, item in enumerate(mine, 1)
                ]
            made._insert_charges(rows)
            today = fields.Date.context_today(self)
            made.with_company(company)._invoice({}, today)
            statements |= self.browse(made.ids)
        return statements

    def _cover_usage(self, covered):
        """Have these bills cover the use that they have rated, as they have read it.

        :param covered: {client id: [(bucket id, version)]}
        """
        self.env["reseller.usage.coverage"]._cover(
            {statement.id: covered.get(statement.client_id.id) or () for statement in self}
        )

    def _move_on(self, bills):
        """Set the accounts to their next bill, and close those that had their final one."""
        groups = {}
        again = self.filtered("replaces_id")
        again._settle_freed()
        for statement in self - again:
            client, bill = statement.client_id, bills[statement.client_id.id]
            closed, following = client.close_date, bill.next_date
            ended = bool(closed) and closed <= bill.period_end
            if ended and bill.date > fields.Date.add(
                closed, days=client.company_id.reseller_late_days + 1
            ):
                following = False  # no late use can come any more
            key = (bill.period_end, following, "closed" if ended else "active")
            groups[key] = groups.get(key, client.browse()) | client
        for (until, following, state), clients in groups.items():
            vals = {"billed_until": until, "next_bill_date": following, "rerate_from": False}
            changed = clients.filtered(lambda client, state=state: client.state != state)
            changed.sudo().state = state  # billing keeps these values
            clients.sudo().write(vals)
            # Contracts recur as the cycle of the next bill does.
            clients.filtered(lambda client: client._get_cycle_changes())._sync_contracts()

    # Reading

    def action_view_invoice(self):
        """Open the invoice of this statement."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "view_mode": "form",
            "res_id": self.invoice_id.id,
        }

    def _get_sections(self):
        """Return the charges as the report shows them: [(title, charges)]."""
        self.ensure_one()
        charges = self.charge_ids.sorted("sequence")
        adjustments = charges.filtered("adjusts_statement_id")
        rest = charges - adjustments
        sections = [
            (
                self.env._("Fees"),
                rest.filtered(lambda charge: charge.kind in ("setup", "recurring")),
            ),
            (
                self.env._("Usage"),
                rest.filtered(lambda charge: charge.kind in METERED),
            ),
            (self.env._("Packages"), rest.filtered(lambda charge: charge.kind == "package")),
            (
                self.env._("Other"),
                rest.filtered(lambda charge: charge.kind in ("manual", "credit")),
            ),
            (self.env._("Adjustments of earlier bills"), adjustments),
        ]
        return [(title, rows) for title, rows in sections if rows]
