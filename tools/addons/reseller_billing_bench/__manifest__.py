{
    "name": "Reseller Billing: Baselines",
    "summary": "What ./dev bench compares the HTTP interface with",
    "version": "19.0.1.0.0",
    "license": "AGPL-3",
    "author": "Reseller Billing maintainers",
    "depends": ["reseller_billing"],
}
