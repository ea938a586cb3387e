from odoo import fields, models


class ResellerStatementVoid(models.TransientModel):
    _name = "reseller.statement.void"
    _description = "Void Bills by Credit Notes"

    statement_ids = fields.Many2many(
        "reseller.statement", string="Bills", required=True, readonly=True
    )
    date = fields.Date(
        string="Credit Note Date",
        required=True,
        default=fields.Date.context_today,
        help="The bills are void from this day on: the books of days before stay as they are.",
    )
    reason = fields.Char()

    def action_void(self):
        """Void the bills, and open their credit notes."""
        self.ensure_one()
        notes = self.statement_ids._void_by_credit_note(self.date, self.reason)
        return notes._get_records_action(name=self.env._("Credit Notes"))
