import json
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

from odoo.addons.portal.controllers.portal import pager
from odoo.exceptions import UserError
from odoo.http import request
from odoo.tools.misc import format_date

from ...tables import make_csv, make_workbook
from .portal_report import ReportPortal, make_chart
from .portal_reseller import HOME, page

REPORT = f"{HOME}/report"
# Columns of features beside clients; files have all.
FEATURES = 6
# Events are read one by one for a property: of so many days at once.
PROPERTY_DAYS = 92
# Rows of a page by a property; files have all.
VALUES = 500
# Looks at a report in a minute, at most.
REPORTS = 30


class ReportingPortal(ReportPortal):
    """What all clients of a reseller have used: by feature, by client, or by a property of the events."""

    @page(REPORT, f"{REPORT}/page/<int:number>")
    def reseller_report(self, number=1, **post):
        resellers_sudo = self._get_resellers()
        # It adds up whatever the clients have used.
        self._check_pace("report", REPORTS)
        asked = self._read_report(resellers_sudo, post)
        if asked["name"]:
            self._take_export()  # as a file does: events are read one by one
        values = {**asked, **self._prepare_reporting(asked, number)}
        reseller = values.pop("reseller")
        return self._render_reseller(
            "portal_reseller_reporting",
            reseller,
            "report",
            resellers=resellers_sudo,
            ranges=self._get_ranges(reseller._today()),
            report_url=REPORT,
            **values,
        )

    @page(f"{REPORT}.<any(csv, xlsx):kind>")
    def reseller_report_file(self, kind, **post):
        """Send a report as a file: each feature of each client, or each value of a property."""
        asked = self._read_report(self._get_resellers(), post)
        if asked["errors"]:
            raise UserError(next(iter(asked["errors"].values())))
        self._take_export()
        head, rows = (
            self._get_property_table(asked) if asked["name"] else self._get_client_table(asked)
        )
        body = make_csv(head, rows) if kind == "csv" else make_workbook({None: (head, rows)})
        reseller = asked["reseller"]
        return self._send_file(body, f"{reseller.code}-{asked['first']}-{asked['last']}", kind)

    # What is asked for

    def _read_report(self, resellers, post):
        """Return what a report is asked to show, of the form or as proposed."""
        errors = {}
        wanted = self._read_id(post, "reseller")
        reseller = resellers.filtered(lambda one: one.id == wanted)[:1] or resellers[0]
        first, last = self._read_range(reseller, post, errors)
        by = self._read_text(post, "by", 100) or "feature"
        name = by.removeprefix("property:") if by.startswith("property:") else ""
        if name and (last - first).days >= PROPERTY_DAYS:
            errors["last"] = request.env._("By a property at most %s days at once.", PROPERTY_DAYS)
            first = last - timedelta(days=PROPERTY_DAYS - 1)
        sees_money = reseller._sees_money_of_bills()
        wanted = self._read_id(post, "feature")
        features = reseller.env["reseller.feature"].search(
            [("company_id", "in", [False, reseller.company_id.id])]
        )
        chosen = features.filtered(lambda one: one.id == wanted)
        return {
            "errors": errors,
            "reseller": reseller,
            "first": first,
            "last": last,
            "by": by if by in ("feature", "client") or name else "feature",
            "name": name,
            "in_money": sees_money and not name and post.get("measure") == "money",
            "sees_money": sees_money,
            "compares": not name and bool(post.get("compare")),
            "feature": chosen,
        }

    def _get_args(self, asked):
        """Return the arguments of a report's address."""
        return {
            "reseller": asked["reseller"].id,
            "first": str(asked["first"]),
            "last": str(asked["last"]),
            "by": asked["by"],
            **({"measure": "money"} if asked["in_money"] else {}),
            **({"compare": "1"} if asked["compares"] else {}),
            **({"feature": asked["feature"].id} if asked["feature"] else {}),
        }

    # What is shown

    def _prepare_reporting(self, asked, number):
        """Return the tables of a report, see the template."""
        reseller, first, last = asked["reseller"], asked["first"], asked["last"]
        args = self._get_args(asked)
        used = reseller._load_use(first, last, "feature_id", "billing_date")
        features = self._sort_features(reseller, {key[0] for key in used})
        values = {
            "query": urlencode(args),
            "range_query": urlencode(
                {key: value for key, value in args.items() if key not in ("first", "last")}
            ),
            "features": features,
            "properties": reseller._find_properties(first, last),
            "chart": self._get_use_chart(asked, used, features),
            "pager": None,
        }
        if asked["name"]:
            rows = reseller._load_property(
                first, last, asked["name"], asked["feature"], limit=VALUES + 1
            )
            names = {feature.id: feature.name for feature in features}
            return {
                **values,
                "table": [
                    (value, names.get(feature_id, ""), units, events)
                    for value, feature_id, units, events in rows[:VALUES]
                ],
                "has_more": len(rows) > VALUES,
            }
        if asked["by"] == "client":
            return {**values, **self._prepare_clients(asked, features, number, args)}
        return {**values, "table": self._get_feature_rows(asked, features)}

    def _sort_features(self, reseller, ids):
        return reseller.env["reseller.feature"].browse(sorted(ids)).sorted()

    def _get_feature_rows(self, asked, features):
        """Return a dict per feature: ``feature``, ``units``, ``events``, ``before`` (Decimals), ``change`` (per
        cent, or None) and ``amount``.
        """
        reseller, first, last = asked["reseller"], asked["first"], asked["last"]
        only = asked["feature"]
        used = reseller._load_use(first, last, "feature_id", feature=only)
        billed = (
            reseller._load_billed(first, last, "feature_id", feature=only)
            if asked["sees_money"]
            else {}
        )
        before = {}
        if asked["compares"]:
            days = reseller._get_days_before(first, last)
            before = (
                reseller._load_billed(*days, "feature_id", feature=only)
                if asked["in_money"]
                else {
                    key: units
                    for key, (units, _n) in reseller._load_use(
                        *days, "feature_id", feature=only
                    ).items()
                }
            )
        ids = {key[0] for key in (*used, *billed, *before)}
        rows = []
        for feature in self._sort_features(reseller, ids - {None}):
            units, events = used.get((feature.id,), (Decimal(0), 0))
            amount = billed.get((feature.id,), Decimal(0))
            rows.append(
                self._get_row(
                    feature.name, units, events, amount, before.get((feature.id,)), asked, feature
                )
            )
        if None in ids:
            rows.append(
                self._get_row(
                    request.env._("Other"),
                    None,
                    0,
                    billed.get((None,), Decimal(0)),
                    before.get((None,)),
                    asked,
                )
            )
        return rows

    def _get_row(self, name, units, events, amount, before, asked, feature=None):
        now = amount if asked["in_money"] else units
        return {
            "name": name,
            "feature": feature,
            "units": units,
            "events": events,
            "amount": amount,
            "before": before or Decimal(0),
            "change": None if now is None else self._get_change(now, before),
        }

    def _prepare_clients(self, asked, features, number, args):
        """Return the table of clients beside features; those who used, or pay, most of the first one come
        first.
        """
        reseller, first, last = asked["reseller"], asked["first"], asked["last"]
        keys = ("client_id", "feature_id")
        cells = (
            reseller._load_billed(first, last, *keys, feature=asked["feature"])
            if asked["in_money"]
            else {
                key: units
                for key, (units, _events) in reseller._load_use(
                    first, last, *keys, feature=asked["feature"]
                ).items()
            }
        )
        sums = {}
        for (_client, feature_id), value in cells.items():
            sums[feature_id] = sums.get(feature_id, Decimal(0)) + value
        found = {feature_id for feature_id in sums if feature_id}
        columns = self._sort_features(reseller, found)
        if asked["in_money"]:
            columns = columns.sorted(lambda feature: -sums[feature.id])
        else:
            most = [feature for feature in features if feature.id in found]
            columns = columns.browse([feature.id for feature in most])
        shown, others = columns[:FEATURES], columns[FEATURES:]
        rows = {}
        for (client_id, feature_id), value in cells.items():
            rows.setdefault(client_id, {})[feature_id] = value
        # Units of several features add up to nothing; money does.
        totals = {client_id: sum(values.values(), Decimal(0)) for client_id, values in rows.items()}

        def weight(client_id):
            leading = totals[client_id] if asked["in_money"] else Decimal(0)
            return -leading, [-rows[client_id].get(one.id, Decimal(0)) for one in shown], client_id

        ordered = sorted(rows, key=weight)
        size = self._items_per_page
        pages = pager(REPORT, len(ordered), number, size, url_args=args)
        chosen = ordered[pages["offset"] : pages["offset"] + size]
        clients = reseller.env["reseller.client"].with_context(active_test=False).browse(chosen)
        rest = {None, *others.ids}
        # What is compared is one figure a client: all its money, or the units of one feature.
        shows_before = asked["compares"] and (asked["in_money"] or bool(asked["feature"]))
        before = self._load_clients_before(asked) if shows_before else {}
        return {
            "pager": pages,
            "shows_before": shows_before,
            "columns": shown,
            "others": len(others),
            "has_rest": asked["in_money"] and bool(rest & sums.keys()),
            "sums": sums,
            "rest_sum": sum((sums.get(one, Decimal(0)) for one in rest), Decimal(0)),
            "total": sum(totals.values(), Decimal(0)),
            "count": len(ordered),
            "table": [
                {
                    "client": client,
                    "cells": [rows[client.id].get(one.id) for one in shown],
                    "rest": sum((rows[client.id].get(one, Decimal(0)) for one in rest), Decimal(0)),
                    "total": totals[client.id],
                    "before": before.get(client.id, Decimal(0)),
                    "change": self._get_change(totals[client.id], before.get(client.id)),
                }
                for client in clients
            ],
        }

    def _load_clients_before(self, asked):
        """Return {client id: Decimal} of the days before: money billed, or units of the feature."""
        reseller, feature = asked["reseller"], asked["feature"]
        days = reseller._get_days_before(asked["first"], asked["last"])
        if asked["in_money"]:
            found = reseller._load_billed(*days, "client_id", feature=feature)
            return {client_id: amount for (client_id,), amount in found.items()}
        found = reseller._load_use(*days, "client_id", feature=feature)
        return {client_id: units for (client_id,), (units, _events) in found.items()}

    @staticmethod
    def _get_change(now, before):
        """Return the difference in per cent, None where there was nothing before."""
        return round(100 * (now - before) / before, 1) if before else None

    def _get_use_chart(self, asked, used, features):
        """Return the chart of use by day: of the features that are used most, and the others together."""
        days = [
            asked["first"] + timedelta(days=n)
            for n in range((asked["last"] - asked["first"]).days + 1)
        ]
        wanted = asked["feature"] or features
        series = [
            (feature.name, [used.get((feature.id, day), (Decimal(0), 0))[0] for day in days])
            for feature in wanted
            if feature in features
        ]
        return json.dumps(
            make_chart(
                [format_date(request.env, day) for day in days], series, request.env._("Others")
            )
        )

    # Files

    def _get_client_table(self, asked):
        reseller, first, last = asked["reseller"], asked["first"], asked["last"]
        by, only = ("client_id", "feature_id"), asked["feature"]
        used = reseller._load_use(first, last, *by, feature=only)
        billed = (
            reseller._load_billed(first, last, *by, feature=only) if asked["sees_money"] else {}
        )
        before, billed_before = {}, {}
        if asked["compares"]:
            days = reseller._get_days_before(first, last)
            before = reseller._load_use(*days, *by, feature=only)
            if asked["sees_money"]:
                billed_before = reseller._load_billed(*days, *by, feature=only)
        head = [
            request.env._("Client"),
            request.env._("Reference"),
            request.env._("Feature"),
            request.env._("Events"),
            request.env._("Quantity"),
        ]
        if asked["compares"]:
            head.append(request.env._("Quantity before"))
        if asked["sees_money"]:
            head.append(request.env._("Billed (%s)", reseller.currency_id.name))
        if billed_before:
            head.append(request.env._("Billed before (%s)", reseller.currency_id.name))
        clients = reseller.env["reseller.client"].with_context(active_test=False)
        features = reseller.env["reseller.feature"]
        nothing = Decimal(0), 0
        keys = {*used, *billed, *before, *billed_before}
        known = features.browse({key[1] for key in keys if key[1]}).sorted()
        order = {feature.id: place for place, feature in enumerate(known)}
        found = sorted(keys, key=lambda key: (key[0], order.get(key[1], len(order))))
        rows = []
        for key in found:
            client, feature = clients.browse(key[0]), features.browse(key[1] or [])
            units, events = used.get(key, nothing)
            row = [client.name, client.ref, feature.name or "", Decimal(events), units]
            if asked["compares"]:
                row.append(before.get(key, nothing)[0])
            if asked["sees_money"]:
                row.append(billed.get(key, Decimal(0)))
            if billed_before:
                row.append(billed_before.get(key, Decimal(0)))
            rows.append(row)
        return head, rows

    def _get_property_table(self, asked):
        found = asked["reseller"]._load_property(
            asked["first"], asked["last"], asked["name"], asked["feature"]
        )
        features = asked["reseller"].env["reseller.feature"]
        head = [
            asked["name"],
            request.env._("Feature"),
            request.env._("Events"),
            request.env._("Quantity"),
        ]
        return head, [
            (value, features.browse(feature_id).name, Decimal(events), units)
            for value, feature_id, units, events in found
        ]
