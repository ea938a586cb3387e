from odoo import models


class ResellerPriceRule(models.Model):
    """Drafts: archived prices that are tried out before they are in force."""

    _inherit = "reseller.price.rule"

    def action_try_change(self):
        """Make a draft with the terms of this price, and open it to be changed and simulated."""
        self.ensure_one()
        drafts = self.search_count([("draft_of_id", "=", self.id), ("active", "=", False)])
        draft = self.copy(
            {
                "active": False,
                "date_from": self.date_from,
                "date_to": self.date_to,
                "draft_of_id": self.id,
                "draft_name": self.env._("Draft %s", drafts + 1),
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Try a Change"),
            "res_model": self._name,
            "res_id": draft.id,
            "view_mode": "form",
        }

    def _get_drafts(self):
        """Return the drafts among these prices, and the newest of each of the others."""
        drafts = self.filtered(lambda rule: not rule.active)
        found = self.with_context(active_test=False).search(
            [("draft_of_id", "in", (self - drafts).ids), ("active", "=", False)], order="id"
        )
        newest = {draft.draft_of_id: draft for draft in found}
        return drafts.union(*newest.values())
