import contextlib

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

# How long to wait for those who are at work on the same at the same time.
LOCK_PATIENCE = "30s"
# A request that waits keeps a server process from all others.
HTTP_PATIENCE = "1s"
# One that brings use waits for another that changes the same days.
USAGE_PATIENCE = "3s"


def read_committed(cr, patience=LOCK_PATIENCE):
    """Have the transaction that begins now see what others commit meanwhile, statement by statement.

    Whoever brings use waits for a row that is being changed, and goes on with what it has become,
    instead of failing. Where a transaction has begun, as in tests, it stays what it is.

    :param str patience: how long to wait for a lock, as PostgreSQL's lock_timeout
    """
    if cr.connection.get_transaction_status() == TRANSACTION_STATUS_IDLE:
        cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    cr.execute("SELECT set_config('lock_timeout', %s, TRUE)", [patience])


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


def array_of(values):
    """Return numbers, days or moments (UTC, without a zone), or None, as the text of an array, which the query casts.

    A list would be sent as so many constants, each of which PostgreSQL parses: of 300,000 that takes seconds.
    """
    return f"{{{','.join(map(str, values)).replace('None', 'NULL')}}}"
