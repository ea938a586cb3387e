import pytest
from lxml import etree
from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.models import MAGIC_COLUMNS
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ...tables import make_inert, undo_inert
from ..common_portal import PortalCommon

# What a Billing User writes, and what it gives to new records beside that: docs/administrators.md.
# All else of these models, and all of others, is the Billing Manager's.
WRITES = {
    "reseller.reseller": {
        *("user_id", "logo", "color_primary", "statement_header", "statement_note"),
        *("statement_footer", "statement_lang", "statement_show_quantity"),
        *("statement_show_price", "statement_show_charts", "group_ids"),
    },
    "reseller.client.group": {"active", "name", "membership_ids"},
    "reseller.client": {
        *("active", "ref", "tz", "interval_count", "interval_unit", "billing_anchor"),
        *("billing_start", "membership_ids", "enrolment_ids"),
    },
    "reseller.client.membership": {
        *("date_from", "date_to", "group_id", "paused", "begins_cycle"),
        *("interval_count", "interval_unit", "billing_anchor"),
    },
    "reseller.client.feature": {"feature_id", "date_from", "date_to", "quantity"},
}
GIVES = {
    "reseller.reseller": {"partner_id", "company_id", "currency_id", "code", "tz", "invoice_to"}
    | {"client_ids"},
    "reseller.client.group": {"reseller_id"},
    "reseller.client": {"partner_id", "reseller_id"},
    "reseller.client.membership": {"client_id"},
    "reseller.client.feature": {"client_id"},
}
# Dialogs that a Billing User fills in.
DIALOGS = {
    "reseller.client.change",
    "reseller.lockout.forecast",
    "reseller.lockout.forecast.line",
    "reseller.report.period",
    "reseller.unbilled",
}


@pytest.mark.isolation
@tagged("post_install", "-at_install")
class TestGuards(PortalCommon):
    """Who may set what, on every way in."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._create_office_user("clerk", "reseller_billing.group_billing_user")
        cls.manager = cls._create_office_user("manager", "reseller_billing.group_billing_manager")
        cls.stranger = cls._create_office_user(
            "stranger", "reseller_billing.group_billing_manager", cls.other_company
        )
        cls.env["reseller.client.feature"].create(
            {"client_id": cls.client_a.id, "feature_id": cls.feature.id, "date_from": "2030-01-01"}
        )

    @classmethod
    def _create_office_user(cls, login, group, company=None):
        company = company or cls.company
        return new_test_user(
            cls.env,
            login,
            f"base.group_user,{group}",
            company_id=company.id,
            company_ids=[fields.Command.set(company.ids)],
        )

    def _try(self, function):
        """Return whether something is done, and undo it."""
        self.env.cr.execute("SAVEPOINT tried")
        try:
            function()
            self.env.flush_all()
        except (AccessError, UserError):
            return False
        finally:
            self.env.clear()
            self.env.cr.execute("ROLLBACK TO SAVEPOINT tried")
        return True

    # Companies

    @mute_logger("odoo.sql_db")
    def test_the_company_of_a_record_is_that_of_its_creation(self):
        tried = 0
        for name in sorted(self.env.registry):
            # Not even the system moves a record.
            model = self.env[name].sudo().with_context(active_test=False)  # whoever may read it
            field = model._fields.get("company_id")
            if not name.startswith("reseller.") or model._abstract or not model._auto:
                continue
            if not field or not field.store or model._transient:
                continue
            record = model.search([("company_id", "=", self.company.id)], limit=1)
            if not record:
                continue
            tried += 1
            for company in (self.other_company.id, False):
                done = self._try(
                    lambda record=record, company=company: record.write({"company_id": company})
                )
                self.assertFalse(done, (name, company))
        self.assertGreater(tried, 11)
        # Nor does it change with what it comes from.
        group = self.env["reseller.client.group"].create(
            {"name": "New", "reseller_id": self.reseller.id}
        )
        self.assertFalse(self._try(lambda: group.write({"reseller_id": self.third_reseller.id})))
        membership = self.client_a.membership_ids[0]
        self.assertFalse(self._try(lambda: membership.write({"client_id": self.client_c.id})))

    def test_what_is_everybodys_is_changed_by_who_works_for_all(self):
        shared = [
            self.env["reseller.feature"].search([("company_id", "=", False)], limit=1),
            self.env["reseller.lockout.policy"].search([("company_id", "=", False)], limit=1),
            self.env["reseller.lockout.stage"].search([("company_id", "=", False)], limit=1),
            self.env["reseller.usage.mapping"].search([("company_id", "=", False)], limit=1),
        ]
        everywhere = self._create_office_user(
            "everywhere", "reseller_billing.group_billing_manager"
        )
        everywhere.company_ids = self.env["res.company"].sudo().search([])  # all there are
        for record in shared:
            self.assertTrue(record)
            name = "sequence" if "sequence" in record._fields else "name"
            if record._name == "reseller.lockout.stage":
                name = "amount_over"
            vals = {name: "Changed" if name == "name" else 77}
            for user, done in ((self.manager, False), (self.stranger, False), (everywhere, True)):
                found = self._try(lambda r=record, u=user, v=vals: r.with_user(u).write(v))
                self.assertEqual(found, done, (record._name, user.login))
            self.assertFalse(self._try(lambda r=record: r.with_user(self.manager).unlink()))
        # What they make is their own company's.
        features = self.env["reseller.feature"]
        feature = features.with_user(self.stranger).create({"name": "Own", "code": "own"})
        self.assertEqual(feature.company_id, self.other_company)
        vals = {"name": "All", "code": "all", "company_id": False}
        self.assertFalse(self._try(lambda: features.with_user(self.manager).create(vals)))
        self.assertTrue(self._try(lambda: features.with_user(everywhere).create(vals)))

    # The matrix of roles, models and fields

    def test_a_billing_user_writes_what_the_matrix_names(self):
        seen = set()
        for name in sorted(self.env.registry):
            model = self.env[name].with_user(self.clerk)
            if not name.startswith("reseller.") or model._abstract or not model._auto:
                continue
            if name in DIALOGS:
                continue
            may = model.has_access("write") or model.has_access("create")
            self.assertEqual(may, name in WRITES, name)
            if not may:
                continue
            seen.add(name)
            record = self.env[name].search([], limit=1).with_user(self.clerk)
            for field in model._fields.values():
                if not field.store or field.name in MAGIC_COLUMNS or field.name == "id":
                    continue
                if field.name.startswith(("message_", "activity_")):
                    continue
                # It need not read what it tries to write.
                value = field.convert_to_write(record.sudo()[field.name], record)
                written = self._try(lambda r=record, f=field, v=value: r.write({f.name: v}))
                if field.name not in WRITES[name]:
                    self.assertFalse(written, (name, field.name))
            shown = model.fields_get(attributes=["readonly"])
            open_fields = {one for one, info in shown.items() if not info["readonly"]}
            self.assertLessEqual(open_fields, WRITES[name] | GIVES[name], name)
        self.assertEqual(seen, set(WRITES))

    def test_no_way_around_for_a_billing_user(self):
        template = self.env["mail.template"].search([], limit=1)
        policy = self.env["reseller.lockout.policy"].search([], limit=1)
        reseller = self.reseller.with_user(self.clerk)
        for vals in (
            {"statement_template_id": template.id},
            {"partner_id": self.client_b.partner_id.id},
            {"invoice_to": "none"},
            {"lockout_policy_id": False},
            {"portal_set_prices": True},
            {"price_floor_ids": [fields.Command.clear()]},
        ):
            with self.assertRaises(AccessError, msg=vals):
                reseller.write(vals)
        partner = self.env["res.partner"].create({"name": "New"})
        resellers = self.env["reseller.reseller"].with_user(self.clerk)
        vals = {"partner_id": partner.id, "code": "NEW"}
        for more in ({"portal_set_prices": True}, {"statement_template_id": template.id}):
            self.assertFalse(self._try(lambda more=more: resellers.create({**vals, **more})))
        # Neither by defaults of a context, nor by an import, nor through another record.
        for more in ({"default_portal_set_prices": True}, {"default_lockout_policy_id": 0}):
            self.assertFalse(
                self._try(lambda more=more: resellers.with_context(**more).create(vals))
            )
        self.assertTrue(self._try(lambda: resellers.create(vals)))
        outcome = resellers.load(
            ["partner_id/.id", "code", "portal_set_prices"], [[str(partner.id), "IMP", "1"]]
        )
        self.assertFalse(outcome["ids"])
        self.assertIn("Billing Manager", str(outcome["messages"]))
        groups = self.env["reseller.client.group"].with_user(self.clerk)
        vals = {"name": "Free", "reseller_id": self.reseller.id}
        for more in ({"is_lockout_exempt": True}, {"lockout_policy_id": policy.id}):
            self.assertFalse(self._try(lambda more=more: groups.create({**vals, **more})))
        self.assertTrue(self._try(lambda: groups.create(vals)))
        # Groups that are never locked out are the manager's to fill, and to empty.
        exempt = self.env["reseller.client.group"].create({**vals, "is_lockout_exempt": True})
        membership = self.client_a.membership_ids[0]
        into = {"group_id": exempt.id}
        self.assertFalse(self._try(lambda: membership.with_user(self.clerk).write(into)))
        self.assertFalse(
            self._try(
                lambda: self.client_a.with_user(self.clerk).write(
                    {"membership_ids": [fields.Command.update(membership.id, into)]}
                )
            )
        )
        # A client's card and what it may spend are the manager's.
        for vals in (
            {"collection_timing": "due"},
            {"wallet_use": "always"},
            {"prepaid_only": True},
        ):
            self.assertFalse(self._try(lambda v=vals: self.client_a.with_user(self.clerk).write(v)))

    def test_a_billing_user_still_keeps_clients(self):
        partner = self.env["res.partner"].create({"name": "New"})
        client = (
            self.env["reseller.client"]
            .with_user(self.clerk)
            .create(
                {
                    "partner_id": partner.id,
                    "reseller_id": self.reseller.id,
                    "ref": "NEW",
                    "membership_ids": [fields.Command.create({"date_from": "2024-01-01"})],
                }
            )
        )
        other = self.env["res.partner"].create({"name": "Right One"})
        client.partner_id = other  # nothing is billed yet
        client.action_activate()
        self.assertEqual((client.state, client.partner_id), ("active", other))
        with self.assertRaises(AccessError):
            client.partner_id = partner
        client.membership_ids.group_id = self.group
        self.assertEqual(client.group_id, self.group)

    # Mails

    def test_statements_go_to_who_pays_with_the_rights_of_the_templates_writer(self):
        statement = self.client_a.statement_ids.filtered(lambda one: one.amount_total > 0)[:1]
        original = self.env.ref("reseller_billing.mail_template_statement")
        writer = self._create_office_user("writer", "reseller_billing.group_billing_manager")
        writer.group_ids |= self.env.ref("mail.group_mail_template_editor")
        template = original.with_user(writer).copy()
        template.write(
            {
                "email_to": "thief@example.com",
                "email_cc": "thief@example.com",
                "partner_to": str(self.client_b.partner_id.id),
            }
        )
        template.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(template.write_uid, writer)
        self.reseller.statement_template_id = template.sudo()  # it is another user's
        statement.sudo().send_state = "queued"  # closed to all users
        statement.sudo()._send_mails()  # as the scheduled action
        self.assertEqual((statement.send_state, statement.send_failure), ("sent", False))
        mail = (
            self.env["mail.mail"]
            .sudo()
            .search([("model", "=", "reseller.statement"), ("res_id", "=", statement.id)])
        )
        self.assertEqual(mail.recipient_ids, self.client_a.partner_id)
        self.assertFalse(mail.email_to or mail.email_cc)
        # Its words are made with its writer's rights: who has lost them, tells nothing any more.
        writer.group_ids -= self.env.ref("reseller_billing.group_billing_manager")
        writer.group_ids -= self.env.ref("reseller_billing.group_billing_user")
        writer.group_ids -= self.env.ref("account.group_account_invoice")
        statement.sudo().send_state = "queued"  # closed to all users
        with mute_logger("odoo.addons.reseller_billing.models.documents.reseller_statement_send"):
            statement.sudo()._send_mails()  # as the scheduled action
        self.assertEqual(statement.send_state, "failed")
        self.assertTrue(statement.send_failure)

    # Money

    def test_many_small_credits_are_one_large_one(self):
        self.company.reseller_wallet_limit = 100
        requests = self.env["reseller.wallet.request"].with_user(self.manager)

        def give(amount, client=self.client_a):
            request = requests.create(
                {"client_id": client.id, "kind": "gift", "amount": amount, "reason": "Goodwill"}
            )
            request.action_do()
            return request.state

        self.assertEqual([give(60), give(40), give(1)], ["done", "done", "waiting"])
        self.assertEqual(give(100, self.client_a2), "done")

    def test_ceilings_in_the_portal(self):
        self.package.reseller_in_portal = True
        self.package.lst_price = 6000
        self.client_a.write({"wallet_use": "always"})
        self._log_in("A")
        path = f"/my/service/{self.client_a.id}"
        token = self._token()
        form = {"refill_by": "invoice", "refill_threshold": "5", "refill_max_charge": "0"}
        answer = self._post(
            f"{path}/refill", token, **form, refill_amount="900000000000", refill_max_month="1"
        )
        self.assertIn("At most", answer.text)
        answer = self._post(
            f"{path}/refill", token, **form, refill_amount="50", refill_max_month="900000000000"
        )
        self.assertIn("At most", answer.text)
        self.assertEqual((self.client_a.refill_by, self.client_a.refill_amount), ("off", 0))
        answer = self._post(
            f"{path}/refill", token, **form, refill_amount="50", refill_max_month="500"
        )
        self.assertEqual(answer.status_code, 303)
        # Packages: 6,000.00 may be ordered, 12,000.00 not.
        second = self._create_package(
            "Another", reseller_units=100, list_price=6000, reseller_in_portal=True
        )
        answer = self._post(f"{path}/buy", token, product=str(self.package.id))
        self.assertEqual(answer.status_code, 303)
        answer = self._post(f"{path}/buy", token, product=str(second.id))
        self.assertIn("pay what is open first", answer.text)
        # A reseller's prices.
        self._log_in("R1")
        token = self._token()
        prices = f"/my/reseller/clients/{self.client_a2.id}/prices/{self.feature.id}"
        answer = self._post(
            prices,
            token,
            unit_price="99999999999",
            recurring_fee="0",
            included_quantity="0",
            date=str(fields.Date.add(fields.Date.today(), days=1)),
        )
        self.assertIn("Not above", answer.text)
        self.assertFalse(self.client_a2.price_rule_ids)

    def test_ceilings_begin_alike_in_every_currency(self):
        # What a hundred yen, a dollar and a tenth of a dinar buy is of one order.
        for code, refill, month in (
            ("JPY", 100000, 1000000),
            ("USD", 1000, 10000),
            ("KWD", 100, 1000),
        ):
            currency = self.env.ref(f"base.{code}")
            currency.active = True
            reseller = self.env["reseller.reseller"].create(
                {
                    "partner_id": self.env["res.partner"].create({"name": code}).id,
                    "code": f"R{code}",
                    "currency_id": currency.id,
                    "price_floor_ids": [Command.create({"feature_id": self.feature.id})],
                }
            )
            self.assertEqual(
                (reseller.portal_max_refill, reseller.portal_max_month), (refill, month)
            )
            self.assertEqual(reseller.portal_max_purchase, month)
            floor = reseller.price_floor_ids
            self.assertEqual((floor.max_unit_price, floor.max_recurring_fee), (refill, month))
            reseller.portal_max_refill = 7
            self.assertEqual(reseller.portal_max_refill, 7)

    # Hardening

    def test_pages_are_kept_and_framed_by_nobody(self):
        self._log_in("R1")
        for path in ("/my/reseller", f"/my/reseller/{self.reseller.id}/brand"):
            answer = self._get(path)
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            self.assertEqual(answer.headers["Referrer-Policy"], "same-origin")
            self.assertEqual(
                answer.headers["Content-Security-Policy"],
                "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
            )

    @mute_logger("odoo.http", "odoo.addons.base.models.res_users")
    def test_tries_are_limited(self):
        self.reseller.portal_use_api = True
        self._log_in("R1")
        # Odoo counts by address, in the process: the next test's log-in is not to wait.
        self.addCleanup(setattr, self.env.registry, "_login_failures", None)
        token = self._token()
        path = f"/my/reseller/{self.reseller.id}/api"
        texts = [
            self._post(path, token, name="Key", password=f"guess{number}").text
            for number in range(12)
        ]
        self.assertIn("This is not your password", texts[0])
        # After ten wrong ones the right one does not help either, for a while.
        self._post(path, token, name="Key", password="R1-password")
        user = self.env["res.users"].search([("login", "=", "R1")])
        keys_sudo = self.env["res.users.apikeys"].sudo()
        self.assertFalse(keys_sudo.search([("user_id", "=", user.id)]))
        invite = f"/my/reseller/clients/{self.client_a2.id}/invite"
        # More than ten in a minute, even if one turns meanwhile.
        answers = [self._post(invite, token) for _time in range(22)]
        self.assertIn(429, [one.status_code for one in answers])

    def test_no_cell_is_a_formula_in_any_locale(self):
        for text, inert in {
            "=1+1": "'=1+1",
            "'=1+1": "''=1+1",
            "@x": "'@x",
            "a;=1+1": "a;'=1+1",
            "a;  +cmd|x": "a;'  +cmd|x",
            "a\n=1": "a\n'=1",
            "a,=1": "a,'=1",
            "a\t-2": "a\t'-2",
            "-5": "-5",
            "+1,234.5": "+1,234.5",
            "-1e5": "-1e5",
            "plain; text = good": "plain; text = good",
        }.items():
            self.assertEqual(make_inert(text), inert)
            # A file of rejected rows is mended and comes back.
            self.assertEqual(undo_inert(inert), text)

    def test_portal_users_read_no_settings_of_ours(self):
        company = self.company.with_user(self.env["res.users"].search([("login", "=", "R1")]))
        self.assertTrue(company.read(["name"]))
        names = [name for name in company._fields if name.startswith("reseller_")]
        self.assertGreater(len(names), 15)
        for name in names:
            with self.assertRaises(AccessError):
                company.read([name])

    def test_the_web_client_can_press_each_button(self):
        """It passes the ids of what is chosen, also where nothing is: methods of the model itself refuse them."""
        views = self.env["ir.ui.view"].browse(
            self.env["ir.model.data"]
            .search([("model", "=", "ir.ui.view"), ("module", "=like", "reseller_billing%")])
            .mapped("res_id")
        )
        seen = 0
        for view in views.filtered(lambda view: view.model in self.env):
            for button in etree.fromstring(view.arch).iter("button"):
                if button.get("type") != "object":
                    continue
                # Buttons within a field's own view are of its model.
                model = self.env[view.model]
                for element in reversed(list(button.iterancestors("field"))):
                    field = model._fields.get(element.get("name"))
                    if field and field.relational:
                        model = self.env[field.comodel_name]
                method = getattr(type(model), button.get("name"), None)
                if method is None and view.inherit_id:
                    continue  # within a field of the view that it changes
                self.assertTrue(method, (view.xml_id, button.get("name")))
                self.assertFalse(
                    getattr(method, "_api_model", False), (view.xml_id, button.get("name"))
                )
                seen += 1
        self.assertGreater(seen, 50)
