"""The test platform: a separate instance, started lazily by service and stopped at the end.

A test asks for what it needs: ``postgres``, ``s3``, ``spark_settings``, ``mlflow``, ``kafka`` or
``opensearch`` give the `Settings` of the running test platform, ``spark`` a Connect session on it.
A module whose tests build on each other is marked ``random_order(disabled=True)``. ``make test``
runs two lanes, each on its own test platform: see `LANE`.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

REPO = Path(__file__).resolve().parent.parent
LANE = os.environ.get("PYTEST_XDIST_WORKER")
"""Name of the pytest-xdist worker that this process is, `gw0` or `gw1`; None without xdist."""

# Before any of our modules reads its settings: tests never touch the developer's platform. A lane
# inherits the test platform's place from the process that started it, and takes a part of it.
if LANE is None:
    os.environ["TOLLGATE_STATE_DIR"] = str(
        Path(os.environ.get("TOLLGATE_STATE_DIR", REPO / "var")).absolute() / "test"
    )
    _ports_from = 100
else:
    os.environ["TOLLGATE_STATE_DIR"] = str(Path(os.environ["TOLLGATE_STATE_DIR"]) / LANE)
    _ports_from = 100 * int(LANE.removeprefix("gw"))
os.environ["TOLLGATE_PORT_BASE"] = str(
    int(os.environ.get("TOLLGATE_PORT_BASE", "15400")) + _ports_from
)
# A copy of the deliveries, so that a test may add one that is broken.
DELIVERIES = Path(os.environ["TOLLGATE_STATE_DIR"]) / "deliveries"
os.environ["TOLLGATE_DATA_DIR"] = str(DELIVERIES)
# Every Java of the tests. What its optimising compiler (C2) compiles, tests of few rows hardly run.
# Without a size, C1 alone has a code cache that Spark's classes fill.
# Where a test takes the object store away, Iceberg retries a request as often as it does elsewhere
# (five times), but without the two minutes of waiting.
os.environ["JDK_JAVA_OPTIONS"] = (
    "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
    " -Dspark.sql.catalog.lake.s3.retry.min-wait-ms=100"
    " -Dspark.sql.catalog.lake.s3.retry.max-wait-ms=1000"
)
_OURS: list[bool] = []
_KILLS_SPARK = "test_outages.py"
"""The file after which the driver is cold: Java has compiled nothing of what it runs."""
# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile(
    "tollgate", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tollgate")

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from contracts.settings import Settings
    from tests.warehouses import Warehouses


def _up(*services: str) -> Settings:
    """Start these services of the test platform unless they run; return its settings."""
    from contracts.settings import get_settings, load_settings
    from embedded import platform, secrets

    settings = load_settings()
    if not _OURS:
        _OURS.append(not platform.read_status(settings)["running"])
    secrets.ensure(settings.secrets_dir)
    platform.up(settings, services)
    get_settings.cache_clear()
    return get_settings()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse to test on somebody's real stores; begin without what an earlier run has left.

    A test platform that runs is kept, with all that is in it. That of a lane is never kept: only a
    killed run leaves one.
    """
    if LANE is None and session.config.getoption("dist", "no") != "no":
        return  # the lanes run the tests, each on a separate platform
    from contracts.settings import HOST, load_settings
    from embedded import platform

    settings = load_settings()
    here = f"http://{HOST}:{settings.port('s3')}"
    parts = [
        (settings.warehouse.host, settings.warehouse.port, settings.s3.endpoint),
        (settings.catalog.host, settings.catalog.port, settings.s3.endpoint),
    ]
    if any(part != (HOST, settings.port("postgres"), here) for part in parts):
        pytest.exit(
            "A part of the platform is set to live elsewhere, in .env or a TOLLGATE_ variable, and"
            " the tests would write to it: unset it for the tests.",
            returncode=2,
        )
    if LANE is None and platform.read_status(settings)["running"]:
        shutil.rmtree(DELIVERIES, ignore_errors=True)
    else:
        platform.down(settings)  # what a killed run or supervisor left running
        shutil.rmtree(settings.state_dir, ignore_errors=True)
    shutil.copytree(REPO / "data", DELIVERIES)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files of a lane: on the platform, killing Spark, on Postgres alone, on nothing.

    Short files at the end let both lanes end at the same time.
    """
    if LANE is None:
        return
    engines: dict[Path, set[str]] = {}
    for item in items:
        engines.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())

    def place(item: pytest.Item) -> int:
        if item.path.name == _KILLS_SPARK:
            return 1
        if engines[item.path] & {"airflow", "kafka", "spark", "stack"}:
            return 0
        return 2 if "postgres" in engines[item.path] else 3

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _stop_test_platform() -> Iterator[None]:
    """Stop what this run of the tests has started, and nothing that ran before."""
    yield
    if _OURS and _OURS[0]:
        from contracts.settings import load_settings
        from embedded import platform

        _stop_session()
        platform.down(load_settings())


def _stop_session() -> None:
    """End the session that a job left open, and let no client look for its server at exit.

    Each client that was ever made then asks its server to forget models, for minutes when it is
    gone.
    """
    if "pyspark.sql.connect.client" in sys.modules:
        from pyspark.sql import SparkSession
        from pyspark.sql.connect.client import SparkConnectClient

        if session := SparkSession.getActiveSession():
            session.stop()
        for client in gc.get_objects():
            if type(client) is SparkConnectClient:
                atexit.unregister(client._cleanup_ml_cache)


@pytest.fixture(scope="session")
def postgres() -> Settings:
    """Start Postgres: warehouse, lake catalog, with their roles and empty schemas."""
    return _up("postgres")


@pytest.fixture(scope="session")
def warehouses(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Warehouses:
    """Make warehouses on the test platform's Postgres."""
    from tests.warehouses import Warehouses

    return Warehouses(postgres, tmp_path_factory.mktemp("warehouses"))


@pytest.fixture(scope="session")
def s3() -> Settings:
    """Start the S3 server with its buckets and users."""
    return _up("s3")


@pytest.fixture(scope="session")
def spark_settings() -> Settings:
    """Start Postgres, S3 and the Spark Connect server."""
    return _up("postgres", "s3", "spark")


@pytest.fixture(scope="module")
def spark(spark_settings: Settings) -> Iterator[SparkSession]:
    """Open a Connect session on the test platform; a module's own, for a test may kill the driver.

    A session does not outlive its driver.
    """
    from spark.session import session

    opened = session(spark_settings)
    yield opened
    opened.catalog.clearCache()  # a killed job leaves what it persisted in the server
    opened.stop()


@pytest.fixture(scope="session")
def mlflow() -> Settings:
    """Start MLflow with Postgres and S3."""
    return _up("postgres", "s3", "mlflow")


@pytest.fixture(scope="session")
def superset() -> Settings:
    """Start Superset with Postgres; no dashboard is in it."""
    return _up("superset")


@pytest.fixture(scope="session")
def _broker() -> Settings:
    """Start the Kafka broker with its users, grants and topics."""
    return _up("kafka")


@pytest.fixture
def kafka(_broker: Settings) -> Settings:
    """Give the broker with empty topics: no test reads the messages of another one."""
    from confluent_kafka import OFFSET_END, TopicPartition

    from contracts.topics import TOPICS
    from embedded.services.kafka import admin

    ends = [
        TopicPartition(topic.name, n, OFFSET_END)
        for topic in TOPICS
        for n in range(topic.partitions)
    ]
    client = admin(_broker)  # a client that is not kept never answers
    for deleted in client.delete_records(ends).values():
        deleted.result(30)
    return _broker


@pytest.fixture(scope="session")
def _search_engine() -> Settings:
    """Start the OpenSearch node, beside the broker."""
    return _up("kafka", "opensearch")


@pytest.fixture
def opensearch(_search_engine: Settings, kafka: Settings) -> Settings:
    """Give OpenSearch without an index, and the broker with empty topics."""
    import httpx

    with httpx.Client(base_url=kafka.opensearch.url, timeout=30) as client:
        for index in client.get("/_cat/indices/rejects-*?format=json").json():
            client.delete(f"/{index['index']}").raise_for_status()
    return kafka
