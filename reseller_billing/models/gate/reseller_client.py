from decimal import Decimal
from math import ceil

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from ... import rating
from ..usage.reseller_usage_line import _is_key
from ..usage.reseller_usage_line_lookup import HELD

# What an event of `consume` may say.
CONSUMED = frozenset(("id", "source", "feature", "quantity", "level", "properties"))


class ResellerClient(models.Model):
    """Whether an account may use more."""

    _inherit = "reseller.client"

    def authorize(
        self, feature: str, quantity: str | int | float = "1", level: str | None = None
    ) -> dict:
        """Say whether this client may use a quantity of a feature now (rating 13).

        Refused is what a lock-out refuses, what goes beyond the maximum of today's price, where that
        blocks, use without a price, where the settings say so, and what is not covered: by units,
        where they are refilled and have no price beyond, or by the wallet, where the client may use
        what is prepaid alone. Nothing is reserved: use is a fact once it is ingested, and `consume`
        asks and takes in one.

        :param str feature: the feature's code
        :param quantity: a number or decimal text, not negative; where the feature is billed by its
            highest or last value, the new value
        :param level: the code of a price level of the feature, or None
        :return: ``allowed``, ``reason`` (text, False where allowed) and ``remaining`` (units up to
            the maximum as exact decimal text, False where there is no maximum)
        :raise UserError: for an unknown feature or level, or a quantity that is no number
        """
        return self._authorize(feature, quantity, level)[0]

    def _authorize(self, feature, quantity, level):
        """Return (the answer of `authorize`, whether this use would bring a refill about)."""
        self.ensure_one()
        if not self.env["reseller.usage.line"].has_access("create"):
            self.check_access("read")
        gate_sudo = self.env["reseller.gate"].sudo()  # metering systems get the answer alone
        asked = gate_sudo._load(self, _as_key(feature), _as_key(level) or None)
        if asked.company_id not in self.env.companies.ids:
            raise AccessError(self.env._("This client is another company's."))
        key_sudo = self.env["reseller.usage.key"]._get_current()
        if not asked.feature_id or not key_sudo._allows_feature(asked.feature_id):
            raise UserError(self.env._("There is no feature with code %s.", feature))
        if level and not asked.level_id:
            raise UserError(
                self.env._(
                    "There is no price level %(level)s of %(feature)s.",
                    level=level,
                    feature=feature,
                )
            )
        quantity = self._parse_quantity(quantity)

        def refuse(reason, remaining=False):
            return {"allowed": False, "reason": reason, "remaining": remaining}, False

        if not asked.is_served:
            return refuse(self.env._("The client is not served today."))
        use, rule = gate_sudo._load_state(asked)
        locks = rule and rule.locked_when_owing
        if asked.refused_use == "all" or (asked.refused_use == "marked" and locks):
            return refuse(self.env._("Locked out: invoices are overdue."))
        if not rule and asked.refuses_unpriced:
            name = self.env["reseller.feature"].sudo().browse(asked.feature_id).name  # as above
            return refuse(self.env._("%s has no price for this client today.", name))
        remaining = False
        if rule and rule.maximum:
            with rating.exact():
                left = rule.maximum - use.used
            gauge = asked.aggregation in ("max", "last")
            remaining = rating.text(max(left, Decimal(0)))
            if rule.blocks and quantity > (rule.maximum if gauge else left):
                return refuse(
                    self.env._(
                        "The maximum of %(maximum)s units per cycle leaves %(remaining)s.",
                        maximum=rating.text(rule.maximum),
                        remaining=remaining,
                    ),
                    remaining,
                )
        lack, refills = None, False
        if asked.prepaid_only or (rule and rule.refill_units):
            lack, refills = self._check_prepaid(asked, use, rule, quantity)
        if lack:
            return refuse(lack, remaining)[0], refills
        return {"allowed": True, "reason": False, "remaining": remaining}, refills

    def _check_prepaid(self, asked, use, rule, quantity):
        """Return (why a quantity more is not covered, or None; whether it brings a refill about).

        :param Asked asked: the question
        :param use: the rating.CycleUse of today's cycle
        :param rule: today's rating.Rule
        """
        if not rule or not use:
            return self.env._("It has no price that the prepaid balance could cover."), False
        gate_sudo = self.env["reseller.gate"].sudo()  # as in _authorize
        with_more, today = gate_sudo._load_use_with(asked, quantity), asked.metered.today
        lack, refills = None, False
        with rating.exact():
            payable = with_more.payable - use.payable
            amount = with_more.amount - use.amount
        if rule.refill_units:
            left = with_more.get_left(today) + with_more.prepaid.get_left(today)
            refills = asked.refills and left <= rule.refill_threshold
            if payable > 0 and not rule.terms.has_price(asked.level_id):
                there = use.get_left(today) + use.prepaid.get_left(today)
                lack = self.env._(
                    "%(left)s prepaid units are left, and more have no price.",
                    left=rating.text(there),
                )
        client_sudo = self.sudo()  # systems that ask get the answer alone
        if asked.prepaid_only:
            balance = client_sudo._load_live_balances()[self.id]
            cost = client_sudo._get_cost_of_use(asked.feature_id, amount)
            if cost > 0 and cost > balance and not lack:
                lack = self.env._("The prepaid balance does not cover this.")
            threshold = rating.exact_of(client_sudo.refill_threshold)
            refills = refills or (
                asked.refills
                and bool(client_sudo.refill_amount)
                and client_sudo.refill_on == "threshold"
                and balance - cost <= threshold
            )
        return lack, refills and not client_sudo._has_refill_under_way()

    def _get_cost_of_use(self, feature, amount):
        """Return what use of a feature comes to with its taxes, rounded up to the currency.

        :param feature: id
        :param Decimal amount: as priced, not rounded
        """
        self.ensure_one()
        unit = self.currency_id._get_exact_rounding()
        product = self.env["reseller.feature"].browse(feature)._get_product(self.company_id)
        return self._with_taxes(product, ceil(max(amount, Decimal(0)) / unit) * unit)

    def consume(self, event: dict) -> dict:
        """Take use of now in if this client may use as much; else take nothing.

        Those who ask for one client at the same time take turns, so that together they stay within
        its maximum. The same event sent again gets the same answer and counts once.

        :param dict event: ``id``, ``source``, ``feature`` (a code), ``quantity`` (a number or
            decimal text, not negative) and optionally ``level`` and ``properties``, see
            `reseller.usage.line.ingest`; its time is now
        :return: as `authorize`; ``remaining`` is what is left afterwards
        :raise UserError: for bad input, and for an id that came with other content
        :raise AccessError: without the group Usage Ingestion
        """
        self.ensure_one()
        client = self.sudo()  # metering systems read no accounts: they get the answer alone
        lines = self.env["reseller.usage.line"].with_company(client.company_id)
        lines._check_may_send()
        if client.company_id not in self.env.companies:
            raise AccessError(self.env._("This client is another company's."))
        if not isinstance(event, dict):
            raise UserError(self.env._("An event is an object with named values."))
        unknown = sorted(str(name) for name in event.keys() - CONSUMED)
        if unknown:
            # A correction, say, would be use of another day.
            raise UserError(
                self.env._("These members are not known here: %s", ", ".join(unknown)[:200])
            )
        feature = client._find_feature(event.get("feature"))
        asked = client._parse_quantity(event.get("quantity"))
        if not (_as_key(event.get("id")) and _as_key(event.get("source"))):
            raise UserError(self.env._("Name the event by its id and source, as texts."))
        client._take_turn()
        lines_sudo = lines.sudo()  # nor use; whoever sends an event may know that it is there
        before = lines_sudo._find_sent(client.company_id, event["source"], event["id"])
        answer, refills = self._authorize(
            feature.code,
            "1" if feature.aggregation == "count" else asked,
            event.get("level") or None,
        )
        if refills:
            self.env["reseller.refill"]._trigger()
        if before:
            told = before.client_id, before.feature_id, before.level_id.code or None
            same = told == (client, feature, event.get("level") or None)
            if not same or before.quantity != float(asked):
                raise UserError(self.env._("This event is stored already, with other content."))
            return {**answer, "allowed": True, "reason": False}
        if not answer["allowed"]:
            return answer
        now = fields.Datetime.now()
        # Who changes the account's days of service takes a turn as well.
        outcome = lines.with_context(reseller_held=HELD)._ingest(
            [{**event, "client": client.ref, "quantity": str(asked), "time": f"{now.isoformat()}Z"}]
        )
        if outcome["rejected"]:
            raise UserError(outcome["rejected"][0]["reason"])
        if answer["remaining"] and feature.aggregation not in ("max", "last"):
            used = Decimal(1) if feature.aggregation == "count" else asked
            left = max(Decimal(answer["remaining"]) - used, Decimal(0))
            answer["remaining"] = rating.text(left)
        return answer

    @api.model
    def _find_for_metering(self, ref):
        """Return the account of the current company with a reference, for who may send usage."""
        if not self.env["reseller.usage.line"].has_access("create"):
            self.check_access("read")
        # See authorize: what is found is used for its answer alone.
        self.flush_model(["company_id", "ref", "active"])
        found = self.env.execute_query(
            SQL(
                "SELECT client.id FROM reseller_client client "
                "WHERE client.company_id = %s AND client.ref = %s AND client.active AND %s",
                self.env.company.id,
                _as_key(ref),
                self.env["reseller.usage.key"]._get_current()._clients_sql(),
            )
        )
        if not found:
            raise UserError(self.env._("There is no client with reference %s.", ref))
        return self.browse(found[0])

    def _find_feature(self, code):
        features = self.env["reseller.feature"].search(
            [("code", "=", _as_key(code)), ("company_id", "in", [False, self.company_id.id])],
            order="company_id",
        )
        if not features:
            raise UserError(self.env._("There is no feature with code %s.", code))
        # A company's own feature goes before a common one with the same code.
        return features.filtered("company_id")[:1] or features[:1]

    def _parse_quantity(self, quantity):
        try:
            asked = self.env["reseller.usage.line"]._parse_quantity(quantity)
        except ValueError as error:
            raise UserError(str(error)) from error
        if asked < 0:
            raise UserError(self.env._("Ask for a quantity of zero or more."))
        return asked


def _as_key(value):
    """Return what comes from outside as a text that may be looked up, empty where it cannot."""
    return value if _is_key(value) else ""
