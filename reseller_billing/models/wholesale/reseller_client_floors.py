from contextlib import contextmanager

from odoo import api, fields, models
from odoo.tools import SQL

from ..client.floors import beneath_sql
from ..client.reseller_client import DATED_BACK


def join_spans(spans):
    """Return spans of days in order, those that follow one another as one.

    :param spans: (first, last), none of which overlap
    """
    found = []
    for first, last in sorted(spans):
        if found and (first - found[-1][1]).days == 1:
            first = found.pop()[0]
        found.append((first, last))
    return found


def find_lost(before, after):
    """Return the first day of some spans that others do not have, or None.

    :param before: [(first, last)], joined and in order
    :param after: as before
    """
    for first, last in before:
        if not any(start <= first and last <= end for start, end in after):
            ends = [end for start, end in after if start <= first <= end]
            return fields.Date.add(ends[0], days=1) if ends else first
    return None


class ResellerClient(models.Model):
    """An account and those above it, which pay for its use as well (wholesale W8, W9)."""

    _inherit = "reseller.client"

    def _get_buyers(self):
        """Return the accounts by which the resellers of these buy, open or closed, as the system."""
        clients_sudo = self.sudo().with_context(active_test=False)  # of every seller, seen or not
        return clients_sudo.search([("buys_for_id", "in", self.reseller_id.ids)])

    @contextmanager
    def _guard_billed_days(self, what):
        """Override of client: nobody changes an account while its buyer is billed, see _keep_bought_days."""
        self._get_buyers()._conflict_with_others()
        bought = {
            buyer: join_spans(buyer._get_billed_spans()) for buyer in self if buyer.buys_for_id
        }
        with self._keep_bought_days(what), super()._guard_billed_days(what):
            yield
        for buyer, spans in bought.items():
            since = buyer.exists() and find_lost(join_spans(buyer._get_billed_spans()), spans)
            if since:
                buyer._make_pending_beneath(since)

    @contextmanager
    def _keep_bought_days(self, what):
        """Refuse, at the end, what takes days of service away that a buyer's bill has (wholesale W9).

        Days that come in are rated by the buyer's next bill, as late use is; those that a manager takes back
        are given back by it. Within another guard of the same accounts nothing is compared: service is
        changed row by row.
        """
        guarded = self.env.cr.precommit.data.setdefault("reseller_billing.bought", set())
        clients = self.filtered(lambda client: client.state != "draft" and client.id not in guarded)
        before = {
            client: (buyers, client._get_served_until(max(buyers.mapped("billed_until"))))
            for client in clients
            if (buyers := client._get_buyers().filtered("billed_until"))
        }
        guarded |= set(clients.ids)
        try:
            yield
        finally:
            guarded -= set(clients.ids)
        self.env.flush_all()
        for client, (buyers, served) in before.items():
            if not client.exists():
                continue
            client.invalidate_recordset(["membership_ids"])
            until = max(buyers.mapped("billed_until"))
            lost = find_lost(served, client._get_served_until(until))
            if not lost:
                continue
            if self.env.context.get("reseller_dated_back") is not DATED_BACK:
                buyers._raise_billed(what)
            buyers.filtered(lambda buyer, lost=lost: buyer.billed_until >= lost)._rate_again_from(
                lost
            )
        clients.exists()._check_bought()

    def _get_last_billed_day(self):
        """Override of client: of its buyer as well (wholesale W9)."""
        days = [super()._get_last_billed_day(), *self._get_buyers().mapped("billed_until")]
        return max(filter(None, days), default=None)

    def write(self, vals):
        """Override of client: rows of service that come with others are changed together."""
        if not {"membership_ids", "billing_start"} & vals.keys():
            return super().write(vals)
        with self._keep_bought_days(self.env._("its service")):
            return super().write(vals)

    def _change_service(self, date, vals):
        """Override of client: as write."""
        with self._keep_bought_days(self.env._("its service")):
            return super()._change_service(date, vals)

    def _get_served_until(self, until):
        """Return [(first, last)] of the days on which this account is served here up to a day, joined."""
        self.ensure_one()
        return join_spans(
            (first, min(last, until)) for first, last in self._get_billed_spans() if first <= until
        )

    def _get_beneath_ids(self):
        """Return the ids of the accounts whose use this one pays for, its own among them."""
        self.ensure_one()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT beneath.id FROM reseller_client buyer
                 CROSS JOIN LATERAL (%s) AS beneath WHERE buyer.id = %s
                """,
                beneath_sql("buyer"),
                self.id,
            )
        )
        return [number for (number,) in rows]

    def _make_pending_beneath(self, since):
        """Have use of days on which these accounts buy be looked at again: they did not buy on them before.

        :param date since: the first such day
        """
        for buyer in self:
            self.env.flush_all()
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE reseller_usage_daily SET is_pending = TRUE
                     WHERE id IN (
                        SELECT bucket.id
                          FROM reseller_usage_daily bucket
                          JOIN reseller_client_membership bought
                            ON bought.client_id = %(buyer)s
                           AND bucket.billing_date BETWEEN bought.date_from
                               AND COALESCE(bought.date_to, 'infinity')
                         WHERE bucket.client_id = ANY(%(clients)s)
                           AND bucket.billing_date >= %(since)s
                           AND bucket.is_pending IS NOT TRUE
                           AND NOT %(covered)s
                         ORDER BY bucket.client_id, feature_id, COALESCE(level_id, 0), billing_date
                           FOR NO KEY UPDATE OF bucket)
                    """,
                    buyer=buyer.id,
                    since=since,
                    clients=buyer._get_beneath_ids(),
                    covered=self.env["reseller.usage.daily"]._covered_sql(
                        floor=SQL("%s", buyer.id)
                    ),
                )
            )
        self.env["reseller.usage.daily"].invalidate_model(["is_pending"])

    # When bills are due

    @api.model
    def _local_sql(self, moment):
        """Override of billing: for a buyer, once it has come for every account beneath (wholesale W9)."""
        return SQL(
            """
            GREATEST(%s, CASE WHEN client.buys_for_id IS NOT NULL THEN (
                SELECT max(%s AT TIME ZONE COALESCE(beneath.tz, seller.tz))
                  FROM reseller_client beneath
                  JOIN reseller_reseller seller ON seller.id = beneath.reseller_id
                 WHERE beneath.reseller_id = client.buys_for_id AND beneath.state != 'draft') END)
            """,
            super()._local_sql(moment),
            moment,
        )

    @api.model
    def _has_late_use_sql(self):
        """Override of billing: for a buyer, use of the accounts beneath."""
        days = self.env["reseller.usage.daily"]
        return SQL(
            """
            CASE WHEN client.buys_for_id IS NULL THEN %s
                 ELSE EXISTS (
                    SELECT FROM (%s) AS beneath
                      JOIN reseller_usage_daily bucket ON bucket.client_id = beneath.id
                      %s
                     WHERE %s) END
            """,
            super()._has_late_use_sql(),
            beneath_sql("client"),
            days._served_sql("client"),
            days._uncovered_sql(floor=SQL("client.id")),
        )
