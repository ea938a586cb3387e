from collections import namedtuple
from decimal import Decimal

from odoo import fields, models
from odoo.tools import SQL

from ... import rating
from ..billing.reseller_rating import Metered
from ..billing.reseller_rating_load import (
    enrolments_sql,
    make_enrolments,
    make_memberships,
    memberships_sql,
)
from ..pricing.scopes import book_sql

# A question and what its answer rests on besides rules and use; feature_id is None where the code is
# unknown, refused_use is "all", "marked" (by its price) or None.
Asked = namedtuple(
    "Asked",
    "metered company_id is_served refuses_unpriced refused_use feature_id aggregation level_id "
    "has_lots prepaid_only refills",
)
# Of what a question rates: little units cost something long before they make a cent.
UNROUNDED = Decimal("1e-12")


class ResellerGate(models.AbstractModel):
    """What is read when systems ask before they deliver: in few queries, for they ask often."""

    _name = "reseller.gate"
    _description = "Reading for Metering Systems That Ask"

    def _load(self, client, code, level):
        """Return what a question about a client and a feature's code rests on, as an Asked.

        :param level: the code of a price level, or None
        """
        self.env.flush_all()
        [row] = self.env.execute_query_dict(
            SQL(
                """
                SELECT client.company_id, client.reseller_id, client.state, %(book)s AS book,
                       client.billing_start, client.trial_until,
                       client.trial_extended_on, reseller.currency_id,
                       COALESCE(client.tz, reseller.tz) AS tz,
                       company.reseller_refuse_unpriced, %(refused)s AS refused_use,
                       feature.id AS feature_id, feature.aggregation, client.prepaid_only,
                       client.refill_by != 'off' AS refills,
                       (SELECT id FROM reseller_feature_level one
                         WHERE one.feature_id = feature.id AND one.code = %(level)s) AS level_id,
                       EXISTS (SELECT FROM reseller_prepaid_lot lot
                                WHERE lot.client_id = client.id AND lot.feature_id = feature.id
                                  AND lot.state = 'open') AS has_lots,
                       %(memberships)s AS memberships,
                       (SELECT %(enrolments)s FROM reseller_client_feature
                         WHERE client_id = client.id AND feature_id = feature.id) AS enrolments
                  FROM reseller_client client
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                  JOIN res_company company ON company.id = client.company_id
                  LEFT JOIN LATERAL (
                       -- A company's own feature goes before a common one with the same code.
                       SELECT id, aggregation FROM reseller_feature one
                        WHERE one.active AND one.code = %(code)s
                          AND COALESCE(one.company_id, client.company_id) = client.company_id
                        ORDER BY one.company_id LIMIT 1
                       ) feature ON TRUE
                 WHERE client.id = %(client)s
                """,
                book=book_sql("client"),
                refused=self.env["reseller.lockout"]._refused_use_sql(),
                code=code,
                level=level,
                client=client.id,
                memberships=memberships_sql(),
                enrolments=enrolments_sql(),
            )
        )
        memberships = make_memberships(row["memberships"])
        account = rating.Account(
            memberships,
            {1: row["reseller_id"], 3: client.id},
            {row["feature_id"]: make_enrolments(row["enrolments"])},
            row["billing_start"],
            (row["trial_extended_on"], row["trial_until"]),
        )
        today = fields.Date.context_today(self.with_context(tz=row["tz"]))
        return Asked(
            Metered(client.id, account, row["currency_id"], today, UNROUNDED, row["book"]),
            row["company_id"],
            row["state"] == "active"
            and any(
                membership.date_from <= today
                and (membership.date_to is None or today <= membership.date_to)
                for membership in memberships
            ),
            bool(row["reseller_refuse_unpriced"]),
            row["refused_use"],
            row["feature_id"],
            row["aggregation"],
            row["level_id"],
            row["has_lots"],
            bool(row["prepaid_only"]),
            row["refills"],
        )

    def _load_state(self, asked):
        """Return (CycleUse, rating.Rule) of the cycle of today; None for what is not there."""
        return self._rate(asked)

    def _load_use_with(self, asked, quantity):
        """Return the CycleUse of today's cycle as it were with a quantity more."""
        more = rating.UsageRow(asked.metered.today, asked.level_id, quantity, True)
        return self._rate(asked, more)[0]

    def _rate(self, asked, more=None):
        """Return (CycleUse, rating.Rule).

        :param more: a rating.UsageRow of today that is taken for granted
        """
        rated = self.env["reseller.rating"]
        features = rated._load_features(
            self.env["res.company"].browse(asked.company_id),
            self.env["reseller.feature"].browse(asked.feature_id),
            clients=[asked.metered.client_id],
        )
        states = rated._rate_states(
            [asked.metered],
            features,
            asked.has_lots,
            more and (lambda _part, _usage: [more]),
        )
        return next(((use, rule) for _cycle, use, rule in states.values()), (None, None))
