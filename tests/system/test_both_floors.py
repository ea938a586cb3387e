"""Bills of clients and of their reseller, use that comes in meanwhile, and kills: once on each floor."""

import random
from contextlib import contextmanager
from datetime import date

import odoo.sql_db
import processes
import pytest
from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError, ValidationError
from odoo.modules.registry import Registry
from odoo.tools import mute_logger
from processes import Child
from psycopg2.errors import SerializationFailure
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
        # Each charge is shared once, and the margin is what is left of both books.
        assert not env["reseller.margin"]._find_different()
        sums = env["reseller.margin"]._read_group([], [], ["retail:sum", "cost:sum"])[0]
        env.cr.execute(
            "SELECT sum(charge.amount) FILTER (WHERE charge.book = 'retail')::float,"
            "       sum(charge.amount) FILTER (WHERE charge.book = 'wholesale')::float"
            "  FROM reseller_charge charge"
            "  JOIN reseller_statement statement ON statement.id = charge.statement_id"
            " WHERE statement.state IN ('approved', 'invoiced')"
        )
        assert [round(one, 2) for one in sums] == [round(one, 2) for one in env.cr.fetchone()]
        # The buyer's invoices alone: two, of January and of what came late.
        env.cr.execute(
            "SELECT count(*), count(DISTINCT partner_id) FROM account_move "
            "WHERE reseller_statement_id IS NOT NULL AND state = 'posted'"
        )
        assert env.cr.fetchone() == (2, 1)


@contextmanager
def two(database):
    """Open two transactions of one database; the first one has begun: it sees nothing of the second."""
    registry = Registry(database)
    with registry.cursor() as first_cr, registry.cursor() as second_cr:
        first, second = (api.Environment(cr, SUPERUSER_ID, {}) for cr in (first_cr, second_cr))
        first_cr.execute("SELECT count(*) FROM reseller_client")
        yield first, second
        first_cr.rollback()
    odoo.sql_db.close_all()


def refuse_to_pass(env, change, message):
    """Have a change that began before another one fail, and, repeated, be refused by name."""
    with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
        change(env)
        env.cr.flush()
    env.cr.rollback()
    env.invalidate_all()
    with pytest.raises((UserError, ValidationError), match=message):
        change(env)
    env.cr.rollback()


def bill(env, ref, day):
    """Bill an account up to a day, as a run does."""
    run = env["reseller.billing.run"].create({"date": day})
    run.client_ids = find(env, ref)
    run.state = "running"
    while run._process_batch():
        pass
    env.cr.commit()


def find(env, ref):
    return env["reseller.client"].search([("ref", "=", ref)])


def move(env):
    partner = env["res.partner"].create({"name": "Other"})
    other = env["reseller.reseller"].create({"partner_id": partner.id, "code": "OTHER"})
    find(env, "C1").action_move_to_reseller(other, env["reseller.client.group"], "2024-01-20")


@pytest.mark.parametrize(
    "change",
    [
        lambda env: find(env, "C1").action_close("2024-01-20"),
        move,
    ],
    ids=["close", "move"],
)
def test_nothing_beneath_passes_a_buyers_bill(databases, change):
    """What changes a client while its reseller is billed comes too late, and is told so."""
    database = databases.clone()
    prepare(database, make_events(60))
    with two(database) as (first, second):
        bill(second, "R", "2024-02-01")
        refuse_to_pass(first, change, "billed until 2024-01-31")


def test_who_begins_does_not_pass_a_buyer_that_ends(databases):
    """A client is not served on days on which nobody buys, whichever of both came first."""
    database = databases.clone()
    prepare(database, make_events(60))
    with processes.environment(database) as env:
        find(env, "C1").reseller_id.client_ids.action_close("2024-01-31")
        find(env, "C1").copy(
            {"ref": "late", "membership_ids": [(0, 0, {"date_from": "2024-02-05"})]}
        )
    with two(database) as (first, second):
        find(second, "R").action_close("2024-01-31")
        second.cr.commit()
        refuse_to_pass(
            first, lambda env: find(env, "late").action_activate(), "buys nothing on that day"
        )


def test_who_begins_does_not_pass_a_reseller_that_begins_to_buy(databases):
    """Its cycle ends where the reseller begins to buy, as those of clients that were there: none is billed twice."""
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        find(env, "C1").copy(
            {"ref": "late", "membership_ids": [(0, 0, {"date_from": "2024-01-05"})]}
        )
    with two(database) as (first, second):
        reseller = find(second, "C1").reseller_id
        reseller._begin_buying("2024-02-16", {"ref": "R", "billing_anchor": "month"})
        second.cr.commit()
        with pytest.raises(SerializationFailure), mute_logger("odoo.sql_db"):
            find(first, "late").action_activate()
        first.cr.rollback()
        first.invalidate_all()
        find(first, "late").action_activate()
        rows = find(first, "late").membership_ids.sorted("date_from")
        assert [str(row.date_from) for row in rows] == ["2024-01-05", "2024-02-16"]
        assert rows[1].begins_cycle


def test_two_at_once_make_one_buyer_and_one_statement(databases):
    database = databases.clone()
    with processes.environment(database) as env:
        fill(env)
        partner = env["res.partner"].create({"name": "Affiliate"})
        env["reseller.reseller"].create(
            {
                "partner_id": partner.id,
                "code": "AFF",
                "settlement": "referral",
                "settlement_date": "2024-01-01",
            }
        )

    def begin(env):
        reseller = env["reseller.reseller"].search([("code", "=", "R")])
        number = env["reseller.client"].search_count([])
        vals = {"ref": f"R{number}", "billing_anchor": "month"}
        reseller._begin_buying("2024-01-01", vals)

    def state(env):
        reseller = env["reseller.reseller"].search([("code", "=", "AFF")])
        env["reseller.commission"]._make(reseller, date(2024, 1, 31))

    for change, message in (
        (begin, "buys by .* already"),
        (state, "not approved yet"),
    ):
        with two(database) as (first, second):
            change(second)
            second.cr.commit()
            refuse_to_pass(first, change, message)
