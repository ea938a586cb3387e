{
    "name": "Reseller Billing: e-invoices",
    "summary": "Electronic invoices say for which days each line is",
    "version": "19.0.1.0.0",
    "category": "Accounting/Accounting",
    "author": "Reseller Billing maintainers",
    "license": "AGPL-3",
    "depends": ["reseller_billing", "account_edi_ubl_cii"],
    "auto_install": True,
}
