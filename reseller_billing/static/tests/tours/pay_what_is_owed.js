import { registry } from "@web/core/registry";

// A client whose account is locked finds what it owes, pays it, and is at home again.
registry.category("web_tour.tours").add("reseller_billing.pay_what_is_owed", {
    steps: () => [
        { content: "The portal says why it is closed", trigger: ".alert:contains('is locked')" },
        {
            content: "Pay the invoice",
            trigger: ".o_reseller_owed a:contains('Pay Now')",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "Choose to pay",
            trigger: "#pay_with.show input[name=o_payment_radio]",
        },
        {
            content: "Enter a card",
            trigger: "#pay_with.show input[name=customer_input]",
            run: "edit 4242",
        },
        {
            content: "Pay",
            trigger: "#pay_with.show button[name=o_payment_submit_button]:not(:disabled)",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "It is paid",
            trigger: "body:contains('paid')",
            expectUnloadPage: false,
        },
        {
            content: "Go home",
            trigger: "body:not(:has(#pay_with.show)) a[href='/my/home'], a.o_logo, .breadcrumb a",
            run: () => {
                window.location = "/my";
            },
            expectUnloadPage: true,
        },
        { content: "The portal is open", trigger: ".o_portal_my_home" },
    ],
});
