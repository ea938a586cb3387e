from markupsafe import Markup
from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.misc import format_date, format_datetime


class ResellerBillingRun(models.Model):
    """What a run waits for, what it says where nothing is due, and the accounts that are."""

    _inherit = "reseller.billing.run"

    waiting_text = fields.Text(
        string="Not Due Yet",
        compute="_compute_waiting_text",
        help="Accounts whose bill date has come, and which wait until the billing delay is over.",
    )

    nothing_due_text = fields.Text(string="Nothing Is Due", compute="_compute_nothing_due_text")

    @api.depends("date", "company_id", "state", "ignores_delay", "client_ids")
    def _compute_waiting_text(self):
        for run in self:
            count, rows = run._load_waiting()
            names = [
                self.env._(
                    "%(client)s on %(moment)s (%(zone)s)",
                    client=client.display_name,
                    moment=format_datetime(
                        self.env, moment, tz=client._get_tz(), dt_format="short"
                    ),
                    zone=client._get_tz(),
                )
                for client, moment in rows
            ]
            if count > len(rows):
                names.append(self.env._("and %s more", count - len(rows)))
            text = self.env._(
                "Not due yet, since bills wait %(hours)s hours for late use: %(accounts)s",
                hours=run.company_id.sudo().reseller_billing_delay,  # whoever bills is told
                accounts=", ".join(names),
            )
            run.waiting_text = text if count else False

    @api.depends("done_count", "parked_count", "remaining_count", "waiting_text")
    def _compute_nothing_due_text(self):
        clients = self.env["reseller.client"]
        for run in self:
            run.nothing_due_text = False
            if run.done_count or run.parked_count or run.remaining_count or run.waiting_text:
                continue
            domain = [("company_id", "=", run.company_id.id), ("state", "=", "active")]
            domain.append(("next_bill_date", "!=", False))
            if chosen := run._get_chosen():
                domain.append(("id", "in", chosen._origin.ids))
            following = clients.search(domain, order="next_bill_date, id", limit=1)
            if not following:
                text = self.env._("No account is active: activate a client, then it is billed.")
            else:
                text = self.env._(
                    "No account is due by %(date)s. The next bill is that of %(client)s, on %(day)s.",
                    date=format_date(self.env, run.date),
                    client=following.display_name,
                    day=format_date(self.env, following.next_bill_date),
                )
            run.nothing_due_text = text

    def _load_waiting(self, limit=3):
        """Return how many accounts wait for the delay, and the first of them as (client, moment UTC)."""
        self.ensure_one()
        self.env.flush_all()
        clients = self.env["reseller.client"]
        waiting = clients._due_sql(self, fields.Datetime.now(), waiting=True)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT client.id, %s AT TIME ZONE 'UTC' AS due_at, count(*) OVER ()
                  FROM reseller_client client
                  JOIN res_company company ON company.id = client.company_id
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                 WHERE client.id IN (%s)
                 ORDER BY due_at, client.id
                 LIMIT %s
                """,
                clients._due_at_sql(),
                waiting,
                limit,
            )
        )
        found = [(clients.browse(number), due_at) for number, due_at, _count in rows]
        return (rows[0][2] if rows else 0), found

    # Actions

    def action_view_waiting(self):
        """Open the accounts whose bill date has come, and which wait until the billing delay is over."""
        self.ensure_one()
        query = self.env["reseller.client"]._due_sql(self, fields.Datetime.now(), waiting=True)
        return self._view_clients(self.env._("Not Due Yet"), query)

    @api.model
    def action_view_due(self):
        """Open the accounts that runs of today would bill, of the companies that the user works in."""
        runs = self._get_runs_of_today()
        clients, now = self.env["reseller.client"], fields.Datetime.now()
        query = SQL(" UNION ALL ").join(clients._due_sql(run, now) for run in runs)
        return self._view_clients(self.env._("Accounts Due"), query)

    @api.model
    def _get_runs_of_today(self):
        """Return a run of today for each company that the user works in; none is stored."""
        today = fields.Date.context_today(self)
        return [
            self.new({"company_id": company.id, "date": today}) for company in self.env.companies
        ]

    @api.model
    def _view_clients(self, name, query):
        """Return the action that opens accounts, by their next bill date.

        :param query: selects their ids
        """
        self.check_access("read")
        self.env.flush_all()
        ids = [number for (number,) in self.env.execute_query(query)]
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": "reseller.client",
            "view_mode": "list,form",
            "views": [
                (self.env.ref("reseller_billing.reseller_client_view_list_due").id, "list"),
                (False, "form"),
            ],
            "domain": [("id", "in", ids)],
            "context": {"create": False},
            "help": Markup("<p class='o_view_nocontent_smiling_face'>%s</p><p>%s</p>")
            % (
                self.env._("No bill waits here"),
                self.env._("Accounts are listed once their bill dates have come in their zones."),
            ),
        }
