from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from math import ceil

from odoo import models
from odoo.addons.base.models.ir_actions_report import _wkhtml
from odoo.tools import SQL, date_utils
from odoo.tools.misc import format_date

from ... import rating

# Of a chart: how many bars it has at most, how many charts a document has, and their size in px.
MAX_BARS = 62
# Of each feature, on a page of a bill for many clients; the workbook has all.
MAX_CLIENTS = 25
MAX_CHARTS = 12
WIDTH, HEIGHT = 300, 46
USE = ("usage", "overage")
# What wkhtmltopdf with unpatched Qt makes of the statement's styles, in points, and the characters
# of a line, both on the safe side: a page may stay a little emptier than it must.
PAGE, FIRST_PAGE = 740, 585
HEADING, HEAD, PADDING = 30, 15, 5
NAME_LINE, NOTE_LINE = 11.3, 9.3
NAME_WIDTH, NOTE_WIDTH = 56, 66


class ResellerStatement(models.Model):
    """What a statement shows on paper: its pages, charts of use, and the annex of its invoice."""

    _inherit = "reseller.statement"

    # Pages

    def _get_pages(self, explained=False):
        """Return the tables of charges as the report shows them, page by page.

        A wkhtmltopdf with patched Qt cuts tables by itself and repeats their heads: it gets all in
        one. The unpatched one does not, so that each page gets tables with heads of their own.

        :param bool explained: whether each charge comes with its explanation
        :return: pages as lists of (title, rows); the title is empty where a table goes on, and rows
            are (charge, notes)
        """
        self.ensure_one()
        sections = [
            (title, [(charge, charge._get_notes(explained)) for charge in charges])
            for title, charges in self._get_sections()
        ]
        if _wkhtml().is_patched_qt:
            return [sections]
        pages, left = [[]], FIRST_PAGE
        for title, rows in sections:
            left -= HEADING + HEAD
            table = []
            for row in rows:
                needed = _height(*row)
                if needed > left and (table or pages[-1]):
                    if table:
                        pages[-1].append((title, table))
                        title = ""
                    pages.append([])
                    table, left = [], PAGE - HEAD
                table.append(row)
                left -= needed
            pages[-1].append((title, table))
        return pages

    # Use

    def _load_use_by_client(self):
        """Hook: return who used what, of bills for many clients: dicts with ``statement_id``, ``feature``,
        ``level``, ``client`` (names), ``ref`` and ``units`` (Decimal), the most first.
        """
        return []

    def _get_clients_by_feature(self):
        """Return who used the most of each feature, of a bill for many clients, as a page shows it.

        :return: dicts with ``feature``, ``level``, ``rows`` of _load_use_by_client, and ``more``: how many
            clients are left out
        """
        self.ensure_one()
        found = {}
        for row in self._load_use_by_client():
            found.setdefault((row["feature"], row["level"]), []).append(row)
        return [
            {
                "feature": feature,
                "level": level,
                "rows": rows[:MAX_CLIENTS],
                "more": max(len(rows) - MAX_CLIENTS, 0),
            }
            for (feature, level), rows in found.items()
        ]

    def _get_usage_rows(self):
        """Return the charges of use as rows for an invoice's annex.

        :return: dicts with ``name``, ``used`` and ``free`` (units of the cycle as Decimals, prepaid ones count as free; None
            where a row before says it), ``quantity``, ``unit_price``, ``amount`` (Decimals)
        """
        self.ensure_one()
        charges = self.charge_ids.filtered(lambda charge: charge.kind in USE).sorted("sequence")
        exact = charges._get_exact()
        rows, shown = [], set()
        for charge in charges:
            quantity, price, amount = exact[charge.id]
            rated = (charge.trace or {}).get("rated") or {}
            key = (charge.feature_id, charge.level_id, charge.cycle_start, charge.price_rule_id)
            used = free = None
            if "used" in rated and key not in shown:
                shown.add(key)
                used = Decimal(rated["used"])
                free = sum(Decimal(rated.get(name, "0")) for name in rating.FREE_KINDS)
            rows.append(
                {
                    "name": charge.label,
                    "used": used,
                    "free": free,
                    "quantity": quantity,
                    "unit_price": price,
                    "amount": amount,
                }
            )
        return rows

    def _get_usage_charts(self):
        """Return charts of this statement's use by day, those with the highest charges first.

        :return: dicts with ``name``, ``text`` (the total, and the day with the most), ``first`` and
            ``last`` (days in words), ``width`` and ``height`` (px), ``base`` (px from the top), and
            ``bars``: (x, y, width, height, whether below zero)
        """
        self.ensure_one()
        if not self.period_start:
            return []
        days = self._load_usage_by_day()
        charged = defaultdict(float)
        for charge in self.charge_ids:
            if charge.kind in USE:
                charged[charge.feature_id.id] += charge.amount
        order = sorted(
            days, key=lambda feature: (-charged[feature.id], feature.sequence, feature.id)
        )
        return [self._draw(feature, days[feature]) for feature in order[:MAX_CHARTS]]

    def _load_usage_by_day(self):
        """Return {feature: {day: quantity}} of this statement's days, as the feature counts."""
        found = defaultdict(dict)
        features = self.env["reseller.feature"]
        for feature, day, quantity in self.env.execute_query(
            SQL(
                """
                SELECT bucket.feature_id, bucket.billing_date, sum(%s)::text
                  FROM reseller_statement statement
                  %s
                  JOIN reseller_feature feature ON feature.id = bucket.feature_id
                 WHERE statement.id = %s
                 GROUP BY bucket.feature_id, bucket.billing_date
                 ORDER BY bucket.feature_id, bucket.billing_date
                """,
                self.env["reseller.usage.daily"]._counted_sql(),
                self.env["reseller.usage.daily"]._of_statement_sql(),
                self.id,
            )
        ):
            found[features.browse(feature)][day] = Decimal(quantity)
        return found

    def _draw(self, feature, by_day):
        """Return the chart of one feature, see _get_usage_charts."""
        spans = self._get_chart_spans()
        gauge = feature.aggregation in ("max", "last")
        values = []
        for first, last in spans:
            inside = [value for day, value in by_day.items() if first <= day <= last]
            values.append((max(inside, default=0) if gauge else sum(inside)) or Decimal(0))
        top, low = max(*values, Decimal(0)), min(*values, Decimal(0))
        height = float(top - low) or 1.0
        step = WIDTH / len(spans)
        base = round(float(top) / height * HEIGHT, 2)
        bars = []
        for number, value in enumerate(values):
            size = round(abs(float(value)) / height * HEIGHT, 2)
            if value:
                bars.append(
                    (
                        round(number * step, 2),
                        base if value < 0 else round(base - size, 2),
                        round(max(step - 1, step * 0.8), 2),
                        max(size, 0.5),
                        value < 0,
                    )
                )
        number = self.env["res.lang"]._format_exact
        peak = max(by_day, key=lambda day: by_day[day])
        text = self.env._(
            "%(total)s in all, most on %(day)s: %(most)s",
            total=number(sum(by_day.values())),
            day=format_date(self.env, peak),
            most=number(by_day[peak]),
        )
        if gauge:
            text = self.env._(
                "highest on %(day)s: %(most)s",
                day=format_date(self.env, peak),
                most=number(by_day[peak]),
            )
        return {
            "name": feature.name,
            "text": text,
            "first": format_date(self.env, spans[0][0]),
            "last": format_date(self.env, spans[-1][1]),
            "width": WIDTH,
            "height": HEIGHT,
            "base": base,
            "bars": bars,
        }

    def _get_chart_spans(self):
        """Return (first, last) of each bar: days, or weeks or months where there are too many."""
        for unit in ("day", "week", "month"):
            spans, day = [], self.period_start
            while day <= self.period_end:
                last = date_utils.end_of(day, unit) if unit != "day" else day
                spans.append((day, min(last, self.period_end)))
                day = last + timedelta(days=1)
            if len(spans) <= MAX_BARS:
                break
        return spans


def _height(charge, notes):
    """Return about how many points a charge takes."""
    lines = sum(ceil((len(title) + 2 + len(text)) / NOTE_WIDTH) for title, text in notes)
    return PADDING + NAME_LINE * ceil(len(charge.label) / NAME_WIDTH) + NOTE_LINE * lines
