import json
from datetime import timedelta

import pytest
from dateutil.relativedelta import relativedelta
from odoo import fields, http, models
from odoo.tests import HttpCase, new_test_user, tagged

from ..common import PrepaidCommon, ResellerBillingCommon


def create_user(env, login, groups, company):
    """Return a new user of one company."""
    return new_test_user(
        env, login, groups, company_id=company.id, company_ids=[fields.Command.set(company.ids)]
    )


@tagged("post_install", "-at_install")
class TestWeb(ResellerBillingCommon, HttpCase):
    """What people and systems reach over HTTP."""

    @classmethod
    def _create_user(cls, login, groups):
        return create_user(cls.env, login, groups, cls.company)

    def _call(self, key, events):
        return self.url_open(
            "/json/2/reseller.usage.line/ingest",
            json={"events": events},
            headers={"Authorization": f"Bearer {key}"},
        )

    def _create_key(self, login, groups):
        user = self._create_user(login, groups)
        keys = self.env["res.users.apikeys"].with_user(user)
        return keys._generate("rpc", "usage", fields.Datetime.now() + timedelta(days=1))

    def test_usage_arrives_over_json2(self):
        key = self._create_key("meter", "base.group_user,reseller_billing.group_usage_ingestion")
        events = [self._event("2024-01-05", "0.000000000000001"), self._event("2024-01-05", "x")]
        answer = self._call(key, events)
        self.assertEqual(answer.status_code, 200)
        outcome = answer.json()
        self.assertEqual((outcome["accepted"], outcome["duplicates"]), (1, 0))
        self.assertEqual([one["index"] for one in outcome["rejected"]], [1])
        again = self._call(key, events[:1]).json()
        self.assertEqual((again["accepted"], again["duplicates"]), (0, 1))
        self.env.cr.execute("SELECT quantity::text FROM reseller_usage_line")
        self.assertEqual(self.env.cr.fetchall(), [("0.000000000000001",)])
        other = self._create_key("clerk", "base.group_user,reseller_billing.group_billing_user")
        self.assertEqual(self._call(other, events).status_code, 403)
        self.assertEqual(self._call("no key", events).status_code, 401)

    def test_systems_ask_before_they_deliver(self):
        self._create_rule(max_quantity=10, limit_action="block")
        self._use(fields.Date.today(), 7)
        key = self._create_key("asker", "base.group_user,reseller_billing.group_usage_ingestion")

        def ask(key=key, **asked):
            answer = self.url_open(
                "/reseller_billing/v1/authorize",
                json=asked,
                headers={"Authorization": f"Bearer {key}"},
            )
            return answer.status_code, answer.json()

        self.assertEqual(
            ask(client="A", feature="unit", quantity="3"),
            (200, {"allowed": True, "reason": False, "remaining": "3"}),
        )
        status, answer = ask(client="A", feature="unit", quantity=3.5)
        self.assertEqual((status, answer["allowed"], answer["remaining"]), (200, False, "3"))
        self.assertIn("maximum of 10", answer["reason"])
        for asked in (
            {"client": "B", "feature": "unit"},
            {"client": "A", "feature": "none"},
            {"client": "A", "feature": "unit", "quantity": "many"},
            {"client": "A", "feature": "unit", "quantity": -1},
        ):
            status, answer = ask(**asked)
            self.assertEqual(status, 400, asked)
            self.assertTrue(answer["message"])
        other = self._create_key("nobody", "base.group_user")
        self.assertEqual(ask(other, client="A", feature="unit")[0], 403)

    def test_systems_ask_and_take_in_one(self):
        self._create_rule(max_quantity=10, limit_action="block", unit_price=1)
        unpriced = self._create_feature("unpriced")
        key = self._create_key("taker", "base.group_user,reseller_billing.group_usage_ingestion")

        def consume(key=key, **asked):
            answer = self.url_open(
                "/reseller_billing/v1/consume",
                json={"client": "A", "source": "gate", "feature": "unit", **asked},
                headers={"Authorization": f"Bearer {key}"},
            )
            return answer.status_code, answer.json()

        yes = {"allowed": True, "reason": False}
        self.assertEqual(consume(id="1", quantity="7"), (200, {**yes, "remaining": "3"}))
        # The same again counts once; with other content it is refused.
        self.assertEqual(consume(id="1", quantity=7), (200, {**yes, "remaining": "3"}))
        status, answer = consume(id="1", quantity=1)
        self.assertEqual(status, 400)
        self.assertIn("other content", answer["message"])
        status, answer = consume(id="2", quantity=4)
        self.assertEqual((status, answer["allowed"], answer["remaining"]), (200, False, "3"))
        self.assertEqual(consume(id="3", quantity=3), (200, {**yes, "remaining": "0"}))
        lines = self.env["reseller.usage.line"].search([("source", "=", "gate")])
        self.assertEqual(sorted(lines.mapped("external_id")), ["1", "3"])
        self.assertFalse(self.env["reseller.usage.rejection"].search([]))
        # Without a price it is taken, unless the settings say no.
        taken = {"feature": unpriced.code, "quantity": 1}
        self.assertEqual(consume(id="4", **taken), (200, {**yes, "remaining": False}))
        self.company.reseller_refuse_unpriced = True
        status, answer = consume(id="5", **taken)
        self.assertEqual((status, answer["allowed"]), (200, False))
        self.assertIn("no price", answer["reason"])
        self.company.reseller_refuse_unpriced = False
        for asked in (
            {"quantity": 1},
            {"id": "6"},
            {"id": "6", "quantity": -1},
            {"id": "6\0", "quantity": 1},
            {"id": "6", "quantity": 1, "level": "none"},
            {"id": "6", "quantity": 1, "properties": "none"},
            {"id": "6", "quantity": 1, "client": "\ud800"},
        ):
            status, answer = consume(**{**taken, "quantity": None, **asked})
            self.assertEqual(status, 400, asked)
        other = self._create_key("outsider", "base.group_user")
        self.assertEqual(consume(other, id="7", quantity=1)[0], 403)

    def test_prices_go_out_and_in_again_by_odoos_own_export_and_import(self):
        user = self._create_user("pricer", "base.group_user,reseller_billing.group_billing_manager")
        user.group_ids |= self.env.ref("base.group_allow_export")
        user.password = "pricer"
        hot = self._create_level("hot", "Hot")
        other = self._create_feature("other")
        self._create_rule(
            recurring_fee=9.99,
            fee_timing="advance",
            advance_cycles=3,
            refund_on_close=False,
            interval_count=2,
            interval_unit="week",
            trial_days=14,
            setup_fee=3,
            bonus_quantity=5,
            bonus_valid_days=30,
            included_quantity=7,
            rollover_cycles=2,
            pricing_model="graduated",
            tiers=[(10, 2, 5), (None, 0.0000004, 0)],
            levels=[(hot, 0.333)],
            minimum_quantity=4,
            minimum_amount=2.5,
            max_quantity=1000,
            limit_action="block",
            proration="none",
            date_from="2024-01-01",
            reseller_id=self.reseller.id,
        ).level_price_ids.included_quantity = 3
        self._create_rule(
            enrolment="on_use",
            fee_timing="arrears",
            recurring_fee=4,
            pricing_model="package",
            package_size=12.5,
            unit_price=1.0000000000001,
            date_to="2030-12-31",
            client_id=self.client_a.id,
        )
        self._create_rule(
            other, enrolment="opt_in", pricing_model="unlimited", group_id=self.group.id
        )
        rules = self.env["reseller.price.rule"].search([])
        skipped = {"active", "name", "display_name", "scope", "company_id", "feature_id", "id"}

        def terms(found):
            return sorted(
                (
                    repr(
                        {
                            name: rule[name]
                            for name, field in rule._fields.items()
                            if field.store
                            and field.type not in ("one2many", "datetime")
                            and name not in ("id", "create_uid", "write_uid")
                        }
                    ),
                    [
                        (one.up_to, one.is_last, one.unit_price, one.flat_fee)
                        for one in rule.tier_ids
                    ],
                    [
                        (one.level_id, one.unit_price, one.included_quantity)
                        for one in rule.level_price_ids
                    ],
                )
                for rule in found
            )

        before = terms(rules)
        names = [
            name
            for name, field in rules._fields.items()
            if field.store
            and name not in models.MAGIC_COLUMNS
            and field.type != "one2many"
            and name not in skipped
        ]
        names = ["feature_id", *names]
        names += [
            f"tier_ids/{name}"
            for name in ("sequence", "up_to", "is_last", "unit_price", "flat_fee")
        ]
        names += [
            f"level_price_ids/{name}" for name in ("level_id", "unit_price", "included_quantity")
        ]
        # What an import-compatible export offers: other records by their external ids.
        related = {
            name
            for name in names
            if name in rules._fields and rules._fields[name].type == "many2one"
        } | {"level_price_ids/level_id"}
        names = [f"{name}/id" if name in related else name for name in names]
        self.authenticate("pricer", "pricer")
        for kind in ("csv", "xlsx"):
            with self.subTest(kind):
                answer = self.url_open(
                    f"/web/export/{kind}",
                    data={
                        "data": json.dumps(
                            {
                                "model": "reseller.price.rule",
                                "fields": [
                                    {"name": name, "label": name, "type": "char"} for name in names
                                ],
                                "ids": self.env["reseller.price.rule"].search([]).ids,
                                "domain": [],
                                "import_compat": True,
                            }
                        ),
                        "csrf_token": http.Request.csrf_token(self),
                    },
                )
                self.assertEqual(answer.status_code, 200, answer.text[:500])
                self.env["reseller.price.rule"].search([]).unlink()
                importer = self.env["base_import.import"].create(
                    {
                        "res_model": "reseller.price.rule",
                        "file": answer.content,
                        "file_name": f"prices.{kind}",
                        "file_type": answer.headers["Content-Type"].partition(";")[0],
                    }
                )
                result = importer.execute_import(
                    names,
                    names,
                    {
                        "has_headers": True,
                        "quoting": '"',
                        "separator": ",",
                        "float_thousand_separator": ",",
                        "float_decimal_separator": ".",
                        "date_format": "%Y-%m-%d",
                        "datetime_format": "",
                    },
                )
                self.assertFalse(result["messages"])
                self.assertEqual(terms(self.env["reseller.price.rule"].search([])), before)

    @pytest.mark.tour
    def test_a_manager_bills(self):
        user = self._create_user("biller", "base.group_user,reseller_billing.group_billing_manager")
        user.password = "biller"
        self._create_rule(unit_price=1)
        self._create_rule(unit_price=2, included_quantity=10, client_id=self.client_a.id)
        today = fields.Date.today()
        # Service began two months ago: that month's bill is due on whatever day this runs.
        this_month = today.replace(day=1)
        start = this_month - relativedelta(months=2)
        self.reseller.tz = "UTC"
        self.client_a.membership_ids.date_from = start
        self.client_a.sudo().next_bill_date = start
        for day in (start, this_month):
            self._use(day, 25, time=f"{day}T00:00:00Z")
        self.start_tour("/odoo", "reseller_billing.start_a_run", login="biller")
        run = self.env["reseller.billing.run"].search([], limit=1, order="id desc")
        self.assertEqual(run.state, "running")
        while run._process_batch():
            pass
        self.start_tour(
            f"/odoo/reseller.billing.run/{run.id}", "reseller_billing.check_a_run", login="biller"
        )

    @pytest.mark.tour
    def test_from_an_empty_company_to_a_posted_bill_in_twelve_clicks(self):
        company = self._create_company(name="Other")
        company.reseller_billing_delay = 0
        user = create_user(
            self.env,
            "beginner",
            "base.group_user,reseller_billing.group_billing_manager,base.group_partner_manager",
            company,
        )
        user.password = user.login
        self.start_tour("/odoo", "reseller_billing.first_bill", login=user.login)
        run = self.env["reseller.billing.run"].search([("company_id", "=", company.id)])
        while run.with_company(company)._process_batch():
            pass
        # From the first of the month on; a second one where the next month has begun meanwhile.
        bills = run.statement_ids.sorted("bill_date")
        self.assertEqual(len(bills), 2 if run.date.month != bills[0].bill_date.month else 1)
        for bill in bills:
            self.assertEqual(
                (bill.amount_total, bill.invoice_id.state, bill.client_id.ref),
                (10, "posted", "HD"),
                run.parked_line_ids.mapped("reason"),
            )
        self.start_tour("/odoo", "reseller_billing.after_the_first_bill", login=user.login)

    @pytest.mark.tour
    def test_an_administrator_goes_from_a_client_to_its_mailed_invoice(self):
        login = "administrator"
        user = self._create_user(
            login,
            "base.group_user,reseller_billing.group_billing_manager,base.group_partner_manager,"
            "reseller_billing.group_usage_ingestion",
        )
        user.password = login
        self.client_a.action_close("2024-01-01")
        self._create_rule(unit_price=1)
        self.env["res.partner"].create(
            [
                {"name": "Bluewave Tours", "email": "bluewave@example.com"},
                {"name": "Harbour Dental", "email": "harbour@example.com"},
            ]
        )
        self.start_tour("/odoo", "reseller_billing.set_up_a_client", login=login)
        client = self.env["reseller.client"].search([("ref", "=", "HD-1")])
        self.assertEqual((client.state, client.group_id.name), ("active", "Gold"))
        self.start_tour("/odoo", "reseller_billing.import_usage", login=login)
        self.assertEqual(self.env["reseller.usage.line"].search_count([]), 3)
        self.assertEqual(
            self.env["reseller.usage.mapping"].search_count([("name", "=", "Gateway")]), 1
        )
        run = self._run("2024-02-01")
        self.start_tour(
            f"/odoo/reseller.billing.run/{run.id}", "reseller_billing.hand_out", login=login
        )
        # 1234.5 + 100 + 40 = 1374.5 units at 0.25 are 343.625.
        statement = self._statement(client, "2024-02-01")
        self.assertEqual((statement.amount_total, statement.send_state), (343.63, "queued"))
        self.assertAgrees(statement)

    @pytest.mark.tour
    def test_an_accountant_reviews_a_run_of_300_of_which_3_fail(self):
        login = "accountant"
        user = self._create_user(
            login,
            "base.group_user,reseller_billing.group_billing_manager,base.group_partner_manager,"
            "product.group_product_manager,account.group_account_user",
        )
        user.password = login
        self.company.reseller_review_runs = True
        self.client_a.action_close("2024-01-31")
        partners = self.env["res.partner"].create([{"name": f"C{n:03}"} for n in range(300)])
        clients = self.env["reseller.client"].create(
            [
                {
                    "partner_id": partner.id,
                    "reseller_id": self.reseller.id,
                    "ref": partner.name,
                    "membership_ids": [fields.Command.create({"date_from": "2024-01-10"})],
                }
                for partner in partners
            ]
        )
        clients.action_activate()
        self._create_rule(recurring_fee=10, unit_price=1)
        product = self.env["product.product"].create({"name": "Old", "taxes_id": False})
        self._create_rule(self._create_feature("old", product_id=product.id), unit_price=1)
        # Bills to compare with; without invoices, which are not looked at here.
        self.reseller.invoice_to = "none"
        first = self.env["reseller.billing.run"].create(
            {"date": "2024-02-10", "is_reviewed": False}
        )
        first.action_start()
        while first._process_batch():
            pass
        self.reseller.invoice_to = "client"
        self._use("2024-02-20", 490, client="C007")
        self._use("2024-02-20", 1, "old", "C100")
        run = self.env["reseller.billing.run"].create({"date": "2024-03-10"})
        url = f"/odoo/reseller.billing.run/{run.id}"

        def work(limit=100):
            while run._process_batch(limit):
                pass

        self.start_tour(url, "reseller_billing.prepare_300", login=login)
        work()
        self.start_tour(url, "reseller_billing.approve_297", login=login)
        # One has no receivable account, one's product is archived, and the period is locked when
        # the last one's turn has come.
        receivable = partners[5].property_account_receivable_id
        receivable.name = "Receivable of the Test"
        partners[5].property_account_receivable_id = False
        product.active = False
        # In small batches: one that holds a broken account is worked off account by account.
        for _batch in range(23):
            run._process_batch(limit=13)
        self.company.fiscalyear_lock_date = "2024-03-31"
        work()
        self.start_tour(url, "reseller_billing.see_3_parked", login=login)
        self.assertEqual(run.parked_line_ids.client_id, clients[5] | clients[100] | clients[299])
        self.start_tour(
            f"/odoo/res.partner/{partners[5].id}", "reseller_billing.set_receivable", login=login
        )
        self.assertEqual(partners[5].property_account_receivable_id, receivable)
        self.start_tour(
            f"/odoo/product.product/{product.id}", "reseller_billing.restore_product", login=login
        )
        self.assertTrue(product.active)
        # Odoo Community has no screen for lock dates.
        self.company.fiscalyear_lock_date = False
        self.start_tour(url, "reseller_billing.retry_3", login=login)
        work()
        self.start_tour(url, "reseller_billing.see_300", login=login)
        self.assertEqual(set(run.statement_ids.invoice_id.mapped("state")), {"posted"})
        self.assertEqual(run.statement_ids.client_id, clients)
        # 298 × 10.00, 500.00 and 11.00.
        self.assertEqual(sum(run.statement_ids.invoice_id.mapped("amount_total")), 3491.0)


@tagged("post_install", "-at_install")
class TestPrepaidWeb(PrepaidCommon, HttpCase):
    """Selling ahead, in the browser."""

    @pytest.mark.tour
    def test_a_manager_sells_a_package_and_arms_refills(self):
        user = create_user(
            self.env,
            "seller",
            "base.group_user,reseller_billing.group_billing_manager",
            self.company,
        )
        user.password = "seller"
        self.client_a.wallet_use = "always"
        self.start_tour("/odoo", "reseller_billing.sell_ahead", login="seller")
        lot = self.client_a.prepaid_lot_ids
        self.assertEqual((lot.state, lot.granted, lot.cost), ("offered", 100, 50))
        self.assertEqual(self._balance(self.prepaid), 0)
        refill = self.client_a.refill_ids
        self.assertEqual((refill.state, refill.invoice_id.amount_total), ("open", 30))
        self.assertEqual(refill.invoice_id.payment_state, "not_paid")
        # What was shown as waiting is there once it is paid.
        for invoice in self.client_a.statement_ids.invoice_id:
            self._pay(invoice)
        self.assertEqual((lot.state, self.client_a.live_balance), ("open", 30))
