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


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Score on one thread, as the service does: for one row, more threads take longer."""
    import sklearn.ensemble  # noqa: F401 - limits reach only libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
