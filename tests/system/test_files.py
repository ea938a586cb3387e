"""Files as large as they come: usage in, documents out, by real processes and a running server."""

import base64
import csv
import io
import re
import subprocess
from datetime import datetime, timedelta

import openpyxl
import processes
import pytest
import requests
import xlsxwriter
from databases import psql
from processes import Child
from servers import serve
from test_race import CLIENTS, fill, make_events

ROWS = 200_000
FIRST = datetime(2024, 1, 1)


def rows():
    """Yield rows (client, feature, moment, quantity); every thousandth has a wrong client."""
    for number in range(ROWS):
        client = f"C{number % CLIENTS}" if number % 1000 else "nobody"
        yield client, "one", FIRST + timedelta(seconds=13 * number), number % 7 + 0.5


def as_csv():
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";")
    writer.writerow(["client", "feature", "time", "quantity"])
    for client, feature, moment, quantity in rows():
        text = f"{quantity:.1f}".replace(".", ",")
        writer.writerow([client, feature, f"{moment:%d.%m.%Y %H:%M:%S}", text])
    return stream.getvalue().encode("utf-8-sig")


def as_workbook():
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        moment_format = book.add_format({"num_format": "dd.mm.yyyy hh:mm:ss"})
        sheet.write_row(0, 0, ["client", "feature", "time", "quantity"])
        for number, (client, feature, moment, quantity) in enumerate(rows(), 1):
            sheet.write_string(number, 0, client)
            sheet.write_string(number, 1, feature)
            sheet.write_datetime(number, 2, moment, moment_format)
            sheet.write_number(number, 3, quantity)
    return stream.getvalue()


def take_in(env):
    env["reseller.usage.import"]._cron_process()
    return True


@pytest.mark.race
@pytest.mark.parametrize("write", [as_csv, as_workbook])
def test_two_hundred_thousand_rows_are_taken_in_once_though_killed(databases, write):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        one = env["reseller.usage.import"].create(
            {
                "file": base64.b64encode(write()),
                "filename": "usage",
                "decimal_sign": "comma",
                "time_format": "dmy",
            }
        )
        one.action_import()
        assert (one.state, one.row_count) == ("running", ROWS)
        number = one.id
    child = Child(database, take_in)
    killed = child.kill_when(
        lambda: int(
            psql(f"SELECT rows_done FROM reseller_usage_import WHERE id = {number}", database)
        )
    )
    with processes.environment(database) as env:
        done = env["reseller.usage.import"].browse(number).rows_done
    assert killed and 0 < done < ROWS, done
    Child(database, take_in).result()
    with processes.environment(database) as env:
        one = env["reseller.usage.import"].browse(number)
        assert (one.state, one.rows_done) == ("done", ROWS)
        assert (one.accepted, one.duplicates, one.rejected) == (ROWS - 200, 0, 200)
        assert one.reasons == {"There is no client with reference nobody.": [200, 2]}
        env.cr.execute("SELECT count(*), sum(quantity) FROM reseller_usage_line")
        expected = sum(row[3] for row in rows() if row[0] != "nobody")
        assert env.cr.fetchone() == (ROWS - 200, expected)
        env.cr.execute("SELECT sum(quantity) FROM reseller_usage_daily")
        assert env.cr.fetchone() == (expected,)
        # Every open rejection is in the file to mend, and nothing else.
        content, _extension = one._write_rejections()
        header, found = env["reseller.usage.file"]._open(io.BytesIO(content))
        assert header[:4] == ["client", "feature", "time", "quantity"]
        assert sum(1 for _row in found) == 200


def make_delivery(rows):
    """Return a file of events with ids, rows as (number, client, quantity), all of one day."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["id", "client", "feature", "time", "quantity"])
    for number, client, quantity in rows:
        writer.writerow([f"d{number}", client, "one", "2024-01-15 12:00:00", quantity])
    return base64.b64encode(stream.getvalue().encode())


@pytest.mark.race
def test_a_delivery_that_is_killed_has_replaced_nothing(databases):
    database = databases.clone()
    first = [(number, f"C{number % CLIENTS}", 1) for number in range(20_000)]
    # Of each ten one is gone, one says something else, and a thousand are new.
    second = [
        (number, client, 2 if number % 10 == 1 else 1)
        for number, client, _one in first
        if number % 10
    ]
    second += [(number, "C0", 5) for number in range(20_000, 21_000)]
    days = {"replaces": True, "replace_from": "2024-01-01", "replace_to": "2024-01-31"}
    with processes.environment(database) as env:
        fill(env)
        imports = env["reseller.usage.import"]
        imports.create({"file": make_delivery(first), "filename": "first"}).action_import()
        env.cr.commit()
        imports._cron_process()
        one = imports.create({"file": make_delivery(second), "filename": "second", **days})
        one.action_check()
        assert (one.exchanged, one.voided) == (2000, 2000)
        one.action_import()
        assert (one.state, one.row_count) == ("running", 19_000)
        number = one.id
    counts = "SELECT count(*), sum(quantity) FROM reseller_usage_line WHERE voided_at IS NULL"
    before = psql(counts, database)
    assert before.startswith("20000|20000"), before
    child = Child(database, take_in)
    # At work, it has a transaction open that has written already.
    writing = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND backend_xid IS NOT NULL AND pid != pg_backend_pid()"
    )
    assert child.kill_when(lambda: int(psql(writing, database)))
    assert psql(counts, database) == before
    Child(database, take_in).result()
    with processes.environment(database) as env:
        one = env["reseller.usage.import"].browse(number)
        assert (one.state, one.rejected) == ("done", 0), one.failure
        assert (one.accepted, one.duplicates) == (3000, 16_000)
        assert (one.exchanged, one.voided) == (2000, 2000)
    expected = 16_000 + 2 * 2000 + 5 * 1000
    assert psql(counts, database).startswith(f"19000|{expected}")
    sums = "SELECT sum(event_count), sum(quantity) FROM reseller_usage_daily"
    assert psql(sums, database).startswith(f"19000|{expected}")


def login(base, database, user="admin", password="admin"):
    """Return a session of a user's."""
    session = requests.Session()
    session.post(
        f"{base}/web/session/authenticate",
        json={
            "jsonrpc": "2.0",
            "params": {"db": database, "login": user, "password": password},
        },
        timeout=60,
    ).raise_for_status()
    return session


@pytest.mark.reports
def test_a_hundred_statements_from_a_running_server(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        env["reseller.usage.line"].ingest(make_events(2000))
        env["reseller.usage.line"].ingest(make_events(2000, "02", "f"))
        run = env["reseller.billing.run"].create({"date": "2024-03-01"})
        run.action_start()
        while run._process_batch():
            pass
        statements = run.statement_ids.sorted("id")[:100]
        numbers = {one.name: one.amount_total for one in statements}
        ids, one_id = statements.ids, statements[-1].id
        one_name = statements[-1].name
    assert len(ids) == 100
    with serve(database) as (base, _server):
        session = login(base, database)

        def fetch(kind, report, asked):
            url = f"{base}/report/{kind}/reseller_billing.{report}/{','.join(map(str, asked))}"
            answer = session.get(url, timeout=600)
            assert answer.status_code == 200, answer.text[:1000]
            return answer.content

        for asked in ([one_id], ids):
            pdf = fetch("pdf", "report_statement", asked)
            text = subprocess.run(
                ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
            ).stdout.decode()
            pages = text.split("\f")[:-1]
            assert len(pages) == len(asked)
            shown = {}
            for page in pages:
                [name] = re.findall(r"^\s*(C\d+/\S+)$", page, re.MULTILINE)[:1]
                [total] = re.findall(r"Total of charges\s+\$\s([\d,.]+)", page)
                shown[name] = float(total.replace(",", ""))
            assert shown == {name: numbers[name] for name in shown}
            assert len(shown) == len(asked) and one_name in shown

            book = openpyxl.load_workbook(
                io.BytesIO(fetch("xlsx", "statement_xlsx", asked)), data_only=False
            )
            summary, charges, usage = (list(sheet.values) for sheet in book.worksheets)
            sums = {}
            for row in charges[1:]:
                sums[row[0]] = round(sums.get(row[0], 0) + row[9], 2)
            assert {row[0]: sums.get(row[0], 0) for row in summary[1:]} == shown
            last = len(charges)
            for number, row in enumerate(summary[1:], 2):
                assert row[10] == (
                    f"=SUMIF('Charges'!$A$2:$A${last},A{number},'Charges'!$J$2:$J${last})"
                )
            assert all(isinstance(row[2], datetime) for row in usage[1:])
