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
from .client import (
    test_client_file,
    test_cycles,
    test_moves,
    test_service,
    test_what_if,
)
from .pricing import (
    test_price_tools,
    test_prices,
)
from .usage import (
    test_focus,
    test_import,
    test_import_again,
    test_import_places,
    test_ingest,
    test_intake,
    test_usage_http,
    test_usage_keys,
)
from .billing import (
    test_coverage,
    test_every_day,
    test_exactness,
    test_explanation,
    test_first_hour,
    test_forecast,
    test_lifecycle,
    test_manual_charge,
    test_maximum,
    test_review,
    test_run,
    test_story,
    test_tax_rates,
    test_taxes,
    test_time,
    test_void,
)
from .commission import (
    test_commission,
)
from .documents import (
    test_reports,
    test_send,
)
from .prepaid import (
    test_offers,
    test_packages_at_use,
    test_prepaid,
    test_prepaid_books,
    test_refill,
    test_vat_modes,
    test_wallet,
    test_wallet_books,
)
from .lockout import (
    test_locked_portal,
    test_lockout,
    test_lockout_settings,
)
from .wholesale import (
    test_books_of_both,
    test_both_books,
    test_buying,
    test_collective,
    test_margin,
    test_pooled,
)
from .books import (
    test_account,
    test_analysis,
    test_dashboard,
    test_ledger_reports,
    test_month_end,
    test_month_end_prepaid,
    test_recurring_revenue,
)
from .portal import (
    test_languages,
    test_portal,
    test_portal_client,
    test_portal_clients,
    test_portal_earned,
    test_portal_isolation,
    test_portal_login,
    test_portal_papers,
    test_portal_pay,
    test_portal_prices,
    test_portal_reporting,
    test_portal_statements,
    test_portal_web,
    test_web,
    test_web_every_day,
)
