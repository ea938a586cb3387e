from odoo import fields, models
from odoo.exceptions import UserError


class ResellerClient(models.Model):
    """Buyer's accounts: of resellers that pay for what their clients use (wholesale W1)."""

    _inherit = "reseller.client"

    def _get_lockout_policy(self, day):
        """Override of lockout: a reseller that buys has one ladder, that of its account (wholesale W3)."""
        own = self.buys_for_id.own_lockout_policy_id.filtered("active")
        if own and not self._get_lockout_group(day).lockout_policy_id:
            return own
        return super()._get_lockout_policy(day)

    def action_close(self, date, dated_back=False):
        """Override of client: a reseller buys as long as its clients are served (wholesale W9).

        :raise UserError: while an account beneath is served later
        """
        day = fields.Date.to_date(date)
        for buyer in self.filtered("buys_for_id"):
            later = buyer._get_served_after(day)
            if later:
                raise UserError(
                    self.env._(
                        "%(client)s of %(reseller)s is served after %(day)s: close or move it first.",
                        client=later[:1].display_name,
                        reseller=buyer.buys_for_id.name,
                        day=day,
                    )
                )
        return super().action_close(date, dated_back)

    def _get_served_after(self, day):
        """Return accounts beneath these that are served after a day."""
        clients_sudo = self.sudo().with_context(active_test=False)  # all of them, seen or not
        return clients_sudo.search(
            [
                ("reseller_id", "in", self.buys_for_id.ids),
                ("state", "!=", "draft"),
                (
                    "membership_ids",
                    "any",
                    ["|", ("date_to", "=", False), ("date_to", ">", day)],
                ),
            ]
        )

    def action_activate(self):
        """Override of client: see _check_bought."""
        self._check_bought()
        return super().action_activate()

    def action_reopen(self, date):
        """Override of client: see _check_bought."""
        self._check_bought()
        return super().action_reopen(date)

    def _check_bought(self):
        """Refuse to serve clients of a reseller that buys, but by no account that is open."""
        for client in self:
            reseller = client.reseller_id
            if reseller.settlement == "resale" and reseller.buyer_id.state != "active":
                raise UserError(
                    self.env._(
                        "%(reseller)s buys what its clients use, and has no open buyer's account: set one up "
                        "before %(client)s is served.",
                        reseller=reseller.name,
                        client=client.display_name,
                    )
                )

    def action_move_to_reseller(self, reseller, group, date):
        """Override of client: a buyer's account stays with its seller."""
        if buyer := self.filtered("buys_for_id")[:1]:
            raise UserError(
                self.env._(
                    "%s is a buyer's account and stays with its seller: close it instead.",
                    buyer.display_name,
                )
            )
        return super().action_move_to_reseller(reseller, group, date)
