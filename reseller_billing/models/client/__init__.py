"""Resellers, their clients, groups, service and contracts. Uses base."""

from . import (
    contract_contract,
    contract_line,
    contract_template,
    res_partner,
    res_users,
    reseller_client,
    reseller_client_feature,
    reseller_client_group,
    reseller_client_membership,
    reseller_client_part,
    reseller_reseller,
)
