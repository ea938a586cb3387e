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
