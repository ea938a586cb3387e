from . import (
    test_exactness,
    test_focus,
    test_i18n,
    test_ingest,
    test_lifecycle,
    test_prices,
    test_reports,
    test_run,
    test_security,
    test_story,
    test_web,
)
