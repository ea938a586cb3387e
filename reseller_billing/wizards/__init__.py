from . import account_move_reversal, reseller_usage_entry, reseller_usage_import
