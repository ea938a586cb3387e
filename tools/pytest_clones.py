"""Gives each process of pytest-xdist a database, and a filestore, of its own: a plugin of pytest.

pytest-odoo would give them databases alone. Each class of Odoo's tests clears the filestore of what its
database does not name: in one that is shared, of what the other processes have just written.
"""

import os

import postgres
import pytest


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_cmdline_main(config):
    worker = os.environ.pop("PYTEST_XDIST_WORKER", None)
    if not worker:
        yield
        return
    name = f"{config.option.odoo_database}_{worker}"
    postgres.create(name, config.option.odoo_database)
    config.option.odoo_database = name
    yield
    # Odoo's own connections end with the process: the run drops its databases by itself.
