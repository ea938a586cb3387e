from contextlib import contextmanager

from odoo import api, fields, models
from odoo.tools import SQL

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
        buyers = self._get_buyers()
        if buyers:
            buyers._conflict_with_others()
        bought = {
            buyer: join_spans(buyer._get_billed_spans()) for buyer in self if buyer.buys_for_id
        }
        with self._keep_bought_days(what, buyers), super()._guard_billed_days(what):
            yield
        for buyer, spans in bought.items():
            since = buyer.exists() and find_lost(join_spans(buyer._get_billed_spans()), spans)
            if since:
                buyer._make_pending_beneath(since)

    @contextmanager
    def _keep_bought_days(self, what, buyers=None):
        """Refuse, at the end, what takes days of service away that a buyer's bill has (wholesale W9).

        Days that come in are rated by the buyer's next bill, as late use is; those that a manager takes back
        are given back by it. Within another guard of the same accounts nothing is compared: service is
        changed row by row.

        :param what: what changes, in words
        :param buyers: see _get_buyers
        """
        guarded = self.env.cr.precommit.data.setdefault("reseller_billing.bought", set())
        clients = self.filtered(lambda client: client.state != "draft" and client.id not in guarded)
        buyers = clients._get_buyers() if buyers is None else buyers
        billed = buyers.filtered("billed_until").grouped("buys_for_id")
        until = {
            reseller.id: max(accounts.mapped("billed_until"))
            for reseller, accounts in billed.items()
        }
        before = {
            client: client._get_served_until(until[client.reseller_id.id])
            for client in clients
            if client.reseller_id.id in until
        }
        guarded |= set(clients.ids)
        try:
            yield
        finally:
            guarded -= set(clients.ids)
        self.env.flush_all()
        changed = clients.exists()
        changed.invalidate_recordset(["membership_ids"])
        for client in changed.filtered(lambda client: client in before):
            last = until[client.reseller_id.id]
            lost = find_lost(before[client], client._get_served_until(last))
            if not lost:
                continue
            accounts = billed[client.reseller_id]
            if self.env.context.get("reseller_dated_back") is not DATED_BACK:
                accounts._raise_billed(what)
            accounts.filtered(lambda buyer, lost=lost: buyer.billed_until >= lost)._rate_again_from(
                lost
            )
        changed._check_bought()

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

    def _is_other_side_billed(self, until):
        """Return whether what stands against this account's bills is billed up to a day: of a buyer, the papers of all
        clients beneath; of a client, its reseller's bill. Not where no reseller buys.
        """
        self.ensure_one()
        accounts_sudo = self.sudo()  # of whichever seller
        if self.buys_for_id:
            others_sudo = accounts_sudo.buys_for_id.client_ids
            others_sudo = others_sudo.filtered(
                lambda one: (
                    one.state == "active" and min(one.membership_ids.mapped("date_from")) <= until
                )
            )
        else:
            others_sudo = accounts_sudo.reseller_id.buyer_ids.filtered(
                lambda one: one.state != "draft"
            )
            if not others_sudo:
                return False
        return all(one.billed_until and one.billed_until >= until for one in others_sudo)

    def _make_pending_beneath(self, since):
        """Have use of days on which this account buys be looked at again: it did not buy on them before.

        :param date since: the first such day
        """
        self.ensure_one()
        days = self.env["reseller.usage.daily"]
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE reseller_usage_daily SET is_pending = TRUE
                 WHERE id IN (
                    SELECT bucket.id
                      FROM reseller_client buyer
                      %s
                     WHERE buyer.id = %s AND bucket.billing_date >= %s
                       AND bucket.is_pending IS NOT TRUE AND NOT %s
                     ORDER BY bucket.client_id, bucket.feature_id, COALESCE(bucket.level_id, 0),
                              bucket.billing_date
                       FOR NO KEY UPDATE OF bucket)
                """,
                days._bought_sql("buyer"),
                self.id,
                since,
                days._covered_sql(floor=SQL("buyer.id")),
            )
        )
        days.invalidate_model(["is_pending"])

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
                 ELSE EXISTS (SELECT FROM reseller_client buyer %s
                               WHERE buyer.id = client.id AND %s) END
            """,
            super()._has_late_use_sql(),
            days._bought_sql("buyer"),
            days._uncovered_sql(floor=SQL("buyer.id")),
        )
