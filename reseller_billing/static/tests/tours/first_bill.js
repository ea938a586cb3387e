import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";

// Every click but those that name things: the test counts them.
const clicks = { count: 0 };

const click = (content, trigger) => ({
    content,
    trigger,
    run(helpers) {
        clicks.count += 1;
        return helpers.click();
    },
});

const name = (field, value) => ({
    content: `Name ${value}`,
    trigger: `.o_form_view div[name=${field}] input`,
    run: `edit ${value}`,
});

const make = (field, value) => [
    name(field, value),
    {
        content: `Make ${value}`,
        trigger: `.o-autocomplete--dropdown-item:contains("${value}")`,
        run: "click",
    },
];

const save = [
    click("Save", ".o_form_button_save"),
    { content: "It is saved", trigger: ".o_form_saved" },
    click("Back to the dashboard", ".o_back_button, .breadcrumb-item a:contains('Dashboard')"),
];

// From an empty database to a bill: each step from the dashboard, each form filled with an example.
registry.category("web_tour.tours").add("reseller_billing.first_bill", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        {
            content: "Nothing is done",
            trigger: ".o_reseller_steps:not(:has(.fa-check-circle))",
        },
        click("The reseller", "button[name=step_reseller].btn-primary"),
        ...make("partner_id", "Bluewave"),
        name("code", "blue"),
        ...save,
        click("The price", "button[name=step_price].btn-primary"),
        {
            content: "An example is there",
            trigger: ".o_form_view div[name=recurring_fee] input:value('10.00')",
        },
        ...save,
        click("The client", "button[name=step_client].btn-primary"),
        ...make("partner_id", "Harbour Dental"),
        name("ref", "HD"),
        click("It is served", "button[name=action_activate]"),
        {
            content: "It is active",
            trigger: ".o_arrow_button_current:contains('Active')",
        },
        click("Back to the dashboard", ".o_back_button, .breadcrumb-item a:contains('Dashboard')"),
        click("The run", "button[name=step_run]"),
        click("Bill", "button[name=action_start]"),
        click("Yes", ".modal-footer .btn-primary"),
        { content: "It is at work", trigger: ".o_arrow_button_current:contains('Running')" },
        {
            content: "It took twelve clicks at most",
            trigger: ".o_form_view",
            run() {
                if (clicks.count > 12) {
                    throw new Error(`It took ${clicks.count} clicks`);
                }
            },
        },
    ],
});

// The bill is there: the dashboard shows no steps any more.
registry.category("web_tour.tours").add("reseller_billing.after_the_first_bill", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        {
            content: "The steps are gone, the revenue is there",
            trigger: ".o_reseller_dashboard:not(:has(.o_reseller_steps)) canvas",
        },
    ],
});
