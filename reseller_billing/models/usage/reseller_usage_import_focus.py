from datetime import date
from math import isclose, isfinite

from odoo import api, fields, models
from odoo.exceptions import UserError

REQUIRED = ("BillingAccountId", "SubAccountId", "SkuId", "ConsumedQuantity", "ChargePeriodStart")
KEPT = ("ChargeDescription", "ServiceName", "ResourceId", "RegionId", "ConsumedUnit")
EMPTY = ("", "NULL", None)


class ResellerUsageImport(models.Model):
    """Files in FOCUS 1.0, the open format of cost and usage: one row, one event."""

    _inherit = "reseller.usage.import"

    @api.model
    def _guess_format(self, header):
        return "focus" if set(REQUIRED) <= set(header) else super()._guess_format(header)

    def _check_columns_focus(self):
        header, _rows = self._open()
        missing = [name for name in REQUIRED if name not in header]
        if missing:
            raise UserError(
                self.env._(
                    "The file is no FOCUS 1.0 file, it lacks these columns: %s", ", ".join(missing)
                )
            )

    def _get_reader_focus(self):
        """Return a function from a row, by column name, to an event, with an id where it has one."""
        leveled = set(
            self.env["reseller.feature.level"]
            .search([("feature_id.company_id", "in", [False, self.company_id.id])])
            .mapped(lambda level: (level.feature_id.code, level.code))
        )

        def prepare(row):
            sku, price = _code(row.get("SkuId")), _code(row.get("SkuPriceId"))
            time = str(row.get("ChargePeriodStart") or "")
            if len(time) == len("2026-01-31"):
                time += "T00:00:00"
            if time and not time.endswith("Z") and "+" not in time:
                time += "Z"
            period = row.get("BillingPeriodStart") or ""
            event = {
                "source": f"focus/{row.get('BillingAccountId')}/{period[:7]}",
                "client": _client_ref(row),
                "feature": sku,
                "time": time,
                "quantity": _code(row.get("ConsumedQuantity")),
                "properties": {name: str(row[name]) for name in KEPT if _code(row.get(name))},
            }
            if number := _code(row.get("Id")):
                event["id"] = number
            if (sku, price) in leveled:
                event["level"] = price
            return event

        return prepare

    # What is missing

    def _create_missing(self):
        """Make resellers, clients, features, and prices if wanted, that the rows name."""
        notice = super()._create_missing()
        if self.format != "focus" or not self.create_missing:
            return notice
        found = self._collect()
        self._create_clients(found, self._create_resellers(found))
        features = self._create_features(found)
        if not self.create_prices:
            return notice
        self._create_prices(found, features)
        left = sorted(found["doubtful"] & set(features.mapped("code")))
        if not left:
            return notice
        return self.env._(
            "These features got no price, since the file's list price is not for one unit of what it "
            "counts (see PricingUnit, ConsumedUnit and ListCost): %s",
            ", ".join(left),
        )

    def _collect(self):
        """Return what the rows name: the first row of each, first days, and list prices."""
        found = {
            "resellers": {},
            "clients": {},
            "first": {},
            "features": {},
            "levels": {},
            "prices": {},
            "doubtful": set(),
            "currencies": set(),
        }
        header, rows = self._open()
        for _number, texts in rows:
            row = dict(zip(header, texts, strict=False))
            day = _day(row.get("ChargePeriodStart"))
            if not day:
                continue  # the row is rejected with its reason
            start = _day(row.get("BillingPeriodStart")) or day
            ref, code = _client_ref(row), _code(row.get("SkuId"))
            price, account = _code(row.get("SkuPriceId")), _code(row.get("BillingAccountId"))
            if account:
                found["resellers"].setdefault(account, row)
                found["clients"].setdefault(ref, row)
                found["first"][ref] = min(found["first"].get(ref, start), start, day)
            if not code:
                continue
            found["features"].setdefault(code, row)
            if price:
                found["levels"].setdefault(code, {})[price] = True
            amount = _price(row.get("ListUnitPrice"))
            if amount is not None and not _is_per_unit(row, amount):
                found["doubtful"].add(code)
            elif amount is not None:
                amounts = found["prices"].setdefault(code, {})
                amounts.setdefault(None, amount)
                amounts[price or ""] = amount
            if _code(row.get("BillingCurrency")):
                found["currencies"].add(row["BillingCurrency"])
        # A price that holds for some rows alone is none.
        for code in found["doubtful"]:
            found["prices"].pop(code, None)
        return found

    def _create_resellers(self, found):
        rows = found["resellers"]
        model = self.env["reseller.reseller"]
        there = model.with_context(active_test=False).search(
            [("company_id", "=", self.company_id.id), ("code", "in", list(rows))]
        )
        new = [code for code in rows if code not in set(there.mapped("code"))]
        partners = self._create_partners(
            [_name(rows[code].get("BillingAccountName"), code) for code in new]
        )
        made = model.create(
            [
                {
                    "code": code,
                    "partner_id": partner.id,
                    "company_id": self.company_id.id,
                    "currency_id": self._get_currency(rows[code].get("BillingCurrency")).id,
                }
                for code, partner in zip(new, partners, strict=True)
            ]
        )
        return {reseller.code: reseller for reseller in there | made}

    def _create_clients(self, found, resellers):
        rows = found["clients"]
        model = self.env["reseller.client"]
        there = model.with_context(active_test=False).search(
            [("company_id", "=", self.company_id.id), ("ref", "in", list(rows))]
        )
        new = [ref for ref in rows if ref not in set(there.mapped("ref"))]
        partners = self._create_partners(
            [_name(rows[ref].get("SubAccountName"), ref) for ref in new]
        )
        model.create(
            [
                {
                    "ref": ref,
                    "partner_id": partner.id,
                    "reseller_id": resellers[_code(rows[ref]["BillingAccountId"])].id,
                    "billing_anchor": "month",
                    "membership_ids": [fields.Command.create({"date_from": found["first"][ref]})],
                }
                for ref, partner in zip(new, partners, strict=True)
            ]
        ).action_activate()

    def _create_features(self, found):
        """Return the new features; a SKU with more than one SkuPriceId gets levels."""
        rows = found["features"]
        model = self.env["reseller.feature"]
        there = model.with_context(active_test=False).search(
            [("company_id", "in", [False, self.company_id.id]), ("code", "in", list(rows))]
        )
        new = [code for code in rows if code not in set(there.mapped("code"))]
        return model.create(
            [
                {
                    "code": code,
                    "name": _name(rows[code].get("ChargeDescription"), code),
                    "company_id": self.company_id.id,
                    "quantity_digits": 15,
                    "level_ids": [
                        fields.Command.create({"code": price, "name": price.rpartition(".")[2]})
                        for price in found["levels"].get(code, ())
                        if len(found["levels"][code]) > 1
                    ],
                }
                for code in new
            ]
        )

    def _create_prices(self, found, features):
        currencies = {self._get_currency(code).id for code in found["currencies"]}
        self.env["reseller.price.rule"].create(
            [
                {
                    "feature_id": feature.id,
                    "company_id": self.company_id.id,
                    "currency_id": currency,
                    "unit_price": found["prices"][feature.code][None],
                    "level_price_ids": [
                        fields.Command.create(
                            {
                                "level_id": level.id,
                                "unit_price": found["prices"][feature.code][level.code],
                            }
                        )
                        for level in feature.level_ids
                        if level.code in found["prices"][feature.code]
                    ],
                }
                for feature in features
                if feature.code in found["prices"]
                for currency in sorted(currencies or {self.company_id.currency_id.id})
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
            # Billing managers keep no currencies, but may bill in what the file is in.
            currency.sudo().active = True  # as above
        return currency


def _code(value):
    return None if value in EMPTY else str(value)


def _client_ref(row):
    """Return who used it: the sub-account, or the billing account itself where there is none."""
    return _code(row.get("SubAccountId")) or _code(row.get("BillingAccountId"))


def _name(value, code):
    return _code(value) or code


def _day(value):
    """Return the day of a time as an ISO date, or None."""
    try:
        return date.fromisoformat(str(value or "")[:10]).isoformat()
    except ValueError:
        return None


def _number(value):
    """Return a finite number, or None where it is none."""
    try:
        number = float(_code(value))
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _price(value):
    """Return a list price, or None where it is none."""
    price = _number(value)
    return price if price is not None and price >= 0 else None


def _is_per_unit(row, price):
    """Whether a row's list price is for one unit of what it counts.

    It is for one of its PricingUnit; where the row has a ListCost, the two have to agree as well.
    """
    counted, priced = _code(row.get("ConsumedUnit")), _code(row.get("PricingUnit"))
    if counted and priced and counted.casefold() != priced.casefold():
        return False
    cost, quantity = _number(row.get("ListCost")), _number(row.get("ConsumedQuantity"))
    if cost is None or quantity is None:
        return True
    return isclose(price * quantity, cost, rel_tol=1e-6, abs_tol=1e-9)
