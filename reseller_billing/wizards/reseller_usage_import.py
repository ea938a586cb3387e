import base64
import csv
import hashlib
import io
import json
from collections import Counter, defaultdict

from odoo import fields, models
from odoo.exceptions import UserError

REQUIRED = ("BillingAccountId", "SubAccountId", "SkuId", "ConsumedQuantity", "ChargePeriodStart")
KEPT = ("ChargeDescription", "ServiceName", "ResourceId", "RegionId", "ConsumedUnit")
EMPTY = ("", "NULL", None)
BATCH = 5000


class ResellerUsageImport(models.TransientModel):
    _name = "reseller.usage.import"
    _description = "Import of a FOCUS 1.0 Usage File"

    file = fields.Binary(string="FOCUS File", required=True, attachment=False)
    filename = fields.Char()
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    create_missing = fields.Boolean(
        string="Create What Is Missing",
        help="Unknown billing accounts become resellers, sub-accounts clients, SKUs features.",
    )
    create_prices = fields.Boolean(
        string="Price New Features",
        help="Every new feature gets a default price: the list unit price in the file.",
    )
    accepted = fields.Integer(readonly=True)
    duplicates = fields.Integer(readonly=True)
    rejected = fields.Integer(readonly=True)
    state = fields.Selection([("new", "New"), ("done", "Done")], default="new", readonly=True)

    def action_import(self):
        """Take the file's rows in as usage events, and show how many were taken."""
        self.ensure_one()
        self = self.with_company(self.company_id)
        rows = self._read_rows()
        if self.create_missing:
            self._create_missing(rows)
        counts = Counter()
        lines = self.env["reseller.usage.line"]
        events = self._prepare_events(rows)
        for start in range(0, len(events), BATCH):
            outcome = lines.ingest(events[start : start + BATCH])
            counts["accepted"] += outcome["accepted"]
            counts["duplicates"] += outcome["duplicates"]
            counts["rejected"] += len(outcome["rejected"])
        self.write({**counts, "state": "done"})
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def _read_rows(self):
        """Return the file's rows as dicts by column name."""
        self.ensure_one()
        try:
            text = base64.b64decode(self.file).decode("utf-8-sig")
            reader = csv.DictReader(io.StringIO(text))
            missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
            rows = list(reader)
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(self.env._("The file is no CSV in UTF-8: %s", error)) from error
        if missing:
            raise UserError(
                self.env._(
                    "The file is no FOCUS 1.0 file, it lacks these columns: %s", ", ".join(missing)
                )
            )
        return rows

    # Events

    def _prepare_events(self, rows):
        """Return the rows as usage events; times without offset are UTC."""
        seen = Counter()
        codes = {_code(row["SkuId"]) for row in rows}
        leveled = set(
            self.env["reseller.feature.level"]
            .search([("feature_id.code", "in", list(codes))])
            .mapped(lambda level: (level.feature_id.code, level.code))
        )
        return [self._prepare_event(row, seen, leveled) for row in rows]

    def _prepare_event(self, row, seen, leveled):
        sku, price = _code(row["SkuId"]), row.get("SkuPriceId")
        time = (row["ChargePeriodStart"] or "").strip()
        if time and not time.endswith("Z") and "+" not in time:
            time += "Z"
        event = {
            "id": row.get("Id"),
            "source": f"focus/{row['BillingAccountId']}/{(row.get('BillingPeriodStart') or '')[:7]}",
            "client": _client_ref(row),
            "feature": sku,
            "time": time,
            "quantity": None if row["ConsumedQuantity"] in EMPTY else row["ConsumedQuantity"],
            "properties": {name: row[name] for name in KEPT if row.get(name) not in EMPTY},
        }
        if (sku, price) in leveled:
            event["level"] = price
        if event["id"] in EMPTY:
            # The same row may stand in a file more than once: each is an event.
            digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
            seen[digest] += 1
            event["id"] = f"{digest}/{seen[digest]}"
        return event

    # What is missing

    def _create_missing(self, rows):
        """Make resellers, clients, features, and prices if wanted, that the rows name."""
        resellers = self._create_resellers(rows)
        self._create_clients(rows, resellers)
        features = self._create_features(rows)
        if self.create_prices:
            self._create_prices(rows, features)

    def _create_resellers(self, rows):
        names = {
            row["BillingAccountId"]: row for row in rows if row["BillingAccountId"] not in EMPTY
        }
        model = self.env["reseller.reseller"]
        there = model.with_context(active_test=False).search(
            [("company_id", "=", self.company_id.id), ("code", "in", list(names))]
        )
        new = [code for code in names if code not in set(there.mapped("code"))]
        partners = self._create_partners(
            [_name(names[code].get("BillingAccountName"), code) for code in new]
        )
        made = model.create(
            [
                {
                    "code": code,
                    "partner_id": partner.id,
                    "company_id": self.company_id.id,
                    "currency_id": self._get_currency(names[code].get("BillingCurrency")).id,
                }
                for code, partner in zip(new, partners, strict=True)
            ]
        )
        return {reseller.code: reseller for reseller in there | made}

    def _create_clients(self, rows, resellers):
        first, names = {}, {}
        for row in rows:
            ref, day = _client_ref(row), row["ChargePeriodStart"][:10]
            start = (row.get("BillingPeriodStart") or day)[:10]
            names.setdefault(ref, row)
            first[ref] = min(first.get(ref, start), start, day)
        model = self.env["reseller.client"]
        there = model.with_context(active_test=False).search(
            [("company_id", "=", self.company_id.id), ("ref", "in", list(names))]
        )
        new = [
            ref
            for ref, row in names.items()
            if ref not in set(there.mapped("ref")) and row["BillingAccountId"] in resellers
        ]
        partners = self._create_partners(
            [_name(names[ref].get("SubAccountName"), ref) for ref in new]
        )
        model.create(
            [
                {
                    "ref": ref,
                    "partner_id": partner.id,
                    "reseller_id": resellers[names[ref]["BillingAccountId"]].id,
                    "billing_anchor": "month",
                    "membership_ids": [fields.Command.create({"date_from": first[ref]})],
                }
                for ref, partner in zip(new, partners, strict=True)
            ]
        ).action_activate()

    def _create_features(self, rows):
        """Return the new features; a SKU with more than one SkuPriceId gets levels."""
        names, prices = {}, defaultdict(dict)
        for row in rows:
            code = _code(row["SkuId"])
            if code:
                names.setdefault(code, row)
                if row.get("SkuPriceId") not in EMPTY:
                    prices[code].setdefault(row["SkuPriceId"], row)
        model = self.env["reseller.feature"]
        there = model.with_context(active_test=False).search(
            [("company_id", "in", [False, self.company_id.id]), ("code", "in", list(names))]
        )
        new = [code for code in names if code not in set(there.mapped("code"))]
        return model.create(
            [
                {
                    "code": code,
                    "name": _name(names[code].get("ChargeDescription"), code),
                    "company_id": self.company_id.id,
                    "quantity_digits": 15,
                    "level_ids": [
                        fields.Command.create({"code": price, "name": price.rpartition(".")[2]})
                        for price in prices[code]
                        if len(prices[code]) > 1
                    ],
                }
                for code in new
            ]
        )

    def _create_prices(self, rows, features):
        by_level, plain = {}, {}
        for row in rows:
            if row.get("ListUnitPrice") not in EMPTY:
                code = _code(row["SkuId"])
                by_level[code, row.get("SkuPriceId")] = float(row["ListUnitPrice"])
                plain.setdefault(code, float(row["ListUnitPrice"]))
        currencies = {
            self._get_currency(row.get("BillingCurrency")).id
            for row in rows
            if row.get("BillingCurrency") not in EMPTY
        } or {self.company_id.currency_id.id}
        self.env["reseller.price.rule"].create(
            [
                {
                    "feature_id": feature.id,
                    "company_id": self.company_id.id,
                    "currency_id": currency,
                    "unit_price": plain[feature.code],
                    "level_price_ids": [
                        fields.Command.create(
                            {"level_id": level.id, "unit_price": by_level[feature.code, level.code]}
                        )
                        for level in feature.level_ids
                        if (feature.code, level.code) in by_level
                    ],
                }
                for feature in features
                if feature.code in plain
                for currency in sorted(currencies)
            ]
        )

    def _create_partners(self, names):
        return self.env["res.partner"].create(
            [{"name": name, "company_type": "company"} for name in names]
        )

    def _get_currency(self, code):
        if code in EMPTY:
            return self.company_id.currency_id
        currency = (
            self.env["res.currency"].with_context(active_test=False).search([("name", "=", code)])
        )
        if not currency:
            raise UserError(self.env._("There is no currency %s in Odoo.", code))
        if not currency.active:
            # Billing managers may bill in what the file is in, though they keep no currencies.
            currency.sudo().active = True
        return currency


def _code(value):
    return None if value in EMPTY else value


def _client_ref(row):
    """Return who used it: the sub-account, or the billing account itself where there is none."""
    return row["BillingAccountId"] if row["SubAccountId"] in EMPTY else row["SubAccountId"]


def _name(value, code):
    return code if value in EMPTY else value
