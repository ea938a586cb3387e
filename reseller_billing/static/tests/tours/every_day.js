import { inputFiles } from "@web/../tests/utils";
import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { choose, fill, newRecord, openMenu, openRecord, press } from "./menu_steps";

const openApp = () => [
    ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
    { content: "The dashboard is there", trigger: ".o_reseller_dashboard" },
];

// An account whose bill waits for late use: the run says so, shows it, and bills it all the same if told.
registry.category("web_tour.tours").add("reseller_billing.a_run_says_why", {
    steps: () => [
        ...openApp(),
        ...openMenu("Billing", "Billing Runs"),
        newRecord,
        {
            content: "It says who waits, and for what",
            trigger: ".alert:contains('Not due yet'):contains('Client A')",
        },
        press("action_view_waiting"),
        openRecord("Client A"),
        { content: "That is the account", trigger: ".o_form_view:contains('Client A')" },
    ],
});

// A price reads itself back and says what its first day leaves.
registry.category("web_tour.tours").add("reseller_billing.a_price_says_what_it_does", {
    steps: () => [
        ...openApp(),
        ...openMenu("Configuration", "Prices"),
        newRecord,
        ...choose("feature_id", "Unit"),
        fill("recurring_fee", "30"),
        fill("unit_price", "0.05"),
        { content: "Leave the field", trigger: ".o_form_sheet", run: "click" },
        {
            content: "It reads itself back",
            trigger: "div[name=terms_text]:contains('Unit, for all clients'):contains('0.05 per unit')",
        },
        {
            content: "It says what its first day leaves without a price",
            trigger: "div[name=start_text]:contains('250 units of their use stay without a price')",
        },
        { content: "Save", trigger: ".o_form_button_save", run: "click" },
        { content: "It is saved", trigger: ".o_form_saved" },
    ],
});

// A change is tried on the bills of the last months before it holds.
registry.category("web_tour.tours").add("reseller_billing.try_a_change", {
    steps: () => [
        ...openApp(),
        ...openMenu("Configuration", "Prices"),
        openRecord("Unit"),
        press("action_try_change"),
        { content: "It is a draft", trigger: ".o_form_view .ribbon:contains('Draft')" },
        fill("draft_name", "Spring"),
        fill("unit_price", "1.5"),
        press("action_simulate"),
        {
            content: "The draft is chosen",
            trigger: ".modal div[name=draft_ids]:contains('Spring')",
        },
        {
            content: "Simulate",
            trigger: ".modal button[name=action_simulate]",
            run: "click",
        },
        {
            content: "10 units: 10.00 becomes 15.00",
            trigger: ".modal div[name=line_ids] .o_data_row:contains('10.00'):contains('15.00')",
        },
    ],
});

// Use that was added by mistake is taken back at once.
registry.category("web_tour.tours").add("reseller_billing.undo_what_was_added", {
    steps: () => [
        ...openApp(),
        ...openMenu("Usage", "Enter Usage").slice(0, 2),
        ...choose("client_id", "Client A", ".modal"),
        ...choose("feature_id", "Unit", ".modal"),
        fill("quantity", "99", ".modal"),
        { content: "Add it", trigger: ".modal button[name=action_save]", run: "click" },
        {
            content: "It says so, and offers to take it back",
            trigger: ".o_notification:contains('Taken in: 99') button:contains('Take back')",
            run: "click",
        },
        { content: "It is taken back", trigger: ".o_notification:contains('Taken back')" },
    ],
});

const CLIENTS = `Contact Name,Contact E-Mail,Reference,Reseller
Harbour Dental,harbour@example.com,HD-1,R1
Lake School,lake@example.com,LS-1,R1
`;

// Clients come from a file, and are activated in the list.
registry.category("web_tour.tours").add("reseller_billing.import_clients", {
    steps: () => [
        ...openApp(),
        ...openMenu("Customers", "Clients"),
        { content: "Open the menu", trigger: ".o_cp_action_menus .dropdown-toggle", run: "click" },
        {
            content: "Import",
            trigger: ".o_import_menu",
            run: "click",
        },
        {
            content: "There is a template",
            trigger: "a[href*='client_template']",
        },
        {
            content: "Choose the file",
            trigger: ".o_import_action, .o_action_manager:has(a[href*='client_template'])",
            async run() {
                const file = new File([CLIENTS], "clients.csv", { type: "text/csv" });
                await inputFiles(".o_action_manager input[type=file]", [file]);
            },
        },
        { content: "Its rows are shown", trigger: ".o_action_manager:contains('Harbour Dental')" },
        {
            content: "Import them",
            trigger: ".o_control_panel button:contains('Import'):not(:contains('Upload'))",
            run: "click",
        },
        {
            content: "They are there",
            trigger: ".o_list_view .o_data_row:contains('Lake School')",
        },
    ],
});
