from odoo.tools import SQL

# Statements that are bills and stand: neither previews nor void.
LIVE = ("approved", "invoiced")
# The same as a condition on the table of statements.
IS_LIVE = f"state IN {LIVE}"


def live_sql(statement):
    """Return the condition that a statement is a bill and stands.

    :param str statement: the table's name or alias
    """
    return SQL("%s." + IS_LIVE, SQL.identifier(statement))
