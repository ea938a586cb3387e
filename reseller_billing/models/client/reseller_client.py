from datetime import date
from itertools import pairwise

from odoo import api, fields, models
from odoo.addons.base.models.res_partner import _tz_get
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ... import rating
from ..base.intervals import INTERVAL_UNITS
from .contract_contract import CLIENT

# The two sides of a reseller's business: what clients pay, and what it pays for them.
BOOKS = [("retail", "Retail"), ("wholesale", "Wholesale")]
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
    buys_for_id = fields.Many2one(
        "reseller.reseller",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="The reseller that pays by this account for what its clients use. Empty: a client's account.",
    )
    book = fields.Selection(
        BOOKS,
        compute="_compute_book",
        search="_search_book",
        help="Wholesale: of a reseller that buys. Retail: of a client.",
    )
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

    @api.depends("buys_for_id")
    def _compute_book(self):
        for client in self:
            client.book = "wholesale" if client.buys_for_id else "retail"

    def _search_book(self, operator, value):
        if operator != "in":
            return NotImplemented
        buys = Domain("buys_for_id", "!=", False)
        return Domain.OR([buys if book == "wholesale" else ~buys for book in value])

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
                ("group_id", "!=" if False in value else "in", False if False in value else value),
                ("date_from", "<=", today),
                "|",
                ("date_to", "=", False),
                ("date_to", ">=", today),
            ]
        )
        if False in value:
            others = rows.filtered(lambda row: row.group_id.id not in value)
            return [("id", "not in", others.client_id.ids)]
        return [("id", "in", rows.client_id.ids)]

    def _field_to_sql(self, alias, field_expr, query=None):
        """Override of `base`: clients are grouped by the group that they are in today, as they are found."""
        if field_expr != "group_id":
            return super()._field_to_sql(alias, field_expr, query)
        self._check_field_access(self._fields["group_id"], "read")
        return SQL(
            """
            (SELECT row.group_id FROM reseller_client_membership row
              WHERE row.client_id = %(client)s AND row.date_from <= %(today)s
                AND COALESCE(row.date_to >= %(today)s, TRUE))
            """,
            client=SQL.identifier(alias, "id"),
            today=fields.Date.context_today(self),
        )

    # Constraints and changes

    @api.constrains("reseller_id", "billing_start")
    def _check_unbilled(self):
        billed = self.filtered("billed_until")
        if billed:
            billed._raise_billed(self.env._("the reseller or the start of billing"))

    @api.constrains("buys_for_id", "reseller_id")
    def _check_seller(self):
        """A buyer's account is with a seller that is not, directly or in turn, the buyer itself."""
        for client in self.filtered("buys_for_id"):
            buyer, seller = client.buys_for_id, client.reseller_id
            if (buyer.company_id, buyer.currency_id) != (seller.company_id, seller.currency_id):
                raise ValidationError(
                    self.env._(
                        "%(buyer)s is billed in %(currency)s by %(company)s: it can buy from a seller of that "
                        "company and currency alone.",
                        buyer=buyer.name,
                        currency=buyer.currency_id.name,
                        company=buyer.company_id.name,
                    )
                )
            names, one = [buyer.name], seller
            while one and one != buyer:
                names.append(one.name)
                one = one.sudo().buyer_ids[:1].reseller_id  # of every company that sells
            if one:
                raise ValidationError(
                    self.env._(
                        "A reseller cannot buy from itself: %s.", " → ".join([*names, buyer.name])
                    )
                )
            if buyer.is_house or not seller.is_house:
                raise ValidationError(
                    self.env._(
                        "%(buyer)s buys from the provider's house: choose that as seller, not %(seller)s.",
                        buyer=buyer.name,
                        seller=seller.name,
                    )
                )

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
        if "buys_for_id" in vals and any(
            client.state != "draft" and client.buys_for_id.id != vals["buys_for_id"]
            for client in self
        ):
            raise UserError(
                self.env._("Whom an account buys for stays: close it, and set up another one.")
            )
        self._give_cycle({name: vals[name] for name in CYCLE if name in vals})
        if {"tz", "billing_start"} & vals.keys():
            self._keep_usage_out()
        done = super().write(vals)
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
        done = super().unlink()
        contracts_sudo.unlink()
        return done

    # Actions

    # Public methods

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
        return rows.filtered(lambda row: row.date_from <= day)[-1:] or rows[:1]

    def _bill_date_after(self, day):
        """Return the first bill date after a day.

        That is a cycle's first day, the day after closing, or the day of reopening.
        """
        self.ensure_one()
        row = self._service_at(day)
        dates = [next(rating.bill_dates_after(row.anchor_date, row._get_interval(), day))]
        return min(dates + [turn for turn in self._get_turns() if turn > day])

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

    # Contract
