import { registry } from "@web/core/registry";

const confirm = {
    content: "Confirm",
    trigger: ".modal-footer .btn-primary",
    run: "click",
};

const press = (name, content) => ({
    content,
    trigger: `.o_statusbar_buttons button[name=${name}]`,
    run: "click",
});

const state = (name) => ({
    content: `The run is: ${name}`,
    trigger: `.o_arrow_button_current:contains("${name}")`,
});

const count = (field, number) => ({
    content: `${field} is ${number}`,
    trigger: `div[name=${field}]:contains("${number}")`,
});

// An accountant prepares a run of 300 accounts.
registry.category("web_tour.tours").add("reseller_billing.prepare_300", {
    steps: () => [count("remaining_count", "300"), press("action_start", "Prepare"), state("Preparing")],
});

// Three are parked with their reasons, of 297 to approve one is an outlier.
registry.category("web_tour.tours").add("reseller_billing.approve_297", {
    steps: () => [
        state("To Approve"),
        count("preview_count", "300"),
        count("outlier_count", "1"),
        {
            content: "Look at what is to be approved",
            trigger: "button[name=action_view_previews]",
            run: "click",
        },
        {
            content: "Only the outlier is listed",
            trigger: ".o_facet_value:contains('Outliers')",
        },
        {
            content: "It is much higher than its last bill",
            trigger: ".o_data_row:contains('$ 10.00'):contains('$ 500.00'):contains('Much higher')",
        },
        {
            content: "Back to the run",
            trigger: ".o_breadcrumb a:contains('Billing run')",
            run: "click",
        },
        state("To Approve"),
        press("action_approve", "Approve"),
        confirm,
        state("Running"),
    ],
});

registry.category("web_tour.tours").add("reseller_billing.see_3_parked", {
    steps: () => [
        state("Done"),
        count("done_count", "297"),
        count("invoice_count", "297"),
        {
            content: "Open the parked accounts",
            trigger: ".nav-link:contains('Parked')",
            run: "click",
        },
        {
            content: "No receivable account",
            trigger: "div[name=parked_line_ids] .o_data_row:contains('has no receivable account')",
        },
        {
            content: "An archived product",
            trigger: "div[name=parked_line_ids] .o_data_row:contains('is archived')",
        },
        {
            content: "A locked period",
            trigger: "div[name=parked_line_ids] .o_data_row:contains('is in a locked period')",
        },
    ],
});

// The accountant mends what the reasons say, on Odoo's own screens.
registry.category("web_tour.tours").add("reseller_billing.set_receivable", {
    steps: () => [
        {
            content: "Open the accounting of the contact",
            trigger: ".nav-link[name=accounting]",
            run: "click",
        },
        {
            content: "Look for the account",
            trigger: "div[name=property_account_receivable_id] input",
            run: "edit Receivable of the Test",
        },
        {
            content: "Choose it",
            trigger: ".o-autocomplete--dropdown-item:contains('Receivable of the Test')",
            run: "click",
        },
        { content: "Save", trigger: ".o_form_button_save", run: "click" },
        { content: "It is saved", trigger: ".o_form_saved" },
    ],
});

registry.category("web_tour.tours").add("reseller_billing.restore_product", {
    steps: () => [
        {
            content: "Open the actions",
            trigger: ".o_cp_action_menus .dropdown-toggle",
            run: "click",
        },
        { content: "Restore it", trigger: ".o_menu_item:contains('Unarchive')", run: "click" },
        { content: "It is in use again", trigger: ".o_form_view:not(:has(.ribbon:visible))" },
    ],
});

registry.category("web_tour.tours").add("reseller_billing.retry_3", {
    steps: () => [press("action_retry_parked", "Retry"), state("Running")],
});

registry.category("web_tour.tours").add("reseller_billing.see_300", {
    steps: () => [state("Done"), count("done_count", "300"), count("invoice_count", "300")],
});
