import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { openMenu, openRecord } from "./menu_steps";

const openPage = (page) => ({
    content: `Open the page ${page}`,
    trigger: `.nav-link:contains("${page}")`,
    run: "click",
});

// What a billing manager does for a client that pays ahead: sell a package, arm the refills.
registry.category("web_tour.tours").add("reseller_billing.sell_ahead", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        ...openMenu("Customers", "Clients"),
        openRecord("Client A"),
        openPage("Money"),
        {
            content: "Sell a package",
            trigger: "button[name=action_sell_package]",
            run: "click",
        },
        {
            content: "Search it",
            trigger: ".modal div[name=product_id] input",
            run: "edit 100 units",
        },
        {
            content: "Choose it",
            trigger: ".o-autocomplete--dropdown-item a:contains('100 units')",
            run: "click",
        },
        {
            content: "Its price comes with it",
            trigger: ".modal div[name=amount]:contains('50.00')",
        },
        {
            content: "Bill it now",
            trigger: ".modal button[name=action_bill_now]",
            run: "click",
        },
        {
            content: "The offer is there, to be paid",
            trigger:
                ".o_form_view:has(.alert:contains('nothing is owed')):has(button[name=action_offer_paid]) td[name=price_unit]:contains('50.00')",
        },
        ...openMenu("Customers", "Clients"),
        openRecord("Client A"),
        openPage("Money"),
        {
            content: "Its units are offered",
            trigger: "div[name=prepaid_lot_ids] .o_data_row:contains('100 units'):contains('Offered')",
        },
        {
            content: "Refill by invoice",
            trigger: "div[name=refill_by] input",
            run: "click",
        },
        {
            content: "Choose the invoice",
            trigger: ".o_select_menu_item:contains('Invoice, paid by hand')",
            run: "click",
        },
        {
            content: "By 30.00",
            trigger: "div[name=refill_amount] input",
            run: "edit 30 && press Tab",
        },
        {
            content: "When 10.00 are left",
            trigger: "div[name=refill_threshold] input",
            run: "edit 10",
        },
        ...stepUtils.saveForm(),
        {
            content: "It says that it is armed",
            trigger: "div[name=refill_state]:contains('Armed')",
        },
        {
            content: "Refill now, without waiting",
            trigger: "button[name=action_refill_now]",
            run: "click",
        },
        {
            content: "One is open, and says so",
            trigger:
                ".o_form_view:has(div[name=refill_state]:contains('Waits for payment')) div[name=refill_ids] .o_data_row:contains('30.00')",
        },
        {
            content: "No second one can be asked for",
            trigger: "button[name=action_refill_now]",
            run: "click",
        },
        {
            content: "The refusal says why",
            trigger: ".modal:contains('refill'), .o_notification:contains('refill')",
        },
    ],
});
