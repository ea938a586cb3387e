/** Steps that open an item of a section of the app's menu. */
export const openMenu = (section, item) => [
    {
        content: `Open the menu ${section}`,
        trigger: `.o_menu_sections .dropdown-toggle:contains("${section}")`,
        run: "click",
    },
    {
        content: `Choose ${item}`,
        trigger: `.dropdown-menu .dropdown-item:contains("${item}")`,
        run: "click",
    },
    { content: `${item} are open`, trigger: `.o_breadcrumb:contains("${item}")` },
];

/** A step that opens a record of a list. */
export const openRecord = (name) => ({
    content: `Open ${name}`,
    trigger: `.o_data_cell:contains("${name}")`,
    run: "click",
});

/** Steps that fill forms and press what is on them. */
export const newRecord = { content: "New", trigger: ".o_list_button_add", run: "click" };

export const fill = (field, value, where = ".o_form_view") => ({
    content: `Fill ${field} with ${value}`,
    trigger: `${where} div[name=${field}] input`,
    run: `edit ${value}`,
});

export const choose = (field, value, where = ".o_form_view") => [
    fill(field, value, where),
    {
        content: `Choose ${value}`,
        trigger: `.o-autocomplete--dropdown-item:contains("${value}")`,
        run: "click",
    },
];

export const press = (name) => ({
    content: `Press ${name}`,
    trigger: `button[name=${name}]:not(.dropdown-item)`,
    run: "click",
});

export const confirm = { content: "Confirm", trigger: ".modal-footer .btn-primary", run: "click" };
