from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, date_utils
from odoo.tools.misc import format_date

from ..base.states import LIVE
from ..collection.reseller_client_collection import TRIES
from ..documents.reseller_statement_send import FAILED

MONTHS = 12
# The field of use that nothing prices, by book.
UNPRICED = {"retail": "is_unpriced", "wholesale": "is_unpriced_wholesale"}
# What waits, by who does what: it is billed, mended, or collected.
GROUPS = {
    "bill": ("due", "prepared", "near"),
    "mend": (
        *("parked", "untaxed", "unpriced", "unpriced_wholesale"),
        *("unreachable", "rejected", "failed"),
    ),
    "collect": ("overdue", "locked", "paused"),
}


class ResellerDashboard(models.AbstractModel):
    """What waits to be done, and what the months brought: the first page of the app."""

    _name = "reseller.dashboard"
    _description = "Dashboard of Reseller Billing"

    @api.model
    def get_data(self) -> dict:
        """Return what the dashboard shows of the companies that the user works in.

        :return: ``tiles``: dicts with ``key``, ``title``, ``count``, ``level`` (empty, info, warning or
            danger), ``group`` (of ``groups``) and ``action`` (of the web client; without one see
            get_action); ``groups``: dicts with ``key`` and ``title``; ``unpriced``: dicts with ``name`` (of
            a feature), ``text`` and ``action`` (a new price of it); ``revenue``: dicts with ``currency``,
            ``this_month`` and ``last_month`` (formatted); ``margins`` of resellers that buy, last month: dicts
            with ``currency``, ``retail``, ``cost``, ``margin`` (formatted) and ``is_loss``; ``chart``:
            ``labels`` (months) and ``datasets`` of ``label`` (currency) and ``data``
        :raise AccessError: without the group Billing User
        """
        self.env["reseller.charge"].check_access("read")
        self.env["reseller.usage.daily"].check_access("read")
        self.env.flush_all()
        chart, unpriced = self._get_chart(), self._load_unpriced()
        counts = {book: sum(row[3] for row in unpriced if row[5] == book) for book in UNPRICED}
        return {
            "tiles": self._get_tiles(counts),
            "groups": [
                {"key": "bill", "title": self.env._("To bill")},
                {"key": "mend", "title": self.env._("To mend")},
                {"key": "collect", "title": self.env._("To collect")},
            ],
            "unpriced": self._get_unpriced(unpriced),
            "revenue": [
                {
                    "currency": currency.name,
                    "this_month": currency.format(amounts[-1]),
                    "last_month": currency.format(amounts[-2]),
                }
                for currency, amounts in chart.items()
            ],
            "margins": self._get_margins(),
            "chart": {
                "labels": [
                    format_date(self.env, day, date_format="MMM yy") for day in self._months()
                ],
                "datasets": [
                    {"label": currency.name, "data": amounts} for currency, amounts in chart.items()
                ],
            },
        }

    def _get_tiles(self, unpriced_counts):
        """Return the tiles; see get_data.

        :param unpriced_counts: {book: days of use that nothing prices}
        """
        companies = self.env.companies.ids
        parked = Domain("id", "in", self._find_parked())
        rejected = Domain("state", "=", "open") & Domain("company_id", "in", companies)
        unpriced = {
            book: Domain(name, "=", True) & Domain("company_id", "in", companies)
            for book, name in UNPRICED.items()
        }
        unreachable = Domain("is_unreachable", "=", True) & Domain("company_id", "in", companies)
        failed = Domain("send_state", "in", FAILED) & Domain("company_id", "in", companies)
        failed &= Domain("state", "in", LIVE)
        prepared = Domain("state", "=", "prepared") & Domain("company_id", "in", companies)
        near = Domain("cycle_end", ">=", fields.Date.context_today(self))
        near &= Domain("threshold", ">=", 80) & Domain("company_id", "in", companies)
        locked = Domain("state", "=", "locked") & Domain("company_id", "in", companies)
        paused = Domain("collection_timing", "!=", "never") & Domain(
            "collection_failures", ">=", TRIES
        )
        paused &= Domain("company_id", "in", companies)
        untaxed = self._find_untaxed()
        overdue = Domain("reseller_client_id", "!=", False) & Domain("company_id", "in", companies)
        overdue &= Domain("state", "=", "posted") & Domain("move_type", "=", "out_invoice")
        overdue &= Domain("reseller_is_offer", "=", False)
        overdue &= Domain("payment_state", "in", ("not_paid", "partial"))
        overdue &= Domain("invoice_date_due", "<", fields.Date.context_today(self))
        moves = self.env["account.move"]
        runs = "reseller_billing.reseller_billing_run_action"
        return [
            self._tile("due", self.env._("Accounts due"), self._count_due(), level="info"),
            self._tile(
                "prepared",
                self.env._("Runs to approve"),
                self.env["reseller.billing.run"].search_count(prepared),
                runs,
                prepared,
                level="warning",
            ),
            self._tile(
                "parked",
                self.env._("Accounts parked"),
                self.env["reseller.billing.run.line"].search_count(parked),
                "reseller_billing.reseller_billing_run_line_action_parked",
                parked,
            ),
            self._tile(
                "untaxed",
                self.env._("Products without a sales tax"),
                len(untaxed),
                "account.product_product_action_sellable",
                Domain("id", "in", untaxed.ids),
            ),
            self._tile(
                "unpriced",
                self.env._("Days of unpriced use"),
                unpriced_counts["retail"],
                "reseller_billing.reseller_usage_daily_action_unpriced",
                unpriced["retail"],
                level="warning",
            ),
            self._tile(
                "unpriced_wholesale",
                self.env._("Days of use without a wholesale price"),
                unpriced_counts["wholesale"],
                "reseller_billing.reseller_usage_daily_action_unpriced",
                unpriced["wholesale"],
                level="warning",
            ),
            self._tile(
                "unreachable",
                self.env._("Days of use that no bill will reach"),
                self.env["reseller.usage.daily"].search_count(unreachable),
                "reseller_billing.reseller_usage_daily_action_unreachable",
                unreachable,
            ),
            self._tile(
                "rejected",
                self.env._("Events rejected"),
                self.env["reseller.usage.rejection"].search_count(rejected),
                "reseller_billing.reseller_usage_rejection_action",
                rejected,
            ),
            self._tile(
                "near",
                self.env._("Near an allotment or maximum"),
                self.env["reseller.usage.alert"].search_count(near),
                "reseller_billing.reseller_usage_alert_action",
                near,
                level="warning",
            ),
            self._tile(
                "failed",
                self.env._("Statements not sent"),
                self.env["reseller.statement"].search_count(failed),
                "reseller_billing.reseller_statement_action",
                failed,
            ),
            self._tile(
                "overdue",
                self.env._("Invoices overdue"),
                moves.search_count(overdue) if moves.has_access("read") else 0,
                "account.action_move_out_invoice_type",
                overdue,
            ),
            self._tile(
                "locked",
                self.env._("Locked out"),
                self.env["reseller.lockout"].search_count(locked),
                "reseller_billing.reseller_lockout_action",
                locked,
                level="warning",
            ),
            self._tile(
                "paused",
                self.env._("Charges paused after declines"),
                self.env["reseller.client"].search_count(paused),
                "reseller_billing.reseller_client_action",
                paused,
            ),
        ]

    def _tile(self, key, title, count, xmlid=None, domain=None, level="danger"):
        group = next((group for group, keys in GROUPS.items() if key in keys), "mend")
        tile = {
            "key": key,
            "group": group,
            "title": title,
            "count": count,
            "level": level if count else "",
        }
        if not xmlid:
            return tile  # see get_action
        action = self.env["ir.actions.act_window"]._for_xml_id(xmlid)
        if domain is not None:
            # What is counted is what is listed; nothing that the action filters besides.
            action.update(domain=list(domain), context={"create": False})
        action["name"] = title
        return {**tile, "action": action}

    def _load_unpriced(self):
        """Return [(feature, company, currency, days, first day, book)] of use that nothing prices."""
        return [
            (*row, book)
            for book, name in UNPRICED.items()
            for row in self.env["reseller.usage.daily"]._read_group(
                [(name, "=", True), ("company_id", "in", self.env.companies.ids)],
                ["feature_id", "company_id", "client_id.reseller_id.currency_id"],
                ["__count", "billing_date:min"],
            )
        ]

    def _get_unpriced(self, rows):
        """Return the features with use that nothing prices, for who may set a price; see get_data.

        :param rows: see _load_unpriced
        """
        if not self.env["reseller.price.rule"].has_access("create"):
            return []
        return [
            {
                "name": feature.name,
                "text": self.env._(
                    "%(count)s days of use without a wholesale price, since %(day)s",
                    count=count,
                    day=format_date(self.env, first),
                )
                if book == "wholesale"
                else self.env._(
                    "%(count)s days of use without a price, since %(day)s",
                    count=count,
                    day=format_date(self.env, first),
                ),
                "action": {
                    "type": "ir.actions.act_window",
                    "name": self.env._("Set a Price"),
                    "res_model": "reseller.price.rule",
                    "views": [(False, "form")],
                    "context": {
                        "default_feature_id": feature.id,
                        "default_book": book,
                        "default_company_id": company.id,
                        "default_currency_id": currency.id,
                        "default_date_from": fields.Date.to_string(first),
                    },
                },
            }
            for feature, company, currency, count, first, book in rows
        ]

    @api.model
    def get_action(self, key: str) -> dict:
        """Return the action of a tile that comes without one, made when somebody opens it.

        :param key: the tile's
        :raise AccessError: without the group Billing User
        """
        self.env["reseller.charge"].check_access("read")
        if key != "due":
            raise UserError(self.env._("The dashboard has changed: load it again."))
        return self.env["reseller.billing.run"].action_view_due()

    def _find_untaxed(self):
        """Return the products that bills sell and for which nobody has chosen a tax, as templates: of use and
        fees, of extra lines of contracts, and of packages.

        Companies that have no reseller bill none.
        """
        found = self.env["product.template"]
        resellers_sudo = self.env["reseller.reseller"].sudo()  # whose they are
        resellers_sudo = resellers_sudo.search([("company_id", "in", self.env.companies.ids)])
        packages_sudo = found.sudo().search([("reseller_grants", "!=", False)])  # as above
        for company in resellers_sudo.company_id:
            features_sudo = self.env["reseller.feature"].sudo()  # of its bills, whose they are
            features_sudo = features_sudo.search(
                [("product_id", "!=", False), ("company_id", "in", (False, company.id))]
            )
            lines_sudo = self.env["contract.line"].sudo()  # as above
            lines = lines_sudo._read_group(
                [
                    ("contract_id.reseller_client_id.company_id", "=", company.id),
                    ("contract_id.reseller_client_id.state", "=", "active"),
                    ("contract_id.reseller_client_id.reseller_id.invoice_to", "!=", "none"),
                    ("product_id", "!=", False),
                    "|",
                    ("date_end", "=", False),
                    ("date_end", ">=", fields.Date.today()),
                ],
                ["product_id"],
            )
            products = features_sudo.product_id | company.reseller_usage_product_id
            templates = products.union(*(product for (product,) in lines)).product_tmpl_id
            templates |= packages_sudo.filtered(
                lambda package, company=company: (
                    package._get_vat_mode(company, package.reseller_grants) == "receipt"
                )
            )
            templates = templates.filtered("active")
            found |= templates.filtered(
                lambda template, company=company: (
                    template.company_id in (company, company.browse())
                    and template._lacks_sales_tax(company)
                )
            )
        return found.sudo(False)  # what is listed is read with the rights of who looks

    def _find_parked(self):
        """Return the ids of the outcomes of accounts that are parked and have no bill since."""
        return [
            row[0]
            for row in self.env.execute_query(
                SQL(
                    """
                    SELECT line.id
                      FROM reseller_billing_run_line line
                      JOIN reseller_client client ON client.id = line.client_id
                     WHERE line.state = 'parked'
                       AND line.company_id = ANY(%s)
                       AND (client.next_bill_date <= line.bill_date OR EXISTS (
                           SELECT FROM reseller_statement freed
                            WHERE freed.client_id = client.id AND freed.is_freed
                              AND freed.bill_date <= line.bill_date))
                    """,
                    self.env.companies.ids,
                )
            )
        ]

    def _count_due(self):
        runs = self.env["reseller.billing.run"]
        return sum(run._count_due() for run in runs._get_runs_of_today())

    def _get_margins(self):
        """Return what resellers that buy were left with last month; see get_data."""
        last = self._months()[-2]
        resellers_sudo = self.env["reseller.reseller"].sudo()  # all, whoever looks at the sums
        resellers_sudo = resellers_sudo.search(
            [("company_id", "in", self.env.companies.ids), ("buyer_ids", "!=", False)]
        )
        sums = defaultdict(lambda: [0, 0])
        for _reseller, currency, month, retail, cost in self.env["reseller.margin"]._load_months(
            resellers_sudo, last
        ):
            if month == last:
                sums[currency][0] += retail
                sums[currency][1] += cost
        found = []
        for number, (retail, cost) in sums.items():
            currency = self.env["res.currency"].browse(number)
            found.append(
                {
                    "currency": currency.name,
                    "retail": currency.format(float(retail)),
                    "cost": currency.format(float(cost)),
                    "margin": currency.format(float(retail - cost)),
                    "is_loss": retail < cost,
                }
            )
        return found

    def _months(self):
        """Return the first days of the months of the chart, this month last."""
        this = date_utils.start_of(fields.Date.context_today(self), "month")
        return [date_utils.subtract(this, months=n) for n in reversed(range(MONTHS))]

    def _get_chart(self):
        """Return {currency: [recognised revenue of each month]} of the companies, see reseller.analysis."""
        months = self._months()
        currencies = self.env["res.currency"]
        found = {}
        for currency, month, amount in self.env.execute_query(
            SQL(
                """
                SELECT company.currency_id, date_trunc('month', revenue.date)::date,
                       sum(revenue.amount)
                  FROM (%s) AS revenue
                  JOIN res_company company ON company.id = revenue.company_id
                 WHERE revenue.company_id = ANY(%s)
                   AND revenue.date >= %s
                   AND revenue.date < %s
                 GROUP BY 1, 2
                 ORDER BY 1, 2
                """,
                self.env["reseller.analysis"]._revenue_sql(months[0]),
                self.env.companies.ids,
                months[0],
                date_utils.add(months[-1], months=1),
            )
        ):
            amounts = found.setdefault(currencies.browse(currency), [0.0] * MONTHS)
            amounts[months.index(month)] = float(amount)
        return found
