# By name: Odoo runs the modules that it sees here.
# isort: off
from .base import (
    test_companies,
    test_guards,
    test_i18n,
    test_options,
    test_retention,
    test_security,
)
from .client import test_service
from .pricing import (
    test_price_tools,
    test_prices,
)
from .usage import (
    test_focus,
    test_import,
    test_import_again,
    test_ingest,
    test_usage_http,
    test_usage_keys,
)
from .billing import (
    test_exactness,
    test_explanation,
    test_lifecycle,
    test_manual_charge,
    test_maximum,
    test_review,
    test_run,
    test_story,
    test_taxes,
    test_time,
    test_void,
)
from .documents import (
    test_reports,
    test_send,
)
from .prepaid import (
    test_offers,
    test_prepaid,
    test_refill,
    test_vat_modes,
    test_wallet,
)
from .lockout import (
    test_locked_portal,
    test_lockout,
)
from .books import (
    test_account,
    test_analysis,
    test_dashboard,
    test_ledger_reports,
    test_month_end,
)
from .portal import (
    test_portal,
    test_portal_isolation,
    test_portal_login,
    test_portal_web,
    test_web,
)
