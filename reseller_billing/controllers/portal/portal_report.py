import json
from datetime import timedelta
from decimal import Decimal

from odoo import fields
from odoo.addons.portal.controllers.portal import pager
from odoo.exceptions import UserError
from odoo.http import content_disposition, request
from odoo.tools import date_utils
from odoo.tools.misc import format_date

from ...models.portal.reseller_client_portal import MAX_EVENTS
from ...tables import make_csv, make_workbook
from .portal_reseller import (
    CLIENTS,
    EVENTS,
    MAX_DAYS,
    TYPES,
    ResellerPortal,
    page,
)

# Lines of a chart, beside that of the others together.
LINES = 6


def make_chart(labels, series, others):
    """Return the data of a chart, the highest lines each and all others as one.

    :param series: [(name, [Decimal of each label])]
    :param str others: what the line of the others is called
    """
    ordered = sorted(series, key=lambda pair: -sum(pair[1]))
    lines = ordered[:LINES]
    rest = [values for _name, values in ordered[LINES:]]
    if rest:
        lines.append((others, [sum(day) for day in zip(*rest, strict=True)]))
    return {
        "labels": labels,
        "datasets": [
            {"label": name, "data": [float(value) for value in values]} for name, values in lines
        ],
    }


class ReportPortal(ResellerPortal):
    """What a client has used: pages and files, for its reseller and itself."""

    def _get_ranges(self, today):
        """Return [(name, first day, last day)] that are often asked for."""
        month = today.replace(day=1)
        before = date_utils.subtract(month, months=1)
        return [
            (request.env._("This month"), month, today),
            (request.env._("Last month"), before, month - timedelta(days=1)),
            (request.env._("Last 30 days"), today - timedelta(days=29), today),
            (request.env._("This quarter"), date_utils.start_of(today, "quarter"), today),
            (request.env._("This year"), today.replace(month=1, day=1), today),
        ]

    def _read_range(self, whose, post, errors):
        """Return the days of a report: of the form, or this month to today.

        :param whose: a client or reseller, whose today it is
        """
        today = whose._today()
        first = self._read_date(post, "first", errors, required=False) or today.replace(day=1)
        last = self._read_date(post, "last", errors, required=False) or today
        if last < first:
            errors["last"] = request.env._("Not before the first day.")
        elif (last - first).days >= MAX_DAYS:
            errors["last"] = request.env._("At most %s days at once.", MAX_DAYS)
        if errors:
            first, last = today.replace(day=1), today
        return first, last

    @page(
        f"{CLIENTS}/<int:client_id>/report", f"{CLIENTS}/<int:client_id>/report/page/<int:number>"
    )
    def reseller_client_report(self, client_id, number=1, feature=None, **post):
        client_sudo = self._find_client(client_id)
        return self._render_reseller(
            "portal_reseller_report",
            client_sudo.reseller_id,
            "clients",
            heading=client_sudo.name,
            client=client_sudo,
            **self._prepare_report(
                client_sudo, f"{CLIENTS}/{client_id}/report", number, feature, post
            ),
        )

    def _prepare_report(self, client, url, number, feature, post):
        """Return what the page of a client's use shows, but for the client itself."""
        errors = {}
        first, last = self._read_range(client, post, errors)
        args = {"first": str(first), "last": str(last)}
        rows = client._get_report(first, last)
        wanted = self._read_id({"feature": feature}, "feature")
        used = client.env["reseller.feature"].union(*(row["feature"] for row in rows))
        chosen = used.filtered(lambda feature: feature.id == wanted)
        events, pages = client.env["reseller.usage.line"], None
        if chosen:
            # Counted by the buckets: a count of raw lines would read them all.
            total = sum(row["events"] for row in rows if row["feature"] == chosen)
            pages = pager(url, total, number, EVENTS, url_args={**args, "feature": chosen.id})
            events = events.search(
                client._get_events_domain(first, last, chosen),
                limit=EVENTS,
                offset=pages["offset"],
                order="billing_date desc, id desc",
            )
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        series = {}
        for row in rows:
            line = series.setdefault(row["feature"], dict.fromkeys(days, Decimal(0)))
            for day, quantity in row["days"].items():
                line[day] += Decimal(quantity or 0)
        return {
            "errors": errors,
            "first": first,
            "last": last,
            "rows": rows,
            "chosen": chosen,
            "events": events,
            "quantities": events._get_exact_quantities(),
            "pager": pages,
            "report_url": url,
            "query": f"first={first}&last={last}",
            "ranges": self._get_ranges(client._today()),
            "range_query": "",
            "chart": json.dumps(
                make_chart(
                    [format_date(request.env, day) for day in days],
                    [(one.name, list(line.values())) for one, line in series.items()],
                    request.env._("Others"),
                )
            ),
        }

    @page(f"{CLIENTS}/<int:client_id>/report.<any(csv, xlsx):kind>")
    def reseller_client_report_file(self, client_id, kind, detail="days", **post):
        """Send a client's use as a file: by day, or each event."""
        return self._send_report(self._find_client(client_id), kind, detail, post)

    def _send_report(self, client, kind, detail, post):
        errors = {}
        first, last = self._read_range(client, post, errors)
        if errors:
            raise UserError(next(iter(errors.values())))
        self._take_export()
        rows = self._get_event_rows if detail == "events" else self._get_day_rows
        head, found = rows(client, first, last)
        name = f"{client.ref}-{first}-{last}"
        body = make_csv(head, found) if kind == "csv" else make_workbook({None: (head, found)})
        return self._send_file(body, name, kind)

    def _send_file(self, body, name, kind):
        """Return a file of a kind of TYPES to be kept under a name."""
        return request.make_response(
            body,
            [
                ("Content-Type", TYPES[kind]),
                ("Content-Disposition", content_disposition(f"{name.replace('/', '-')}.{kind}")),
                ("X-Content-Type-Options", "nosniff"),
            ],
        )

    def _get_day_rows(self, client, first, last):
        head = [
            request.env._("Day"),
            request.env._("Feature"),
            request.env._("Level"),
            request.env._("Quantity"),
        ]
        return head, [
            (day.isoformat(), row["feature"].name, row["level"].name or "", Decimal(quantity or 0))
            for row in client._get_report(first, last)
            for day, quantity in row["days"].items()
        ]

    def _get_event_rows(self, client, first, last):
        lines = client.env["reseller.usage.line"]
        domain = client._get_events_domain(first, last)
        if lines.search_count(domain, limit=MAX_EVENTS + 1) > MAX_EVENTS:
            raise UserError(
                request.env._(
                    "There are more than %s events: choose fewer days.", f"{MAX_EVENTS:,}"
                )
            )
        lines = lines.search(domain, order="billing_date, id")
        quantities = lines._get_exact_quantities()
        head = [
            request.env._("Day"),
            request.env._("Time (UTC)"),
            request.env._("Feature"),
            request.env._("Level"),
            request.env._("Quantity"),
            request.env._("Event"),
            request.env._("Properties"),
        ]
        return head, [
            (
                line.billing_date.isoformat(),
                fields.Datetime.to_string(line.occurred_at),
                line.feature_id.name,
                line.level_id.name or "",
                Decimal(quantities[line.id]),
                line.external_id,
                json.dumps(line.properties, ensure_ascii=False) if line.properties else "",
            )
            for line in lines
        ]
