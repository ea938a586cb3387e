"""Bodies and files that mean harm: the server lives on, and loses nothing that is good."""

import base64
import concurrent.futures
import gzip
import io
import json
import random
import zipfile

import processes
import psutil
import pytest
import requests
import xlsxwriter
from servers import serve
from test_files import login
from test_http import USAGE, create_meter_key
from test_race import fill

pytestmark = pytest.mark.hostile

BODIES = 2000
AUTHORIZE = "/reseller_billing/v1/authorize"
CONSUME = "/reseller_billing/v1/consume"
NDJSON = "application/x-ndjson"
BATCH = "application/cloudevents-batch+json"
ONE = "application/cloudevents+json"
CSV = "text/csv"
# What a refusal may be: never a failure of the server.
REFUSED = {400, 401, 403, 404, 405, 411, 413, 415, 429, 503}


def event(number, **values):
    return {
        "id": f"h{number}",
        "source": "hostile",
        "client": "C1",
        "feature": "one",
        "time": "2024-01-05T12:00:00Z",
        "quantity": 1,
        **values,
    }


def cloud(number, quantity="1", **values):
    text = json.dumps(
        {
            "specversion": "1.0",
            "id": f"h{number}",
            "source": "hostile",
            "type": "one",
            "subject": "C1",
            "time": "2024-01-05T12:00:00Z",
            "data": {"quantity": "QUANTITY"},
            **values,
        }
    )
    return text.replace('"QUANTITY"', quantity)


class Hostile:
    """Makes up bodies by a grammar: mostly what is nearly right."""

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def number(self):
        chance = self.chance
        digits = "".join(chance.choices("0123456789", k=chance.choice([1, 3, 25, 101, 4301, 9999])))
        return chance.choice(
            [
                *(digits, f"-{digits}", f"{digits}.{digits}", f"{digits}e{digits}"),
                *("1e1000000", "0e99999999999999999999", "-0e-999999999", "1e400", "NaN"),
                *("Infinity", "-Infinity", "01", "1_5", "0x1F", "1e", ".5", "+1", "--1", ""),
            ]
        )

    def text(self):
        chance = self.chance
        return chance.choice(
            [
                *("", "\0", "\\u0000", "\\ud800", "\u202e", "=1+1", "a" * 300, "x" * 100_000),
                *("C1", "one", "2024-01-05T12:00:00Z", "’", "\N{PILE OF POO}" * 100, '"', "\\"),
                "".join(chance.choices('{}[]",:\\ \t\0é', k=chance.randint(1, 60))),
            ]
        )

    def value(self, depth=0):
        """Return the text of a JSON value, or of what nearly is one."""
        chance = self.chance
        kind = chance.choice(["number", "text", "text", "list", "object", "deep", "word"])
        if kind == "number":
            return self.number()
        if kind == "text":
            return json.dumps(self.text(), ensure_ascii=chance.random() < 0.5)
        if kind == "deep":
            levels = chance.choice([30, 33, 960, 3000, 50_000])
            return "[" * levels + "]" * (levels - chance.choice([0, 0, 1]))
        if kind == "word" or depth > 3:
            return chance.choice(["null", "true", "nul", "undefined", "[]", "{}", "", "'a'"])
        inner = [self.value(depth + 1) for _one in range(chance.randint(0, 4))]
        if kind == "list":
            return f"[{','.join(inner)}]"
        return "{" + ",".join(f"{json.dumps(self.text())}:{one}" for one in inner) + "}"

    def event(self, number, made=event):
        """Return the text of an event with one or two parts that are wrong."""
        chance = self.chance
        parts = {
            name: json.dumps(value)
            for name, value in (
                made(number) if made is event else json.loads(cloud(number))
            ).items()
        }
        for name in chance.sample([*parts, "properties", "corrects", "level", "data"], 2):
            parts[name] = self.value()
        if chance.random() < 0.1:
            return self.value()
        return "{" + ",".join(f"{json.dumps(name)}:{one}" for name, one in parts.items()) + "}"

    def body(self, number):
        """Return (path, content type, headers, body)."""
        chance = self.chance
        path = chance.choice([USAGE, USAGE, USAGE, AUTHORIZE, CONSUME])
        kind = chance.choice([NDJSON, BATCH, ONE, CSV])
        count = chance.choice([1, 1, 3, 20])
        if path != USAGE:
            text = self.event(number)
        elif kind == NDJSON:
            text = "\n".join(self.event(f"{number}/{one}") for one in range(count))
        elif kind == BATCH:
            events = [self.event(f"{number}/{one}", cloud) for one in range(count)]
            text = f"[{','.join(events)}]"
        elif kind == ONE:
            text = self.event(number, cloud)
        else:
            text = "id,source,client,feature,time,quantity\n" + "\n".join(
                ",".join(self.text() for _column in range(chance.choice([1, 6, 6, 7])))
                for _one in range(count)
            )
        raw = text.encode(errors="surrogatepass")
        for _time in range(chance.choice([0, 0, 0, 1, 5])):
            place = chance.randrange(len(raw) + 1)
            raw = raw[:place] + bytes([chance.randrange(256)]) + raw[place + chance.randint(0, 3) :]
        headers = {"Content-Type": chance.choice([kind] * 8 + ["application/json", "x", ""])}
        if chance.random() < 0.2:
            headers["Content-Encoding"] = "gzip"
            raw = gzip.compress(raw, 1)
            if chance.random() < 0.3:
                raw = raw[: chance.randrange(len(raw))]
        return path, headers, raw


def worst_cases():
    """Yield (path, headers, body) of what broke servers."""
    packed = {"Content-Encoding": "gzip"}
    for quantity in ("9" * 4301, "1e1000000", "1e99999999999999999999", "0e" + "9" * 50):
        yield USAGE, {"Content-Type": BATCH}, f"[{cloud(1, quantity)}]"
        yield USAGE, {"Content-Type": ONE}, cloud(1, quantity)
        line = json.dumps(event(1, quantity="Q")).replace('"Q"', quantity)
        yield USAGE, {"Content-Type": NDJSON}, line
        asked = json.dumps({"client": "C1", "feature": "one", "quantity": "Q"})
        yield AUTHORIZE, {}, asked.replace('"Q"', quantity)
        yield CONSUME, {}, line
    for levels in (33, 960, 3000, 100_000):
        deep = "[" * levels + "]" * levels
        yield USAGE, {"Content-Type": NDJSON}, deep
        yield USAGE, {"Content-Type": NDJSON}, json.dumps(event(1, id="D")).replace('"D"', deep)
        yield USAGE, {"Content-Type": BATCH}, f"[{cloud(1, deep)}, {deep}]"
        yield AUTHORIZE, {}, deep
        yield CONSUME, {}, json.dumps(event(1, properties="D")).replace('"D"', deep)
    unreadable = "\n".join(f"x{number}" for number in range(100_000))
    yield USAGE, {"Content-Type": NDJSON, **packed}, gzip.compress(unreadable.encode())
    yield (
        USAGE,
        {"Content-Type": BATCH, **packed},
        gzip.compress(f'[{{"a":"{"x" * 200_000_000}"}}]'.encode(), 1),
    )
    yield USAGE, {"Content-Type": BATCH, **packed}, gzip.compress(b"[" * 60_000_000, 1)
    yield USAGE, {"Content-Type": CSV, **packed}, gzip.compress(b"," * 60_000_000, 1)
    yield USAGE, {"Content-Type": CSV, **packed}, gzip.compress(b'"\n' * 30_000_000, 1)
    yield USAGE, {"Content-Type": NDJSON}, json.dumps(event(1, id="\ud800", client="\0"))
    yield AUTHORIZE, {}, b"\xff\xfe\x00" * 100
    yield CONSUME, {}, b"x" * 1_000_000


def sheet_with(row):
    """Return a workbook whose sheet has a row of XML more."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream) as book:
        book.add_worksheet().write_row(0, 0, ["client", "feature", "time", "quantity"])
    found = io.BytesIO()
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</sheetData>", row.encode() + b"</sheetData>")
            new.writestr(name, content)
    return found.getvalue()


def worst_files():
    """Yield (name, content) of files that broke servers, and of some that are broken."""
    yield "far.xlsx", sheet_with('<row r="99999999999"><c r="A99999999999"><v>1</v></c></row>')
    wide = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(2, 2002))
    yield "wide.xlsx", sheet_with(wide)
    yield "beyond.xlsx", sheet_with('<row r="2"><c r="ZZZZZZZ2"><v>1</v></c></row>')
    yield "deep.xlsx", sheet_with("<a>" * 100_000)
    yield "entity.xlsx", sheet_with('<row r="2"><c r="A2"><v>&bomb;</v></c></row>')
    yield "cut.xlsx", sheet_with("")[:-200]
    yield "wide.csv", b"client,feature,time,quantity\n" + b"," * 5_000_000
    yield "quote.csv", b'client,feature,time,quantity\n"' + b"x\n" * 5_000_000
    yield "zero.csv", b"client,feature,time,quantity\nC1,one,2024-01-05\0,1\n"
    yield "numbers.csv", b"client,feature,time,quantity\nC1,one,2024-01-05," + b"9" * 100_000
    yield "power.csv", b"client,feature,time,quantity\nC1,one,2024-01-05,1e99999999999999999999\n"
    yield "utf16.csv", b"\xff\xfe" + b"\x00\xd8" * 1000


def memory(server):
    """Return the memory of a server and of all its processes, in MiB."""
    family = [server, *server.children(recursive=True)]
    return sum(one.memory_info().rss for one in family) // 2**20


@pytest.fixture
def hostile(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        key = create_meter_key(env, requests_per_minute=10**6, rejections_per_minute=10**6)
    with serve(database, "--workers", "2", "--limit-time-cpu", "20") as (base, server):
        yield database, base, psutil.Process(server.pid), key


def check_alive(base, server, workers):
    assert requests.get(f"{base}/web/login", timeout=30).status_code == 200
    assert {one.pid for one in server.children()} == workers, "a process of the server died"


def post(base, key, path, headers, body):
    answer = requests.post(
        base + path,
        data=body.encode() if isinstance(body, str) else body,
        headers={"Authorization": f"Bearer {key}", **headers},
        timeout=60,
    )
    # Whatever it is, it is told as JSON.
    told = answer.json()
    assert answer.status_code == 200 or answer.status_code in REFUSED, (path, headers, told)
    if answer.status_code != 200:
        assert told["message"], (path, headers)
    if answer.status_code == 503:
        assert answer.headers["Retry-After"]
    return answer


def test_hostile_bodies_harm_nobody(hostile):
    database, base, server, key = hostile
    good = post(base, key, USAGE, {"Content-Type": NDJSON}, json.dumps(event("good")))
    assert good.json()["accepted"] == 1
    workers, before = {one.pid for one in server.children()}, memory(server)
    for path, headers, body in worst_cases():
        post(base, key, path, headers, body)
        check_alive(base, server, workers)
    made = Hostile(26)
    bodies = [made.body(number) for number in range(BODIES)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda body: post(base, key, *body), bodies))
    check_alive(base, server, workers)
    assert memory(server) - before < 300, (before, memory(server))
    # A bad event costs no other one, in any format.
    bad = '{"id": "bad", "quantity": 1e1000000}'
    lines = "\n".join([json.dumps(event("n1")), bad, json.dumps(event("n2"))])
    answer = post(base, key, USAGE, {"Content-Type": NDJSON}, lines).json()
    assert (answer["accepted"], len(answer["rejected"])) == (2, 1)
    batch = f"[{cloud('b1')}, {cloud('b2', '9' * 4301)}, {cloud('b3')}]"
    answer = post(base, key, USAGE, {"Content-Type": BATCH}, batch).json()
    assert (answer["accepted"], len(answer["rejected"])) == (2, 1)
    with processes.environment(database) as env:
        stored = env["reseller.usage.line"].search([("source", "=", "hostile")])
        assert {"hgood", "hn1", "hn2", "hb1", "hb3"} <= set(stored.mapped("external_id"))
        # 100,000 lines that cannot be read are no 100,000 rows.
        unreadable = env["reseller.usage.rejection"].search_count(
            [("payload", "=like", '"x_____"')]
        )
        assert unreadable <= 100


def test_what_has_an_id_is_kept_or_all_is_refused(hostile):
    database, base, _server, _key = hostile
    with processes.environment(database) as env:
        key = create_meter_key(env, "slow", rejections_per_minute=50)
    unknown = [json.dumps(event(f"u{number}", client="nobody")) for number in range(40)]
    headers = {"Content-Type": NDJSON}
    answer = post(base, key, USAGE, headers, "\n".join(unknown))
    assert (answer.status_code, len(answer.json()["rejected"])) == (200, 40)
    # Too many by themselves: a minute may turn meanwhile.
    more = [json.dumps(event(f"v{number}", client="nobody")) for number in range(60)]
    more.append(json.dumps(event("v-good")))
    for _time in range(2):
        answer = post(base, key, USAGE, headers, "\n".join(more))
        assert answer.status_code == 429, answer.text
        assert 0 < int(answer.headers["Retry-After"]) <= 60
    with processes.environment(database) as env:
        ids = env["reseller.usage.rejection"].search([]).mapped("event_id")
        assert sorted(ids) == sorted(f"hu{number}" for number in range(40))
        assert not env["reseller.usage.line"].search([("source", "=", "hostile")])


def test_requests_of_a_key_are_limited(hostile):
    database, base, _server, _key = hostile
    with processes.environment(database) as env:
        key = create_meter_key(env, "busy", requests_per_minute=20)
    asked = {"client": "C1", "feature": "one"}
    found = [post(base, key, AUTHORIZE, {}, json.dumps(asked)).status_code for _one in range(60)]
    # A minute may turn meanwhile: then 20 more are let through.
    assert found[:20] == [200] * 20
    assert 20 <= found.count(429) <= 40
    assert found.count(200) + found.count(429) == 60


def test_hostile_files_harm_nobody(hostile):
    database, base, server, _key = hostile
    session = login(base, database)
    workers, before = {one.pid for one in server.children()}, memory(server)

    def call(method, *arguments):
        return session.post(
            f"{base}/web/dataset/call_kw/reseller.usage.import/{method}",
            json={
                "params": {
                    "model": "reseller.usage.import",
                    "method": method,
                    "args": arguments,
                    "kwargs": {},
                }
            },
            timeout=60,
        ).json()

    for name, content in worst_files():
        made = call("create", [{"file": base64.b64encode(content).decode(), "filename": name}])
        answer = made
        if "result" in made:
            answer = call("action_import", made["result"])
        if "error" in answer:
            # Said to the user in words, not as a failure of the program.
            assert answer["error"]["data"]["name"].startswith("odoo.exceptions."), (name, answer)
        check_alive(base, server, workers)
    assert memory(server) - before < 300, (before, memory(server))
