from itertools import pairwise

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ... import rating
from ..base.intervals import INTERVAL_UNITS
from . import reseller_client_part  # noqa: F401
from .reseller_client import BILLING_ANCHORS, CYCLE


class ResellerClientMembership(models.Model):
    _name = "reseller.client.membership"
    _description = "Days of Service in a Client Group"
    _inherit = "reseller.client.part.mixin"
    _order = "client_id, date_from, id"
    _check_company_auto = True
    _billing_user_writes = frozenset(
        ("date_from", "date_to", "group_id", "paused", "begins_cycle", *CYCLE)
    )
    _billing_user_gives = frozenset(("client_id",))

    client_id = fields.Many2one("reseller.client", required=True, index=True, ondelete="cascade")
    company_id = fields.Many2one(related="client_id.company_id", store=True, index=True)
    reseller_id = fields.Many2one(related="client_id.reseller_id")
    date_from = fields.Date(string="From", required=True, help="First day of service, inclusive.")
    date_to = fields.Date(string="To", help="Last day of service, inclusive. Empty: open.")
    group_id = fields.Many2one(
        "reseller.client.group",
        index=True,
        ondelete="restrict",
        domain="[('reseller_id', '=', reseller_id)]",
    )
    paused = fields.Boolean(
        help="Nothing is enrolled on these days: no fees and no allotments. Use is billed all the same."
    )
    interval_count = fields.Integer(
        string="Bill Every",
        compute="_compute_cycle",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
    )
    interval_unit = fields.Selection(
        INTERVAL_UNITS,
        string="Cycle Unit",
        compute="_compute_cycle",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
    )
    billing_anchor = fields.Selection(
        BILLING_ANCHORS,
        string="Cycles Begin On",
        compute="_compute_cycle",
        store=True,
        readonly=False,
        precompute=True,
        required=True,
    )
    begins_cycle = fields.Boolean(
        string="Cycles Begin Anew",
        copy=False,
        help="Cycles that run end the day before, and others begin with this row.",
    )
    anchor_date = fields.Date(
        string="Cycles Counted From",
        compute="_compute_anchor_date",
        store=True,
        help="The first day of service or of other cycles, or the first of its month.",
    )

    _dates_ordered = models.Constraint(
        "CHECK (date_to IS NULL OR date_from <= date_to)",
        "A membership's last day must not be before its first.",
    )
    _no_overlap = models.Constraint(
        "EXCLUDE USING gist (int4range(client_id, client_id, '[]') WITH &&, "
        "daterange(date_from, date_to, '[]') WITH &&) DEFERRABLE INITIALLY DEFERRED",
        "A client's memberships must not overlap: end one the day before the next begins.",
    )

    _interval_positive = models.Constraint(
        "CHECK (interval_count > 0)", "A billing cycle has at least one day, week, month or year."
    )

    @api.depends("client_id", "date_from")
    def _compute_cycle(self):
        """A new row goes on with the cycle of the one before; a later change of that is of later rows."""
        for row in self:
            rows = (row.client_id.membership_ids - row).filtered("date_from").sorted("date_from")
            before = rows.filtered(
                lambda one, row=row: row.date_from and one.date_from < row.date_from
            )
            given = before[-1:] or rows[:1]
            for name in CYCLE:
                row[name] = row[name] or given[name] or row.client_id[name]

    @api.depends(
        "date_from",
        "begins_cycle",
        "client_id.membership_ids.date_from",
        "client_id.membership_ids.date_to",
        "client_id.membership_ids.begins_cycle",
        *(f"client_id.membership_ids.{name}" for name in CYCLE),
    )
    def _compute_anchor_date(self):
        """Cycles are counted from the first day of service, and anew when an account reopens or changes
        its cycle.

        Those that follow the calendar go on from the first of the month of the very first day.
        """
        for client, rows in self.grouped("client_id").items():
            anchor, before = False, None
            for row in (client.membership_ids | rows).filtered("date_from").sorted("date_from"):
                reopens = before and not row._goes_on_from(before)
                if not before or row._changes_cycle_of(before):
                    anchor = row.date_from
                    if row.billing_anchor == "month":
                        anchor = anchor.replace(day=1)
                elif reopens and row.billing_anchor != "month":
                    anchor = row.date_from
                if row in rows:
                    row.anchor_date = anchor
                before = row
            rows.filtered(lambda row: not row.date_from).anchor_date = False

    def _goes_on_from(self, before):
        """Whether service goes on from one row to this one without a day between."""
        return before.date_to and (self.date_from - before.date_to).days == 1

    def _changes_cycle_of(self, before):
        """Whether other cycles begin with this row than those of the one before."""
        return self.begins_cycle or any(self[name] != before[name] for name in CYCLE)

    def _get_interval(self):
        """Return the billing cycle as a rating.Interval."""
        self.ensure_one()
        return rating.Interval.of(self.interval_count, self.interval_unit)

    @api.constrains("date_from", "date_to", "begins_cycle", *CYCLE)
    def _check_cycle_begins(self):
        for client in self.client_id:
            for before, row in pairwise(client.membership_ids.sorted("date_from")):
                if (
                    row.billing_anchor == "month"
                    and row.date_from.day != 1
                    and row._changes_cycle_of(before)
                ):
                    raise ValidationError(
                        self.env._(
                            "%(client)s: cycles that begin on the first of a month can begin on one only: "
                            "choose %(first)s.",
                            client=client.display_name,
                            first=fields.Date.start_of(
                                fields.Date.add(row.date_from, months=1), "month"
                            ),
                        )
                    )

    @api.constrains("group_id", "client_id")
    def _check_group(self):
        for row in self:
            if row.group_id and row.group_id.reseller_id != row.client_id.reseller_id:
                raise ValidationError(
                    self.env._(
                        "The group %(group)s belongs to another reseller than the client %(client)s.",
                        group=row.group_id.name,
                        client=row.client_id.display_name,
                    )
                )

    @api.constrains("date_from", "date_to", "client_id")
    def _check_overlap(self):
        for client in self.client_id:
            rows = client.membership_ids.sorted("date_from")
            for row, following in pairwise(rows):
                if not row.date_to or row.date_to >= following.date_from:
                    raise ValidationError(
                        self.env._(
                            "%(client)s: the membership from %(first)s reaches into the one from "
                            "%(second)s. End it on the day before.",
                            client=client.display_name,
                            first=row.date_from,
                            second=following.date_from,
                        )
                    )

    def _describe_part(self):
        return self.env._("this membership")
