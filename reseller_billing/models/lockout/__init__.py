"""Who owes too long is locked out. Uses prepaid and what is below."""

from . import (
    account_move,
    account_move_line,
    account_partial_reconcile,
    res_company,
    res_partner,
    res_users,
    reseller_client,
    reseller_client_group,
    reseller_client_membership,
    reseller_lockout,
    reseller_lockout_debtor,
    reseller_lockout_exception,
    reseller_lockout_policy,
    reseller_lockout_stage,
    reseller_lockout_step,
    reseller_reseller,
    reseller_usage_line,
)
