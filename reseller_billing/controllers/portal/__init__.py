"""The pages of resellers and clients. Uses the models of portal."""

from . import (
    portal,
    portal_billing,
    portal_brand,
    portal_client,
    portal_client_form,
    portal_clients,
    portal_earned,
    portal_groups,
    portal_login,
    portal_margin,
    portal_papers,
    portal_pay,
    portal_pricing,
    portal_report,
    portal_reporting,
    portal_reseller,
    portal_statements,
)
