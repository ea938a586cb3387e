"""Scheduled actions with work left go on at once, and wait where others are at it."""

import base64
import contextlib
import importlib
import time
from unittest import mock

import processes
import pytest
from test_race import fill

pytestmark = pytest.mark.race


@contextlib.contextmanager
def time_is_over(env):
    """Have the time of a scheduled action be over whenever it has done a batch."""
    actions = type(env["ir.cron"])
    report = actions._commit_progress

    def report_and_end(self, *arguments, **values):
        report(self, *arguments, **values)
        return 0

    with mock.patch.object(actions, "_commit_progress", report_and_end):
        yield


def call(env, name, seconds=3600):
    """Call a scheduled action that has so much time; return how many calls it has asked for."""
    cron = env.ref(f"reseller_billing.{name}")
    env.cr.execute("DELETE FROM ir_cron_trigger WHERE cron_id = %s", [cron.id])
    cron, _progress = cron._add_progress()
    env.cr.commit()
    timed = cron.with_context(cron_id=cron.id, cron_end_time=time.monotonic() + seconds)
    timed.ir_actions_server_id.with_context(timed.env.context).run()
    env.cr.commit()
    return env["ir.cron.trigger"].search_count([("cron_id", "=", cron.id)])


def test_a_run_goes_on_until_it_is_done(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        env["ir.config_parameter"].set_param("reseller_billing.run_batch", 10)
        fill(env)
        run = env["reseller.billing.run"].create({"date": "2024-01-01"})
        run.action_start()
        # 40 accounts in batches of 10: each call does one, and asks for the next.
        asked = []
        with time_is_over(env):
            while run.state == "running":
                asked.append(call(env, "ir_cron_billing_run"))
                env.invalidate_all()
        assert asked == [1, 1, 1, 0]
        assert run.done_count == 40
        # Where another process holds what is left, it waits for the next poll.
        again = env["reseller.billing.run"].create({"date": "2024-02-01"})
        again.action_start()
        env.cr.commit()
        with processes.Registry(database).cursor() as holding:
            holding.execute("SELECT FROM reseller_client FOR NO KEY UPDATE")
            assert call(env, "ir_cron_billing_run") == 0
        env.invalidate_all()
        assert (again.state, again.done_count) == ("running", 0)
        # A call after the time that Odoo gives, which makes ten calls at least, leaves it to the next one.
        assert call(env, "ir_cron_billing_run", -1) == 0
        env.invalidate_all()
        progress = env["ir.cron.progress"].search([], order="id desc", limit=1)
        assert (again.done_count, progress.done, progress.remaining > 0) == (0, 0, True)
        with time_is_over(env):
            assert call(env, "ir_cron_billing_run") == 1


def test_sending_goes_on_until_all_is_sent(databases, monkeypatch):
    database = databases.clone()
    with processes.environment(database) as env:
        name = "odoo.addons.reseller_billing.models.documents.reseller_statement_send"
        monkeypatch.setattr(importlib.import_module(name), "BATCH", 5)
        fill(env)
        run = env["reseller.billing.run"].create({"date": "2024-01-01"})
        run.action_start()
        while run._process_batch():
            pass
        for client in env["reseller.client"].search([]):
            client.partner_id.email = f"{client.ref}@example.com"
        statements = run.statement_ids.sorted("id")[:12]
        statements.action_send()
        asked = []
        with time_is_over(env):
            while set(statements.mapped("send_state")) != {"sent"}:
                asked.append(call(env, "ir_cron_statement_send"))
                env.invalidate_all()
        assert asked == [1, 1, 0]


def test_a_file_is_done_when_its_last_row_is(databases, monkeypatch):
    database = databases.clone()
    with processes.environment(database) as env:
        name = "odoo.addons.reseller_billing.models.usage.reseller_usage_import"
        batches = importlib.import_module(f"{name}_batches")
        monkeypatch.setattr(importlib.import_module(name), "AT_ONCE", 5)
        for constant, value in (("BATCH", 3), ("ROUND", 0), ("FROM_BEGINNING", 0)):
            monkeypatch.setattr(batches, constant, value)
        fill(env)
        rows = "".join(f"C{n};one;2024-01-05T12:00:00Z;{n + 1}\n" for n in range(15)) * 2
        upload = env["reseller.usage.import"].create(
            {
                "filename": "use.csv",
                "file": base64.b64encode(f"client;feature;time;quantity\n{rows}".encode()),
            }
        )
        upload.action_import()
        # What an import of some rows does at once, one of many does in the background.
        assert (upload.state, upload.row_count) == ("running", 30)
        asked = []
        with time_is_over(env):
            while upload.state == "running":
                asked.append(call(env, "ir_cron_usage_import"))
                env.invalidate_all()
        # The second half says what the first one said, once more.
        assert upload.accepted == 30
        assert not env["reseller.usage.import.said"].search_count([])
        # Ten batches of three rows; with the last one it is done.
        assert asked == [1] * 9 + [0]
