"""Databases of one checkout, made, cloned and dropped with `psql`; plain Python.

The server is the one that PGHOST and its like name. A database that this checkout made says so in
its comment; nothing else is ever dropped.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILESTORE = ROOT / "var" / "data" / "filestore"
# Names one checkout's databases, sockets and ports, so that two on one machine do not meet.
TAG = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
OWNED = f"made by {ROOT}/dev"


class DatabaseError(Exception):
    """PostgreSQL's own words, or why a database is not touched."""


def psql(sql, database="postgres"):
    """Run SQL; return what it prints, a row a line; raise DatabaseError with the server's words."""
    done = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DatabaseError(done.stderr.strip())
    return done.stdout.strip()


def exists(name):
    return bool(psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"))


def find(prefix):
    """Return the names of this checkout's databases that begin with a prefix, oldest first."""
    rows = psql(
        f"SELECT datname FROM pg_database WHERE starts_with(datname, '{prefix}') "
        f"AND shobj_description(oid, 'pg_database') = '{OWNED}' ORDER BY oid"
    )
    return rows.split()


def drop(name):
    """Drop a database with its files; refuse one that this checkout did not make."""
    if exists(name):
        if name not in find(name):
            raise DatabaseError(
                f"the database {name} was not made by this checkout: drop or rename it yourself"
            )
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    shutil.rmtree(FILESTORE / name, ignore_errors=True)


def create(name, template=None):
    """Make an empty database, or a clone of another with its files; replace what has the name."""
    drop(name)
    if template:
        psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        if (FILESTORE / template).exists():
            # Odoo writes a file once, under its content's hash: the clones can share it.
            shutil.copytree(FILESTORE / template, FILESTORE / name, copy_function=os.link)
    else:
        psql(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'")
    psql(f"COMMENT ON DATABASE \"{name}\" IS '{OWNED}'")


def rename(name, to):
    drop(to)
    psql(f'ALTER DATABASE "{name}" RENAME TO "{to}"')
    if (FILESTORE / name).exists():
        (FILESTORE / name).rename(FILESTORE / to)
