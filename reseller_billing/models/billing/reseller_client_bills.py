import datetime

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..base.notice import list_action, make_notice
from ..base.states import LIVE


class ResellerClient(models.Model):
    """When an account is due, and what its bills are."""

    _inherit = "reseller.client"

    statement_ids = fields.One2many("reseller.statement", "client_id", string="Statements")
    statement_count = fields.Integer(compute="_compute_statement_count")

    def _compute_statement_count(self):
        counts = dict(
            self.env["reseller.statement"]._read_group(
                [("client_id", "in", self.ids)], ["client_id"], ["__count"]
            )
        )
        for client in self:
            client.statement_count = counts.get(client, 0)

    def action_bill_now(self, date=None):
        """Bill accounts at once, up to a day, instead of with their next bill.

        What has changed in cycles that are paid ahead is due with this bill, prorated, and so is the use
        until then. The next bill comes when it would have come.

        :param date date: the bill date, local to the client; today
        :return: the statements, of kind *instant*, of those accounts that have something due
        :raise UserError: when a bill is due before, when the day is to come or billed, when nothing is
            due, and where bills are approved by somebody else
        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        statements = self.env["reseller.statement"]
        for company in self.company_id:
            if company.reseller_approver_differs:
                raise UserError(
                    self.env._(
                        "At %s bills are approved by somebody else: prepare a run, which bills what has "
                        "changed.",
                        company.name,
                    )
                )
        self.company_id._conflict_with_prices()
        self._conflict_with_others()
        self.invalidate_recordset(["state", "billed_until", "next_bill_date"])
        for client in self:
            today = client._today()
            day = fields.Date.to_date(date) or today
            if client.state != "active" or not client.billed_until:
                raise UserError(
                    self.env._("%s has no bill yet that this one could follow.", client.name)
                )
            if not client.billed_until < day <= today:
                raise UserError(
                    self.env._(
                        "%(client)s is billed until %(until)s: choose a day after that, and no later "
                        "than today.",
                        client=client.name,
                        until=client.billed_until,
                    )
                )
            made = client.statement_ids.filtered(
                lambda statement, day=day: (
                    statement.bill_date == day
                    and statement.kind == "instant"
                    and statement.state in LIVE
                )
            )
            if made:
                raise UserError(
                    self.env._(
                        "%(bill)s was made at once on that day: what came later is due tomorrow, or with "
                        "the next bill.",
                        bill=made.name,
                    )
                )
            if freed := client._get_freed_statements():
                raise UserError(
                    self.env._(
                        "The days of %(bill)s, which is void, are to be billed again first: bill those by "
                        "a run.",
                        bill=freed[0].name,
                    )
                )
            if client.next_bill_date <= day:
                raise UserError(
                    self.env._(
                        "%(client)s has a bill due on %(date)s, which comes first: bill that.",
                        client=client.name,
                        date=client.next_bill_date,
                    )
                )
            with self.env.cr.savepoint() as savepoint:
                statement = statements._bill_at_once(client, day)
                due = bool(statement.charge_ids)
                if not due:
                    savepoint.rollback()
            if due:
                statements |= statement
            else:
                self.env.invalidate_all(flush=False)
        if not statements:
            raise UserError(self.env._("Nothing of %s is due now.", ", ".join(self.mapped("name"))))
        return statements

    def action_bill_at_once(self):
        """Bill the chosen accounts now, see action_bill_now, and say what was made."""
        statements = self.action_bill_now()
        return make_notice(
            statements,
            self.env._("%s bills are made.", len(statements)),
            name=self.env._("Statements"),
        )

    def action_bill_due(self):
        """Open the run of today that bills what is due, one for each company that has any.

        One that is new and has billed nothing yet is taken. Of chosen accounts runs are made that bill no others.
        """
        self.env["res.users"]._check_billing_manager()
        runs = self.env["reseller.billing.run"]
        chosen = self.grouped("company_id")
        for wanted in runs._get_runs_of_today():
            clients = chosen.get(wanted.company_id, self.browse())
            if self and not clients:
                continue
            wanted.client_ids = clients
            if not wanted._count_due():
                continue
            terms = {"company_id": wanted.company_id.id, "date": wanted.date}
            domain = [(name, "=", value) for name, value in terms.items()]
            domain += [("state", "=", "draft"), ("line_ids", "=", False)]
            same = runs.search(domain).filtered(lambda run, mine=clients: run.client_ids == mine)
            runs |= same[:1] or runs.create(
                {**terms, "client_ids": [fields.Command.set(clients.ids)]}
            )
        if not runs:
            raise UserError(
                self.env._("None of these accounts is due now.")
                if self
                else self.env._("No account is due now.")
            )
        return runs._get_records_action(name=self.env._("Billing Runs"))

    def action_bill_all_due(self):
        """Open the runs of today that bill what is due, whatever is chosen in a list: see action_bill_due."""
        return self.browse().action_bill_due()

    def action_extend_trial(self, date):
        """Have the running trials of accounts last until a day, where they would end before.

        :param date date: the last day of the trial, local to the client
        :raise UserError: when no trial of an account is running, or days after it are billed
        """
        last = fields.Date.to_date(date)
        for client in self:
            rates, today = self.env["reseller.rating"], client._today()
            trials = rates._load_trials(client, last).values() if client.state == "active" else ()
            ends = [once.trial_end for once in trials if once.trial_end >= today]
            if not ends:
                raise UserError(
                    self.env._(
                        "%s has no running trial that could be extended: a price gives one.",
                        client.name,
                    )
                )
            if last <= min(ends):
                raise UserError(
                    self.env._(
                        "The trial of %(client)s lasts until %(until)s: choose a later day.",
                        client=client.name,
                        until=min(ends),
                    )
                )
            vals = {"trial_until": last}
            if not client.trial_until or client.trial_until < today:
                vals["trial_extended_on"] = today
            client.write(vals)

    def _load_billed_trials(self):
        """Return {(client id, feature id): last day of its trial that is billed}."""
        self.flush_recordset()
        found = {}
        for client in self.filtered("billed_until"):
            trials = self.env["reseller.rating"]._load_trials(client, client.billed_until)
            for feature, once in trials.items():
                found[client.id, feature] = min(once.trial_end, client.billed_until)
        return found

    def action_view_statements(self):
        """Open the client's statements."""
        self.ensure_one()
        return self.env["reseller.statement"]._get_list_action([("client_id", "=", self.id)])

    def action_view_charges(self):
        """Open the client's charges."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_charge_action",
            self.env._("Charges"),
            [("client_id", "=", self.id)],
        )

    def action_view_invoices(self):
        """Open the invoices of the client's statements."""
        self.ensure_one()
        return self.env["account.move"]._get_bills_action([("reseller_client_id", "=", self.id)])

    def action_preview(self):
        """Show what a bill of the next bill date would be."""
        self.ensure_one()
        statement = self.preview_statement(self.next_bill_date)
        return {
            "type": "ir.actions.act_window",
            "res_model": "reseller.statement",
            "view_mode": "form",
            "res_id": statement.id,
        }

    def current_usage(self) -> list[dict]:
        """Return this client's use in its running cycles, as known now.

        :return: a list, one entry per feature with a price or with use: ``feature`` (id), ``code``,
            ``name``, ``cycle_start`` and ``cycle_end`` (local days, inclusive), ``used``,
            ``included_left`` (of all free units), ``prepaid_left`` (of packages) and ``payable``
            (units, exact decimal strings),
            ``maximum`` (units per cycle, False for none) and ``amount`` (of use so far, without
            fees, an exact decimal string in the client's currency, tax excluded)
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["reseller.rating"]._current_usage(self)

    def preview_statement(self, date: datetime.date | str):
        """Return the statement, in state preview, that a bill of `date` would be.

        :param date: the bill date, local to the client; as a date or an ISO string
        :return: a reseller.statement; it claims nothing, and there is one per client
        :raise UserError: when the account is not active, or billed beyond that date
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["reseller.statement"]._preview(self, fields.Date.to_date(date))

    def _get_cash_rounding(self):
        """Return the account.cash.rounding of this client's invoices, or none."""
        self.ensure_one()
        client_sudo = self.sudo()  # billing users need not see how accountants round
        return client_sudo.cash_rounding_id or client_sudo.reseller_id.cash_rounding_id

    def _get_freed_statements(self):
        """Return the void bills whose days are to be billed again, before any later one, in order; as the
        system.
        """
        statements_sudo = self.env["reseller.statement"].sudo()  # who asks need not see bills
        return statements_sudo.search(
            [("client_id", "in", self.ids), ("is_freed", "=", True)], order="bill_date, id"
        )

    def _get_billed_until(self, without):
        """Return the last billed day as it is without some statements, or False."""
        self.ensure_one()
        last = self.env["reseller.statement"].search(
            [
                ("client_id", "=", self.id),
                ("state", "in", LIVE),
                ("kind", "!=", "manual"),
                ("id", "not in", without.ids),
            ],
            order="bill_date desc, id desc",
            limit=1,
        )
        return last and fields.Date.subtract(last.bill_date, days=1)

    @api.model
    def _due_sql(self, run, now, waiting=False):
        """Return the query for the due accounts of a run, which need not be saved yet.

        :param waiting: for those, instead, whose bill date has come and whose delay is not over

        An account is due when the time in its zone is the billing delay past the start of its
        bill date (rating 4), see _due_at_sql. A closed one is due for late use, days that have a price
        only now, and charges and credits by hand. Accounts that the run has parked wait for a retry,
        those it has prepared for approval.
        """
        return SQL(
            """
            SELECT client.id
              FROM reseller_client client
              JOIN res_company company ON company.id = client.company_id
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
             WHERE client.company_id = %(company)s AND %(chosen)s
               AND (client.next_bill_date <= %(date)s AND (client.state = 'active' OR client.state = 'closed' AND (
                   client.rerate_from IS NOT NULL
                   OR %(late)s
                   OR EXISTS (
                       SELECT FROM reseller_manual_charge item
                        WHERE item.client_id = client.id
                          AND item.statement_id IS NULL
                          AND item.is_withdrawn IS NOT TRUE
                          AND item.date <= client.next_bill_date)))
                   AND %(begun)s <= %(now)s AT TIME ZONE 'UTC'
                   AND %(over)s
                   OR %(freed)s)
               AND NOT EXISTS (
                   SELECT FROM reseller_billing_run_line line
                    WHERE line.run_id = %(run)s
                      AND line.client_id = client.id
                      AND line.state = 'parked')
               AND NOT EXISTS (
                   SELECT FROM reseller_statement preview
                    WHERE preview.run_id = %(run)s
                      AND preview.client_id = client.id
                      AND preview.state = 'preview')
            """,
            company=run.company_id.id,
            chosen=run._chosen_sql(),
            date=run.date or None,
            run=run._origin.id or None,
            now=now,
            over=self._delay_over_sql(run, now, waiting),
            freed=SQL("FALSE") if waiting else self._freed_sql(run),
            late=self._has_late_use_sql(),
            begun=self._local_sql(SQL("client.next_bill_date::timestamp")),
        )

    @api.model
    def _has_late_use_sql(self):
        """Return the condition that a `client` has use of days of its service that no bill covers."""
        return SQL(
            """
            EXISTS (
                SELECT FROM reseller_usage_daily bucket
                  JOIN reseller_client_membership row
                    ON row.client_id = client.id
                   AND bucket.billing_date BETWEEN row.date_from AND COALESCE(row.date_to, 'infinity')
                 WHERE bucket.client_id = client.id AND %s)
            """,
            self.env["reseller.usage.daily"]._uncovered_sql(),
        )

    @api.model
    def _local_sql(self, moment):
        """Return the moment at which a local time has come for a `client` of a `reseller`.

        :param SQL moment: a timestamp without zone
        """
        return SQL("(%s AT TIME ZONE COALESCE(client.tz, reseller.tz))", moment)

    @api.model
    def _freed_sql(self, run):
        """Return the condition that days of a `client` are to be billed again by a run."""
        return SQL(
            """
            EXISTS (
                SELECT FROM reseller_statement freed
                 WHERE freed.client_id = client.id AND freed.is_freed
                   AND freed.bill_date <= %s)
            """,
            run.date or None,
        )

    @api.model
    def _delay_over_sql(self, run, now, waiting):
        """Return the condition that the billing delay is over, or that it is waited for."""
        if run.ignores_delay:
            return SQL("FALSE") if waiting else SQL("TRUE")
        return SQL(
            "(%s <= %s AT TIME ZONE 'UTC') IS %s",
            self._due_at_sql(),
            now,
            SQL("FALSE") if waiting else SQL("TRUE"),
        )

    @api.model
    def _due_at_sql(self):
        """Return the moment at which the bill of a `client` of a `reseller` and `company` is due.

        The delay is for use of a bill's last day: one of an account all of whose days are billed has none.
        """
        delayed = SQL(
            """
            (client.next_bill_date::timestamp
             + CASE WHEN client.state = 'closed' AND client.billed_until >= (
                         SELECT max(COALESCE(row.date_to, 'infinity'))
                           FROM reseller_client_membership row WHERE row.client_id = client.id)
                    THEN 0 ELSE COALESCE(company.reseller_billing_delay, 0) END * interval '1 hour')
            """
        )
        return self._local_sql(delayed)

    @api.model
    def _lock_due_sql(self, run, now, limit):
        """Return the query that locks the next due accounts of a run, skipping locked ones."""
        return SQL(
            "%s ORDER BY client.next_bill_date, client.id LIMIT %s "
            "FOR NO KEY UPDATE OF client SKIP LOCKED",
            self._due_sql(run, now),
            limit,
        )

    def write(self, vals):
        """Override of `base`: billed days of a trial stay free, and others billed."""
        extends = {"trial_until", "trial_extended_on"} & vals.keys()
        trials = self._load_billed_trials() if extends else None
        done = super().write(vals)
        if trials is not None and self._load_billed_trials() != trials:
            self.filtered("billed_until")._raise_billed(self.env._("a longer or shorter trial"))
        return done
