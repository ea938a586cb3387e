from contextlib import contextmanager
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from ... import rating
from ..base.states import LIVE
from ..client.floors import beneath_domain, beneath_sql

# Of one download of events.
MAX_EVENTS = 100_000
SCOPES = ("client_id", "group_id", "reseller_id")


class ResellerClient(models.Model):
    """What the portal shows of clients, and what a reseller does with them there.

    Who may is decided before: these work with the rights of the records that they get.
    """

    _inherit = "reseller.client"

    login_ids = fields.One2many("reseller.login", "client_id", string="Log-ins by the Reseller")

    # Who

    def _get_portal_users(self):
        """Return the portal users that stand for this client."""
        self.ensure_one()
        users = self.env["res.users"].search(
            [
                ("partner_id", "child_of", self.partner_id.id),
                ("share", "=", True),
                ("company_ids", "in", self.company_id.ids),
            ]
        )
        return users.filtered(lambda user: self in user._get_portal_roles()[1])

    @contextmanager
    def _keep_users_apart(self):
        """Close the portal, at the end, to users that lose their account.

        Their contact may lie beneath the reseller's, or another client's: they are not to come to
        stand for that.
        """
        clients_sudo = self.sudo()  # whoever changes the account
        users_sudo = clients_sudo.env["res.users"].union(
            *(client._get_portal_users() for client in clients_sudo)
        )
        users_sudo = users_sudo.filtered(lambda user: not user._get_portal_roles()[0])
        yield
        self.env.flush_all()
        users_sudo.filtered(lambda user: not user._get_portal_roles()[1]).active = False

    def _shows_money(self):
        """Whether the client may see amounts: not what its reseller pays for it; a reseller that buys, what the
        provider has it see.
        """
        self.ensure_one()
        if self.buys_for_id:
            return self.buys_for_id.portal_see_cost
        return self.reseller_id.invoice_to != "reseller"

    def _owns_contact(self):
        """Whether the contact is this reseller's to change, and to invite.

        It is not where others stand or work with it, or with contacts above or beneath it, to
        which Odoo copies addresses, and whose documents its users read; nor where the provider
        does business with it that is not the reseller's.
        """
        self.ensure_one()
        contact = self.partner_id
        if contact.parent_id:
            return False
        family = contact.with_context(active_test=False).search([("id", "child_of", contact.id)])
        return not (
            family.reseller_client_ids.reseller_id - self.reseller_id
            or family.reseller_ids
            or family.user_ids.filtered(lambda user: not user.share)
            or (family - contact).user_ids
            or self.env["res.company"].search_count([("partner_id", "in", family.ids)], limit=1)
            or self.env["account.move"].search_count(
                [
                    ("partner_id", "in", family.ids),
                    ("move_type", "!=", "entry"),
                    "|",
                    ("reseller_client_id", "=", False),
                    ("reseller_client_id.reseller_id", "!=", self.reseller_id.id),
                ],
                limit=1,
            )
        )

    def _owns_email(self):
        """Whether the contact's address is the reseller's to change: who gets a user's mail may set
        its password.
        """
        self.ensure_one()
        users = self.env["res.users"].with_context(active_test=False)
        return not users.search_count([("partner_id", "child_of", self.partner_id.id)], limit=1)

    # What is owed

    owed_amount = fields.Monetary(
        string="Owed", compute="_compute_owed", help="What is open of this account's own invoices."
    )
    overdue_amount = fields.Monetary(string="Overdue", compute="_compute_owed")

    def _compute_owed(self):
        owed = self._load_owed() if self.ids else {}
        for client in self:
            client.owed_amount, client.overdue_amount = map(
                float, owed.get(client._origin.id, (0, 0))
            )

    def _load_owed(self):
        """Return {client id: (open, overdue)} as Decimals: of posted invoices of their statements.

        Offers are not owed; credit notes count off. Overdue is what was due before today where the
        client is.
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.reseller_client_id,
                       sum(line.amount_residual_currency)::text,
                       COALESCE(sum(line.amount_residual_currency)
                           FILTER (WHERE line.date_maturity < (
                               %s::timestamp AT TIME ZONE 'UTC'
                               AT TIME ZONE COALESCE(client.tz, reseller.tz))::date), 0)::text
                  FROM account_move move
                  JOIN reseller_client client ON client.id = move.reseller_client_id
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                  JOIN account_move_line line ON line.move_id = move.id
                  JOIN account_account account ON account.id = line.account_id
                 WHERE move.reseller_client_id = ANY(%s) AND move.state = 'posted'
                   AND move.reseller_is_offer IS NOT TRUE
                   AND account.account_type = 'asset_receivable'
                   AND NOT line.reconciled
                 GROUP BY move.reseller_client_id
                """,
                fields.Datetime.now(),
                self.ids,
            )
        )
        found = dict.fromkeys(self.ids, (Decimal(0), Decimal(0)))
        found.update({client: (Decimal(owed), Decimal(late)) for client, owed, late in rows})
        return found

    @api.model
    def _search_owing(self):
        """Return a query of the clients with open invoices."""
        return SQL(
            """
            SELECT move.reseller_client_id FROM account_move move
             WHERE move.reseller_client_id IS NOT NULL AND move.state = 'posted'
               AND move.move_type = 'out_invoice' AND move.reseller_is_offer IS NOT TRUE
               AND move.payment_state IN ('not_paid', 'partial')
            """
        )

    @api.model
    def _find_owing(self):
        """Return the ids of the clients with open invoices."""
        self.env.flush_all()
        return [number for (number,) in self.env.execute_query(self._search_owing())]

    def _get_own_statements(self):
        """Return the statements of bills that were this client's to pay, not its reseller's."""
        self.ensure_one()
        payer = self._get_debtor()
        if self.reseller_id._get_invoice_to() == "reseller":
            payer = (
                self.partner_id.commercial_partner_id
            )  # what it paid before it bought is its cost
        return self.statement_ids.filtered(
            lambda bill: (
                bill.state in LIVE
                and self._shows_money()
                and (not bill.invoice_id or bill.invoice_id.commercial_partner_id == payer)
            )
        )

    def _get_history(self, statements):
        """Return this account's history, newest first: bills, what they are of, what settled them.

        Not the payer's ledger, as `reseller.account.entry` has it: that may hold accounts at other
        resellers.

        :param statements: those of this account to show
        :return: dicts with ``date``, ``kind`` (invoice, credit, settled), ``id``, ``name``,
            ``amount`` and ``balance`` (Decimals, of what is owed), ``statement``, ``charges``, and
            ``by_payment`` of what is settled
        """
        self.ensure_one()
        statements = statements.filtered(lambda statement: statement.invoice_id.state == "posted")
        entries = []
        for statement in statements:
            invoice = statement.invoice_id
            sign = -1 if invoice.move_type == "out_refund" else 1
            amount = invoice.amount_total
            if invoice.reseller_is_offer:
                # Nobody owes it: it counts as far as it is taken.
                amount -= invoice.amount_residual
            if not amount:
                continue
            entries.append(
                {
                    "date": invoice.invoice_date,
                    "kind": "credit" if sign < 0 else "invoice",
                    "id": invoice.id,
                    "name": invoice.name,
                    "amount": rating.exact_of(invoice.currency_id.round(sign * amount)),
                    "statement": statement,
                    "charges": statement._get_invoiced_charges(),
                }
            )
        entries += self._get_settlements(statements.invoice_id)
        balance = Decimal(0)
        entries.sort(key=lambda entry: (entry["date"], entry["kind"] == "settled", entry["id"]))
        for entry in entries:
            balance += entry["amount"]
            entry["balance"] = balance
        return entries[::-1]

    def _get_settlements(self, invoices):
        """Return what has settled invoices, and undone credits: by day and document."""
        lines = invoices.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        found = []
        for partial in lines.matched_credit_ids | lines.matched_debit_ids:
            debit, credit = partial.debit_move_id, partial.credit_move_id
            if debit in lines and credit in lines:
                continue  # a credit note of this account: the balance stays
            ours, other, sign = (debit, credit, -1) if debit in lines else (credit, debit, 1)
            amount = partial.debit_amount_currency if sign < 0 else partial.credit_amount_currency
            found.append(
                {
                    "date": partial.max_date,
                    "kind": "settled",
                    "id": partial.id,
                    # The other document may be of more than this account: its name is not shown.
                    "name": ours.move_id.name,
                    "by_payment": bool(other.payment_id or other.statement_line_id),
                    "amount": sign * rating.exact_of(amount),
                    "statement": None,
                    "charges": [],
                }
            )
        return found

    # Use

    def _get_report(self, first, last):
        """Return this client's use from one local day to another, see _load_reports."""
        self.ensure_one()
        return self._load_reports(first, last).get(self.id, [])

    def _load_reports(self, first, last):
        """Return {client id: rows} of these clients' use from one local day to another, both inclusive.

        :return: of each client that has any: dicts with ``feature`` and ``level`` (records), ``total`` (an exact decimal string),
            ``events``, and ``days`` {day: exact decimal string}; what is billed by its highest or
            last value has the highest, or last, of the days as its total
        """
        rows = self.env.execute_query(
            SQL(
                """
                -- Of an account, or of all that a buyer pays for together.
                SELECT client.id, bucket.feature_id, bucket.level_id, bucket.billing_date,
                       sum(bucket.event_count)::int, trim_scale(%s)::text
                  FROM reseller_client client
                 CROSS JOIN LATERAL (%s) AS beneath
                  JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE client.id = ANY(%s) AND bucket.billing_date BETWEEN %s AND %s
                 GROUP BY client.id, feature.id, bucket.feature_id, bucket.level_id, bucket.billing_date
                 ORDER BY feature.sequence, feature.id, bucket.level_id NULLS FIRST,
                       bucket.billing_date
                """,
                self.env["reseller.usage.daily"]._counted_together_sql(),
                beneath_sql("client"),
                self.ids,
                first,
                last,
            )
        )
        found = {}
        for client_id, feature_id, level_id, day, events, quantity in rows:
            feature = self.env["reseller.feature"].browse(feature_id)
            entry = found.setdefault(client_id, {}).setdefault(
                (feature_id, level_id),
                {
                    "feature": feature,
                    "level": self.env["reseller.feature.level"].browse(level_id or []),
                    "total": Decimal(0),
                    "events": 0,
                    "days": {},
                },
            )
            entry["days"][day] = quantity
            entry["events"] += events
            amount = Decimal(quantity or 0)
            match feature.aggregation:
                case "max":
                    entry["total"] = max(entry["total"], amount)
                case "last":
                    entry["total"] = amount
                case _:
                    entry["total"] += amount
        return {client_id: list(entries.values()) for client_id, entries in found.items()}

    def _get_events_domain(self, first, last, feature=None):
        domain = [
            *beneath_domain(self),
            ("billing_date", ">=", first),
            ("billing_date", "<=", last),
            ("voided_at", "=", False),
        ]
        return domain + ([("feature_id", "=", feature.id)] if feature else [])

    # Deleting

    def _has_history(self):
        """Whether anything of this client has to be kept: bills, also prepared ones, served days,
        use, charges, money, log-ins.
        """
        self.ensure_one()
        served = self.state != "draft" and self.activation_date < self._today()
        return bool(
            served
            or self.statement_ids.filtered(lambda bill: bill.state != "preview" or bill.run_id)
            or self.login_ids
            or self.contract_id.contract_line_ids
            or self.env["reseller.usage.daily"].search_count([("client_id", "=", self.id)], limit=1)
            or self.env["reseller.manual.charge"].search_count(
                [("client_id", "=", self.id)], limit=1
            )
            or self.wallet_lot_ids
            or self.prepaid_lot_ids
        )

    def _get_closing_day(self):
        """Return the last day of service of a client that is closed now: what is billed was served."""
        return max(self._today(), self.billed_until or self._today())

    def _preview_closing(self):
        """Return what the final bill would be, were this client closed now; empty where none comes."""
        self.ensure_one()
        statements = self.env["reseller.statement"]
        if self.state != "active" or self.close_date or not self._has_history():
            return statements
        day = self._get_closing_day()
        final = fields.Date.add(day, days=1)
        return statements._preview_if(
            self, final, lambda: self.action_close(day), self.env._("closed now")
        )

    def _close_or_delete(self):
        """Delete a client without history; close one that is served, and archive it.

        Its service ends today, or on its last billed day where that is later; its final bill comes
        by itself.

        :return: the last day of service, or nothing where it is deleted
        """
        self.ensure_one()
        if not self._has_history():
            self.statement_ids.unlink()
            self.price_rule_ids.unlink()
            self.unlink()
            return None
        if self.state == "active" and not self.close_date:
            self.action_close(self._get_closing_day())
        self.active = False
        return self.close_date

    # Prices

    def _get_first_free_day(self):
        """Return the first day on which a price of one of these clients may change."""
        days = [
            fields.Date.add(client.billed_until, days=1) for client in self if client.billed_until
        ]
        return max(days, default=None)

    @api.model
    def _set_price(self, base, scope, terms, date):
        """Give a client, a group or a reseller's clients a price of their own from a day on.

        :param base: the reseller.price.rule that holds there now; its other terms are kept
        :param dict scope: one of ``client_id``, ``group_id`` and ``reseller_id``
        :param dict terms: what differs
        :param date: the first day
        :return: the new price
        """
        nobody = dict.fromkeys(SCOPES, False)
        target = {**nobody, **scope}
        terms = {**terms, "is_of_portal": True}
        ends = base.date_to  # ending this scope's own price may be ending the base
        there = base._end_before(date, target)
        same_day = there.filtered(lambda row: row.date_from == date)
        if same_day:
            same_day.write(terms)
            return same_day
        made = there._make_copy(base, date, target, terms)
        if ends and (not made.date_to or made.date_to > ends):
            # Its other terms are those of a price that ends.
            made.date_to = ends
        return made

    @api.model
    def _drop_price(self, rules, date):
        """End prices that the reseller set on the day before; delete those that begin later."""
        rules = rules.filtered("is_of_portal")
        begun = rules.filtered(lambda rule: not rule.date_from or rule.date_from < date)
        for rule in begun.filtered(lambda rule: not rule.date_to or rule.date_to >= date):
            rule.date_to = fields.Date.subtract(date, days=1)
        (rules - begun).unlink()

    def _get_priced_clients(self):
        """Return the clients that a price of this client's own reaches."""
        return self

    def _find_price(self, feature, day):
        """Return the price of a feature that holds for this client on a day, empty for none."""
        self.ensure_one()
        group = self._membership_on(day).group_id
        [row] = self.reseller_id._get_pricing(day, group, self, features=feature)
        return row["winner"]

    # Packages

    def _get_shown_lots(self):
        """Return [(lot, state in words, whether it may be used)] for the client, newest first."""
        self.ensure_one()
        today = self._today()
        found = []
        for lot in self.prepaid_lot_ids.filtered(lambda lot: lot.state != "canceled"):
            if lot.state in ("offered", "waiting"):
                found.append((lot, self.env._("Waits for payment"), False))
            elif lot.date_until and lot.date_until < today:
                found.append((lot, self.env._("Expired"), False))
            elif lot.left <= 0:
                found.append((lot, self.env._("Used up"), False))
            else:
                found.append((lot, self.env._("Usable"), True))
        return found

    # Refs

    @api.model
    def _next_ref(self, reseller):
        """Return a reference for a reseller's new client: its code and a number of its own."""
        prefix = f"{reseller.code}-"
        [[last]] = self.env.execute_query(
            SQL(
                """
                SELECT COALESCE(max(substr(ref, %s)::numeric), 0)
                  FROM reseller_client
                 WHERE company_id = %s AND starts_with(ref, %s)
                   AND substr(ref, %s) ~ '^[0-9]{1,12}$'
                """,
                len(prefix) + 1,
                reseller.company_id.id,
                prefix,
                len(prefix) + 1,
            )
        )
        # No reference twice: late use of one that was deleted would find the other.
        reseller.portal_last_number = max(int(last), reseller.portal_last_number) + 1
        return f"{prefix}{reseller.portal_last_number:04d}"

    def write(self, vals):
        """Override of `base`: see _keep_users_apart."""
        if "partner_id" not in vals:
            return super().write(vals)
        self.check_access("write")  # before anything is looked at as the system
        with self._keep_users_apart():
            return super().write(vals)

    def unlink(self):
        """Override of `base`: see _keep_users_apart."""
        self.check_access("unlink")  # as in write
        with self._keep_users_apart():
            return super().unlink()
