"""Usage beside bills, voids and closings: nobody waits for a bill, and nothing falls between two."""

import base64
import concurrent.futures
import contextlib
import random
import time
from datetime import date

import odoo.sql_db
import processes
import pytest
from databases import psql
from odoo import SUPERUSER_ID, api
from odoo.exceptions import ConcurrencyError
from odoo.modules.registry import Registry
from odoo.tools import mute_logger
from processes import Child
from psycopg2.errors import SerializationFailure
from test_race import expect_overage, fill, load_overage, make_events, prepare

pytestmark = pytest.mark.race


@pytest.fixture
def open_environment():
    """Return a function that opens a transaction of its own; all are closed at the end."""
    cursors = []

    def opened(database):
        cursors.append(Registry(database).cursor())
        return api.Environment(cursors[-1], SUPERUSER_ID, {})

    yield opened
    for cr in cursors:
        cr.close()
    odoo.sql_db.close_all()


def read_committed(env, patience="30s"):
    # Addons are importable once a registry is loaded.
    from odoo.addons.reseller_billing.tools import read_committed as begin

    begin(env.cr, patience)


@contextlib.contextmanager
def meanwhile(database, function, *arguments):
    """Call a function in a thread with an environment of its own; yield the future of its result.

    A process of its own would close the transactions that are open here.
    """

    def work():
        with Registry(database).cursor() as cr:
            return function(api.Environment(cr, SUPERUSER_ID, {}), *arguments)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def send(env, batches):
    """Take batches in as requests do, each in a transaction of its own; return how many were accepted."""
    accepted = 0
    for events in batches:
        read_committed(env)
        accepted += env["reseller.usage.line"].ingest(events)["accepted"]
        env.cr.commit()
    return accepted


def event(number, quantity=1, client="C0", feature="one", day="2024-01-05", **values):
    return {
        "id": f"beside/{number}",
        "source": "beside",
        "client": client,
        "feature": feature,
        "time": f"{day}T12:00:00Z",
        "quantity": quantity,
        **values,
    }


def wait_for_lock(database):
    """Wait until a transaction waits for another one."""
    deadline = time.monotonic() + 30
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE datname = '{database}' AND wait_event_type = 'Lock'"
    )
    while psql(waiting, database) == "0":
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.02)  # between two looks at a state


def test_isolation_is_that_of_the_transaction(databases, open_environment):
    env = open_environment(databases.clone())
    shown = "SELECT current_setting('transaction_isolation'), current_setting('lock_timeout')"
    read_committed(env, "3s")
    assert env.execute_query(odoo.tools.SQL(shown)) == [("read committed", "3s")]
    env.cr.commit()
    assert env.execute_query(odoo.tools.SQL(shown)) == [("repeatable read", "0")]
    # One that has begun stays what it is.
    read_committed(env, "3s")
    assert env.execute_query(odoo.tools.SQL(shown)) == [("repeatable read", "3s")]


def test_nobody_waits_for_a_batch_of_a_run(databases, open_environment):
    database = databases.clone()
    events = make_events(1500)
    run_id = prepare(database, events)
    billing = open_environment(database)
    run = billing["reseller.billing.run"].browse(run_id)
    while run._process_batch():
        pass
    # All bills are made and posted, and nothing is committed: usage of the same days, and who asks
    # first, go on.
    env = open_environment(database)
    late = make_events(500, tag="late")
    read_committed(env, "300ms")
    assert env["reseller.usage.line"].ingest(late)["accepted"] == 500
    env.cr.commit()
    client = env["reseller.client"].search([("ref", "=", "C1")])
    env.cr.execute("SET LOCAL lock_timeout = '300ms'")
    used = {"id": "asked", "source": "gate", "feature": "one", "quantity": 5}
    assert client.consume(used)["allowed"]
    assert client.authorize("one")["allowed"]
    env.cr.commit()
    billing.cr.commit()
    # What came in meanwhile is on the next bill, and nothing else.
    with processes.environment(database) as env:
        pending = env["reseller.usage.daily"].search([("statement_id", "=", False)])
        assert {one.billing_date for one in pending} >= {date.fromisoformat(late[0]["time"][:10])}
        following = env["reseller.billing.run"].create({"date": "2024-03-01"})
        following.action_start()
        while following._process_batch():
            pass
        left = env["reseller.usage.daily"].search([("statement_id", "=", False)])
        assert left.mapped("event_count") == [1]  # what was asked for just now
        billed = load_overage(env)
    assert billed == expect_overage(events + late)


def test_two_runs_at_once_and_use_of_billed_days(databases):
    database = databases.clone()
    events = make_events(1500)
    run_id = prepare(database, events)
    late = [make_events(1500, tag=f"late{sender}") for sender in range(2)]
    children = [Child(database, processes.bill, run_id, 4) for _process in range(2)]
    senders = [
        Child(database, send, [mine[start : start + 20] for start in range(0, 1500, 20)])
        for mine in late
    ]
    assert [sender.result() for sender in senders] == [1500, 1500]
    for child in children:
        child.result()
    with processes.environment(database) as env:
        env.cr.execute(
            "SELECT count(*), count(DISTINCT client_id) FROM reseller_statement WHERE kind = 'cycle'"
        )
        assert len(set(env.cr.fetchone())) == 1
        # Names in a row.
        env.cr.execute(
            "SELECT max(sequence_number) - min(sequence_number) + 1 - count(*) FROM account_move"
            " WHERE move_type = 'out_invoice' AND state = 'posted'"
        )
        assert env.cr.fetchone() == (0,)
        following = env["reseller.billing.run"].create({"date": "2024-03-01"})
        following.action_start()
        while following._process_batch():
            pass
        assert not env["reseller.usage.daily"].search([("statement_id", "=", False)])
        billed = load_overage(env)
    assert billed == expect_overage(events + late[0] + late[1])


def send_to_one_bucket(env, worker):
    chance = random.Random(worker)
    batches = [
        [
            event(f"{worker}/{number}/{part}", chance.randrange(1, 9), feature=feature)
            for part, feature in enumerate(["one", "peak", "one"])
        ]
        for number in range(60)
    ]
    return send(env, batches)


def void_some(env, worker):
    chance, voided = random.Random(worker), 0
    lines = env["reseller.usage.line"]
    for _time in range(40):
        read_committed(env)
        live = lines.search([("voided_at", "=", False)])
        if live:
            picked = live.browse(chance.sample(live.ids, min(3, len(live))))
            voided += lines._void(
                env.company, odoo.tools.SQL("line.id = ANY(%s)", picked.ids), released=False
            )
        env.cr.commit()
    return voided


def test_events_come_and_are_voided_in_one_bucket(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        env["reseller.feature"].create({"name": "P", "code": "peak", "aggregation": "max"})
    children = [Child(database, send_to_one_bucket, worker) for worker in range(3)]
    children += [Child(database, void_some, worker) for worker in range(2)]
    *accepted, first, second = [child.result() for child in children]
    assert accepted == [180, 180, 180]
    with processes.environment(database) as env:
        env.cr.execute(
            """
            SELECT bucket.quantity = COALESCE(sum(line.quantity), 0),
                   bucket.event_count = count(line.id),
                   feature.aggregation != 'max'
                       OR bucket.max_quantity IS NOT DISTINCT FROM max(line.quantity)
                       AND bucket.last_at IS NOT DISTINCT FROM max(line.occurred_at)
              FROM reseller_usage_daily bucket
              JOIN reseller_feature feature ON feature.id = bucket.feature_id
              LEFT JOIN reseller_usage_line line
                ON line.client_id = bucket.client_id AND line.feature_id = bucket.feature_id
               AND line.billing_date = bucket.billing_date AND line.voided_at IS NULL
             GROUP BY bucket.id, feature.id
            """
        )
        assert env.cr.fetchall() == [(True, True, True)] * 2
        env.cr.execute("SELECT count(*) FROM reseller_usage_line WHERE voided_at IS NOT NULL")
        assert env.cr.fetchone() == (first + second,)
        assert first + second


def correct(env, worker):
    return send(env, [[event(f"c{worker}", -3, corrects="beside/ten", day="2024-02-01")]])


def test_corrections_at_once_take_no_more_back_than_there_was(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        assert env["reseller.usage.line"].ingest([event("ten", 10)])["accepted"] == 1
    children = [Child(database, correct, worker) for worker in range(8)]
    assert sum(child.result() for child in children) == 3
    assert psql("SELECT sum(quantity) FROM reseller_usage_daily", database) == "1"


def test_an_event_that_is_voided_takes_a_correction_that_comes_in_along(
    databases, open_environment
):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        assert env["reseller.usage.line"].ingest([event("ten", 10)])["accepted"] == 1
    env = open_environment(database)
    read_committed(env)
    assert (
        env["reseller.usage.line"].ingest([event("c", -3, corrects="beside/ten")])["accepted"] == 1
    )
    with meanwhile(database, void_some, 0) as voided:
        wait_for_lock(database)
        env.cr.commit()
        assert voided.result() == 2
    assert psql("SELECT quantity, event_count FROM reseller_usage_daily", database) == "0|0"


def test_no_event_lands_on_a_day_that_was_just_closed(databases, open_environment):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
    closing = open_environment(database)
    client = closing["reseller.client"].search([("ref", "=", "C0")])
    early = open_environment(database)
    early["reseller.usage.line"].search_count([])  # its one snapshot is from before
    client.action_close("2024-03-10")
    closing.flush_all()
    # Who comes while it is being closed waits, and then knows.
    with meanwhile(database, send, [[event(1, day="2024-03-11")]]) as sent:
        wait_for_lock(database)
        # Others do not wait.
        other = open_environment(database)
        read_committed(other, "300ms")
        assert other["reseller.usage.line"].ingest([event(2, client="C1")])["accepted"] == 1
        other.cr.commit()
        closing.cr.commit()
        assert sent.result() == 0
    # One with a single snapshot fails, and is repeated by who called it (as JSON-2 does).
    with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
        early["reseller.usage.line"].ingest([event(3, day="2024-03-11")])
    early.cr.rollback()
    assert early["reseller.usage.line"].ingest([event(3, day="2024-03-11")])["accepted"] == 0
    assert early["reseller.usage.line"].ingest([event(4, day="2024-03-10")])["accepted"] == 1


def test_who_asks_and_who_takes_back_do_not_pass_each_other(databases, open_environment):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        client = env["reseller.client"].search([("ref", "=", "C0")])
        client._take_turn()
    asking, taking = open_environment(database), open_environment(database)
    client = asking["reseller.client"].search([("ref", "=", "C0")])
    taking["reseller.client"].browse(client.id)._take_turn()  # as refunds and voids do
    taking.cr.commit()
    used = {"id": "asked", "source": "gate", "feature": "one", "quantity": 5}
    with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
        client.consume(used)
    asking.cr.rollback()
    assert client.consume(used)["allowed"]


def test_a_bill_that_is_made_void_while_use_is_looked_through(databases, open_environment):
    database = databases.clone()
    run_id = prepare(database, make_events(200))
    Child(database, processes.bill, run_id, 100).result()
    voiding, looking = open_environment(database), open_environment(database)
    statement = voiding["reseller.statement"].search([("kind", "=", "cycle")], limit=1)
    client = statement.client_id
    looking["reseller.usage.daily"]._settle(client.ids)
    looking.cr.commit()
    with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
        statement.invoice_id.button_cancel()
    voiding.cr.rollback()
    voiding.invalidate_all()
    statement.invoice_id.button_cancel()
    voiding.flush_all()
    covered = voiding["reseller.usage.daily"].search([("client_id", "=", client.id)])
    assert covered and not covered.statement_id
    # The other way round: who looks leaves out what is being made void.
    looking["reseller.usage.daily"]._settle(client.ids)
    looking.cr.commit()
    voiding.cr.commit()
    voiding.invalidate_all()
    assert set(covered.mapped("is_pending")) == {True}


def test_json2_does_not_wait_for_a_batch_of_a_run(databases, open_environment):
    database = databases.clone()
    run_id = prepare(database, make_events(300))
    billing = open_environment(database)
    run = billing["reseller.billing.run"].browse(run_id)
    while run._process_batch():
        pass
    env = open_environment(database)
    env.cr.execute("SET LOCAL lock_timeout = '300ms'")
    assert env["reseller.usage.line"].ingest(make_events(300, tag="late"))["accepted"] == 300
    env.cr.commit()
    billing.cr.commit()
    env.invalidate_all()
    assert env["reseller.usage.daily"].search_count([("statement_id", "=", False)])


def test_a_file_that_replaces_waits_for_the_one_before(databases, open_environment):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        made = {}
        for name, number in (("first", 1), ("second", 2)):
            rows = f"id;client;feature;time;quantity\n{name};C0;one;2024-01-05T12:00:00Z;{number}\n"
            upload = env["reseller.usage.import"].create(
                {
                    "filename": name,
                    "file": base64.b64encode(rows.encode()),
                    "replaces": True,
                    "replace_from": "2024-01-01",
                    "replace_to": "2024-01-31",
                }
            )
            upload.action_check()
            made[name] = upload.id
    first, second = open_environment(database), open_environment(database)
    read_committed(first)
    # Its one snapshot is from before.
    assert second["reseller.usage.import"].browse(made["second"]).filename == "second"
    first["reseller.usage.import"].browse(made["first"])._take_whole()
    first.flush_all()
    with meanwhile(
        database,
        lambda env: (
            read_committed(env),
            env["reseller.usage.import"].browse(made["second"])._take_whole(),
            env.cr.commit(),
        ),
    ) as taken:
        wait_for_lock(database)
        first.cr.commit()
        taken.result()
    # One instead of the other.
    live = "SELECT string_agg(external_id, ',') FROM reseller_usage_line WHERE voided_at IS NULL"
    assert psql(live, database) == "second"
    assert psql("SELECT sum(quantity) FROM reseller_usage_daily", database) == "2"
    with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
        second["reseller.usage.import"].browse(made["second"])._take_whole()


def test_a_correction_of_an_event_that_another_one_has_brought_meanwhile(
    databases, open_environment
):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
    env, other = open_environment(database), open_environment(database)
    read_committed(env)
    lines = env["reseller.usage.line"]
    intake = lines._open_intake()
    assert not lines._stage(intake, [event(1, 10), event(2, -3, corrects="beside/1")])
    assert other["reseller.usage.line"].ingest([event(1, 4, day="2024-02-09")])["accepted"] == 1
    other.cr.commit()
    with pytest.raises(ConcurrencyError):
        lines._store_staged(intake)
    env.cr.rollback()
    # Once more, it is of that day.
    outcome = lines.ingest([event(1, 10), event(2, -3, corrects="beside/1")])
    assert (outcome["accepted"], len(outcome["rejected"])) == (1, 1)
    env.cr.commit()
    assert (
        psql("SELECT billing_date, quantity FROM reseller_usage_daily", database) == "2024-02-09|1"
    )
