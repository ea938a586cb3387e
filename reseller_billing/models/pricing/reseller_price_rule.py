from contextlib import contextmanager

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from ... import rating
from ..base.intervals import INTERVAL_UNITS
from .scopes import SCOPES, scope_of

# Accounts that a message names, the largest amounts first.
PAST_FEES = 5


class ResellerPriceRule(models.Model):
    _name = "reseller.price.rule"
    _description = "Price"
    _order = "feature_id, client_id, group_id, reseller_id, date_from, id"
    _check_company_auto = True

    active = fields.Boolean(default=True)
    name = fields.Char(compute="_compute_name")
    draft_name = fields.Char(
        copy=False, help="What this change is called while it is tried, e.g. Spring 2026."
    )
    draft_of_id = fields.Many2one(
        "reseller.price.rule",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The price in force that this draft was made from.",
    )
    feature_id = fields.Many2one("reseller.feature", required=True, index=True, ondelete="restrict")
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        compute="_compute_currency_id",
        store=True,
        readonly=False,
        precompute=True,
    )

    # Scope: at most one
    reseller_id = fields.Many2one(
        "reseller.reseller", index=True, ondelete="restrict", check_company=True
    )
    group_id = fields.Many2one(
        "reseller.client.group", index=True, ondelete="restrict", check_company=True
    )
    client_id = fields.Many2one(
        "reseller.client", index=True, ondelete="restrict", check_company=True
    )
    is_of_portal = fields.Boolean(
        string="Set by the Reseller",
        readonly=True,
        copy=False,
        help="In the portal, where it may change and drop it.",
    )
    scope = fields.Selection(SCOPES, compute="_compute_scope", store=True)
    date_from = fields.Date(
        string="From",
        help="First day, inclusive. Empty: since ever, also for use of days that were billed when there "
        "was no price.",
    )
    bills_past_fees = fields.Boolean(
        string="Bill Past Fees",
        copy=False,
        help="Also fees of days that were billed when there was no price. Otherwise a price with fees "
        "that reaches back into such days is refused, with the accounts and amounts.",
    )
    made_after_id = fields.Integer(
        readonly=True,
        copy=False,
        help="The last statement before this price was made: later ones have used it.",
    )
    date_to = fields.Date(string="To", help="Last day, inclusive. Empty: open.")

    # Fee
    recurring_fee = fields.Float(
        min_display_digits="Product Price", help="Due per cycle and enrolled unit."
    )
    fee_timing = fields.Selection(
        [("advance", "In advance"), ("arrears", "In arrears")], required=True, default="advance"
    )
    advance_cycles = fields.Integer(
        string="Cycles at Once",
        default=1,
        help="So many cycles' fees are due at once, in advance: several months bought together. "
        "Allotments stay per cycle.",
    )
    refund_on_close = fields.Boolean(
        string="Refund on Closing",
        default=True,
        help="When an account closes, unused days of a fee in advance are given back.",
    )
    setup_fee = fields.Float(
        string="Set-up Fee",
        min_display_digits="Product Price",
        help="Due once ever per client, for each unit of the first day, on the next bill.",
    )
    trial_days = fields.Integer(
        help="Days from the client's first, once ever, with free use and no fee."
    )
    interval_count = fields.Integer(
        string="Every", help="Empty: the client's billing cycle is this feature's cycle, too."
    )
    interval_unit = fields.Selection(INTERVAL_UNITS, string="Cycle Unit")
    enrolment = fields.Selection(
        [
            ("automatic", "Every client"),
            ("opt_in", "Clients that are switched on"),
            ("on_use", "Whoever uses it, in cycles with use"),
        ],
        string="Who Has It",
        required=True,
        default="automatic",
    )
    proration = fields.Selection(
        [("daily", "By the day"), ("none", "None: amounts apply whole")],
        required=True,
        default="daily",
    )

    # Use
    included_quantity = fields.Float(
        string="Included", min_display_digits=0, help="Units per cycle that the fee covers."
    )
    rollover_cycles = fields.Integer(
        string="Rolls Over For",
        help="Unused included units may be used in so many further cycles. None: they lapse.",
    )
    bonus_quantity = fields.Float(
        string="Bonus", min_display_digits=0, help="Free units, once ever per client."
    )
    bonus_valid_days = fields.Integer(
        string="Bonus Valid For", help="Days from the client's first. None: it does not expire."
    )
    pricing_model = fields.Selection(
        [
            ("unlimited", "Unlimited: the fee covers all"),
            ("per_unit", "Per unit"),
            ("package", "Per package"),
            ("graduated", "Graduated: each unit at its tier's price"),
            ("volume", "Volume: all units at the price of the total's tier"),
        ],
        required=True,
        default="per_unit",
    )
    unit_price = fields.Float(
        min_display_digits="Product Price", help="Price of a unit, or of a package."
    )
    package_size = fields.Float(min_display_digits=0, default=1.0)
    tier_ids = fields.One2many("reseller.price.tier", "rule_id", string="Tiers", copy=True)
    level_price_ids = fields.One2many(
        "reseller.price.level", "rule_id", string="Level Prices", copy=True
    )

    minimum_quantity = fields.Float(
        min_display_digits=0,
        help="Payable units of a billing period, at least: missing ones are billed as further use.",
    )
    minimum_amount = fields.Float(
        min_display_digits="Product Price",
        help="What the use of a billing period is raised to, fees not counted.",
    )
    max_quantity = fields.Float(
        string="Maximum", min_display_digits=0, help="Units per cycle; included ones count, too."
    )
    limit_action = fields.Selection(
        [("notify", "Notify at 50, 80 and 100 %"), ("block", "Notify, and refuse more")],
        string="At the Maximum",
        required=True,
        default="notify",
        help="What systems that ask before they deliver are told. Use that was made is billed.",
    )
    replenish_quantity = fields.Float(
        string="Refill By",
        min_display_digits=0,
        help="Units that are sold to the client by itself, as its page Refills says, when its free "
        "and prepaid units have come down to the threshold. None: use beyond them is overage.",
    )
    replenish_price = fields.Float(
        string="Refill Price", min_display_digits="Product Price", help="For so many units."
    )
    replenish_threshold = fields.Float(string="Refill At", min_display_digits=0)
    lockout_when_owing = fields.Boolean(
        string="Lock Out When Owing",
        help="More is refused while the client's lock-out restricts what is marked so.",
    )

    _one_scope = models.Constraint(
        "CHECK (num_nonnulls(client_id, group_id, reseller_id) <= 1)",
        "A price is for one client, one group, one reseller, or for all: choose one at most.",
    )
    _dates_ordered = models.Constraint(
        "CHECK (date_from IS NULL OR date_to IS NULL OR date_from <= date_to)",
        "A price's last day must not be before its first.",
    )
    _amounts_positive = models.Constraint(
        "CHECK (COALESCE(recurring_fee, 0) >= 0 AND COALESCE(unit_price, 0) >= 0 "
        "AND COALESCE(included_quantity, 0) >= 0 AND COALESCE(interval_count, 0) >= 0 "
        "AND COALESCE(setup_fee, 0) >= 0 AND COALESCE(bonus_quantity, 0) >= 0 "
        "AND COALESCE(minimum_quantity, 0) >= 0 AND COALESCE(minimum_amount, 0) >= 0 "
        "AND COALESCE(max_quantity, 0) >= 0 AND COALESCE(trial_days, 0) >= 0 "
        "AND COALESCE(bonus_valid_days, 0) >= 0 AND COALESCE(rollover_cycles, 0) >= 0 "
        "AND COALESCE(replenish_quantity, 0) >= 0 AND COALESCE(replenish_price, 0) >= 0 "
        "AND COALESCE(replenish_threshold, 0) >= 0)",
        "Prices, fees, allotments, limits and cycles must not be negative.",
    )
    _advance_cycles_positive = models.Constraint(
        "CHECK (COALESCE(advance_cycles, 1) >= 1)",
        "A fee is for at least one cycle: set Cycles at Once to 1 or more.",
    )
    _package_size_positive = models.Constraint(
        "CHECK (pricing_model != 'package' OR package_size > 0)",
        "A package has more than zero units.",
    )
    _no_overlap = models.Constraint(
        "EXCLUDE USING gist (int4range(feature_id, feature_id, '[]') WITH &&, "
        "int4range(company_id, company_id, '[]') WITH &&, "
        "int4range(currency_id, currency_id, '[]') WITH &&, "
        "int4range((book = 'wholesale')::int, (book = 'wholesale')::int, '[]') WITH &&, "
        "int4range(COALESCE(client_id, 0), COALESCE(client_id, 0), '[]') WITH &&, "
        "int4range(COALESCE(group_id, 0), COALESCE(group_id, 0), '[]') WITH &&, "
        "int4range(COALESCE(reseller_id, 0), COALESCE(reseller_id, 0), '[]') WITH &&, "
        "daterange(date_from, date_to, '[]') WITH &&) WHERE (active) DEFERRABLE INITIALLY DEFERRED",
        "Two prices of one feature at the same level must not overlap: end one the day before.",
    )

    # Compute

    @api.depends("client_id", "group_id", "reseller_id", "company_id")
    def _compute_currency_id(self):
        for rule in self:
            reseller = rule.reseller_id or rule.group_id.reseller_id or rule.client_id.reseller_id
            rule.currency_id = (
                reseller.currency_id or rule.currency_id or rule.company_id.currency_id
            )

    @api.depends("client_id", "group_id", "reseller_id")
    def _compute_scope(self):
        for rule in self:
            rule.scope, _record = scope_of(rule)

    @api.depends(
        *("feature_id.name", "client_id", "group_id", "reseller_id", "date_from"),
        *("active", "draft_name", "book"),
    )
    def _compute_name(self):
        for rule in self:
            _scope, record = scope_of(rule)
            whose = record.display_name if record else self.env._("default")
            parts = [rule.feature_id.name or "", whose]
            if rule.draft_name and not rule.active:
                parts.insert(0, rule.draft_name)
            if rule.book == "wholesale":
                parts.append(self.env._("wholesale"))
            if rule.date_from:
                parts.append(self.env._("from %s", fields.Date.to_string(rule.date_from)))
            rule.name = ", ".join(parts)

    @api.depends("name")
    def _compute_display_name(self):
        for rule in self:
            rule.display_name = rule.name

    # Constraints

    @api.constrains(
        "feature_id",
        "company_id",
        "currency_id",
        "book",
        "client_id",
        "group_id",
        "reseller_id",
        "date_from",
        "date_to",
        "active",
    )
    def _check_overlap(self):
        """Name the rule in the way; the database's constraint holds in any case."""
        for rule in self.filtered("active"):
            domain = Domain("id", "!=", rule.id)
            for name in ("feature_id", "company_id", "currency_id", "client_id", "group_id"):
                domain &= Domain(name, "=", rule[name].id)
            domain &= Domain("reseller_id", "=", rule.reseller_id.id)
            domain &= Domain("book", "=", rule.book)
            if rule.date_to:
                domain &= Domain("date_from", "=", False) | Domain("date_from", "<=", rule.date_to)
            if rule.date_from:
                domain &= Domain("date_to", "=", False) | Domain("date_to", ">=", rule.date_from)
            other = self.search(domain, limit=1)
            if other:
                raise ValidationError(
                    self.env._(
                        "%(feature)s has a price at this level already for some of these days: "
                        "%(other)s (%(first)s to %(last)s). End that one on the day before, or choose other days.",
                        feature=rule.feature_id.name,
                        other=other.name,
                        first=other.date_from or self.env._("ever"),
                        last=other.date_to or self.env._("open"),
                    )
                )

    @api.onchange("enrolment")
    def _onchange_enrolment(self):
        if self.enrolment == "on_use":
            self.fee_timing = "arrears"

    @api.onchange("fee_timing")
    def _onchange_fee_timing(self):
        if self.fee_timing == "arrears":
            self.advance_cycles = 1

    @api.constrains(
        "feature_id",
        "pricing_model",
        "tier_ids",
        "interval_count",
        "interval_unit",
        "level_price_ids",
        "enrolment",
        "fee_timing",
        "recurring_fee",
        "advance_cycles",
        "rollover_cycles",
        "minimum_quantity",
        "minimum_amount",
        "replenish_quantity",
        "replenish_price",
    )
    def _check_terms(self):
        for rule in self:
            rule._check_options()
            if bool(rule.interval_count) != bool(rule.interval_unit):
                raise ValidationError(
                    self.env._("A cycle needs both a number and a unit, or neither.")
                )
            if rule.pricing_model in ("graduated", "volume"):
                rule._check_tiers()
            elif rule.tier_ids:
                raise ValidationError(
                    self.env._("Tiers belong to graduated or volume prices: remove them.")
                )
            for line in rule.level_price_ids:
                if line.level_id.feature_id != rule.feature_id:
                    raise ValidationError(
                        self.env._(
                            "The level %(level)s is not one of %(feature)s.",
                            level=line.level_id.name,
                            feature=rule.feature_id.name,
                        )
                    )
                if line.unit_price < 0 or line.included_quantity < 0:
                    raise ValidationError(
                        self.env._("A level's price and allotment must not be negative.")
                    )

    def _check_options(self):
        """Refuse options that contradict each other (rating section 6)."""
        self.ensure_one()
        if self.enrolment == "on_use" and self.recurring_fee and self.fee_timing == "advance":
            raise ValidationError(
                self.env._(
                    "Whether a client uses it shows only afterwards: let the fee be due in arrears."
                )
            )
        if self.advance_cycles > 1 and self.fee_timing != "advance":
            raise ValidationError(
                self.env._(
                    "Several cycles at once are paid in advance: change the fee's timing, "
                    "or set Cycles at Once to 1."
                )
            )
        if self.pricing_model == "unlimited" and (self.minimum_quantity or self.minimum_amount):
            raise ValidationError(
                self.env._(
                    "Unlimited use costs nothing, so that it can have no minimum: raise the fee instead."
                )
            )
        if self.feature_id.aggregation in ("max", "last") and (
            self.rollover_cycles or self.pricing_model in ("package", "graduated", "volume")
        ):
            raise ValidationError(
                self.env._(
                    "%s is billed by its highest or last value: that goes with prices per unit or "
                    "unlimited, without rollover.",
                    self.feature_id.name,
                )
            )

        if self.replenish_quantity:
            if self.pricing_model == "unlimited" or self.feature_id.aggregation in ("max", "last"):
                raise ValidationError(
                    self.env._(
                        "Units are refilled where each is paid for: not with unlimited use, nor where "
                        "the highest or last value is billed."
                    )
                )
            if not self.replenish_price:
                raise ValidationError(
                    self.env._("Say what a refill costs: it would be given without end.")
                )

    def _check_tiers(self):
        self.ensure_one()
        tiers = self.tier_ids.sorted(lambda tier: (tier.sequence, tier.id))
        if not tiers:
            raise ValidationError(self.env._("A graduated or volume price needs tiers: add them."))
        if not tiers[-1].is_last or any(tier.is_last for tier in tiers[:-1]):
            raise ValidationError(
                self.env._("The last tier, and only the last, has no bound: mark it 'No Limit'.")
            )
        bound = 0.0
        for tier in tiers:
            if tier.unit_price < 0 or tier.flat_fee < 0:
                raise ValidationError(self.env._("A tier's price and fee must not be negative."))
            if not tier.is_last and tier.up_to <= bound:
                raise ValidationError(
                    self.env._("The bounds of tiers must rise: %s does not.", tier.up_to)
                )
            bound = tier.up_to

    # Billed days may not change

    @contextmanager
    def _guard_billed_days(self, features):
        """Hook: what changes prices of some features within must not alter a billed day's (rating 23)."""
        yield

    def unlink(self):
        with self._guard_billed_days(self.feature_id):
            return super().unlink()

    def copy_data(self, default=None):
        """A copy keeps the terms; its days must be chosen anew, after those of the original."""
        vals_list = super().copy_data(default)
        for rule, vals in zip(self, vals_list, strict=True):
            if rule.date_to and not (default or {}).get("date_from"):
                vals["date_from"] = fields.Date.add(rule.date_to, days=1)
                vals["date_to"] = False
            elif not default:
                vals["active"] = False
        return vals_list

    def export_data(self, fields_to_export):
        """Write tiny prices in plain notation: Odoo's import refuses 4e-07."""
        found = super().export_data(fields_to_export)
        found["datas"] = [
            [
                rating.text(rating.exact_of(value))
                if isinstance(value, float) and "e" in repr(value)
                else value
                for value in row
            ]
            for row in found["datas"]
        ]
        return found

    # Words
