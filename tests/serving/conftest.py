"""Warehouses with an online store."""

from collections.abc import Iterator

import psycopg
import pytest

from contracts.settings import Settings
from serving.redis_store import FILL_SECONDS, redis_store
from tests.serving.redis_server import RedisServer
from tests.serving.stores import Store
from tests.warehouses import Warehouses


@pytest.fixture(scope="module")
def warehouse(warehouses: Warehouses) -> Iterator[Settings]:
    """A migrated warehouse that the tests of a module share."""
    with warehouses.borrowed() as settings:
        yield settings


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server that runs."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["postgres", "redis"])
def store(request: pytest.FixtureRequest, warehouse: Settings, redis_server: RedisServer) -> Store:
    """Each online store, without payments; the log of decisions is in the warehouse."""
    with psycopg.connect(warehouse.warehouse.dsn("loader")) as connection:
        for name in ("recent_payments", "streamed_payments", "category_counts", "decisions"):
            connection.execute(f"delete from serving.{name}".encode())
    if request.param == "postgres":
        return Store(warehouse, None)
    redis_server.client.flushall()
    settings = redis_server.settings(warehouse)
    return Store(settings, redis_store(settings.api, FILL_SECONDS))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Score on one thread, as the service does: for one row, more threads take longer."""
    import sklearn.ensemble  # noqa: F401 - limits reach only libraries that are loaded
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
