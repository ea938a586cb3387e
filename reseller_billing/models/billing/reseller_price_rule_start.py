from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.misc import format_date

from ... import rating
from ..base.intervals import INTERVAL_UNITS
from ..pricing.scopes import RANKS, matches_sql, scope_of

# So many accounts are rated while somebody fills a form; of more, no amount is said.
MAX_RATED = 50
FEES = ("recurring", "setup")


class ResellerPriceRule(models.Model):
    """What a first price leaves without a price, or brings, by its first day (rating 23)."""

    _inherit = "reseller.price.rule"

    start_text = fields.Text(
        string="What Its First Day Means",
        compute="_compute_start_text",
        help="Of a new price of what had none: the use and the fees of days before it.",
    )

    @api.depends(
        *("feature_id", "company_id", "currency_id", "reseller_id", "group_id", "client_id"),
        *(
            "book",
            "date_from",
            "date_to",
            "bills_past_fees",
            "recurring_fee",
            "fee_timing",
            "setup_fee",
        ),
        *(
            "advance_cycles",
            "interval_count",
            "interval_unit",
            "enrolment",
            "trial_days",
            "proration",
        ),
    )
    def _compute_start_text(self):
        for rule in self:
            # A wholesale price meets what many accounts use together: its bill's preview says more.
            is_new = rule.feature_id and not rule._origin and rule.book == "retail"
            rule.start_text = rule._describe_start() if is_new else False

    def _describe_start(self):
        """Return what the first day of this new price leaves or brings, False where it is nothing."""
        self.ensure_one()
        served = self._load_served_without_price()
        if not served:
            return False
        first = min(served.values())
        today = fields.Date.context_today(self)
        if self.date_from and self.date_from > first:
            units = self._get_unpriced_units(served, None, self.date_from)
            fees = self._get_first_fees(served, first) - self._get_first_fees(served)
            has_fees = fees > 0 and (self.bills_past_fees or not self._find_billed(served, first))
            if units == "0" and not has_fees:
                return False
            sentences = [
                self._describe_served(served, first),
                self.env._(
                    "Before %(day)s, %(units)s units of their use stay without a price.",
                    day=format_date(self.env, self.date_from),
                    units=self._format_units(units),
                ),
            ]
            if has_fees:
                sentences.append(
                    self.env._(
                        "With %(first)s under From they are billed, and fees come to %(fees)s more.",
                        first=format_date(self.env, first),
                        fees=self.currency_id.format(float(fees)),
                    )
                )
        else:
            units = self._get_unpriced_units(served, self.date_from, today)
            fees = self._get_first_fees(served)
            if first >= today or (units == "0" and not fees):
                return False
            sentences = [
                self._describe_served(served, first),
                self.env._(
                    "This price bills %(units)s units of their use before today.",
                    units=self._format_units(units),
                ),
            ]
            if fees > 0:
                sentences.append(
                    self.env._(
                        "Its fees come to %(fees)s until today.",
                        fees=self.currency_id.format(float(fees)),
                    )
                )
        return " ".join(sentences)

    def _find_billed(self, served, first):
        """Return accounts that have billed days from a day on: a price with fees reaches those on request alone
        (rating 23).
        """
        clients_sudo = self.env["reseller.client"].sudo()  # prices are for all, seen or not
        domain = [("id", "in", list(served)), ("billed_until", ">=", first)]
        return clients_sudo.search(domain, limit=1)

    def _format_units(self, text):
        return self.env["res.lang"]._format_exact(Decimal(text))

    def _describe_served(self, served, first):
        return self.env._(
            "Accounts served since %(first)s without a price of %(feature)s: %(count)s.",
            first=format_date(self.env, first),
            feature=self.feature_id.name,
            count=len(served),
        )

    def _load_served_without_price(self):
        """Return {client id: first day of service} of the active clients that this retail price is for, and
        that never had a price of its feature.
        """
        scope = [
            SQL("%s = %s", SQL.identifier(alias, column), record._origin.id)
            for alias, column, record in (
                ("client", "id", self.client_id),
                ("membership", "group_id", self.group_id),
                ("reseller", "id", self.reseller_id),
            )
            if record
        ]
        self.env.flush_all()
        return dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT client.id, min(GREATEST(membership.date_from, client.billing_start))
                      FROM reseller_client client
                      JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                      JOIN reseller_client_membership membership ON membership.client_id = client.id
                     WHERE client.company_id = %(company)s
                       AND client.state = 'active'
                       AND reseller.currency_id = %(currency)s
                       AND %(scope)s
                       AND NOT EXISTS (
                           SELECT FROM reseller_price_rule rule
                            WHERE rule.active
                              AND rule.feature_id = %(feature)s
                              AND rule.company_id = client.company_id
                              AND rule.currency_id = reseller.currency_id
                              AND %(matches)s)
                     GROUP BY client.id
                    """,
                    company=self.company_id.id,
                    currency=self.currency_id.id,
                    scope=SQL(" AND ").join([*scope, SQL("client.buys_for_id IS NULL")]),
                    feature=self.feature_id._origin.id,
                    matches=matches_sql(),
                )
            )
        )

    def _get_unpriced_units(self, served, since, until):
        """Return, as text, the use of this feature that no bill has covered, of days on which this price may
        hold.

        :param served: see _load_served_without_price
        :param date since: the first day, None for ever
        :param date until: the day after the last one
        """
        if self.date_to and since is not None:
            until = min(until, fields.Date.add(self.date_to, days=1))
        buckets = self.env["reseller.usage.daily"]
        rows = self.env.execute_query(
            SQL(
                """
                SELECT trim_scale(sum(used.quantity))::text
                  FROM (SELECT %s AS quantity
                          FROM reseller_usage_daily bucket
                          JOIN reseller_feature feature ON feature.id = bucket.feature_id
                         WHERE bucket.client_id = ANY(%s) AND bucket.feature_id = %s AND %s
                           AND bucket.billing_date < %s
                           AND bucket.billing_date >= COALESCE(%s, '-infinity'::date)
                         GROUP BY bucket.client_id, feature.aggregation) AS used
                """,
                buckets._counted_together_sql(),
                list(served),
                self.feature_id._origin.id,
                buckets._uncovered_sql(),
                until,
                since or None,
            )
        )
        return rows[0][0] or "0"

    def _get_first_fees(self, served, first=None):
        """Return what this price's fees come to until today: of days that are not billed, and with *Bill Past
        Fees* of those that are. Zero where that is not looked at: of many accounts, and where clients are
        enrolled one by one.

        :param served: see _load_served_without_price
        :param date first: the price's first day, in the place of its own
        """
        has_fee = self.recurring_fee or self.setup_fee
        if not has_fee or len(served) > MAX_RATED or self.enrolment != "automatic":
            return Decimal(0)
        scope, record = scope_of(self)
        rule = rating.Rule(
            0,
            self._get_fee_terms(),
            RANKS[scope],
            record._origin.id if record else 0,
            first or self.date_from or None,
            self.date_to or None,
        )
        feature = rating.Feature(self.feature_id._origin.id, (rule,))
        clients_sudo = self.env["reseller.client"].sudo().browse(served)  # as they are billed
        accounts = self.env["reseller.rating"]._load_accounts(clients_sudo)
        total = Decimal(0)
        for client in clients_sudo:
            today = client._today()
            start = client.billed_until and fields.Date.add(client.billed_until, days=1)
            if self.bills_past_fees:
                start = served[client.id]
            bill = rating.Bill(
                today + rating.DAY,
                max(start or served[client.id], served[client.id]),
                today + rating.DAY,
                client.currency_id._get_exact_rounding(),
            )
            part = rating.FeatureBill(accounts[client.id], feature, bill)
            charges, _draws = part.charges(rating.Usage([]), {})
            total += sum(charge.amount for charge in charges if charge.key.kind in FEES)
        return total

    def _get_fee_terms(self):
        """Return the rating.Terms of this price's fees alone."""
        interval = None
        if self.interval_count and self.interval_unit in dict(INTERVAL_UNITS):
            interval = rating.Interval.of(self.interval_count, self.interval_unit)
        return rating.Terms(
            recurring_fee=rating.exact_of(self.recurring_fee),
            in_advance=self.fee_timing == "advance",
            advance_cycles=max(self.advance_cycles, 1),
            interval=interval,
            trial_days=self.trial_days,
            setup_fee=rating.exact_of(self.setup_fee),
            prorated=self.proration == "daily",
        )
