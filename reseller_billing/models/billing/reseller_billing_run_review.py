from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL

from ..base.notice import list_action
from ..base.states import live_sql


class ResellerBillingRun(models.Model):
    """A run as a document: prepared, compared with the last bills, approved, posted."""

    _inherit = "reseller.billing.run"

    is_reviewed = fields.Boolean(
        string="Review Before Posting",
        default=lambda self: (
            self.env.company.reseller_review_runs or self.env.company.reseller_approver_differs
        ),
        help="The run is prepared first: nothing is posted until somebody has approved it.",
    )
    preview_ids = fields.One2many(
        "reseller.statement", "run_id", domain=[("state", "=", "preview")], readonly=True
    )
    preview_count = fields.Integer(string="To Approve", compute="_compute_review")
    outlier_count = fields.Integer(string="Outliers", compute="_compute_review")
    missing_client_ids = fields.Many2many(
        "reseller.client",
        string="Missing",
        compute="_compute_missing_client_ids",
        help="Accounts that were billed one billing cycle ago and are not on this run.",
    )
    missing_count = fields.Integer(compute="_compute_missing_client_ids")
    prepared_by_ids = fields.Many2many(
        "res.users",
        readonly=True,
        copy=False,
        tracking=True,
        help="Everybody who had a part in preparing what is to be approved.",
    )
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False, tracking=True)
    approved_at = fields.Datetime(readonly=True, copy=False)

    def _compute_review(self):
        counts = {
            (run, comparison): count
            for run, comparison, count in self.env["reseller.statement"]._read_group(
                [("run_id", "in", self.ids), ("state", "=", "preview")],
                ["run_id", "comparison"],
                ["__count"],
            )
        }
        for run in self:
            of_run = {key[1]: count for key, count in counts.items() if key[0] == run._origin}
            run.preview_count = sum(of_run.values())
            run.outlier_count = run.preview_count - of_run.get("usual", 0)

    def _compute_missing_client_ids(self):
        for run in self:
            clients = self.env["reseller.client"]
            if run._origin and run.state != "draft":
                self.env.flush_all()
                found = self.env.execute_query(run._missing_sql())
                clients = clients.browse([row[0] for row in found])
            run.missing_client_ids = clients
            run.missing_count = len(clients)

    def _missing_sql(self):
        """Return the query for accounts whose last bill lies one billing cycle back, and no more.

        They should have a bill of this run, and have none, nor are they parked. A last bill that
        came late counts by its run's date.
        """
        return SQL(
            """
            SELECT client.id
              FROM reseller_client client
             CROSS JOIN LATERAL (
                SELECT max(statement.bill_date) AS bill_date,
                       max(COALESCE(run.date, statement.bill_date)) AS run_date
                  FROM reseller_statement statement
                  LEFT JOIN reseller_billing_run run ON run.id = statement.run_id
                 WHERE statement.client_id = client.id
                   AND %(live)s
                   AND statement.kind NOT IN ('manual', 'instant')
                   AND statement.bill_date <= %(date)s) AS last
             CROSS JOIN LATERAL (
                SELECT make_interval(
                    days => CASE row.interval_unit WHEN 'day' THEN row.interval_count
                            WHEN 'week' THEN 7 * row.interval_count ELSE 0 END,
                    months => CASE row.interval_unit WHEN 'month' THEN row.interval_count
                              WHEN 'year' THEN 12 * row.interval_count ELSE 0 END) AS one,
                       row.anchor_date, row.interval_count, row.interval_unit
                  FROM reseller_client_membership row
                 WHERE row.client_id = client.id AND row.date_from <= last.bill_date
                 ORDER BY row.date_from DESC LIMIT 1) AS cycle
             CROSS JOIN LATERAL (
                SELECT min(row.date_from) AS day
                  FROM reseller_client_membership row
                 WHERE row.client_id = client.id AND row.date_from > last.bill_date
                   AND (row.anchor_date, row.interval_count, row.interval_unit)
                       IS DISTINCT FROM
                       (cycle.anchor_date, cycle.interval_count, cycle.interval_unit)) AS change
             WHERE client.company_id = %(company)s AND %(chosen)s
               AND LEAST(last.bill_date + cycle.one, change.day) <= %(date)s
               AND last.run_date + 2 * cycle.one > %(date)s
               AND NOT EXISTS (
                   SELECT FROM reseller_statement statement
                    WHERE statement.run_id = %(run)s AND statement.client_id = client.id)
               AND NOT EXISTS (
                   SELECT FROM reseller_billing_run_line line
                    WHERE line.run_id = %(run)s AND line.client_id = client.id)
             ORDER BY client.id
            """,
            date=self.date,
            company=self.company_id.id,
            chosen=self._chosen_sql(),
            run=self._origin.id,
            live=live_sql("statement"),
        )

    @api.constrains("is_reviewed", "company_id")
    def _check_is_reviewed(self):
        for run in self:
            if run.company_id.reseller_approver_differs and not run.is_reviewed:
                raise ValidationError(
                    self.env._(
                        "%s needs a review: the settings say that a second person approves.",
                        run.name,
                    )
                )

    # Actions

    def action_approve(self):
        """Approve what was prepared: its charges are posted as they are shown.

        :raise UserError: when preparer and approver must differ and do not, or when prices have
            changed since
        """
        self.env["res.users"]._check_billing_manager()
        for run in self:
            if run.state != "prepared":
                raise UserError(self.env._("%s is not prepared: prepare it first.", run.name))
            if run.company_id.reseller_approver_differs and self.env.user in run.prepared_by_ids:
                raise UserError(
                    self.env._(
                        "You prepared %s: somebody else must approve it. The settings say so.",
                        run.name,
                    )
                )
            run.preview_ids._check_prices()
            run._move_to(
                "running", approved_by_id=self.env.user.id, approved_at=fields.Datetime.now()
            )
        self._trigger()

    def action_discard(self):
        """Throw the previews away; the run can be prepared again."""
        self.env["res.users"]._check_billing_manager()
        for run in self.filtered(lambda run: run.state in ("draft", "prepared", "done")):
            run._discard_previews()
            run.parked_line_ids.sudo().unlink()  # outcomes are closed to all users
            run._move_to(
                "done" if run.state == "done" else "draft",
                prepared_by_ids=[fields.Command.clear()],
            )

    def action_view_previews(self):
        """Open what is to be approved, those first that differ from the last bills."""
        self.ensure_one()
        domain = [("run_id", "=", self.id), ("state", "=", "preview")]
        name = self.env._("To Approve")
        action = list_action(
            self.env,
            "reseller_billing.reseller_statement_action",
            name,
            domain,
            search_default_outliers=self.outlier_count,
        )
        review = self.env.ref("reseller_billing.reseller_statement_view_list_review")
        return {**action, "views": [(review.id, "list"), (False, "form")]}

    def action_view_missing(self):
        """Open the accounts that were billed one billing cycle ago and are not on this run."""
        self.ensure_one()
        return list_action(
            self.env,
            "reseller_billing.reseller_client_action",
            self.env._("Missing"),
            [("id", "in", self.missing_client_ids.ids)],
            create=False,
        )

    # Work

    def _discard_previews(self):
        # Statements are closed to all users; the caller has checked the rights.
        self.preview_ids.sudo().unlink()

    def _prepare(self, clients):
        """Make the previews of accounts; they claim nothing."""
        self.env["reseller.statement"]._prepare_review(clients, self)
        self.env.flush_all()

    def _post(self, statements):
        """Turn approved previews into bills, and post their invoices."""
        statements.sudo()._approve(self)  # as above
        self._add_done(statements)

    @api.model
    def _approved_sql(self):
        """Return the query for the approved previews of this run that are not parked."""
        return SQL(
            """
            SELECT statement.id
              FROM reseller_statement statement
              JOIN reseller_client client ON client.id = statement.client_id
             WHERE statement.run_id = %(run)s
               AND statement.state = 'preview'
               AND NOT EXISTS (
                   SELECT FROM reseller_billing_run_line line
                    WHERE line.run_id = %(run)s
                      AND line.client_id = client.id
                      AND line.state = 'parked')
            """,
            run=self.id,
        )
