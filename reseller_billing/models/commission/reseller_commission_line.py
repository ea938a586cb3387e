from odoo import fields, models


class ResellerCommissionLine(models.Model):
    """What a commission statement says of one line of a client's invoice."""

    _name = "reseller.commission.line"
    _description = "Line of a Commission"
    _order = "commission_id, invoice_date, line_number"

    commission_id = fields.Many2one(
        "reseller.commission",
        string="Statement",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="commission_id.company_id", store=True, index=True)
    reseller_id = fields.Many2one(related="commission_id.reseller_id", store=True, index=True)
    currency_id = fields.Many2one(related="commission_id.currency_id")
    # Kept where an accountant deletes what it was: what was stated of it stays known.
    line_number = fields.Integer(required=True, readonly=True, index=True)
    move_id = fields.Many2one(
        "account.move", string="Invoice", readonly=True, index="btree_not_null", ondelete="set null"
    )
    document = fields.Char(readonly=True)
    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, ondelete="restrict"
    )
    feature_id = fields.Many2one("reseller.feature", readonly=True, ondelete="restrict")
    level_id = fields.Many2one("reseller.feature.level", readonly=True, ondelete="restrict")
    invoice_date = fields.Date(readonly=True)
    name = fields.Char(string="Description", readonly=True)
    net = fields.Monetary(
        readonly=True, help="As invoiced, without taxes; below zero on credit notes."
    )
    percent = fields.Float(string="%", readonly=True, digits=(16, 4))
    share = fields.Float(
        string="Earned, %",
        readonly=True,
        digits=(16, 2),
        help="Of the invoice: what is not credited, or what is paid.",
    )
    before = fields.Monetary(
        string="Stated Before", readonly=True, help="In earlier statements, of this line."
    )
    amount = fields.Monetary(string="Commission", readonly=True)
