"""Rows of ./dev bench of usage that comes in."""

import concurrent.futures
import io
import json

import requests
from bench_files import Files
from bench_ground import serve, timed
from odoo import models


class Ingest(Files):
    """Usage that comes in, against what the database, the ORM and a bare controller do."""

    def ingest_bulk(self):
        """500,000 events in batches of 5,000, an event a bucket, against COPY into a table with the same indexes."""
        return self._ingest_bulk(1, 0.4)

    def ingest_five(self):
        """The same with five events a bucket."""
        return self._ingest_bulk(5, 0.5)

    def _ingest_bulk(self, together, goal, count=500_000):
        clients, features = self.make_accounts(200)
        self.empty_usage()
        events = [
            {**event, "id": f"{event['id']}/{n}"}
            for event in self.make_events(clients, features, count // together, "bulk")
            for n in range(together)
        ]
        lines = self.env["reseller.usage.line"]

        def ingest():
            for start in range(0, count, 5000):
                lines.ingest(events[start : start + 5000])
                self.cr.commit()

        mine = timed(ingest)
        self.empty_usage()
        self.cr.execute(
            "CREATE TABLE bench_copy (LIKE reseller_usage_line INCLUDING DEFAULTS INCLUDING INDEXES)"
        )
        stream = io.StringIO()
        refs = {client.ref: client.id for client in clients}
        codes = {feature.code: feature.id for feature in features}
        for event in events:
            day = event["time"][:10]
            stream.write(
                f"{self.env.company.id}\t{refs[event['client']]}\t{codes[event['feature']]}\t"
                f"{event['quantity']}\t{day} 12:00:00\t{day}\t{event['source']}\t{event['id']}\n"
            )
        stream.seek(0)
        columns = (
            "company_id,client_id,feature_id,quantity,occurred_at,billing_date,source,external_id"
        )

        def copy():
            self.cr.copy_expert(f"COPY bench_copy ({columns}) FROM STDIN", stream)
            self.cr.commit()

        base = timed(copy)
        self.cr.execute("DROP TABLE bench_copy")
        self.cr.commit()
        return base / mine, goal, ">=", {"rows/s": count / mine, "COPY rows/s": count / base}

    def ingest_batches(self, count=30_000):
        """Batches of 1,000 events of few buckets, against the ORM's create() of the same rows."""
        clients, features = self.make_accounts(200)
        self.empty_usage()
        lines = self.env["reseller.usage.line"]
        # Five features of one client on four days: 20 buckets a batch.
        events = [
            {
                **event,
                "client": clients[n // 1000 % 200].ref,
                "time": f"2024-01-{n % 4 + 1:02}T12:00:00Z",
            }
            for n, event in enumerate(self.make_events(clients, features, count, "batches"))
        ]

        def ingest():
            for start in range(0, count, 1000):
                lines.ingest(events[start : start + 1000])
                self.cr.commit()

        mine = timed(ingest)
        self.empty_usage()
        refs = {client.ref: client.id for client in clients}
        codes = {feature.code: feature.id for feature in features}
        rows = [
            {
                "company_id": self.env.company.id,
                "client_id": refs[event["client"]],
                "feature_id": codes[event["feature"]],
                "quantity": event["quantity"],
                "occurred_at": event["time"][:10] + " 12:00:00",
                "billing_date": event["time"][:10],
                "source": event["source"],
                "external_id": event["id"],
            }
            for event in events
        ]

        def create():
            for start in range(0, count, 1000):
                models.BaseModel.create(lines, rows[start : start + 1000])
                self.env.flush_all()
                self.cr.commit()

        base = timed(create)
        self.empty_usage()
        return base / mine, 3, ">=", {"rows/s": count / mine, "create() rows/s": count / base}

    def ingest_http(self, count=40_000):
        """Requests of 1,000 events, against a bare bearer controller that inserts the same rows."""
        clients, features = self.make_accounts(200)
        self.empty_usage()
        events = self.make_events(clients, features, count, "http")
        refs = {client.ref: client.id for client in clients}
        codes = {feature.code: feature.id for feature in features}
        bare = [
            {**event, "client_id": refs[event["client"]], "feature_id": codes[event["feature"]]}
            for event in events
        ]
        ingestion = self.env.ref("reseller_billing.group_usage_ingestion")
        key = self.make_key(self.env.ref("base.group_user") | ingestion)
        meter_key = self.make_meter_key()
        self.env["ir.module.module"].update_list()
        baselines = self.env["ir.module.module"].search([("name", "=", "reseller_billing_bench")])
        baselines.button_immediate_install()
        self.cr.execute(
            "CREATE TABLE bench_bare (LIKE reseller_usage_line INCLUDING DEFAULTS INCLUDING INDEXES)"
        )
        self.cr.commit()

        def send(address, rows, key):
            """Send rows in requests of 1,000 by four senders at a time; return the seconds it takes."""
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
            bodies = [
                "\n".join(map(json.dumps, rows[n : n + 1000])) for n in range(0, len(rows), 1000)
            ]

            def post(of_one):
                with requests.Session() as session:
                    for body in of_one:
                        answer = session.post(address, data=body, headers=headers)
                        assert answer.json()["accepted"] == 1000, answer.text

            requests.post(address, data="", headers=headers)
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                return timed(lambda: list(pool.map(post, (bodies[n::4] for n in range(4)))))

        figures, ratios = {}, []
        for kind, options in (
            ("threaded", ()),
            ("two workers", ("--workers", "2", "--max-cron-threads", "0")),
        ):
            with serve(self.cr.dbname, *options) as base_url:
                base = send(f"{base_url}/reseller_billing_bench/insert", bare, key)
                mine = send(f"{base_url}/reseller_billing/v1/usage", events, meter_key)
            self.empty_usage()
            self.cr.execute("TRUNCATE bench_bare")
            self.cr.commit()
            ratios.append(base / mine)
            figures |= {f"{kind}: rows/s": count / mine, f"{kind}: bare rows/s": count / base}
        self.cr.execute("DROP TABLE bench_bare")
        self.cr.commit()
        return min(ratios), 0.8, ">=", figures
