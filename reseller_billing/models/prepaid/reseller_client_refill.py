import logging
from collections import namedtuple
from decimal import Decimal
from functools import partial

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.service.model import retrying

from ... import rating

_logger = logging.getLogger(__name__)
# What only refills themselves write.
KEPT = {"refill_held", "refill_since", "refill_ids"}
# Units of a lot that no day's use empties.
PLENTY = Decimal(10) ** 15
# A refill that is due: of a feature's units, or of the wallet where it is None. `number` of them,
# each of `units` at `price`, as priced.
Need = namedtuple("Need", "feature number units price trigger")


class ResellerClient(models.Model):
    """Sells a client more by itself: money for all services, and units where a price says so.

    One refill at a time of each; what it sells may be used once it is paid.
    """

    _inherit = "reseller.client"

    refill_by = fields.Selection(
        [
            ("off", "Off"),
            ("card", "Saved payment method"),
            ("invoice", "Invoice, paid by hand"),
        ],
        required=True,
        default="off",
        copy=False,
        tracking=True,
        help="Of the wallet as set here, and of units where a price has a replenishment.",
    )
    refill_amount = fields.Monetary(
        copy=False,
        tracking=True,
        help="For all services. 0: the wallet is not refilled.",
    )
    refill_on = fields.Selection(
        [("threshold", "At a threshold"), ("day", "On a day of the month")],
        string="Refill When",
        required=True,
        default="threshold",
        copy=False,
        tracking=True,
    )
    refill_threshold = fields.Monetary(
        string="Threshold",
        copy=False,
        tracking=True,
        help="When the balance, less what is not billed yet, has come down to it.",
    )
    refill_day = fields.Integer(string="Day", default=1, copy=False, tracking=True)
    refill_max_charge = fields.Monetary(
        string="At Most Per Refill", copy=False, tracking=True, help="Taxes included. 0: no limit."
    )
    refill_max_day = fields.Monetary(string="At Most Per Day", copy=False, tracking=True)
    refill_max_month = fields.Monetary(string="At Most Per Month", copy=False, tracking=True)
    refill_since = fields.Date(
        readonly=True, copy=False, help="Since when the day of the month counts."
    )
    refill_held = fields.Char(string="Held Back Because", readonly=True, copy=False)
    refill_ids = fields.One2many("reseller.refill", "client_id", readonly=True)
    refill_state = fields.Selection(
        [
            ("off", "Off"),
            ("armed", "Armed"),
            ("in_flight", "In flight"),
            ("waiting", "Waits for payment"),
            ("retry", "Declined, waits for the next try"),
            ("paused", "Paused after declines"),
            ("held", "Held back"),
            ("no_method", "No payment method"),
        ],
        compute="_compute_refill_state",
    )

    _refill_positive = models.Constraint(
        "CHECK (COALESCE(refill_amount, 0) >= 0 AND COALESCE(refill_max_charge, 0) >= 0 "
        "AND COALESCE(refill_max_day, 0) >= 0 AND COALESCE(refill_max_month, 0) >= 0)",
        "Amounts and limits of refills must not be negative.",
    )
    _refill_day_range = models.Constraint(
        "CHECK (COALESCE(refill_day, 1) BETWEEN 1 AND 28)",
        "Choose a day from 1 to 28, which every month has.",
    )

    @api.depends("refill_by", "refill_held", "refill_ids.state", "collection_state")
    def _compute_refill_state(self):
        by_charge = {
            "waiting": "retry",
            "paused": "paused",
            "no_method": "no_method",
        }
        for client in self:
            is_open = any(refill.state == "open" for refill in client.refill_ids)
            if client.refill_by == "off":
                client.refill_state = "waiting" if is_open else "off"
            elif client.refill_by == "card" and client.collection_state in by_charge:
                client.refill_state = by_charge[client.collection_state]
            elif is_open:
                client.refill_state = "in_flight" if client.refill_by == "card" else "waiting"
            else:
                client.refill_state = "held" if client.refill_held else "armed"

    @api.constrains("refill_by", "refill_amount", "wallet_use", "reseller_id")
    def _check_refill(self):
        for client in self:
            if client.refill_by != "off" and client.reseller_id.invoice_to == "none":
                raise ValidationError(
                    self.env._(
                        "%s bills its clients itself: nothing can be sold to them by a refill.",
                        client.reseller_id.display_name,
                    )
                )
            if client.refill_by != "off" and client.refill_amount and client.wallet_use == "never":
                raise ValidationError(
                    self.env._(
                        "The wallet of %s pays for nothing: choose what it pays for, or no amount.",
                        client.display_name,
                    )
                )

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `base`: who may not charge may not have it done by a refill."""
        clients = super().create(vals_list)
        armed = clients.filtered(lambda client: client.refill_by != "off")
        if armed:  # by values, or by defaults of a context
            self.env["res.users"]._check_billing_manager()
            armed._count_days_from_now()
        return clients

    def write(self, vals):
        """Override of `base`: as for `create`."""
        chosen = {name for name in vals if name.startswith("refill_")} - KEPT
        if chosen:
            self.env["res.users"]._check_billing_manager()
        done = super().write(vals)
        if chosen:
            # Another limit may hold nothing back any more.
            self._release_refill()
        if chosen & {"refill_by", "refill_on", "refill_day"}:
            self._count_days_from_now()
        return done

    @api.model
    def _get_billing_owned(self):
        """Override: why a refill is held back."""
        return super()._get_billing_owned() | {"refill_held"}

    def _count_days_from_now(self):
        for client in self:
            client.sudo().refill_since = client._today()  # billing keeps this value

    def _release_refill(self):
        held = self.filtered("refill_held")
        if held:
            held.sudo().refill_held = False  # as above

    # What is due

    def _load_needs(self):
        """Return {client: [Need]} of the refills that are due now.

        Each is sized to end above its threshold. What has an open refill needs none.
        """
        clients = self.filtered(
            lambda client: client.refill_by != "off" and client.state == "active"
        )
        found = {client: [] for client in clients}
        for company, of_company in clients.grouped("company_id").items():
            with_money = of_company.filtered("refill_amount")
            by_threshold = with_money.filtered(lambda client: client.refill_on == "threshold")
            for number, balance in by_threshold._load_live_balances().items():
                client = self.browse(number)
                amount = rating.exact_of(client.refill_amount)
                need = _size(balance, rating.exact_of(client.refill_threshold), amount)
                if need:
                    found[client].append(Need(None, need, Decimal(1), amount, "threshold"))
            for client in (with_money - by_threshold).filtered(
                lambda account: account._is_refill_day()
            ):
                amount = rating.exact_of(client.refill_amount)
                found[client].append(Need(None, 1, Decimal(1), amount, "day"))
            self._add_unit_needs(company, of_company, found)
        refills = self.env["reseller.refill"].search(
            [
                ("client_id", "in", clients.ids),
                "|",
                ("state", "=", "open"),
                ("canceled_on", ">=", fields.Date.subtract(fields.Date.today(), days=1)),
            ]
        )
        taken = {
            (refill.client_id, refill.feature_id)
            for refill in refills
            if refill.state == "open" or refill.canceled_on == refill.client_id._today()
        }
        none = self.env["reseller.feature"]
        return {
            client: due
            for client, needs in found.items()
            if (due := [need for need in needs if (client, need.feature or none) not in taken])
        }

    def _is_refill_day(self):
        """Whether this month's refill on a fixed day is due."""
        self.ensure_one()
        today = self._today()
        due = today.replace(day=self.refill_day)
        made = self._find_refills_of_month().filtered(lambda refill: refill.trigger == "day")
        return (self.refill_since or due) <= due <= today and not made

    def _find_refills_of_month(self):
        """Return the refills of the client's month that are not cancelled."""
        self.ensure_one()
        return self.env["reseller.refill"].search(
            [
                ("client_id", "=", self.id),
                ("state", "!=", "canceled"),
                ("date", ">=", self._today().replace(day=1)),
            ]
        )

    def _add_unit_needs(self, company, clients, found):
        """Add the units that prices replenish, of clients that are enrolled today."""
        rules = self.env["reseller.price.rule"].search(
            [("company_id", "=", company.id), ("replenish_quantity", ">", 0)]
        )
        features = rules.feature_id
        if not features:
            return
        # What is bought today pays for today's use as well.
        states = self.env["reseller.rating"]._load_states(clients, features, PLENTY)
        for (number, feature), (cycle, use, rule) in states.items():
            client = self.browse(number)
            today = client._today()
            if not rule or not rule.refill_units or not cycle.is_enrolled_on(today):
                continue
            left = use.get_left(today) + use.prepaid.get_left(today) - PLENTY
            need = _size(left, rule.refill_threshold, rule.refill_units)
            if need:
                feature = self.env["reseller.feature"].browse(feature)
                units, price = rule.refill_units, rule.refill_price
                found[client].append(Need(feature, need, units, price, "threshold"))

    # Refilling

    @api.model
    def _cron_refill(self):
        """Sell what is due by threshold or day to each client, one a transaction."""
        cron = self.env["ir.cron"]
        clients = self.search([("refill_by", "!=", "off"), ("state", "=", "active")])
        try:
            due = list(clients._load_needs())
        except Exception:
            # One that cannot be rated keeps no other from being refilled.
            _logger.exception("Refills are looked at one by one")
            self.env.cr.rollback()
            due = list(clients)
        (clients - self.union(*due))._release_refill()
        for number, client in enumerate(due, 1):
            try:
                retrying(partial(client._refill), self.env)
            except Exception as error:
                self.env.cr.rollback()
                _logger.warning("Account %s cannot be refilled: %s", client.id, error)
                retrying(partial(client._hold_refill, str(error)), self.env)
            if not cron._report_batch(1, remaining=len(due) - number):
                return

    def _refill(self):
        """Sell what is due to this client, as far as the limits let; return the refills."""
        self.ensure_one()
        self._conflict_with_others()
        self.env.invalidate_all()
        needs = self._load_needs().get(self, ())
        return self.env["reseller.refill"].union(*(self._sell_refill(need) for need in needs))

    def action_refill_now(self):
        """Refill the wallet by its amount now, whatever the balance is.

        :raise AccessError: without the group Billing Manager
        :raise UserError: without an amount, while a refill is open, and above a limit
        """
        self.env["res.users"]._check_billing_manager()
        for client in self:
            if client.refill_by == "off" or not client.refill_amount:
                raise UserError(
                    self.env._("Say by what and how much %s is refilled.", client.display_name)
                )
            client._conflict_with_others()
            if client._find_open_refills().filtered(lambda refill: not refill.feature_id):
                raise UserError(
                    self.env._(
                        "A refill of %s is under way: wait until it is paid, or cancel its invoice.",
                        client.display_name,
                    )
                )
            amount = rating.exact_of(client.refill_amount)
            need = Need(None, 1, Decimal(1), amount, "hand")
            room = client._get_refill_room()
            if room is not None and room < amount:
                raise UserError(client._describe_held(amount, room))
            client._sell_refill(need)

    def _sell_refill(self, need):
        """Bill a refill, and have it charged; return it, or nothing where a limit holds it back."""
        self.ensure_one()
        company = self.company_id
        product, each = company.reseller_usage_product_id, need.price
        if need.feature:
            product = need.feature._get_product(company)
        if self.env["reseller.refill"]._get_vat_mode(company, need.feature) == "receipt":
            each = self._with_taxes(product, need.price)
        room = self._get_refill_room()
        number = need.number if room is None else min(need.number, int(room // each))
        refills_sudo = self.env["reseller.refill"].sudo()  # made here and nowhere else
        if number < 1:
            self._hold_refill(self._describe_held(each, room))
            return refills_sudo
        self._release_refill()
        today = self._today()
        refill_sudo = refills_sudo.create(
            {
                "client_id": self.id,
                "feature_id": need.feature and need.feature.id,
                "trigger": need.trigger,
                "date": today,
                "units": float(need.units),
                "amount": float(each * number),
            }
        )
        what = need.feature.name if need.feature else self.env._("wallet")
        items_sudo = self.env["reseller.manual.charge"].sudo()  # as the refill
        item_sudo = items_sudo.create(
            {
                "client_id": self.id,
                "name": self.env._("Refill: %s", what)
                if not need.feature
                else self.env._(
                    "Refill: %(units)s units of %(feature)s",
                    units=self.env["res.lang"]._format_exact(need.units),
                    feature=what,
                ),
                "product_id": product.id,
                "date": today,
                "quantity": number,
                "unit_price": float(need.price),
                "refill_id": refill_sudo.id,
            }
        )
        refill_sudo.charge_item_id = item_sudo
        statement = self.env["reseller.statement"]._bill_by_hand(item_sudo)
        self._have_refill_paid(statement)
        return refill_sudo

    def _have_refill_paid(self, statement):
        """Hook: ask for the money of a refill's bill, as the client chose: by mail."""
        if self.refill_by == "invoice" and statement._get_partner().email:
            statement._queue_mails()

    def _has_refill_under_way(self):
        """Whether a refill is open or held back, so that nothing new can come of a trigger."""
        self.ensure_one()
        return bool(self.refill_held) or bool(self._find_open_refills())

    def _find_open_refills(self):
        return self.env["reseller.refill"].search(
            [("client_id", "in", self.ids), ("state", "=", "open")]
        )

    def _get_refill_room(self, but=()):
        """Return how much may be refilled now, by the limits; None: no limit.

        :param but: a refill that does not count, whose own room is asked for
        """
        self.ensure_one()
        today = self._today()
        of_month = self._find_refills_of_month().filtered(lambda refill: refill not in but)
        of_day = of_month.filtered(lambda refill: refill.date == today)
        limits = [
            rating.exact_of(limit) - sum(rating.exact_of(refill.amount) for refill in spent)
            for limit, spent in (
                (self.refill_max_charge, of_month.browse()),
                (self.refill_max_day, of_day),
                (self.refill_max_month, of_month),
            )
            if limit
        ]
        return min(limits, default=None)

    def _describe_held(self, each, room):
        return self.env._(
            "A refill of %(amount)s is above the limits per refill, day and month, which leave %(room)s.",
            amount=self.currency_id.format(float(each)),
            room=self.currency_id.format(max(float(room), 0.0)),
        )

    def _hold_refill(self, reason):
        """Say what holds refills back, and tell who is responsible, once."""
        self.ensure_one()
        if self.refill_held:
            return
        self.sudo().refill_held = reason  # billing keeps this value
        self.reseller_id._tell_responsible(self, self.env._("A refill is held back"), reason)


def _size(left, threshold, each):
    """Return how many refills bring what is left strictly above a threshold, 0 where it is."""
    return int((threshold - left) // each) + 1 if left <= threshold else 0
