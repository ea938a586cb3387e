from odoo import fields, models


class ResPartner(models.Model):
    _inherit = "res.partner"

    reseller_ids = fields.One2many("reseller.reseller", "partner_id", string="Resellers")
    reseller_client_ids = fields.One2many(
        "reseller.client", "partner_id", string="Billing Accounts"
    )
    reseller_client_count = fields.Integer(compute="_compute_reseller_client_count")

    def _compute_reseller_client_count(self):
        counts = dict(
            self.env["reseller.client"]._read_group(
                [("partner_id", "in", self.ids)], ["partner_id"], ["__count"]
            )
        )
        for partner in self:
            partner.reseller_client_count = counts.get(partner, 0)

    def action_view_reseller_clients(self):
        """Open the billing accounts of this contact."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Billing Accounts"),
            "res_model": "reseller.client",
            "view_mode": "list,form",
            "domain": [("partner_id", "=", self.id)],
        }

    def _get_closed_lockouts(self):
        """Return the lock-outs that close the portal to this contact's users, empty for none.

        A contact with several accounts is shut out when none of them is open any more.
        """
        self.ensure_one()
        contact = ("partner_id", "parent_of", self.id)
        closed = self.env["reseller.lockout"].search(
            [
                ("closes_portal", "=", True),
                "|",
                ("client_id", "any", [contact]),
                "&",
                ("client_id", "=", False),
                ("reseller_id", "any", [contact]),
            ]
        )
        if not closed:
            return closed
        open_clients = self.env["reseller.client"].search(
            [contact, ("state", "=", "active"), ("id", "not in", closed.client_id.ids)], limit=1
        )
        own = closed.filtered(lambda one: not one.client_id).reseller_id
        open_resellers = self.env["reseller.reseller"].search(
            [contact, ("id", "not in", own.ids)], limit=1
        )
        return closed.browse() if open_clients or open_resellers else closed
