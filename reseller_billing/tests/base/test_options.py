from datetime import date
from decimal import Decimal

from odoo.exceptions import UserError, ValidationError
from odoo.tools import mute_logger
from psycopg2 import IntegrityError

from ..common import ResellerBillingCommon

# Feature: (its values, terms, use as (day, quantity), what is due without the fee on the bills of
# 1 April, May and June, by hand). A monthly fee of 30.00, which terms may change, comes on top.
USED = [("2024-04-05", 15)]
TIERS = [(10, 2, 1), (None, 1, 5)]
OPTIONS = {
    "plain": ({}, {"unit_price": 0.5}, USED, [0, 7.5, 0]),
    # 10 of 30 days: 20.00 of the fee, 67 of 100 included are left; 80 − 67 = 13 @ 1.00.
    "trial": (
        {},
        {"trial_days": 10, "included_quantity": 100, "unit_price": 1, "fees": (20, 30, 30)},
        [("2024-04-05", 50), ("2024-04-20", 80)],
        [0, 13, 0],
    ),
    "setup": ({}, {"setup_fee": 99}, [], [99, 0, 0]),
    # 20 units, valid up to 10 May: 15 in April, 5 of 10 on 5 May, none of 5 on 20 May.
    "bonus": (
        {},
        {"bonus_quantity": 20, "bonus_valid_days": 40, "unit_price": 1},
        [("2024-04-10", 15), ("2024-05-05", 10), ("2024-05-20", 5)],
        [0, 0, 10],
    ),
    # 40 of April roll over: 150 − 40 − 100 = 10 @ 0.10.
    "rollover": (
        {},
        {"included_quantity": 100, "rollover_cycles": 1, "unit_price": 0.1},
        [("2024-04-10", 60), ("2024-05-10", 150)],
        [0, 0, 1],
    ),
    # 2 packages of 10.
    "package": (
        {},
        {"pricing_model": "package", "package_size": 10, "unit_price": 3},
        USED,
        [0, 6, 0],
    ),
    # 1 + 10 × 2 and 5 + 5 × 1; the first tier's fee alone.
    "graduated": ({}, {"pricing_model": "graduated", "tiers": TIERS}, USED, [0, 31, 1]),
    # 5 + 15 × 1; the first tier's fee alone.
    "volume": ({}, {"pricing_model": "volume", "tiers": TIERS}, USED, [0, 20, 1]),
    "unlimited": ({}, {"pricing_model": "unlimited"}, USED, [0, 0, 0]),
    # 60 @ 0.10 and 40 missing; 100 missing.
    "least": (
        {},
        {"minimum_quantity": 100, "unit_price": 0.1},
        [("2024-04-05", 60)],
        [0, 10, 10],
    ),
    # 6.00 and nothing are raised to 25.00.
    "floor": ({}, {"minimum_amount": 25, "unit_price": 0.1}, [("2024-04-05", 60)], [0, 25, 25]),
    # Use beyond a maximum is billed, whatever was refused.
    "most": (
        {},
        {"max_quantity": 10, "limit_action": "block", "unit_price": 1},
        USED,
        [0, 15, 0],
    ),
    "highest": (
        {"aggregation": "max"},
        {"unit_price": 1},
        [("2024-04-05", 50), ("2024-04-20", 40), ("2024-05-02", 10)],
        [0, 50, 10],
    ),
    "final": (
        {"aggregation": "last"},
        {"unit_price": 1},
        [("2024-04-20", 40), ("2024-04-05", 50), ("2024-05-02", 10)],
        [0, 40, 10],
    ),
    # Two events and one, whatever they say.
    "count": (
        {"aggregation": "count"},
        {"unit_price": 2},
        [("2024-04-20", 40), ("2024-04-05", 50), ("2024-05-02", 10)],
        [0, 4, 2],
    ),
    # In arrears and whole, only in a month with use.
    "on_use": (
        {},
        {"enrolment": "on_use", "unit_price": 1, "fees": (None, 0, 30)},
        [("2024-05-20", 4)],
        [0, 0, 4],
    ),
    # Three keywords.
    "opt_in": ({}, {"enrolment": "opt_in", "fees": (90, 90, 90)}, [], [0, 0, 0]),
    "at_once": ({}, {"advance_cycles": 3, "fees": (90, 0, 0)}, [], [0, 0, 0]),
    "slow": (
        {},
        {"interval_count": 2, "interval_unit": "month", "fees": (30, 0, 30)},
        [],
        [0, 0, 0],
    ),
}
SCOPES = ("default", "reseller", "group", "client")


class TestOptions(ResellerBillingCommon):
    """Every option, from its field on the price to the line of the invoice."""

    def test_each_option_at_each_level_in_advance_and_in_arrears(self):
        client = self._create_client("O", start="2024-04-01", group=self.group)
        owners = {
            "default": {},
            "reseller": {"reseller_id": self.reseller.id},
            "group": {"group_id": self.group.id},
            "client": {"client_id": client.id},
        }
        waiting, expected = [], {}
        for code, (values, terms, use, due) in OPTIONS.items():
            fees = terms.get("fees", (30, 30, 30))
            terms = {name: value for name, value in terms.items() if name != "fees"}
            for timing in ("advance", "arrears"):
                # What the model of prices refuses is not tried.
                if timing == "advance" and fees[0] is None:
                    continue
                if timing == "arrears" and code == "at_once":
                    continue
                for number, scope in enumerate(SCOPES):
                    name = f"{code}/{timing}/{scope}"
                    feature = self._create_feature(name, **values)
                    for hidden in SCOPES[:number]:
                        self._create_rule(
                            feature, recurring_fee=1000, unit_price=1000, **owners[hidden]
                        )
                    self._create_rule(
                        feature, recurring_fee=30, fee_timing=timing, **owners[scope], **terms
                    )
                    if code == "opt_in":
                        self.env["reseller.client.feature"].create(
                            {
                                "client_id": client.id,
                                "feature_id": feature.id,
                                "date_from": "2024-04-01",
                                "quantity": 3,
                            }
                        )
                    waiting += [(when, quantity, name) for when, quantity in use]
                    # A fee in arrears is on the bill after the cycle.
                    paid = fees
                    if timing == "arrears" and code == "on_use":
                        paid = (0, *fees[1:])
                    elif timing == "arrears":
                        paid = (0, 0, fees[0]) if code == "slow" else (0, *fees[:2])
                    expected[name] = [
                        f"{fee + more:.2f}" for fee, more in zip(paid, due, strict=True)
                    ]
        days = ("2024-04-01", "2024-05-01", "2024-06-01")
        for day in days:
            for event in [event for event in waiting if event[0] < day]:
                self._use(*event, "O")
                waiting.remove(event)
            self._run(day)
        for number, day in enumerate(days):
            statement = self._statement(client, day)
            sums = dict.fromkeys(expected, Decimal(0))
            for (name, _kind), amount in self._amounts(statement).items():
                sums[name] += Decimal(amount)
            self.assertEqual(
                {name: f"{amount:.2f}" for name, amount in sums.items()},
                {name: amounts[number] for name, amounts in expected.items()},
            )
            self.assertAgrees(statement)
        charge = statement.charge_ids.filtered(
            lambda one: one.feature_id.code == "rollover/advance/client" and one.kind == "overage"
        )
        self.assertEqual(
            charge._get_waterfall(),
            "in this cycle: used 150, rolled over 40, included 100, payable 10",
        )

    def test_current_usage_counts_all_free_units(self):
        client = self._create_client("N", start=date.today())
        self._create_rule(included_quantity=10, bonus_quantity=5, unit_price=1, max_quantity=40)
        self._use(date.today(), 12, client="N")
        [entry] = client.current_usage()
        self.assertEqual(
            [entry[name] for name in ("used", "included_left", "payable", "maximum", "amount")],
            ["12", "3", "0", "40", "0"],
        )

    def test_contradicting_options_are_refused(self):
        gauge = self._create_feature("gauge", aggregation="max")
        for values, message in (
            ({"enrolment": "on_use", "recurring_fee": 1}, "in arrears"),
            ({"advance_cycles": 2, "fee_timing": "arrears"}, "in advance"),
            ({"advance_cycles": 0}, "advance_cycles_positive"),
            ({"pricing_model": "unlimited", "minimum_amount": 1}, "no minimum"),
            ({"pricing_model": "unlimited", "minimum_quantity": 1}, "no minimum"),
            ({"feature": gauge, "rollover_cycles": 1}, "highest or last"),
            (
                {"feature": gauge, "pricing_model": "volume", "tiers": [(None, 1, 0)]},
                "highest or last",
            ),
            ({"feature": gauge, "pricing_model": "package"}, "highest or last"),
            ({"trial_days": -1}, "amounts_positive"),
            ({"minimum_amount": -1}, "amounts_positive"),
        ):
            with (
                self.subTest(values),
                mute_logger("odoo.sql_db"),
                self.assertRaisesRegex((ValidationError, IntegrityError), message),
                self.env.cr.savepoint(),
            ):
                self._create_rule(**values)
        rule = self._create_rule(pricing_model="package", package_size=10, unit_price=1)
        with (
            self.assertRaisesRegex(ValidationError, "highest or last"),
            self.env.cr.savepoint(),
        ):
            self.feature.aggregation = "last"
        rule.unlink()
        self._use("2024-01-05", 1)
        with self.assertRaisesRegex(UserError, "make another feature"):
            self.feature.aggregation = "last"


class TestCorrections(ResellerBillingCommon):
    """Late, corrected and voided use."""

    def setUp(self):
        super().setUp()
        self._create_rule(unit_price=1)

    def _ingest(self, *events):
        return self.env["reseller.usage.line"].ingest(list(events))

    def test_a_correction_takes_the_day_and_level_of_its_event(self):
        level = self._create_level("hot", "Hot")
        self._ingest(self._event("2024-01-31", 10, id="wrong", level="hot"))
        self._run("2024-02-01")
        outcome = self._ingest(
            self._event("2024-02-10", -4, id="right", corrects="wrong"),
            self._event("2024-02-10", 1, id="first"),
            self._event("2024-02-11", -1, id="second", corrects="first"),
        )
        self.assertEqual(outcome["accepted"], 3)
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        charge = statement.charge_ids.filtered("amount")
        self.assertEqual((charge.level_id, charge.amount), (level, -4.0))
        self.assertEqual(charge.adjusts_statement_id.bill_date, date(2024, 2, 1))
        self.assertEqual(statement.invoice_id.move_type, "out_refund")
        self.assertAgrees(statement)
        late = self.env["reseller.usage.line"].search([("is_late", "=", True)])
        self.assertEqual(late.external_id, "right")

    def test_a_correction_of_something_else_is_rejected_with_its_reason(self):
        self._create_client("B")
        gauge = self._create_feature("gauge", aggregation="max")
        self._ingest(
            self._event("2024-01-05", 1, id="here"),
            self._event("2024-01-05", 1, "gauge", id="level"),
        )
        outcome = self._ingest(
            self._event("2024-01-06", -1, corrects="nothing"),
            self._event("2024-01-06", -1, client="B", corrects="here"),
            self._event("2024-01-06", -1, gauge.code, corrects="level"),
            self._event("2024-01-06", -1, corrects=["here"]),
        )
        reasons = [rejected["reason"] for rejected in outcome["rejected"]]
        self.assertEqual(len(reasons), 4)
        self.assertIn("no event nothing", reasons[0])
        self.assertIn("another client or feature", reasons[1])
        self.assertIn("void the wrong event", reasons[2])
        self.assertIn("no event", reasons[3])

    def test_a_voided_event_recomputes_highest_and_last_value(self):
        for code, aggregation in (("top", "max"), ("end", "last")):
            self._create_rule(self._create_feature(code, aggregation=aggregation), unit_price=1)
            self._ingest(
                self._event("2024-01-10", 30, code, id=f"{code}1", time="2024-01-10T08:00:00Z"),
                self._event("2024-01-10", 50, code, id=f"{code}2", time="2024-01-10T09:00:00Z"),
                self._event("2024-01-10", 20, code, id=f"{code}3", time="2024-01-10T10:00:00Z"),
            )
            # A copy of an earlier value that comes in later does not become the last.
            self._ingest(self._event("2024-01-10", 40, code, time="2024-01-10T09:30:00Z"))
        self._run("2024-02-01")
        amounts = self._amounts(self._statement(self.client_a, "2024-02-01"))
        self.assertEqual(amounts, {("top", "usage"): "50.00", ("end", "usage"): "20.00"})
        wrong = self.env["reseller.usage.line"].search([("external_id", "in", ("top2", "end3"))])
        wrong.action_void()
        wrong.action_void()  # once is enough
        self._run("2024-03-01")
        # 40 instead of 50, and 40 instead of 20.
        self.assertEqual(
            self._amounts(self._statement(self.client_a, "2024-03-01")),
            {("top", "usage"): "-10.00", ("end", "usage"): "20.00"},
        )

    def test_voided_use_is_given_back_with_the_next_bill(self):
        self._ingest(self._event("2024-01-10", 7, id="x"))
        self._run("2024-02-01")
        self.env["reseller.usage.line"].search([("external_id", "=", "x")]).action_void()
        # The event is known still: it cannot come in again.
        self.assertEqual(self._ingest(self._event("2024-01-10", 7, id="x"))["duplicates"], 1)
        self._run("2024-03-01")
        statement = self._statement(self.client_a, "2024-03-01")
        self.assertEqual(self._amounts(statement)["unit", "usage"], "-7.00")
        self.assertAgrees(statement)

    def test_outside_the_window_neither_late_use_nor_voiding(self):
        self._ingest(self._event("2024-01-10", 7, id="x"))
        self._run("2024-02-01")
        self.company.reseller_late_days = 62
        outcome = self._ingest(self._event("2024-01-11", 1))
        self.assertIn("outside the window", outcome["rejected"][0]["reason"])
        with self.assertRaisesRegex(UserError, "credit them by hand"):
            self.env["reseller.usage.line"].search([("external_id", "=", "x")]).action_void()
