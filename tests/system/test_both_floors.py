"""Bills of clients and of their reseller, use that comes in meanwhile, and kills: once on each floor."""

import random

import processes
import pytest
from processes import Child
from test_race import expect_overage, fill, load_overage, make_events

pytestmark = pytest.mark.race
PRICES = {"one": 0.02, "two": 0.01}


def prepare(database, events):
    """Have the reseller buy since 1 January 2024, and start a run of January; return its id."""
    with processes.environment(database) as env:
        fill(env)
        reseller = env["reseller.reseller"].search([("code", "=", "R")])
        reseller._begin_buying("2024-01-01", {"ref": "R", "billing_anchor": "month"})
        features = env["reseller.feature"].search([("code", "in", list(PRICES))])
        env["reseller.price.rule"].create(
            [
                {"feature_id": one.id, "book": "wholesale", "unit_price": PRICES[one.code]}
                for one in features
            ]
        )
        env["reseller.usage.line"].ingest(events)
        return start_run(env, "2024-02-01")


def start_run(env, date):
    run = env["reseller.billing.run"].create({"date": date})
    run.state = "running"
    return run.id


def load_bought(env):
    """Return {feature's code: (units, amount)} of the buyer's bills that stand."""
    env.cr.execute(
        """
        SELECT feature.code, sum(charge.quantity)::int, sum(charge.amount)::float
          FROM reseller_charge charge
          JOIN reseller_statement statement ON statement.id = charge.statement_id
          JOIN reseller_feature feature ON feature.id = charge.feature_id
         WHERE charge.book = 'wholesale' AND statement.state = 'invoiced'
         GROUP BY feature.code
        """
    )
    return {code: (units, round(amount, 2)) for code, units, amount in env.cr.fetchall()}


def expect_bought(events):
    units = {
        code: sum(event["quantity"] for event in events if event["feature"] == code)
        for code in PRICES
    }
    return {code: (used, round(used * PRICES[code], 2)) for code, used in units.items()}


def find_lost(env):
    """Return how many buckets a floor's bill does not cover as they stand, and how many one covers twice."""
    env.cr.execute(
        """
        WITH floor AS (
            SELECT bucket.id AS bucket_id, bucket.version, client.id AS floor_id
              FROM reseller_usage_daily bucket JOIN reseller_client client ON client.id = bucket.client_id
             UNION ALL
            SELECT bucket.id, bucket.version, buyer.id
              FROM reseller_usage_daily bucket
              JOIN reseller_client client ON client.id = bucket.client_id
              JOIN reseller_client buyer ON buyer.buys_for_id = client.reseller_id
        ), found AS (
            SELECT count(coverage.id) FILTER (WHERE coverage.version = floor.version) AS times
              FROM floor
              LEFT JOIN reseller_usage_coverage coverage USING (bucket_id, floor_id)
             GROUP BY floor.bucket_id, floor.floor_id, floor.version
        )
        SELECT count(*) FILTER (WHERE times = 0), count(*) FILTER (WHERE times > 1) FROM found
        """
    )
    return env.cr.fetchone()


def test_use_that_comes_in_and_kills_bill_each_floor_once(databases):
    database = databases.clone()
    events, late = make_events(1500), make_events(1500, tag="late")
    run = prepare(database, events)
    taking = Child(
        database, processes.ingest, [late[start : start + 10] for start in range(0, 1500, 10)]
    )
    chance, killed = random.Random(7), 0
    for _attempt in range(60):
        if killed == 20:
            break
        killed += Child(database, processes.bill, run, 2).kill_after(chance.uniform(0.05, 0.6))
    assert killed == 20
    assert taking.result()["accepted"] == 1500
    Child(database, processes.bill, run, 4).result()
    # And some after all bills of January.
    last = make_events(300, tag="last")
    with processes.environment(database) as env:
        env["reseller.usage.daily"]._settle(env["reseller.client"].search([]).ids)
        assert env["reseller.usage.line"].ingest(last)["accepted"] == 300
        following = start_run(env, "2024-03-01")
    for child in [Child(database, processes.bill, following, 4) for _process in range(2)]:
        child.result()
    with processes.environment(database) as env:
        assert load_overage(env) == expect_overage(events + late + last)
        assert load_bought(env) == expect_bought(events + late + last)
        assert find_lost(env) == (0, 0)
        # The buyer's invoices alone: two, of January and of what came late.
        env.cr.execute(
            "SELECT count(*), count(DISTINCT partner_id) FROM account_move "
            "WHERE reseller_statement_id IS NOT NULL AND state = 'posted'"
        )
        assert env.cr.fetchone() == (2, 1)
