from . import reseller_statement_xlsx
