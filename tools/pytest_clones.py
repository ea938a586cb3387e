"""Databases of the tests' processes: a plugin of pytest for `./dev test`.

It waits for the database that is made while pytest loads Odoo. And it gives each process of
pytest-xdist a database, and a filestore, of its own: pytest-odoo would give them databases alone. Each
class of Odoo's tests clears the filestore of what its database does not name: in one that is shared, of
what the other processes have just written.
"""

import os
import pathlib
import time

import postgres
import pytest


def wait_for(ids):
    """Wait for the end of processes that somebody else has started."""
    for number in ids:
        status = pathlib.Path(f"/proc/{number}/status")
        # One that has ended is there until it is asked for.
        while status.exists() and "State:\tZ" not in status.read_text():
            time.sleep(0.05)  # between two looks at a process


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_cmdline_main(config):
    wait_for(os.environ.get("RB_TEST_BESIDE", "").split())
    name = os.environ["RB_TEST_DATABASE"]
    if not postgres.exists(name):
        raise pytest.UsageError("there is no database to test in: run these tests with ./dev test")
    in_odoo = getattr(config.option, "odoo_database", None)
    worker = in_odoo and os.environ.pop("PYTEST_XDIST_WORKER", None)
    if worker:
        name = f"{name}_{worker}"
        postgres.create(name, in_odoo)
        config.option.odoo_database = name
    yield
    # Odoo's own connections end with the process: the run drops its databases by itself.
