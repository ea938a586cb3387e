import importlib.util
import json
from pathlib import Path

import pytest
from odoo.tests import tagged

from ..common_portal import PortalCommon

PHONE = "390x844"
# Runs axe-core in a frame of each width on each page, and tells what is serious.
CHECK = """
// Has all that can be pointed at look as if it were, by the page's own rules.
function hover(page) {
    for (const sheet of page.styleSheets) {
        const rules = [...sheet.cssRules].filter((rule) => rule.selectorText?.includes(":hover"));
        for (const rule of rules) {
            const selector = rule.selectorText.replaceAll(":hover", ".rb_hovered");
            sheet.insertRule(`${selector} { ${rule.style.cssText} }`, sheet.cssRules.length);
        }
    }
    for (const one of page.querySelectorAll("a, button, .btn, input, select")) {
        one.classList.add("rb_hovered");
        one.style.transition = "none";
    }
}
// WCAG 2: (lighter + 0.05) / (darker + 0.05) of relative luminances, with filters of brightness counted.
function getContrast(page, one) {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const style = page.getComputedStyle(one);
    if (!one.textContent.trim() || !one.getClientRects().length) {
        return null;
    }
    let holder = one;
    let back = parse(style.backgroundColor);
    while ((back[3] === 0 || holder === null) && holder.parentElement) {
        holder = holder.parentElement;
        back = parse(page.getComputedStyle(holder).backgroundColor);
    }
    if (back[3] === 0) {
        back = [255, 255, 255];
    }
    const bright = parseFloat(/brightness\\(([\\d.]+)\\)/.exec(style.filter)?.[1] ?? "1");
    const luminance = (color, factor) => {
        const [red, green, blue] = color.slice(0, 3).map((value) => {
            const part = (value * factor) / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const pair = [
        luminance(parse(style.color), bright),
        luminance(back, holder === one ? bright : 1),
    ].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
}
(async () => {
    const found = [];
    for (const width of [1440, 390]) {
        for (const path of %s) {
            const frame = document.createElement("iframe");
            frame.style.cssText = `width: ${width}px; height: 900px; border: 0`;
            document.body.replaceChildren(frame);
            await new Promise((resolve) => { frame.onload = resolve; frame.src = path; });
            await new Promise((resolve) => setTimeout(resolve, 300));
            const inner = frame.contentWindow;
            const measure = (when) => {
                if (inner.document.documentElement.scrollWidth > width) {
                    const wide = [...inner.document.querySelectorAll("body *")].filter(
                        (one) => one.getBoundingClientRect().right > width + 1
                    );
                    const name = wide.at(-1)?.outerHTML.slice(0, 120);
                    found.push(`${path} at ${width}, ${when}: wider than the screen: ${name}`);
                }
            };
            measure("as it is");
            // What axe-core does not see: a button below the pointer, and one that is pressed.
            for (const button of inner.document.querySelectorAll(".o_reseller_primary")) {
                const style = inner.getComputedStyle(button);
                for (const state of ["hover", "active", "disabled"]) {
                    const [back, text] = ["bg", "color"].map((one) =>
                        style.getPropertyValue(`--btn-${state}-${one}`).trim()
                    );
                    if (!back || !text || back === text) {
                        found.push(`${path}: a button has no colours in the state ${state}`);
                    }
                }
            }
            // Who goes by the keyboard sees where.
            for (const one of inner.document.querySelectorAll(
                ".o_reseller_page :is(a, button, input, select, textarea):not([type=hidden], [disabled])"
            )) {
                one.focus({ focusVisible: true, preventScroll: true });
                if (inner.document.activeElement === one) {
                    const width_ = parseFloat(inner.getComputedStyle(one).outlineWidth);
                    if (!(width_ >= 3)) {
                        found.push(`${path}: no ring at ${one.outerHTML.slice(0, 80)}`);
                        break;
                    }
                }
            }
            for (const button of inner.document.querySelectorAll(".o_reseller_action")) {
                const box = button.getBoundingClientRect();
                if (Math.min(box.width, box.height) < 32) {
                    found.push(`${path} at ${width}: ${button.title} is ${box.width} x ${box.height}`);
                }
            }
            // Text of twice the size.
            inner.document.documentElement.style.fontSize = "200%%";
            measure("text of twice the size");
            inner.document.documentElement.style.fontSize = "";
            // Within the page: who is locked out loads nothing else.
            const script = inner.document.createElement("script");
            script.textContent = %s;
            inner.document.head.append(script);
            const result = await inner.axe.run(inner.document, {
                iframes: false,
                resultTypes: ["violations"],
            });
            const tell = (when, violations) => {
                for (const one of violations) {
                    if (["serious", "critical"].includes(one.impact)) {
                        const html = one.nodes.map((n) => n.html).slice(0, 3);
                        found.push(`${path} at ${width}, ${when}: ${one.id}: ${html}`);
                    }
                }
            };
            tell("as it is", result.violations);
            hover(inner.document);
            for (const one of inner.document.querySelectorAll(".btn, .nav-link, .page-link")) {
                const ratio = getContrast(inner, one);
                if (ratio && ratio < 4.5) {
                    const html = one.outerHTML.slice(0, 120);
                    found.push(`${path} at ${width}, below the pointer: contrast ${ratio.toFixed(2)}: ${html}`);
                }
            }
            const hovered = await inner.axe.run(inner.document, {
                iframes: false,
                resultTypes: ["violations"],
            });
            tell("below the pointer", hovered.violations);
        }
    }
    if (found.length) { console.error(found.join("\\n")); } else { console.log("test successful"); }
})();
"""


class PortalTours(PortalCommon):
    """A reseller's and a client's day, in Chromium."""

    @pytest.mark.tour
    def test_a_reseller_keeps_its_clients(self):
        self.start_tour("/my", "reseller_billing.portal_reseller", login="R1")
        self.assertFalse(
            self.env["reseller.client"]
            .with_context(active_test=False)
            .search([("ref", "=", "R1-0001")])
        )
        self.assertEqual(
            self.group._find_price(self.feature, self.reseller._today()).unit_price, 0.9
        )
        self.assertEqual(self.reseller.statement_header, "Messaging for everybody")
        log = self.env["reseller.login"].search([])
        self.assertEqual((log.client_id, log.end_cause), (self.client_a, "returned"))

    @pytest.mark.tour
    def test_a_client_buys_ahead_and_saves_its_card(self):
        self.package.write({"reseller_in_portal": True, "lst_price": 50})
        self.client_a.wallet_use = "always"
        demo_sudo = self.env.ref("payment.payment_provider_demo").sudo()  # another company's
        demo_sudo.copy(
            {
                "company_id": self.company.id,
                "state": "test",
                "is_published": True,
                "allow_tokenization": True,
            }
        )
        self.start_tour("/my", "reseller_billing.portal_client", login="A")
        lot = self.client_a.prepaid_lot_ids
        self.assertEqual((lot.state, lot.granted, lot.cost), ("open", 100, 50))
        token_sudo = self.client_a.payment_token_id.sudo()  # of its own user
        self.assertEqual(token_sudo.partner_id, self.client_a.partner_id)
        self.assertEqual(
            (self.client_a.collection_timing, self.client_a.refill_by, self.client_a.refill_amount),
            ("due", "card", 25),
        )


@tagged("post_install", "-at_install")
class TestPortalTours(PortalTours):
    """On a desktop, with a check of what people need who cannot see or use a mouse."""

    def _check_pages(self, login, paths):
        """Run axe-core on pages, at both widths."""
        package = Path(importlib.util.find_spec("axe_playwright_python").origin).parent
        axe = (package / "axe.min.js").read_text()
        code = CHECK % (json.dumps(paths), json.dumps(axe))
        self.browser_js("/my", code, login=login, timeout=240)

    @pytest.mark.tour
    def test_a_resellers_pages_have_no_serious_barrier(self):
        self.reseller.write({"portal_use_api": True, "portal_set_cycles": True})
        commission = self._create_commissions()[self.reseller]
        # Names and sums as long as they come.
        word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
        for record in (self.reseller.partner_id, self.client_a.partner_id, self.group):
            record.name = f"{word} mbH & Co. KG"
        self.feature.name = "Verbrauchsabhängige Kurznachrichtenzustellungsbestätigungen"
        self._use("2024-02-05", 123456789.123456, properties={"blast": word})
        for number in range(8):
            self._use("2024-02-05", 1, self._create_feature(f"more{number}").code)
        self._run("2024-05-01")
        client = f"/my/reseller/clients/{self.client_a.id}"
        statement = self.client_a.statement_ids.filtered("invoice_id")[:1]
        self._check_pages(
            "R1",
            [
                "/my/reseller",
                "/my/reseller/clients",
                "/my/reseller/clients?search=nobody",
                "/my/reseller/clients/new",
                client,
                f"{client}/report?first=2024-01-01&last=2024-01-31&feature={self.feature.id}",
                f"{client}/billing",
                f"{client}/why/{statement.charge_ids[0].id}",
                f"{client}/delete",
                f"{client}/login",
                f"{client}/prices/{self.feature.id}",
                "/my/reseller/groups",
                f"/my/reseller/groups/{self.group.id}",
                f"/my/reseller/{self.reseller.id}/brand",
                f"/my/reseller/{self.reseller.id}/api",
                "/my/reseller/statements?filterby=2024-02",
                "/my/reseller/earned",
                f"/my/reseller/earned/{commission.id}",
                "/my/reseller/report?first=2024-01-01&last=2024-02-29&compare=1",
                "/my/reseller/report?first=2024-02-01&last=2024-02-29&by=client&measure=money",
                "/my/reseller/report?first=2024-02-01&last=2024-02-29&by=property:blast",
                f"/my/reseller/groups/{self.group.id}/prices/{self.feature.id}",
            ],
        )

    @pytest.mark.tour
    def test_a_buyers_pages_have_no_serious_barrier(self):
        buyer = self._have_reseller_buy(self.reseller)
        client = f"/my/reseller/clients/{self.client_a.id}"
        self._check_pages(
            "R1",
            [
                "/my/reseller/margin",
                client,
                f"{client}/billing",
                f"{client}/prices/{self.feature.id}",
                f"/my/service/{buyer.id}",
            ],
        )

    @pytest.mark.tour
    def test_a_clients_pages_have_no_serious_barrier(self):
        self.package.reseller_in_portal = True
        self._create_client("A5", partner=self.client_a.partner_id)
        statement = self.client_a.statement_ids.filtered("invoice_id")
        self._check_pages(
            "A",
            [
                "/my/service",
                f"/my/service/{self.client_a.id}/why/{statement.charge_ids[0].id}",
                f"/my/service/{self.client_a.id}",
                f"/my/service/{self.client_a.id}/report?first=2024-01-01&last=2024-01-31",
                f"/my/service/{self.client_a.id}/statements",
                f"/my/service/{self.client_a.id}/prepaid",
                f"/my/service/{self.client_a.id}/pay",
            ],
        )

    @pytest.mark.tour
    def test_the_page_of_who_is_locked_out_has_no_serious_barrier(self):
        self.reseller.lockout_policy_id = self.env.ref("reseller_billing.lockout_policy_client")
        lockouts = self.env["reseller.lockout"].sudo()  # as the scheduled action
        lockouts._evaluate(self.client_a)
        self.assertEqual(self.client_a.lockout_state, "locked")
        self._check_pages("A", ["/my/reseller_billing/owed", f"/my/service/{self.client_a.id}/pay"])


@tagged("post_install", "-at_install")
class TestPortalToursOnAPhone(PortalTours):
    """On a screen of 390 pixels, by touch."""

    browser_size = PHONE
    touch_enabled = True


del PortalTours
