import inspect
import re
from datetime import timedelta
from unittest.mock import patch

import pytest
from odoo import fields
from odoo.addons.base.models import ir_model
from odoo.exceptions import AccessDenied, AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..common_portal import PortalCommon

# What a test gives a method that asks for something.
GUESSES = {
    "vals": {"active": False},
    "vals_list": [{}],
    "values": {},
    "domain": [],
    "date": "2024-03-01",
    "day": "2024-03-01",
    "specification": {"create_date": {}},
    "fields": ["id"],
    "field_names": ["id"],
    "fields_spec": {},
    "groupby": [],
    "groupby_fields": [],
    "aggregates": ["__count"],
    "events": [],
    "field_name": "company_id",
    "fname": "company_id",
}
# Public methods of every model that tell of no record.
HARMLESS = {
    "default_get",
    "fields_get",
    "get_views",
    "get_view",
    "get_import_templates",
    "get_empty_list_help",
    "has_access",
    "check_access",
    "get_metadata",
    "get_external_id",
    "onchange",
    "exists",
    "view_header_get",
    "user_has_groups",
    "get_field_translations",
    "check_field_access_rights",
    "message_mail_with_source",
    "new",
    "get_property_definition",
    "load",
    "get_formview_action",
    "get_formview_id",
    "get_access_action",
    "get_base_url",
    "mail_allowed_qweb_expressions",
    "mail_get_partner_fields",
    # Odoo lets users of the back end read followers of all models.
    "message_get_followers",
}


@pytest.mark.isolation
@tagged("post_install", "-at_install")
class TestPortalIsolation(PortalCommon):
    """Only own data; and "not yours" is told as "not there" is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        new_test_user(cls.env, "clerk", "base.group_user", password="clerk-password")
        cls.ids = {}
        commissions = cls._create_commissions()
        for ref, client in zip(("A", "A2", "B", "B2", "C"), cls.clients, strict=True):
            statement = client.statement_ids.filtered(lambda one: one.state == "invoiced")[:1]
            group = {"A": cls.group, "A2": cls.group, "B": cls.second_group}.get(ref)
            cls.ids[ref] = {
                "client_id": client.id,
                "reseller_id": client.reseller_id.id,
                "group_id": group.id if group else 0,
                "feature_id": cls.feature.id,
                "statement_id": statement.id,
                "charge_id": statement.charge_ids[:1].id,
                "commission_id": commissions[client.reseller_id].id,
                "number": 1,
                "kind": "csv",
            }
        cls.ids["nobody"] = {
            **dict.fromkeys(cls.ids["A"], 999999),
            "feature_id": cls.feature.id,
            "number": 1,
            "kind": "csv",
        }

    def _get_rules(self):
        """Return every route of the portal's pages, so that a new one cannot be forgotten."""
        self._get("/web/login")  # makes the map, which is kept
        rules = [
            rule
            for rule in self.env["ir.http"].routing_map().iter_rules()
            if rule.rule.startswith(("/my/reseller", "/my/service"))
            and not rule.rule.startswith("/my/reseller_billing/")
        ]
        self.assertGreater(len(rules), 25)
        return rules

    def _get_path(self, rule, ids):
        kind = "xlsx" if "statements" in rule.rule else "csv"
        return re.sub(
            r"<(?:[^:>]+:)?(\w+)>", lambda m: str({**ids, "kind": kind}[m.group(1)]), rule.rule
        )

    def _ask(self, rule, ids, method):
        path = self._get_path(rule, ids)
        if rule.endpoint.routing["type"] == "jsonrpc":
            answer = self.url_open(path, json={"jsonrpc": "2.0", "method": "call", "params": {}})
            error = answer.json()["error"]
            text = re.sub(r"\d+", "#", f"{error['message']} {error['data']['message']}")
            return error["code"], text
        if method == "GET":
            answer = self._get(path)
        else:
            answer = self._post(
                path, self.token, name="Stolen", confirm="A", reason="x", product="1", user="2"
            )
        # What the page says, without what differs from answer to answer.
        text = re.sub(r"[0-9a-f]{40}o\d+|\d+", "#", re.sub(r"\s+", " ", answer.text))
        return answer.status_code, text

    @mute_logger("odoo.http", "odoo.addons.http_routing.models.ir_http")
    def test_every_page_shows_own_data_alone(self):
        own = {
            "R1": ("/my/reseller", ("A", "A2")),
            "R2": ("/my/reseller", ("B", "B2")),
            "R3": ("/my/reseller", ("C",)),
            "A": ("/my/service", ("A",)),
            "B2": ("/my/service", ("B2",)),
            "clerk": ("", ()),
        }
        rules = self._get_rules()
        for login, (tree, mine) in own.items():
            self._log_in(login)
            self.token = self._token()
            for rule in rules:
                methods = (rule.methods or {"POST"}) & {"GET", "POST"}
                for method in sorted(methods):
                    missing = self._ask(rule, self.ids["nobody"], method)
                    with_ids = "<int:" in rule.rule.replace("<int:number>", "")
                    if not with_ids:
                        allowed = tree and rule.rule.startswith(tree)
                        if not allowed:
                            self.assertEqual(missing[0], 404, (login, method, rule.rule))
                        continue
                    self.assertEqual(missing[0], 404, (login, method, rule.rule))
                    for ref in ("A", "A2", "B", "B2", "C"):
                        if ref in mine and rule.rule.startswith(tree):
                            continue
                        found = self._ask(rule, self.ids[ref], method)
                        self.assertEqual(found, missing, (login, method, rule.rule, ref))
            for ref in mine:
                path = tree if tree == "/my/service" else "/my/reseller/clients"
                page = self._get(f"{path}/{self.ids[ref]['client_id']}")
                self.assertEqual(page.status_code, 200, (login, ref))
        self.authenticate(None, None)
        self.token = "none"
        for rule in rules:
            for ref in ("A", "nobody"):
                status, text = self._ask(rule, self.ids[ref], "GET")
                if "GET" in (rule.methods or ()):
                    self.assertEqual(status, 303, rule.rule)
                    self.assertNotIn("Client A", text)
        self.assertEqual(set(self.clients.mapped("active")), {True})
        self.assertNotIn("Stolen", self.env["res.partner"].search([]).mapped("name"))

    @mute_logger("odoo.http")
    def test_lists_and_files_name_own_clients_alone(self):
        self._log_in("R1")
        for path in (
            "/my/reseller",
            "/my/reseller/clients",
            "/my/reseller/clients?search=Client",
            f"/my/reseller/clients?filterby=group-{self.second_group.id}",
            "/my/reseller/clients?filterby=owing&sortby=newest",
            "/my/reseller/groups",
            f"/my/reseller/clients/{self.client_a.id}",
        ):
            text = self._get(path).text
            for foreign in ("Client B", "Client C", "Silver", "Reseller R2"):
                self.assertNotIn(foreign, text, path)
        self.assertIn("Client A2", self._get("/my/reseller/clients").text)

    @mute_logger("odoo.http")
    def test_forms_take_no_foreign_ids_and_no_other_fields(self):
        self._log_in("R1")
        token = self._token()
        path = f"/my/reseller/clients/{self.client_a.id}"
        form = {
            "name": "Client A",
            "lang": "en_US",
            "interval_count": "1",
            "interval_unit": "month",
            "billing_anchor": "activation",
        }
        answer = self._post(path, token, **form, group=str(self.second_group.id))
        self.assertEqual(answer.status_code, 404)
        answer = self._post(
            "/my/reseller/clients/move",
            token,
            client=[str(self.client_a.id), str(self.client_b.id)],
            group=str(self.group.id),
            date="2030-01-01",
        )
        self.assertEqual(answer.status_code, 404)
        answer = self._post(
            "/my/reseller/clients/move",
            token,
            client=str(self.client_a.id),
            group=str(self.second_group.id),
            date="2030-01-01",
        )
        self.assertEqual(answer.status_code, 404)
        self.assertFalse(self.client_a.membership_ids.group_id)
        # A whole set of what a form must not reach.
        before = self.client_a.read()[0]
        answer = self._post(
            path,
            token,
            **form,
            reseller_id=str(self.second_reseller.id),
            partner_id=str(self.client_b.partner_id.id),
            ref="B",
            state="closed",
            billed_until="2020-01-01",
            wallet_use="always",
            payment_token_id="1",
            prepaid_only="1",
            company_id=str(self.other_company.id),
            vat="",
            credit_limit="99999",
            property_account_receivable_id="1",
        )
        self.assertEqual(answer.status_code, 303)
        self.client_a.invalidate_recordset()
        after = self.client_a.read()[0]
        moved = {
            name
            for name in before
            if before[name] != after[name] and name not in ("write_date", "write_uid")
        }
        self.assertEqual(moved - {"message_ids", "message_follower_ids"}, set())
        # A feature that the provider has not opened, and a price that reaches over the reseller.
        other = self._create_feature("closed")
        self.assertEqual(self._get(f"{path}/prices/{other.id}").status_code, 404)
        self._log_in("A")
        mine = f"/my/service/{self.client_a.id}"
        token = self._token()
        answer = self._post(
            f"{mine}/method", token, payment_token_id="1", collection_timing="posting"
        )
        self.assertEqual(answer.status_code, 404)
        answer = self._post(f"{mine}/buy", token, product=str(self.product.id))
        self.assertEqual(answer.status_code, 404)

    def _get_calls(self, model):
        """Yield (name, args) of every method that RPC reaches on a model."""
        for name in dir(type(model)):
            if name.startswith("_") or name in HARMLESS:
                continue
            method = getattr(type(model), name, None)
            if not inspect.isfunction(method) or getattr(method, "_api_private", False):
                continue
            parameters = list(inspect.signature(method).parameters.values())[1:]
            yield (
                name,
                [
                    GUESSES.get(one.name)
                    for one in parameters
                    if one.default is one.empty
                    and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
                ],
                getattr(method, "_api_model", False) or name in ("create", "ingest"),
            )

    # To say who might have done it takes longer than to refuse it, some thousand times.
    @patch.object(
        ir_model.IrModelAccess, "_make_access_error", lambda self, model, mode: AccessError(model)
    )
    @mute_logger("odoo.models", "odoo.sql_db", "odoo.addons.base.models.ir_access")
    def test_rpc_reaches_no_record_and_no_method(self):
        """Portal users have no rights on any of the addon's models, and methods ask for rights."""
        models = sorted(
            name
            for name in self.env.registry
            if name.startswith("reseller.") and not self.env[name]._abstract
        )
        self.assertGreater(len(models), 40)
        refused, leaks = 0, []
        for login in ("R1", "A", "clerk"):
            user = self.env["res.users"].search([("login", "=", login)])
            for name in models:
                model = self.env[name].with_user(user)
                record = self.env[name].sudo().search([], limit=1)  # whoever may read it
                for method, args, of_model in self._get_calls(model):
                    for number in (record.id, 999999) if record else (999999,):
                        ids = [] if of_model else [[number]]
                        outcome = self._call(model, method, [*ids, *args])
                        refused += outcome == "refused"
                        if isinstance(outcome, tuple):
                            leaks.append((login, name, number, *outcome))
        self.assertEqual(leaks, [])
        self.assertGreater(refused, 2000)
        self.assertEqual(set(self.clients.mapped("state")), {"active"})

    def _call(self, model, method, args):
        """Call as RPC does; return "refused", "useless" for bad arguments, or what leaked."""
        cr = self.env.cr
        cr.execute("SAVEPOINT asked")
        try:
            found = call_kw(model, method, args, {})
            self.env.flush_all()
        except (AccessError, AccessDenied):
            return "refused"
        except (UserError, TypeError, ValueError, AttributeError, KeyError, AssertionError):
            return "useless"
        except Exception as error:
            return ("broke", method, repr(error)[:200])
        finally:
            self.env.clear()
            cr.execute("ROLLBACK TO SAVEPOINT asked")
        opens = isinstance(found, dict) and str(found.get("type")).startswith("ir.actions.")
        if opens or found in (None, False, True, [], {}, 0, ""):
            return "useless"
        return ("answered", method, repr(found)[:200])

    @mute_logger("odoo.http")
    def test_json2_answers_alike_for_what_is_not_theirs_and_what_is_not_there(self):
        for login in ("R1", "A"):
            user = self.env["res.users"].search([("login", "=", login)])
            keys = self.env["res.users.apikeys"].with_user(user).sudo()  # lasting a day
            key = keys._generate(None, "rpc", fields.Datetime.now() + timedelta(days=1))
            calls = {
                "search_read": {"domain": [], "fields": ["display_name"]},
                "read": {"ids": None, "fields": ["display_name"]},
                "write": {"ids": None, "vals": {"active": False}},
                "unlink": {"ids": None},
                "export_data": {"ids": None, "fields_to_export": ["id"]},
                "current_usage": {"ids": None},
                "preview_statement": {"ids": None, "date": "2024-03-01"},
                "authorize": {"ids": None, "feature": "unit"},
                "action_close": {"ids": None, "date": "2024-03-01"},
            }
            for method, body in calls.items():
                answers = set()
                for number in (self.client_a.id, self.client_b.id, self.client_c.id, 999999):
                    asked = {**body, "ids": [number]} if "ids" in body else body
                    answer = self.url_open(
                        f"/json/2/reseller.client/{method}",
                        json=asked,
                        headers={"Authorization": f"Bearer {key}"},
                    )
                    # 422: Odoo lets portal users export nothing at all.
                    refused = 422 if method == "export_data" else 403
                    self.assertEqual(answer.status_code, refused, (login, method, number))
                    answers.add(re.sub(r"\d+", "#", answer.json()["message"]))
                self.assertEqual(len(answers), 1, (login, method, answers))

    @mute_logger("odoo.http")
    def test_tokens_of_others_open_nothing(self):
        mine, theirs = (
            client.statement_ids.invoice_id[:1] for client in (self.client_a, self.client_b)
        )
        path = f"/my/invoices/{theirs.id}"
        self._log_in("A")
        right = theirs._portal_ensure_token()
        # One in sixteen ends in 0 itself.
        wrong = right[:-1] + ("1" if right.endswith("0") else "0")
        for token in ("", mine._portal_ensure_token(), wrong):
            answer = self._get(f"{path}?access_token={token}")
            self.assertEqual((answer.status_code, answer.headers["Location"]), (303, "/my"), token)
        # A form that is signed for another session, and one for nobody's.
        stolen = self._token()
        self._log_in("R1")
        for token in (stolen, stolen[::-1], "x"):
            answer = self._post(f"/my/reseller/clients/{self.client_a.id}", token, name="Stolen")
            self.assertEqual(answer.status_code, 400)
        self.assertEqual(self.client_a.name, "Client A")
