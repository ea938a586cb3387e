"""Resellers, their clients, groups, service and contracts. Uses base."""

from . import (
    contract_contract,
    contract_line,
    contract_template,
    ir_rule,
    res_partner,
    res_users,
    reseller_client,
    reseller_client_contract,
    reseller_client_feature,
    reseller_client_group,
    reseller_client_guard,
    reseller_client_import,
    reseller_client_membership,
    reseller_client_move,
    reseller_client_part,
    reseller_client_service,
    reseller_client_turn,
    reseller_reseller,
)
