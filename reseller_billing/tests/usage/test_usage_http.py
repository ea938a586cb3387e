import gzip
import json
import zlib
from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..common import ResellerBillingCommon
from ..portal.test_web import create_user

USAGE = "/reseller_billing/v1/usage"
NDJSON = "application/x-ndjson"
BATCH = "application/cloudevents-batch+json"


@tagged("post_install", "-at_install")
class TestUsageHttp(ResellerBillingCommon, HttpCase):
    """Usage arrives over HTTP, and nothing valid is lost among what is broken."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # One key sends what is broken for many tests within a minute.
        cls.company.reseller_key_rejections = 0
        cls.key = cls._create_key("meter", "reseller_billing.group_usage_ingestion")

    @classmethod
    def _create_key(cls, login, group, days=1, company=None):
        user = create_user(cls.env, login, f"base.group_user,{group}", company or cls.company)
        keys = cls.env["res.users.apikeys"].with_user(user)
        return keys._generate("rpc", "usage", fields.Datetime.now() + timedelta(days=days))

    def _send(self, body, content_type=NDJSON, key=None, **headers):
        if isinstance(body, list):
            body = "\n".join(json.dumps(event) for event in body)
        return self.url_open(
            USAGE,
            method="POST",
            timeout=60,
            data=body.encode() if isinstance(body, str) else body,
            headers={
                "Authorization": f"Bearer {key or self.key}",
                "Content-Type": content_type,
                **headers,
            },
        )

    def _stored(self):
        self.env.invalidate_all()
        return {
            (line.external_id, str(line.billing_date)): line.quantity
            for line in self.env["reseller.usage.line"].search(
                [("client_id", "=", self.client_a.id)]
            )
        }

    def assertRefused(self, answer, status, words):
        self.assertEqual(answer.status_code, status, answer.text[:300])
        self.assertRegex(answer.json()["message"], words)
        self.assertNotIn("Traceback", answer.text)

    def _cloud(self, number, quantity, **values):
        data = {"quantity": quantity, **values.pop("data", {})}
        return {
            "specversion": "1.0",
            "id": number,
            "source": "test",
            "type": "unit",
            "subject": "A",
            "time": "2024-01-05T12:00:00Z",
            "data": data,
            **values,
        }

    # Formats

    def test_exact_numbers_and_names_in_the_data(self):
        self._create_feature("other")
        body = json.dumps(
            [
                self._cloud("c1", 0),
                self._cloud("c2", 2, data={"client": "A", "feature": "other", "gb": 1.5}),
            ]
        ).replace('"quantity": 0}', '"quantity": 12345678901234567890.123456789}')
        self.assertEqual(
            self._send(body, BATCH).json(), {"accepted": 2, "duplicates": 0, "rejected": []}
        )
        line = self._send(
            '{"id": "n", "source": "test", "client": "A", "feature": "unit", '
            '"time": "2024-01-06T00:00:00Z", "quantity": 0.1234567890123456789}'
        )
        self.assertEqual(line.json()["accepted"], 1)
        self.env.cr.execute(
            "SELECT external_id, quantity::text, properties FROM reseller_usage_line "
            "WHERE client_id = %s ORDER BY external_id",
            [self.client_a.id],
        )
        self.assertEqual(
            self.env.cr.fetchall(),
            [
                ("c1", "12345678901234567890.123456789", None),
                ("c2", "2", {"gb": 1.5}),
                ("n", "0.1234567890123456789", None),
            ],
        )
        one = self._send(json.dumps(self._cloud("c3", 1)), "application/cloudevents+json")
        self.assertEqual(one.json()["accepted"], 1)

    def test_resent_and_changed(self):
        events = [self._event("2024-01-05", 3), self._event("2024-01-06", 4)]
        self.assertEqual(self._send(events).json()["accepted"], 2)
        events[1]["quantity"] = 5
        again = self._send(events).json()
        self.assertEqual((again["accepted"], again["duplicates"]), (0, 1))
        self.assertEqual(again["rejected"][0]["index"], 1)
        self.assertIn("other content", again["rejected"][0]["reason"])
        self.assertEqual(sorted(self._stored().values()), [3, 4])

    def test_a_large_body_goes_in_parts(self):
        events = [self._event("2024-01-05", 1) for _number in range(5100)]
        events[5050]["quantity"] = "many"
        answer = self._send(
            gzip.compress("\n".join(map(json.dumps, events)).encode()),
            **{"Content-Encoding": "gzip"},
        ).json()
        self.assertEqual(answer["accepted"], 5099)
        self.assertEqual(
            [(one["index"], one["id"]) for one in answer["rejected"]], [(5050, events[5050]["id"])]
        )
        bucket = self.env["reseller.usage.daily"].search([("client_id", "=", self.client_a.id)])
        self.assertEqual((bucket.quantity, bucket.event_count), (5099, 5099))

    # What is broken

    def test_each_bad_event_has_its_reason_and_the_good_ones_count(self):
        good = self._event("2024-01-05", 1)
        cases = [
            ({"client": "Z"}, "no client with reference Z"),
            ({"feature": "none"}, "no feature with code none"),
            ({"quantity": "12 apples"}, "no decimal number"),
            ({"quantity": "NaN"}, "no decimal number"),
            ({"quantity": "Infinity"}, "no decimal number"),
            ({"quantity": None}, "no quantity"),
            ({"quantity": True}, "no quantity"),
            ({"time": "2024-01-05T12:00:00"}, "no offset"),
            ({"time": "1980-01-05T12:00:00Z"}, "not served on 1980-01-05"),
            ({"time": "2100-01-05T12:00:00Z"}, "lies in the future"),
            ({"time": 1704456000}, "not RFC 3339"),
            ({"id": "x" * 10_000_000}, "larger than 128 KiB"),
            ({"properties": {"x": "y" * 100_000}}, "longer than 65536"),
            ({"id": "x\0y"}, "no text"),
            ({"id": "\ud800"}, "no text"),
            ({"source": ["a"]}, "no text"),
            ({"client": {"a": 1}}, "no client"),
            ({"level": ["a"]}, "no level"),
        ]
        lines = [json.dumps({**self._event("2024-01-05", 1), **values}) for values, _why in cases]
        broken = [
            ('{"id": "b1", "quantity": NaN}', "Line 19 is no JSON: NaN is no number"),
            ('{"id": "b2", "quantity": 1', "Line 20 is no JSON"),
            ("[" * 50_000 + "]" * 50_000, "Line 21 is nested deeper than 32 levels"),
            ("[]", "An event is an object"),
            ("\udcff not utf-8", "Line 23 is no JSON"),
        ]
        lines += [text for text, _why in broken]
        body = "\n".join(lines).encode(errors="surrogateescape")
        answer = self._send(body + b"\n\n" + json.dumps(good).encode())
        self.assertEqual(answer.status_code, 200)
        outcome = answer.json()
        self.assertEqual(outcome["accepted"], 1)
        self.assertEqual([one["index"] for one in outcome["rejected"]], list(range(23)))
        for (case, why), one in zip(cases + broken, outcome["rejected"], strict=True):
            self.assertIn(why, one["reason"], str(case)[:100])
            self.assertLess(len(json.dumps(one)), 2000)
        self.assertEqual(list(self._stored()), [(good["id"], "2024-01-05")])
        kept = self.env["reseller.usage.rejection"].search([("company_id", "=", self.company.id)])
        self.assertEqual(len(kept), 23)
        self.assertLess(max(len(one.payload) for one in kept), 550_000)

    def test_bad_cloudevents(self):
        deep = "[" * 20_000 + "]" * 20_000
        events = [
            self._cloud("ok", 1),
            self._cloud("v", 1, specversion="0.3"),
            self._cloud("d", 1, data_base64="AA==") | {"data": "AA=="},
            "text",
            self._cloud("huge", 1, data={"x": "y" * 10_000_000}),
            self._cloud("deep", 1, data={"x": "DEEP"}),
        ]
        outcome = self._send(json.dumps(events).replace('"DEEP"', deep), BATCH).json()
        self.assertEqual(outcome["accepted"], 1)
        for one, words in zip(
            outcome["rejected"],
            ("version 1.0", "no object with a quantity", "no object", "larger than", "deeper than"),
            strict=True,
        ):
            self.assertIn(words, one["reason"])

    def test_bodies_that_cannot_be_read_are_refused_whole(self):
        good = json.dumps(self._event("2024-01-05", 1))
        cloud = json.dumps([self._cloud("c", 1)])
        packed = {"Content-Encoding": "gzip"}
        whole = gzip.compress(("\n".join([good] * 50)).encode())
        header = "id,source,client,feature,time,quantity\n"
        for body, content_type, headers, status, words in (
            ("", NDJSON, {}, 400, "no events"),
            ("\n\n", NDJSON, {}, 400, "no events"),
            ("", BATCH, {}, 400, "no JSON array"),
            ("[]", BATCH, {}, 400, "no events"),
            (cloud[:-3], BATCH, {}, 400, "no JSON array"),
            (cloud[:-1] + ', {"quantity": NaN]', BATCH, {}, 400, "no JSON array"),
            ("{", "application/cloudevents+json", {}, 400, "no JSON"),
            ("", "text/csv", {}, 400, "no events"),
            ("a,b\n1,2\n", "text/csv", {}, 400, "lacks these columns: id, source"),
            (header + 'a,b,"c"d', "text/csv", {}, 400, "Line 2 is no CSV"),
            (header.encode() + b"\xff\xfe", "text/csv", {}, 400, "not in UTF-8"),
            (good, "application/json", {}, 415, "application/x-ndjson"),
            (good, "text/plain", {}, 415, "application/x-ndjson"),
            (good, NDJSON, {"Content-Encoding": "br"}, 415, "gzip"),
            (good, NDJSON, packed, 400, "no gzip stream"),
            (whole[:-20], NDJSON, packed, 400, "cut off"),
            (whole + b"more", NDJSON, packed, 400, "no gzip stream"),
            ("\n".join(["{}"] * 100_001), NDJSON, {}, 413, "more than 100000 events"),
        ):
            answer = self._send(body, content_type, **headers)
            self.assertRefused(answer, status, words)
        self.assertFalse(self._stored())

    def test_a_bomb_is_refused_before_it_unpacks(self):
        line = json.dumps(self._event("2024-01-05", 1)).encode()
        for filling, words in ((b" ", "unpacks to more than 256 MiB"), (b"\n", "empty lines")):
            packer = zlib.compressobj(1, wbits=31)
            bomb = packer.compress(line + b"\n")
            bomb += b"".join(packer.compress(filling * 10_000_000) for _time in range(30))
            answer = self._send(bomb + packer.flush(), **{"Content-Encoding": "gzip"})
            self.assertRefused(answer, 400, words)
        self.assertFalse(self._stored())

    # Keys

    def test_keys(self):
        event = [self._event("2024-01-05", 1)]
        with mute_logger("odoo.http"):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
                answer = self.url_open(
                    USAGE, data=b"{}", headers={"Content-Type": NDJSON, **headers}
                )
                self.assertEqual(answer.status_code, 401, headers)
            expired = self._create_key("late", "reseller_billing.group_usage_ingestion")
            self.env.cr.execute(
                "UPDATE res_users_apikeys SET expiration_date = now() - interval '1 day' "
                "WHERE user_id = (SELECT id FROM res_users WHERE login = 'late')"
            )
            self.assertEqual(self._send(event, key=expired).status_code, 401)
        stranger = self._create_key("stranger", "base.group_user")
        self.assertRefused(self._send(event, key=stranger), 403, "Usage Ingestion")
        self.assertRefused(self._send("", key=stranger), 403, "Usage Ingestion")
        company = self.env["res.company"].create({"name": "Foreign"})
        foreign = self._create_key(
            "foreign", "reseller_billing.group_usage_ingestion", company=company
        )
        outcome = self._send(event, key=foreign).json()
        self.assertEqual(outcome["accepted"], 0)
        self.assertIn("no client with reference A", outcome["rejected"][0]["reason"])
        self.assertFalse(self._stored())
        rejection = self.env["reseller.usage.rejection"].search([], limit=1)
        self.assertEqual(rejection.company_id, company)
