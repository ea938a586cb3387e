import { registry } from "@web/core/registry";

// A reseller's and a client's day in any language: nothing is found by its words.
const go = (content, trigger) => ({ content, trigger, run: "click", expectUnloadPage: true });
const see = (content, trigger) => ({ content, trigger });
const fill = (name, text) => ({ content: `Fill in ${name}`, trigger: `[name='${name}']`, run: `edit ${text}` });

/** The page runs as its language is written, and so do its styles. */
const looksRight = {
    content: "Styles run as the language does",
    trigger: ".o_reseller_page",
    run() {
        const direction = document.documentElement.dir || getComputedStyle(document.body).direction;
        const probe = document.createElement("div");
        probe.className = "float-start";
        document.body.append(probe);
        const side = getComputedStyle(probe).float;
        probe.remove();
        const expected = direction === "rtl" ? "right" : "left";
        if (side !== expected) {
            throw new Error(`The language runs ${direction}, and styles as if it began ${side}: is rtlcss there?`);
        }
    },
};

registry.category("web_tour.tours").add("reseller_billing.any_language_reseller", {
    steps: () => [
        go("From the portal's home", ".o_portal_docs a[href*='/my/reseller']"),
        looksRight,
        go("To the clients", ".o_reseller_tabs a[href$='/my/reseller/clients']"),
        go("A new one", "a[href$='/my/reseller/clients/new']"),
        fill("name", "Harbour Dental"),
        go("Create it", ".o_reseller_client_form button[type=submit].o_reseller_primary"),
        see("It is there", "h1:contains('Harbour Dental'):contains('R1-000')"),
        go("Reporting", ".o_reseller_actions a[href$='/report']"),
        see("The report", "input[name=first]"),
        go("Billing", ".o_reseller_actions a[href$='/billing']"),
        go("Statements", ".o_reseller_tabs a[href$='/my/reseller/statements']"),
        see("January's bills are there", "tr:contains('A/2024-02-01')"),
        looksRight,
        go("Groups", ".o_reseller_tabs a[href$='/my/reseller/groups']"),
        go("Gold", "a:contains('Gold')"),
        go("A price", "a[href*='/prices/']"),
        see("Its form", "[name='unit_price']"),
        go("Design", ".o_reseller_tabs a[href$='/brand']"),
        see("The preview", ".o_reseller_preview"),
    ],
});

registry.category("web_tour.tours").add("reseller_billing.any_language_client", {
    steps: () => [
        go("From the portal's home", ".o_portal_docs a[href*='/my/service']"),
        looksRight,
        go("What is used", ".o_reseller_tabs a[href$='/report']"),
        go("Statements", ".o_reseller_tabs a[href$='/statements']"),
        see("As PDF", "a[href$='.pdf']"),
        go("Packages", ".o_reseller_tabs a[href$='/prepaid']"),
        looksRight,
    ],
});
