import json
import subprocess

import pytest
from freezegun import freeze_time
from lxml import html
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..common import ResellerBillingCommon

API = "/reseller_billing/v1/"
NDJSON = "application/x-ndjson"
# What a key of a metering system opens.
OPENS = {f"{API}usage", f"{API}authorize", f"{API}consume"}


@pytest.mark.isolation
@tagged("post_install", "-at_install")
class TestUsageKeys(ResellerBillingCommon, HttpCase):
    """A key sends what it is for, and opens nothing else."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._create_rule(unit_price=1)
        cls.record, cls.key = cls._create_key(name="Gateway")
        cls.second_reseller = cls._create_reseller("R2")
        cls.client_b = cls._create_client("B", reseller_id=cls.second_reseller.id)

    @classmethod
    def _create_key(cls, **values):
        record = cls.env["reseller.usage.key"].create(values)
        return record, record.action_make_key()["context"]["default_key"]

    def _ask(self, path, body, key=None, content_type="application/json"):
        return self.url_open(
            API + path,
            method="POST",
            data=body if isinstance(body, str) else json.dumps(body),
            headers={
                "Authorization": f"Bearer {key or self.key}",
                "Content-Type": content_type,
            },
        )

    def _send(self, *events, key=None):
        body = "\n".join(map(json.dumps, events))
        return self._ask("usage", body, key, NDJSON).json()

    def _refused(self, outcome):
        return [one["reason"] for one in outcome["rejected"]]

    def test_the_line_that_is_shown_sends_the_first_event(self):
        """As it is copied into a terminal: run by a shell, with the real curl."""
        self.env["ir.config_parameter"].set_param("web.base.url", self.base_url())
        record = self.env["reseller.usage.key"].create({"name": "N", "sources": "o'meter, other"})
        action = record.action_make_key()
        shown = self.env[action["res_model"]].with_context(**action["context"])
        shown = shown.default_get(["key", "address", "example"])
        self.assertEqual(shown["address"], f"{self.base_url()}{API}usage")
        since = action["context"]["news_since"]
        self.assertEqual(
            record.get_news(record.id, since), {"since": since, "events": [], "rejected": []}
        )
        self.env.flush_all()
        with self.allow_requests(all_requests=True):
            answer = subprocess.run(
                ["bash", "-c", shown["example"]], capture_output=True, text=True, check=True
            )
        self.assertEqual(json.loads(answer.stdout)["accepted"], 1, answer.stdout)
        [text] = record.get_news(record.id, since)["events"]
        self.assertRegex(text, r"^1 × Unit of Client A \[A\] on ")
        line = self.env["reseller.usage.line"].search([], order="id desc", limit=1)
        self.assertEqual((line.source, line.client_id), ("o'meter", self.client_a))
        clerk = self._create_billing_user("clerk")
        with self.assertRaises(AccessError):
            record.with_user(clerk).get_news(record.id, since)

    @pytest.mark.tour
    def test_the_first_event_is_awaited_live(self):
        keeper = new_test_user(self.env, "keeper", "reseller_billing.group_billing_manager")
        keeper.password = keeper.login
        record = self.env["reseller.usage.key"].create({"name": "Live"})
        self.start_tour(
            f"/odoo/reseller.usage.key/{record.id}", "reseller_billing.connect", login=keeper.login
        )

    def test_what_the_addresses_take_is_a_page(self):
        page = html.fromstring(self.url_open(f"{API}docs").content)
        description = self.url_open(f"{API}openapi.json").json()
        text = page.text_content()
        for path, methods in description["paths"].items():
            self.assertIn(path, text)
            for operation in methods.values():
                self.assertIn(operation["summary"], text)
        for schema in description["components"]["schemas"].values():
            for name in schema.get("properties", ()):
                self.assertIn(name, text)
        # Each link within the page leads somewhere.
        names = set(page.xpath("//@id"))
        links = {link[1:] for link in page.xpath("//main//a/@href") if link.startswith("#")}
        self.assertTrue(links)
        self.assertLessEqual(links, names)

    def test_it_is_shown_once_and_kept_as_a_digest(self):
        self.assertTrue(self.key.startswith("rbk_"))
        self.assertGreater(len(self.key), 40)
        self.assertEqual(self.record.shown, self.key[:8] + "…")
        self.env.flush_all()
        self.env.cr.execute("SELECT * FROM reseller_usage_key WHERE id = %s", [self.record.id])
        self.assertNotIn(self.key, str(self.env.cr.fetchall()))
        self.assertEqual(self._send(self._event("2024-01-05", 1))["accepted"], 1)
        self.record.invalidate_recordset()
        self.assertTrue(self.record.last_used_at)
        # Another key instead of it, and none after all.
        other = self.record.action_make_key()["context"]["default_key"]
        with mute_logger("odoo.http"):
            self.assertEqual(self._ask("usage", "", None, NDJSON).status_code, 401)
            self.assertEqual(self._send(self._event("2024-01-06", 1), key=other)["accepted"], 1)
            self.record.action_revoke()
            answer = self._ask("usage", "", other, NDJSON)
            self.assertEqual(
                (answer.status_code, answer.json()["message"]), (401, "Invalid apikey")
            )

    def test_the_last_day(self):
        with freeze_time("2030-05-10 12:00:00"):
            self.record.date_until = "2030-05-10"
            self.assertTrue(self.env["reseller.usage.key"].sudo()._find(self.key))
        with freeze_time("2030-05-11 00:30:00"):
            self.assertFalse(self.env["reseller.usage.key"].sudo()._find(self.key))

    def test_its_sources_are_its_own(self):
        _record, mine = self._create_key(name="One", sources="gw-1, gw-2")
        _record, other = self._create_key(name="Two", sources="gw-3")
        event = self._event("2024-01-05", 0, source="gw-1", id="x1")
        # Nobody takes another's id by sending first, with nothing in it.
        outcome = self._send(event, key=other)
        self.assertIn("may not send events of source gw-1", self._refused(outcome)[0])
        outcome = self._send({**event, "quantity": 7}, key=mine)
        self.assertEqual((outcome["accepted"], outcome["rejected"]), (1, []))
        self.assertEqual(self._send({**event, "source": "gw-2"}, key=mine)["accepted"], 1)
        for source in (["gw-1"], None, {"gw-1": 1}):
            outcome = self._send({**event, "source": source}, key=mine)
            self.assertEqual(outcome["accepted"], 0, source)

    def test_its_resellers_clients_and_features(self):
        self._create_feature("other")
        _record, of_reseller = self._create_key(
            name="One", reseller_ids=self.second_reseller.ids, feature_ids=self.feature.ids
        )
        _record, of_client = self._create_key(name="Two", client_ids=self.client_a.ids)
        for key, mine, foreign in ((of_reseller, "B", "A"), (of_client, "A", "B")):
            event = self._event("2024-01-05", 1, client=mine)
            self.assertEqual(self._send(event, key=key)["accepted"], 1)
            told = self._send({**event, "id": "f", "client": foreign}, key=key)
            none = self._send({**event, "id": "n", "client": "nobody"}, key=key)
            # Not its own is told as not there.
            self.assertEqual(
                self._refused(told), [self._refused(none)[0].replace("nobody", foreign)]
            )
            for path in ("authorize", "consume"):
                asked = {"client": foreign, "feature": "unit", "quantity": 1}
                if path == "consume":
                    asked.update(id=f"c{foreign}", source="test")
                with mute_logger("odoo.http"):
                    answer = self._ask(path, asked, key)
                    self.assertEqual(answer.status_code, 400, answer.text)
                    self.assertIn(f"no client with reference {foreign}", answer.json()["message"])
                    answer = self._ask(path, {**asked, "client": mine, "feature": "other"}, key)
                    self.assertEqual(answer.status_code == 400, key == of_reseller, answer.text)
        outcome = self._send(self._event("2024-01-05", 1, "other", "B"), key=of_reseller)
        self.assertIn("no feature with code other", self._refused(outcome)[0])

    def test_corrections_need_their_right(self):
        _record, corrector = self._create_key(name="Corrector", may_correct=True)
        event = self._event("2024-01-05", 10)
        self.assertEqual(self._send(event)["accepted"], 1)
        correction = self._event("2024-01-06", -4, corrects=event["id"])
        for wrong in (correction, {**correction, "corrects": None, "quantity": "-4"}):
            outcome = self._send(wrong)
            self.assertEqual(outcome["accepted"], 0)
            self.assertIn("The key may not send", self._refused(outcome)[0])
        self.assertEqual(self._send(correction, key=corrector)["accepted"], 1)
        # The same again is a duplicate, not one too many.
        self.assertEqual(self._send(correction, key=corrector)["duplicates"], 1)
        # 6 are left: in one batch and over several, no more is taken back than was used.
        more = [
            self._event("2024-01-06", -4, corrects=event["id"]),
            self._event("2024-01-06", -4, corrects=event["id"]),
        ]
        outcome = self._send(*more, key=corrector)
        self.assertEqual(
            (outcome["accepted"], [one["index"] for one in outcome["rejected"]]), (1, [1])
        )
        self.assertIn("only 2 are left to correct", self._refused(outcome)[0])
        outcome = self._send(self._event("2024-01-07", "-2.5", corrects=event["id"]), key=corrector)
        self.assertIn("only 2 are left", self._refused(outcome)[0])
        outcome = self._send(self._event("2024-01-07", -2, corrects=event["id"]), key=corrector)
        self.assertEqual(outcome["accepted"], 1)
        # Use below zero that corrects no event stays allowed: the cycle stops at zero.
        self.assertEqual(self._send(self._event("2024-01-08", -3), key=corrector)["accepted"], 1)

    @mute_logger("odoo.http")
    def test_what_is_not_documented_is_refused(self):
        self.env["reseller.price.rule"].search([]).write(
            {"max_quantity": 5, "limit_action": "block"}
        )
        _record, key = self._create_key(name="Corrector", may_correct=True)
        asked = {"client": "A", "feature": "unit", "quantity": 1, "id": "q1", "source": "test"}
        answer = self._ask("consume", {**asked, "corrects": "e1"}, key)
        self.assertEqual(answer.status_code, 400)
        self.assertIn("not known here: corrects", answer.json()["message"])
        for name in ("time", "company_id", "x"):
            self.assertEqual(self._ask("consume", {**asked, name: "1"}, key).status_code, 400)
        answer = self._ask("authorize", {"client": "A", "feature": "unit", "id": "1"}, key)
        self.assertEqual(answer.status_code, 400)
        with self.assertRaisesRegex(UserError, "not known here"):
            self.client_a.consume({**asked, "corrects": "e1"})
        self.assertEqual(self._ask("consume", asked, key).json()["allowed"], True)
        for wrong in ("9" * 4301, "1e1000000", "[" * 3000 + "]" * 3000, "NaN"):
            body = json.dumps({**asked, "quantity": "Q"}).replace('"Q"', wrong)
            for path in ("authorize", "consume"):
                answer = self._ask(path, body, key)
                self.assertEqual(answer.status_code, 400, (path, wrong[:20]))
                self.assertTrue(answer.json()["message"])

    @mute_logger("odoo.http", "odoo.addons.base.models.ir_http")
    def test_errors_are_json(self):
        cases = [
            ("GET", "usage", {}, 405),
            ("PUT", "authorize", {}, 405),
            ("POST", "nowhere", {}, 404),
            ("POST", "usage", {"Authorization": "Bearer rbk_wrong"}, 401),
            ("POST", "usage", {"Authorization": "Bearer wrong"}, 401),
            ("POST", "usage", {"Authorization": ""}, 401),
            ("POST", "usage", {"Content-Type": "text/html"}, 415),
            ("GET", "clients/usage", {}, 401),
        ]
        for method, path, headers, status in cases:
            answer = self.url_open(
                API + path,
                method=method,
                data=b"{}",
                headers={
                    "Authorization": f"Bearer {self.key}",
                    "Content-Type": NDJSON,
                    **headers,
                },
            )
            self.assertEqual(answer.status_code, status, (method, path, answer.text[:200]))
            self.assertTrue(answer.json()["message"], path)
            self.assertEqual(answer.headers["Cache-Control"], "no-store", path)

    def _is_answer(self, answer):
        """Whether an address answers with something else than a refusal or an error of RPC."""
        if not answer.ok or answer.is_redirect:
            return False
        if "json" not in answer.headers.get("Content-Type", ""):
            return True
        return "error" not in answer.json()

    @mute_logger(
        "odoo.http", "odoo.addons.base.models.ir_http", "odoo.addons.http_routing.models.ir_http"
    )
    def test_a_key_opens_the_usage_routes_and_nothing_else(self):
        self._ask("usage", "", None, NDJSON)  # makes the map
        opened, tried = set(), 0
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        for rule in self.env["ir.http"].routing_map().iter_rules():
            routing = rule.endpoint.routing
            if "<" in rule.rule or routing["auth"] in ("none", "public"):
                continue
            for method in sorted((rule.methods or {"GET", "POST"}) & {"GET", "POST"}):
                answer = self.url_open(
                    rule.rule,
                    method=method,
                    data=b"{}" if method == "POST" else None,
                    headers=headers,
                    allow_redirects=False,
                )
                tried += 1
                told_why = answer.status_code == 400 and rule.rule in OPENS
                if told_why or self._is_answer(answer):
                    opened.add(rule.rule)
        self.assertGreater(tried, 40)
        self.assertEqual(opened - {f"{API}usage"}, OPENS - {f"{API}usage"})
        # Nor does RPC.
        for model, method in (("res.partner", "search_read"), ("reseller.usage.line", "ingest")):
            answer = self.url_open(
                f"/json/2/{model}/{method}", json={"domain": []}, headers=headers
            )
            self.assertEqual(answer.status_code, 401)
        # Nor may the user behind it do more than send.
        meters = self.env.ref("reseller_billing.user_usage_meters")
        self.assertFalse(meters.active)
        for model in (
            "res.partner",
            "res.users",
            "mail.message",
            "reseller.client",
            "account.move",
        ):
            self.assertFalse(self.env[model].with_user(meters).has_access("read"), model)

    def test_managers_make_keys_and_older_ones_are_listed(self):
        clerk = new_test_user(
            self.env,
            "clerk",
            "base.group_user,reseller_billing.group_billing_user",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        with self.assertRaises(AccessError):
            self.env["reseller.usage.key"].with_user(clerk).create({"name": "x"})
        with self.assertRaises(AccessError):
            self.record.with_user(clerk).action_make_key()
        with self.assertRaises(AccessError):
            self.record.with_user(clerk).action_revoke()
        meter = new_test_user(
            self.env,
            "old-meter",
            "base.group_user,reseller_billing.group_usage_ingestion",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        keys = self.env["res.users.apikeys"].with_user(meter)
        key = keys.sudo()._generate("rpc", "usage", None)
        self.env.flush_all()
        self.assertEqual(self._send(self._event("2024-01-05", 1), key=key)["accepted"], 1)
        older = self.env["reseller.usage.older.key"].search([("user_id", "=", meter.id)])
        self.assertEqual((older.name, older.company_id), ("usage", self.company))
        with self.assertRaises(AccessError):
            older.with_user(clerk).action_revoke()
        older.action_revoke()
        with mute_logger("odoo.http"):
            self.assertEqual(self._ask("usage", "", key, NDJSON).status_code, 401)
