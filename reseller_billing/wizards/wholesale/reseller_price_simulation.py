from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from ... import rating
from ...models.base.states import live_sql


class ResellerPriceSimulation(models.TransientModel):
    """What new prices leave to resellers that buy (wholesale W16)."""

    _inherit = "reseller.price.simulation"

    has_margin = fields.Boolean(compute="_compute_has_margin")

    @api.depends("line_ids.has_margin")
    def _compute_has_margin(self):
        for wizard in self:
            wizard.has_margin = any(wizard.line_ids.mapped("has_margin"))

    def _prepare_lines(self, clients=None):
        """Override of billing: of clients of resellers that buy, less what they cost; of these, what their clients
        are asked, less it. As priced, on both sides; see _load_other_side.
        """
        rows = super()._prepare_lines(clients)
        accounts = self.env["reseller.client"]
        lines = {accounts.browse(row["client_id"]): row for row in rows}
        for book, of_book in accounts.union(*lines).grouped("book").items():
            drafts = self.draft_ids.filtered(lambda draft, book=book: draft.book == book)
            periods = {
                client: made
                for client, made in self._find_periods(drafts, of_book).items()
                if client._is_other_side_billed(made[-1].period_end)
            }
            others = self._load_other_side(periods, drafts.feature_id, book)
            for client in periods:
                line, other = lines[client], others.get(client.id, Decimal(0))
                other = float(rating.round_to(other, client.currency_id._get_exact_rounding()))
                line["has_margin"] = True
                for name in ("old", "new"):
                    own = line[f"{name}_amount"]
                    margin = own - other if book == "retail" else other - own
                    line[f"{name}_margin"] = client.currency_id.round(margin)
        return rows

    def _load_other_side(self, periods, features, book):
        """Return {client id: Decimal} of features in the replayed periods: what clients cost; of buyers, what clients
        beneath are asked.

        Of a charge whose days lie in the periods in part, the part of its use that does; of its days, where there
        is no use.

        :param periods: {client: statements}, see _find_periods
        """
        if not periods:
            return {}
        self.env.flush_all()
        if book == "retail":
            amounts = SQL(
                """
                SELECT period.client_id, share.client_id AS user_id, share.amount, charge.*
                  FROM period
                  JOIN reseller_charge_share share ON share.client_id = period.client_id
                  JOIN reseller_statement sharing ON sharing.id = share.statement_id AND %s
                  JOIN charge ON charge.id = share.charge_id
                """,
                live_sql("sharing"),
            )
        else:
            amounts = SQL(
                """
                SELECT period.client_id, charge.payer_id AS user_id, charge.whole AS amount, charge.*
                  FROM period
                  JOIN reseller_client buyer ON buyer.id = period.client_id
                  JOIN charge ON charge.seller_id = buyer.buys_for_id
                 WHERE charge.book = 'retail' AND charge.is_paper
                """
            )
        rows = self.env.execute_query(
            SQL(
                """
                WITH period AS (
                    SELECT * FROM unnest(%(clients)s::int[], %(since)s::date[], %(until)s::date[])
                           AS period (client_id, since, until)
                ), charge AS (
                    SELECT charge.id, charge.client_id AS payer_id, charge.reseller_id AS seller_id,
                           charge.book, charge.is_paper, charge.amount AS whole, charge.feature_id,
                           charge.date_from, charge.date_to
                      FROM reseller_charge charge
                      JOIN reseller_statement statement ON statement.id = charge.statement_id
                     WHERE charge.feature_id = ANY(%(features)s) AND %(live)s
                ), fact AS (
                    %(amounts)s
                )
                SELECT fact.client_id,
                       sum(fact.amount * CASE
                           WHEN fact.date_from >= period.since AND fact.date_to <= period.until THEN 1
                           ELSE COALESCE(used.part, (
                                LEAST(fact.date_to, period.until)
                                - GREATEST(fact.date_from, period.since) + 1)::numeric
                                / (fact.date_to - fact.date_from + 1)) END)::text
                  FROM fact
                  JOIN period USING (client_id)
                  LEFT JOIN LATERAL (
                       SELECT sum(%(counted)s) FILTER (
                                  WHERE bucket.billing_date BETWEEN period.since AND period.until)
                              / NULLIF(sum(%(counted)s), 0) AS part
                         FROM reseller_usage_daily bucket
                         JOIN reseller_feature feature ON feature.id = bucket.feature_id
                        WHERE bucket.client_id = fact.user_id
                          AND bucket.feature_id = fact.feature_id
                          AND bucket.billing_date BETWEEN fact.date_from AND fact.date_to
                          AND (fact.date_from < period.since OR fact.date_to > period.until)
                       ) AS used ON TRUE
                 WHERE fact.date_from <= period.until AND fact.date_to >= period.since
                 GROUP BY fact.client_id
                """,
                clients=[client.id for client in periods],
                since=[made[0].period_start for made in periods.values()],
                until=[made[-1].period_end for made in periods.values()],
                features=features.ids,
                live=live_sql("statement"),
                amounts=amounts,
                counted=self.env["reseller.usage.daily"]._counted_sql(),
            )
        )
        return {client: Decimal(amount) for client, amount in rows}


class ResellerPriceSimulationLine(models.TransientModel):
    _inherit = "reseller.price.simulation.line"

    has_margin = fields.Boolean(
        readonly=True, help="Its reseller buys, and both sides of the periods are billed."
    )
    old_margin = fields.Monetary(
        string="Margin Now",
        readonly=True,
        help="What the reseller is left with: what clients are asked less what it pays for that.",
    )
    new_margin = fields.Monetary(string="Margin by the Drafts", readonly=True)
