"""Rows of ./dev bench of several processes at once, and of a long history."""

import base64
import gc
import multiprocessing
import statistics
import time
from datetime import date

import odoo.sql_db
from bench_ground import Ground, serve, timed
from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.service.model import retrying
from servers import serve_nodes

fork = multiprocessing.get_context("fork")


def spawn(database, function, *arguments):
    """Call a function with an environment in a process of its own; return a function for its result."""
    answers = fork.SimpleQueue()
    gc.collect()  # a cursor that is garbage here would give its connection back in both processes

    def work():
        # The parent's connections are not this process's.
        odoo.sql_db._Pool = None
        try:
            with Registry(database).cursor() as cr:
                answers.put((function(api.Environment(cr, SUPERUSER_ID, {}), *arguments), None))
        except BaseException as error:
            answers.put((None, repr(error)))
            raise

    process = fork.Process(target=work)
    process.start()

    def result():
        found, failure = answers.get()
        process.join()
        assert failure is None, failure
        return found

    return result


def send(env, events, tag, over):
    """Send batches of 1,000 as requests do, until it is over; return (events a second, slowest seconds)."""
    # Addons are importable once a registry is loaded.
    from odoo.addons.reseller_billing.tools import read_committed

    lines, took, number = env["reseller.usage.line"], [], 0
    began = time.perf_counter()
    while not over.is_set():
        start = number * 1000 % len(events)
        batch = [
            {**event, "id": f"{tag}/{number}/{n}", "source": tag}
            for n, event in enumerate(events[start : start + 1000])
        ]

        def take(batch=batch):
            read_committed(env.cr)
            assert lines.ingest(batch)["accepted"] == len(batch)

        took.append(timed(lambda take=take: retrying(take, env)))
        env.cr.commit()
        number += 1
    return number * 1000 / (time.perf_counter() - began), max(took)


def ask(env, client_id, code, over):
    """Ask and consume four times a second until it is over; return (median, slowest seconds)."""
    client, took = env["reseller.client"].browse(client_id), []
    while not over.wait(0.25):
        event = {"id": f"ask{len(took)}", "source": "ask", "feature": code, "quantity": 1}
        took.append(timed(lambda event=event: (client.authorize(code), client.consume(event))))
        env.cr.commit()
        env.invalidate_all()
    return statistics.median(took), max(took)


def bill(env, run_id):
    run = env["reseller.billing.run"].browse(run_id)
    began = time.perf_counter()
    while run._commit_batch()[1]:
        pass
    return time.perf_counter() - began


class Beside(Ground):
    """What many do at once, against the same alone."""

    def _make_run(self, count):
        """Return (clients, features, run) with January's use of clients that have had their first bill."""
        self.env.company.reseller_late_days = 100_000
        clients, features = self.make_accounts(count, included_quantity=0)
        run = self.env["reseller.billing.run"].create({"date": "2024-01-15"})
        while run._process_batch():
            self.cr.commit()
        self.fill_buckets(clients, features)
        run = self.env["reseller.billing.run"].create({"date": "2024-02-15"})
        run.state = "running"
        self.cr.commit()
        return clients, features, run

    def _send_beside(self, events, tag, run=None, asked=None, seconds=6):
        """Return (events a second of two senders, slowest seconds, figures of who asks) beside a run."""
        over = fork.Event()
        database = self.cr.dbname
        senders = [spawn(database, send, events, f"{tag}{n}", over) for n in range(2)]
        asking = asked and spawn(database, ask, *asked, over)
        if run:
            spawn(database, bill, run.id)()
        else:
            time.sleep(seconds)  # how long is measured
        over.set()
        sent = [one() for one in senders]
        rate, slowest = sum(one[0] for one in sent), max(one[1] for one in sent)
        return rate, slowest, asking() if asking else None

    def beside_run(self, count=300):
        """Two senders while a run bills the same accounts, against the same senders without a run."""
        figures, ratios = {}, []
        for days, month in (("other days", "2024-03"), ("billed days", "2024-01")):
            clients, features, run = self._make_run(count)
            events = [
                {**event, "time": event["time"].replace("2024-01", month)}
                for event in self.make_events(clients, features, 50_000, "beside")
            ]
            alone, _slowest, _asked = self._send_beside(events, f"alone {month}")
            asked = (clients[0].id, features[0].code)
            beside, slowest, (median, longest) = self._send_beside(
                events, f"beside {month}", run, asked
            )
            ratios.append(beside / alone)
            figures |= {
                f"{days}: events/s alone": alone,
                f"{days}: events/s beside a run": beside,
                f"{days}: slowest ms": slowest * 1000,
                f"{days}: median question ms": median * 1000,
                f"{days}: slowest question ms": longest * 1000,
            }
            self.cr.rollback()
            self.env.invalidate_all()
            assert len(run.statement_ids.invoice_id) == count
            self.empty_usage()
        return min(ratios), 0.5, ">=", figures

    def two_processes(self, count=600):
        """Two processes that bill one company, against one."""
        took = []
        for processes in (1, 2):
            _clients, _features, run = self._make_run(count)
            began = time.perf_counter()
            for result in [spawn(self.cr.dbname, bill, run.id) for _one in range(processes)]:
                result()
            took.append(time.perf_counter() - began)
            self.cr.rollback()
            self.env.invalidate_all()
            numbers = sorted(run.statement_ids.invoice_id.mapped("sequence_number"))
            assert len(numbers) == count, run.parked_line_ids.mapped("reason")
            assert numbers[-1] - numbers[0] == count - 1, "gaps"
            self.empty_usage()
        one, two = took
        return one / two, 1.7, ">=", {"seconds of one": one, "seconds of two": two}

    def nodes(self, count=600):
        """Two nodes whose jobs bill one company, one at a time each, against one such node."""
        modules = self.env["ir.module.module"]
        modules.update_list()
        addon = modules.search([("name", "=", "reseller_billing_queue_job")])
        if addon.state != "installed":
            addon.button_immediate_install()
            self.cr.commit()
        database, number = self.cr.dbname, self.number
        self.cr.close()
        # With what the addon has changed.
        super().__init__(database)
        self.number = number
        took = []
        for nodes in (1, 2):
            _clients, _features, run = self._make_run(count)
            with serve_nodes(database, nodes, places=nodes):
                while not self.env["reseller.queue"]._has_runner():
                    self.cr.rollback()
                    time.sleep(0.1)  # between two looks at a state
                began = time.perf_counter()
                run._trigger()
                self.cr.commit()
                while run.state == "running":
                    time.sleep(0.1)  # as above
                    self.cr.rollback()
                    self.env.invalidate_all()
                took.append(time.perf_counter() - began)
            assert run.invoice_count == count, run.parked_line_ids.mapped("reason")
            self.empty_usage()
        one, two = took
        return one / two, 1.6, ">=", {"seconds of one": one, "seconds of two": two}

    def uncovered(self):
        """What is not covered of accounts with three years of billed days, against three months."""
        took = {}
        rates = self.env["reseller.rating"]
        for days in (90, 1095):
            clients, features = self.make_accounts(100)
            self.fill_buckets(clients, features, days)
            self.cr.execute(
                """
                INSERT INTO reseller_usage_coverage (bucket_id, floor_id, version, statement_id)
                SELECT id, client_id, 1, 1 FROM reseller_usage_daily
                 WHERE client_id = ANY(%s) AND billing_date < (
                    SELECT max(billing_date) - 29 FROM reseller_usage_daily WHERE client_id = ANY(%s))
                """,
                [clients.ids, clients.ids],
            )
            self.cr.commit()
            self.env["reseller.usage.daily"]._settle(clients.ids)
            self.cr.commit()
            self.cr.execute("ANALYZE reseller_usage_daily; ANALYZE reseller_usage_coverage")
            bills = {
                client.id: self.env["reseller.statement"]._prepare_bill(client, date(2027, 2, 1))
                for client in clients
            }

            def look(bills=bills):
                found = rates._load_uncovered(bills)
                assert len(found) == 500
                assert all(len(of_days) == 30 for of_days in found.values())

            look()
            took[days] = statistics.median(timed(look) for _time in range(7))
            self.cr.rollback()
        self.empty_usage()
        return (
            took[1095] / took[90],
            1.2,
            "<=",
            {"ms, three months": took[90] * 1000, "ms, three years": took[1095] * 1000},
        )

    def idle(self, accounts=1500, rows=1_000_000, mails=500, threads=2):
        """How long a server of default settings leaves a cron thread without work while work is left."""
        clients, features = self.make_accounts(accounts, included_quantity=0)
        first = self.env["reseller.billing.run"].create({"date": "2024-01-15"})
        while first._process_batch():
            self.cr.commit()
        self.fill_buckets(clients, features)
        for client in clients[:mails]:
            client.partner_id.email = f"{client.ref}@example.com"
        self.env.company.reseller_late_days = 100_000
        columns = ("id", "client", "feature", "time", "quantity")
        lines = [",".join(columns)]
        lines += [
            ",".join(str(event[name]) for name in columns)
            for event in self.make_events(clients, features, rows, "file")
        ]
        upload = self.env["reseller.usage.import"].create(
            {"filename": "use.csv", "file": base64.b64encode("\n".join(lines).encode())}
        )
        run = self.env["reseller.billing.run"].create({"date": "2024-02-15"})
        self.cr.commit()
        left = """
            SELECT (SELECT count(*) FROM reseller_billing_run WHERE state = 'running'),
                   (SELECT count(*) FROM reseller_usage_import WHERE state = 'running'),
                   (SELECT count(*) FROM (SELECT FROM reseller_statement
                     WHERE send_state = 'queued' LIMIT 1) AS queued),
                   (SELECT count(DISTINCT pid) FROM pg_locks
                     WHERE relation = 'ir_cron'::regclass AND mode = 'RowShareLock')
        """
        longest, since, done = 0.0, None, {}
        with serve(self.cr.dbname, "--max-cron-threads", str(threads)):
            # As somebody presses the buttons of a server at work.
            first.statement_ids.filtered(
                lambda bill: bill.client_id in clients[:mails]
            ).action_send()
            upload.action_import()
            run.action_start()
            self.cr.commit()
            began = time.perf_counter()
            while True:
                self.cr.execute(left)
                *kinds, at_work = self.cr.fetchone()
                self.cr.rollback()
                now = time.perf_counter()
                for name, number in zip(("run", "import", "mails"), kinds, strict=True):
                    if not number:
                        done.setdefault(f"{name} done after s", now - began)
                if not any(kinds):
                    break
                if at_work >= min(threads, sum(map(bool, kinds))):
                    since = None
                else:
                    since = since or now
                    longest = max(longest, now - since)
                time.sleep(0.05)  # between two looks at a state
                assert now - began < 1200, done
        self.env.invalidate_all()
        assert (upload.state, upload.accepted) == ("done", rows), upload.failure
        assert run.invoice_count == accounts
        self.empty_usage()
        return longest, 2, "<=", {"longest pause s": longest, **done}
