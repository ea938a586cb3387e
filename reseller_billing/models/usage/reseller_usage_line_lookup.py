from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL

from ..client.floors import billed_until_sql
from .reseller_usage_line import KEYED, _is_key

# Of a context: the caller keeps the accounts as they are, or but looks; none from outside can say so.
HELD = object()


class ResellerUsageLine(models.Model):
    """What events name, looked up and kept as it is until they are stored."""

    _inherit = "reseller.usage.line"

    @api.model
    def _rejected_from_sql(self):
        """Hook: return an expression for the moment from which events of `client` are rejected."""
        return SQL("NULL::timestamp")

    def _load_codes(self, events, company):
        """Return what the events' codes stand for: clients, features and levels."""
        objects = [event for event in events if type(event) is dict]
        refs, codes = (_collect_keys(objects, name) for name in ("client", "feature"))
        key_sudo = self.env["reseller.usage.key"]._get_current()
        self.env.flush_all()
        named = SQL(
            "client.company_id = %s AND (client.ref = ANY(%s) OR client.former_ref = ANY(%s)) AND %s",
            company.id,
            list(refs),
            list(refs),
            key_sudo._clients_sql(),
        )
        clients = self._load_held_accounts(refs, named)
        # A company's own feature goes before a common one with the same code.
        features = dict(
            self.env.execute_query(
                SQL(
                    """
                    SELECT code, id FROM reseller_feature
                     WHERE active AND COALESCE(company_id, %s) = %s AND code = ANY(%s)
                     ORDER BY company_id NULLS FIRST
                    """,
                    company.id,
                    company.id,
                    list(codes),
                )
            )
        )
        features = {
            code: feature for code, feature in features.items() if key_sudo._allows_feature(feature)
        }
        levels = {
            (feature, code): level
            for feature, code, level in self.env.execute_query(
                SQL(
                    "SELECT feature_id, code, id FROM reseller_feature_level WHERE feature_id = ANY(%s)",
                    list(features.values()),
                )
            )
        }
        return clients, features, levels

    def _load_held_accounts(self, refs, named):
        """Return {reference: accounts that have borne it}, whose days of service stay as they are until this
        transaction ends.

        Who changes them (closing, moving, another time zone) takes a turn. A transaction with one snapshot
        would not see what it has waited for: its lock fails where they have changed.

        :param refs: references, present and former
        :param named: the condition on `client` that it bears one of them
        """
        held = set()
        while True:
            if self.env.context.get("reseller_held") is not HELD:
                rows = self.env.execute_query(
                    SQL(
                        """
                        SELECT turn.client_id
                          FROM reseller_client client
                          JOIN reseller_client_turn turn ON turn.client_id = client.id
                         WHERE turn.kind = 'service' AND %s
                         ORDER BY turn.client_id FOR SHARE OF turn
                        """,
                        named,
                    )
                )
                held |= {number for (number,) in rows}
            clients = self._load_accounts(refs, named)
            numbers = {account[0] for accounts in clients.values() for account in accounts}
            if numbers <= held or self.env.context.get("reseller_held") is HELD:
                return clients
            # What was waited for may have given a reference to another account, or one came by a way of
            # its own and has no turn yet.
            self.env["reseller.client"].browse(numbers - held)._make_turns("service")

    def _load_accounts(self, refs, named):
        """See _load_held_accounts: accounts as (id, zone, [(first day, last day)], last billed day, first
        day that is billed here, moment from which events are rejected).
        """
        clients = {}
        for (
            ref,
            former,
            moved,
            client_id,
            tz,
            until,
            starts,
            locked_at,
            firsts,
            lasts,
        ) in self.env.execute_query(
            SQL(
                """
                SELECT client.ref, client.former_ref, client.former_until, client.id,
                       COALESCE(client.tz, reseller.tz), %s, client.billing_start, %s,
                       array_agg(membership.date_from), array_agg(membership.date_to)
                  FROM reseller_client client
                  JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
                  JOIN reseller_client_membership membership ON membership.client_id = client.id
                 WHERE client.state != 'draft' AND %s
                 GROUP BY client.id, reseller.tz
                 ORDER BY client.former_ref IS NULL, client.id
                """,
                billed_until_sql("client"),
                self._rejected_from_sql(),
                named,
            )
        ):
            service = list(zip(firsts, lasts, strict=True))
            rest = (until, starts, locked_at)
            # The account that bears a reference now comes last: its days give the reasons.
            if ref in refs:
                clients.setdefault(ref, []).append((client_id, tz, service, *rest))
            if former in refs:
                # Served again, it is so by its own reference: the former one is another's.
                before = [
                    (first, min(last or moved, moved)) for first, last in service if first <= moved
                ]
                clients.setdefault(former, []).append((client_id, tz, before, *rest))
        return clients

    def _load_corrected(self, events, company, intake):
        """Return {(source, id): [client, feature, level, day, left, ids]} of events that others
        correct: what their corrections have left of their quantity, and the ids of corrections that
        are counted off it.

        None where no event corrects another.

        :param intake: of which events that came before are corrected as well
        """
        correcting = [event for event in events if type(event) is dict and event.get("corrects")]
        if not correcting:
            return None
        self._lay_down(intake)
        keys = {
            (event.get("source"), event["corrects"])
            for event in correcting
            if _is_key(event.get("source")) and _is_key(event["corrects"])
        }
        wanted = SQL(
            "unnest(%s::varchar[], %s::varchar[]) AS wanted (source, external_id)",
            [source for source, _number in keys],
            [number for _source, number in keys],
        )
        if self.env.context.get("reseller_held") is not HELD:
            # A statement of its own: what is read then is what those before have left.
            self.env.cr.execute(
                SQL(
                    """
                    SELECT FROM %s
                      JOIN reseller_usage_line line USING (source, external_id)
                     WHERE line.company_id = %s AND %s
                     ORDER BY line.id FOR NO KEY UPDATE OF line
                    """,
                    wanted,
                    company.id,
                    KEYED,
                )
            )
        return {
            (source, number): [*row, max(Decimal(left), Decimal(0)), set(ids)]
            for source, number, *row, left, ids in self.env.execute_query(
                SQL(
                    """
                    WITH stored AS (
                        SELECT line.source, line.external_id, line.client_id, line.feature_id,
                               line.level_id, line.billing_date, line.quantity, line.voided_at
                          FROM %(wanted)s
                          JOIN reseller_usage_line line USING (source, external_id)
                         WHERE line.company_id = %(company)s AND %(keyed)s
                    ), fresh AS (
                        -- What is staged and is not stored yet, of these events and their corrections.
                        SELECT DISTINCT ON (batch.source, batch.external_id) batch.*
                          FROM (SELECT batch.*
                                  FROM (SELECT * FROM %(wanted)s) AS wanted
                                  JOIN reseller_usage_batch batch USING (source, external_id)
                                 UNION ALL
                                SELECT batch.*
                                  FROM (SELECT * FROM %(wanted)s) AS wanted
                                  JOIN reseller_usage_batch batch
                                    ON batch.source = wanted.source
                                   AND batch.corrects = wanted.external_id) AS batch
                         WHERE NOT EXISTS (SELECT FROM reseller_usage_line line
                                            WHERE line.company_id = %(company)s
                                              AND line.source = batch.source
                                              AND line.external_id = batch.external_id
                                              AND %(keyed)s)
                         ORDER BY batch.source, batch.external_id, batch.position
                    ), known AS (
                        SELECT source, external_id, client_id, feature_id, level_id, billing_date,
                               quantity
                          FROM stored WHERE voided_at IS NULL
                         UNION ALL
                        SELECT source, external_id, client_id, feature_id, level_id, billing_date,
                               quantity
                          FROM fresh
                    ), made AS (
                        SELECT source, corrects, sum(quantity) AS quantity,
                               array_agg(external_id) AS ids
                          FROM (SELECT line.source, line.corrects, line.external_id, line.quantity
                                  FROM (SELECT * FROM %(wanted)s) AS wanted
                                  JOIN reseller_usage_line line
                                    ON line.company_id = %(company)s
                                   AND line.source = wanted.source
                                   AND line.corrects = wanted.external_id
                                   AND line.voided_at IS NULL
                                 UNION ALL
                                SELECT source, corrects, external_id, quantity FROM fresh
                                 WHERE corrects IS NOT NULL) AS corrections
                         GROUP BY source, corrects
                    )
                    SELECT known.source, known.external_id, known.client_id, known.feature_id,
                           known.level_id, known.billing_date,
                           (known.quantity + COALESCE(made.quantity, 0))::text,
                           COALESCE(made.ids, '{}')
                      FROM known
                      LEFT JOIN made
                        ON made.source = known.source AND made.corrects = known.external_id
                    """,
                    wanted=wanted,
                    company=company.id,
                    keyed=KEYED,
                )
            )
        }


def _collect_keys(events, name):
    """Return the values of a part of events that may be keys, see _is_key."""
    try:
        found = {event.get(name) for event in events}
    except TypeError:  # one has no place in a set
        found = {event.get(name) for event in events if type(event.get(name)) is str}
    return {value for value in found if _is_key(value)}
