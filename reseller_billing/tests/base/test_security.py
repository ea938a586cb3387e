import pytest
from lxml import etree
from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user

from ..common import ResellerBillingCommon

MODELS = [
    "reseller.reseller",
    "reseller.client.group",
    "reseller.client",
    "reseller.client.membership",
    "reseller.client.feature",
    "reseller.feature",
    "reseller.feature.level",
    "reseller.price.rule",
    "reseller.price.tier",
    "reseller.price.level",
    "reseller.usage.line",
    "reseller.usage.daily",
    "reseller.usage.rejection",
    "reseller.usage.alert",
    "reseller.manual.charge",
    "reseller.statement",
    "reseller.charge",
    "reseller.billing.run",
    "reseller.billing.run.line",
]


@pytest.mark.isolation
class TestSecurity(ResellerBillingCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = cls._create_user("user", "reseller_billing.group_billing_user")
        cls.manager = cls._create_user("manager", "reseller_billing.group_billing_manager")
        cls.meter = cls._create_user(
            "meter", "base.group_user,reseller_billing.group_usage_ingestion"
        )
        cls.employee = cls._create_user("employee", "base.group_user")
        cls.portal = cls._create_user("portal", "base.group_portal")

    @classmethod
    def _create_user(cls, login, groups):
        return new_test_user(
            cls.env,
            f"rb_{login}",
            groups,
            company_id=cls.company.id,
            company_ids=[fields.Command.set(cls.company.ids)],
        )

    def _fill(self):
        """Leave a record of every model."""
        level = self._create_level("l", "L")
        self._create_rule(
            pricing_model="graduated", tiers=[(None, 1, 0)], levels=[(level, 2)], recurring_fee=1
        )
        self.env["reseller.client.feature"].create(
            {
                "client_id": self.client_a.id,
                "feature_id": self.feature.id,
                "date_from": "2024-01-01",
            }
        )
        self._use("2024-01-05", 1)
        self.env["reseller.usage.alert"].sudo().create(
            {
                "client_id": self.client_a.id,
                "feature_id": self.feature.id,
                "cycle_start": "2024-01-01",
                "cycle_end": "2024-01-31",
                "threshold": 50,
            }
        )
        self.env["reseller.manual.charge"].create(
            {"client_id": self.client_a.id, "name": "By hand", "unit_price": 1}
        )
        self.env["reseller.usage.line"].ingest([{}])
        self._run("2024-02-01")
        for model in MODELS:
            domain = [("company_id", "in", [self.company.id, False])]
            self.assertTrue(self.env[model].search_count(domain), model)

    def test_nobody_reads_another_companys_records(self):
        self._fill()
        other = self.setup_other_company()["company"]
        foreigner = new_test_user(
            self.env,
            "rb_foreigner",
            "reseller_billing.group_billing_manager",
            company_id=other.id,
            company_ids=[fields.Command.set(other.ids)],
        )
        for model in MODELS:
            if model in ("reseller.feature", "reseller.feature.level"):
                continue  # features without a company are everybody's
            records = self.env[model].search([("company_id", "=", self.company.id)])
            seen = self.env[model].with_user(foreigner).search([])
            self.assertFalse(seen & records, model)
            with self.assertRaises(AccessError):
                records[0].with_user(foreigner).check_access("read")
        with self.assertRaisesRegex(AccessError, "another company"):
            self.client_a.with_user(foreigner).authorize("unit")
        # Nor does a code of this company mean anything over there.
        lines = self.env["reseller.usage.line"].with_user(foreigner).with_company(other)
        outcome = lines.ingest([self._event("2024-01-06", 1)])
        self.assertIn("no client", outcome["rejected"][0]["reason"])

    def test_strangers_read_nothing(self):
        self._fill()
        for user in (self.employee, self.portal, self.meter):
            for model in MODELS:
                with self.assertRaises(AccessError, msg=f"{user.login} {model}"):
                    self.env[model].with_user(user).search([]).mapped("display_name")

    def test_bills_are_closed_to_all_users(self):
        self._fill()
        for user in (self.user, self.manager):
            for model in (
                "reseller.statement",
                "reseller.charge",
                "reseller.usage.daily",
                "reseller.billing.run.line",
            ):
                record = self.env[model].search([], limit=1).with_user(user)
                for operation in ("write", "unlink", "create"):
                    self.assertFalse(
                        record.has_access(operation), f"{user.login} {model} {operation}"
                    )
            client = self.client_a.with_user(user)
            for values in (
                {"billed_until": "2030-01-01"},
                {"next_bill_date": "2030-01-01"},
                {"state": "draft"},
            ):
                with self.assertRaisesRegex(UserError, "Billing itself"):
                    client.write(values)

    def test_only_activation_and_bills_move_an_account(self):
        values = {
            "partner_id": self.client_a.partner_id.id,
            "reseller_id": self.reseller.id,
            "ref": "NEW",
        }
        clients = self.env["reseller.client"].with_user(self.user)
        for owned in ({"state": "active"}, {"next_bill_date": "2020-01-01"}):
            with self.assertRaisesRegex(UserError, "Billing itself keeps"):
                clients.create({**values, **owned})
            with self.assertRaisesRegex(UserError, "Billing itself keeps"):
                self.client_a.with_user(self.user).write(owned)
        self.assertEqual(clients.create({**values, "state": "draft"}).state, "draft")

    def test_only_managers_price_and_bill(self):
        with self.assertRaises(AccessError):
            self.env["reseller.price.rule"].with_user(self.user).create(
                {"feature_id": self.feature.id}
            )
        with self.assertRaises(AccessError):
            self.env["reseller.billing.run"].with_user(self.user).create({"date": "2024-01-01"})
        run = self.env["reseller.billing.run"].create({"date": "2024-01-15"})
        with self.assertRaises(AccessError):
            run.with_user(self.user).action_start()
        with self.assertRaises(AccessError):
            run.with_user(self.user)._process_batch()
        # A bill without an invoice of ours is a bill all the same.
        self.reseller.invoice_to = "none"
        self._create_rule(recurring_fee=1)
        statement = self._run("2024-01-15").statement_ids
        self.assertEqual(statement.state, "approved")
        with self.assertRaises(AccessError):
            statement.with_user(self.user).action_void()
        statement.with_user(self.manager).action_void()
        self.assertEqual(statement.state, "void")

    def test_a_manager_without_more_rights_does_the_whole_job(self):
        env = self.env(user=self.manager)
        client = env["reseller.client"].create(
            {
                "partner_id": self.client_a.partner_id.id,
                "reseller_id": self.reseller.id,
                "ref": "M",
                "membership_ids": [fields.Command.create({"date_from": "2024-01-01"})],
            }
        )
        client.action_activate()
        env["reseller.price.rule"].create(
            {"feature_id": self.feature.id, "recurring_fee": 5, "unit_price": 1}
        )
        self.env["reseller.usage.line"].with_user(self.meter).ingest(
            [self._event("2024-01-05", 2, client="M")]
        )
        run = env["reseller.billing.run"].create({"date": "2024-02-01"})
        run.action_start()
        while run._process_batch():
            pass
        self.assertFalse(run.parked_line_ids.mapped("reason"))
        statement = client.statement_ids.filtered(lambda one: one.kind == "cycle")
        self.assertEqual(statement.amount_total, 7.0)
        self.assertEqual(statement.invoice_id.state, "posted")
        client.preview_statement("2024-03-01")
        client.current_usage()
        statement.invoice_id.button_cancel()
        self.assertEqual(statement.state, "void")

    def test_only_the_ingestion_group_sends_usage(self):
        for user in (self.user, self.employee, self.portal):
            with self.assertRaises(AccessError):
                self.env["reseller.usage.line"].with_user(user).ingest([])

    def test_a_meter_corrects_and_a_strange_zero_spoils_nothing(self):
        meter = self.env["reseller.usage.line"].with_user(self.meter)
        first = self._event("2024-01-05", 3)
        self.env.invalidate_all()
        outcome = meter.ingest(
            [
                first,
                self._event("2024-01-09", -1, corrects=first["id"]),
                self._event("2024-01-06", "0e5000000000"),
            ]
        )
        self.assertEqual((outcome["accepted"], outcome["rejected"]), (3, []))

    def test_no_context_from_outside_opens_the_books(self):
        self._create_rule(recurring_fee=10)
        self._run("2024-01-01")
        invoice = self._statement(self.client_a, "2024-01-01").invoice_id
        invoice.button_draft()
        outside = {"reseller_billing": True, "reseller_sync": True}
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            invoice.invoice_line_ids.with_context(**outside).price_unit = 1
        with self.assertRaisesRegex(UserError, "comes from the statement"):
            invoice.invoice_line_ids.with_context(**outside).unlink()
        with self.assertRaisesRegex(UserError, "invoice of a statement"):
            invoice.with_context(**outside).reseller_statement_id = False
        with self.assertRaises(UserError):
            self.client_a.contract_id.with_context(**outside).recurring_interval = 7

    def test_a_wizard_is_its_users_own(self):
        other = self._create_user("manager_b", "reseller_billing.group_billing_manager")
        wizard = self.env["reseller.price.simulation"].with_user(self.manager).create({})
        wizard.check_access("read")
        with self.assertRaises(AccessError):
            wizard.with_user(other).check_access("read")

    def test_an_accountant_reads_what_an_invoice_leads_to(self):
        self._create_rule(recurring_fee=10, unit_price=1)
        self._use("2024-01-05", 1)
        self._run("2024-02-01")
        accountant = self._create_user(
            "accountant", "base.group_user,account.group_account_invoice"
        )
        self.env.invalidate_all()
        client = self.client_a.with_user(accountant)
        view = client.get_views([(False, "form")])["views"]["form"]
        self.assertTrue(view["arch"])
        fields_there = self.env["reseller.client"].fields_get(attributes=["type"])
        shown = [name for name in fields_there if f'name="{name}"' in view["arch"]]
        self.assertEqual(client.read(shown)[0]["ref"], "A")
        statement = self._statement(self.client_a, "2024-02-01").with_user(accountant)
        self.assertTrue(statement.charge_ids.read(["name", "explanation_html"]))
        self.assertTrue(
            self.env["reseller.account.entry"]
            .with_user(accountant)
            .search([("partner_id", "=", client.partner_id.id)])
        )
        with self.assertRaises(AccessError):
            client.write({"ref": "B"})

    def test_every_form_opens_for_whom_may_read_its_model(self):
        self._fill()
        roles = {
            "clerk": "base.group_user,reseller_billing.group_billing_user",
            "boss": "base.group_user,reseller_billing.group_billing_manager",
            "bookkeeper": "base.group_user,account.group_account_invoice",
            "auditor": "base.group_user,account.group_account_readonly",
        }
        opened = {}
        for login, groups in roles.items():
            user = self._create_user(login, groups)
            for name in sorted(self.env.registry):
                model = self.env[name].with_user(user)
                own = name.startswith("reseller.") and not model._abstract
                if not own or model._transient or not model.has_access("read"):
                    continue
                record = (
                    model.search([("company_id", "=", self.company.id)], limit=1)
                    if ("company_id" in model._fields)
                    else model.search([], limit=1)
                )
                self.env.invalidate_all()
                for kind in ("form", "list"):
                    view = model.get_views([(False, kind)])
                    arch = etree.fromstring(view["views"][kind]["arch"])
                    with self.subTest(role=login, model=name, view=kind):
                        record.web_read(self._specify(arch, model))
                if record:
                    opened.setdefault(login, set()).add(name)
        self.assertIn("reseller.reseller", opened["bookkeeper"] & opened["auditor"])
        self.assertIn("reseller.billing.run", opened["clerk"] & opened["boss"])

    def _specify(self, arch, model):
        """Return what the web client asks for to show a view, as `web_read` takes it."""
        wanted = {}
        for node in arch.xpath(".//field[not(ancestor::field)]"):
            field = model._fields[node.get("name")]
            wanted[field.name] = {}
            if field.type == "many2one":
                wanted[field.name] = {"fields": {"display_name": {}}}
            elif field.type in ("one2many", "many2many"):
                inner = {"display_name": {}}
                comodel = self.env[field.comodel_name].with_user(model.env.user)
                for nested in node.xpath("./list|./form|./kanban"):
                    # As if it stood alone: what is nested deeper is asked for when it is opened.
                    inner |= self._specify(etree.fromstring(etree.tostring(nested)), comodel)
                wanted[field.name] = {"fields": inner}
        return wanted
