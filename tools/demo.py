"""Bill a fresh database from start to end, print a summary and write the PDFs. See ./dev demo."""

import argparse
import base64
import pathlib
import socket
import time
from collections import Counter
from contextlib import contextmanager

import odoo.http
import odoo.tools
from freezegun import freeze_time
from odoo import SUPERUSER_ID, api, fields
from odoo.modules.registry import Registry
from odoo.service.server import ThreadedServer, load_server_wide_modules


class Stages:
    """Times the stages of the job, in seconds."""

    def __init__(self, **seconds):
        self.seconds = dict(seconds)

    def run(self, name, function, *arguments):
        print(f"==> {name}", flush=True)
        began = time.monotonic()
        result = function(*arguments)
        self.seconds[name] = time.monotonic() - began
        return result


def import_file(env, path):
    """Take a FOCUS file in, with resellers, clients, features and list prices made from it."""
    wizard = env["reseller.usage.import"].create(
        {
            "file": base64.b64encode(path.read_bytes()),
            "filename": path.name,
            "create_missing": True,
            "create_prices": True,
        }
    )
    wizard.action_import()
    env.cr.commit()
    return Counter(accepted=wizard.accepted, duplicates=wizard.duplicates, rejected=wizard.rejected)


def count_demo(env):
    counts = Counter()
    counts["accepted"] = env["reseller.usage.line"].search_count([])
    counts["rejected"] = env["reseller.usage.rejection"].search_count([])
    return counts


def pay(env, invoice, day):
    """Pay an invoice, or an offer under its reference, by the bank on a day."""
    with freeze_time(f"{day} 12:00:00"):
        payment = env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": invoice.commercial_partner_id.id,
                "amount": invoice.amount_residual,
                "currency_id": invoice.currency_id.id,
                "journal_id": env["account.journal"].search([("type", "=", "bank")], limit=1).id,
                "memo": invoice._get_document_name(),
                "date": day,
            }
        )
        payment.action_post()
        if invoice._is_pro_forma():
            env["reseller.offer.payment"].create({"invoice_id": invoice.id}).action_take()
        else:
            lines = (payment.move_id | invoice).line_ids
            lines.filtered(
                lambda line: (
                    line.account_id.account_type == "asset_receivable" and not line.reconciled
                )
            ).reconcile()


def sell_ahead(env):
    """Sell a package and a top-up to clients of the demo data on their first day, and have them paid."""
    env.company._create_reseller_accounts()
    for client, product, quantity in (
        ("client_oakfield", "product_sms_500", 2),
        ("client_harper", "product_sms_500", 4),
        ("client_harper", "product_top_up", 5),
    ):
        client = env.ref(f"reseller_billing.{client}")
        product = env.ref(f"reseller_billing.{product}")
        day = min(client.membership_ids.mapped("date_from"))
        with freeze_time(f"{day} 10:00:00"):
            item = env["reseller.manual.charge"].create(
                {
                    "client_id": client.id,
                    "product_id": product.id,
                    "name": product.name,
                    "date": day,
                    "quantity": quantity,
                    "unit_price": product.list_price,
                }
            )
            item.action_bill_now()
        pay(env, item.statement_id.invoice_id, day)
    env.cr.commit()


def pay_bills(env, runs):
    """Have all pay the day after the invoice but for one, which is locked out as its policy says."""
    owing = env.ref("reseller_billing.client_umzug")
    for statement in runs.statement_ids.sorted("bill_date"):
        invoice = statement.invoice_id
        if (
            statement.client_id != owing
            and invoice.amount_residual
            and invoice.move_type == "out_invoice"
        ):
            pay(env, invoice, fields.Date.add(invoice.invoice_date, days=1))
    env["reseller.lockout"]._evaluate(env["reseller.client"].search([]))
    env.cr.commit()


def bill(env, date):
    """Run the billing month by month up to a date, batch by batch, and return the runs."""
    runs = env["reseller.billing.run"]
    [[first]] = env["reseller.client"]._read_group(
        [("state", "=", "active")], [], ["next_bill_date:min"]
    )
    days = []
    day = min(first or date, date)
    while day < date:
        days.append(day)
        day = fields.Date.add(day, months=1)
    for day in [*days, date]:
        run = runs.create({"date": day})
        run.action_start()
        env.cr.commit()
        while run._process_batch():
            env.cr.commit()
        env.cr.commit()
        runs |= run
    return runs


def last_bill_date(env):
    """Return the date up to which all that has been used is billed."""
    env.cr.execute("SELECT max(billing_date) FROM reseller_usage_daily")
    last = env.cr.fetchone()[0]
    following = fields.Date.add(last, months=1, day=1)
    return min(following, fields.Date.today())


@contextmanager
def web_server(env):
    """Serve style sheets and pictures to wkhtmltopdf, on a free port, while reports are printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    odoo.tools.config["http_port"] = port
    load_server_wide_modules()
    server = ThreadedServer(odoo.http.root)
    server.start(stop=False)
    settings = env["ir.config_parameter"]
    settings.set_param("report.url", f"http://127.0.0.1:{port}")
    env.cr.commit()
    try:
        yield
    finally:
        settings.search([("key", "=", "report.url")]).unlink()
        env.cr.commit()
        server.stop()


def write_pdfs(env, runs, out):
    """Write each account's newest statement and invoice, and all statements as one file."""
    reports = env["ir.actions.report"]
    statements = runs.statement_ids.sorted("bill_date")
    newest = {statement.client_id: statement for statement in statements if statement.charge_ids}
    shown = env["reseller.statement"].concat(*list(newest.values())[:8])
    written = 0
    for statement in shown:
        pairs = [("statement", "reseller_billing.action_report_statement", statement)]
        if statement.invoice_id:
            pairs.append(("invoice", "account.account_invoices", statement.invoice_id))
        for kind, report, record in pairs:
            name = f"{kind}-{record.name}.pdf".replace("/", "-")
            content, _type = reports._render_qweb_pdf(report, record.ids)
            (out / name).write_bytes(content)
            written += 1
    content, _type = reports._render_qweb_pdf("reseller_billing.action_report_statement", shown.ids)
    (out / "statements.pdf").write_bytes(content)
    env.cr.commit()
    return written + 1


def report(env, runs, counts, stages, written, out):
    invoices = runs.statement_ids.invoice_id
    totals = Counter()
    for invoice in invoices:
        sign = -1 if invoice.move_type == "out_refund" else 1
        totals[invoice.currency_id.name] += sign * invoice.amount_total
    rows = [
        ("resellers", env["reseller.reseller"].search_count([])),
        ("clients", env["reseller.client"].search_count([])),
        ("events taken", counts["accepted"]),
        ("events duplicate", counts["duplicates"]),
        ("events rejected", counts["rejected"]),
        ("statements", len(runs.statement_ids)),
        ("accounts parked", sum(runs.mapped("parked_count"))),
        ("invoices posted", len(invoices.filtered(lambda one: one.state == "posted"))),
        *((f"invoiced, {name}", f"{total:,.2f}") for name, total in sorted(totals.items())),
        *((f"seconds: {name}", f"{took:.1f}") for name, took in stages.seconds.items()),
        ("PDF files written", written),
    ]
    width = max(len(name) for name, _value in rows)
    print()
    for name, value in rows:
        print(f"  {name:{width}}  {value:>14}")
    for line in runs.parked_line_ids[:5]:
        print(f"  parked: {line.client_id.display_name}: {line.reason}")
    print(f"\n  the PDFs are in {out}\n", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--installed", type=float, required=True)
    parser.add_argument("--usage", type=pathlib.Path)
    arguments = parser.parse_args()
    odoo.tools.config.parse_config(["-d", arguments.database, "--log-level", "warn"])
    stages = Stages(install=arguments.installed)
    env = api.Environment(Registry(arguments.database).cursor(), SUPERUSER_ID, {})
    if arguments.usage:
        counts = stages.run("taking the usage in", import_file, env, arguments.usage)
    else:
        counts = count_demo(env)
        stages.run("selling ahead", sell_ahead, env)
    runs = stages.run("billing", bill, env, last_bill_date(env))
    if not arguments.usage:
        stages.run("payments", pay_bills, env, runs)
    # Stopping the web server closes the database: the report comes before.
    with web_server(env):
        written = stages.run("printing", write_pdfs, env, runs, arguments.out)
        report(env, runs, counts, stages, written, arguments.out)
        parked = sum(runs.mapped("parked_count"))
    raise SystemExit(1 if parked else 0)


if __name__ == "__main__":
    main()
