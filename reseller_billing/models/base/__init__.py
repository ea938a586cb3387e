"""What holds everywhere: currencies, languages, users, companies and settings, and who may write what. Uses no other room."""

from . import (
    base,
    intervals,
    ir_cron,
    res_company,
    res_config_settings,
    res_currency,
    res_lang,
    res_users,
    reseller_work,
    states,
)
