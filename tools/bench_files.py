"""Rows of ./dev bench of files in and out, and of the memory that long work takes."""

import base64
import json
import resource
import subprocess
import sys
import time

import odoo.tools
import servers
from bench_beside import Beside, bill
from bench_ground import TOOLS, timed
from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry

MIB = 1 << 10  # in KiB, as the kernel counts


def measure(database, function, *arguments):
    """Call a function of this module in a new process; return (its result, MiB at its peak above those before).

    A process that was forked has what its parent has freed to go on with.
    """
    command = [sys.executable, "-W", "ignore", __file__, database, function.__name__]
    done = subprocess.run(
        [*command, json.dumps(arguments)], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure_process(process, function, *arguments):
    """Call a function that has a process work; return (its result, MiB at its peak above those before)."""
    with open(f"/proc/{process}/clear_refs", "w") as stream:
        stream.write("5")  # forget the peak so far
    before = read_memory(process, "VmRSS")
    found = function(*arguments)
    return found, (read_memory(process, "VmHWM") - before) / MIB


def read_memory(process, name):
    """Return a figure of a process's memory in KiB."""
    with open(f"/proc/{process}/status") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith(name))


def take_in(env, upload_id):
    """Take a file in as the page and the scheduled action do; return (seconds of the one, of the other)."""
    upload = env["reseller.usage.import"].browse(upload_id)
    began = time.perf_counter()
    upload.action_import()
    env.cr.commit()
    counted = time.perf_counter()
    while upload._commit_batch()[1]:
        pass
    env.cr.commit()
    assert upload.state == "done", upload.failure
    return counted - began, time.perf_counter() - counted


def print_statements(env, statement_ids):
    """Print statements as one PDF; return the largest helper's MiB."""
    report = "reseller_billing.action_report_statement"
    content, _kind = env["ir.actions.report"]._render_qweb_pdf(report, statement_ids)
    assert content.startswith(b"%PDF")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MIB


class Files(Beside):
    """What reads and writes files."""

    def import_file(self, count=1_000_000):
        """A file of 1,000,000 rows, with ids and without, against in-process ingest of the same events."""
        clients, features = self.make_accounts(200)
        self.env.company.reseller_late_days = 100_000
        lines = self.env["reseller.usage.line"]
        events = self.make_events(clients, features, count, "file")

        def ingest():
            for start in range(0, count, 5000):
                lines.ingest(events[start : start + 5000])
                self.cr.commit()

        self.empty_usage()
        base = timed(ingest)
        figures, ratios = {"ingest rows/s": count / base}, []
        for kind, columns in (
            ("with ids", ("id", "client", "feature", "time", "quantity")),
            ("without", ("client", "feature", "time", "quantity")),
        ):
            self.empty_usage()
            content = "\n".join(
                [
                    ",".join(columns),
                    *(",".join(str(event[name]) for name in columns) for event in events),
                ]
            )
            upload = self.env["reseller.usage.import"].create(
                {"filename": "use.csv", "file": base64.b64encode(content.encode())}
            )
            self.cr.commit()
            (counting, taking), memory = measure(self.cr.dbname, take_in, upload.id)
            ratios.append(base / (counting + taking))
            figures |= {
                f"{kind}: rows/s": count / taking,
                f"{kind}: s on the page": counting,
                f"{kind}: MiB": memory,
            }
        self.empty_usage()
        return min(ratios), 0.5, ">=", figures

    def memory(self, accounts=2000, events=100_000, prints=500):
        """The most memory above idle that a run, a workbook of events and printing take, against 400 MiB."""
        _clients, _features, run = self._make_run(accounts)
        database = self.cr.dbname
        _took, of_run = measure(database, bill, run.id)
        self.env.invalidate_all()
        _took, of_prints = measure(database, print_statements, run.statement_ids[:prints].ids)
        [client], features = self.make_accounts(1)
        lines = self.env["reseller.usage.line"]
        made = self.make_events(client, features, events, "workbook")
        for start in range(0, events, 5000):
            lines.ingest(made[start : start + 5000])
        login = self._make_portal_user(client.reseller_id.partner_id)
        self.cr.commit()
        path = f"/my/reseller/clients/{client.id}/report.xlsx"
        asked = "?first=2024-01-01&last=2024-01-31&detail=events"
        with servers.serve(database) as (base_url, server):
            session = self._log_in(base_url, login)
            session.get(f"{base_url}{path}?first=2024-01-01&last=2024-01-01")
            answer, of_workbook = measure_process(
                server.pid, session.get, f"{base_url}{path}{asked}"
            )
            assert answer.content.startswith(b"PK"), answer.text[:300]
        self.empty_usage()
        most = max(of_run, of_workbook, of_prints)
        return (
            most / 400,
            1,
            "<=",
            {
                f"MiB, run of {accounts:,}": of_run,
                f"MiB, workbook of {events:,}": of_workbook,
                f"MiB, {prints} PDFs": of_prints,
            },
        )


def main():
    database, name, arguments = sys.argv[1:]
    configure(database)
    with Registry(database).cursor() as cr:
        env = api.Environment(cr, SUPERUSER_ID, {})
        print(json.dumps(measure_process("self", globals()[name], env, *json.loads(arguments))))


def configure(database):
    """Have Odoo work on a database, with what is measured against among its addons."""
    words = f"-d {database} --log-level critical --addons-path".split()
    odoo.tools.config.parse_config([*words, f"{TOOLS.parent},{TOOLS / 'addons'}"])


if __name__ == "__main__":
    main()
