"""Several processes at once, and kills: each event and each bill once."""

import random
from collections import defaultdict
from functools import partial

import odoo.sql_db
import processes
import pytest
from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError
from odoo.modules.registry import Registry
from odoo.service.model import retrying
from odoo.tools import mute_logger
from processes import Child
from psycopg2.errors import SerializationFailure

pytestmark = pytest.mark.race

CLIENTS = 40


def fill(env):
    """Make clients with prices, served since 1 January 2024."""
    env.company.reseller_late_days = 100000
    partners = env["res.partner"].create([{"name": f"Client {n}"} for n in range(CLIENTS)])
    reseller = env["reseller.reseller"].create(
        {"partner_id": env["res.partner"].create({"name": "R"}).id, "code": "R"}
    )
    features = env["reseller.feature"].create(
        [{"name": name, "code": name, "quantity_digits": 0} for name in ("one", "two")]
    )
    env["reseller.price.rule"].create(
        [
            {
                "feature_id": features[0].id,
                "recurring_fee": 9.99,
                "included_quantity": 50,
                "unit_price": 0.333,
            },
            {
                "feature_id": features[1].id,
                "pricing_model": "package",
                "package_size": 7,
                "unit_price": 2,
            },
        ]
    )
    clients = env["reseller.client"].create(
        [
            {
                "partner_id": partner.id,
                "reseller_id": reseller.id,
                "ref": f"C{number}",
                "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
            }
            for number, partner in enumerate(partners)
        ]
    )
    clients.action_activate()


def make_events(count, month="01", tag="e", clients=CLIENTS):
    chance = random.Random(5)
    return [
        {
            "id": f"{tag}{number}",
            "source": "race",
            "client": f"C{chance.randrange(clients)}",
            "feature": chance.choice(["one", "two"]),
            "time": f"2024-{month}-{chance.randint(1, 28):02}T12:00:00Z",
            "quantity": chance.randint(1, 9),
        }
        for number in range(count)
    ]


def buckets(env):
    env.cr.execute(
        """
        SELECT client.ref, feature.code, bucket.billing_date::text, bucket.quantity::int,
               bucket.event_count
          FROM reseller_usage_daily bucket
          JOIN reseller_client client ON client.id = bucket.client_id
          JOIN reseller_feature feature ON feature.id = bucket.feature_id
        """
    )
    return {tuple(row[:3]): tuple(row[3:]) for row in env.cr.fetchall()}


def expected_buckets(events):
    found = defaultdict(lambda: (0, 0))
    for event in events:
        key = (event["client"], event["feature"], event["time"][:10])
        quantity, count = found[key]
        found[key] = (quantity + event["quantity"], count + 1)
    return dict(found)


def bills(env):
    """Return all that the bills say, without ids and numbers."""
    env.cr.execute(
        """
        SELECT client.ref, statement.kind, statement.bill_date::text, statement.state,
               statement.amount_total::text, move.state, move.amount_total::text,
               array_agg(charge.kind || ' ' || charge.quantity || ' ' || charge.amount
                         ORDER BY charge.sequence)
          FROM reseller_statement statement
          JOIN reseller_client client ON client.id = statement.client_id
          JOIN reseller_charge charge ON charge.statement_id = statement.id
          LEFT JOIN account_move move ON move.id = statement.invoice_id
         GROUP BY client.ref, statement.id, move.id
         ORDER BY client.ref, statement.bill_date, statement.id
        """
    )
    return env.cr.fetchall()


def load_overage(env):
    """Return {client's reference: the units of feature one that bills have charged}."""
    env.cr.execute(
        """
        SELECT client.ref, sum(charge.quantity)::int
          FROM reseller_charge charge
          JOIN reseller_client client ON client.id = charge.client_id
         WHERE charge.kind = 'overage'
         GROUP BY client.ref
        """
    )
    return dict(env.cr.fetchall())


def expect_overage(events):
    """Return the same by what was used: 50 are included."""
    used = defaultdict(int)
    for event in events:
        if event["feature"] == "one":
            used[event["client"]] += event["quantity"]
    return {client: max(quantity - 50, 0) for client, quantity in used.items()}


def prepare(database, events):
    with processes.environment(database) as env:
        fill(env)
        env["reseller.usage.line"].ingest(events)
        run = env["reseller.billing.run"].create({"date": "2024-02-01"})
        run.state = "running"
        return run.id


def check_whole(database):
    """Every account has its opening and its January bill, each posted once."""
    with processes.environment(database) as env:
        env.cr.execute(
            "SELECT kind, count(*), count(DISTINCT client_id) FROM reseller_statement "
            "WHERE state = 'invoiced' GROUP BY kind ORDER BY kind"
        )
        assert env.cr.fetchall() == [("cycle", CLIENTS, CLIENTS), ("opening", CLIENTS, CLIENTS)]
        env.cr.execute(
            "SELECT count(*), count(DISTINCT reseller_statement_id), count(DISTINCT name) "
            "FROM account_move WHERE move_type = 'out_invoice' AND state = 'posted'"
        )
        assert env.cr.fetchone() == (2 * CLIENTS, 2 * CLIENTS, 2 * CLIENTS)
        assert env["reseller.usage.daily"].search_count([("statement_id", "=", False)]) == 0
        env.cr.execute("SELECT state, count(*) FROM reseller_billing_run_line GROUP BY state")
        assert env.cr.fetchall() == [("done", 2 * CLIENTS)]
        return bills(env)


def test_four_processes_ingest_overlapping_batches(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
    events = make_events(2000)
    children = []
    for seed in range(4):
        chance = random.Random(seed)
        mine = chance.sample(events, 1500) + [event for event in events if chance.random() < 0.3]
        covered = {event["id"] for event in mine}
        if seed == 3:
            mine += events
        assert covered
        children.append(
            Child(
                database,
                processes.ingest,
                [mine[start : start + 100] for start in range(0, len(mine), 100)],
            )
        )
    results = [child.result() for child in children]
    assert sum(result["accepted"] for result in results) == 2000
    assert sum(result["rejected"] for result in results) == 0
    with processes.environment(database) as env:
        assert buckets(env) == expected_buckets(events)
        env.cr.execute("SELECT count(*), count(DISTINCT external_id) FROM reseller_usage_line")
        assert env.cr.fetchone() == (2000, 2000)


def test_two_processes_run_the_same_billing_run(databases):
    database = databases.clone()
    run = prepare(database, make_events(3000))
    twin = databases.clone(database)
    for child in [Child(database, processes.bill, run, 4) for _process in range(2)]:
        child.result()
    Child(twin, processes.bill, run, 100).result()
    assert check_whole(database) == check_whole(twin)


def test_twenty_kills_leave_what_an_undisturbed_run_does(databases):
    database = databases.clone()
    run = prepare(database, make_events(3000))
    twin = databases.clone(database)
    Child(twin, processes.bill, run, 100).result()
    chance, killed = random.Random(11), 0
    for _attempt in range(60):
        if killed == 20:
            break
        # Small batches: moments before, within and after many commits.
        killed += Child(database, processes.bill, run, 2).kill_after(chance.uniform(0.05, 0.6))
    assert killed == 20
    Child(database, processes.bill, run, 2).result()
    assert check_whole(database) == check_whole(twin)


def test_use_that_comes_in_while_it_is_billed_is_billed_once(databases):
    database = databases.clone()
    events = make_events(1500)
    run = prepare(database, events)
    late = make_events(1500, tag="late")
    billing = Child(database, processes.bill, run, 3)
    taking = Child(
        database, processes.ingest, [late[start : start + 20] for start in range(0, 1500, 20)]
    )
    assert taking.result()["accepted"] == 1500
    billing.result()
    with processes.environment(database) as env:
        following = env["reseller.billing.run"].create({"date": "2024-03-01"})
        following.state = "running"
        following_id = following.id
    Child(database, processes.bill, following_id, 100).result()
    with processes.environment(database) as env:
        assert env["reseller.usage.daily"].search_count([("statement_id", "=", False)]) == 0
        billed = load_overage(env)
    assert billed == expect_overage(events + late)


def test_a_price_cannot_change_while_a_run_starts(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        run_id = env["reseller.billing.run"].create({"date": "2024-02-01"}).id
    registry = Registry(database)
    with registry.cursor() as slow_cr, registry.cursor() as cr:
        slow = api.Environment(slow_cr, SUPERUSER_ID, {})
        # What this transaction sees is from before the run.
        rule = slow["reseller.price.rule"].search([("unit_price", "=", 2)])
        api.Environment(cr, SUPERUSER_ID, {})["reseller.billing.run"].browse(run_id).action_start()
        cr.commit()
        with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
            rule.unit_price = 9
        slow_cr.rollback()
        slow.invalidate_all()
        with pytest.raises(UserError, match="at work with these prices"):
            rule.unit_price = 9
        slow_cr.rollback()
    odoo.sql_db.close_all()


def send(env):
    env["reseller.statement"]._cron_send()
    return True


def test_two_senders_and_a_kill_send_each_statement_once(databases, monkeypatch):
    # Addons are importable once a registry is loaded.
    from odoo.addons.reseller_billing.models.documents import reseller_statement_send

    monkeypatch.setattr(reseller_statement_send, "BATCH", 2)
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        run = env["reseller.billing.run"].create({"date": "2024-01-01"})
        run.action_start()
        while run._process_batch():
            pass
        statements = run.statement_ids.sorted("id")[:12]
        for statement in statements:
            statement.client_id.partner_id.email = f"{statement.client_id.ref}@example.com"
        statements.action_send()
        ids = statements.ids
    Child(database, send).kill_after(4)
    for child in [Child(database, send) for _one in range(2)]:
        child.result()
    with processes.environment(database) as env:
        assert set(env["reseller.statement"].browse(ids).mapped("send_state")) == {"sent"}
        mails = env["mail.mail"].search([("model", "=", "reseller.statement")])
        assert sorted(mails.mapped("res_id")) == ids
        assert all(len(mail.attachment_ids) == 2 for mail in mails)


def take(env, worker):
    """Consume one unit at a time until refused; return how many were allowed."""
    client = env["reseller.client"].search([("ref", "=", "C1")])
    allowed = number = 0
    while True:
        event = {"id": f"{worker}/{number}", "source": "gate", "feature": "one", "quantity": 5}
        for _try in range(100):
            try:
                answer = retrying(partial(client.consume, event), env)
                break
            except SerializationFailure:
                continue  # as a sender who is told to come again
        if not answer["allowed"]:
            return allowed
        allowed += 1
        number += 1


def test_eight_at_once_consume_a_maximum_to_the_unit(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        rule = env["reseller.price.rule"].search([("unit_price", "=", 0.333)])
        rule.write({"max_quantity": 1000, "limit_action": "block"})
    with mute_logger("odoo.sql_db", "odoo.service.model"):
        children = [Child(database, take, worker) for worker in range(8)]
        allowed = [child.result() for child in children]
    assert sum(allowed) == 200
    with processes.environment(database) as env:
        env.cr.execute("SELECT sum(quantity) FROM reseller_usage_daily")
        assert env.cr.fetchone() == (1000,)


def correct(env, worker):
    """Correct an event of 10 by 3; repeated on a conflict, as JSON-2 does."""
    event = {
        "id": f"c{worker}",
        "source": "race",
        "client": "C0",
        "feature": "one",
        "time": f"2024-02-{worker + 1:02}T12:00:00Z",
        "quantity": -3,
        "corrects": "ten",
    }
    while True:
        try:
            return retrying(partial(env["reseller.usage.line"].ingest, [event]), env)["accepted"]
        except SerializationFailure:
            continue


def test_eight_at_once_take_no_more_back_than_there_was(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        event = {
            "id": "ten",
            "source": "race",
            "client": "C0",
            "feature": "one",
            "time": "2024-01-05T12:00:00Z",
            "quantity": 10,
        }
        assert env["reseller.usage.line"].ingest([event])["accepted"] == 1
    with mute_logger("odoo.sql_db", "odoo.service.model"):
        children = [Child(database, correct, worker) for worker in range(8)]
        accepted = [child.result() for child in children]
    assert sum(accepted) == 3
    with processes.environment(database) as env:
        env.cr.execute("SELECT sum(quantity) FROM reseller_usage_daily")
        assert env.cr.fetchone() == (1,)
