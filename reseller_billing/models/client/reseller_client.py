from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import pairwise

from odoo import api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL
from odoo.tools.misc import format_date

from ... import rating
from ..base.intervals import INTERVAL_UNITS
from .contract_contract import CLIENT

BILLING_ANCHORS = [("activation", "Day of activation"), ("month", "First of the month")]
# What says how an account's cycles run.
CYCLE = ("interval_count", "interval_unit", "billing_anchor")
# Only activation, bills and their voiding move these.
BILLING_OWNED = {
    "state",
    "billed_until",
    "next_bill_date",
    "rerate_from",
    "contract_id",
    "former_ref",
    "former_until",
}
NEW = ("state", "draft")
# Says to the guard of billed days that a manager takes some of them back; no request can send it.
DATED_BACK = object()


class ResellerClient(models.Model):
    _name = "reseller.client"
    _description = "Client's Billing Account"
    _inherit = [
        "mail.thread",
        "mail.activity.mixin",
    ]
    _order = "reseller_id, name, id"
    _check_company_auto = True
    _rec_names_search = ["name", "ref"]
    _billing_user_writes = frozenset(
        (
            *("active", "ref", "tz", *CYCLE),
            *("billing_start", "membership_ids", "enrolment_ids"),
        )
    )
    _billing_user_gives = frozenset(("partner_id", "reseller_id"))

    active = fields.Boolean(default=True)
    name = fields.Char(related="partner_id.name", store=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
    )
    reseller_id = fields.Many2one(
        "reseller.reseller",
        required=True,
        index=True,
        ondelete="restrict",
        tracking=True,
    )
    company_id = fields.Many2one(related="reseller_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="reseller_id.currency_id")
    ref = fields.Char(
        string="Reference",
        required=True,
        copy=False,
        tracking=True,
        help="The id by which usage events name this client.",
    )
    former_ref = fields.Char(
        string="Former Reference",
        readonly=True,
        copy=False,
        help="The reference that went over to another reseller's account. "
        "Usage of days that were served here still finds this account by it.",
    )
    former_until = fields.Date(
        readonly=True, copy=False, help="The last day whose usage finds it by that reference."
    )
    tz = fields.Selection(_tz_get, string="Time Zone", help="Empty: the reseller's.")
    state = fields.Selection(
        [("draft", "New"), ("active", "Active"), ("closed", "Closed")],
        required=True,
        default="draft",
        copy=False,
        tracking=True,
    )

    # Billing cycle
    interval_count = fields.Integer(string="Bill Every", required=True, default=1, tracking=True)
    interval_unit = fields.Selection(
        INTERVAL_UNITS, string="Cycle Unit", required=True, default="month", tracking=True
    )
    billing_anchor = fields.Selection(
        BILLING_ANCHORS,
        string="Cycles Begin On",
        required=True,
        default="activation",
        tracking=True,
    )
    cycle_from = fields.Date(
        string="Billed So From",
        compute="_compute_cycle_from",
        help="The day from which the client is billed so; until then as its service says.",
    )
    billing_start = fields.Date(
        tracking=True,
        copy=False,
        help="Nothing before this day is billed here: another system did. "
        "Trial and bonus count from activation all the same. Empty: billed from activation.",
    )
    trial_until = fields.Date(
        string="Trial Extended Until",
        tracking=True,
        copy=False,
        help="Trials that ran on the day when they were extended last until this day, inclusive.",
    )
    trial_extended_on = fields.Date(readonly=True, copy=False)
    billed_until = fields.Date(
        readonly=True, copy=False, help="The last day whose use has been billed."
    )
    next_bill_date = fields.Date(readonly=True, copy=False, index=True)
    rerate_from = fields.Date(
        readonly=True,
        copy=False,
        help="The next bill rates cycles again from this billed day on: it was unpriced before.",
    )
    cash_rounding_id = fields.Many2one(
        "account.cash.rounding",
        groups="account.group_account_invoice,account.group_account_readonly",
        tracking=True,
        help="How this client's invoices are rounded; empty: as the reseller's clients' are.",
    )
    contract_id = fields.Many2one("contract.contract", readonly=True, copy=False, index=True)

    # Service
    membership_ids = fields.One2many("reseller.client.membership", "client_id", string="Service")
    enrolment_ids = fields.One2many("reseller.client.feature", "client_id", string="Enrolments")
    activation_date = fields.Date(compute="_compute_service_dates")
    close_date = fields.Date(compute="_compute_service_dates")
    group_id = fields.Many2one(
        "reseller.client.group", compute="_compute_group_id", search="_search_group_id"
    )

    price_rule_ids = fields.One2many("reseller.price.rule", "client_id", string="Own Prices")
    statement_ids = fields.One2many("reseller.statement", "client_id", string="Statements")
    statement_count = fields.Integer(compute="_compute_statement_count")
    pricing_html = fields.Html(compute="_compute_pricing_html", sanitize=False)
    usage_html = fields.Html(compute="_compute_usage_html", sanitize=False)

    _ref_uniq = models.Constraint(
        "UNIQUE (company_id, ref)", "Another client of this company has this reference already."
    )
    _interval_positive = models.Constraint(
        "CHECK (interval_count > 0)", "A billing cycle has at least one day, week, month or year."
    )
    _due = models.Index("(company_id, next_bill_date) WHERE state != 'draft'")
    _former_ref = models.Index("(company_id, former_ref) WHERE former_ref IS NOT NULL")

    # Compute

    @api.depends("partner_id.name", "ref")
    def _compute_display_name(self):
        for client in self:
            name = client.partner_id.name or ""
            client.display_name = f"{name} [{client.ref}]" if client.ref else name

    @api.depends("membership_ids.date_from", "membership_ids.date_to")
    def _compute_service_dates(self):
        for client in self:
            rows = client.membership_ids.filtered("date_from").sorted("date_from")
            client.activation_date = rows[:1].date_from
            client.close_date = rows[-1:].date_to

    @api.depends("membership_ids.date_from", "membership_ids.anchor_date")
    def _compute_cycle_from(self):
        for client in self:
            changes = client._get_cycle_changes() if client.state != "draft" else []
            client.cycle_from = max(
                (day for day in changes if day > client._today()), default=False
            )

    @api.depends("membership_ids.group_id", "membership_ids.date_from", "membership_ids.date_to")
    def _compute_group_id(self):
        for client in self:
            today = client._today()
            client.group_id = client._membership_on(today).group_id

    def _search_group_id(self, operator, value):
        if operator != "in":
            return NotImplemented
        today = fields.Date.context_today(self)
        rows = self.env["reseller.client.membership"].search(
            [
                ("group_id", "in", [one for one in value if one]),
                ("date_from", "<=", today),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", today),
            ]
        )
        return [("id", "in", rows.client_id.ids)]

    def _compute_statement_count(self):
        counts = dict(
            self.env["reseller.statement"]._read_group(
                [("client_id", "in", self.ids)], ["client_id"], ["__count"]
            )
        )
        for client in self:
            client.statement_count = counts.get(client, 0)

    def _compute_pricing_html(self):
        for client in self:
            rows = client._get_pricing()
            client.pricing_html = self.env["ir.qweb"]._render(
                "reseller_billing.client_pricing",
                {
                    "rows": [row for row in rows if row["winner"]],
                    "unpriced": [row["feature"].name for row in rows if not row["winner"]],
                },
            )

    def _compute_usage_html(self):
        for client in self:
            client.usage_html = self.env["ir.qweb"]._render(
                "reseller_billing.client_usage",
                {
                    "rows": client.current_usage() if client.state == "active" else [],
                    "day": partial(format_date, self.env),
                    "number": lambda text: self.env["res.lang"]._format_exact(Decimal(text)),
                    "money": lambda text, client=client: client.currency_id._format_exact(
                        Decimal(text)
                    ),
                },
            )

    # Constraints and changes

    @api.constrains("reseller_id", "billing_start")
    def _check_unbilled(self):
        billed = self.filtered("billed_until")
        if billed:
            billed._raise_billed(self.env._("the reseller or the start of billing"))

    @api.constrains("state", "membership_ids")
    def _check_service(self):
        for client in self:
            if client.state == "active" and not client.membership_ids:
                raise ValidationError(
                    self.env._("%s is active: say since when it is served.", client.display_name)
                )

    @api.constrains("active")
    def _check_archived(self):
        for client in self:
            if not client.active and client.state == "active" and not client.close_date:
                raise ValidationError(
                    self.env._(
                        "%s is served and would go on being billed unseen: "
                        "give its service a last day first.",
                        client.display_name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            # The web client sends a new record's defaults along.
            self._check_billing_owned(
                {name for name, value in vals.items() if value and (name, value) != NEW}
            )
        return super().create(vals_list)

    def write(self, vals):
        self._check_billing_owned(vals.keys())
        if "reseller_id" in vals:
            for client in self:
                if client.state != "draft" and client.reseller_id.id != vals["reseller_id"]:
                    raise UserError(
                        self.env._(
                            "%s is active: move it to another reseller by Change Service.",
                            client.display_name,
                        )
                    )
        extends = {"trial_until", "trial_extended_on"} & vals.keys()
        trials = self._load_billed_trials() if extends else None
        self._give_cycle({name: vals[name] for name in CYCLE if name in vals})
        if "partner_id" in vals:
            with self._keep_users_apart():
                done = super().write(vals)
        else:
            done = super().write(vals)
        if trials is not None and self._load_billed_trials() != trials:
            self.filtered("billed_until")._raise_billed(self.env._("a longer or shorter trial"))
        if "billing_start" in vals:
            self._follow_service()
        if {"interval_count", "interval_unit", "membership_ids"} & vals.keys():
            self._sync_contracts()
        return done

    def _give_cycle(self, vals):
        """Give other cycles to all days of service since they last changed, which no bill may have."""
        for client in self if vals else ():
            given = client.membership_ids.browse()
            for row in client.membership_ids.sorted("date_from"):
                if given and row._changes_cycle_of(given[-1:]):
                    given = given.browse()
                given |= row
            given = given.filtered(lambda row: any(row[name] != vals[name] for name in vals))
            until = client.billed_until
            if until and any(row.date_from <= until for row in given):
                client._raise_billed(self.env._("the billing cycle"))
            given.write(vals)

    def _follow_cycle(self):
        """Have accounts say the cycle that their service has at the end."""
        for client in self:
            row = client.membership_ids.filtered("date_from").sorted("date_from")[-1:]
            vals = {name: row[name] for name in CYCLE if row and row[name] != client[name]}
            if vals:
                client.write(vals)

    def _check_billing_user_writes(self, names):
        """Override of `base`: what is not served yet may be entered anew."""
        if all(client.state == "draft" for client in self):
            names -= self._billing_user_gives
        return super()._check_billing_user_writes(names)

    @api.model
    def _get_billing_owned(self):
        """Return the names of the fields that billing itself keeps."""
        return BILLING_OWNED

    def _check_billing_owned(self, names):
        owned = self._get_billing_owned() & names
        if owned and not self.env.su:
            raise UserError(
                self.env._("Billing itself keeps these values: %s.", ", ".join(sorted(owned)))
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billed(self):
        if self.statement_ids.filtered(lambda statement: statement.state != "preview"):
            raise UserError(
                self.env._(
                    "A client that has been billed cannot be deleted: "
                    "end its service and archive it instead."
                )
            )

    def unlink(self):
        """Override of `base`: an account's contract goes with it."""
        contracts_sudo = self.contract_id.sudo()  # they belong to their accounts
        contracts_sudo = contracts_sudo.with_context(reseller_sync=CLIENT)
        contracts_sudo.reseller_client_id = False
        with self._keep_users_apart():
            done = super().unlink()
        contracts_sudo.unlink()
        return done

    def _raise_billed(self, what):
        """Refuse a change of days that are billed; name the first free day (rating 23)."""
        client = max(self, key=lambda one: one.billed_until)
        raise ValidationError(
            self.env._(
                "%(client)s is billed until %(until)s: %(what)s may not alter a day before that. "
                "The first free day is %(free)s.",
                client=client.display_name,
                until=client.billed_until,
                what=what,
                free=fields.Date.add(client.billed_until, days=1),
            )
        )

    @contextmanager
    def _guard_billed_days(self, what):
        """Refuse, at the end, what alters billed days of service, group or enrolment."""
        self._take_turn()
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

    def _take_turn(self):
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
                    ("state", "in", ("approved", "invoiced")),
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
            # A price manager need not have rights on every account that the price reaches.
            for client in self.sudo():
                client.rerate_from = min(filter(None, (client.rerate_from, day)))
            self._expect_bill()

    def _expect_bill(self, day=None):
        """Give closed accounts that had their last bill a date for one more, not before a day."""
        # Billing keeps the date; what is billed was entered by who may do so.
        for client_sudo in self.sudo().filtered(lambda one: one.state == "closed"):
            wanted = client_sudo.next_bill_date or day or client_sudo._today()
            client_sudo.next_bill_date = max(wanted, day or wanted)

    # Actions

    def action_activate(self):
        """Begin service, today where no day was given, and make the account billable.

        What lies before `billing_start` another system has billed.
        """
        for client in self.filtered(lambda one: one.state == "draft"):
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
        self.filtered(lambda one: not one.contract_id)._create_contracts()
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
            client.membership_ids.filtered(lambda one: one.date_from > date).write(vals)

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
            rows.filtered(lambda one: one.date_from > date).unlink()
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
            [("feature_id", "=", feature.id), ("enrolment", "!=", "opt_in")], limit=1
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

    def action_bill_now(self, date=None):
        """Bill accounts at once, up to a day, instead of with their next bill.

        What has changed in cycles that are paid ahead is due with this bill, prorated, and so is the use
        until then. The next bill comes when it would have come.

        :param date date: the bill date, local to the client; today
        :return: the statements, of kind *instant*, of those accounts that have something due
        :raise UserError: when a bill is due before, when the day is to come or billed, when nothing is
            due, and where bills are approved by somebody else
        :raise AccessError: without the group Billing Manager
        """
        self.env["res.users"]._check_billing_manager()
        statements = self.env["reseller.statement"]
        for company in self.company_id:
            if company.reseller_approver_differs:
                raise UserError(
                    self.env._(
                        "At %s bills are approved by somebody else: prepare a run, which bills what has "
                        "changed.",
                        company.name,
                    )
                )
        self.company_id._take_turn_with_prices()
        self.lock_for_update()
        self.invalidate_recordset(["state", "billed_until", "next_bill_date"])
        for client in self:
            today = client._today()
            day = fields.Date.to_date(date) or today
            if client.state != "active" or not client.billed_until:
                raise UserError(
                    self.env._("%s has no bill yet that this one could follow.", client.name)
                )
            if not client.billed_until < day <= today:
                raise UserError(
                    self.env._(
                        "%(client)s is billed until %(until)s: choose a day after that, and no later "
                        "than today.",
                        client=client.name,
                        until=client.billed_until,
                    )
                )
            made = client.statement_ids.filtered(
                lambda one, day=day: (
                    one.bill_date == day
                    and one.kind == "instant"
                    and one.state in ("approved", "invoiced")
                )
            )
            if made:
                raise UserError(
                    self.env._(
                        "%(bill)s was made at once on that day: what came later is due tomorrow, or with "
                        "the next bill.",
                        bill=made.name,
                    )
                )
            if freed := client._get_freed_statements():
                raise UserError(
                    self.env._(
                        "The days of %(bill)s, which is void, are to be billed again first: bill those by "
                        "a run.",
                        bill=freed[0].name,
                    )
                )
            if client.next_bill_date <= day:
                raise UserError(
                    self.env._(
                        "%(client)s has a bill due on %(date)s, which comes first: bill that.",
                        client=client.name,
                        date=client.next_bill_date,
                    )
                )
            with self.env.cr.savepoint() as savepoint:
                statement = statements._bill_at_once(client, day)
                due = bool(statement.charge_ids)
                if not due:
                    savepoint.rollback()
            if due:
                statements |= statement
            else:
                self.env.invalidate_all(flush=False)
        if not statements:
            raise UserError(self.env._("Nothing of %s is due now.", ", ".join(self.mapped("name"))))
        return statements

    def _take_back_from(self, day, dated_back, what):
        """Return this account to change its service from a day on.

        :param dated_back: whether billed days may be taken back, which the next bill then does
        :param what: what changes, in words
        """
        self.ensure_one()
        if not self.billed_until or day > self.billed_until:
            return self
        if not dated_back:
            self._raise_billed(what)
        self.env["res.users"]._check_billing_manager()
        oldest = self.env["reseller.usage.line"]._get_oldest_day(self.company_id)
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
        self._rate_again_from(day)
        return self.with_context(reseller_dated_back=DATED_BACK)

    def action_extend_trial(self, date):
        """Have the running trials of accounts last until a day, where they would end before.

        :param date date: the last day of the trial, local to the client
        :raise UserError: when no trial of an account is running, or days after it are billed
        """
        last = fields.Date.to_date(date)
        for client in self:
            rates, today = self.env["reseller.rating"], client._today()
            trials = rates._load_trials(client, last).values() if client.state == "active" else ()
            ends = [once.trial_end for once in trials if once.trial_end >= today]
            if not ends:
                raise UserError(
                    self.env._(
                        "%s has no running trial that could be extended: a price gives one.",
                        client.name,
                    )
                )
            if last <= min(ends):
                raise UserError(
                    self.env._(
                        "The trial of %(client)s lasts until %(until)s: choose a later day.",
                        client=client.name,
                        until=min(ends),
                    )
                )
            vals = {"trial_until": last}
            if not client.trial_until or client.trial_until < today:
                vals["trial_extended_on"] = today
            client.write(vals)

    def _load_billed_trials(self):
        """Return {(client id, feature id): last day of its trial that is billed}."""
        self.flush_recordset()
        found = {}
        for client in self.filtered("billed_until"):
            trials = self.env["reseller.rating"]._load_trials(client, client.billed_until)
            for feature, once in trials.items():
                found[client.id, feature] = min(once.trial_end, client.billed_until)
        return found

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
            # Billing keeps these values; a final bill that is still due goes first.
            client.sudo().write(
                {
                    "state": "active",
                    "next_bill_date": date
                    if client.state == "closed"
                    else min(client.next_bill_date, date),
                }
            )
        self._follow_service()
        self._sync_contracts()

    def action_move_to_reseller(self, reseller, group, date):
        """Close accounts at one reseller and open them at another.

        The new account takes over the reference. Use of days before still finds the old one.

        :param reseller: a reseller.reseller of the same company
        :param group: one of its groups, or empty
        :param date date: the first day at the new reseller, local to the client
        :return: the new accounts, active
        """
        date = fields.Date.to_date(date)
        opened = self.browse()
        for client in self:
            if reseller.company_id != client.company_id or reseller == client.reseller_id:
                raise UserError(
                    self.env._(
                        "%s can move to another reseller of its company: choose one.", client.name
                    )
                )
            served = client._membership_on(date)
            cycle = {name: served[name] for name in CYCLE if served}
            client.action_close(fields.Date.subtract(date, days=1))
            ref = client.ref
            client.ref = f"{ref}/{date}"
            client.sudo().write(  # only moving keeps these values
                {"former_ref": ref, "former_until": fields.Date.subtract(date, days=1)}
            )
            client.flush_recordset(["ref"])  # the new account takes the reference
            # What a manager has set for it goes along, whoever moves it.
            following_sudo = client.sudo().copy(  # as the line above says
                {
                    "reseller_id": reseller.id,
                    "ref": ref,
                    # The same days: an event of the last hours finds one of the two.
                    "tz": client.tz or client.reseller_id.tz,
                    "billing_start": client.billing_start
                    and client.billing_start > date
                    and client.billing_start,
                    **cycle,
                    "membership_ids": [
                        fields.Command.create({"date_from": date, "group_id": group.id})
                    ],
                    "enrolment_ids": [
                        fields.Command.create(
                            {
                                "feature_id": row.feature_id.id,
                                "date_from": max(row.date_from, date),
                                "date_to": row.date_to,
                                "quantity": row.quantity,
                            }
                        )
                        for row in client.enrolment_ids
                        if not row.date_to or row.date_to >= date
                    ],
                }
            )
            following = following_sudo.with_env(self.env)
            following.action_activate()
            following._take_over(client, date)
            following.message_post(
                body=self.env._(
                    "Came from %(reseller)s, where its account was %(account)s.",
                    reseller=client.reseller_id.display_name,
                    account=client.display_name,
                )
            )
            opened |= following
        return opened

    def _take_over(self, former, day):
        """Take over from an account at another reseller what is to be billed from a day on.

        That is the contract's header and extra lines, from the periods on that begin by then, and
        charges and credits by hand of later days. What is in another currency stays.
        """
        self.ensure_one()
        old_sudo = former.contract_id.sudo()  # contracts belong to their accounts
        new_sudo = self.contract_id.sudo()  # as above
        header = ("payment_term_id", "fiscal_position_id", "journal_id", "invoice_partner_id")
        new_sudo.write(
            {
                **{name: old_sudo[name].id for name in header},
                "tag_ids": [fields.Command.set(old_sudo.tag_ids.ids)],
                "note": old_sudo.note,
            }
        )
        lines_sudo = old_sudo.contract_line_ids.filtered(
            lambda line: not line.display_type and not line.is_canceled
        )
        starts = {line: line._get_start_after(day) for line in lines_sudo}
        items_sudo = former.env["reseller.manual.charge"].sudo()  # of the account, as above
        items_sudo = items_sudo.search(
            [("client_id", "=", former.id), ("state", "=", "waiting"), ("date", ">=", day)]
        )
        if self.currency_id != former.currency_id:
            left = [line.name for line, start in starts.items() if start]
            left += items_sudo.mapped("name")
            if left:
                self.message_post(
                    body=self.env._(
                        "These are in %(currency)s and stay with the former account: %(names)s",
                        currency=former.currency_id.name,
                        names=", ".join(left),
                    )
                )
            return
        items_sudo.client_id = self
        for line, start in starts.items():
            if start:
                [vals] = line.copy_data(
                    {
                        "contract_id": new_sudo.id,
                        "date_start": start,
                        "date_end": line.date_end,
                        "last_date_invoiced": False,
                    }
                )
                vals.pop("recurring_next_date", None)
                line.create(vals)

    def action_view_statements(self):
        """Open the client's statements."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Statements"),
            "res_model": "reseller.statement",
            "view_mode": "list,form",
            "domain": [("client_id", "=", self.id)],
        }

    def action_view_charges(self):
        """Open the client's charges."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Charges"),
            "res_model": "reseller.charge",
            "view_mode": "list,pivot,graph,form",
            "domain": [("client_id", "=", self.id)],
        }

    def action_view_usage(self):
        """Open the client's use by day."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Usage"),
            "res_model": "reseller.usage.daily",
            "view_mode": "list,pivot,graph",
            "domain": [("client_id", "=", self.id)],
        }

    def action_view_invoices(self):
        """Open the invoices of the client's statements."""
        self.ensure_one()
        return self.env["account.move"]._get_bills_action([("reseller_client_id", "=", self.id)])

    def action_preview(self):
        """Show what a bill of the next bill date would be."""
        self.ensure_one()
        statement = self.preview_statement(self.next_bill_date)
        return {
            "type": "ir.actions.act_window",
            "res_model": "reseller.statement",
            "view_mode": "form",
            "res_id": statement.id,
        }

    # Public methods

    def current_usage(self):
        """Return this client's use in its running cycles, as known now.

        :return: a list, one entry per feature with a price or with use: ``feature`` (id), ``code``,
            ``name``, ``cycle_start`` and ``cycle_end`` (local days, inclusive), ``used``,
            ``included_left`` (of all free units), ``prepaid_left`` (of packages) and ``payable``
            (units, exact decimal strings),
            ``maximum`` (units per cycle, False for none) and ``amount`` (of use so far, without
            fees, an exact decimal string in the client's currency, tax excluded)
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["reseller.rating"]._current_usage(self)

    def preview_statement(self, date):
        """Return the statement, in state preview, that a bill of `date` would be.

        :param date: the bill date, local to the client; as a date or an ISO string
        :return: a reseller.statement; it claims nothing, and there is one per client
        :raise UserError: when the account is not active, or billed beyond that date
        """
        self.ensure_one()
        self.check_access("read")
        return self.env["reseller.statement"]._preview(self, fields.Date.to_date(date))

    # Helpers

    def _get_billed_spans(self):
        """Return [(first, last)] of the days of service that are billed here; open ends are far."""
        self.ensure_one()
        start = self.billing_start or date.min
        return [
            (max(row.date_from, start), row.date_to or date.max)
            for row in self.membership_ids
            if (row.date_to or date.max) >= start
        ]

    def _today(self):
        """Return today's date where the client is."""
        return fields.Date.context_today(self.with_context(tz=self._get_tz()))

    def _get_tz(self):
        self.ensure_one()
        return self.tz or self.reseller_id.tz

    def _membership_on(self, day):
        self.ensure_one()
        return self.membership_ids.filtered(
            lambda row: (
                row.date_from and row.date_from <= day and (not row.date_to or day <= row.date_to)
            )
        )[:1]

    def _get_cycle_changes(self):
        """Return the days on which other cycles begin while service goes on."""
        self.ensure_one()
        return [
            row.date_from
            for before, row in pairwise(
                self.membership_ids.filtered("date_from").sorted("date_from")
            )
            if row._changes_cycle_of(before) and row._goes_on_from(before)
        ]

    def _service_at(self, day):
        """Return the row of a day, of the last before, or the first."""
        self.ensure_one()
        rows = self.membership_ids.sorted("date_from")
        return rows.filtered(lambda one: one.date_from <= day)[-1:] or rows[:1]

    def _bill_date_after(self, day):
        """Return the first bill date after a day.

        That is a cycle's first day, the day after closing, or the day of reopening.
        """
        self.ensure_one()
        row = self._service_at(day)
        dates = [next(rating.bill_dates_after(row.anchor_date, row._get_interval(), day))]
        return min(dates + [one for one in self._get_turns() if one > day])

    def _had_instant(self, day):
        """Whether the bill of a day that was voided last was made at once: so is the one instead."""
        self.ensure_one()
        made = self.statement_ids.filtered(
            lambda one: one.bill_date == day and one.kind != "manual" and one.state != "preview"
        ).sorted("id")[-1:]
        is_void = made.kind == "instant" and made.state == "void"
        return is_void and day not in self._get_cycle_changes()

    def _get_cash_rounding(self):
        """Return the account.cash.rounding of this client's invoices, or none."""
        self.ensure_one()
        client_sudo = self.sudo()  # billing users need not see how accountants round
        return client_sudo.cash_rounding_id or client_sudo.reseller_id.cash_rounding_id

    def _get_freed_statements(self):
        """Return the void bills whose days are to be billed again, before any later one, in order; as the
        system.
        """
        statements_sudo = self.env["reseller.statement"].sudo()  # who asks need not see bills
        return statements_sudo.search(
            [("client_id", "in", self.ids), ("is_freed", "=", True)], order="bill_date, id"
        )

    def _get_billed_until(self, without):
        """Return the last billed day as it is without some statements, or False."""
        self.ensure_one()
        last = self.env["reseller.statement"].search(
            [
                ("client_id", "=", self.id),
                ("state", "in", ("approved", "invoiced")),
                ("kind", "!=", "manual"),
                ("id", "not in", without.ids),
            ],
            order="bill_date desc, id desc",
            limit=1,
        )
        return last and fields.Date.subtract(last.bill_date, days=1)

    def _get_turns(self):
        """Return {day: kind of bill} of the days after closing, of reopening and of other cycles."""
        self.ensure_one()
        rows = self.membership_ids.sorted("date_from")
        starts = set(rows.mapped("date_from"))
        following = {fields.Date.add(row.date_to, days=1) for row in rows if row.date_to}
        turns = {
            **dict.fromkeys(self._get_cycle_changes(), "cycle"),
            **dict.fromkeys(starts - following, "opening"),
            **dict.fromkeys(following - starts, "final"),
        }
        closed, until = self.close_date, self.billed_until
        if self.state == "active" and closed and until and closed < until:
            # Dated back: days after it are billed already.
            turns[fields.Date.add(until, days=1)] = "final"
        return turns

    def _get_pricing(self):
        """Return the winning rule of every feature today, with what it overrides."""
        self.ensure_one()
        if not self.reseller_id:  # of a form that is not filled in yet
            return []
        day = self._today()
        return self.reseller_id._get_pricing(day, self._membership_on(day).group_id, self)

    # Contract

    def _prepare_contract_vals(self):
        self.ensure_one()
        return {
            "name": self.display_name,
            "code": self.ref,
            "partner_id": self.partner_id.id,
            "company_id": self.company_id.id,
            "manual_currency_id": self.currency_id.id,
            "contract_type": "sale",
            "generation_type": "reseller",
            "line_recurrence": True,
            "reseller_client_id": self.id,
            "user_id": False,
        }

    def _create_contracts(self):
        for company, clients in self.grouped("company_id").items():
            # Billing users need not have rights on contracts; this one is made for the account.
            contracts_sudo = (
                self.env["contract.contract"]
                .sudo()
                .with_company(company)
                .with_context(tracking_disable=True)
                .create([client._prepare_contract_vals() for client in clients])
            )
            for client, contract_sudo in zip(clients, contracts_sudo, strict=True):
                client.sudo().contract_id = contract_sudo.id  # billing keeps this value
                # By hand only: empty, the partner's invoice address at billing time serves.
                contract_sudo.invoice_partner_id = False

    def _sync_contracts(self):
        """Write each contract's recurrence and next date from its client, which owns the cycle."""
        types = {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}
        for client in self.filtered("contract_id"):
            row = client._service_at(client.next_bill_date or date.max)
            # The contract's dates only mirror the client's; rights on the client are enough.
            client.contract_id.sudo().with_context(reseller_sync=CLIENT).write(
                {
                    "recurring_rule_type": types[row.interval_unit],
                    "recurring_interval": row.interval_count,
                    "date_start": client.activation_date,
                    "recurring_next_date": client.next_bill_date,
                    "manual_currency_id": client.currency_id.id,
                }
            )

    @api.model
    def _due_sql(self, run, now, waiting=False):
        """Return the query for the due accounts of a run, which need not be saved yet.

        :param waiting: for those, instead, whose bill date has come and whose delay is not over

        An account is due when the time in its zone is the billing delay past the start of its
        bill date (rating 4). A closed one is due for late use, days that have a price only now, and
        charges and credits by hand. Accounts that the run has parked wait
        for a retry, those it has prepared for approval.
        """
        return SQL(
            """
            SELECT client.id
              FROM reseller_client client
              JOIN res_company company ON company.id = client.company_id
              JOIN reseller_reseller reseller ON reseller.id = client.reseller_id
             WHERE client.company_id = %(company)s
               AND (client.next_bill_date <= %(date)s AND (client.state = 'active' OR client.state = 'closed' AND (
                   client.rerate_from IS NOT NULL
                   OR EXISTS (
                       SELECT FROM reseller_usage_daily bucket
                         JOIN reseller_client_membership row
                           ON row.client_id = client.id
                          AND bucket.billing_date BETWEEN row.date_from
                              AND COALESCE(row.date_to, 'infinity')
                        WHERE bucket.client_id = client.id
                          AND bucket.statement_id IS NULL)
                   OR EXISTS (
                       SELECT FROM reseller_manual_charge item
                        WHERE item.client_id = client.id
                          AND item.statement_id IS NULL
                          AND item.is_withdrawn IS NOT TRUE
                          AND item.date <= client.next_bill_date)))
                   AND client.next_bill_date::timestamp
                       AT TIME ZONE COALESCE(client.tz, reseller.tz) <= %(now)s AT TIME ZONE 'UTC'
                   AND %(over)s
                   OR %(freed)s)
               AND NOT EXISTS (
                   SELECT FROM reseller_billing_run_line line
                    WHERE line.run_id = %(run)s
                      AND line.client_id = client.id
                      AND line.state = 'parked')
               AND NOT EXISTS (
                   SELECT FROM reseller_statement preview
                    WHERE preview.run_id = %(run)s
                      AND preview.client_id = client.id
                      AND preview.state = 'preview')
            """,
            company=run.company_id.id,
            date=run.date or None,
            run=run._origin.id or None,
            now=now,
            over=self._delay_over_sql(run, now, waiting),
            freed=SQL("FALSE") if waiting else self._freed_sql(run),
        )

    @api.model
    def _freed_sql(self, run):
        """Return the condition that days of a `client` are to be billed again by a run."""
        return SQL(
            """
            EXISTS (
                SELECT FROM reseller_statement freed
                 WHERE freed.client_id = client.id AND freed.is_freed
                   AND freed.bill_date <= %s)
            """,
            run.date or None,
        )

    @api.model
    def _delay_over_sql(self, run, now, waiting):
        """Return the condition that the billing delay is over, or that it is waited for."""
        if run.ignores_delay:
            return SQL("FALSE") if waiting else SQL("TRUE")
        return SQL(
            "(%s <= %s AT TIME ZONE 'UTC') IS %s",
            self._due_at_sql(),
            now,
            SQL("FALSE") if waiting else SQL("TRUE"),
        )

    @api.model
    def _due_at_sql(self):
        """Return the moment at which the bill of a `client` of a `reseller` and `company` is due."""
        return SQL(
            "(client.next_bill_date::timestamp"
            " + COALESCE(company.reseller_billing_delay, 0) * interval '1 hour')"
            " AT TIME ZONE COALESCE(client.tz, reseller.tz)"
        )

    @api.model
    def _lock_due_sql(self, run, now, limit):
        """Return the query that locks the next due accounts of a run, skipping locked ones."""
        return SQL(
            "%s ORDER BY client.next_bill_date, client.id LIMIT %s "
            "FOR NO KEY UPDATE OF client SKIP LOCKED",
            self._due_sql(run, now),
            limit,
        )
