import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { fill, newRecord, openMenu, openRecord, press, choose } from "./menu_steps";

// A provider has a reseller buy what its clients use, up to the first bill for all of them together.
registry.category("web_tour.tours").add("reseller_billing.have_it_buy", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        { content: "The dashboard is there", trigger: ".o_reseller_dashboard" },
        ...openMenu("Customers", "Resellers"),
        openRecord("Reseller R1"),
        press("action_set_up_buying"),
        { content: "It says what that means", trigger: ".modal:contains('by one bill')" },
        fill("ref", "BUY-1", ".modal"),
        { content: "Have it buy", trigger: ".modal button[name=action_make]", run: "click" },
        {
            content: "That is its account",
            trigger: ".o_form_view div[name=buys_for_id]:contains('Reseller R1')",
        },
        ...openMenu("Configuration", "Prices"),
        newRecord,
        ...choose("feature_id", "Unit"),
        {
            content: "It is a wholesale price",
            trigger: "div[name=book] label:contains('Wholesale')",
            run: "click",
        },
        fill("unit_price", "0.02"),
        { content: "Save", trigger: ".o_form_button_save", run: "click" },
        { content: "It is saved", trigger: ".o_form_saved div[name=terms_text]:contains('0.02')" },
    ],
});

// The bill is there: short for the accountant, with the clients behind it.
registry.category("web_tour.tours").add("reseller_billing.what_it_bought", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        { content: "The dashboard is there", trigger: ".o_reseller_dashboard" },
        ...openMenu("Billing", "Statements"),
        openRecord("BUY-1"),
        {
            content: "It says in which book, and what it comes to",
            trigger: ".o_form_view:contains('Wholesale') .o_data_row:contains('3.00')",
        },
        press("action_view_invoice"),
        {
            content: "The reseller's invoice",
            trigger: ".o_form_view:contains('Reseller R1'):contains('3.00')",
        },
    ],
});
