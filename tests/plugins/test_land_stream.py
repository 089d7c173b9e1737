"""The landing of a stream: days that are complete, late messages, and a validator that is behind.

Slow, about 40 s: it starts Kafka, the validation service and Spark, and lands five times.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from contracts.settings import Settings
from contracts.stage_results import LandResult
from sources.store import s3_client
from tests.streaming.conftest import changed
from tests.streaming.messages import send
from tests.streaming.raw import without_stream
from tests.streaming.readers import committed_messages
from tests.streaming.validators import running

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.warehouses import Warehouses

pytestmark = [pytest.mark.airflow, pytest.mark.kafka, pytest.mark.spark, pytest.mark.postgres]


@pytest.fixture
def landing(
    kafka: Settings, spark: SparkSession, warehouses: Warehouses, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], list[LandResult]]]:
    """Return the tasks of a run of the DAG, which give the landings that passed gate raw."""
    from tollgate_airflow import connections, lake
    from tollgate_airflow.stages import land, land_stream

    @contextmanager
    def session() -> Iterator[SparkSession]:
        yield spark

    without_stream(kafka)
    monkeypatch.setattr(lake, "session", session)
    monkeypatch.setattr(land_stream, "_CHECKPOINTS", f"checkpoints/{time.time_ns()}")
    monkeypatch.setattr(connections, "s3", lambda role: s3_client(kafka, role))
    with warehouses.borrowed() as warehouse:
        monkeypatch.setattr(connections, "warehouse", warehouse.warehouse.dsn)

        def run(run_id: str) -> list[LandResult]:
            dag_run = SimpleNamespace(
                dag_id="land_stream",
                run_id=run_id,
                partition_key=None,
                start_date=datetime.now(UTC),
                triggering_user_name=None,
            )
            context = {"dag_run": dag_run, "params": {"source": "simulator"}}
            # Its guard would ask Airflow for the task that runs.
            landed = land_stream.land.__wrapped__(context)
            for one in landed:
                land.gate.__wrapped__(context, one)
            return [LandResult.from_dict(one) for one in landed]

        yield run


def payments(day: int, count: int, hour: int = 12) -> list[bytes]:
    """Return valid messages of a day of January 2026."""
    at = f"2026-01-{day:02d}T{hour:02d}:00:00Z"
    return [
        json.dumps(changed(transaction_id=f"{day}-{hour}-{n}", timestamp=at)).encode()
        for n in range(count)
    ]


def found(landings: list[LandResult]) -> dict[str, tuple[int, int]]:
    """Return the sequence of the manifest and the rows of each window."""
    return {
        landed.window.span: (landed.sequence, sum(one.rows_out for one in landed.balances))
        for landed in landings
    }


def test_a_day_lands_when_it_is_complete_and_its_late_messages_with_the_next_day(
    landing: Callable[[str], list[LandResult]], kafka: Settings, tmp_path: Path
) -> None:
    from tollgate_airflow.stages.land_stream import StreamBehindError

    def stream(messages: list[bytes]) -> None:
        outcomes = 0
        send(kafka, messages)
        deadline = time.monotonic() + 30
        while outcomes < len(messages):
            outcomes += len(read())
            assert time.monotonic() < deadline

    invalid = [json.dumps(changed(transaction_id="no", amount=-1)).encode(), b"no JSON"]
    with committed_messages(kafka) as read:
        with running(kafka, tmp_path / "log"):
            stream([*payments(1, 210), *payments(2, 205), *invalid])
            assert found(landing("first")) == {"2026-01-01": (1, 211)}
            stream(payments(1, 5, hour=23))
            assert landing("late") == []
            stream(payments(3, 201))
            assert found(landing("next")) == {"2026-01-01": (2, 216), "2026-01-02": (1, 205)}
            assert landing("again") == []
        send(kafka, payments(4, 3))
        with pytest.raises(StreamBehindError, match="3 messages wait for validation"):
            landing("behind")
