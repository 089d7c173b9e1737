from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from contracts.results import TaskAttempt
from contracts.stages import Stage
from contracts.windows import Window
from tests.plugins.working_server import WorkingServer, working_server

pytestmark = pytest.mark.airflow


def context(dag_id: str, window: str | None) -> Any:
    """Return what is read of a task's context."""
    return {
        "ti": SimpleNamespace(dag_id=dag_id, task_id="process", try_number=2),
        "dag_run": SimpleNamespace(
            dag_id=dag_id,
            run_id="manual__1",
            partition_key=None,
            start_date=datetime(2024, 5, 2, tzinfo=UTC),
            triggering_user_name=None,
        ),
        "params": {"source": "sparkov", "window": window},
    }


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[TaskAttempt]:
    """Return the list of task attempts that would be written to the warehouse."""
    from tollgate_airflow import connections

    attempts: list[TaskAttempt] = []
    monkeypatch.setattr(
        "warehouse.ledger.record_task", lambda dsn, attempt: attempts.append(attempt)
    )
    monkeypatch.setattr(connections, "warehouse", lambda role: f"the dsn of {role}")
    return attempts


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the context of a task of a DAG."""

    def set_context(
        dag_id: str = "process_transactions", window: str | None = "2024-05-01"
    ) -> None:
        from tollgate_airflow import task_metrics

        monkeypatch.setattr(task_metrics, "get_current_context", lambda: context(dag_id, window))

    return set_context


def test_an_attempt_is_recorded_with_its_run(
    recorded: list[TaskAttempt], inside: Callable[..., None]
) -> None:
    from tollgate_airflow.failures import guarded
    from tollgate_airflow.runs import Run

    inside()
    assert guarded(lambda: "done")() == "done"
    (attempt,) = recorded
    run = Run.of(Stage.PROCESS, context("process_transactions", "2024-05-01"))
    assert (attempt.run_id, attempt.stage, attempt.window) == (run.run_id, "process", run.window)
    assert (attempt.task, attempt.attempt, attempt.outcome) == ("process", 2, "succeeded")
    assert attempt.finished_at >= attempt.started_at
    assert attempt.seconds >= 0
    assert attempt.peak_memory_mib > 1
    assert (attempt.spark_cpu_seconds, attempt.spark_peak_memory_mib) == (None, None)


def test_failed_and_skipped_attempts_are_recorded(
    recorded: list[TaskAttempt], inside: Callable[..., None]
) -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from tollgate_airflow.failures import guarded

    def raises(error: BaseException) -> None:
        raise error

    inside()
    for error, seen in (
        (ConnectionRefusedError("away"), ConnectionRefusedError),
        (ValueError("wrong"), AirflowFailException),
        (AirflowSkipException("nothing to do"), AirflowSkipException),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        with pytest.raises(seen):
            guarded(raises)(error)
    assert [attempt.outcome for attempt in recorded] == ["failed", "failed", "skipped", "failed"]


def test_an_unavailable_warehouse_fails_no_task(
    recorded: list[TaskAttempt],
    inside: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tollgate_airflow.failures import guarded

    def unavailable(dsn: str, attempt: TaskAttempt) -> None:
        raise psycopg.OperationalError("connection refused")

    inside()
    monkeypatch.setattr("warehouse.ledger.record_task", unavailable)
    assert guarded(lambda: "done")() == "done"
    assert "the task is not recorded" in caplog.text


def test_missing_system_metrics_fail_no_task(
    recorded: list[TaskAttempt],
    inside: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tollgate_airflow import usage
    from tollgate_airflow.failures import guarded

    def refused() -> float:
        raise PermissionError("no such file")

    inside()
    monkeypatch.setattr(usage, "_cpu_seconds", refused)
    assert guarded(lambda: "done")() == "done"
    assert recorded == []
    assert "the task is not measured" in caplog.text


def test_tasks_of_other_dags_are_not_measured(
    recorded: list[TaskAttempt], inside: Callable[..., None]
) -> None:
    from tollgate_airflow.failures import guarded

    assert guarded(lambda: "no task")() == "no task"
    inside("maintain_tables", None)
    assert guarded(lambda: "maintained")() == "maintained"
    assert recorded == []


def test_a_task_without_a_window_sets_its_run(
    recorded: list[TaskAttempt], inside: Callable[..., None]
) -> None:
    from tollgate_airflow import task_metrics
    from tollgate_airflow.failures import guarded
    from tollgate_airflow.runs import Run

    inside("train_fraud_model", None)
    last_day = Window.parse("sparkov@2024-05-07")
    run = Run.of(Stage.TRAIN, context("train_fraud_model", None), default=last_day)
    guarded(lambda: task_metrics.belongs_to(run))()
    assert [(attempt.run_id, attempt.window) for attempt in recorded] == [(run.run_id, last_day)]


@pytest.fixture
def server() -> Iterator[WorkingServer]:
    """Start what stands for the Spark server."""
    with working_server() as started:
        yield started


@pytest.fixture
def remote(server: WorkingServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], Any]:
    """Make settings whose jobs use the Connect server on a port; ours runs on 15402."""
    status = {"running": True, "services": {"spark": {"pid": server.pid}}}
    monkeypatch.setattr("embedded.platform.read_status", lambda settings: status)

    def settings(port: int | None) -> Any:
        address = SecretStr(f"sc://localhost:{port}/;token=x") if port else None
        return SimpleNamespace(spark=SimpleNamespace(remote=address), port=lambda name: 15402)

    return settings


def test_the_spark_server_of_the_platform_is_measured_for_its_tasks(
    recorded: list[TaskAttempt],
    inside: Callable[..., None],
    remote: Callable[[int | None], Any],
    server: WorkingServer,
) -> None:
    from tollgate_airflow import task_metrics
    from tollgate_airflow.failures import guarded

    burnt = []

    def work() -> None:
        for _ in range(2):
            with task_metrics.with_spark(remote(15402)):
                burnt.append(server.work())
            server.work()  # for somebody else

    inside()
    guarded(work)()
    (attempt,) = recorded
    assert attempt.spark_cpu_seconds is not None
    assert attempt.spark_peak_memory_mib is not None
    assert attempt.spark_cpu_seconds == pytest.approx(
        sum(burnt), abs=0.1
    )  # in hundredths of a second
    assert attempt.spark_peak_memory_mib >= 150


@pytest.mark.parametrize("port", [None, 15405], ids=["no server", "a cluster's"])
def test_another_spark_is_not_measured(
    recorded: list[TaskAttempt],
    inside: Callable[..., None],
    remote: Callable[[int | None], Any],
    port: int | None,
) -> None:
    from tollgate_airflow import task_metrics
    from tollgate_airflow.failures import guarded

    def work() -> None:
        with task_metrics.with_spark(remote(port)):
            pass

    inside()
    guarded(work)()
    assert [attempt.spark_cpu_seconds for attempt in recorded] == [None]
