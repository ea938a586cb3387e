from freezegun import freeze_time
from lxml import html
from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from ..common import ResellerBillingCommon


class TestEveryDay(ResellerBillingCommon):
    """What people who bill every day look at: packages on bills, runs, a reseller's figures."""

    def _texts(self, content, path):
        tree = html.fragment_fromstring(str(content), create_parent=True)
        return [" ".join(one.text_content().split()) for one in tree.xpath(path)]

    def test_bills_say_how_units_became_packages(self):
        self._create_rule(pricing_model="package", package_size=1000, unit_price=5)
        self._use("2024-01-05", 9219)
        self._run("2024-02-01")
        bill = self._statement(self.client_a, "2024-02-01")
        said = "Unit: use, 01/01/2024 to 01/31/2024 · 9,219 used → 10 packages of 1,000"
        self.assertEqual(bill.charge_ids.name, said)
        self.assertEqual(bill.invoice_id.invoice_line_ids.name, said)
        self.assertEqual(bill.amount_total, 50)
        # 900 more of January: 10,119 are 11 packages, of which ten are paid.
        self._use("2024-01-20", 900)
        self._use("2024-02-05", 1)
        self._run("2024-03-01")
        [late] = self._statement(self.client_a, "2024-03-01").charge_ids.filtered(
            "adjusts_statement_id"
        )
        self.assertIn("10,119 used → 11 packages of 1,000, 10 of them billed before", late.name)
        self.assertEqual(late.amount, 5)
        # In the reader's own language, too.
        self.env["res.lang"]._activate_lang("de_DE")
        self.assertIn("9.219", bill.charge_ids.with_context(lang="de_DE").label)
        self.assertNotIn("9,219", bill.charge_ids.with_context(lang="de_DE").label)

    def test_what_is_free_comes_off_before_packages(self):
        self._create_rule(
            pricing_model="package", package_size=1000, unit_price=5, included_quantity=500
        )
        self._use("2024-01-05", 9219)
        self._run("2024-02-01")
        charge = self._statement(self.client_a, "2024-02-01").charge_ids
        self.assertIn("8,719 payable → 9 packages of 1,000", charge.name)
        # As a picture: 500 of 9,219 are 5.42 %, and stand at its end.
        bars = charge._get_waterfall_bars()
        self.assertEqual(
            [(bar["name"], bar["units"], bar["left"], bar["width"], bar["kind"]) for bar in bars],
            [
                ("Used", "9,219", 0, 100, "used"),
                ("Included", "500", 94.58, 5.42, "free"),
                ("Payable", "8,719", 0, 94.58, "payable"),
            ],
        )

    def test_no_sentence_of_packages_says_what_is_not_so(self):
        # Two prices in one cycle: 1,500 units begin two packages, the next 1,200 one more.
        self._create_rule(
            pricing_model="package", package_size=1000, unit_price=5, date_to="2024-01-15"
        )
        self._create_rule(
            pricing_model="package", package_size=1000, unit_price=6, date_from="2024-01-16"
        )
        self._use("2024-01-05", 1500)
        self._use("2024-01-20", 1200)
        self._run("2024-02-01")
        names = self._statement(self.client_a, "2024-02-01").charge_ids.mapped("name")
        self.assertEqual(
            [name.split(" · ")[1] for name in names], ["2 packages of 1,000", "1 packages of 1,000"]
        )

    def test_packages_that_are_given_back_are_said_to_be(self):
        self._create_rule(pricing_model="package", package_size=1000, unit_price=5)
        self._use("2024-01-05", 9219)
        self._run("2024-02-01")
        self._use("2024-01-06", -2000)
        self._run("2024-03-01")
        [back] = self._statement(self.client_a, "2024-03-01").charge_ids
        self.assertIn("7,219 used → 8 packages of 1,000, 10 were billed before", back.name)
        self.assertEqual(back.amount, -10)

    def test_a_run_in_a_glance_beside_the_one_before(self):
        self._create_rule(unit_price=1)
        self._create_client("B")
        self._use("2024-01-05", 100)
        self._use("2024-02-05", 150)
        self._use("2024-02-06", 7, client="B")
        first = self._run("2024-02-01")
        second = self._run("2024-03-01")
        self.assertEqual(
            first._get_totals(),
            [
                {
                    "total": "$ 100.00".replace(" ", "\N{NO-BREAK SPACE}"),
                    "bills": 1,
                    "before": None,
                    "change": None,
                    "day": "",
                }
            ],
        )
        [row] = second._get_totals()
        self.assertEqual(
            (
                row["total"].replace("\N{NO-BREAK SPACE}", " "),
                row["bills"],
                row["change"],
                row["day"],
            ),
            ("$ 157.00", 2, 57.0, "02/01/2024"),
        )
        # A later run changes nothing about what an earlier one is compared with.
        self.assertFalse(first._get_totals()[0]["before"])
        texts = " ".join(self._texts(second.strip_html, "//div"))
        self.assertIn("2 bills; $ 100.00 on 02/01/2024 +57.0 %", texts)
        self.assertFalse(self.env["reseller.billing.run"].new({"date": "2024-04-01"}).strip_html)

    def test_a_prepared_run_shows_what_is_unlike_the_last_bill_first(self):
        self._create_rule(unit_price=1)
        for ref in ("B", "C", "D"):
            self._create_client(ref)
        # A as usual, B five times as much, C a fifth, D new.
        for ref, january, february in (("A", 10, 11), ("B", 10, 50), ("C", 50, 10)):
            self._use("2024-01-05", january, client=ref)
            self._use("2024-02-05", february, client=ref)
        self._run("2024-02-01")
        run = self.env["reseller.billing.run"].create({"date": "2024-03-01", "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            pass
        listed = self.env["reseller.statement"].search(
            [("run_id", "=", run.id)], order="comparison, amount_total desc"
        )
        self.assertEqual(listed.mapped("client_id.ref")[:2], ["B", "C"])
        bars = html.fromstring(str(listed[0].change_html)).xpath("//div/@style")
        self.assertIn("width: 20%", bars[0])  # 10 of 50
        self.assertIn("width: 100%", bars[1])
        [row] = run._get_totals()
        self.assertEqual(row["total"].replace("\N{NO-BREAK SPACE}", " "), "$ 71.00")
        self.assertIn("Unlike the last bill", str(run.strip_html))

    @freeze_time("2024-03-20 12:00:00")
    def test_a_resellers_form_is_its_hub(self):
        self._create_rule(unit_price=1)
        other = self._create_client("B", reseller_id=self._create_reseller("R2").id)
        for client in ("A", "B"):
            self._use("2024-01-05", 10, client=client)
            self._use("2024-02-05", 20, client=client)
        self._run("2024-02-01")
        self._run("2024-03-01")
        reseller = self.reseller
        self.assertEqual((reseller.statement_count, reseller.month_amount), (2, 20))
        self.assertEqual(
            (reseller.clients_open_balance, reseller.clients_overdue_balance), (30, 30)
        )
        found = self.env["reseller.statement"].search(reseller.action_view_month()["domain"])
        self.assertEqual(found, self._statement(self.client_a, "2024-03-01"))
        found = self.env["reseller.client"].search(reseller.action_view_owing()["domain"])
        self.assertEqual(found, self.client_a)
        found = self.env["reseller.usage.daily"].search(reseller.action_view_usage()["domain"])
        self.assertEqual(found.client_id, self.client_a)
        self.assertNotIn(other, found.client_id)
        invoices = self._statement(self.client_a, "2024-02-01").invoice_id
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoices.ids
        ).create({})._create_payments()
        self.env.invalidate_all()
        self.assertEqual(reseller.clients_open_balance, 20)
        # The list that the figure opens adds up to it, also where one contact pays for several.
        self.assertEqual((self.client_a.owed_amount, self.client_a.overdue_amount), (20, 20))
        twin = self._create_client("T", partner=self.client_a.partner_id)
        self.assertEqual((twin.owed_amount, twin.open_balance), (0, 20))

    @freeze_time("2024-03-20 12:00:00")
    def test_clients_are_grouped_by_the_group_that_they_are_in(self):
        clients = self.env["reseller.client"]
        second = self._create_client("B", group=self.group)
        third = self._create_client("C")
        third.action_move_to_group(self.group, "2024-04-01")
        mine = [("id", "in", (self.client_a | second | third).ids)]
        rows = clients.web_read_group(mine, ["group_id"], ["__count"])["groups"]
        self.assertEqual(
            [(row["group_id"] and row["group_id"][1], row["__count"]) for row in rows],
            [(self.group.name, 1), (False, 2)],
        )
        # Opening a group finds those that are counted, of none as well.
        found = [
            clients.search([*mine, ("group_id", "in", [value])]) for value in (self.group.id, False)
        ]
        self.assertEqual(found, [second, self.client_a | third])

    def test_a_price_reads_back_while_it_is_typed(self):
        with Form(self.env["reseller.price.rule"]) as price:
            price.feature_id = self.feature
            price.reseller_id = self.reseller
            price.date_from = "2024-01-01"
            price.recurring_fee = 10
            price.included_quantity = 100
            price.unit_price = 0.05
            self.assertEqual(
                price.terms_text.replace("\N{NO-BREAK SPACE}", " "),
                "Unit, for Reseller R1, from 01/01/2024: $ 10.00 per cycle, 100 included, $ 0.05 per unit.",
            )
            price.pricing_model = "graduated"
            with price.tier_ids.new() as tier:
                tier.up_to, tier.unit_price = 1000, 0.04
            with price.tier_ids.new() as tier:
                tier.is_last, tier.unit_price = True, 0.03
            self.assertIn("graduated:", price.terms_text)
            self.assertIn("0.03", price.terms_text)

    @freeze_time("2024-03-20 12:00:00")
    def test_prices_in_time_a_lane_for_each_level(self):
        default = self._create_rule(unit_price=5)
        group = self._create_rule(
            unit_price=3, group_id=self.group.id, date_from="2024-02-01", date_to="2024-02-29"
        )
        client = self._create_client("B", group=self.group)
        own = self._create_rule(unit_price=2, client_id=client.id, date_from="2024-03-01")
        stranger = self._create_rule(unit_price=1, client_id=self.client_a.id)
        lanes = own._get_timeline()["lanes"]
        self.assertEqual(
            [lane["name"].split(":")[0] for lane in lanes], ["Client", "Group", "Default"]
        )
        self.assertEqual([lane["bars"][0]["rule"] for lane in lanes], [own, group, default])
        self.assertNotIn(stranger, [bar["rule"] for lane in lanes for bar in lane["bars"]])
        self.assertEqual(
            [bar["is_this"] for lane in lanes for bar in lane["bars"]], [True, False, False]
        )
        # From three months before its first day, 1 February, to three after today: 232 days.
        first, last = 92, 29  # the group's price begins on day 92, and has 29
        bar = lanes[1]["bars"][0]
        self.assertEqual(
            (bar["left"], bar["width"]),
            (
                round(first / 2.32, 2),
                round(round((first + last) / 2.32, 2) - round(first / 2.32, 2), 2),
            ),
        )
        # A group's price shows those above it alone.
        self.assertEqual(len(group._get_timeline()["lanes"]), 2)
        self.assertIn("Red: today", str(own.timeline_html))

    def test_a_change_is_tried_on_a_live_price(self):
        live = self._create_rule(unit_price=1, date_from="2023-01-01")
        self._use("2024-01-05", 10)
        self._run("2024-02-01")
        action = live.action_simulate()
        draft = self.env["reseller.price.rule"].browse(action["res_id"])
        self.assertEqual((draft.active, draft.draft_of_id, draft.unit_price), (False, live, 1))
        self.assertTrue(live.active)
        draft.write({"unit_price": 1.5, "draft_name": "Spring"})
        self.assertIn("Spring", draft.display_name)
        # The price that was selected brings its drafts.
        action = live.action_simulate()
        wizard = (
            self.env["reseller.price.simulation"]
            .with_context(**action["context"])
            .create({"periods": 1})
        )
        self.assertEqual(wizard.draft_ids, draft)
        wizard.action_simulate()
        self.assertEqual((wizard.line_ids.old_amount, wizard.line_ids.new_amount), (10, 15))
        second = self._create_rule(self._create_feature("other"), unit_price=1)
        with self.assertRaisesRegex(UserError, "press Try a Change"):
            (
                second | self._create_rule(self._create_feature("third"), unit_price=1)
            ).action_simulate()
        self.assertEqual(live._get_drafts(), draft)
        # The newest is proposed; two of one price are no change that could hold.
        later = self.env["reseller.price.rule"].browse(live.action_try_change()["res_id"])
        self.assertEqual(live._get_drafts(), later)
        both = self.env["reseller.price.simulation"].create({"draft_ids": (draft | later).ids})
        for action in (both.action_simulate, both.action_apply):
            with self.assertRaisesRegex(UserError, "take the place of the same price"):
                action()
        # A draft stands above what is in force, and hides nothing.
        lanes = draft._get_timeline()["lanes"]
        self.assertEqual([lane["name"] for lane in lanes], ["Draft", "Default"])
        self.assertEqual(lanes[1]["bars"][0]["rule"], live)


@tagged("post_install", "-at_install")
class TestEmptyLists(ResellerBillingCommon):
    """A list that has nothing yet says what belongs there, from wherever it is opened."""

    def test_lists_say_what_belongs_there(self):
        new = self._create_client("new", activate=False)
        opened = 0
        for record in (new, self._create_reseller("R9"), new.partner_id, self._run("2024-01-01")):
            for name in dir(type(record)):
                if not name.startswith("action_view_"):
                    continue
                try:
                    with self.env.cr.savepoint():
                        action = getattr(record, name)()
                except UserError:
                    continue  # which says why there is none
                ours = action.get("res_model", "").startswith("reseller.")
                if not ours or action.get("res_id") or action["view_mode"].startswith("form"):
                    continue
                self.assertTrue(action.get("help"), (record._name, name))
                opened += 1
        self.assertGreater(opened, 8)
