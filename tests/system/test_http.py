"""A running server: many senders at once, and requests that a description of the interface makes up."""

import concurrent.futures
import json
import random
import subprocess
import sys
import time

import processes
import pytest
import requests
from databases import psql
from processes import Child
from servers import serve
from test_race import CLIENTS, buckets, expected_buckets, fill, make_events

USAGE = "/reseller_billing/v1/usage"
SENDERS = 10


def create_meter_key(env, name="meter", **values):
    """Return a key of *Usage / Connect*."""
    key = env["reseller.usage.key"].create({"name": name, **values})
    return key.action_make_key()["context"]["default_key"]


def post_until_taken(session, *arguments, **options):
    """Send as a meter does that is asked to come again; return the answer."""
    while True:
        answer = session.post(*arguments, **options)
        if answer.status_code != 503:
            return answer
        # As the server asks, but for a test's patience.
        time.sleep(float(answer.headers["Retry-After"]) / 10)


def peak_memory(process):
    """Return the most memory that a process has had, in MiB."""
    with open(f"/proc/{process.pid}/status") as status:
        [line] = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


@pytest.mark.race
def test_ten_senders_resend_while_a_run_bills(databases):
    database = databases.clone()
    events = make_events(70_000)
    late = random.Random(3)
    # 100,000 in all: 30 in 100 come a second time, from any sender and at any moment.
    sent = events + late.sample(events, 30_000)
    late.shuffle(sent)
    bodies = ["\n".join(map(json.dumps, sent[n : n + 1000])) for n in range(0, len(sent), 1000)]
    with processes.environment(database) as env:
        fill(env)
        key = create_meter_key(env)
        run = env["reseller.billing.run"].create({"date": "2024-02-01"})
        run.state = "running"
        run_id = run.id
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    with serve(database) as (base, server):

        def send(sender):
            found = []
            with requests.Session() as session:
                for body in bodies[sender::SENDERS]:
                    answer = post_until_taken(
                        session, base + USAGE, data=body, headers=headers, timeout=300
                    )
                    assert answer.status_code == 200, answer.text[:500]
                    found.append(answer.json())
            return found

        # What one request needs is there before: the comparison is of 100,000 events to 1,000.
        whole = requests.post(
            base + USAGE,
            data="\n".join(json.dumps({**event, "client": "none"}) for event in sent[:1000]),
            headers=headers,
            timeout=300,
        )
        assert len(whole.json()["rejected"]) == 1000
        before = peak_memory(server)
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
            at_work = [pool.submit(send, sender) for sender in range(SENDERS)]
            while not int(psql("SELECT count(*) FROM reseller_usage_line", database)):
                time.sleep(0.05)  # until the first request is stored
            biller = Child(database, processes.bill, run_id, 4)
            outcomes = [one for future in at_work for one in future.result()]
            biller.result()
        # All of it again in one body: everything is a duplicate.
        again = requests.post(
            base + USAGE, data="\n".join(bodies), headers=headers, timeout=300
        ).json()
        after = peak_memory(server)
    assert sum(one["accepted"] for one in outcomes) == len(events)
    assert sum(one["duplicates"] for one in outcomes) == 30_000
    assert not any(one["rejected"] for one in outcomes)
    assert (again["accepted"], again["duplicates"]) == (0, 100_000)
    # As objects, rows and text, 100,000 events are some 300 MiB.
    assert after - before < 150, (before, after)
    with processes.environment(database) as env:
        assert buckets(env) == expected_buckets(events)
        # What came after a bill is billed by the next: the whole of January, once.
        run = env["reseller.billing.run"].create({"date": "2024-03-01"})
        while run._process_batch():
            pass
        assert env["reseller.usage.daily"].search_count([("statement_id", "=", False)]) == 0
        env.cr.execute(
            """
            SELECT client.ref, sum(charge.amount)::text
              FROM reseller_charge charge
              JOIN reseller_statement statement ON statement.id = charge.statement_id
              JOIN reseller_client client ON client.id = charge.client_id
             WHERE statement.state = 'invoiced' AND charge.kind != 'recurring'
             GROUP BY client.ref
            """
        )
        billed = dict(env.cr.fetchall())
    assert len(billed) == CLIENTS
    used = {"one": {}, "two": {}}
    for event in events:
        mine = used[event["feature"]]
        mine[event["client"]] = mine.get(event["client"], 0) + event["quantity"]
    for ref, amount in billed.items():
        # 0.333 above 50 included, rounded once; 2.00 for every started seven.
        thousandths = max(used["one"][ref] - 50, 0) * 333
        overage = (thousandths + 5) // 10
        packages = -(-used["two"][ref] // 7) * 200
        assert round(float(amount) * 100) == overage + packages, ref


def test_nothing_that_the_description_makes_up_ends_in_a_server_error(databases, tmp_path):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        key = create_meter_key(env, requests_per_minute=10**6, rejections_per_minute=10**6)
    with serve(database) as (base, _server):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                f"{base}/reseller_billing/v1/openapi.json",
                *("--header", f"Authorization: Bearer {key}"),
                *("--checks", "not_a_server_error,response_schema_conformance"),
                *("--checks", "status_code_conformance,content_type_conformance"),
                *("--phases", "examples,coverage,fuzzing"),
                *("--max-examples", "60", "--seed", "7", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
