"""The updater of the online store as a process: payments of the stream, repeats, outages.

Slow, about 40 s: it starts the broker, and Postgres again after it was killed.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from confluent_kafka import Message

from contracts.render import to_arrow
from contracts.serving_tables import RECENT_PAYMENT
from contracts.settings import REPO, Settings
from contracts.topics import VALIDATED
from embedded.services import stream
from serving.additions import fill_lock
from serving.fill import store_rows
from serving.redis_store import FILL_SECONDS, RedisStore, redis_store
from serving.store import COUNTS, RECENT
from serving.tokens import Tokens
from serving.updater import payment_of
from simulator.days import deliver
from simulator.rows import Feed
from simulator.settings import Settings as WorldSettings
from simulator.world import make_world
from sources.simulator import SIMULATOR
from tests.outage import away
from tests.serving.redis_server import RedisServer
from tests.serving.stores import Store
from tests.streaming.messages import rewind, send_as_validator
from tests.streaming.validators import running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    """Return some 400 payments of the simulated world as the validator passes them on."""
    world = make_world(WorldSettings(customers=200))
    delivered = deliver(world, Feed(world), 9, "jsonl")
    lines = (line for batch in delivered.lines for line in batch.to_pylist())
    return [line.removesuffix("\n").encode() for line in lines]


def fill_empty(settings: Settings, redis: RedisStore | None) -> None:
    """Fill the store from a lake without payments of the source."""
    none = (to_arrow.schema(RECENT).empty_table(), to_arrow.schema(COUNTS).empty_table())
    store_rows(settings.warehouse.dsn("loader"), "simulator", date(2025, 12, 31), *none, redis)


def variables(settings: Settings) -> dict[str, str]:
    """Return the environment of an updater of the store of these settings."""
    api, own = settings.api, {"TOLLGATE_WAREHOUSE__DATABASE": settings.warehouse.database}
    if api.store_url and api.store_password:
        own["TOLLGATE_API__STORE_URL"] = api.store_url
        own["TOLLGATE_API__STORE_PASSWORD"] = api.store_password.get_secret_value()
    return own


def metric(address: str, name: str) -> float:
    """Return a metric of the updater, summed over its labels."""
    lines = httpx.get(f"{address}/metrics", timeout=5).text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def wait(is_done: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_done():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def expected(settings: Settings, sent: list[Message]) -> list[Row]:
    """Return the rows that the store should have, in the order of `event_id`."""
    tokens = Tokens(settings.pseudonym_key_file)
    rows = (payment_of(message, SIMULATOR, tokens) for message in sent)
    found = [{name: row.get(name) for name in RECENT.column_names} for row in rows]
    return sorted(found, key=lambda row: str(row["event_id"]))


def log_of(store: Store) -> list[tuple[Any, ...]]:
    """Return the identifiers and times of what the stream has added."""
    with psycopg.connect(store.settings.warehouse.dsn("api")) as connection:
        query = "select event_id, added_at from serving.streamed_payments order by event_id"
        return connection.execute(query).fetchall()


def test_each_payment_of_the_stream_is_added_once_across_a_kill_and_a_repetition(
    kafka: Settings,
    store: Store,
    messages: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    rewind(kafka, "updater", VALIDATED, "updater")
    fill_empty(store.settings, store.redis)
    for name, value in variables(store.settings).items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "log"
    first = send_as_validator(
        kafka, VALIDATED, [*messages[:200], b'{"transaction_id": "alone"}', b"no JSON"]
    )
    with running(kafka, log, stream.updater) as (process, address):
        wait(lambda: metric(address, "tollgate_stream_added_total") == 200, log)
        assert metric(address, "tollgate_stream_unreadable_total") == 2
        (alone,) = [one for one in first if one.value() == b'{"transaction_id": "alone"}']
        place = f"transactions.validated-{alone.partition()}-{alone.offset()}"
        assert f"The message {place} is no payment of simulator: it has no id" in log.read_text()
        process.kill()
    added = log_of(store)
    rewind(kafka, "updater", VALIDATED, "updater")
    both = [*first, *send_as_validator(kafka, VALIDATED, messages[200:])]
    rows = expected(kafka, [one for one in both if (one.value() or b"") in messages])
    with running(kafka, log, stream.updater) as (process, address):
        wait(lambda: metric(address, "tollgate_stream_added_total") == len(messages), log)
        wait(lambda: metric(address, "tollgate_stream_lag") == 0, log)
        process.terminate()
        assert process.wait(10) == 0
    assert store.events(rows) == rows
    assert len(log_of(store)) == len(rows) == len(messages)
    assert set(added) < set(log_of(store))


def test_payments_wait_while_the_store_is_away_or_is_filled(
    kafka: Settings,
    warehouse: Settings,
    messages: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Redis is away, was never filled, then Postgres is away, and a fill runs."""
    rewind(kafka, "updater", VALIDATED, "updater")
    server, log = RedisServer(tmp_path), tmp_path / "log"
    settings = server.settings(warehouse)
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    send_as_validator(kafka, VALIDATED, messages[:100])
    with running(kafka, log, stream.updater) as (_, address):

        def says(sentence: str) -> Callable[[], bool]:
            return lambda: sentence in httpx.get(f"{address}/health", timeout=5).text

        def has_added(count: int) -> bool:
            return metric(address, "tollgate_stream_added_total") == count

        wait(says("Redis does not answer (ConnectionError). Payments wait in Kafka"), log)
        assert httpx.get(f"{address}/health").status_code == 503
        server.start()
        try:
            wait(says("Redis has no payments of simulator: run `python -m serving.fill`"), log)
            assert has_added(0)
            redis = redis_store(settings.api, FILL_SECONDS)
            fill_empty(settings, redis)
            wait(lambda: has_added(100), log)
            wait(says("healthy"), log)

            with away(kafka, "postgres"):
                send_as_validator(kafka, VALIDATED, messages[100:200])
                wait(says("does not answer (OperationalError): run `make up`"), log)
                assert has_added(100)
            wait(lambda: has_added(200), log)

            with psycopg.connect(settings.warehouse.dsn("loader")) as filling:
                lock = "select pg_advisory_xact_lock(hashtext(%s))"
                filling.execute(lock, (fill_lock("simulator"),))
                sent = send_as_validator(kafka, VALIDATED, messages[200:300])
                wait(says("A fill of the online store of simulator runs. Payments wait"), log)
                assert has_added(200)
            wait(lambda: has_added(300), log)
            rows = expected(kafka, sent)
            assert {row["event_id"] for row in rows} <= {
                row["event_id"] for row in Store(settings, redis).events(rows)
            }
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        ({}, ("--source", "nowhere"), "nowhere"),
        ({}, ("--port", "{taken}"), "cannot be used"),
        ({"TOLLGATE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}, (), "No Kafka answers at 127.0.0.1"),
    ],
)
def test_an_updater_that_cannot_start_says_why(
    kafka: Settings,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    taken = kafka.port("kafka")
    run = subprocess.run(
        [
            *(sys.executable, "-m", "serving.updater", "--port", "1"),
            *(one.format(taken=taken) for one in arguments),
        ],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.spark
def test_a_payment_is_that_of_the_batch_line(
    spark: "SparkSession", kafka: Settings, messages: list[bytes]
) -> None:
    """All its values but `source_sequence`, which is the order of arrival."""
    from spark.jobs.stream_features import payments_of

    sent = send_as_validator(kafka, VALIDATED, messages)
    arrived = datetime(2026, 1, 11, tzinfo=UTC)
    rows = [(0, at, arrived, bytearray(one.value() or b"")) for at, one in enumerate(sent)]
    frame = spark.createDataFrame(
        rows, "partition int, offset long, timestamp timestamp, value binary"
    )
    names = [name for name in RECENT_PAYMENT if name != "source_sequence"]
    by_spark = payments_of(spark, frame, SIMULATOR, kafka.pseudonym_key_file).select(*names)
    found = by_spark.toArrow().sort_by("event_id").to_pylist()
    assert found == [{name: row[name] for name in names} for row in expected(kafka, sent)]
