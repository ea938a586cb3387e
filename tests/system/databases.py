"""Databases of a test, cloned from the one that ./dev test has installed the addon in."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATE = os.environ.get("RB_TEST_DATABASE")


def psql(sql, database="postgres"):
    done = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Databases:
    """Makes and removes databases by name."""

    def __init__(self):
        self.made = []

    def clone(self, name, template=TEMPLATE):
        name = f"{TEMPLATE}_{name}"
        psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.made.append(name)
        psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def empty(self, name):
        name = f"{TEMPLATE}_{name}"
        psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.made.append(name)
        psql(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'")
        return name

    def drop(self):
        for name in self.made:
            psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
