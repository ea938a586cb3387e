"""Take the pictures of the documentation anew, from the demo database. See ./dev pictures."""

import argparse
import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request
from typing import NamedTuple

import demo
import odoo.tools
import websocket
from freezegun import freeze_time
from odoo import SUPERUSER_ID, api, fields
from odoo.modules.registry import Registry
from PIL import Image, ImageChops

# Seconds after which a page that has not come will not come.
PATIENCE = 180
CHROMIUM = (
    "chromium",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-allow-origins=*",
    "--remote-debugging-port=0",
)
# A form is there, and nothing is being loaded.
LOADED = "document.readyState === 'complete' && !document.querySelector('.o_loading_indicator')"
# All but what turns for ever has stopped.
STILL = (
    "[...document.images].every((one) => one.complete)"
    " && document.getAnimations().every((one) => one.playState !== 'running'"
    " || one.effect.getComputedTiming().iterations === Infinity)"
)
# A chart of the portal has its size once it is drawn.
DRAWN = "document.querySelector('.o_reseller_chart canvas')?.style.display === 'block'"
PREVIEW = "!!document.querySelector('.o_reseller_preview[srcdoc]')"
FORM = f"{LOADED} && !!document.querySelector('.o_form_view .o_form_sheet')"


class Picture(NamedTuple):
    """A page to be taken: who looks at it, what to wait for, what to click, and which part of it."""

    name: str
    path: str
    login: str = "admin"
    width: int = 1280
    height: int = 900
    ready: str = LOADED
    clicks: tuple[str, ...] = ()
    #: selectors whose common rectangle is taken, with @ and a number where they match several; the
    #: whole window where there are none
    parts: tuple[str, ...] = ()


class Browser:
    """A headless Chromium, by its DevTools protocol."""

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp())
        self.process = subprocess.Popen(
            [*CHROMIUM, f"--user-data-dir={self.home}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = self.home / "DevToolsActivePort"
        self.wait(lambda: port_file.exists() and port_file.read_text().count("\n"))
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(one for one in json.load(answer) if one["type"] == "page")
        self.socket = websocket.create_connection(page["webSocketDebuggerUrl"], timeout=PATIENCE)
        self.number = 0

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def wait(condition, what="the browser"):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} does not come")
            time.sleep(0.1)  # between two looks at it

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def run(self, script):
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        return result["result"].get("value")

    def go(self, url, ready):
        self.run("document.documentElement.dataset.left = 1")
        self.call("Page.navigate", url=url)
        self.wait(lambda: self.run(f"!document.documentElement.dataset.left && ({ready})"), url)

    def log_in(self, address, name):
        """Log in as somebody of the demo data, whose password is the name."""
        self.go(f"{address}/web/session/logout", LOADED)
        self.go(f"{address}/web/login", "!!document.querySelector('input#password')")
        self.run(
            f"document.querySelector('input#login').value = '{name}';"
            f"document.querySelector('input#password').value = '{name}';"
            "document.querySelector('form.oe_login_form').submit()"
        )
        self.wait(
            lambda: self.run(f"!location.pathname.startsWith('/web/login') && ({LOADED})"),
            "the page after the login",
        )

    def click(self, selector):
        place = f"document.querySelector({json.dumps(selector)})"
        self.wait(lambda: self.run(f"!!{place}"), selector)
        self.run(f"{place}.click()")

    def settle(self):
        """Wait until what was clicked is drawn, pictures are there and nothing moves any more."""
        self.run("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        self.wait(lambda: self.run(f"({LOADED}) && ({STILL})"), "a page at rest")

    def shoot(self, picture):
        """Return a part of the page as PNG."""
        clip = {}
        if picture.parts:
            box = self.run(
                f"""(() => {{
                    const boxes = {json.dumps(picture.parts)}.map((part) => {{
                        const [selector, number] = part.split("@");
                        const found = document.querySelectorAll(selector);
                        return found[number || 0].getBoundingClientRect();
                    }});
                    const x = Math.min(...boxes.map((one) => one.left)) + window.scrollX;
                    const y = Math.min(...boxes.map((one) => one.top)) + window.scrollY;
                    return {{x, y,
                        width: Math.max(...boxes.map((one) => one.right)) + window.scrollX - x,
                        height: Math.max(...boxes.map((one) => one.bottom)) + window.scrollY - y}};
                }})()"""
            )
            clip = {"clip": {**box, "scale": 1}}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, **clip)
        return base64.b64decode(shot["data"])


def prepare(env):
    """Leave a run to approve, a file that was checked, and one whose rows were rejected in part; return
    what pictures are taken of.
    """
    today = fields.Date.today()
    following = fields.Date.add(today, months=1, day=3)
    with freeze_time(f"{following} 12:00:00"):
        run = env["reseller.billing.run"].create({"date": following, "is_reviewed": True})
        run.action_start()
        while run._process_batch():
            env.cr.commit()
    rows = ["Kunde;Leistung;Datum;Menge;Kampagne"]
    for number in range(60):
        day = fields.Date.subtract(today, days=number % 20)
        client = ("BW-001", "BW-002", "LH-001", "BW-0O3")[number % 4]
        feature = "smss" if number == 6 else "lead" if client == "LH-001" else "sms"
        quantity = "12.5 (?)" if number == 8 else f"{100 + number * 12.5:.1f}".replace(".", ",")
        rows.append(f"{client};{feature};{day:%d.%m.%Y} 08:15;{quantity};Herbst")
    content = base64.b64encode("\n".join(rows).encode())
    imports = env["reseller.usage.import"]
    checked = imports.create(
        {"file": content, "filename": "gateway.csv", "time_format": "dmy", "decimal_sign": "comma"}
    )
    checked._read_columns(True)  # as choosing the file does
    for column in checked.column_ids:
        targets = {"Kunde": "client", "Leistung": "feature", "Datum": "time", "Menge": "quantity"}
        if column.name in targets:
            column.target = targets[column.name]
    checked.action_check()
    env["reseller.usage.line"].ingest(
        [
            {
                "id": f"{client}-{number}",
                "source": "gateway",
                "client": client,
                "feature": "sms",
                "time": f"{fields.Date.subtract(today, days=number)}T08:15:00Z",
                "quantity": 750 - 12 * number,
            }
            for client in ("BW-0O3", "LH-01")
            for number in range(8)
        ]
    )
    env.cr.commit()
    return run, checked


def list_pictures(env, run, checked):
    """Return the Pictures, in the order in which they are taken."""

    def form(action, record, **values):
        path = f"/odoo/action-reseller_billing.{action}/{record.id}"
        return {"path": path, "ready": FORM, **values}

    def page(name):
        return (f".o_notebook a[name='{name}']",)

    harper, seaside = (env.ref(f"reseller_billing.client_{name}") for name in ("harper", "seaside"))
    sms, tiers, limited = (
        env.ref(f"reseller_billing.rule_{name}") for name in ("sms_gold", "sms", "page_generator")
    )
    reseller = harper.reseller_id
    buyer = env.ref("reseller_billing.reseller_textline").buyer_id
    notebook = ".o_notebook"
    clients = "/my/reseller/clients"
    groups = ".o_form_sheet .o_inner_group"
    options = {
        "fee": (sms, f"{groups}@2"),
        "free": (sms, f"{groups}@3"),
        "use": (tiers, f"{groups}@4", notebook),
        "limits": (limited, f"{groups}@6"),
    }
    return [
        Picture(
            "dashboard",
            "/odoo/action-reseller_billing.reseller_dashboard_action",
            width=1440,
            height=830,
            ready=f"{LOADED} && !!document.querySelector('canvas')",
        ),
        *(
            Picture(
                f"client-{name}",
                # High enough, so that the form does not scroll.
                **form(
                    "reseller_client_action",
                    client,
                    height=2600,
                    clicks=page(name),
                    parts=(notebook,),
                ),
            )
            for name, client in (
                ("overview", harper),
                ("prices", harper),
                ("money", seaside),
            )
        ),
        Picture("price-form", **form("reseller_price_rule_action", sms, width=1050, height=1180)),
        *(
            Picture(
                f"price-{name}",
                **form(
                    "reseller_price_rule_action", rule, width=1100, height=1600, parts=tuple(parts)
                ),
            )
            for name, (rule, *parts) in options.items()
        ),
        Picture("run-review", **form("reseller_billing_run_action", run, width=1100, height=780)),
        Picture("usage-file", **form("reseller_usage_import_action", checked, height=890)),
        Picture(
            "repair",
            "/odoo/action-reseller_billing.reseller_usage_rejection_action",
            height=560,
            ready=f"{LOADED} && !!document.querySelector('.o_group_header')",
            clicks=(".o_group_header",),
        ),
        Picture("portal-clients", clients, "bluewave", 1100, 560),
        Picture(
            "portal-reporting",
            f"/my/reseller/report?first={fields.Date.subtract(run.date.replace(day=1), months=2)}&compare=1",
            "bluewave",
            1100,
            1080,
            ready=f"{LOADED} && !!document.querySelector('canvas')",
        ),
        Picture("portal-billing", f"{clients}/{harper.id}/billing", "bluewave", 1100, 1000),
        Picture(
            "portal-brand",
            f"/my/reseller/{reseller.id}/brand",
            "bluewave",
            1100,
            900,
            # Its preview is made by a request of its own.
            ready=f"{LOADED} && {PREVIEW}",
        ),
        Picture("portal-pays", f"/my/service/{buyer.id}", "textline", 1100, 900),
        Picture(
            "portal-margin",
            f"/my/reseller/margin?month={fields.Date.subtract(run.date.replace(day=1), months=3)}",
            "textline",
            1100,
            1180,
            ready=f"{LOADED} && !!document.querySelector('canvas')",
        ),
        Picture("portal-client", f"/my/service/{harper.id}/prepaid", "harper", 1100, 760),
        Picture("locked-portal", "/my/home", "umzug", 1100, 560),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    odoo.tools.config.parse_config(["-d", arguments.database, "--log-level", "error"])
    env = api.Environment(Registry(arguments.database).cursor(), SUPERUSER_ID, {})
    pictures = list_pictures(env, *prepare(env))
    # Odoo's server limits the memory of its processes to less than a browser asks for.
    browser = Browser()
    try:
        with demo.web_server(env):
            print_pictures(env, arguments)
            take(browser, env["ir.config_parameter"].get_param("report.url"), pictures, arguments)
    finally:
        browser.close()


def print_pictures(env, arguments):
    """Take the pictures of what is printed: a statement, and the usage behind an invoice."""
    harper = env.ref("reseller_billing.client_harper")
    statement = harper.statement_ids.filtered(lambda one: one.kind == "cycle" and one.invoice_id)
    statement = statement.sorted("bill_date")[-1:]
    for name, report, record, page in (
        ("statement", "reseller_billing.action_report_statement", statement, 0),
        ("invoice-usage", "account.account_invoices", statement.invoice_id, -1),
    ):
        if arguments.names and name not in arguments.names:
            continue
        content, _type = env["ir.actions.report"]._render_qweb_pdf(report, record.ids)
        with tempfile.TemporaryDirectory() as folder:
            command = ["pdftoppm", "-r", "80", "-png", "-", f"{folder}/page"]
            subprocess.run(command, input=content, check=True)
            pages = sorted(pathlib.Path(folder).iterdir())
            with Image.open(pages[page]) as image:
                white = Image.new(image.mode, image.size, (255, 255, 255))
                left, top, right, bottom = ImageChops.difference(image, white).getbbox()
                image.crop((left - 10, top - 10, right + 10, bottom + 10)).save(
                    arguments.out / f"{name}.png"
                )
        print(f"==> {name}", flush=True)


def take(browser, address, pictures, arguments):
    """Take pictures, all or those that are asked for."""
    who = None
    for picture in pictures:
        if arguments.names and picture.name not in arguments.names:
            continue
        if picture.login != who:
            who = picture.login
            browser.log_in(address, who)
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=picture.width,
            height=picture.height,
            deviceScaleFactor=1,
            mobile=False,
        )
        browser.go(address + picture.path, picture.ready)
        for click in picture.clicks:
            browser.click(click)
        browser.settle()
        (arguments.out / f"{picture.name}.png").write_bytes(browser.shoot(picture))
        print(f"==> {picture.name}", flush=True)


if __name__ == "__main__":
    main()
