import math
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.misc import format_date

from ... import rating
from ..client.floors import beneath_domain
from ..client.reseller_client import BOOKS

KINDS = [
    ("setup", "Set-up fee"),
    ("recurring", "Recurring fee"),
    ("usage", "Usage"),
    ("overage", "Overage"),
    ("minimum", "Minimum"),
    ("package", "Package"),
    ("manual", "Manual"),
    ("credit", "Credit"),
]
# What use comes to, fees apart.
METERED = ("usage", "overage", "minimum")
# What rating makes.
RATED = ("setup", "recurring", *METERED)
# The columns of a charge that rating gives, in the order in which they are inserted.
COLUMNS = (
    "id",
    "statement_id",
    "client_id",
    "reseller_id",
    "company_id",
    "currency_id",
    "book",
    "is_paper",
    "bill_date",
    "sequence",
    "name",
    "feature_id",
    "level_id",
    "kind",
    "tier",
    "is_flat_fee",
    "quantity",
    "unit_price",
    "amount",
    "cycle_start",
    "cycle_end",
    "date_from",
    "date_to",
    "price_rule_id",
    "adjusts_statement_id",
    "contract_line_id",
    "grants",
    "is_extra",
    "last_date_invoiced",
    "manual_charge_id",
    "trace",
)


class Part(NamedTuple):
    """What an invoice line bills of a charge."""

    exact: tuple  # (quantity, unit price, amount)
    days: tuple  # (first, last) of the service
    original: models.BaseModel | None = None  # the invoice line that it gives back of
    is_divided: bool = False  # by a change of rates
    is_dated: bool = False  # its taxes are those of its days, whatever bills before had


def get_tax_day(kind, cycle_end, last):
    """Return the day whose taxes a component takes, see reseller.charge._get_tax_day."""
    return cycle_end if kind == "recurring" and cycle_end else last


class ResellerCharge(models.Model):
    _name = "reseller.charge"
    _description = "Charge"
    _order = "bill_date desc, statement_id, sequence, id"
    _log_access = False

    statement_id = fields.Many2one(
        "reseller.statement", required=True, readonly=True, index=True, ondelete="cascade"
    )
    statement_state = fields.Selection(related="statement_id.state", string="State")
    client_id = fields.Many2one(
        "reseller.client", required=True, readonly=True, ondelete="restrict"
    )
    reseller_id = fields.Many2one(
        "reseller.reseller", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True, ondelete="restrict")
    currency_id = fields.Many2one("res.currency", required=True, readonly=True, ondelete="restrict")
    book = fields.Selection(
        BOOKS, required=True, readonly=True, default="retail", help="That of its statement."
    )
    is_paper = fields.Boolean(
        readonly=True,
        help="The reseller asks it of its client: the provider invoices nothing of it.",
    )
    bill_date = fields.Date(required=True, readonly=True)
    sequence = fields.Integer(readonly=True)
    name = fields.Char(
        string="As Billed",
        required=True,
        readonly=True,
        help="What it says on the invoice, in the language of the statement.",
    )
    label = fields.Char(
        string="Description",
        compute="_compute_label",
        help="As on the bill, in the language and with the dates of who reads it.",
    )
    feature_id = fields.Many2one("reseller.feature", readonly=True, ondelete="restrict")
    level_id = fields.Many2one("reseller.feature.level", readonly=True, ondelete="restrict")
    kind = fields.Selection(KINDS, required=True, readonly=True)
    tier = fields.Integer(readonly=True, help="The number of the tier; 0 where there is none.")
    is_flat_fee = fields.Boolean(readonly=True)
    quantity = fields.Float(required=True, readonly=True, min_display_digits=0, aggregator=None)
    unit_price = fields.Float(
        required=True, readonly=True, min_display_digits="Product Price", aggregator=None
    )
    amount = fields.Monetary(required=True, readonly=True, help="As priced, before added taxes.")
    cycle_start = fields.Date(readonly=True)
    cycle_end = fields.Date(readonly=True)
    date_from = fields.Date(string="Service From", readonly=True)
    date_to = fields.Date(string="Service To", readonly=True)
    price_rule_id = fields.Many2one(
        "reseller.price.rule", string="Price", readonly=True, ondelete="restrict"
    )
    adjusts_statement_id = fields.Many2one(
        "reseller.statement",
        string="Adjusts",
        readonly=True,
        ondelete="restrict",
        help="The earlier statement that closed the cycle which this charge corrects.",
    )
    contract_line_id = fields.Many2one("contract.line", readonly=True, ondelete="set null")
    grants = fields.Selection(
        [("units", "Units of a feature"), ("money", "Money in the wallet")],
        string="Sells",
        readonly=True,
        help="What a package gives to who buys it; the other values are those of one of it.",
    )
    is_extra = fields.Boolean(
        string="Extra Line of the Contract",
        readonly=True,
        help="It stays so when the line is deleted.",
    )
    last_date_invoiced = fields.Date(
        string="Contract Line Billed Until Before",
        readonly=True,
        help="What the contract's line said before this bill took it: voided, it says so again.",
    )
    manual_charge_id = fields.Many2one("reseller.manual.charge", readonly=True, ondelete="restrict")
    trace = fields.Json(readonly=True, help="Recomputes the amount; exact values as text.")
    explanation_html = fields.Html(
        string="Why This Price?", compute="_compute_explanation_html", sanitize=False
    )
    move_line_ids = fields.One2many("account.move.line", "charge_id", string="Invoice Lines")

    _grants = models.Constraint(
        "CHECK ((kind = 'package') = (grants IS NOT NULL))",
        "A package says what it gives, and nothing else gives anything.",
    )
    _component = models.Index("(client_id, feature_id, cycle_end)")
    _rule = models.Index("(price_rule_id) WHERE price_rule_id IS NOT NULL")

    # Making charges

    @api.model
    def _get_columns(self):
        """Return the columns of new charges, in the order in which they are inserted; the first is the id."""
        return COLUMNS

    @api.model
    def _insert(self, rows):
        """Insert charges with their exact values, and return them.

        The ORM would pass quantities and amounts through floats.

        :param rows: dicts with values for _get_columns, Decimals for exact numbers
        """
        if not rows:
            return self
        # ORM writes that these rows refer to come first.
        self.env.flush_all()
        resellers_sudo = self.env["reseller.reseller"].sudo()  # as charges are made
        for row in rows:
            if "is_paper" not in row:
                day = row.get("cycle_start") or row.get("date_from") or row["bill_date"]
                row["is_paper"] = resellers_sudo.browse(row["reseller_id"])._is_paper_on(day)
        ids = [
            row[0]
            for row in self.env.execute_query(
                SQL(
                    "SELECT nextval('reseller_charge_id_seq') FROM generate_series(1, %s)",
                    len(rows),
                )
            )
        ]
        columns = self._get_columns()
        values = [
            tuple(
                fields.Json().convert_to_column(row.get(name), self)
                if name == "trace"
                else row.get(name)
                for name in columns[1:]
            )
            for row in rows
        ]
        self.env.cr.execute_values(
            f"INSERT INTO reseller_charge ({', '.join(columns)}) VALUES %s",
            [(number, *row) for number, row in zip(ids, values, strict=True)],
            page_size=500,
        )
        charges = self.browse(ids)
        self.env["reseller.statement"].invalidate_model(["charge_ids"])
        return charges

    @api.model
    def _prepare_vals(self, statement, charge, adjusted):
        """Return the values of one rated charge on a statement.

        :param rating.Charge charge: as rated
        :param adjusted: the reseller.statement that closed its cycle, or an empty one
        """
        vals = {
            "feature_id": charge.feature,
            "level_id": charge.key.level,
            "kind": charge.key.kind,
            "tier": charge.key.tier,
            "is_flat_fee": charge.key.flat,
            "quantity": charge.quantity,
            "unit_price": charge.unit_price,
            "amount": charge.amount,
            "cycle_start": charge.key.cycle_start,
            "cycle_end": charge.cycle_end,
            "date_from": charge.first,
            "date_to": charge.last,
            "price_rule_id": charge.key.rule,
            "adjusts_statement_id": adjusted.id or None,
            "trace": {**charge.trace, **self._prepare_spans(charge)},
        }
        return {**vals, "name": self._describe(vals, adjusted)}

    @api.model
    def _prepare_spans(self, charge):
        """Return how a rated charge is divided by changes of tax rates, as its trace keeps it."""
        if not charge.spans:
            return {}
        return {
            "spans": [
                [first.isoformat(), last.isoformat(), rating.text(amount)]
                for first, last, amount in charge.spans
            ]
        }

    @api.model
    def _split(self, exact, days, product, company, spans=(), taken=None):
        """Return the Parts of a charge, each a line of the invoice.

        :param exact: (quantity, unit price, amount) of the charge
        :param days: (first, last) of its service
        :param spans: (first day, last day, amount) of use that a change of rates divides; where the
            product's taxes do not change, they stay together
        :param taken: [(invoice line, amount)] of what it gives back, or None
        """
        taxes_of = partial(product.product_tmpl_id._get_sales_taxes, company)
        is_dated = self.env["reseller.tax.change"]._concerns(taxes_of(), company)
        parts = [
            Part(
                exact if amount == exact[2] else (Decimal(-1), -amount, amount),
                line._get_charge_days(days) if line else days,
                line or None,
                is_dated=is_dated,
            )
            for line, amount in taken or ()
        ]
        groups = []
        for first, last, amount in spans:
            if parts and amount <= 0:
                continue  # given back above
            taxes = taxes_of(day=last)
            if groups and groups[-1][0] == taxes:
                groups[-1][2:] = last, groups[-1][3] + amount
            else:
                groups.append([taxes, first, last, amount])
        if parts or len(groups) > 1:
            return parts + [
                Part((Decimal(1), amount, amount), (first, last), None, True, is_dated)
                for _taxes, first, last, amount in groups
                if amount
            ]
        if groups:
            days = groups[0][1:3]
        return [Part(exact, tuple(days), is_dated=is_dated)]

    def _get_tax_day(self, last):
        """Return the day whose taxes a line takes: a recurring fee is taxed whole, by the last day of its
        cycle, all else by its days (rating 26).

        :param date last: the last day of the line's service, or None
        """
        self.ensure_one()
        return get_tax_day(self.kind, self.cycle_end, last or self.date_to or self.bill_date)

    @api.model
    def _describe(self, vals, adjusted):
        """Return what a rated charge says on statement and invoice, in the language of the context.

        :param vals: its values: feature_id, level_id, kind, tier, is_flat_fee, amount, quantity, date_from,
            date_to, trace
        :param adjusted: the reseller.statement that closed its cycle, or an empty one
        """
        feature = self.env["reseller.feature"].browse(vals["feature_id"]).name
        if vals["level_id"]:
            level = self.env["reseller.feature.level"].browse(vals["level_id"])
            feature += " · " + level.name
        text = self._describe_kind(vals) % {
            "feature": feature,
            "first": format_date(self.env, vals["date_from"]),
            "last": format_date(self.env, vals["date_to"]),
            "tier": vals["tier"],
        }
        packages = self._describe_packages(vals)
        if packages:
            text = f"{text} · {packages}"
        if adjusted:
            invoice_sudo = adjusted.sudo().invoice_id  # who reads charges may read no invoices
            text = self.env._(
                "%(text)s (adjusts %(document)s)",
                text=text,
                document=invoice_sudo.name or adjusted.name,
            )
        return text

    @api.model
    def _describe_packages(self, vals):
        """Return how units of use became packages, where a rated charge is of some, else an empty text."""
        rated = (vals["trace"] or {}).get("rated") or {}
        if "package_size" not in rated or vals["is_flat_fee"]:
            return ""
        payable, count = Decimal(rated["payable"]), Decimal(rated["quantity"])
        size = Decimal(rated["package_size"])
        if math.ceil(Fraction(payable) / Fraction(size)) != count:
            # Of several prices in one cycle, or of a level that is counted for itself: not these units alone.
            text = self.env._("%(count)s packages of %(size)s")
        elif payable == Decimal(rated["used"]):
            text = self.env._("%(units)s used → %(count)s packages of %(size)s")
        else:
            text = self.env._("%(units)s payable → %(count)s packages of %(size)s")
        units = self.env["res.lang"]._format_exact
        text %= {"units": units(payable), "count": units(count), "size": units(size)}
        before = count - vals["quantity"]
        if before > count:
            text = self.env._(
                "%(packages)s, %(before)s were billed before", packages=text, before=units(before)
            )
        elif before:
            text = self.env._(
                "%(packages)s, %(before)s of them billed before",
                packages=text,
                before=units(before),
            )
        return text

    @api.model
    def _describe_kind(self, vals):
        """Return the sentence of a rated charge: with its feature, first and last day, and tier to be put in."""
        kind = vals["kind"]
        if kind == "recurring":
            if vals["amount"] >= 0:
                return self.env._("%(feature)s: fee, %(first)s to %(last)s")
            return self.env._("%(feature)s: fee, unused days, %(first)s to %(last)s")
        if kind == "setup":
            return self.env._("%(feature)s: set-up, %(first)s to %(last)s")
        if kind == "minimum":
            return self.env._("%(feature)s: up to the minimum, %(first)s to %(last)s")
        if vals["is_flat_fee"]:
            return self.env._("%(feature)s: flat fee of tier %(tier)s, %(first)s to %(last)s")
        if kind == "overage":
            if vals["tier"]:
                return self.env._("%(feature)s: overage, tier %(tier)s, %(first)s to %(last)s")
            return self.env._("%(feature)s: overage, %(first)s to %(last)s")
        if vals["tier"]:
            return self.env._("%(feature)s: use, tier %(tier)s, %(first)s to %(last)s")
        return self.env._("%(feature)s: use, %(first)s to %(last)s")

    @api.depends_context("lang")
    @api.depends("name", "feature_id.name", "level_id.name", "adjusts_statement_id.invoice_id")
    def _compute_label(self):
        reads = self.env.lang or "en_US"
        statements_sudo = self.statement_id.sudo()  # whose language its payer's contact has
        others = {one.id for one in statements_sudo if (one._get_language() or reads) != reads}
        for charge in self:
            # In the language of the bill it says what the bill said.
            is_other = charge.statement_id.id in others
            if is_other and charge.price_rule_id and charge.kind in RATED:
                names = ("kind", "tier", "is_flat_fee", "amount", "trace", "date_from", "date_to")
                vals = {name: charge[name] for name in names}
                vals["quantity"] = rating.exact_of(charge.quantity)
                vals["feature_id"], vals["level_id"] = charge.feature_id.id, charge.level_id.id
                charge.label = charge._describe(vals, charge.adjusts_statement_id)
            else:
                charge.label = charge.name

    # Reading

    def _get_exact(self):
        """Return {id: (quantity, unit price, amount)} as Decimals, exactly as stored."""
        return {
            number: tuple(map(Decimal, values))
            for number, *values in self.env.execute_query(
                SQL(
                    """
                    SELECT id, quantity::text, unit_price::text, amount::text
                      FROM reseller_charge WHERE id = ANY(%s)
                    """,
                    self.ids,
                )
            )
        }

    def _amount_from_trace(self):
        """Return the amount that the frozen trace explains, as an exact Decimal."""
        self.ensure_one()
        return rating.amount_from_trace(self.trace)

    def _get_waterfall(self):
        """Return how the cycle's use came to payable units, in words, from the frozen trace."""
        self.ensure_one()
        rated = (self.trace or {}).get("rated") or {}
        if "used" not in rated or self.is_flat_fee:
            return ""
        texts = {
            "used": self.env._("used %s"),
            "trial": self.env._("free on trial %s"),
            "rolled_over": self.env._("rolled over %s"),
            "included": self.env._("included %s"),
            "bonus": self.env._("bonus %s"),
            "prepaid": self.env._("prepaid %s"),
            "payable": self.env._("payable %s"),
        }
        names = ["used", *(name for name in rating.FREE_KINDS if Decimal(rated.get(name, "0")))]
        if self.kind != "usage" or rated["used"] != rated["payable"]:
            names.append("payable")
        steps = [
            texts[name] % self.env["res.lang"]._format_exact(Decimal(rated[name])) for name in names
        ]
        return self.env._("in this cycle: %s", ", ".join(steps))

    # Invoicing

    def _get_parts(self, exact, taken):
        """Return the Parts of this charge, see _split."""
        self.ensure_one()
        days = self.date_from or self.bill_date, self.date_to or self.bill_date
        product = self._get_product()
        return self._split(exact, days, product, self.company_id, self._get_spans(), taken)

    def _get_spans(self):
        """Return (first day, last day, exact amount) of the use that a change of rates divides."""
        self.ensure_one()
        to_date = fields.Date.to_date
        return [
            (to_date(first), to_date(last), Decimal(amount))
            for first, last, amount in (self.trace or {}).get("spans", ())
        ]

    def action_view_events(self):
        """Open the single events of what this charge bills."""
        return self._view_use("reseller.usage.line", self.env._("Events"))

    def action_view_days(self):
        """Open the days of what this charge bills, with their sums."""
        return self._view_use("reseller.usage.daily", self.env._("Use by Day"))

    def _view_use(self, model, name):
        self.ensure_one()
        # Levels have prices, or share one: what is counted without has all.
        level = [("level_id", "=", self.level_id.id)] if self.level_id else []
        return {
            "type": "ir.actions.act_window",
            "name": f"{name}: {self.name}",
            "res_model": model,
            "view_mode": "list,form",
            "domain": [
                *beneath_domain(self.client_id),
                ("feature_id", "=", self.feature_id.id),
                ("billing_date", ">=", self.date_from),
                ("billing_date", "<=", self.date_to),
                *level,
            ],
        }
