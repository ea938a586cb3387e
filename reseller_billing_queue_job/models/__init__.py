from . import res_config_settings, reseller_queue, reseller_work
