from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .reseller_client_floors import find_lost, join_spans


class ResellerClient(models.Model):
    """Buyer's accounts: of resellers that pay for what their clients use (wholesale W1)."""

    _inherit = "reseller.client"

    def _get_lockout_policy(self, day):
        """Override of lockout: a reseller that buys has one ladder, that of its account (wholesale W3)."""
        own = self.buys_for_id.own_lockout_policy_id.filtered("active")
        if own and not self._get_lockout_group(day).lockout_policy_id:
            return own
        return super()._get_lockout_policy(day)

    @api.constrains("buys_for_id")
    def _check_one_buyer(self):
        """A reseller buys by one account at a time."""
        for buyer in self.filtered("buys_for_id"):
            others = buyer.buys_for_id.sudo().buyer_ids - buyer  # of whichever seller
            if still := others.filtered(lambda one: one.state != "closed")[:1]:
                raise ValidationError(
                    self.env._(
                        "%(reseller)s buys by %(account)s already: close that one first.",
                        reseller=buyer.buys_for_id.name,
                        account=still.display_name,
                    )
                )

    def action_activate(self):
        """Override of client: see _check_bought, and _cut_cycle."""
        # A buyer that closes meanwhile, or is billed, does not pass by what begins beneath (wholesale W9), nor does a
        # reseller that begins to buy, which cuts the cycles of those that are served.
        self._get_buyers()._conflict_with_others()
        resellers_sudo = self.reseller_id.sudo()  # how they are settled
        resellers_sudo.filtered(lambda one: one.settlement == "none")._conflict_with_others()
        done = super().action_activate()
        self._cut_at_settlement()
        self._check_bought()
        return done

    def action_reopen(self, date):
        """Override of client: as action_activate."""
        done = super().action_reopen(date)
        self._cut_at_settlement()
        return done

    def action_change_cycle(self, date, count, unit, anchor):
        """Override of client: a cycle that begins before its reseller buys ends when that does."""
        done = super().action_change_cycle(date, count, unit, anchor)
        day = fields.Date.to_date(date)
        self.filtered(
            lambda client: day < (client.reseller_id.settlement_date or day)
        )._cut_at_settlement()
        return done

    def _cut_at_settlement(self):
        """See _cut_cycle: on the day from which the resellers of these buy."""
        for reseller, clients in self.grouped("reseller_id").items():
            if reseller.settlement == "resale" and not reseller.is_house:
                clients._cut_cycle(reseller.settlement_date)

    def _cut_cycle(self, date):
        """Have cycles begin anew on a day, where accounts are served before and on it: what is of days before is
        settled for itself (wholesale W12).

        :raise ValidationError: for a day that is no first of a month, where a cycle follows the calendar
        """
        for client in self:
            row = client._membership_on(date)
            before = client._membership_on(fields.Date.subtract(date, days=1))
            if not row or not before or (row.begins_cycle and row.date_from == date):
                continue
            # What is planned for later days stays.
            with client._guard_billed_days(self.env._("the billing cycle")):
                if row.date_from < date:
                    until, row.date_to = row.date_to, fields.Date.subtract(date, days=1)
                    row.copy({"date_from": date, "date_to": until, "begins_cycle": True})
                else:
                    row.begins_cycle = True
            client._sync_contracts()

    def _get_open_bill(self):
        """Override of billing: a buyer's bill is that of all beneath: who wants to see it presses Preview."""
        return None if self.buys_for_id else super()._get_open_bill()

    def _check_bought(self):
        """Refuse days on which a client of a reseller that buys is served and nobody buys, and days on which two
        accounts of one reseller buy.

        :raise UserError: with the client, or buyer, and the first such day
        """
        for reseller, clients in self._get_beneath_and_own().grouped("reseller_id").items():
            if reseller.settlement != "resale":
                continue
            bought = []
            for first, last in sorted(
                span for buyer in reseller.buyer_ids for span in buyer._get_billed_spans()
            ):
                if bought and first <= bought[-1][1]:
                    raise UserError(
                        self.env._(
                            "%(reseller)s buys by two accounts on %(day)s: end one of them before.",
                            reseller=reseller.name,
                            day=first,
                        )
                    )
                bought.append((first, last))
            bought = join_spans(bought)
            for client in clients:
                served = [
                    (max(first, reseller.settlement_date), last)
                    for first, last in client._get_billed_spans()
                    if last >= reseller.settlement_date
                ]
                if lost := find_lost(join_spans(served), bought):
                    raise UserError(
                        self.env._(
                            "%(client)s is served on %(day)s, and %(reseller)s, which pays for what its clients "
                            "use, buys nothing on that day: choose other days for one of them.",
                            client=client.display_name,
                            reseller=reseller.name,
                            day=lost,
                        )
                    )

    def _get_beneath_and_own(self):
        """Return these clients and those beneath these buyers that are served, as the system."""
        clients_sudo = self.sudo().with_context(active_test=False)  # all of them, seen or not
        beneath_sudo = clients_sudo.search([("reseller_id", "in", self.buys_for_id.ids)])
        return (clients_sudo.filtered(lambda one: not one.buys_for_id) | beneath_sudo).filtered(
            lambda one: one.state != "draft"
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
