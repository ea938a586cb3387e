"""Two nodes with one database: jobs do the work, and whoever dies, it is done once."""

import base64
import time
from datetime import timedelta

import processes
import pytest
from databases import psql
from odoo import fields
from servers import serve_nodes
from shop import Shop
from test_race import make_events

pytestmark = pytest.mark.race
ADDON = "reseller_billing_queue_job"
ACCOUNTS = 200
ROWS = 50_000
MAILS = 16
MONTHS = ("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01")
# What a run has billed: taxes and names are Odoo's.
BILLED = """
    SELECT string_agg(concat_ws('|', client.ref, statement.bill_date, statement.amount_total,
                                invoice.amount_total, invoice.state), E'\\n'
                      ORDER BY client.ref, statement.bill_date)
      FROM reseller_statement statement
      JOIN reseller_client client ON client.id = statement.client_id
      LEFT JOIN account_move invoice ON invoice.id = statement.invoice_id
     WHERE statement.state = 'invoiced'
"""


def count(table, database, condition="TRUE"):
    return int(psql(f"SELECT count(*) FROM {table} WHERE {condition}", database))


def wait_for(happened, database=None, patience=180):
    """Wait until something has happened.

    :param database: whose runner has other work as well; it looks for dead jobs whenever there is a notice
    """
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        if database:
            psql("NOTIFY queue_job, 'other'", database)
        time.sleep(0.2)  # between two looks at a state


def has_runner(database):
    with processes.environment(database) as env:
        return env["reseller.queue"]._has_runner()


def fill(env):
    """Make accounts with prices, and use of them in three months."""
    partners = env["res.partner"].create(
        [{"name": f"Client {n}", "email": f"c{n}@example.com"} for n in range(ACCOUNTS)]
    )
    owner = env["res.partner"].create({"name": "R"})
    reseller = env["reseller.reseller"].create({"partner_id": owner.id, "code": "N"})
    features = env["reseller.feature"].create(
        [{"name": name, "code": name, "quantity_digits": 0} for name in ("one", "two")]
    )
    env["reseller.price.rule"].create(
        [
            {"feature_id": features[0].id, "recurring_fee": 9.99, "unit_price": 0.333},
            {"feature_id": features[1].id, "unit_price": 2, "included_quantity": 3},
        ]
    )
    env["reseller.client"].create(
        [
            {
                "partner_id": partner.id,
                "reseller_id": reseller.id,
                "ref": f"C{number}",
                "membership_ids": [(0, 0, {"date_from": "2024-01-01"})],
            }
            for number, partner in enumerate(partners)
        ]
    ).action_activate()
    for month in ("01", "02", "03"):
        lines = env["reseller.usage.line"]
        assert not lines.ingest(make_events(2000, month, f"{month}-", ACCOUNTS))["rejected"]
    env["ir.config_parameter"].set_param("reseller_billing.run_batch", 10)
    env["ir.config_parameter"].set_param("reseller_billing.send_batch", 4)


def start_run(database, date):
    with processes.environment(database) as env:
        run = env["reseller.billing.run"].create({"date": date})
        run.action_start()
        return run.id


def state_of(database, run_id):
    return psql(f"SELECT state FROM reseller_billing_run WHERE id = {run_id}", database)


def test_runs_are_done_once_whoever_dies(databases):
    database = databases.clone_with(ADDON)
    with processes.environment(database) as env:
        fill(env)
    # What one process makes of it.
    alone = databases.clone(database)
    for date in MONTHS:
        run_id = start_run(alone, date)
        with processes.environment(alone) as env:
            processes.bill(env, run_id, 100)
    wanted = psql(BILLED, alone)
    with serve_nodes(database, 2) as nodes:
        wait_for(lambda: has_runner(database))
        # One of the two is the runner's, and another one each time is killed, at another moment.
        for number, (date, moment) in enumerate(zip(MONTHS, (30, 110, 170), strict=False)):
            run_id, victim = start_run(database, date), nodes[number % 2]
            mine = f"run_id = {run_id} AND state = 'invoiced'"
            wait_for(
                lambda mine=mine, moment=moment: (
                    count("reseller_statement", database, mine) >= moment
                )
            )
            victim.kill()
            victim.start()
            wait_for(lambda run_id=run_id: state_of(database, run_id) == "done")
            assert count("reseller_statement", database, mine) == ACCOUNTS
            victim.wait_until_ready()
            wait_for(lambda: has_runner(database))
        # Somebody stops the last one: no batch more than those at work; and starts it again.
        run_id = start_run(database, MONTHS[-1])
        mine = f"run_id = {run_id} AND state = 'invoiced'"
        wait_for(lambda: count("reseller_statement", database, mine) >= 30)
        with processes.environment(database) as env:
            run = env["reseller.billing.run"].browse(run_id)
            processes.retrying(run.action_stop, env)
        at_work = "state IN ('pending', 'enqueued', 'started')"
        wait_for(lambda: not count("queue_job", database, at_work), database)
        assert state_of(database, run_id) == "draft"
        stopped = count("reseller_statement", database, mine)
        assert 30 <= stopped < ACCOUNTS
        with processes.environment(database) as env:
            env["reseller.billing.run"].browse(run_id).action_start()
        wait_for(lambda: state_of(database, run_id) == "done")
    assert psql(BILLED, database) == wanted
    # Names without a gap, and as many as there are bills.
    names = psql(
        "SELECT count(*), count(DISTINCT name), max(sequence_number) FROM account_move"
        " WHERE reseller_statement_id IS NOT NULL AND state = 'posted'",
        database,
    )
    assert len(set(names.split("|"))) == 1, names
    assert not count("reseller_billing_run_line", database, "state = 'parked'")
    # The nodes have no thread for scheduled actions: all of it was jobs.
    assert count("queue_job", database, "state = 'done'") >= 4 * ACCOUNTS / 10
    assert not count("queue_job", database, "state = 'failed'")


def test_files_mails_and_charges_are_done_once_whoever_dies(databases, tmp_path):
    database = databases.clone_with(ADDON)
    with processes.environment(database) as env:
        fill(env)
    run_id = start_run(database, "2024-01-01")
    with processes.environment(database) as env:
        processes.bill(env, run_id, 100)
        statements = env["reseller.statement"].search([("state", "=", "invoiced")])[:MAILS].ids
        rows = ["id,source,client,feature,time,quantity"] + [
            f"f{n},file,C{n % ACCOUNTS},one,2024-01-{n % 28 + 1:02}T12:00:00Z,1"
            for n in range(ROWS)
        ]
        upload = env["reseller.usage.import"].create(
            {"filename": "use.csv", "file": base64.b64encode("\n".join(rows).encode())}
        )
        upload_id = upload.id
    shop = Shop(database, tmp_path / "calls")
    shop.save_method("kill")
    with serve_nodes(database, 2) as nodes:
        wait_for(lambda: has_runner(database))
        with processes.environment(database) as env:
            env["reseller.usage.import"].browse(upload_id).action_import()
        stored = "source = 'file'"
        for victim, moment in zip(nodes, (5_000, 30_000), strict=True):
            wait_for(
                lambda moment=moment: count("reseller_usage_line", database, stored) >= moment,
                database,
            )
            victim.kill()
            victim.start()
            victim.wait_until_ready()
        state = f"id = {upload_id} AND state = 'done'"
        wait_for(lambda: count("reseller_usage_import", database, state), database)
        assert count("reseller_usage_line", database, stored) == ROWS
        counted = f"SELECT accepted || '|' || duplicates || '|' || rejected FROM reseller_usage_import WHERE id = {upload_id}"
        assert psql(counted, database) == f"{ROWS}|0|0"
        with processes.environment(database) as env:
            env["reseller.statement"].browse(statements).action_send()
        mine = f"id IN ({','.join(map(str, statements))})"
        sent = f"{mine} AND send_state = 'sent'"
        wait_for(lambda: count("reseller_statement", database, sent) >= 4)
        nodes[0].kill()
        nodes[0].start()
        wait_for(lambda: count("reseller_statement", database, sent) == MAILS, database)
        # A mail a statement.
        mails = "model = 'reseller.statement'"
        assert (
            count(
                "mail_message",
                database,
                f"{mails} AND message_type != 'notification' AND res_id IN (SELECT id FROM reseller_statement WHERE {mine})",
            )
            == MAILS
        )
        # Who asks the provider dies with its answer: it is not asked again.
        nodes[0].wait_until_ready()
        wait_for(lambda: has_runner(database))
        shop.bill("2024-01-01")
        wait_for(lambda: shop.calls)
        wait_for(
            lambda: not count("queue_job", database, "state IN ('pending', 'enqueued', 'started')"),
            database,
        )
        # Its own fee, and that of all accounts.
        assert shop.calls == ["109.99"]


def test_the_scheduled_action_works_where_no_job_arrives(databases):
    database = databases.clone_with(ADDON)
    with processes.environment(database) as env:
        fill(env)
        # Without a runner, as if the queue were not there.
        run = env["reseller.billing.run"].create({"date": "2024-01-01"})
        run.action_start()
        assert not env["queue.job"].search_count([])
        assert "No runner is at work" in str(env["res.config.settings"].new().reseller_queue_state)
        # A runner whose jobs do not arrive: it holds its lock.
        with processes.Registry(database).cursor() as holding:
            holding.execute("SELECT pg_advisory_lock(%s)", [lock_of_runner()])
            assert env["reseller.queue"]._has_runner()
            run._trigger()
            jobs = env["queue.job"].search([])
            assert sorted(jobs.mapped("identity_key")) == [
                f"reseller_billing/reseller.billing.run/{run.id}/{run.company_id.id}/{place}"
                for place in (0, 1)
            ]
            assert set(jobs.mapped("channel")) == {"root.reseller_billing"}
            # Asked again, there are no more of them; and the scheduled action leaves it to them.
            run._trigger()
            cron = env["reseller.billing.run"]
            cron._cron_process()
            assert env["queue.job"].search_count([]) == 2
            assert not run.statement_ids
            # Ten minutes later none has arrived.
            env.cr.execute(
                "UPDATE queue_job SET date_created = %s, date_enqueued = %s, state = 'enqueued'",
                [fields.Datetime.now() - timedelta(minutes=11)] * 2,
            )
            env.invalidate_all()
            state = str(env["res.config.settings"].new().reseller_queue_state)
            assert "nobody answers at" in state, state
            assert "A runner is at work" in state
            env.cr.commit()
            while run.state == "running":
                cron._cron_process()
        assert len(run.statement_ids) == ACCOUNTS
        # It is said once, however often the action is called.
        said = [body for body in run.message_ids.mapped("body") if "goes on instead" in body]
        assert len(said) == 1


def lock_of_runner():
    """Return the number of the lock that a runner of the queue holds."""
    from odoo.addons.queue_job.jobrunner.runner import PG_ADVISORY_LOCK_ID

    return PG_ADVISORY_LOCK_ID
