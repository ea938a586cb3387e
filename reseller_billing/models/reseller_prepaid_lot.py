from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.tools import SQL

from .. import rating
from . import reseller_lot  # noqa: F401


class ResellerPrepaidLot(models.Model):
    """Units of a feature that a client has bought ahead, as in a package.

    A lot is never changed. What is left of it is the sum of its entries; of its cost is left the
    share of the units that are: cost × left ÷ granted, rounded, so that the last draw takes the rest.
    """

    _name = "reseller.prepaid.lot"
    _description = "Lot of Prepaid Units"
    _inherit = ["reseller.lot.mixin"]
    _order = "id desc"
    _check_company_auto = True

    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(related="client_id.reseller_id", store=True, index=True)
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    feature_id = fields.Many2one(
        "reseller.feature", required=True, readonly=True, ondelete="restrict"
    )
    name = fields.Char(required=True, readonly=True)
    date = fields.Date(string="From", readonly=True, help="Empty: it waits for payment.")
    date_until = fields.Date(
        string="Valid Until", readonly=True, help="The last day; empty: it does not expire."
    )
    priority = fields.Integer(
        required=True, readonly=True, default=10, help="Lower ones are drawn first."
    )
    granted = fields.Float(
        string="Units", required=True, readonly=True, min_display_digits=0, aggregator=None
    )
    cost = fields.Monetary(readonly=True, help="What was invoiced for it, taxes excluded.")
    cost_balance = fields.Monetary(
        readonly=True, currency_field="company_currency_id", help="The same, as it was booked."
    )
    left = fields.Float(compute="_compute_left", min_display_digits=0)
    cost_left = fields.Monetary(compute="_compute_left")
    entry_ids = fields.One2many("reseller.prepaid.entry", "lot_id", readonly=True)

    _amounts = models.Constraint(
        "CHECK (granted > 0 AND COALESCE(cost, 0) >= 0)",
        "A package gives units, and costs nothing or something.",
    )
    _charge_uniq = models.UniqueIndex("(charge_id)", "A package is given once.")
    _drawing = models.Index("(client_id, feature_id) WHERE state = 'open'")

    @api.depends("entry_ids.quantity", "entry_ids.cost")
    def _compute_left(self):
        exact = self._load_exact()
        for lot in self:
            left, cost = exact.get(lot._origin.id, (0, 0))
            lot.left, lot.cost_left = float(left), float(cost)

    @api.depends("name", "date")
    def _compute_display_name(self):
        for lot in self:
            lot.display_name = f"{lot.name} ({lot.date})" if lot.date else lot.name

    def _load_exact(self):
        """Return {id: (units left, cost left)} as exact Decimals."""
        self.env.flush_all()
        return {
            number: (Decimal(left), Decimal(cost))
            for number, left, cost in self.env.execute_query(
                SQL(
                    """
                    SELECT lot_id, sum(quantity)::text, sum(COALESCE(cost, 0))::text
                      FROM reseller_prepaid_entry WHERE lot_id = ANY(%s) GROUP BY lot_id
                    """,
                    self._origin.ids,
                )
            )
        }

    def _is_untouched(self):
        self.ensure_one()
        left, _cost = self._load_exact().get(self.id, (Decimal(0), Decimal(0)))
        return self.state == "waiting" or left == Decimal(repr(self.granted))

    def _add_entry(self, kind, day, cost, is_granted, move=None, reason=False):
        self.ensure_one()
        self.env["reseller.prepaid.entry"]._insert(
            [
                {
                    "lot_id": self.id,
                    "kind": kind,
                    "date": day,
                    "quantity": Decimal(repr(self.granted)) * is_granted,
                    "cost": Decimal(repr(cost)),
                    "move_id": move.id if move else None,
                    "reason": reason or None,
                }
            ]
        )

    # Cost

    def _get_cost_of(self, left):
        """Return (cost, balance) of so many units left: in the bills' and the company's currency."""
        self.ensure_one()
        share = Fraction(left) / Fraction(repr(self.granted))
        return tuple(
            rating.round_to(Fraction(repr(value)) * share, currency._get_exact_rounding())
            for value, currency in (
                (self.cost, self.currency_id),
                (self.cost_balance, self.company_currency_id),
            )
        )

    def _get_income_account(self):
        """Return where the use of this lot's units is income: as its invoice would have booked it."""
        self.ensure_one()
        product = self.feature_id._get_product(self.company_id)
        accounts = product.product_tmpl_id.with_company(self.company_id)
        position = self.charge_id.statement_id.invoice_id.fiscal_position_id
        return accounts.get_product_accounts(fiscal_pos=position)["income"]
