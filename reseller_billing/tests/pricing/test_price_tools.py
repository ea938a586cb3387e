import io
from datetime import date

import xlsxwriter
from odoo.exceptions import UserError, ValidationError

from ..common import ResellerBillingCommon


class TestPriceTools(ResellerBillingCommon):
    """Bulk changes, copies, simulation, import and export of prices."""

    def _change(self, rules, **values):
        wizard = (
            self.env["reseller.price.change"]
            .with_context(active_model="reseller.price.rule", active_ids=rules.ids)
            .create(values)
        )
        return self.env["reseller.price.rule"].search(wizard.action_apply()["domain"])

    def test_a_percentage_makes_new_versions(self):
        rule = self._create_rule(
            recurring_fee=9.99,
            pricing_model="graduated",
            tiers=[(10, 0.0075, 1), (None, 0.333, 0)],
            included_quantity=100,
        )
        made = self._change(rule, date="2024-03-01", percent=5, digits="4")
        self.assertEqual((rule.date_to, made.date_from), (date(2024, 2, 29), date(2024, 3, 1)))
        # 9.99 × 1.05 = 10.4895; 0.0075 × 1.05 = 0.007875, rounded half up to 0.0079; 0.34965.
        self.assertEqual(made.recurring_fee, 10.4895)
        self.assertEqual(made.tier_ids.mapped("unit_price"), [0.0079, 0.3497])
        self.assertEqual(made.tier_ids.mapped("flat_fee"), [1.05, 0.0])
        self.assertEqual(made.included_quantity, 100)
        with self.assertRaisesRegex(UserError, "ends on 2024-02-29"):
            self._change(rule, date="2024-03-01", percent=5)
        with self.assertRaisesRegex(UserError, "more than 100"):
            self._change(made, date="2024-04-01", percent=-101)

    def test_billed_days_keep_their_price(self):
        rule = self._create_rule(unit_price=1)
        self._run("2024-02-01")
        with (
            self.assertRaisesRegex(ValidationError, "first free day is 2024-02-01"),
            self.env.cr.savepoint(),
        ):
            self._change(rule, date="2024-01-15", percent=10)
        made = self._change(rule, date="2024-02-01", percent=10)
        self.assertEqual(made.unit_price, 1.1)

    def test_no_price_becomes_free_by_rounding(self):
        rule = self._create_rule(unit_price=0.00004, setup_fee=0.1234567)
        made = self._change(rule, date="2024-03-01", percent=5)
        self.assertEqual((made.unit_price, made.setup_fee), (0.000042, 0.129629535))
        same = self._change(made, date="2024-04-01", percent=0)
        self.assertEqual((same.unit_price, same.setup_fee), (0.000042, 0.129629535))
        with self.assertRaisesRegex(UserError, "would become free"), self.env.cr.savepoint():
            self._change(same, date="2024-05-01", percent=5, digits="2")
        free = self._change(same, date="2024-05-01", percent=-100)
        self.assertEqual(free.unit_price, 0)

    def test_a_simulation_for_a_group_is_of_those_who_were_in_it_then(self):
        self._create_rule(unit_price=1)
        self.client_a.action_move_to_group(self.group, "2024-02-01")
        self._create_client("B")
        for month in ("01", "02", "03"):
            self._use(f"2024-{month}-05", 10)
            self._use(f"2024-{month}-05", 10, client="B")
        self._run("2024-04-01")
        self.client_a.action_move_to_group(self.group.browse(), "2024-04-01")
        draft = self._create_rule(unit_price=0.5, group_id=self.group.id, active=False)
        simulation = (
            self.env["reseller.price.simulation"]
            .with_context(active_model="reseller.price.rule", active_ids=draft.ids)
            .create({"periods": 3})
        )
        simulation.action_simulate()
        # January at 1.00; February and March, in the group, at 0.50.
        self.assertEqual(
            [(line.client_id, line.old_amount, line.new_amount) for line in simulation.line_ids],
            [(self.client_a, 30.0, 20.0)],
        )

    def test_copies_for_groups_and_clients(self):
        rule = self._create_rule(unit_price=1, levels=())
        there = self._create_rule(unit_price=3, client_id=self.client_a.id)
        made = self._change(
            rule,
            mode="copy",
            date="2024-03-01",
            group_ids=[(6, 0, self.group.ids)],
            client_ids=[(6, 0, self.client_a.ids)],
        )
        self.assertEqual(sorted(made.mapped("scope")), ["client", "group"])
        self.assertEqual(made.mapped("unit_price"), [1.0, 1.0])
        self.assertEqual(there.date_to, date(2024, 2, 29))
        self.assertFalse(rule.date_to)
        euro = self.env.ref("base.EUR")
        euro.active = True
        other = self._create_reseller("EUR", currency_id=euro.id)
        with self.assertRaisesRegex(UserError, "another currency"), self.env.cr.savepoint():
            self._change(rule, mode="copy", date="2024-03-01", reseller_ids=[(6, 0, other.ids)])

    def test_simulation_replays_closed_periods_and_applies(self):
        self._create_rule(recurring_fee=10, included_quantity=10, unit_price=1)
        second = self._create_client("B")
        for day, first, other in (
            ("2024-01-05", 15, 5),
            ("2024-02-05", 20, 0),
            ("2024-03-05", 30, 12),
        ):
            self._use(day, first)
            if other:
                self._use(day, other, client="B")
        self._run("2024-04-01")
        statements = self.env["reseller.statement"].search_count([])
        draft = self._create_rule(recurring_fee=5, unit_price=0.8, active=False)
        simulation = (
            self.env["reseller.price.simulation"]
            .with_context(active_model="reseller.price.rule", active_ids=draft.ids)
            .create({"periods": 2})
        )
        simulation.action_simulate()
        # February and March, with the fees of March and April on their bills.
        # A: 20 + 10 × 1.00 + 20 × 1.00 = 50.00; 10 + 50 × 0.80 = 50.00.
        # B: 20 + 0 + 2 × 1.00 = 22.00; 10 + 12 × 0.80 = 19.60.
        self.assertEqual(
            {line.client_id: (line.old_amount, line.new_amount) for line in simulation.line_ids},
            {self.client_a: (50.0, 50.0), second: (22.0, 19.6)},
        )
        self.assertEqual((simulation.more_count, simulation.less_count), (0, 1))
        # Nothing was written, and what was billed is what the replay says of now.
        self.assertEqual(self.env["reseller.statement"].search_count([]), statements)
        billed = self.client_a.statement_ids.filtered(lambda one: one.bill_date >= date(2024, 3, 1))
        self.assertEqual(sum(billed.mapped("amount_total")), 50.0)
        simulation.date = "2024-04-01"
        simulation.action_apply()
        self._use("2024-04-05", 10, client="B")
        self._run("2024-05-01")
        # April's fee of 10.00 was paid in advance: 5.00 go back, 8.00 of use, 5.00 for May.
        self.assertEqual(self._statement(second, "2024-05-01").amount_total, 8.0)

    def test_round_trip_through_odoos_own_import(self):
        rules = self._create_rule(
            pricing_model="graduated",
            tiers=[(10, 2, 5), (None, 0.0000004, 0)],
            recurring_fee=9.99,
            trial_days=14,
            setup_fee=3,
            rollover_cycles=2,
            included_quantity=7,
            reseller_id=self.reseller.id,
        ) | self._create_rule(unit_price=0.333, client_id=self.client_a.id, date_to="2030-12-31")
        names = [
            "feature_id/.id",
            "reseller_id/.id",
            "client_id/.id",
            "date_to",
            "recurring_fee",
            "setup_fee",
            "trial_days",
            "included_quantity",
            "rollover_cycles",
            "pricing_model",
            "unit_price",
            "tier_ids/sequence",
            "tier_ids/up_to",
            "tier_ids/is_last",
            "tier_ids/unit_price",
            "tier_ids/flat_fee",
        ]
        before = [rule._get_terms_in_words() for rule in rules]
        rows = rules.export_data(names)["datas"]
        for kind in ("csv", "xlsx"):
            with self.subTest(kind):
                self.env["reseller.price.rule"].search([]).unlink()
                content = self._write(kind, names, rows)
                importer = self.env["base_import.import"].create(
                    {
                        "res_model": "reseller.price.rule",
                        "file": content,
                        "file_name": f"prices.{kind}",
                        "file_type": {
                            "csv": "text/csv",
                            "xlsx": "application/vnd.openxmlformats-officedocument."
                            "spreadsheetml.sheet",
                        }[kind],
                    }
                )
                result = importer.execute_import(
                    names,
                    names,
                    {
                        "has_headers": True,
                        "quoting": '"',
                        "separator": ",",
                        "float_thousand_separator": "",
                        "float_decimal_separator": ".",
                        "date_format": "%Y-%m-%d",
                        "datetime_format": "",
                    },
                )
                self.assertFalse(result["messages"])
                found = self.env["reseller.price.rule"].search([], order="reseller_id")
                self.assertEqual(
                    sorted(rule._get_terms_in_words() for rule in found), sorted(before)
                )
                graduated = found.filtered("tier_ids")
                self.assertEqual(graduated.tier_ids.mapped("unit_price"), [2.0, 0.0000004])

    def _write(self, kind, names, rows):
        texts = [["" if value in (False, None) else str(value) for value in row] for row in rows]
        if kind == "csv":
            return "\n".join(",".join(row) for row in [names, *texts]).encode()
        stream = io.BytesIO()
        book = xlsxwriter.Workbook(stream, {"in_memory": True})
        sheet = book.add_worksheet()
        for number, row in enumerate([names, *texts]):
            sheet.write_row(number, 0, row)
        book.close()
        return stream.getvalue()

    def test_a_price_in_another_currency_goes_on(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        home = self._create_rule(unit_price=1)
        abroad = self._create_rule(unit_price=2, currency_id=euro.id)
        draft = self._create_rule(unit_price=3, currency_id=euro.id, active=False)
        nobody = {"reseller_id": False, "group_id": False, "client_id": False}
        day = date(2024, 3, 1)
        made = draft._end_before(day, nobody)._make_copy(draft, day, nobody)
        self.assertEqual((made.unit_price, made.currency_id), (3, euro))
        self.assertEqual(abroad.date_to, date(2024, 2, 29))
        self.assertFalse(home.date_to)
