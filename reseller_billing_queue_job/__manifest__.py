{
    "name": "Reseller Billing: job queue",
    "summary": "Runs, files, mails and charges are worked on by all nodes at the same time",
    "version": "19.0.1.0.0",
    "category": "Accounting/Accounting",
    "author": "Reseller Billing maintainers",
    "license": "AGPL-3",
    "depends": ["reseller_billing", "queue_job"],
    "data": ["data/queue_job_function.xml", "views/res_config_settings_views.xml"],
    "auto_install": True,
}
