import importlib.util
import json
from pathlib import Path

import pytest
from odoo.tests import tagged

from ..common_portal import PortalCommon

PHONE = "390x844"
# Runs axe-core in a frame of each width on each page, and tells what is serious.
CHECK = """
(async () => {
    const found = [];
    for (const width of [1200, 390]) {
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
            await new Promise((resolve, reject) => {
                const script = inner.document.createElement("script");
                script.onload = resolve;
                script.onerror = () => reject(new Error("axe-core could not be loaded"));
                script.src = "%s";
                inner.document.head.append(script);
            });
            const result = await inner.axe.run(inner.document, {
                iframes: false,
                resultTypes: ["violations"],
            });
            for (const one of result.violations) {
                if (["serious", "critical"].includes(one.impact)) {
                    found.push(`${path} at ${width}: ${one.id}: ${one.nodes.map((n) => n.html).slice(0, 3)}`);
                }
            }
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

    def authenticate(self, user, password, **kwargs):
        """Override of `HttpCase`: tours log in with the login as password."""
        if user and password == user:
            password = f"{user}-password"
        return super().authenticate(user, password, **kwargs)


@tagged("post_install", "-at_install")
class TestPortalTours(PortalTours):
    """On a desktop, with a check of what people need who cannot see or use a mouse."""

    def _check_pages(self, login, paths):
        """Run axe-core on pages, at both widths."""
        package = Path(importlib.util.find_spec("axe_playwright_python").origin).parent
        axe = self.env["ir.attachment"].create(
            {
                "name": "axe.min.js",
                "raw": (package / "axe.min.js").read_bytes(),
                "mimetype": "text/javascript",
                "public": True,
            }
        )
        code = CHECK % (json.dumps(paths), f"/web/content/{axe.id}")
        self.browser_js("/my", code, login=login, timeout=240)

    @pytest.mark.tour
    def test_a_resellers_pages_have_no_serious_barrier(self):
        self.reseller.write({"portal_use_api": True, "portal_set_cycles": True})
        client = f"/my/reseller/clients/{self.client_a.id}"
        statement = self.client_a.statement_ids.filtered("invoice_id")
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
            ],
        )


@tagged("post_install", "-at_install")
class TestPortalToursOnAPhone(PortalTours):
    """On a screen of 390 pixels, by touch."""

    browser_size = PHONE
    touch_enabled = True


del PortalTours
