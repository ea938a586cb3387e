"""Measure the addon against a baseline in the same run. See ./dev bench.

Prints a line a row: name, ratio, goal, ok or short; then the raw figures. A ratio is what the goal's sign
says: at least so many times the baseline's rows a second, or at most so many times its seconds.
"""

import argparse
import collections
import gzip
import json
import multiprocessing
import statistics
import time
from datetime import date, timedelta

import requests
from bench_files import configure
from bench_ground import FLAGS, JANUARY, attack, serve, timed
from bench_ingest import Ingest


class Bench(Ingest):
    """The rows of ./dev bench."""

    def gate(self, count=300):
        """The median time of asking before use, against Odoo's own JSON-2 `search_count`."""
        clients, features = self.make_accounts(200, max_quantity=1_000_000, limit_action="block")
        self.empty_usage()
        lines = self.env["reseller.usage.line"]
        lines.ingest(self.make_events(clients, features, 20_000, "gate"))
        ingestion = self.env.ref("reseller_billing.group_usage_ingestion")
        key = self.make_key(self.env.ref("base.group_user") | ingestion)
        meter_key = self.make_meter_key()
        self.cr.commit()
        asked = [
            {"client": clients[n % 200].ref, "feature": features[n % 5].code, "quantity": 1}
            for n in range(count)
        ]
        with serve(self.cr.dbname) as base_url, requests.Session() as session:

            def ask(address, bodies, key):
                headers = {"Authorization": f"Bearer {key}"}
                found = []
                for body in bodies[:20] + bodies:
                    began = time.perf_counter()
                    answer = session.post(base_url + address, json=body, headers=headers)
                    found.append(time.perf_counter() - began)
                    assert answer.status_code == 200, answer.text
                return statistics.median(found[20:])

            base = ask("/json/2/res.partner/search_count", [{"domain": []}] * count, key)
            mine = ask("/reseller_billing/v1/authorize", asked, meter_key)
        self.empty_usage()
        return mine / base, 1.0, "<=", {"authorize ms": mine * 1000, "search_count ms": base * 1000}

    def hostile(self, count=200):
        """The log-in page's 95th percentile while three senders do their worst, against idle.

        Two server processes; the senders have keys, send what takes long to read, and start again
        as soon as they are answered.
        """
        self.make_accounts(10)
        self.empty_usage()
        keys = [
            self.env["reseller.usage.key"]
            .create({"name": f"Hostile {number}"})
            .action_make_key()["context"]["default_key"]
            for number in range(3)
        ]
        self.cr.commit()
        bodies = [
            ("application/x-ndjson", "\n".join(f"x{number}" for number in range(100_000))),
            ("application/cloudevents-batch+json", f'[{{"a":"{"x" * 100_000_000}"}}]'),
            ("application/cloudevents-batch+json", "[" * 50_000_000),
            ("text/csv", "," * 50_000_000),
            (
                "application/x-ndjson",
                "\n".join(
                    json.dumps({"id": f"h{number}", "source": "h", "client": "none"})
                    for number in range(50_000)
                ),
            ),
        ]
        packed = [(kind, gzip.compress(text.encode(), 1)) for kind, text in bodies]
        # Processes of their own: what they do with an answer must not hold up who measures.
        fork = multiprocessing.get_context("fork")
        over, answers = fork.Event(), fork.SimpleQueue()

        def open_login(base_url):
            times = sorted(timed(requests.get, f"{base_url}/web/login") for _time in range(count))
            return times[int(count * 0.95)]

        with serve(self.cr.dbname, "--workers", "2", "--max-cron-threads", "0") as base_url:
            open_login(base_url)
            idle = open_login(base_url)
            senders = [
                fork.Process(target=attack, args=(base_url, key, packed, over, answers))
                for key in keys
            ]
            for sender in senders:
                sender.start()
            attacked = open_login(base_url)
            over.set()
            found = sum((answers.get() for _sender in senders), collections.Counter())
            for sender in senders:
                sender.join()
        self.empty_usage()
        return (
            attacked / idle,
            3.0,
            "<=",
            {
                "ms attacked": attacked * 1000,
                "ms idle": idle * 1000,
                **{f"answers {status}": number for status, number in sorted(found.items())},
            },
        )

    def portal(self, count=15):
        """Pages of a reseller with 2,000 clients and 1,000,000 events, against Odoo's /my/invoices.

        Each against a page of as many invoices as it has rows; the worse ratio counts.
        """
        clients, features = self.make_accounts(2000)
        self.empty_usage()
        reseller, today = clients.reseller_id, date.today()
        self.cr.execute(
            """
            INSERT INTO reseller_usage_daily
                   (company_id, client_id, feature_id, billing_date, version, is_pending,
                    quantity, event_count)
            SELECT %s, client, feature, %s::date - day, 1, TRUE, 3, 100
              FROM unnest(%s) client, unnest(%s) feature, generate_series(0, 19) day
            """,
            [self.env.company.id, today, clients[:100].ids, features.ids],
        )
        self.cr.execute(
            """
            INSERT INTO reseller_usage_line (company_id, client_id, feature_id, quantity,
                   occurred_at, billing_date, source, external_id)
            SELECT company_id, client_id, feature_id, 0.03, billing_date, billing_date, 'portal',
                   concat_ws('-', client_id, feature_id, billing_date, number)
              FROM reseller_usage_daily, generate_series(1, 100) number
            """
        )
        payers = self.env["res.partner"].create([{"name": "80 rows"}, {"name": "55 rows"}])
        product = self.env.ref("reseller_billing.product_usage")
        for payer, number in zip(payers, (80, 55), strict=True):
            self.env["account.move"].create(
                [
                    {
                        "move_type": "out_invoice",
                        "partner_id": payer.id,
                        "invoice_date": JANUARY,
                        "invoice_line_ids": [(0, 0, {"product_id": product.id, "price_unit": 1})],
                    }
                ]
                * number
            ).action_post()
        logins = [self._make_portal_user(partner) for partner in (reseller.partner_id, *payers)]
        self.cr.commit()
        self.cr.execute("ANALYZE reseller_usage_line, reseller_usage_daily, reseller_client")
        self.cr.commit()
        report = (
            f"/my/reseller/clients/{clients[0].id}/report"
            f"?first={today - timedelta(days=19)}&last={today}&feature={features[0].id}"
        )
        with serve(self.cr.dbname) as base_url:
            mine, many, few = (self._log_in(base_url, login) for login in logins)
            asked = (
                (mine, "/my/reseller/clients"),
                (many, "/my/invoices"),
                (mine, report),
                (few, "/my/invoices"),
            )
            found = {place: [] for place in asked}
            for turn in range(count + 3):
                # In turns, so that what slows the machine slows all.
                for session, path in asked:
                    began = time.perf_counter()
                    answer = session.get(base_url + path)
                    if turn >= 3:
                        found[session, path].append(time.perf_counter() - began)
                    assert answer.status_code == 200, answer.text
        listed, invoices, reported, fewer = (statistics.median(found[one]) for one in asked)
        self.empty_usage()
        figures = {
            "clients ms": listed * 1000,
            "80 invoices ms": invoices * 1000,
            "report ms": reported * 1000,
            "55 invoices ms": fewer * 1000,
        }
        return max(listed / invoices, reported / fewer), 1.5, "<=", figures

    def live_use(self):
        """What one client has used now, against one indexed SELECT on its buckets."""
        figures, ratios = {}, []
        clients, features = self.make_accounts(50)
        today = date.today()
        clients.membership_ids.write({"date_from": today.replace(day=1) - timedelta(days=400)})
        for stored in (10_000, 100_000, 1_000_000):
            self.empty_usage()
            self.cr.execute(
                """
                INSERT INTO reseller_usage_daily
                       (company_id, client_id, feature_id, billing_date, version, is_pending,
                    quantity, event_count)
                SELECT %s, client, feature, %s::date - day, 1, TRUE, 3, %s
                  FROM unnest(%s) client, unnest(%s) feature, generate_series(0, 364) day
                """,
                [
                    self.env.company.id,
                    today,
                    max(stored // (50 * 5 * 365), 1),
                    clients.ids,
                    features.ids,
                ],
            )
            self.cr.execute(
                """
                INSERT INTO reseller_usage_line (company_id, client_id, feature_id, quantity,
                       occurred_at, billing_date, source, external_id)
                SELECT %s, %s, %s, 3, now(), %s, 'live', number FROM generate_series(1, %s) number
                """,
                [self.env.company.id, clients[0].id, features[0].id, today, stored],
            )
            self.cr.commit()
            self.cr.execute("ANALYZE reseller_usage_daily; ANALYZE reseller_usage_line")
            client = clients[7]
            client.current_usage()

            def select(number=client.id):
                self.cr.execute(
                    "SELECT feature_id, level_id, billing_date, quantity FROM reseller_usage_daily "
                    "WHERE client_id = %s AND billing_date BETWEEN %s AND %s",
                    [number, today.replace(day=1), today],
                )
                self.cr.fetchall()

            select()
            mine = statistics.median(timed(client.current_usage) for _time in range(30))
            base = statistics.median(timed(select) for _time in range(30))
            ratios.append(mine / base)
            figures[f"ms at {stored:,} events"] = mine * 1000
            figures[f"SELECT ms at {stored:,}"] = base * 1000
        self.empty_usage()
        return max(ratios), 8, "<=", figures

    def rating(self):
        """Rating 1,000 clients × 5 features, against a bare GROUP BY of their buckets."""
        clients, features = self.make_accounts(1000)
        self.fill_buckets(clients, features)
        statements = self.env["reseller.statement"]
        bills = {
            client.id: statements._prepare_bill(client, date(2024, 2, 1)) for client in clients
        }

        def rate():
            for start in range(0, 1000, 100):
                part = clients[start : start + 100]
                self.env["reseller.rating"]._rate(
                    part, {client.id: bills[client.id] for client in part}
                )

        def group():
            self.cr.execute(
                "SELECT client_id, feature_id, sum(quantity) FROM reseller_usage_daily "
                "WHERE client_id = ANY(%s) AND billing_date BETWEEN '2024-01-01' AND '2024-01-31' "
                "GROUP BY client_id, feature_id",
                [clients.ids],
            )
            self.cr.fetchall()

        rate()
        mine = statistics.median(timed(rate) for _time in range(3))
        base = statistics.median(timed(group) for _time in range(5))
        self.empty_usage()
        return mine / base, 20, "<=", {"seconds": mine, "GROUP BY seconds": base}

    def wholesale(self, count=2000):
        """A buyer's bill of 2,000 clients × 5 features × 30 days, posted, against rating those clients once;
        the workbook of its 10,000 rows takes five seconds at most.
        """
        clients, features = self.make_accounts(count)
        reseller = clients.reseller_id
        buyer = reseller._begin_buying(JANUARY, {"ref": reseller.code, "billing_anchor": "month"})
        self.env["reseller.price.rule"].create(
            [
                {"feature_id": feature.id, "book": "wholesale", "unit_price": 0.21}
                for feature in features
            ]
        )
        self.fill_buckets(clients, features)
        statements = self.env["reseller.statement"]
        bills = {
            client.id: statements._prepare_bill(client, date(2024, 2, 1)) for client in clients
        }

        def rate():
            for start in range(0, count, 100):
                part = clients[start : start + 100]
                own = {client.id: bills[client.id] for client in part}
                self.env["reseller.rating"]._rate(part, own)

        def bill():
            buyer.next_bill_date = date(2024, 2, 1)
            made.append(statements._bill(buyer, self.env["reseller.billing.run"], date(2024, 2, 1)))
            self.cr.flush()

        made = []
        rate()
        base = statistics.median(timed(rate) for _time in range(3))
        times = []
        for _time in range(3):
            times.append(timed(bill))
            assert made[-1].invoice_id, "the buyer has no invoice"
            made[-1].invoice_id.button_cancel()
        mine = statistics.median(times)
        bill()
        book = self.env["report.reseller_billing.statement_xlsx"].with_context(
            active_model="reseller.statement"
        )
        workbook = timed(book.create_xlsx_report, made[-1].ids, {})
        assert workbook <= 5, f"the collective workbook takes {workbook:.1f} s"
        figures = {"seconds": mine, "rating seconds": base, "workbook seconds": workbook}
        self.cr.rollback()
        self.empty_usage()
        return mine / base, 1.5, "<=", figures

    def _invoice_contracts(self, count):
        """Invoice as many contracts of five lines by OCA's contract; return the seconds it takes."""
        env = self.env(context={**FLAGS})
        product = env.ref("reseller_billing.product_usage")
        partners = env["res.partner"].create([{"name": f"contract {n}"} for n in range(count)])
        contracts = env["contract.contract"].create(
            [
                {
                    "name": partner.name,
                    "partner_id": partner.id,
                    "line_recurrence": True,
                    "contract_line_ids": [
                        (
                            0,
                            0,
                            {
                                "product_id": product.id,
                                "name": f"line {n}",
                                "quantity": 90 + n,
                                "price_unit": 0.37,
                                "specific_price": 0.37,
                                "date_start": "2024-01-01",
                                "recurring_next_date": "2024-02-01",
                                "recurring_invoicing_type": "post-paid",
                            },
                        )
                        for n in range(5)
                    ],
                }
                for partner in partners
            ]
        )
        env.flush_all()
        self.cr.commit()

        def invoice():
            for start in range(0, count, 100):
                part = contracts[start : start + 100]
                part._recurring_create_invoice(date(2024, 2, 15)).action_post()
                self.cr.commit()

        return timed(invoice)

    def billing_run(self, count=1000):
        """A run of 1,000 clients × 5 lines, posted, against OCA contract's invoicing and posting."""
        mine = self._bill(count)
        base = self._invoice_contracts(count)
        return mine / base, 0.55, "<=", {"seconds": mine, "contract seconds": base}

    def run_growth(self):
        """How the run grows from 500 to 2,000 clients."""
        small, large = self._bill(500), self._bill(2000)
        return large / small, 4.4, "<=", {"seconds of 500": small, "seconds of 2,000": large}


ROWS = (
    "ingest_bulk",
    "ingest_five",
    "ingest_batches",
    "ingest_http",
    "gate",
    "hostile",
    "portal",
    "live_use",
    "rating",
    "wholesale",
    "billing_run",
    "run_growth",
    "beside_run",
    "two_processes",
    "uncovered",
    "idle",
    "nodes",
    "import_file",
    "memory",
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("names", nargs="*", choices=[[], *ROWS])
    arguments = parser.parse_args()
    configure(arguments.database)
    bench = Bench(arguments.database)
    for name in arguments.names or ROWS:
        ratio, goal, sign, figures = getattr(bench, name)()
        word = "ok" if (ratio >= goal if sign == ">=" else ratio <= goal) else "short"
        print(f"{name} {ratio:.2f} {sign}{goal} {word}")
        for label, figure in figures.items():
            print(f"    {label}: {figure:,{'.4g' if figure < 1000 else '.0f'}}", flush=True)


if __name__ == "__main__":
    main()
