import logging
from functools import partial

import psycopg2
from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, retrying
from odoo.tools import SQL

from ..base.states import LIVE

_logger = logging.getLogger(__name__)
BATCH = 100
WORKING = ("preparing", "running")
# What only billing itself may write, and what stays once a run is under way.
OWNED = {"state", "prepared_by_ids", "approved_by_id", "approved_at"}
TERMS = {"company_id", "date", "is_reviewed", "client_ids"}


class ResellerBillingRun(models.Model):
    _name = "reseller.billing.run"
    _description = "Billing Run"
    _inherit = ["mail.thread", "mail.activity.mixin", "reseller.work.mixin"]
    _work_cron = "reseller_billing.ir_cron_billing_run"
    _order = "date desc, id desc"
    _check_company_auto = True

    name = fields.Char(compute="_compute_name", store=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    date = fields.Date(
        string="Invoice Date",
        required=True,
        default=fields.Date.context_today,
        help="The date of the invoices. Accounts whose bill is due by this date are billed.",
    )
    state = fields.Selection(
        [
            ("draft", "New"),
            ("preparing", "Preparing"),
            ("prepared", "To Approve"),
            ("running", "Running"),
            ("done", "Done"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
        index=True,
    )
    line_ids = fields.One2many("reseller.billing.run.line", "run_id", readonly=True)
    parked_line_ids = fields.One2many(
        "reseller.billing.run.line", "run_id", domain=[("state", "=", "parked")], readonly=True
    )
    statement_ids = fields.One2many("reseller.statement", "run_id", readonly=True)

    ignores_delay = fields.Boolean(
        string="Without the Delay",
        readonly=True,
        copy=False,
        help="Accounts are billed as soon as their bill date has come: use that comes in later is "
        "on the next bill, as an adjustment.",
    )
    client_ids = fields.Many2many(
        "reseller.client",
        string="Only These Accounts",
        # Without them the run would bill all.
        ondelete="restrict",
        check_company=True,
        help="Of these the run bills who is due. Empty: of all.",
    )
    # Progress
    done_count = fields.Integer(string="Billed", compute="_compute_counts")
    parked_count = fields.Integer(string="Parked", compute="_compute_counts")
    remaining_count = fields.Integer(string="Still Due", compute="_compute_counts")
    invoice_count = fields.Integer(string="Invoices", compute="_compute_counts")
    progress = fields.Float(compute="_compute_counts", help="Per cent of the due accounts.")

    @api.depends("date", "company_id", "client_ids")
    def _compute_name(self):
        for run in self:
            chosen = run._get_chosen()
            if chosen:
                run.name = self.env._(
                    "Billing run of %(date)s (%(count)s chosen)",
                    date=run.date,
                    count=len(chosen),
                )
            else:
                run.name = self.env._("Billing run of %s", run.date)

    @api.depends("date", "company_id", "state", "line_ids.state", "client_ids")
    def _compute_counts(self):
        counts = {}
        for run, state, count in self.env["reseller.billing.run.line"]._read_group(
            [("run_id", "in", self.ids)], ["run_id", "state"], ["__count"]
        ):
            counts[run.id, state] = count
        invoices = dict(
            self.env["reseller.statement"]._read_group(
                [("run_id", "in", self.ids), ("invoice_id", "!=", False)], ["run_id"], ["__count"]
            )
        )
        for run in self:
            run.done_count = counts.get((run._origin.id, "done"), 0)
            run.parked_count = counts.get((run._origin.id, "parked"), 0)
            run.invoice_count = invoices.get(run._origin, 0)
            # A new run shows what it would bill, also before it is saved.
            run.remaining_count = run._count_due()
            total = run.done_count + run.parked_count + run.remaining_count
            run.progress = 100.0 * (total - run.remaining_count) / total if total else 0.0

    def _get_chosen(self):
        """Return the accounts that this run bills alone, as the system; none where it bills all."""
        self.ensure_one()
        return self.sudo().client_ids  # also those that the user does not see: it bills no others

    def _chosen_sql(self):
        """Return the condition that a `client` is one that this run bills, if it is due."""
        chosen = self._get_chosen()
        return SQL("client.id = ANY(%s)", chosen._origin.ids) if chosen else SQL("TRUE")

    def _get_bills_domain(self):
        """Return the domain of the statements of these runs that are bills and say something."""
        return [
            ("run_id", "in", self.ids),
            ("state", "in", LIVE),
            ("charge_ids", "!=", False),
        ]

    def _count_due(self):
        """Return how many accounts are due and not parked by this run."""
        self.ensure_one()
        self.env.flush_all()
        query = self.env["reseller.client"]._due_sql(self, fields.Datetime.now())
        [(count,)] = self.env.execute_query(SQL("SELECT count(*) FROM (%s) AS due", query))
        return count

    @api.model_create_multi
    def create(self, vals_list):
        self._check_owned({name for vals in vals_list for name in vals})
        return super().create(vals_list)

    def write(self, vals):
        self._check_owned(vals.keys())
        if TERMS & vals.keys():
            for run in self:
                if run.state != "draft" or run.preview_ids:
                    raise UserError(
                        self.env._("%s is under way: discard what is prepared first.", run.name)
                    )
        return super().write(vals)

    def _check_owned(self, names):
        owned = OWNED & names
        if owned and not self.env.su:
            raise UserError(
                self.env._("Billing itself keeps these values: %s.", ", ".join(sorted(owned)))
            )

    def _move_to(self, state, **values):
        if state in WORKING:
            self.company_id._conflict_with_prices()
        # Users move runs by the actions only, whose rights are checked there.
        self.sudo().write({"state": state, **values})

    def _move_to_preparing(self):
        """Prepare a run: what was approved before says nothing of the previews to come."""
        before = self.prepared_by_ids.ids if self.preview_ids else []
        self._move_to(
            "preparing",
            prepared_by_ids=[fields.Command.set([*before, self.env.user.id])],
            approved_by_id=False,
            approved_at=False,
        )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        if self.statement_ids.filtered(lambda statement: statement.state != "preview"):
            raise UserError(self.env._("A run that has billed is history and stays."))
        self._discard_previews()

    # Actions

    def action_start(self):
        """Set the run going: the scheduled action bills the due accounts, batch by batch.

        One that is reviewed is prepared only: nothing is claimed or posted until it is approved.
        """
        self._start()

    def _start(self, ignores_delay=False):
        self.env["res.users"]._check_billing_manager()
        for run in self:
            # Use that has come for closed accounts is billed by this run, not after the next night's look.
            self.env["reseller.usage.daily"]._expect_bills(run.company_id, run.date)
            if run.state in WORKING:
                raise UserError(self.env._("%s is running already.", run.name))
            if run.is_reviewed and run.state == "prepared":
                raise UserError(
                    self.env._("%s is prepared: approve it, or discard the previews.", run.name)
                )
            # The settings may have changed since the run was made.
            run._check_is_reviewed()
            run.sudo().ignores_delay = ignores_delay  # as _move_to
            if run.is_reviewed:
                run._move_to_preparing()
            else:
                run._move_to("running")
        self._trigger()

    def action_bill_now(self):
        """Bill also the accounts that wait for the billing delay, as action_start does."""
        self._start(ignores_delay=True)

    def action_retry_parked(self):
        """Try the parked accounts again, once what kept them is mended."""
        self.env["res.users"]._check_billing_manager()
        for run in self:
            unprepared = run.parked_line_ids.client_id - run.preview_ids.client_id
            run.parked_line_ids.sudo().unlink()  # outcomes are closed to all users
            if run.is_reviewed and unprepared:
                run._move_to_preparing()
            elif run.is_reviewed and not run.approved_at:
                run._move_to("prepared")
            else:
                run.preview_ids._check_prices()
                run._move_to("running")
        self._trigger()

    def action_stop(self):
        """Stop a run after the batch at work; starting it again goes on from there."""
        self.env["res.users"]._check_billing_manager()
        for run in self.filtered(lambda run: run.state in WORKING):
            run._move_to("prepared" if run.is_reviewed and run.state == "running" else "draft")

    def action_view_statements(self):
        """Open the statements of this run."""
        self.ensure_one()
        return self.env["reseller.statement"]._get_list_action([("run_id", "=", self.id)])

    def action_view_invoices(self):
        """Open the invoices of this run."""
        self.ensure_one()
        return self.env["account.move"]._get_bills_action(
            [("reseller_statement_id.run_id", "=", self.id)]
        )

    # Work

    @api.model
    def _cron_process(self):
        """Bill the due accounts of running runs, one batch a transaction."""
        self._cron_work()

    @api.model
    def _find_work(self):
        """Override of the mixin: runs that are at work."""
        runs = self.search([("state", "in", WORKING)], order="id")
        return [run.with_company(run.company_id) for run in runs]

    def _iterate_work(self):
        """Override of the mixin: accounts, or previews, batch by batch until somebody stops the run."""
        while self.state in WORKING:
            done, remaining = retrying(partial(self._do_batch, self._get_batch_size()), self.env)
            yield done or None, remaining

    @api.model
    def _get_batch_size(self):
        """Return how many accounts are billed in one transaction."""
        return self._read_batch_size("reseller_billing.run_batch", BATCH)

    def _process_batch(self, limit=BATCH):
        """Bill one batch of due accounts, without commit, see _do_batch.

        :return int: how many due accounts remain
        """
        return self._do_batch(limit)[1]

    def _do_batch(self, limit):
        """Bill one batch of due accounts, without commit.

        The accounts are locked first; those that another process holds are left to it. The batch is
        one savepoint: if it fails, it is repeated account by account, and an account that fails is
        parked with its reason. A serialization failure is raised again, for the caller to repeat.

        :return: (how many accounts were worked on, how many that are due remain)
        """
        self.ensure_one()
        self.env.flush_all()
        # Of tables that grow as it bills, the planner's guesses have PostgreSQL compile for seconds what runs for
        # milliseconds.
        self.env.cr.execute("SET LOCAL jit = off")
        rows = self.env.execute_query(self._lock_batch_sql(limit))
        self.env["res.users"]._check_billing_manager()
        if self.state == "running" and self.is_reviewed:
            self._work(self.env["reseller.statement"].browse([row[0] for row in rows]), self._post)
        else:
            clients = self.env["reseller.client"].browse([row[0] for row in rows])
            self._work(clients, self._prepare if self.state == "preparing" else self._bill)
        remaining = self._count_remaining()
        if not remaining and self.state in WORKING:
            # Nothing is done where nothing was billed, and somebody has to mend what is parked.
            stuck = self.parked_line_ids and not self.done_count
            over = "draft" if stuck else "done"
            self._move_to("prepared" if self.state == "preparing" else over)
        return len(rows), remaining

    def _lock_batch_sql(self, limit):
        """Return the query that locks the next batch: accounts, or previews that are approved."""
        if self.state == "running" and self.is_reviewed:
            return SQL(
                "%s ORDER BY client.next_bill_date, client.id LIMIT %s "
                "FOR NO KEY UPDATE OF client SKIP LOCKED",
                self._approved_sql(),
                limit,
            )
        return self.env["reseller.client"]._lock_due_sql(self, fields.Datetime.now(), limit)

    def _count_remaining(self):
        """Return how many accounts are left to work on, parked ones aside."""
        self.ensure_one()
        if not (self.state == "running" and self.is_reviewed):
            return self._count_due()
        self.env.flush_all()
        [(count,)] = self.env.execute_query(
            SQL("SELECT count(*) FROM (%s) AS approved", self._approved_sql())
        )
        return count

    def _work(self, records, method):
        """Do a batch, and if it fails one by one: what fails is parked with its reason."""
        if records and not self._try_batch(records, method):
            for record in records:
                self._try_one(record, method)

    def _try_batch(self, records, method):
        try:
            with self.env.cr.savepoint():
                method(records)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except Exception:
            _logger.info(
                "Batch of %s accounts failed; trying one by one", len(records), exc_info=True
            )
            return False
        return True

    def _try_one(self, record, method):
        client = record if record._name == "reseller.client" else record.client_id
        try:
            with self.env.cr.savepoint():
                method(record)
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            raise
        except UserError as error:
            self._park(client, str(error))
        except Exception as error:
            _logger.exception("Billing of account %s failed", client.id)
            reason = error.diag.message_primary if isinstance(error, psycopg2.Error) else str(error)
            self._park(client, self.env._("Unexpected error: %s", reason))

    def _bill(self, clients):
        statements = self.env["reseller.statement"]._bill(clients, self)
        self._add_done(statements)

    def _add_done(self, statements):
        # Outcomes are closed to all users.
        self.env["reseller.billing.run.line"].sudo().create(
            [
                {
                    "run_id": self.id,
                    "client_id": statement.client_id.id,
                    "bill_date": statement.bill_date,
                    "state": "done",
                    "statement_id": statement.id,
                }
                for statement in statements
            ]
        )
        # Wakes constraints that are checked at commit now, while the account can still be parked.
        self.env.flush_all()

    def _park(self, client, reason):
        # Outcomes are closed to all users.
        self.env["reseller.billing.run.line"].sudo().create(
            {
                "run_id": self.id,
                "client_id": client.id,
                "bill_date": client._get_freed_statements()[:1].bill_date or client.next_bill_date,
                "state": "parked",
                "reason": reason,
            }
        )
