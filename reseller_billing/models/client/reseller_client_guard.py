from contextlib import contextmanager

from odoo import fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL

from ..base.states import LIVE
from .reseller_client import DATED_BACK


class ResellerClient(models.Model):
    """Billed days stay as they are, and the next bill is due when it has to be."""

    _inherit = "reseller.client"

    def _raise_billed(self, what):
        """Refuse a change of days that are billed; name the first free day (rating 23)."""
        client = max(self, key=lambda client: client.billed_until)
        raise ValidationError(
            self.env._(
                "%(client)s is billed until %(until)s, and days until then stay as they are. The first "
                "free day is %(free)s. What was to be changed: %(what)s.",
                client=client.display_name,
                until=client.billed_until,
                what=what,
                free=fields.Date.add(client.billed_until, days=1),
            )
        )

    @contextmanager
    def _guard_billed_days(self, what):
        """Refuse, at the end, what alters billed days of service, group or enrolment."""
        self._conflict_with_others()
        self._keep_usage_out()
        before = {
            client: (client._billed_service(), client._billed_cycle())
            for client in self
            if client.billed_until
        }
        yield
        self.env.flush_all()
        self.exists()._follow_service()
        if self.env.context.get("reseller_dated_back") is DATED_BACK:
            return
        for client, (service, cycle) in before.items():
            client.invalidate_recordset(["membership_ids", "enrolment_ids"])
            if not client.exists():
                continue
            service_now, cycle_now = client._billed_service(), client._billed_cycle()
            if service_now != service:
                client._raise_billed(what)
            if cycle and cycle_now and cycle_now != cycle:
                raise UserError(
                    self.env._(
                        "%(client)s has its bill of %(date)s already, which took fees by its cycle: choose "
                        "a later day for another one, or cancel that bill.",
                        client=client.display_name,
                        date=fields.Date.add(client.billed_until, days=1),
                    )
                )

    def _conflict_with_others(self):
        """Let what changes these accounts at the same time not pass each other.

        One of two transactions fails, is repeated, and then sees what the other one did; a lock
        alone would not tell the later one.
        """
        self.env.cr.execute(
            SQL("UPDATE reseller_client SET ref = ref WHERE id = ANY(%s)", sorted(self.ids))
        )

    def _follow_service(self):
        """Set the cycles and next bill dates of accounts whose days of service have changed."""
        self._follow_cycle()
        for client in self:
            rows = client.membership_ids.filtered("date_from")
            until, following = client.billed_until, client.next_bill_date
            if client.state == "draft" or not rows:
                continue
            vals = {}
            if not until:
                first = min(rows.mapped("date_from"))
                following = max(first, client.billing_start or first)
                if client.close_date:
                    following = min(following, fields.Date.add(client.close_date, days=1))
            elif client.state == "closed":
                days = [
                    max(row.date_from, fields.Date.add(until, days=1))
                    for row in rows
                    if not row.date_to or row.date_to > until
                ]
                if days:
                    vals["state"], following = "active", min(days)
            else:
                # Other cycles begin with a bill; without them, it waits for a day that has one.
                following = min(
                    [following, *(day for day in client._get_cycle_changes() if day > until)]
                )
                if not client._had_instant(following):
                    following = client._bill_date_after(fields.Date.subtract(following, days=1))
            if following and client._is_billed_on(following):
                following = client._bill_date_after(following)
            if following != client.next_bill_date:
                vals["next_bill_date"] = following
            if vals:
                client.sudo().write(vals)  # billing keeps these values

    def _is_billed_on(self, date):
        """Whether the bill that a date asks for is there already."""
        self.ensure_one()
        return self._get_turns().get(date, "cycle") == "cycle" and self._has_cycle_bill(date)

    def _has_cycle_bill(self, date):
        """Whether a bill of a date stands that took fees ahead."""
        self.ensure_one()
        return bool(
            self.env["reseller.statement"].search_count(
                [
                    ("client_id", "=", self.id),
                    ("bill_date", "=", date),
                    ("state", "in", LIVE),
                    ("kind", "in", ("cycle", "opening")),
                ],
                limit=1,
            )
        )

    def _billed_service(self):
        """Return what this client's billed days rest on, as comparable runs of days."""
        self.ensure_one()

        def runs(rows, payload):
            found = []
            for row in rows.sorted("date_from"):
                last = min(row.date_to or self.billed_until, self.billed_until)
                if row.date_from > last:
                    continue
                run = [row.date_from, last, payload(row)]
                if found and found[-1][2] == run[2] and (run[0] - found[-1][1]).days == 1:
                    found[-1][1] = last
                else:
                    found.append(run)
            return found

        return (
            runs(
                self.membership_ids,
                lambda row: (
                    row.group_id.id,
                    row.anchor_date,
                    row.interval_count,
                    row.interval_unit,
                    row.paused,
                ),
            ),
            {
                feature.id: runs(rows, lambda row: row.quantity)
                for feature, rows in self.enrolment_ids.grouped("feature_id").items()
                if runs(rows, lambda row: row.quantity)
            },
        )

    def _billed_cycle(self):
        """Return what cycles are counted by on the day of the last bill, which took fees ahead; None if
        there was no such bill, or no service on that day.
        """
        self.ensure_one()
        day = fields.Date.add(self.billed_until, days=1)
        row = self._membership_on(day)
        if not row or not self._has_cycle_bill(day):
            return None
        return row.anchor_date, row.interval_count, row.interval_unit

    def _rate_again_from(self, day):
        """Have the next bill rate cycles from `day` on again, since it has a price only now."""
        if day:
            for client_sudo in self.sudo():  # whom a price reaches, seen by who sets it or not
                client_sudo.rerate_from = min(filter(None, (client_sudo.rerate_from, day)))
            self._expect_bill()

    def _expect_bill(self, day=None):
        """Give closed accounts that had their last bill a date for one more, not before a day."""
        clients_sudo = self.sudo()  # billing keeps the date; who asks may enter what is billed
        for client_sudo in clients_sudo.filtered(lambda client: client.state == "closed"):
            wanted = client_sudo.next_bill_date or day or client_sudo._today()
            client_sudo.next_bill_date = max(wanted, day or wanted)

    def _expect_bill_by(self, date):
        """See _expect_bill; today, or on a day up to which accounts are billed, after the last bill."""
        day = self._today()
        if date:
            # The last bill is dated the day after the last that it has billed.
            billed = self.billed_until and fields.Date.add(self.billed_until, days=2)
            day = max(filter(None, (min(date, day), billed)))
        self._expect_bill(day)

    def _had_instant(self, day):
        """Whether the bill of a day that was voided last was made at once: so is the one instead."""
        self.ensure_one()
        made = self.statement_ids.filtered(
            lambda statement: (
                statement.bill_date == day
                and statement.kind != "manual"
                and statement.state != "preview"
            )
        ).sorted("id")[-1:]
        is_void = made.kind == "instant" and made.state == "void"
        return is_void and day not in self._get_cycle_changes()
