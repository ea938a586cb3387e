"""Install, upgrade twice, remove with data in it: clean logs, nothing left behind."""

import os
import re
import subprocess
import sys
import textwrap

import pytest
from databases import ROOT, psql

pytestmark = pytest.mark.install

NOISE = re.compile(r"Running as user 'root'|^<string>:\d+:|^\s*$")


def odoo(*arguments, stdin=None):
    """Run Odoo's command line; return what it logs at warning level and above."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "odoo", *arguments, "--log-level", "warn"],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "ODOO_RC": str(ROOT / "var" / "odoo.conf")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if not NOISE.search(line)]


# Gives every table of the addon a row: of what its columns must have, and a first row of each other
# table that they name.
FILL = """
def fill_empty_tables():
    cr = env.cr
    tables = [
        env[name]._table for name in env.registry if name.startswith("reseller.") and env[name]._auto
        and not env[name]._abstract
    ]
    kinds = {"integer": "1", "numeric": "1", "double precision": "1", "boolean": "false",
             "date": "now()", "timestamp without time zone": "now()", "jsonb": "'{}'"}
    for _round in range(len(tables)):
        empty = []
        for table in tables:
            cr.execute(f"SELECT 1 FROM {table} LIMIT 1")
            if cr.fetchone():
                continue
            empty.append(table)
            cr.execute(
                '''
                SELECT col.attname, format_type(col.atttypid, NULL), key.confrelid::regclass::text,
                       col.attnotnull
                  FROM pg_attribute col
                  LEFT JOIN pg_constraint key
                    ON key.conrelid = col.attrelid AND key.contype = 'f'
                   AND key.conkey = ARRAY[col.attnum]
                 WHERE col.attrelid = %s::regclass AND col.attnum > 0 AND NOT col.attisdropped
                   AND (col.attnotnull OR key.oid IS NOT NULL) AND col.attname != 'id'
                ''', [table])
            found = cr.fetchall()
            # A row may name one of several parents alone.
            spare = [name for name, _kind, _parent, needed in found if not needed]
            for without in [set(), *({name} for name in spare), set(spare)]:
                columns = {
                    name: f"(SELECT min(id) FROM {parent})" if parent else kinds.get(kind, "'draft'")
                    for name, kind, parent, _needed in found
                    if name not in without
                }
                cr.execute("SAVEPOINT one")
                try:
                    cr.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
                               f"({', '.join(columns.values())})", log_exceptions=False)
                    break
                except Exception as error:
                    cr.execute("ROLLBACK TO SAVEPOINT one")
                    last = table, str(error)
        if not empty:
            return
    raise AssertionError((empty, last))
"""


def test_the_cycle_of_an_addon(databases):
    name = databases.empty()
    assert odoo("-d", name, "-i", "reseller_billing", "--with-demo", "--stop-after-init") == []
    # Odoo does not wait for the lock that vacuuming may hold for a moment.
    psql("ALTER TABLE ir_module_module SET (autovacuum_enabled = off)", name)
    # What somebody has deleted does not come back.
    kept = "SELECT count(*) FROM reseller_feature WHERE code = 'mobile_website'"
    assert psql(kept, name) == "1"
    psql("DELETE FROM reseller_feature WHERE code = 'mobile_website'", name)
    for _time in range(2):
        assert odoo("-d", name, "-u", "reseller_billing", "--stop-after-init") == []
    assert psql(kept, name) == "0"
    code = """
        run = env["reseller.billing.run"].create({"date": "2100-01-01"})
        run.action_start()
        while run._process_batch():
            pass
        assert run.statement_ids and not run.parked_line_ids
        env.flush_all()
        fill_empty_tables()
        env.cr.commit()
        env["ir.module.module"].search([("name", "=", "reseller_billing")]).button_immediate_uninstall()
    """
    assert odoo("shell", "-d", name, stdin=FILL + textwrap.dedent(code)) == []
    leftovers = {
        "tables": "SELECT count(*) FROM pg_class WHERE relname LIKE 'reseller%'",
        "columns": "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE '%reseller%'",
        "models": "SELECT count(*) FROM ir_model WHERE model LIKE 'reseller.%'",
        "data": "SELECT count(*) FROM ir_model_data WHERE module = 'reseller_billing'",
        "scheduled actions": "SELECT count(*) FROM ir_act_server WHERE name::text LIKE '%Reseller Billing%'",
        "contract lines due": "SELECT count(*) FROM contract_contract WHERE generation_type = 'reseller'",
    }
    assert {what: psql(sql, name) for what, sql in leftovers.items()} == dict.fromkeys(
        leftovers, "0"
    )
    # The books stay.
    assert int(psql("SELECT count(*) FROM account_move WHERE state = 'posted'", name)) > 0
