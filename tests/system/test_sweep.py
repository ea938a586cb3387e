"""What portal users read of all models, pages and reports that there are, with other addons beside."""

import re
import subprocess
import sys
import threading

import processes
import pytest
from databases import ROOT, Databases
from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import mute_logger
from test_files import login
from test_http import serve

pytestmark = pytest.mark.isolation

# Addons of Odoo Community that show documents in the portal.
OTHERS = "sale_management,crm,project"
# A word in all that is a party's, and of nobody else's.
WORDS = {
    "ours": "Qalpha",
    "mate": "Qbravo",
    "rival": "Qcharlie",
    "nested": "Qdelta",
    "paid": "Qecho",
}
# The price of what resellers pay: their clients read it nowhere.
HIDDEN = "4711.13"


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
    for name, payer in (("ours", "client"), ("rival", "reseller")):
        partners[name], _user = make_party(env, WORDS[name])
        reseller = env["reseller.reseller"].create(
            {"partner_id": partners[name].id, "code": WORDS[name], "invoice_to": payer}
        )
        members = {"ours": ("mate", "nested"), "rival": ("paid",)}[name]
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
                "recurring_fee": float(HIDDEN) if member == "paid" else 10,
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


@pytest.fixture(scope="module")
def shop(request):
    """A database with other addons installed and filled; kept for all tests of this module."""
    databases = Databases()
    request.addfinalizer(databases.drop)
    name = databases.clone()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "odoo", "-d", name, "-i", OTHERS]
        + ["-c", str(ROOT / "var" / "odoo.conf"), "--stop-after-init", "--log-level", "critical"],
        cwd=ROOT,
        check=True,
    )
    processes.reload(name)
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
}


def find_leaks(name, text):
    """Return the words in a text that a party may not read."""
    words = [WORDS[other] for other in WORDS if other not in MAY_READ[name]]
    # The reseller's own name is known to its clients.
    known = {"mate": "ours", "nested": "ours", "paid": "rival"}.get(name)
    leaks = {word for word in words if word.lower() in text.lower() and word != WORDS.get(known)}
    if name in ("paid", "mate", "nested", "ours") and re.search(r"4[,.]?711[.,]13", text):
        leaks.add(HIDDEN)
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
    found = []
    for name in names:
        try:
            found += [str(row[name]) for row in records.read([name])]
        except (AccessError, UserError, ValidationError, ValueError, TypeError):
            continue
    return "\n".join(found)


@mute_logger("odoo.models", "odoo.sql_db", "odoo.addons.base.models.ir_access", "odoo.fields")
def test_no_model_shows_what_is_others(shop):
    leaks, own = {}, {}
    with processes.environment(shop) as env:
        # It would be seen: who reads all finds the words of others.
        assert find_leaks("mate", read_all(env["contract.modification"]))
        assert find_leaks("paid", read_all(env["account.move.line"])) >= {HIDDEN}
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


@mute_logger("odoo.http")
def test_no_page_shows_what_is_others(shop):
    """Every page of the portal with a number in its address, with every number that there is."""
    leaks, tried = {}, 0
    # Odoo makes the map of routes for the database of the thread.
    threading.current_thread().dbname = shop
    with processes.environment(shop) as env:
        rules = [
            rule
            for rule in env["ir.http"].routing_map().iter_rules()
            if rule.rule.startswith(("/my/", "/report/"))
            and "GET" in (rule.methods or {"GET"})
            and rule.endpoint.routing["auth"] in ("user", "public")
        ]
        numbers = {
            model: env[model].sudo().search([], limit=6).ids
            for model in (
                *("account.move", "sale.order", "contract.contract", "project.project"),
                *("project.task", "reseller.client", "reseller.reseller", "reseller.statement"),
            )
        }
    ids = sorted({number for found in numbers.values() for number in found})
    paths = set()
    for rule in rules:
        arguments = re.findall(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>", rule.rule)
        if len([one for one in arguments if one[0] == "int"]) != 1 or len(arguments) != 1:
            continue
        paths |= {re.sub(r"<[^>]+>", str(number), rule.rule) for number in ids}
    paths |= {rule.rule for rule in rules if "<" not in rule.rule}
    for model, report in (("account.move", "account.report_invoice"),):
        paths |= {f"/report/html/{report}/{number}" for number in numbers[model]}
    with serve(shop) as (base, _server):
        for name in WORDS:
            session = login(base, shop, WORDS[name], f"{WORDS[name]}-password")
            for path in sorted(paths):
                answer = session.get(base + path, timeout=60)
                tried += 1
                found = find_leaks(name, answer.text) if answer.status_code == 200 else ()
                if found:
                    leaks[name, path] = sorted(found)
    assert leaks == {}
    assert tried > 300, tried


def test_contracts_are_no_card_of_the_portal(shop):
    with serve(shop) as (base, _server):
        for name in ("mate", "nested", "paid"):
            session = login(base, shop, WORDS[name], f"{WORDS[name]}-password")
            answer = session.post(
                f"{base}/my/counters",
                json={"params": {"counters": ["contract_count", "invoice_count"]}},
                timeout=60,
            ).json()["result"]
            assert answer["contract_count"] == 0
            assert bool(answer["invoice_count"]) == (name != "paid"), name
