"""What portal users read of all models, pages and reports that there are, with other addons beside."""

import io
import itertools
import re
import subprocess
import threading
import zipfile

import processes
import pytest
import requests
from databases import Databases
from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import mute_logger
from servers import serve
from test_files import login

pytestmark = pytest.mark.isolation

# Addons of Odoo Community that show documents in the portal.
OTHERS = "sale_management,crm,project,website,event,survey"
# A word in all that is a party's, and of nobody else's.
WORDS = {
    "ours": "Qalpha",
    "mate": "Qbravo",
    "rival": "Qcharlie",
    "nested": "Qdelta",
    "paid": "Qecho",
    # A reseller that buys what its client uses, at a cost that the client reads nowhere.
    "buyer": "Qgolf",
    "under": "Qhotel",
    # Has a login, and neither is nor has a reseller.
    "stranger": "Qfoxtrot",
}
# The price of what resellers pay: their clients read it nowhere.
HIDDEN = "4711.13"
# What a reseller pays that buys, what it is asked for, and what is left: 5,000.00 − 3,917.29.
COST, ASKED, MARGIN = "3917.29", 5000, "1082.71"


def make_party(env, word, **values):
    partner = env["res.partner"].create(
        {"name": f"{word} Ltd", "email": f"{word.lower()}@example.com", **values}
    )
    user = env["res.users"].create(
        {
            "name": f"{word} Person",
            "login": word,
            "password": f"{word}-password",
            "partner_id": partner.id,
            "group_ids": [fields.Command.set(env.ref("base.group_portal").ids)],
        }
    )
    return partner, user


def fill(env):
    """Make two resellers, one of which pays for its clients, and documents of everybody's."""
    env.company.reseller_late_days = 100000
    product = env["product.product"].create(
        {"name": "Use", "type": "service", "taxes_id": False, "list_price": 1}
    )
    env.company.reseller_usage_product_id = product
    feature = env["reseller.feature"].create({"name": "Fee", "code": "fee"})
    partners, clients = {}, {}
    partners["stranger"], _user = make_party(env, WORDS["stranger"])
    for name, payer in (("ours", "client"), ("rival", "reseller"), ("buyer", "none")):
        partners[name], _user = make_party(env, WORDS[name])
        reseller = env["reseller.reseller"].create(
            {"partner_id": partners[name].id, "code": WORDS[name], "invoice_to": payer}
        )
        if name == "buyer":
            reseller._begin_buying("2024-01-01", {"ref": f"{WORDS[name]}-0"})
            env["reseller.price.rule"].create(
                {"feature_id": feature.id, "book": "wholesale", "recurring_fee": float(COST)}
            )
        members = {"ours": ("mate", "nested"), "rival": ("paid",), "buyer": ("under",)}[name]
        for member in members:
            above = {} if member == "mate" else {"parent_id": partners[name].id}
            partners[member], _user = make_party(env, WORDS[member], **above)
            clients[member] = env["reseller.client"].create(
                {
                    "partner_id": partners[member].id,
                    "reseller_id": reseller.id,
                    "ref": WORDS[member],
                    "membership_ids": [fields.Command.create({"date_from": "2024-01-01"})],
                }
            )
    for member, client in clients.items():
        env["reseller.price.rule"].create(
            {
                "feature_id": feature.id,
                "client_id": client.id,
                "recurring_fee": {"paid": float(HIDDEN), "under": ASKED}.get(member, 10),
            }
        )
        client.action_activate()
        contract = client.contract_id
        contract.message_subscribe(partner_ids=client.partner_id.ids)
        env["contract.line"].create(
            {
                "contract_id": contract.id,
                "product_id": product.id,
                "name": f"Support for {WORDS[member]}",
                "quantity": 1,
                "price_unit": float(HIDDEN) if member == "paid" else 5,
                "date_start": "2024-01-01",
                "recurring_next_date": "2024-01-01",
            }
        )
        env["contract.modification"].create(
            {"contract_id": contract.id, "description": WORDS[member], "date": "2024-01-01"}
        )
    run = env["reseller.billing.run"].create({"date": "2024-02-01"})
    run.action_start()
    while run._process_batch():
        pass
    assert not run.parked_line_ids, run.parked_line_ids.mapped("reason")
    for name, partner in partners.items():
        order = env["sale.order"].create(
            {
                "partner_id": partner.id,
                "order_line": [
                    fields.Command.create({"product_id": product.id, "name": WORDS[name]})
                ],
            }
        )
        order.action_confirm()
        env["crm.lead"].create({"name": WORDS[name], "partner_id": partner.id})
        project = env["project.project"].create(
            {"name": WORDS[name], "partner_id": partner.id, "privacy_visibility": "portal"}
        )
        env["project.task"].create(
            {"name": WORDS[name], "partner_id": partner.id, "project_id": project.id}
        )
        project.message_subscribe(partner_ids=partner.ids)
        event = env["event.event"].create(
            {"name": WORDS[name], "date_begin": "2030-01-01", "date_end": "2030-01-02"}
        )
        env["event.registration"].create(
            {"event_id": event.id, "partner_id": partner.id, "name": WORDS[name]}
        )
        survey = env["survey.survey"].create({"title": WORDS[name]})
        env["survey.user_input"].create({"survey_id": survey.id, "partner_id": partner.id})


@pytest.fixture(scope="module")
def shop(request):
    """A database with other addons installed and filled; kept for all tests of this module."""
    databases = Databases()
    request.addfinalizer(databases.drop)
    name = databases.clone_with(OTHERS)
    with processes.environment(name) as env:
        fill(env)
    return name


# Whose words each may read beside its own: a reseller reads of its clients.
MAY_READ = {
    "ours": {"ours", "mate", "nested"},
    "mate": {"mate"},
    "rival": {"rival", "paid"},
    "nested": {"nested"},
    "paid": {"paid"},
    "buyer": {"buyer", "under"},
    "under": {"under"},
    "stranger": {"stranger"},
    "nobody": set(),
}


def find_leaks(name, text):
    """Return the words in a text that a party may not read."""
    words = [WORDS[other] for other in WORDS if other not in MAY_READ[name]]
    # The reseller's own name is known to its clients.
    known = {"mate": "ours", "nested": "ours", "paid": "rival", "under": "buyer"}.get(name)
    leaks = {word for word in words if word.lower() in text.lower() and word != WORDS.get(known)}
    secrets = {"rival": (HIDDEN,), "buyer": (COST, MARGIN)}
    for owner, amounts in secrets.items():
        for amount in amounts:
            # As it is printed in any language.
            if name != owner and re.search(rf"{amount[0]}[,.]?{amount[1:4]}[.,]{amount[5:]}", text):
                leaks.add(amount)
    return leaks


def read_all(model):
    """Return all that a user reads of a model, as text."""
    names = [
        name
        for name, field in model.fields_get(attributes=["type"]).items()
        if field["type"] != "binary"
    ]
    try:
        records = model.with_context(active_test=False).search([], limit=500)
    except (AccessError, UserError):
        return ""
    refusals = (AccessError, UserError, ValidationError, ValueError, TypeError)
    found = []
    # All at once takes a tenth of the time; where that is refused, whatever is not.
    try:
        found += [str(row) for row in records.read(names)]
    except refusals:
        for name in names:
            try:
                found += [str(row[name]) for row in records.read([name])]
            except refusals:
                continue
    return "\n".join(found)


@mute_logger("odoo.models", "odoo.sql_db", "odoo.addons.base.models.ir_access", "odoo.fields")
def test_no_model_shows_what_is_others(shop):
    leaks, own = {}, {}
    with processes.environment(shop) as env:
        # It would be seen: who reads all finds the words of others.
        assert find_leaks("mate", read_all(env["contract.modification"]))
        assert find_leaks("paid", read_all(env["account.move.line"])) >= {HIDDEN, COST}
        assert find_leaks("under", read_all(env["reseller.charge.share"])) >= {COST}
        assert find_leaks("under", read_all(env["reseller.margin"])) >= {COST, MARGIN}
        for name in WORDS:
            user = env["res.users"].search([("login", "=", WORDS[name])])
            for model_name in sorted(env.registry):
                model = env[model_name].with_user(user)
                if model._abstract or not model.has_access("read"):
                    continue
                with env.cr.savepoint():
                    text = read_all(model)
                env.clear()
                found = find_leaks(name, text)
                if WORDS[name] in text:
                    own.setdefault(name, set()).add(model_name)
                if found:
                    leaks[name, model_name] = sorted(found)
        env.cr.rollback()
    assert leaks == {}
    # What is one's own is there: contact and orders and, of who pays, invoices.
    for name in WORDS:
        assert own[name] >= {"res.partner", "sale.order"}, name
    assert "account.move" in own["mate"]


# What the numbers in addresses are of, by the name of their argument. Of another name, all are tried.
NUMBERS = {
    "charge_id": "reseller.charge",
    "client_id": "reseller.client",
    "contract_contract_id": "contract.contract",
    "feature_id": "reseller.feature",
    "group_id": "reseller.client.group",
    "invoice_id": "account.move",
    "order_id": "sale.order",
    "project_id": "project.project",
    "reseller_id": "reseller.reseller",
    "statement_id": "reseller.statement",
    "task_id": "project.task",
}
# Of an address with several, how many of each are tried with how many of the others.
TRIED = 3
PAGES = ("/my", "/report", "/survey", "/event", "/payment", "/mail")


def find_paths(env):
    """Return the addresses of all pages, with the numbers of all that they could show, and of all reports."""
    numbers = {model: env[model].search([], limit=8).ids for model in set(NUMBERS.values())}
    every = sorted(set().union(*numbers.values()))
    # What is a client's is shown beneath it alone: one of each.
    pairs = {
        name: {record.client_id.id: record.id for record in env[NUMBERS[name]].search([])}
        for name in ("charge_id", "statement_id")
    }
    paths = set()
    for rule in env["ir.http"].routing_map().iter_rules():
        if not (
            rule.rule.startswith(PAGES)
            and "GET" in (rule.methods or {"GET"})
            and rule.endpoint.routing["type"] == "http"
            and rule.endpoint.routing["auth"] in ("user", "public")
        ):
            continue
        choices, arguments = [], re.findall(r"<(?:(.+?):)?(\w+)>", rule.rule)
        for kind, name in arguments:
            model = re.match(r"model\(\"([\w.]+)\"", kind)
            if kind == "int" and name in ("page", "number"):
                choices.append([1, 2])
            elif kind == "int":
                choices.append(numbers.get(NUMBERS.get(name), every))
            elif model:
                choices.append(env[model[1]].search([], limit=8).ids)
            elif kind.startswith("any"):
                choices.append(re.findall(r"\w+", kind)[1:])
            else:
                choices.append([])  # a secret, which nobody guesses
        if len(choices) > 1:
            choices = [found[:TRIED] for found in choices]
        pattern = re.sub(r"<(?:\"[^\"]*\"|[^>])*>", "{}", rule.rule)
        paths |= {pattern.format(*values) for values in itertools.product(*choices)}
        names = [name for _kind, name in arguments]
        for linked in pairs.keys() & set(names) if "client_id" in names else ():
            for client, number in pairs[linked].items():
                own = {"client_id": [client], linked: [number]}
                mine = [own.get(name, found) for name, found in zip(names, choices, strict=True)]
                paths |= {pattern.format(*values) for values in itertools.product(*mine)}
    for report in env["ir.actions.report"].search([]):
        kind = "xlsx" if report.report_type == "xlsx" else "html"
        documents = env[report.model].search([], limit=TRIED).ids if report.model in env else []
        paths |= {f"/report/{kind}/{report.report_name}/{number}" for number in documents}
        if documents:
            several = ",".join(str(number) for number in documents)
            paths.add(f"/report/{kind}/{report.report_name}/{several}")
    return paths


def read_answer(answer):
    """Return what an answer shows, also of a PDF and of a workbook, as text."""
    if answer.content.startswith(b"%PDF"):
        command = ["pdftotext", "-", "-"]
        return subprocess.run(
            command, input=answer.content, capture_output=True, check=True
        ).stdout.decode()
    if answer.content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return "\n".join(archive.read(name).decode() for name in archive.namelist())
    return answer.text


@mute_logger("odoo.http")
def test_no_page_shows_what_is_others(shop):
    """Every page of the portal and every report, of everything that there is, for each and for nobody."""
    leaks, shown = {}, {}
    # Odoo makes the map of routes for the database of the thread.
    threading.current_thread().dbname = shop
    with processes.environment(shop) as env:
        paths = find_paths(env)
        env.cr.rollback()
    # Pages of other addons break where an argument is missing, which is none of ours.
    with serve(shop, "--log-level", "critical") as (base, _server):
        for name in MAY_READ:
            session = requests.Session()
            if name in WORDS:
                session = login(base, shop, WORDS[name], f"{WORDS[name]}-password")
            for path in sorted(paths):
                # Who has to log in sees nothing of the page.
                answer = session.get(base + path, timeout=60, allow_redirects=name in WORDS)
                if answer.status_code != 200:
                    continue
                text = read_answer(answer)
                if name in WORDS and WORDS[name] in text:
                    shown.setdefault(name, set()).add(re.sub(r"\d+", "0", path))
                found = find_leaks(name, text)
                if found:
                    leaks[name, path] = sorted(found)
    assert leaks == {}
    # It would be seen: pages, workbooks and PDFs show what is one's own.
    files = {"/statements/0.pdf", "/statements/0.xlsx", "/why/0"}
    assert shown["ours"] >= {f"/my/reseller/clients/0{file}" for file in files}
    assert shown["mate"] >= {f"/my/service/0{file}" for file in files}
    assert shown["under"] >= {f"/my/service/0{file}" for file in files}
    assert shown["buyer"] >= {f"/my/service/0{file}" for file in files}
    assert shown["paid"] >= {"/my/service/0/report", "/my/projects/0/task/0"}
    assert shown["stranger"] >= {"/my/orders/0", "/survey/0/get_certification"}


def test_contracts_are_no_card_of_the_portal(shop):
    with serve(shop) as (base, _server):
        for name in ("mate", "nested", "paid", "under"):
            session = login(base, shop, WORDS[name], f"{WORDS[name]}-password")
            answer = session.post(
                f"{base}/my/counters",
                json={"params": {"counters": ["contract_count", "invoice_count"]}},
                timeout=60,
            ).json()["result"]
            assert answer["contract_count"] == 0
            assert bool(answer["invoice_count"]) == (name in ("mate", "nested")), name
