"""Warehouses with an online store."""

from collections.abc import Iterator

import pytest

from contracts.settings import Settings
from tests.warehouses import Warehouses


@pytest.fixture(scope="module")
def warehouse(warehouses: Warehouses) -> Iterator[Settings]:
    """A migrated warehouse that the tests of a module share."""
    with warehouses.borrowed() as settings:
        yield settings
