import base64
import io
import logging
import re
from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, date_utils, email_normalize, formataddr
from odoo.tools.image import image_data_uri
from odoo.tools.misc import format_date
from PIL import Image

from ..base.states import LIVE, live_sql

# What a reseller may do beyond looking: for who may do it in the back end to give.
RIGHTS = frozenset(
    (
        "portal_set_prices",
        "portal_create_clients",
        "portal_delete_clients",
        "portal_login_as",
        "portal_use_api",
        "portal_set_cycles",
        "price_floor_ids",
    )
)
MAX_LOGO = 2 * 1024 * 1024
MAX_PIXELS = 25_000_000
_logger = logging.getLogger(__name__)
MONTHS = 12
# Days of the small line beside a feature's use.
SPARK = 30
COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class ResellerReseller(models.Model):
    """What a reseller may do in the portal, as the provider sets it, and how it looks there."""

    _inherit = "reseller.reseller"

    portal_see_prices = fields.Boolean(
        string="Sees Prices",
        default=True,
        tracking=True,
        help="The effective prices of its clients, where they come from, and why a charge is what it is.",
    )
    portal_set_prices = fields.Boolean(
        string="Sets Prices",
        tracking=True,
        help="Of its clients and groups, for the features below, not under their floors.",
    )
    portal_see_cost = fields.Boolean(
        string="Sees Own Cost",
        default=True,
        tracking=True,
        help="What it is billed for its clients, where invoices go to the reseller, and what it pays where it "
        "buys.",
    )
    portal_edit_clients = fields.Boolean(
        string="Edits Clients",
        default=True,
        tracking=True,
        help="Contact data and group of its clients; its groups.",
    )
    portal_set_cycles = fields.Boolean(
        string="Chooses Cycles",
        tracking=True,
        help="Of clients that are not billed yet: 1, 3, 6 or 12 months. Fees and included units of "
        "prices without a cycle of their own are per cycle, however long it is.",
    )
    portal_create_clients = fields.Boolean(
        string="Creates Clients",
        tracking=True,
        help="And invites them to the portal.",
    )
    portal_delete_clients = fields.Boolean(
        string="Deletes Clients",
        tracking=True,
        help="Those with history are closed and archived.",
    )
    portal_login_as = fields.Boolean(
        string="Logs In As Clients",
        tracking=True,
        help="For 30 minutes at a time, with the client's rights; each time is kept.",
    )
    portal_brand = fields.Boolean(string="Brands Statements", default=True, tracking=True)
    portal_use_api = fields.Boolean(
        string="Uses the API",
        tracking=True,
        help="With keys that read the use of its own clients and nothing else.",
    )
    price_floor_ids = fields.One2many(
        "reseller.price.floor", "reseller_id", string="Prices It May Set"
    )
    # Against slips of the hand, and of malice, in the portal; in the reseller's currency.
    portal_max_refill = fields.Monetary(
        string="Highest Refill",
        compute="_compute_portal_ceilings",
        store=True,
        readonly=False,
        tracking=True,
        help="The most that a client may have its wallet refilled by at once. 0: any.",
    )
    portal_max_month = fields.Monetary(
        string="Highest Refills per Month",
        compute="_compute_portal_ceilings",
        store=True,
        readonly=False,
        tracking=True,
        help="The most that a client may allow refills to come to in a month. 0: any.",
    )
    portal_max_purchase = fields.Monetary(
        string="Most Bought Ahead",
        compute="_compute_portal_ceilings",
        store=True,
        readonly=False,
        tracking=True,
        help="What a client may have ordered in packages and not paid yet. 0: any.",
    )
    portal_last_number = fields.Integer(
        readonly=True, copy=False, help="Of the references of clients made in the portal."
    )
    login_ids = fields.One2many("reseller.login", "reseller_id", string="Log-ins as Clients")

    clients_open_balance = fields.Monetary(
        string="Owed by Clients", compute="_compute_owed_by_clients"
    )
    clients_overdue_balance = fields.Monetary(
        string="Overdue of Clients", compute="_compute_owed_by_clients"
    )

    # Branding of statements and of the portal
    color_primary = fields.Char(string="Brand Colour", default="#714B67", required=True)
    statement_header = fields.Char(translate=True, help="A line under the logo.")
    statement_note = fields.Text(translate=True, help="A paragraph before the charges.")
    statement_lang = fields.Selection(
        selection="_get_statement_langs",
        string="Language of Statements",
        help="Empty: that of who gets them.",
    )
    statement_show_quantity = fields.Boolean(string="Show Quantities", default=True)
    statement_show_price = fields.Boolean(string="Show Prices", default=True)
    statement_show_charts = fields.Boolean(string="Show Charts of Use", default=True)

    @api.depends("client_ids")
    def _compute_owed_by_clients(self):
        clients = self.with_context(active_test=False).client_ids
        owed = clients._load_owed() if clients else {}
        by_reseller = clients.grouped("reseller_id")
        for reseller in self:
            theirs = [
                owed[client.id]
                for client in by_reseller.get(reseller._origin, clients.browse())
                if client.id in owed
            ]
            reseller.clients_open_balance = float(sum(amounts[0] for amounts in theirs))
            reseller.clients_overdue_balance = float(sum(amounts[1] for amounts in theirs))

    def action_view_owing(self):
        """Open the clients that owe something."""
        self.ensure_one()
        clients = self.env["reseller.client"]
        return {
            **self.action_view_clients(),
            "name": self.env._("Owing"),
            "domain": [("reseller_id", "=", self.id), ("id", "in", clients._find_owing())],
            "context": {"active_test": False},
        }

    @api.model
    def _get_statement_langs(self):
        return self.env["res.lang"].get_installed()

    @api.depends("currency_id")
    def _compute_portal_ceilings(self):
        # Those of one currency say nothing in another: they begin anew with it.
        for reseller in self:
            scale = reseller.currency_id._scale_ceiling
            reseller.portal_max_refill = scale(1000)
            reseller.portal_max_month = scale(10000)
            reseller.portal_max_purchase = scale(10000)

    @api.constrains("color_primary")
    def _check_color_primary(self):
        # It stands in style attributes of documents and pages.
        for reseller in self:
            wrong = self._explain_color(reseller.color_primary)
            if wrong:
                raise ValidationError(wrong)

    @api.model
    def _explain_color(self, text):
        """Return what is wrong with a colour, or nothing."""
        if COLOR.fullmatch(text or ""):
            return None
        return self.env._("A colour is # and six hexadecimal digits, as in #714B67.")

    @api.model
    def _read_logo(self, stream):
        """Return a picture that was uploaded as the value of a field; nothing if it is none."""
        data = stream.read(MAX_LOGO + 1)
        if len(data) > MAX_LOGO:
            return None
        drawn = io.BytesIO()
        try:
            # Drawn anew, in one of these formats: what else the file carries is left behind.
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return None
                picture = picture.convert("RGBA")
            picture.thumbnail((512, 512))
            picture.save(drawn, "PNG")
        except Exception:
            # Pillow raises what it meets: whatever that is, it is no picture.
            _logger.info("A logo could not be read", exc_info=True)
            return None
        return base64.b64encode(drawn.getvalue())

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `base`: who may not set prices, say, may not have a reseller do it."""
        resellers = super().create(vals_list)
        # By values, or by defaults of a context.
        if any(reseller[name] for reseller in resellers for name in RIGHTS):
            self._check_may_give_rights()
        return resellers

    def write(self, vals):
        """Override of `base`: as for `create`."""
        if RIGHTS & vals.keys():
            self._check_may_give_rights()
        return super().write(vals)

    def _check_may_give_rights(self):
        if not self.env["res.users"]._is_billing_manager():
            raise AccessError(
                self.env._("Billing managers alone say what a reseller may do in the portal.")
            )

    def _sees_money_of_bills(self):
        """Whether the reseller may see what its clients' bills come to in the portal."""
        self.ensure_one()
        return self.invoice_to != "reseller" or self.portal_see_cost

    def _get_sender(self):
        """Return the name and address that mails about this reseller's clients come from, or an empty text.

        The address is the company's, whose mail server may send for it. Of no reseller there is none.
        """
        company = self.company_id
        if not company.email or self.name == company.name:
            return company.email_formatted or ""
        name = self.env._("%(reseller)s via %(company)s", reseller=self.name, company=company.name)
        return formataddr((name, email_normalize(company.email) or company.email))

    def _get_text_color(self):
        """Return black or white: what is read best on the brand colour (WCAG 2, relative luminance)."""
        self.ensure_one()
        channels = [int(self.color_primary[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
            for channel in channels
        )
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"

    def _get_open_groups(self):
        """Return the groups to which a reseller may move clients in the portal."""
        return self.group_ids.filtered(
            lambda group: not group.is_lockout_exempt and not group.lockout_policy_id
        )

    # Overview

    def _get_unbilled(self):
        """Return (what the next bills come to so far, what the last ones came to) as Decimals.

        Of active clients, before added taxes; without charges by hand and contracts' extra lines.
        """
        self.ensure_one()
        clients = self.client_ids.filtered(lambda client: client.state == "active")
        statements = self.env["reseller.statement"].with_company(self.company_id)
        # With days that are billed again first, all that is to come.
        bills = {
            client.id: statements._prepare_bill(client, client.next_bill_date) for client in clients
        }
        charges, _covered, _draws = self.env["reseller.rating"]._rate(clients, bills)
        now = sum((charge.amount for found in charges.values() for charge in found), Decimal(0))
        [[before]] = self.env.execute_query(
            SQL(
                """
                SELECT COALESCE(sum(last.amount_total), 0)::text FROM (
                    SELECT DISTINCT ON (client_id) amount_total
                      FROM reseller_statement
                     WHERE client_id = ANY(%s) AND %s
                       AND kind = 'cycle'
                     ORDER BY client_id, bill_date DESC, id DESC
                ) AS last
                """,
                clients.ids,
                live_sql("reseller_statement"),
            )
        )
        return now, Decimal(before)

    def _get_overview(self):
        """Return what the first page of the portal shows of this reseller.

        :return: ``states`` {state: clients}; ``owing``, ``overdue_count`` and ``locked`` (numbers of
            clients); ``overdue``, the five highest as (client, amount); ``near`` (usage alerts of
            running cycles, one a client); ``next_bill`` (date, today where one is due); ``use``, of each
            feature its ``name``, ``now`` and ``before`` (units of this month and of the same days of the
            last one), ``change`` (per cent, or None), ``expected`` (units by the month's end, or None) and
            ``spark`` (points of a line); ``months``
            [(label, amount billed)], empty where the reseller may not see it; ``margin`` (label, amount) of
            the last month that is billed whole, None where there is none that the reseller may see
        """
        self.ensure_one()
        clients = self.env["reseller.client"]
        mine = [("reseller_id", "=", self.id)]
        # Who is archived may owe all the same.
        all_clients = clients.with_context(active_test=False)
        states = dict(clients._read_group(mine, ["state"], ["__count"]))
        with_next = clients.search(
            [*mine, ("state", "=", "active"), ("next_bill_date", "!=", False)],
            order="next_bill_date",
            limit=1,
        )
        owing = all_clients.search([*mine, ("id", "in", clients._search_owing())])
        overdue = sorted(
            (
                (client, late)
                for client, (_open, late) in (
                    (owing.browse(number), sums) for number, sums in owing._load_owed().items()
                )
                if late > 0
            ),
            key=lambda pair: -pair[1],
        )
        return {
            "states": states,
            "owing": len(owing),
            "locked": clients.search_count(
                [*mine, ("lockout_ids.state", "in", ("restricted", "locked"))]
            ),
            "overdue": overdue[:5],
            "overdue_count": len(overdue),
            "near": self._get_near(),
            "next_bill": with_next and max(with_next.next_bill_date, self._today()),
            "use": self._get_use_of_months(),
            "months": self._get_billed_months() if self._sees_money_of_bills() else [],
            "margin": self._get_last_margin(),
        }

    def _get_near(self):
        """Return the alerts of running cycles: of each client the highest."""
        alerts = self.env["reseller.usage.alert"].search(
            [
                ("client_id.reseller_id", "=", self.id),
                ("cycle_end", ">=", self._today()),
                ("threshold", ">=", 80),
            ],
            order="threshold desc, id desc",
            limit=100,
        )
        highest = {}
        for alert in alerts:
            highest.setdefault(alert.client_id, alert)
        return alerts.browse().union(*highest.values())[:8]

    def _get_use_of_months(self):
        """Return each feature's use of this month and of the same days of the one before, of what adds up.

        :return: see ``use`` of _get_overview
        """
        today = self._today()
        first = today.replace(day=1)
        before = date_utils.subtract(first, months=1)
        until = min(date_utils.subtract(today, months=1), first - timedelta(days=1))
        days = [today - timedelta(days=number) for number in reversed(range(SPARK))]
        used = self._load_use(min(before, days[0]), today, "feature_id", "billing_date")
        by_feature = {}
        for (feature_id, day), (units, _events) in used.items():
            by_feature.setdefault(feature_id, {})[day] = units
        features = self.env["reseller.feature"].browse(by_feature)
        features = features.filtered(lambda one: one.aggregation in ("sum", "count")).sorted()
        rows = []
        for feature in features:
            units = by_feature[feature.id]
            now = sum((units[day] for day in units if day >= first), Decimal(0))
            then = sum((units[day] for day in units if before <= day <= until), Decimal(0))
            if not now and not then:
                continue
            rows.append(
                {
                    "name": feature.name,
                    "now": now,
                    "before": then,
                    "change": round(100 * (now - then) / then, 1) if then > 0 else None,
                    "expected": self._expect(now, now - units.get(today, Decimal(0)), today),
                    "spark": self._get_spark([units.get(day, Decimal(0)) for day in days]),
                }
            )
        return rows

    @api.model
    def _expect(self, now, until_today, today):
        """Return what a month's use comes to, were its days left as those before today; None on its first.

        :param Decimal now: the use of the month so far
        :param Decimal until_today: that of its whole days
        """
        past = today.day - 1
        if not past:
            return None
        whole = until_today * date_utils.end_of(today, "month").day / past
        expected = max(whole, now)
        return expected.quantize(Decimal(1) if expected >= 10 else Decimal("0.01")).normalize()

    @api.model
    def _get_spark(self, values):
        """Return the points of a small line of some values, as SVG has them, 100 wide and 20 high."""
        most, least = max(values), min(*values, 0)
        height = (most - least) or 1
        step = Decimal(100) / (len(values) - 1)
        return " ".join(
            f"{step * number:.1f},{19 - 18 * (value - least) / height:.1f}"
            for number, value in enumerate(values)
        )

    def _get_billed_months(self):
        """Return [(month in words, amount)] of what twelve months' bills came to, before taxes."""
        month = date_utils.subtract(self._today().replace(day=1), months=MONTHS - 1)
        sums = dict(
            self.env["reseller.statement"]._read_group(
                self._get_bills_domain()
                & Domain("bill_date", ">=", month)
                & Domain("currency_id", "=", self.currency_id.id),
                ["bill_date:month"],
                ["amount_total:sum"],
            )
        )
        found = []
        for _number in range(MONTHS):
            found.append((format_date(self.env, month, date_format="MMM yy"), sums.get(month, 0.0)))
            month = date_utils.add(month, months=1)
        return found

    # Preview of the brand

    def _render_brand_preview(self, vals):
        """Return a statement of this reseller as HTML, as it would be with other values."""
        self.ensure_one()
        statement = self.env["reseller.statement"]
        # It shows what bills come to, and at which prices.
        if self._sees_money_of_bills() and self.portal_see_prices:
            bills = [("reseller_id", "=", self.id), ("state", "in", LIVE)]
            with_use = [*bills, ("charge_ids.kind", "in", ("usage", "overage"))]
            order = "bill_date desc, id desc"
            # One with use has charts, too.
            statement = statement.search(with_use, order=order, limit=1) or statement.search(
                bills, order=order, limit=1
            )
        return self.env["ir.qweb"]._render(
            "reseller_billing.report_statement_preview",
            {
                "statement": statement,
                "brand": self.new(vals, origin=self),
                "image_data_uri": image_data_uri,
            },
        )
