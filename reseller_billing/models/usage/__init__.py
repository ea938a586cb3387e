"""Usage on its way in: events, days, files, imports and keys. Uses pricing and what is below."""

from . import (
    reseller_client,
    reseller_usage_daily,
    reseller_usage_file,
    reseller_usage_import,
    reseller_usage_import_batches,
    reseller_usage_import_columns,
    reseller_usage_import_focus,
    reseller_usage_intake,
    reseller_usage_key,
    reseller_usage_line,
    reseller_usage_line_lookup,
    reseller_usage_line_parse,
    reseller_usage_line_store,
    reseller_usage_line_void,
    reseller_usage_mapping,
    reseller_usage_older_key,
    reseller_usage_reader,
    reseller_usage_rejection,
    reseller_usage_tally,
)
