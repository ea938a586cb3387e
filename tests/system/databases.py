"""Databases of a test, cloned from the one that ./dev test has installed the addon in."""

import os
import pathlib
import subprocess
import sys

import processes

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import postgres  # noqa: E402
from postgres import psql  # noqa: E402, F401

# What all tests clone and nobody opens: PostgreSQL clones no database that is in use.
TEMPLATE = os.environ.get("RB_TEST_DATABASE")
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")


class Databases:
    """Makes and removes a test's databases.

    They have the names of the test before: a registry that was loaded for it serves this one.
    """

    def __init__(self):
        self.made = []
        self.extended = []

    def _add_name(self):
        self.made.append(f"{TEMPLATE}_{WORKER}_{len(self.made)}")
        return self.made[-1]

    def clone(self, template=None):
        """Return the name of a clone of the tests' database, or of another one of this test."""
        name = self._add_name()
        postgres.create(name, template or TEMPLATE)
        processes.load(name)
        return name

    def clone_with(self, addons):
        """Return the name of a clone with further addons in it, which are kept for the next run."""
        name = self._add_name()
        alike = ["--alike"] if os.environ.get("RB_TEST_ALIKE") else []
        command = [sys.executable, ROOT / "dev", "clone", name, "--with", addons, *alike]
        subprocess.run([str(word) for word in command], check=True)
        self.extended.append(name)
        processes.reload(name)
        return name

    def empty(self):
        """Return the name of an empty database."""
        name = self._add_name()
        postgres.create(name)
        return name

    def drop(self):
        for name in self.made:
            postgres.drop(name)
        # The next clone of such a name has no further addons.
        processes.forget(self.extended)
