from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import rating

THRESHOLDS = {"maximum": (100, 80, 50), "included": (100, 80)}
LIMITED = (
    Domain("max_quantity", ">", 0)
    | Domain("included_quantity", ">", 0)
    | Domain("level_price_ids.included_quantity", ">", 0)
)


class ResellerUsageAlert(models.Model):
    """A client's use has come to a share of its maximum or allotment; each is listed once a cycle.

    Maximums are told by activity and mail, too.
    """

    _name = "reseller.usage.alert"
    _description = "Use Near Its Maximum"
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="cascade"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True)
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    feature_id = fields.Many2one(
        "reseller.feature", required=True, readonly=True, ondelete="cascade"
    )
    kind = fields.Selection(
        [("maximum", "Maximum"), ("included", "Allotment")],
        required=True,
        readonly=True,
        default="maximum",
    )
    cycle_start = fields.Date(required=True, readonly=True)
    cycle_end = fields.Date(required=True, readonly=True)
    threshold = fields.Integer(string="Per Cent", required=True, readonly=True, aggregator="max")
    used = fields.Float(readonly=True, min_display_digits=0, aggregator=None)
    maximum = fields.Float(string="Of", readonly=True, min_display_digits=0, aggregator=None)
    is_blocked = fields.Boolean(
        string="Refused", readonly=True, help="More use is refused to systems that ask."
    )

    _alert_uniq = models.Constraint(
        "UNIQUE (client_id, feature_id, kind, cycle_start, threshold)",
        "This has been told already.",
    )

    @api.depends("client_id", "feature_id", "threshold")
    def _compute_display_name(self):
        for alert in self:
            alert.display_name = self.env._(
                "%(client)s: %(feature)s at %(threshold)s %%",
                client=alert.client_id.display_name,
                feature=alert.feature_id.name,
                threshold=alert.threshold,
            )

    @api.model
    def _cron_check(self):
        """Tell of use that has come to 50, 80 or 100 % of a maximum, list 80 and 100 % of an allotment."""
        limited = self.env["reseller.price.rule"]._read_group(LIMITED, ["company_id"])
        for (company,) in limited:
            self.with_company(company)._check(company)

    def _check(self, company):
        """Make alerts of one company's running cycles, and return them.

        Use that a bill covers has been looked at before.
        """
        features = (
            self.env["reseller.price.rule"]
            .search(Domain("company_id", "=", company.id) & LIMITED)
            .feature_id
        )
        if not features:
            return self
        clients = self._find_using(company, features)
        states = self.env["reseller.rating"]._load_states(clients, features)
        known = set(
            self.env.execute_query(
                SQL(
                    """
                    SELECT client_id, feature_id, kind, cycle_start, threshold
                      FROM reseller_usage_alert WHERE client_id = ANY(%s)
                    """,
                    clients.ids,
                )
            )
        )
        vals_list = []
        for (client, feature), (cycle, use, rule) in states.items():
            for kind, used, limit in self._get_limits(client, use, rule):
                reached = [one for one in THRESHOLDS[kind] if used * 100 >= limit * one]
                vals_list += [
                    {
                        "client_id": client,
                        "feature_id": feature,
                        "kind": kind,
                        "cycle_start": cycle.cycle.start,
                        "cycle_end": cycle.cycle.last,
                        "threshold": one,
                        "used": float(used),
                        "maximum": float(limit),
                        "is_blocked": kind == "maximum" and rule.blocks and used >= limit,
                    }
                    for one in reached
                    if (client, feature, kind, cycle.cycle.start, one) not in known
                ]
        alerts = self.create(vals_list)
        alerts.filtered(lambda alert: alert.kind == "maximum")._tell()
        return alerts

    @api.model
    def _find_using(self, company, features):
        """Return the accounts of a company with use of features that is to be looked at."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT DISTINCT bucket.client_id
                  FROM reseller_usage_daily bucket
                  JOIN reseller_client client ON client.id = bucket.client_id
                 WHERE client.company_id = %s AND client.state = 'active'
                   AND bucket.feature_id = ANY(%s)
                   AND bucket.is_pending
                """,
                company.id,
                features.ids,
            )
        )
        return self.env["reseller.client"].browse([row[0] for row in rows])

    def _get_limits(self, client, use, rule):
        """Return [(kind, used, of)]: against the maximum, and of the free units of all kinds."""
        limits = []
        if rule and rule.maximum:
            limits.append(("maximum", use.used, rule.maximum))
        left = use.get_left(self.env["reseller.client"].browse(client)._today())
        drawn = use.used - use.payable
        if drawn > 0 and rule and rule.terms.has_allotment:
            limits.append(("included", drawn, drawn + left))
        return limits

    def _tell(self):
        """Schedule an activity and send a mail for the highest share of each client and feature."""
        template = self.env.ref("reseller_billing.mail_template_usage_alert")
        for alerts in self.grouped(lambda alert: (alert.client_id, alert.feature_id)).values():
            alert = alerts.sorted("threshold")[-1]
            alert.client_id.activity_schedule(
                "mail.mail_activity_data_todo",
                summary=alert.display_name,
                note=alert._get_text(),
                user_id=(alert.reseller_id.user_id or alert.client_id.create_uid).id,
            )
            if alert.client_id.partner_id.email or alert.reseller_id.partner_id.email:
                template.send_mail(alert.id)

    def _get_text(self):
        """Return the alert in words that a client understands."""
        self.ensure_one()
        words = self.env["res.lang"]._format_exact
        text = self.env._(
            "%(used)s of at most %(maximum)s units of %(feature)s are used in the cycle from "
            "%(first)s to %(last)s.",
            used=words(rating.exact_of(self.used)),
            maximum=words(rating.exact_of(self.maximum)),
            feature=self.feature_id.name,
            first=self.cycle_start,
            last=self.cycle_end,
        )
        if self.is_blocked:
            text += " " + self.env._("More is refused until the cycle ends.")
        return text
