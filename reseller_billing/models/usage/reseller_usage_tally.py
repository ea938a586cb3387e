import math
import os
import socket
import threading
import time
from dataclasses import dataclass

from odoo import api, fields, models
from odoo.tools import SQL
from werkzeug.exceptions import TooManyRequests

# A process counts in a row of its own, one thread at a time: nobody's count fails another's.
_lock = threading.Lock()
# Who has used up a minute, as far as this process knows: {(database, sender or digest of its key): the
# minute}. It spares the database the requests that come all the same. There is an entry a key at most.
_exhausted = {}
# What this process knows of senders: {(database, sender): _Known}.
_known = {}
# Seconds after which what this process has counted is told to the others in any case.
TELL_AFTER = 1.0


@dataclass
class _Known:
    """A sender's minute: what it came to in all processes when this one last wrote, and what came since."""

    minute: int
    requests: int = 0
    rejected: int = 0
    new_requests: int = 0
    new_rejected: int = 0
    written_at: float = -math.inf  # by the monotonic clock


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
    def _count(self, sender, requests=0, rejected=0, slack=0):
        """Add to a sender's minute; return what it comes to in all processes.

        :param str sender: a key or a user
        :param int requests: how many more
        :param int rejected: how many events more
        :param int slack: so many requests may this process keep to itself for a second, so that not
            each of them writes to the database; rejected events are written at once
        :return: (requests, rejected events)
        """
        with _lock:
            now, minute = time.monotonic(), _minute()
            known = _known.get((self.env.cr.dbname, sender))
            if not known or known.minute != minute:
                known = _known[self.env.cr.dbname, sender] = _Known(minute)
            known.new_requests += requests
            known.new_rejected += rejected
            late = now - known.written_at > TELL_AFTER
            if late or known.new_rejected or known.new_requests > slack:
                known.requests, known.rejected = self._write_tally(
                    sender, minute, known.new_requests, known.new_rejected
                )
                known.new_requests = known.new_rejected = 0
                known.written_at = now
            return known.requests + known.new_requests, known.rejected

    def _write_tally(self, sender, minute, requests, rejected):
        """Add to this process's row; return (requests, rejected events) of all processes.

        In a transaction of its own, so that what is refused counts as well.
        """
        with self.env.registry.cursor() as cr:
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
                    minute=minute,
                    requests=requests,
                    rejected=rejected,
                )
            )
            return cr.fetchone()

    @api.model
    def _check_exhausted(self, name):
        """Refuse a request whose sender's minute is used up, as far as this process knows.

        :param str name: a sender, or the digest of its key
        :raise TooManyRequests: with the seconds that are left of the minute
        """
        if _exhausted.get((self.env.cr.dbname, name)) == _minute():
            raise self._make_refusal()

    @api.model
    def _exhaust(self, *names):
        """Note that a sender's minute is used up, by each of its names; return the refusal to raise."""
        for name in names:
            _exhausted[self.env.cr.dbname, name] = _minute()
        return self._make_refusal()

    def _make_refusal(self):
        return TooManyRequests(
            self.env._("Too many requests or rejected events: nothing of this was stored."),
            retry_after=60 - int(time.time() % 60),
        )

    @api.autovacuum
    def _gc_past_minutes(self):
        self.env.cr.execute(
            SQL("DELETE FROM reseller_usage_tally WHERE minute < %s", _minute() - 1)
        )


def _minute():
    return int(time.time() // 60)
