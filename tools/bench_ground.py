"""What ./dev bench measures on: accounts, events, a running server, senders."""

import collections
import contextlib
import itertools
import os
import pathlib
import time
import uuid
from datetime import date, datetime, timedelta

import requests
import servers
from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry

TOOLS = pathlib.Path(__file__).parent
JANUARY = date(2024, 1, 1)
FLAGS = {"tracking_disable": True, "mail_create_nolog": True, "mail_create_nosubscribe": True}


def timed(function, *arguments):
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


@contextlib.contextmanager
def serve(database, *options):
    """Run Odoo on a database, with what is measured against; yield its address."""
    folders = f"{TOOLS.parent},{TOOLS / 'addons'}"
    with servers.serve(database, "--addons-path", folders, *options) as (base, _server):
        yield base


def attack(base_url, key, bodies, over, answers):
    """Send bodies again and again, as (content type, packed body), until it is over.

    :param answers: a queue that gets how often each status was answered
    """
    found = collections.Counter()
    with requests.Session() as session:
        for kind, body in itertools.cycle(bodies):
            if over.is_set():
                break
            answer = session.post(
                f"{base_url}/reseller_billing/v1/usage",
                data=body,
                headers={
                    "Authorization": f"Bearer {key}",
                    "Content-Type": kind,
                    "Content-Encoding": "gzip",
                },
            )
            found[answer.status_code] += 1
    answers.put(found)
    os._exit(0)  # the connections to the database are the parent's


class Ground:
    """A database with accounts and use, whose rows are measured."""

    def __init__(self, database):
        self.registry = Registry(database)
        self.env = api.Environment(self.registry.cursor(), SUPERUSER_ID, {})
        self.cr = self.env.cr
        self.number = 0

    # What is measured on

    def make_accounts(self, count, features=5, **terms):
        """Make clients of a new reseller, and features with a default price each."""
        self.number += 1
        tag = f"b{self.number}"
        env = self.env(context={**FLAGS})
        partners = env["res.partner"].create([{"name": f"{tag} {n}"} for n in range(count + 1)])
        reseller = env["reseller.reseller"].create({"partner_id": partners[0].id, "code": tag})
        made = env["reseller.feature"].create(
            [
                {"name": f"{tag} {n}", "code": f"{tag}_{n}", "quantity_digits": 0}
                for n in range(features)
            ]
        )
        env["reseller.price.rule"].create(
            [
                {
                    "feature_id": feature.id,
                    "reseller_id": reseller.id,
                    "unit_price": 0.37,
                    "included_quantity": 10,
                    **terms,
                }
                for feature in made
            ]
        )
        clients = env["reseller.client"].create(
            [
                {
                    "partner_id": partner.id,
                    "reseller_id": reseller.id,
                    "ref": f"{tag}_{n}",
                    "membership_ids": [(0, 0, {"date_from": JANUARY})],
                }
                for n, partner in enumerate(partners[1:])
            ]
        )
        clients.action_activate()
        env.flush_all()
        self.cr.commit()
        return clients, made

    def make_events(self, clients, features, count, tag):
        refs, codes = clients.mapped("ref"), features.mapped("code")
        return [
            {
                "id": str(uuid.uuid4()),
                "source": tag,
                "client": refs[n % len(refs)],
                "feature": codes[n // len(refs) % len(codes)],
                "time": f"2024-01-{n % 28 + 1:02}T12:00:00Z",
                "quantity": n % 7 + 1,
            }
            for n in range(count)
        ]

    def fill_buckets(self, clients, features, days=30):
        """Store use of every client and feature on every day, without raw lines."""
        self.cr.execute(
            """
            INSERT INTO reseller_usage_daily
                   (company_id, client_id, feature_id, billing_date, version, is_pending,
                    quantity, event_count)
            SELECT %s, client, feature, %s + day, 1, TRUE, 1 + (client + feature + day) %% 5, 1
              FROM unnest(%s) client, unnest(%s) feature, generate_series(0, %s) day
            """,
            [self.env.company.id, JANUARY, clients.ids, features.ids, days - 1],
        )
        self.cr.commit()
        self.cr.execute("ANALYZE reseller_usage_daily")

    def make_key(self, groups):
        """Return an API key of a new user with these groups."""
        user = self.env["res.users"].create(
            {"name": "Bench", "login": str(uuid.uuid4()), "group_ids": [(6, 0, groups.ids)]}
        )
        keys = self.env["res.users.apikeys"].with_user(user)
        return keys._generate("rpc", "bench", datetime.now() + timedelta(days=1))

    def make_meter_key(self):
        """Return a key of *Usage / Connect*, as metering systems have it."""
        key = self.env["reseller.usage.key"].create(
            {"name": "bench", "requests_per_minute": 1_000_000}
        )
        return key.action_make_key()["context"]["default_key"]

    def empty_usage(self):
        self.cr.execute(
            "TRUNCATE reseller_usage_line, reseller_usage_daily, reseller_usage_coverage"
        )
        self.cr.commit()

    def _make_portal_user(self, partner):
        login = f"portal{partner.id}"
        self.env["res.users"].with_context(no_reset_password=True).create(
            {
                "name": login,
                "login": login,
                "password": login,
                "partner_id": partner.id,
                "group_ids": [(6, 0, self.env.ref("base.group_portal").ids)],
            }
        )
        return login

    def _log_in(self, base_url, login):
        session = requests.Session()
        page = session.get(f"{base_url}/web/login").text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        session.post(
            f"{base_url}/web/login",
            data={"login": login, "password": login, "csrf_token": token},
        )
        return session

    def _bill(self, count):
        """Bill the January of new clients with five lines each; return the seconds it takes."""
        clients, features = self.make_accounts(count, included_quantity=0)
        run = self.env["reseller.billing.run"].create({"date": "2024-01-15"})
        while run._process_batch():
            self.cr.commit()
        self.fill_buckets(clients, features)
        run = self.env["reseller.billing.run"].create({"date": "2024-02-15"})

        def bill():
            while run._process_batch():
                self.cr.commit()
            self.cr.commit()

        took = timed(bill)
        assert len(run.statement_ids.invoice_id) == count, run.parked_line_ids.mapped("reason")
        return took
