import contextlib
import re

# How long to wait for those who are at work on the same at the same time.
PATIENCE = "30s"
# Scheduled actions have time.
CRON_PATIENCE = "5min"
# A request that waits keeps a server process from all others.
HTTP_PATIENCE = "1s"
# The turn of usage that comes in in bulk, and of the bills that cover it; by company.
USAGE_TURN = "reseller_billing/usage"

# Where a spreadsheet program, whichever sign parts its columns, may see a formula begin; and a number.
_FORMULA = r"(?=[ ']*[=+\-@\t\r])"
FORMULA = re.compile(r"(^|[;,|\t\r\n])" + _FORMULA)
INERT = re.compile(r"(^|[;,|\t\r\n])'" + _FORMULA)
NUMBER = re.compile(r"[+-]?[\d.,]+([eE][+-]?\d+)?")


def make_inert(text):
    """Return the text of a CSV cell as one that no spreadsheet program runs, in any locale."""
    return text if NUMBER.fullmatch(text) else FORMULA.sub(r"\1'", text)


def undo_inert(text):
    """Return what a cell said before `make_inert`: a file that was handed out may come back."""
    return INERT.sub(r"\1", text)


@contextlib.contextmanager
def take_turn(cr, name, number, patience=PATIENCE):
    """Hold a turn by a lock that outlives the cursor's transactions.

    Those who would only fail each other's transactions work one after another so. A turn begins a
    transaction, and what is not committed at its end is rolled back.

    :param str name: what is worked on
    :param int number: for whom
    :param str patience: how long to wait, as PostgreSQL's lock_timeout
    """
    lock = (name, number)
    cr.execute("SELECT set_config('lock_timeout', %s, TRUE)", [patience])
    cr.execute("SELECT pg_advisory_lock(hashtext(%s), %s)", lock)
    # Ends the snapshot in which the lock was waited for; nothing was written in it.
    cr.commit()  # pylint: disable=invalid-commit
    try:
        yield
    finally:
        cr.rollback()
        cr.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", lock)
