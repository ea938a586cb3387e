import { registry } from "@web/core/registry";

const go = (content, trigger, run = "click") => ({ content, trigger, run, expectUnloadPage: true });
const fill = (name, text) => ({
    content: `Fill in ${name}`,
    trigger: `[name='${name}']`,
    run: `edit ${text}`,
});
// A field of a number or a day, to which one that is not finished yet is none.
const count = (name, text) => ({
    content: `Fill in ${name}`,
    trigger: `[name='${name}']`,
    run() {
        this.anchor.value = text;
    },
});
const see = (content, trigger) => ({ content, trigger });
const visit = (content, path) => ({
    content,
    trigger: "body",
    run: () => {
        window.location = path;
    },
    expectUnloadPage: true,
});
const row = (name) => `tr:contains('${name}')`;

// A reseller's day: a client from its beginning to its end.
registry.category("web_tour.tours").add("reseller_billing.portal_reseller", {
    steps: () => [
        go("From the portal's home", ".o_portal_docs a[href='/my/reseller']"),
        see("The overview counts", ".card:contains('Active clients'):contains('2')"),
        go("To the clients", ".o_reseller_tabs a:contains('Clients')"),
        go("A new one", "a:contains('New client')"),
        fill("name", "Harbour Dental"),
        fill("email", "harbour@example.com"),
        { content: "In a group", trigger: "select[name=group]", run: "selectByLabel Gold" },
        go("Create it", "button:contains('Create')"),
        see("It is there, with a reference of its own", "h1:contains('Harbour Dental'):contains('R1-0001')"),
        // E
        fill("city", "Bristol"),
        go("Save it", ".o_reseller_client_form button:contains('Save')"),
        see("It says so", ".alert-success:contains('Saved')"),
        see("The city stays", "input[name=city][value='Bristol']"),
        // A price of its own
        go("Change a price", "tr:contains('Unit') a:contains('Change')"),
        count("unit_price", "0.1"),
        go("Set it", "button:contains('Set this price')"),
        see("It is under the floor, which is said beside the field", "#about_unit_price:contains('Not under')"),
        count("unit_price", "0.75"),
        go("Set it", "button:contains('Set this price')"),
        see("The client's own price wins", "tr:contains('Unit'):contains('0.75 per unit'):contains('Client')"),
        // A group's price
        go("To the groups", ".o_reseller_tabs a:contains('Groups')"),
        go("Gold", "a:contains('Gold')"),
        go("Change a price", "tr:contains('Unit') a:contains('Change')"),
        count("unit_price", "0.9"),
        go("Set it", "button:contains('Set this price')"),
        see("The group's price is there", "tr:contains('Unit'):contains('0.90 per unit'):contains('Group')"),
        // R
        go("Back to the clients", ".o_reseller_tabs a:contains('Clients')"),
        go("Reporting", `${row("Client A")} a[title='Reporting']`),
        count("first", "2024-01-01"),
        count("last", "2024-01-31"),
        go("Of January", "button:contains('Show')"),
        see("Seven units", "tr:contains('Unit'):contains('7')"),
        go("Each event", "tr:contains('Unit') a:contains('Events')"),
        see("The event is there", "#events"),
        // B
        go("Billing", ".o_reseller_actions a[title='Billing']"),
        see("The invoice of January is open", "tr:contains('INV/2024'):contains('Open')"),
        {
            content: "Of which",
            trigger: "summary:contains('Of which')",
            run: "click",
        },
        go("Why?", "a:contains('Why?')"),
        see("In words", "dt:contains('Amount')"),
        go("Back", "a:contains('Back')"),
        // L
        go("Log in as", ".o_reseller_actions a[title='Log in as']"),
        fill("reason", "Question about January"),
        go("Log in", "button:contains('Log in')"),
        see("Every page says so", ".o_reseller_acting:contains('Client A')"),
        see("It is the client's page", "h1:contains('Client A')"),
        go("Return", ".o_reseller_acting button"),
        see("Back among the clients", "h1:contains('Clients')"),
        // D
        go("Delete", `${row("Harbour Dental")} a[title='Delete']`),
        fill("confirm", "R1-0001"),
        go("For good", "button:contains('Delete for good')"),
        see("It is gone, and that is said", ".alert-success:contains('Harbour Dental')"),
        // The brand
        go("To the design of statements", ".o_reseller_tabs a:contains('Design')"),
        fill("statement_header", "Messaging for everybody"),
        see("The preview follows", ".o_reseller_preview[srcdoc*='Messaging for everybody']"),
        go("Save it", "button:contains('Save')"),
        see("It is saved", ".alert-success:contains('Saved')"),
    ],
});

// A client buys ahead with a card that is saved, and has it charged from then on.
registry.category("web_tour.tours").add("reseller_billing.portal_client", {
    steps: () => [
        go("From the portal's home", ".o_portal_docs a[href='/my/service']"),
        see("The invoice of January is to be paid", "tr:contains('INV/2024') a:contains('Pay')"),
        go("What is used", ".o_reseller_tabs a:contains('Use')"),
        see("Of this month nothing", ".alert-info"),
        go("Statements", ".o_reseller_tabs a:contains('Statements')"),
        see("As PDF", "tr:contains('A/2024-02-01') a:contains('PDF')"),
        go("Packages", ".o_reseller_tabs a:contains('Packages')"),
        go("Buy one", ".card:contains('100 units') button:contains('Buy')"),
        see("The payment form is there", "#pay_with.show input[name=o_payment_radio]"),
        {
            content: "Enter a card",
            trigger: "#pay_with.show input[name=customer_input]",
            run: "edit 4242",
        },
        {
            content: "Keep it",
            trigger: "#pay_with.show input[name=o_payment_tokenize_checkbox]",
            run: "check",
        },
        go("Pay", "#pay_with.show button[name=o_payment_submit_button]:not(:disabled)"),
        see("It is paid", "body:contains('paid')"),
        visit("Back to the packages", "/my/service"),
        go("Packages", ".o_reseller_tabs a:contains('Packages')"),
        see("The units may be used", "tr:contains('100 units'):contains('Usable')"),
        {
            content: "Have the card charged",
            trigger: "select[name=payment_token_id]",
            run: "selectByIndex 1",
        },
        {
            content: "On the due date",
            trigger: "select[name=collection_timing]",
            run: "select due",
        },
        go("Save", "button:contains('Save payment method')"),
        see("It is saved", ".alert-success:contains('Saved')"),
        { content: "Refill by the card", trigger: "select[name=refill_by]", run: "select card" },
        count("refill_amount", "25"),
        count("refill_threshold", "5"),
        count("refill_max_month", "100"),
        go("Save", "button:contains('Save refill')"),
        see("It is saved", ".alert-success:contains('Saved')"),
    ],
});

// A reseller that buys: what it pays, what is left, and a price that loses money.
registry.category("web_tour.tours").add("reseller_billing.portal_buyer", {
    steps: () => [
        go("From the portal's home", ".o_portal_docs a[href='/my/reseller']"),
        go("To what it pays", ".o_reseller_tabs a:contains('What you pay')"),
        see("It is for all clients together", "h1:contains('What you pay')"),
        go("To its bills", ".o_reseller_tabs a:contains('Statements')"),
        see("The one of March", "tr:contains('11.10')"),
        visit("Back", "/my/reseller"),
        see("What is left of the last month", "p:contains('March 2024'):contains('4.90')"),
        go("To what it earns", ".o_reseller_tabs a:contains('Your margin')"),
        see("The month", ".o_reseller_months tr:contains('March 2024'):contains('4.90')"),
        see("Who loses money", "tr:contains('Client A2') .text-danger"),
        go("To who earns it", "tr:contains('6.30') a"),
        see("The client's page", "h1:contains('Client A')"),
        go("To its prices", "a.btn[href^='/my/reseller/clients/']:contains('E')"),
        see("What it pays is beside what it asks", "tr:contains('Unit') .o_reseller_cost:contains('0.37')"),
        go("Change it", "tr:contains('Unit') a:contains('Change')"),
        see("Here as well", ".o_reseller_cost:contains('0.37')"),
        count("unit_price", "0.2"),
        go("Set it", "button:contains('Set this price')"),
        see("It is told that it loses money", ".alert:contains('loses money on'):contains('1.70')"),
    ],
});
