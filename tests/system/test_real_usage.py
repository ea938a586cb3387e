"""Real use, billed and compared with fractions that are computed here from the files themselves."""

import csv
import math
import os
import pathlib
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import processes
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Other people's data, which no copy of ours holds.
FILES = pathlib.Path(os.environ.get("RB_TEST_FILES") or ROOT.parent / "shared" / "data")
CALLS = FILES / "nodobo-calls" / "calls.csv"
TOKENS = {
    "code": FILES / "azure-llm-trace" / "AzureLLMInferenceTrace_code.csv",
    "conv": FILES / "azure-llm-trace" / "AzureLLMInferenceTrace_conv.csv",
}


def cents(amount):
    """Return an amount of zero or more, rounded to cents, halves up."""
    return Decimal(math.floor(amount * 100 + Fraction(1, 2))) / 100


def set_up(env, tz, start, clients, features):
    """Make a reseller in a time zone, clients that begin on a day, and features with their prices.

    :param features: {code: (values of the feature, values of its price)}
    """
    env.company.reseller_late_days = 100000
    owner = env["res.partner"].create({"name": "Operator"})
    reseller = env["reseller.reseller"].create({"partner_id": owner.id, "code": "OP", "tz": tz})
    for code, (vals, price) in features.items():
        feature = env["reseller.feature"].create({"name": code, "code": code, **vals})
        env["reseller.price.rule"].create({"feature_id": feature.id, **price})
    partners = env["res.partner"].create([{"name": ref} for ref in clients])
    found = env["reseller.client"].create(
        [
            {
                "partner_id": partner.id,
                "reseller_id": reseller.id,
                "ref": partner.name,
                "membership_ids": [(0, 0, {"date_from": start})],
            }
            for partner in partners
        ]
    )
    found.action_activate()


def take_in(env, events):
    """Send events in batches; return how many were taken in, and the reasons of the others."""
    accepted, reasons = 0, []
    for first in range(0, len(events), 5000):
        outcome = env["reseller.usage.line"].ingest(events[first : first + 5000])
        accepted += outcome["accepted"]
        reasons += [one["reason"] for one in outcome["rejected"]]
    return accepted, reasons


def bill(env, day):
    """Bill until a day; return {(client, month, feature): amount} of what the use of a month comes to."""
    run = env["reseller.billing.run"].create({"date": day})
    run.action_start()
    while run._process_batch():
        pass
    assert not run.parked_line_ids, run.parked_line_ids.mapped("reason")
    found = defaultdict(Decimal)
    charges = env["reseller.charge"].search([("statement_id.run_id", "=", run.id)])
    exact = charges._get_exact()
    for charge in charges:
        month = charge.cycle_start.strftime("%Y-%m")
        found[charge.client_id.ref, month, charge.feature_id.code] += exact[charge.id][2]
    # The books say the same.
    for statement in charges.statement_id:
        assert statement.invoice_id.amount_untaxed == statement.amount_total
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.skipif(not CALLS.exists(), reason="the calls are not here")
def test_five_months_of_calls(databases):
    """13,035 calls with two offsets, unsorted, of phones whose clocks stood in 1980 among them."""
    with CALLS.open() as stream:
        rows = list(csv.DictReader(stream))
    events, seconds = [], defaultdict(int)
    for number, row in enumerate(rows):
        moment = datetime.strptime(row["timestamp"], "%a %b %d %H:%M:%S %z %Y")
        local = moment.astimezone(ZoneInfo("Europe/London"))
        missed = row["direction"] == "Missed"
        if moment.year > 1980:
            key = (row["user"], f"{local:%Y-%m}", row["direction"])
            seconds[key] += 1 if missed else int(row["duration"])
        events.append(
            {
                "id": str(number),
                "source": "switch",
                "client": row["user"],
                "feature": row["direction"],
                "time": moment.isoformat(),
                "quantity": int(row["duration"]),
                "properties": {"other": row["other"]},
            }
        )
    expected = {}
    for (user, month, direction), used in seconds.items():
        if direction == "Outgoing":  # 600 free, then begun minutes at 0.0123
            amount = cents(math.ceil(Fraction(max(used - 600, 0), 60)) * Fraction("0.0123"))
        elif direction == "Incoming":  # 1,000 at 0.0004 and the rest at 0.00031, each rounded
            amount = cents(min(used, 1000) * Fraction("0.0004"))
            amount += cents(max(used - 1000, 0) * Fraction("0.00031"))
        else:
            amount = cents(used * Fraction("0.005"))
        if amount:
            expected[user, month, direction] = amount
    database = databases.clone()
    with processes.environment(database) as env:
        set_up(
            env,
            "Europe/London",
            "2010-09-01",
            sorted({row["user"] for row in rows}),
            {
                "Outgoing": (
                    {},
                    {
                        "pricing_model": "package",
                        "package_size": 60,
                        "unit_price": 0.0123,
                        "included_quantity": 600,
                    },
                ),
                "Incoming": (
                    {},
                    {
                        "pricing_model": "graduated",
                        "tier_ids": [
                            (0, 0, {"sequence": 1, "up_to": 1000, "unit_price": 0.0004}),
                            (0, 0, {"sequence": 2, "is_last": True, "unit_price": 0.00031}),
                        ],
                    },
                ),
                "Missed": ({"aggregation": "count"}, {"unit_price": 0.005}),
            },
        )
        accepted, reasons = take_in(env, events)
        assert (accepted, len(reasons)) == (13_004, 31)
        assert all("1980" in reason or "not served" in reason for reason in reasons), set(reasons)
        assert bill(env, "2011-02-01") == expected
    assert len(expected) > 150


@pytest.mark.skipif(not all(map(pathlib.Path.exists, TOKENS.values())), reason="they are not here")
def test_an_hour_of_tokens(databases):
    """28,185 requests with times of seven decimals and prices of millionths."""
    events, used = [], defaultdict(int)
    for client, file in TOKENS.items():
        with file.open(newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream)):
                for feature in ("ContextTokens", "GeneratedTokens"):
                    used[client, feature] += int(row[feature])
                    events.append(
                        {
                            "id": f"{number}/{feature}",
                            "source": client,
                            "client": client,
                            "feature": feature,
                            "time": row["TIMESTAMP"].replace(" ", "T") + "Z",
                            "quantity": row[feature],
                        }
                    )
    prices = {"ContextTokens": "0.0000025", "GeneratedTokens": "0.00001"}
    expected = {
        (client, "2023-11", feature): cents(total * Fraction(prices[feature]))
        for (client, feature), total in used.items()
    }
    database = databases.clone()
    with processes.environment(database) as env:
        set_up(
            env,
            "UTC",
            "2023-11-01",
            list(TOKENS),
            {code: ({}, {"unit_price": float(price)}) for code, price in prices.items()},
        )
        assert take_in(env, events) == (56_370, [])
        # Sent again, nothing counts twice.
        assert take_in(env, events[:5000]) == (0, [])
        assert bill(env, "2023-12-01") == expected
