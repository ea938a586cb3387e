from datetime import date

from odoo import fields, models
from odoo.exceptions import UserError

from .reseller_client import CYCLE, DATED_BACK


class ResellerClient(models.Model):
    """What is done to a client's service, from a day on."""

    _inherit = "reseller.client"

    def action_activate(self):
        """Begin service, today where no day was given, and make the account billable.

        What lies before `billing_start` another system has billed.
        """
        for client in self.filtered(lambda client: client.state == "draft"):
            if not client.membership_ids:
                client.membership_ids = [fields.Command.create({"date_from": client._today()})]
            client.check_access("write")
            first = min(client.membership_ids.mapped("date_from"))
            client.sudo().write(  # billing keeps these values
                {
                    "state": "active",
                    "next_bill_date": max(first, client.billing_start or first),
                }
            )
        self.filtered(lambda client: not client.contract_id)._create_contracts()
        self._sync_contracts()

    def action_move_to_group(self, group, date):
        """Move clients to a group from a day on, within their service.

        :param group: a reseller.client.group of the same reseller; empty for none
        :param date date: the first day in the new group, local to the client
        """
        self._change_service(date, {"group_id": group.id})

    def action_pause(self, date):
        """Pause clients: from a day on nothing is enrolled, and use is billed all the same.

        :param date date: the first day of the pause, local to the client
        """
        self._change_service(date, {"paused": True})

    def action_resume(self, date):
        """End the pause of clients.

        :param date date: the first day after the pause, local to the client
        """
        self._change_service(date, {"paused": False})

    def action_change_cycle(self, date, count, unit, anchor):
        """Have the cycles of accounts begin anew on a day, and be others.

        Those that run end the day before and are settled as if the account closed there, by a bill of
        that day, which takes the new ones' fees in advance, too (rating 2). That holds for features with
        a cycle of their own as well. A first enrolment stays the first: set-up fees, trials and bonuses
        are given once.

        :param date date: the first day of the new cycles, local to the client
        :param int count: the number of units of a cycle
        :param str unit: day, week, month or year
        :param str anchor: *activation*: the cycles are counted from that day; *month*: from the first of
            a month, which that day then is
        :raise UserError: when the account is not served on that day, or has its bill already
        :raise ValidationError: when the day is billed, or is no first of a month where it must be
        """
        date = fields.Date.to_date(date)
        vals = {"interval_count": count, "interval_unit": unit, "billing_anchor": anchor}
        # In one step: a row that ends for the next one to begin is no end of service.
        with self._guard_billed_days(self.env._("the billing cycle")):
            self._change_service(date, {**vals, "begins_cycle": False})
            for client in self:
                client._membership_on(date).begins_cycle = True
        self._sync_contracts()

    def _change_service(self, date, vals):
        """Give all days of service from a day on other values, in rows of their own."""
        date = fields.Date.to_date(date)
        for client in self:
            row = client._membership_on(date)
            if not row:
                raise UserError(
                    self.env._(
                        "%(client)s is not served on %(date)s: choose a day of its service.",
                        client=client.name,
                        date=date,
                    )
                )
            if row.date_from < date:
                until = row.date_to
                row.date_to = fields.Date.subtract(date, days=1)
                row.create(
                    {
                        "client_id": client.id,
                        "date_from": date,
                        "date_to": until,
                        "group_id": row.group_id.id,
                        "paused": row.paused,
                        **{name: row[name] for name in CYCLE},
                        **vals,
                    }
                )
            else:
                row.write(vals)
            client.membership_ids.filtered(lambda membership: membership.date_from > date).write(
                vals
            )

    def action_close(self, date, dated_back=False):
        """Close accounts: their final bill is dated the day after.

        :param date date: the last day of service, local to the client
        :param bool dated_back: take days back that are billed already; the final bill, of the next day
            that is not, gives back what they were billed at (rating 23)
        :raise UserError: when the account is not served on that day, or billed beyond it and that is not
            asked for, or beyond the window for late usage
        :raise AccessError: to take billed days back without the group Billing Manager
        """
        date = fields.Date.to_date(date)
        final = fields.Date.add(date, days=1)
        for client in self:
            row = client._membership_on(date)
            if client.state != "active" or not row:
                raise UserError(
                    self.env._(
                        "%(client)s is not served on %(date)s: choose a day of its service.",
                        client=client.name,
                        date=date,
                    )
                )
            rows = client._take_back_from(final, dated_back, self.env._("closing")).membership_ids
            rows.filtered(lambda row: row.date_from > date).unlink()
            rows.browse(row.id).date_to = date
            client.check_access("write")
            client.sudo().next_bill_date = min(  # billing keeps it
                client.next_bill_date,
                max(final, fields.Date.add(client.billed_until or date, days=1)),
            )
        self._sync_contracts()

    def action_enrol(self, feature, quantity, date):
        """Have accounts a number of a feature from a day on, as long as they would have had it.

        :param feature: a reseller.feature
        :param quantity: how many each has: zero for none
        :param date date: the first day, local to the client
        :raise UserError: when the day is billed
        """
        self._enrol(feature, quantity, fields.Date.to_date(date), False, self.env._("a quantity"))

    def action_switch_off(self, feature, date, dated_back=False):
        """Enrol accounts in a feature no more, whether by themselves or automatically.

        :param feature: a reseller.feature
        :param date date: the last day of the feature, local to the client
        :param bool dated_back: see `action_close`; the next bill gives back what days were billed at
        :raise UserError: as `action_close`
        :raise AccessError: as `action_close`
        """
        self._enrol(
            feature,
            0,
            fields.Date.add(fields.Date.to_date(date), days=1),
            dated_back,
            self.env._("switching off"),
        )

    def _enrol(self, feature, quantity, date, dated_back, what):
        """Give accounts a quantity of a feature from a day on; see `_take_back_from`."""
        rules_sudo = self.env["reseller.price.rule"].sudo()  # whoever's prices they are
        automatic = rules_sudo.search_count(
            [
                ("feature_id", "=", feature.id),
                ("enrolment", "!=", "opt_in"),
                ("book", "in", self.mapped("book")),
            ],
            limit=1,
        )
        for client in self:
            client = client._take_back_from(date, dated_back, what)
            rows = client.enrolment_ids.filtered(lambda row: row.feature_id == feature)
            later = rows.filtered(lambda row: row.date_from >= date)
            before, until = fields.Date.subtract(date, days=1), False
            for row in rows - later:
                if not row.date_to or row.date_to > before:
                    until, row.date_to = row.date_to, before
            if not quantity:
                later.unlink()
                until = False
            elif later:
                later.quantity = quantity
                following = fields.Date.subtract(min(later.mapped("date_from")), days=1)
                until = until or following
                if following < date:
                    continue
            # Who would have it without being asked is left out by a row of its own.
            if quantity or automatic:
                rows.create(
                    {
                        "client_id": client.id,
                        "feature_id": feature.id,
                        "date_from": date,
                        "date_to": until,
                        "quantity": quantity,
                    }
                )

    def _take_back_from(self, day, dated_back, what):
        """Return this account to change its service from a day on.

        :param dated_back: whether billed days may be taken back, which the next bill then does
        :param what: what changes, in words
        """
        self.ensure_one()
        is_billed = self.billed_until and day <= self.billed_until
        if not is_billed and not (dated_back and day <= (self._get_last_billed_day() or date.min)):
            return self
        if not dated_back:
            self._raise_billed(what)
        self.env["res.users"]._check_billing_manager()
        oldest = self._get_oldest_day()
        if day < oldest:
            raise UserError(
                self.env._(
                    "%(client)s: %(day)s is billed already and lies outside the window for late usage, "
                    "which begins on %(oldest)s: credit it by hand.",
                    client=self.name,
                    day=day,
                    oldest=oldest,
                )
            )
        if is_billed:
            self._rate_again_from(day)
        return self.with_context(reseller_dated_back=DATED_BACK)

    def action_reopen(self, date):
        """Serve closed accounts again; cycles begin anew, or go on with the calendar's.

        :param date date: the first day of service, local to the client
        :raise UserError: when the account is not closed before that day, or it is billed beyond it
        """
        date = fields.Date.to_date(date)
        for client in self:
            closed = client.close_date
            if client.state == "draft" or not closed or closed >= date:
                raise UserError(
                    self.env._(
                        "%(client)s is served on %(date)s: only a closed account can be reopened.",
                        client=client.name,
                        date=date,
                    )
                )
            if client.billed_until and date <= client.billed_until:
                client._raise_billed(self.env._("reopening"))
            last = client.membership_ids.sorted("date_from")[-1]
            last.copy({"date_from": date, "date_to": False, "paused": False})
            client.check_access("write")
            # A final bill that is still due goes first.
            client.sudo().write(  # billing keeps these values
                {
                    "state": "active",
                    "next_bill_date": date
                    if client.state == "closed"
                    else min(client.next_bill_date, date),
                }
            )
        self._follow_service()
        self._sync_contracts()

    def _get_last_billed_day(self):
        """Hook: return the last day of this account that a bill has, of whichever floor; False or None for none."""
        self.ensure_one()
        return self.billed_until

    def _get_oldest_day(self):
        """Hook: return the first day that may still be changed."""
        return date.min
