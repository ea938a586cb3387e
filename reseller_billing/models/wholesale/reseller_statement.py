from decimal import Decimal

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..base.states import LIVE


class ResellerStatement(models.Model):
    """Papers: what a reseller asks of its clients, and has ticked off as paid (wholesale W4)."""

    _inherit = "reseller.statement"

    is_paper_paid = fields.Boolean(
        string="Paid to the Reseller",
        readonly=True,
        copy=False,
        help="As the reseller says: what its client paid it is in nobody's ledger here.",
    )
    paper_paid_on = fields.Date(string="Paid On", readonly=True, copy=False)

    def action_mark_paid(self, date=None):
        """Tick papers off as paid to the reseller.

        :param date date: the day of payment; today where None
        :raise UserError: for what is no paper that stands
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        self._mark_paid(date)

    def action_mark_unpaid(self):
        """Take the tick of papers back.

        :raise UserError: once units were used that the paper has sold
        """
        self.check_access("read")
        self.env["res.users"]._check_billing_manager()
        self._mark_unpaid()

    def _mark_paid(self, date=None):
        """See action_mark_paid; whoever may has been asked."""
        for statement in self:
            if statement.state not in LIVE or not statement.paper_total:
                raise UserError(
                    self.env._(
                        "%s is no paper that stands: what is invoiced is paid in the ledger.",
                        statement.name,
                    )
                )
        self._conflict_over_lots()
        vals = {"is_paper_paid": True, "paper_paid_on": date or fields.Date.context_today(self)}
        statements_sudo = self.sudo()  # statements and lots are closed to all users
        statements_sudo.write(vals)
        for lots in statements_sudo._find_sold_lots():
            lots.filtered(lambda lot: lot.state == "waiting" and lot._is_paid())._release()

    def _mark_unpaid(self):
        """See action_mark_unpaid; whoever may has been asked."""
        statements_sudo = self.sudo()  # as above
        self._conflict_over_lots()
        for lots in statements_sudo._find_sold_lots():
            lots._withdraw()
        statements_sudo.write({"is_paper_paid": False, "paper_paid_on": False})

    def _conflict_over_lots(self):
        """Have bills and systems that draw on what these sold, and a tick, not pass each other."""
        self.client_id._conflict_with_others()
        self.client_id._take_turn()

    def _sell_lots(self, day):
        """Override of prepaid: what is paid ahead before a reseller buys would pay for what it bills later."""
        for charge in self.charge_ids.filtered(lambda charge: charge.kind == "package"):
            reseller = charge.reseller_id
            if reseller.settlement == "resale" and not charge.is_paper and charge.amount > 0:
                raise UserError(
                    self.env._(
                        "%(reseller)s buys from %(day)s on, and bills its clients itself then: nothing is sold ahead "
                        "before.",
                        reseller=reseller.name,
                        day=reseller.settlement_date,
                    )
                )
        return super()._sell_lots(day)

    def _cover_usage(self, covered):
        """Override of billing: a buyer's bill is shared among the accounts whose use it is for (wholesale W15)."""
        done = super()._cover_usage(covered)
        bought = self.filtered(lambda statement: statement.book == "wholesale")
        if bought:
            self.env["reseller.charge.share"].sudo()._share(bought)  # as charges are made
        return done

    # Who used it

    def _load_use_by_client(self):
        """Override of documents: of buyers' bills, the clients beneath (wholesale W11)."""
        bought = self.filtered(lambda statement: statement.book == "wholesale")
        bought = bought.filtered("period_start")
        if not bought:
            return super()._load_use_by_client()
        self.env.flush_all()
        days = self.env["reseller.usage.daily"]
        rows = self.env.execute_query(
            SQL(
                """
                SELECT statement.id, feature.id, bucket.level_id, client.name, client.ref, sum(%s)::text
                  FROM reseller_statement statement
                  JOIN reseller_client buyer ON buyer.id = statement.client_id
                  %s
                  JOIN reseller_client client ON client.id = bucket.client_id
                  LEFT JOIN reseller_feature_level level ON level.id = bucket.level_id
                 WHERE statement.id = ANY(%s) AND bucket.event_count > 0
                   AND bucket.billing_date BETWEEN statement.period_start AND statement.period_end
                 GROUP BY statement.id, feature.id, bucket.level_id, level.id, client.id
                 ORDER BY array_position(%s, statement.id), feature.sequence, feature.id,
                          level.sequence NULLS FIRST, level.id NULLS FIRST, sum(%s) DESC, client.ref
                """,
                days._counted_sql(),
                days._bought_sql("buyer"),
                bought.ids,
                bought.ids,
                days._counted_sql(),
            )
        )
        features = self.env["reseller.feature"].browse({row[1] for row in rows})
        levels = self.env["reseller.feature.level"].browse({row[2] for row in rows if row[2]})
        names = {record: {one.id: one.name for one in record} for record in (features, levels)}
        return [
            {
                "statement_id": number,
                "feature": names[features][feature],
                "level": names[levels].get(level, ""),
                "client": name,
                "ref": ref,
                "units": Decimal(units),
            }
            for number, feature, level, name, ref, units in rows
        ]
