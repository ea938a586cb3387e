"""Children of one process that has Odoo loaded: they start at once and commit for real."""

import contextlib
import json
import os
import random
import signal
import sys
import time
import traceback
from functools import partial
from unittest import mock

import odoo.sql_db
import odoo.tools
from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry
from odoo.service.model import retrying


def load(database):
    """Load a database's registry for all children, unless a clone of the same name had it."""
    if not odoo.tools.config["db_name"]:
        odoo.tools.config.parse_config(["-d", database, "--log-level", "critical"])
    registry = Registry(database)
    # What was read in the clone before is not this one's.
    registry.clear_all_caches()
    registry.cache_invalidated.clear()
    registry.setup_signaling()
    odoo.sql_db.close_all()


def reload(database):
    """Load a database's registry anew, after addons were installed in it."""
    forget([database])
    load(database)


def forget(databases):
    """Have the registries of databases be loaded anew when there are databases of such names again."""
    for database in databases:
        Registry.delete(database)


@contextlib.contextmanager
def environment(database):
    """Open an environment that commits at its end, and leave no connection open."""
    try:
        with Registry(database).cursor() as cr:
            yield api.Environment(cr, SUPERUSER_ID, {})
    finally:
        odoo.sql_db.close_all()


class Child:
    """A forked process that calls a function with an environment; its result comes back as JSON."""

    def __init__(self, database, function, *arguments):
        odoo.sql_db.close_all()
        reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reader)
            status = 1
            try:
                # The parent's connections are not this process's.
                odoo.sql_db._Pool = None
                random.seed(os.getpid())
                with environment(database) as env:
                    result = function(env, *arguments)
                with os.fdopen(writer, "w") as stream:
                    json.dump(result, stream)
                status = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        os.close(writer)
        self._reader = reader

    def result(self):
        with os.fdopen(self._reader) as stream:
            text = stream.read()
        _pid, status = os.waitpid(self.pid, 0)
        assert status == 0, f"child ended with {status}"
        return json.loads(text)

    def wait(self):
        """Wait for the child's end, however it comes; return its exit status, or minus its signal."""
        os.close(self._reader)
        _pid, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def kill_when(self, happened, patience=60):
        """Kill the child once something has happened; return whether it was still at work.

        :param happened: a function that is asked again and again
        :param patience: seconds after which the test fails
        """
        deadline = time.monotonic() + patience
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.05)  # between two looks at a state
        return self.kill_after(0)

    def kill_after(self, seconds):
        """Kill the child at a moment; return whether it was still at work."""
        time.sleep(seconds)
        pid, _status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._reader)
        return not pid


def ingest(env, batches):
    """Take batches in, each repeated on a conflict; return the counts of all."""
    counts = {"accepted": 0, "duplicates": 0, "rejected": 0}
    for events in batches:
        outcome = retrying(partial(env["reseller.usage.line"].ingest, events), env)
        counts["accepted"] += outcome["accepted"]
        counts["duplicates"] += outcome["duplicates"]
        counts["rejected"] += len(outcome["rejected"])
    return counts


def bill(env, run_id, limit):
    """Bill a run as the scheduled action does, batch by batch; return the number of batches."""
    run = env["reseller.billing.run"].browse(run_id)
    batches = 0
    with mock.patch.object(type(run), "_get_batch_size", lambda self: limit):
        while run._commit_batch()[1]:
            batches += 1
    return batches
