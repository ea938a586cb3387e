import { registry } from "@web/core/registry";

// Who connects a system gets a key, a line that sends the first event, and sees it come in.
registry.category("web_tour.tours").add("reseller_billing.connect", {
    steps: () => [
        { content: "Make the key", trigger: "button[name=action_make_key]", run: "click" },
        {
            content: "It waits for the first event: send what the line sends",
            trigger: ".modal .o_reseller_usage_news:contains('Waiting for the first event')",
            async run() {
                const line = document.querySelector(".modal div[name=example]").textContent;
                const [, address] = line.match(/(https?:\/\/[^ ']+)/);
                const [, key] = line.match(/Authorization: (Bearer [^']+)'/);
                const [, body] = line.match(/--data-binary '([^']+)'/);
                await fetch(new URL(address).pathname, {
                    method: "POST",
                    headers: { Authorization: key, "Content-Type": "application/x-ndjson" },
                    body: `${body}\n${body.replace("first-", "second-").replace('"quantity": 1', '"quantity": "x"')}`,
                });
            },
        },
        {
            content: "It has come in",
            trigger: ".modal .o_reseller_usage_news:contains('Taken in: 1 × Unit of Client A [A]')",
        },
        {
            content: "What is wrong with another one is said as well",
            trigger: ".modal .o_reseller_usage_news:contains('Rejected: The quantity x is no decimal number.')",
        },
        { content: "Done", trigger: ".modal-footer .btn-primary", run: "click" },
        { content: "The key is kept", trigger: "body:not(:has(.modal)) div[name=shown]:contains('rbk_')" },
    ],
});
