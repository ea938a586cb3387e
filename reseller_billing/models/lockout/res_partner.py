from odoo import models


class ResPartner(models.Model):
    _inherit = "res.partner"

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
        # A reseller and its buyer's account are one debtor (wholesale W3).
        own = closed.filtered(lambda lockout: not lockout.client_id).reseller_id
        own |= closed.client_id.buys_for_id
        open_clients = self.env["reseller.client"].search(
            [
                contact,
                ("state", "=", "active"),
                ("id", "not in", closed.client_id.ids),
                ("buys_for_id", "not in", own.ids),
            ],
            limit=1,
        )
        open_resellers = self.env["reseller.reseller"].search(
            [contact, ("is_house", "=", False), ("id", "not in", own.ids)], limit=1
        )
        return closed.browse() if open_clients or open_resellers else closed
