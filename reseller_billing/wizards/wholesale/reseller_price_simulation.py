from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import SQL

from ...models.base.states import live_sql


class ResellerPriceSimulation(models.TransientModel):
    """What new prices leave to resellers that buy (wholesale W16)."""

    _inherit = "reseller.price.simulation"

    has_margin = fields.Boolean(compute="_compute_has_margin")

    @api.depends("line_ids.has_margin")
    def _compute_has_margin(self):
        for wizard in self:
            wizard.has_margin = any(wizard.line_ids.mapped("has_margin"))

    def _prepare_lines(self):
        """Override of billing: of clients of resellers that buy, less what they cost; of these, what their clients
        are asked, less it.

        Of the days of the replayed periods, as bills have it; as priced, on both sides.
        """
        rows = super()._prepare_lines()
        clients = self.env["reseller.client"]
        lines = {clients.browse(row["client_id"]): row for row in rows}
        for book, of_book in clients.union(*lines).grouped("book").items():
            bought = of_book
            if book == "retail":
                resellers_sudo = of_book.reseller_id.sudo()  # whose sellers nobody need see
                buying = resellers_sudo.filtered("buyer_ids")
                bought = of_book.filtered(
                    lambda client, buying=buying: client.reseller_id in buying.sudo(False)
                )
            others = self._load_other_side(bought, book)
            for client in bought:
                other = others.get(client.id, Decimal(0))
                for name in ("old", "new"):
                    own = Decimal(repr(lines[client][f"{name}_amount"]))
                    margin = own - other if book == "retail" else other - own
                    lines[client][f"{name}_margin"] = float(margin)
                lines[client]["has_margin"] = True
        return rows

    def _load_other_side(self, clients, book):
        """Return {client id: Decimal} of the drafts' features in the replayed periods: what clients cost; of buyers,
        what clients beneath are asked.
        """
        drafts = self.draft_ids.filtered(lambda draft: draft.book == book)
        periods = self._find_periods(drafts)
        asked = [(client.id, made) for client, made in periods.items() if client in clients]
        if not asked:
            return {}
        self.env.flush_all()
        if book == "retail":
            amounts = SQL(
                """
                SELECT share.client_id, charge.feature_id, charge.date_from, share.amount
                  FROM period
                  JOIN reseller_charge_share share ON share.client_id = period.client_id
                  JOIN reseller_charge charge ON charge.id = share.charge_id
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                  JOIN reseller_statement sharing ON sharing.id = share.statement_id
                 WHERE %s AND %s
                """,
                live_sql("statement"),
                live_sql("sharing"),
            )
        else:
            amounts = SQL(
                """
                SELECT period.client_id, charge.feature_id, charge.date_from, charge.amount
                  FROM period
                  JOIN reseller_client buyer ON buyer.id = period.client_id
                  JOIN reseller_charge charge ON charge.reseller_id = buyer.buys_for_id
                  JOIN reseller_statement statement ON statement.id = charge.statement_id
                 WHERE charge.book = 'retail' AND charge.is_paper AND %s
                """,
                live_sql("statement"),
            )
        rows = self.env.execute_query(
            SQL(
                """
                WITH period AS (
                    SELECT * FROM unnest(%s::int[], %s::date[], %s::date[])
                           AS period (client_id, first, last)
                )
                SELECT client_id, sum(amount)::text
                  FROM (%s) AS amounts
                  JOIN period USING (client_id)
                 WHERE feature_id = ANY(%s) AND date_from BETWEEN first AND last
                 GROUP BY client_id
                """,
                [client for client, _made in asked],
                [made[0].period_start for _client, made in asked],
                [made[-1].period_end for _client, made in asked],
                amounts,
                drafts.feature_id.ids,
            )
        )
        return {client: Decimal(amount) for client, amount in rows}


class ResellerPriceSimulationLine(models.TransientModel):
    _inherit = "reseller.price.simulation.line"

    has_margin = fields.Boolean(readonly=True)
    old_margin = fields.Monetary(
        string="Margin Now",
        readonly=True,
        help="What the reseller is left with: what clients are asked less what it pays for that.",
    )
    new_margin = fields.Monetary(string="Margin by the Drafts", readonly=True)
