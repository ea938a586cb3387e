import os
import socket
import threading
import time

from odoo import api, fields, models
from odoo.tools import SQL

# A process counts in a row of its own, one thread at a time: nobody's count fails another's.
_lock = threading.Lock()
# Who has used up a minute, as far as this process knows: {(database, sender): the minute}. It spares
# the database the requests that come all the same.
_exhausted = {}


class ResellerUsageTally(models.Model):
    """What senders of usage have asked for, and had rejected, in their latest minute."""

    _name = "reseller.usage.tally"
    _description = "Requests of a Metering System in a Minute"
    _log_access = False
    _rec_name = "sender"

    sender = fields.Char(required=True, readonly=True, help="A key or a user, and its id.")
    process = fields.Char(required=True, readonly=True, help="The server process that counts.")
    minute = fields.Integer(required=True, readonly=True, help="Minutes since 1970.")
    requests = fields.Integer(required=True, readonly=True)
    rejected = fields.Integer(required=True, readonly=True)

    _sender_process_uniq = models.Constraint(
        "UNIQUE (sender, process)", "This process counts for the sender already."
    )

    @api.model
    def _count(self, sender, requests=0, rejected=0):
        """Add to a sender's minute; return what it comes to in all processes.

        In a transaction of its own, so that what is refused counts as well.

        :param str sender: a key or a user
        :param int requests: how many more
        :param int rejected: how many events more
        :return: (requests, rejected events)
        """
        with _lock, self.env.registry.cursor() as cr:
            # After a crash a lost count harms nobody.
            cr.execute("SET LOCAL synchronous_commit = off")
            cr.execute(
                SQL(
                    """
                    WITH mine AS (
                        INSERT INTO reseller_usage_tally AS tally
                               (sender, process, minute, requests, rejected)
                        VALUES (%(sender)s, %(process)s, %(minute)s, %(requests)s, %(rejected)s)
                            ON CONFLICT (sender, process) DO UPDATE
                           SET minute = excluded.minute,
                               requests = excluded.requests + CASE
                                   WHEN tally.minute = excluded.minute THEN tally.requests ELSE 0 END,
                               rejected = excluded.rejected + CASE
                                   WHEN tally.minute = excluded.minute THEN tally.rejected ELSE 0 END
                        RETURNING requests, rejected
                    )
                    SELECT mine.requests + COALESCE(sum(other.requests), 0),
                           mine.rejected + COALESCE(sum(other.rejected), 0)
                      FROM mine
                      LEFT JOIN reseller_usage_tally other
                        ON other.sender = %(sender)s AND other.process != %(process)s
                       AND other.minute = %(minute)s
                     GROUP BY mine.requests, mine.rejected
                    """,
                    sender=sender,
                    process=f"{socket.gethostname()}/{os.getpid()}",
                    minute=_minute(),
                    requests=requests,
                    rejected=rejected,
                )
            )
            return cr.fetchone()

    @api.model
    def _is_exhausted(self, sender):
        """Whether this process knows that a sender's minute is used up."""
        return _exhausted.get((self.env.cr.dbname, sender)) == _minute()

    @api.model
    def _exhaust(self, sender):
        """Remember that a sender's minute is used up."""
        _exhausted[self.env.cr.dbname, sender] = _minute()

    @api.autovacuum
    def _gc_past_minutes(self):
        self.env.cr.execute(
            SQL("DELETE FROM reseller_usage_tally WHERE minute < %s", _minute() - 1)
        )


def _minute():
    return int(time.time() // 60)
