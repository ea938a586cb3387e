from odoo import fields, models


class ResellerBillingRunLine(models.Model):
    _name = "reseller.billing.run.line"
    _description = "Outcome of an Account in a Billing Run"
    _order = "run_id desc, state desc, id"

    run_id = fields.Many2one(
        "reseller.billing.run", required=True, readonly=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="run_id.company_id", store=True, index=True)
    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, index=True, ondelete="restrict"
    )
    bill_date = fields.Date(readonly=True)
    state = fields.Selection(
        [("done", "Billed"), ("parked", "Parked")], required=True, readonly=True
    )
    reason = fields.Text(readonly=True, help="What keeps the account from being billed.")
    statement_id = fields.Many2one(
        "reseller.statement", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    amount_total = fields.Monetary(related="statement_id.amount_total")
    currency_id = fields.Many2one(related="client_id.currency_id")

    _parked_uniq = models.UniqueIndex("(run_id, client_id) WHERE state = 'parked'")

    def action_open_client(self):
        """Open the account, to mend what keeps it from being billed."""
        return self.client_id._get_records_action(name=self.env._("Client"))
