import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { openMenu, openRecord } from "./menu_steps";

// What a billing manager does: check a client's prices and use, then bill.
registry.category("web_tour.tours").add("reseller_billing.start_a_run", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        ...openMenu("Customers", "Clients"),
        openRecord("Client A"),
        {
            content: "Look at its prices",
            trigger: ".nav-link[name=prices]",
            run: "click",
        },
        {
            content: "The client's own price wins over the default one",
            trigger: "div[name=pricing_html] tr:contains('$ 2.00 per unit'):contains('Default: $ 1.00 per unit')",
        },
        {
            content: "Look at its use",
            trigger: ".nav-link[name=overview]",
            run: "click",
        },
        {
            content: "Of 25 units 10 are included: 15 × 2.00",
            trigger: "div[name=usage_html] tr:contains('25'):contains('15'):contains('$ 30.00')",
        },
        ...openMenu("Billing", "Billing Runs"),
        {
            content: "Start a new run",
            trigger: ".o_list_button_add",
            run: "click",
        },
        {
            content: "The form shows how many accounts are due before it is saved",
            trigger: "div[name=remaining_count]:contains('1')",
        },
        {
            content: "Bill",
            trigger: "button[name=action_start]",
            run: "click",
        },
        {
            content: "Confirm",
            trigger: ".modal-footer .btn-primary",
            run: "click",
        },
        {
            content: "The scheduled action takes over",
            trigger: ".o_arrow_button_current:contains('Running')",
        },
    ],
});

registry.category("web_tour.tours").add("reseller_billing.check_a_run", {
    steps: () => [
        {
            content: "The run is done",
            trigger: ".o_arrow_button_current:contains('Done')",
        },
        {
            content: "Open the statements",
            trigger: "button[name=action_view_statements]",
            run: "click",
        },
        {
            content: "Open the client's last bill",
            trigger: ".o_data_row:contains('Invoiced') .o_data_cell:contains('$ 30.00')",
            run: "click",
        },
        {
            content: "It says what is billed",
            trigger: ".o_data_row:contains('overage'):contains('15'):contains('$ 30.00')",
        },
        {
            content: "Open the invoice",
            trigger: "button[name=action_view_invoice]",
            run: "click",
        },
        {
            content: "It is posted and names its statement",
            trigger: ".o_form_view:has(.o_arrow_button_current:contains('Posted')) button[name=action_view_statement]",
        },
    ],
});
