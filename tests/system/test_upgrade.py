"""A database of each release, filled by that release, upgraded to what is here: what FACTS names is as it was."""

import json
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest
from databases import ROOT, psql
from test_install import NOISE

pytestmark = pytest.mark.install

RELEASES = pathlib.Path(__file__).with_name("releases")

# What people would find changed: every amount, lot, debt, lock-out and price.
FACTS = {
    "statements": "SELECT string_agg(concat_ws('|', name, kind, state, bill_date, period_start,"
    " period_end, amount_total), E'\\n' ORDER BY id) FROM reseller_statement WHERE state != 'preview'",
    "charges": "SELECT string_agg(concat_ws('|', id, kind, quantity::text, unit_price::text,"
    " amount::text, cycle_start, date_to, md5(trace::text)), E'\\n' ORDER BY id) FROM reseller_charge charge"
    " WHERE EXISTS (SELECT FROM reseller_statement WHERE id = statement_id AND state != 'preview')",
    "journal items": "SELECT string_agg(concat_ws('|', move_id, account_id, balance, amount_residual,"
    " reconciled), E'\\n' ORDER BY id) FROM account_move_line",
    "days": "SELECT string_agg(concat_ws('|', client_id, feature_id, level_id, billing_date,"
    " quantity::text), E'\\n' ORDER BY id) FROM reseller_usage_daily",
    "money lots": "SELECT string_agg(concat_ws('|', lot_id, kind, amount, cost), E'\\n' ORDER BY id)"
    " FROM reseller_wallet_entry",
    "unit lots": "SELECT string_agg(concat_ws('|', lot_id, kind, quantity::text, cost::text), E'\\n'"
    " ORDER BY id) FROM reseller_prepaid_entry",
    "lock-outs": "SELECT string_agg(concat_ws('|', client_id, reseller_id, state), E'\\n' ORDER BY id)"
    " FROM reseller_lockout",
    "prices": "SELECT string_agg(concat_ws('|', id, feature_id, reseller_id, group_id, client_id,"
    " date_from, date_to, unit_price::text, recurring_fee::text), E'\\n' ORDER BY id) FROM reseller_price_rule",
    "clients": "SELECT string_agg(concat_ws('|', ref, state, billed_until, next_bill_date,"
    " rerate_from), E'\\n' ORDER BY id) FROM reseller_client",
    "rejections": "SELECT string_agg(concat_ws('|', reason, state), E'\\n' ORDER BY id)"
    " FROM reseller_usage_rejection",
}
# What bills cover, as releases before kept it and as it is kept now.
COVERED = (
    "SELECT string_agg(concat_ws('|', id, statement_id), E'\\n' ORDER BY id) FROM reseller_usage_daily",
    "SELECT string_agg(concat_ws('|', bucket.id, newest.statement_id), E'\\n' ORDER BY bucket.id)"
    " FROM reseller_usage_daily bucket LEFT JOIN LATERAL (SELECT * FROM reseller_usage_coverage coverage"
    " WHERE coverage.bucket_id = bucket.id ORDER BY id DESC LIMIT 1) newest"
    " ON newest.version = bucket.version",
)
# What a run that waits for approval shows.
PREVIEWS = (
    "SELECT string_agg(client.ref || '=' || statement.amount_total, ',' ORDER BY client.id)"
    " FROM reseller_statement statement JOIN reseller_client client ON client.id = client_id"
    " WHERE statement.state = 'preview' AND run_id IS NOT NULL"
)
# What has another name since, as releases before had it and as it is now; and what is wanted.
RENAMED = {
    "SELECT concat_ws('|', charge_timing, charge_failures) FROM reseller_client WHERE ref = 'owing'": (
        "SELECT concat_ws('|', collection_timing, collection_failures) FROM reseller_client"
        " WHERE ref = 'owing'",
        "due|2",
    ),
    "SELECT max(reseller_charge_retry_days) FROM res_company": (
        "SELECT max(reseller_collection_retry_days) FROM res_company",
        "5",
    ),
    "SELECT json_value FROM ir_default d JOIN ir_model_fields f ON f.id = d.field_id"
    " WHERE f.name = 'charge_timing'": (
        "SELECT json_value FROM ir_default d JOIN ir_model_fields f ON f.id = d.field_id"
        " WHERE f.name = 'collection_timing'",
        '"posting"',
    ),
    "SELECT count(*) FROM ir_filters WHERE model_id = 'reseller.price.rule'": (
        "SELECT concat_ws(' ', domain, context, sort) FROM ir_filters WHERE model_id = 'reseller.price.rule'",
        '[("scope", "=", "client")] {\'group_by\': [\'scope\']} ["scope desc"]',
    ),
    # Packages were taxed when they were sold, whatever was chosen for money.
    "SELECT count(*) FROM reseller_prepaid_lot": (
        "SELECT concat_ws('|', count(*), count(*) FILTER (WHERE lot.vat_mode = 'receipt'"
        " AND sold.grant_vat_mode = 'receipt' AND lot.tax = (SELECT sum(price_total - price_subtotal)"
        " FROM account_move_line WHERE charge_id = sold.id)"
        " AND NOT EXISTS (SELECT FROM reseller_prepaid_entry WHERE lot_id = lot.id AND kind = 'buy'"
        " AND tax IS DISTINCT FROM lot.tax))) FROM reseller_prepaid_lot lot"
        " JOIN reseller_charge sold ON sold.id = lot.charge_id",
        "1|1",
    ),
    "SELECT count(*) FROM product_template WHERE reseller_vat_mode IS NOT NULL": (
        "SELECT count(*) FROM product_template WHERE reseller_vat_mode @? '$.* ? (@ == \"use\")'",
        "0",
    ),
}
# What is live, and what the next bills come to; printed as JSON.
LIVE = """
import json
from freezegun import freeze_time
with freeze_time("2024-03-20 12:00:00"):
    found = {}
    for client in env["reseller.client"].search([("state", "!=", "draft")], order="id"):
        found[client.ref] = [
            client.open_balance, client.overdue_balance, client.wallet_balance, client.live_balance,
            client.lockout_state,
            [[one["code"], one["used"], one["included_left"], one["prepaid_left"], one["amount"]]
             for one in client.current_usage()],
        ]
        if client.state == "active":
            bill = client.preview_statement("2024-04-01")
            found[client.ref].append([bill.amount_total, sorted(
                [charge.kind, charge.name, charge.amount] for charge in bill.charge_ids)])
    print("LIVE" + json.dumps(found))
env.cr.rollback()
"""
# The next bills, approved as they were shown, and those of the month after.
BILL = """
from freezegun import freeze_time
with freeze_time("2024-04-02 12:00:00"):
    run = env["reseller.billing.run"].search([("state", "=", "prepared")])
    run.action_approve()
    while run._process_batch():
        pass
    assert not run.parked_line_ids, run.parked_line_ids.mapped("reason")
    assert not env["reseller.wallet.check"].search([("is_different", "=", True)])
with freeze_time("2024-05-02 12:00:00"):
    later = env["reseller.billing.run"].create({"date": "2024-05-02", "is_reviewed": False})
    later.action_start()
    while later._process_batch():
        pass
    assert not later.parked_line_ids, later.parked_line_ids.mapped("reason")
    owing = later.statement_ids.filtered(lambda one: one.client_id.ref == "owing")
    print("LATE", [(c.kind, c.quantity, c.amount, str(c.cycle_start)) for c in owing.charge_ids
                   if c.feature_id.code == "x_sms" and c.kind != "recurring"])
env.cr.commit()
"""


# What data that updates leave alone says, which a release that mends it has to bring to old databases;
# and names in templates of mails that nothing has any more. Printed as JSON.
DATA = """
import json, re
def of(model):
    found = env["ir.model.data"].search([("module", "=", "reseller_billing"), ("model", "=", model)])
    records = env[model].with_context(active_test=False).browse(found.mapped("res_id")).exists()
    return {one.name: records.browse(one.res_id) for one in found if one.res_id in records.ids}
found = {
    "rules": {name: [rule.domain_force, rule.perm_read, rule.perm_write, rule.perm_create,
                     rule.perm_unlink, sorted(rule.groups.mapped("full_name"))]
              for name, rule in of("ir.rule").items()},
    "crons": {name: [cron.model_id.model, cron.code] for name, cron in of("ir.cron").items()},
    "actions": {name: one.code for name, one in of("ir.actions.server").items()},
    "senders": {name: [one.email_from, one.reply_to] for name, one in of("mail.template").items()},
    "lost": [],
}
for name, template in of("mail.template").items():
    for field in ("subject", "body_html", "email_from", "partner_to", "lang"):
        for chain in re.findall(r"\\bobject((?:\\.\\w+)+)", str(template[field] or "")):
            record = env[template.model]
            for part in chain.split(".")[1:]:
                if part in record._fields:
                    record = record[part] if record._fields[part].relational else None
                elif not hasattr(record, part):
                    found["lost"].append([name, chain])
                else:
                    record = None
                if record is None:
                    break
print("DATA" + json.dumps(found))
"""


def read_data(addons, database):
    output, _warnings = odoo(addons, "shell", "-d", database, stdin=DATA)
    [line] = [line for line in output.splitlines() if "DATA{" in line]
    return json.loads(line.partition("DATA")[2])


def odoo(addons, *arguments, stdin=None):
    """Run Odoo's command line with the addons of some folders; return (output, what it warns of)."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "odoo"),
            *arguments,
            f"--addons-path={','.join(str(folder) for folder in addons)}",
            *("--log-level", "warn"),
        ],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "ODOO_RC": str(ROOT / "var" / "odoo.conf")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if not NOISE.search(line)]
    return done.stdout, warnings


def read_facts(database):
    return {what: psql(sql, database) for what, sql in FACTS.items()}


def read_live(addons, database):
    output, _warnings = odoo(addons, "shell", "-d", database, stdin=LIVE)
    [line] = [line for line in output.splitlines() if "LIVE{" in line]
    return json.loads(line.partition("LIVE")[2])


@pytest.mark.parametrize("release", sorted(path.name for path in RELEASES.glob("*.tar.xz")))
def test_a_database_of_a_release_is_as_it_was(databases, release, tmp_path):
    with tarfile.open(RELEASES / release) as archive:
        archive.extractall(tmp_path)
    name = databases.empty()
    old, new = [tmp_path], [ROOT]
    odoo(old, "-d", name, "-i", "reseller_billing", "--stop-after-init")
    odoo(old, "shell", "-d", name, stdin=(RELEASES / "fill.py").read_text())
    facts, live = read_facts(name), read_live(old, name)
    covered, previews = psql(COVERED[0], name), psql(PREVIEWS, name)
    assert all(facts.values()), [what for what, value in facts.items() if not value]
    # Somebody is locked out, and somebody has something ahead.
    assert "locked" in json.dumps(live)
    assert live["payer"][2] > 0
    assert all(psql(before, name) for before in RENAMED)
    psql("ALTER TABLE ir_module_module SET (autovacuum_enabled = off)", name)
    assert odoo(new, "-d", name, "-u", "reseller_billing", "--stop-after-init")[1] == []
    assert read_facts(name) == facts
    assert (psql(COVERED[1], name), psql(PREVIEWS, name)) == (covered, previews)
    for after, wanted in RENAMED.values():
        assert psql(after, name) == wanted
    data = read_data(new, name)
    assert data["lost"] == []
    assert data == read_data(new, databases.clone())
    # Models that are no more have left nothing behind.
    mixins = psql("SELECT model FROM ir_model WHERE model LIKE 'reseller.%.mixin'", name)
    assert set(mixins.splitlines()) == {
        "reseller.client.part.mixin",
        "reseller.lockout.debtor.mixin",
        "reseller.lot.mixin",
        "reseller.price.part.mixin",
        "reseller.report.mixin",
        "reseller.usage.mapping.mixin",
        "reseller.work.mixin",
    }
    # All that there is is retail; what a reseller bills its clients itself is on paper, and nothing else.
    for table in ("price_rule", "statement", "charge"):
        books = psql(f"SELECT DISTINCT book FROM reseller_{table}", name)
        assert books == "retail", table
    papers = (
        "SELECT client.ref, bool_and(COALESCE(bill.is_paper, FALSE)),"
        " bool_and(charge.is_paper IS NOT DISTINCT FROM bill.is_paper),"
        " bool_and(COALESCE(bill.paper_total, 0) = CASE WHEN bill.is_paper THEN bill.amount_total ELSE 0 END)"
        " FROM reseller_statement bill JOIN reseller_client client ON client.id = bill.client_id"
        " JOIN reseller_charge charge ON charge.statement_id = bill.id"
        " WHERE bill.state != 'preview' GROUP BY client.ref ORDER BY client.ref"
    )
    assert psql(papers, name).splitlines() == [
        f"{ref}|{'t' if ref == 'paper' else 'f'}|t|t"
        for ref in ("closed", "owing", "paper", "payer", "trial")
    ]
    sold = "SELECT count(*) FROM reseller_charge WHERE kind = 'package' AND grant_units = 50"
    assert psql(sold, name) == "1"
    extra = "SELECT string_agg(last_date_invoiced::text, ',' ORDER BY id) FROM reseller_charge WHERE is_extra"
    assert psql(extra, name) == "2024-01-31,2024-02-29,2024-03-31"
    assert read_live(new, name) == live
    output, _warnings = odoo(new, "shell", "-d", name, stdin=BILL)
    # The 4,000 that came in after the run was prepared are on the next bill, as use of March: 100 are
    # included, 3,900 at 0.05 are 195.00, and March's minimum of 2.00 is reached by them.
    [late] = [line for line in output.splitlines() if "LATE [" in line]
    assert late.partition("LATE ")[2] == (
        "[('overage', 3900.0, 195.0, '2024-03-01'), ('minimum', -1.0, -2.0, '2024-03-01'),"
        " ('minimum', 1.0, 2.0, '2024-04-01')]"
    )
    billed = psql(
        "SELECT string_agg(client.ref || '=' || statement.amount_total, ',' ORDER BY client.id)"
        " FROM reseller_statement statement JOIN reseller_client client ON client.id = client_id"
        " WHERE statement.bill_date BETWEEN '2024-03-06' AND '2024-04-30'"
        " AND statement.state IN ('approved', 'invoiced')",
        name,
    )
    assert billed == previews
