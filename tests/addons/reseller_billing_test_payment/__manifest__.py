{
    "name": "Reseller Billing: a provider for tests",
    "summary": "A payment provider that declines, times out, dies, or answers late or twice",
    "version": "19.0.1.0.0",
    "category": "Hidden",
    "author": "Reseller Billing maintainers",
    "license": "AGPL-3",
    "depends": ["account_payment"],
    "post_init_hook": "post_init_hook",
    "uninstall_hook": "uninstall_hook",
}
