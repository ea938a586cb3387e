"""Whole systems: real databases, real commits, real processes."""

import pytest
from databases import TEMPLATE, Databases


@pytest.fixture
def databases():
    assert TEMPLATE, "run these tests with ./dev test"
    found = Databases()
    yield found
    found.drop()
