from . import reseller_usage_entry, reseller_usage_import
