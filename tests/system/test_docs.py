"""The documentation's examples, as they stand."""

import json
import os
import pathlib
import re
import subprocess

import processes
from odoo.tools import convert_file
from servers import serve
from test_http import create_meter_key

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def test_the_examples_of_sending_usage_work_on_the_demo_data(databases):
    text = (DOCS / "usage-api.md").read_text()
    # What is to be typed, but for the address and the key.
    typed = re.findall(r"^```sh\n(.+?)^```", text, re.DOTALL | re.MULTILINE)
    answers = re.findall(r"^    (\{\"accepted\".+\})$", text, re.MULTILINE)
    database = databases.clone()
    with processes.environment(database) as env:
        convert_file(
            env,
            "reseller_billing",
            "demo/reseller_billing_demo.xml",
            {},
            mode="init",
            noupdate=True,
        )
        key = create_meter_key(env)
        before = env["reseller.usage.line"].search_count([])
    with serve(database) as (base, _server):
        found = []
        script = ["set -eo pipefail"]
        for number, part in enumerate(typed):
            script += [f"echo '-- {number}'", part, "echo"]
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            env={**os.environ, "ODOO": base, "KEY": key},
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stdout + done.stderr
        for answer in re.split(r"^-- \d+$", done.stdout, flags=re.MULTILINE)[1:]:
            if answer.strip():
                found.append(json.loads(answer))
    sent = [one for one in found if "accepted" in one]
    assert [one["accepted"] for one in sent] == [2, 1, 1, 1], found
    assert not any(one["rejected"] or one["duplicates"] for one in sent)
    assert json.loads(answers[0]) == sent[0]
    assert any("openapi" in one for one in found)
    with processes.environment(database) as env:
        events = env["reseller.usage.line"].search([("source", "=", "gateway-1")])
        assert env["reseller.usage.line"].search_count([]) == before + 5
        assert set(events.mapped("client_id.ref")) == {"BW-001"}
        assert sum(events.mapped("quantity")) == 146.5
        kept = [one for one in events.mapped("properties") if one]
        assert kept == [{"campaign": "spring"}] * 2
