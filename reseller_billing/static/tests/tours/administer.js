import { inputFiles } from "@web/../tests/utils";
import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { choose, confirm, fill, newRecord, openMenu, press } from "./menu_steps";

const select = (place, label) => [
    { content: "Open the choices", trigger: `${place} .o_select_menu_toggler`, run: "click" },
    {
        content: `Choose ${label}`,
        trigger: `.o_select_menu_item:contains("${label}")`,
        run: "click",
    },
    // What is chosen counts once the server has answered: who leaves earlier takes it back.
    {
        content: `${label} is chosen`,
        trigger: `${place} .o_select_menu_toggler:value("${label}")`,
    },
];

const openTab = (name) => ({
    content: `Open the tab ${name}`,
    trigger: `.nav-link[name=${name}]`,
    run: "click",
});

const state = (name) => ({
    content: `It is: ${name}`,
    trigger: `.o_arrow_button_current:contains("${name}")`,
});

const save = [
    { content: "Save", trigger: ".o_form_button_save", run: "click" },
    { content: "It is saved", trigger: ".o_form_saved" },
];

// An administrator sets up a reseller with a group, a client of it, and a price of its own.
registry.category("web_tour.tours").add("reseller_billing.set_up_a_client", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        { content: "It begins with the dashboard", trigger: ".o_reseller_dashboard" },
        ...openMenu("Customers", "Resellers"),
        newRecord,
        ...choose("partner_id", "Bluewave Tours"),
        fill("code", "BWT"),
        {
            content: "Add a client group",
            trigger: "div[name=group_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        fill("name", "Gold", "div[name=group_ids] .o_selected_row"),
        ...save,
        ...openMenu("Customers", "Clients"),
        newRecord,
        ...choose("partner_id", "Harbour Dental"),
        fill("ref", "HD-1"),
        ...choose("reseller_id", "Bluewave Tours"),
        {
            content: "Say since when it is served",
            trigger: "div[name=membership_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        {
            content: "Fill the first day",
            trigger:
                "div[name=membership_ids] .o_selected_row div[name=date_from] input, div[name=membership_ids] .o_selected_row div[name=date_from] button",
            run: "click",
        },
        {
            content: "From 2024 on",
            trigger: "div[name=membership_ids] .o_selected_row div[name=date_from] input",
            run: "edit 01/01/2024",
        },
        ...choose("group_id", "Gold", "div[name=membership_ids] .o_selected_row"),
        press("action_activate"),
        state("Active"),
        openTab("prices"),
        {
            content: "Add a price of its own",
            trigger: "div[name=price_rule_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        ...choose("feature_id", "Unit", ".modal"),
        {
            content: "Today is proposed",
            trigger: ".modal div[name=date_from] input, .modal div[name=date_from] button",
            run: "click",
        },
        {
            content: "It holds from the first day of service on",
            trigger: ".modal div[name=date_from] input",
            run: "edit 01/01/2024",
        },
        fill("unit_price", "0.25", ".modal"),
        { content: "Save the price", trigger: ".modal .o_form_button_save", run: "click" },
        { content: "It is listed", trigger: "div[name=price_rule_ids] .o_data_row:contains('0.25')" },
        ...save,
        openTab("prices"),
        {
            content: "It overrides the default price",
            trigger:
                "div[name=pricing_html] tr:contains('$ 0.25 per unit'):contains('Client'):contains('Default: $ 1.00')",
        },
    ],
});

const USAGE = `client;feature;time;Menge
HD-1;unit;31.01.2024 23:30;1.234,5
HD-1;unit;15.01.2024;100
HD-2;unit;16.01.2024;40
`;

// Usage comes from a file with semicolons, decimal commas and local days; one row has a wrong client.
registry.category("web_tour.tours").add("reseller_billing.import_usage", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        ...openMenu("Usage", "Import Usage"),
        newRecord,
        {
            content: "Upload the file",
            trigger: "div[name=file] .o_select_file_button",
            async run() {
                const file = new File([USAGE], "january.csv", { type: "text/csv" });
                await inputFiles("div[name=file] .o_input_file", [file]);
            },
        },
        { content: "It is there", trigger: "div[name=file] span:contains('january.csv')" },
        ...save,
        {
            content: "The columns are known by their names, but for one",
            trigger: "div[name=column_ids] .o_data_row:contains('31.01.2024'):contains('Time')",
        },
        {
            content: "Say what it is",
            trigger: "div[name=column_ids] .o_data_row:contains('Menge') td[name=target]",
            run: "click",
        },
        ...select("div[name=column_ids] .o_selected_row div[name=target]", "Quantity"),
        openTab("reading"),
        ...select("div[name=decimal_sign]", "1.234,5"),
        ...select("div[name=time_format]", "31.01.2026"),
        fill("save_as", "Gateway"),
        press("action_save_mapping"),
        { content: "It is kept", trigger: "div[name=mapping_id] input:value('Gateway')" },
        openTab("preview"),
        {
            content: "The first rows are shown as events",
            trigger: "div[name=preview_html] tr:contains('1234.5'):contains('taken in')",
        },
        press("action_check"),
        state("Checked"),
        {
            content: "One row would be rejected",
            trigger: "div[name=reasons_html] tr:contains('There is no client with reference HD-2.')",
        },
        press("action_import"),
        state("Done"),
        { content: "Two are taken in", trigger: "div[name=accepted]:contains('2')" },
        press("action_view_rejections"),
        {
            content: "Open what is wrong",
            trigger: ".o_group_header:contains('Unknown client')",
            run: "click",
        },
        { content: "Open it", trigger: ".o_data_row td[name=reason]:contains('HD-2')", run: "click" },
        fill("client_ref", "HD-1"),
        press("action_replay"),
        state("Taken In"),
    ],
});

// After billing: workbook and mail, statement and invoice.
registry.category("web_tour.tours").add("reseller_billing.hand_out", {
    steps: () => [
        state("Done"),
        press("action_export"),
        press("action_send"),
        confirm,
        {
            content: "All are on their way",
            trigger: ".o_form_view:not(:has(button[name=action_send]))",
        },
        press("action_view_statements"),
        {
            content: "Open the statement: 1,374.5 × 0.25",
            trigger: ".o_data_row:contains('Invoiced'):contains('$ 343.63') td[name=client_id]",
            run: "click",
        },
        press("action_view_invoice"),
        { content: "The invoice is posted", trigger: ".o_arrow_button_current:contains('Posted')" },
    ],
});

// An administrator changes what a lock does, without code.
registry.category("web_tour.tours").add("reseller_billing.change_what_locked_does", {
    steps: () => [
        ...stepUtils.goToAppSteps("reseller_billing.menu_root", "Open the app"),
        { content: "The dashboard is there", trigger: ".o_reseller_dashboard" },
        ...openMenu("Configuration", "Lock-out Actions"),
        {
            content: "Open what a lock does",
            trigger: ".o_data_cell:contains('Lock-out: lock')",
            run: "click",
        },
        {
            content: "Open the part that refuses use",
            trigger: ".o_field_widget[name=child_ids] .o_kanban_record:contains('Refuse all metered use')",
            run: "click",
        },
        ...choose("selection_value", "Features that are locked out when owing", ".modal"),
        { content: "Keep it", trigger: ".modal .o_form_button_save", run: "click" },
        { content: "The dialog is closed", trigger: "body:not(:has(.modal))" },
    ],
});
