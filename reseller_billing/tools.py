import contextlib

# How long to wait for those who are at work on the same at the same time.
LOCK_PATIENCE = "30s"
# Scheduled actions have time.
CRON_PATIENCE = "5min"
# A request that waits keeps a server process from all others.
HTTP_PATIENCE = "1s"
# The turn of usage that comes in in bulk, and of the bills that cover it; by company.
USAGE_TURN = "reseller_billing/usage"


@contextlib.contextmanager
def hold_turn(cr, name, number, patience=LOCK_PATIENCE):
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
