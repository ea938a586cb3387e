"""Imports the pricing core as a package of its own: it needs neither Odoo nor a database."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "reseller_billing"))


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.rating)
