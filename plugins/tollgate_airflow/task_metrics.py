"""Resource use of task attempts, recorded in STAGING; errors here never fail a task."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime

from airflow.sdk import Context, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from contracts.assets import stage_of
from contracts.results import TaskAttempt
from contracts.settings import Settings
from tollgate_airflow import connections
from tollgate_airflow.runs import Run, window_key
from tollgate_airflow.usage import Meter, ServerUsage, watched

_log = logging.getLogger(__name__)


@dataclass
class _Attempt:
    """A running attempt and its measurements."""

    context: Context
    run: Run | None
    servers: list[ServerUsage] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    meter: Meter = field(default_factory=Meter)


_going_on: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


@contextmanager
def measured() -> Iterator[None]:
    """Measure and record the current task attempt, if its DAG belongs to a stage.

    A killed process records nothing.
    """
    attempt = _begin()
    if attempt is None:
        yield
        return
    token = _going_on.set(attempt)
    outcome = "failed"
    try:
        yield
        outcome = "succeeded"
    except AirflowSkipException:
        outcome = "skipped"
        raise
    finally:
        _going_on.reset(token)
        _record(attempt, outcome)


def belongs_to(run: Run) -> None:
    """Set the run of the task, where its context does not determine it."""
    attempt = _going_on.get()
    if attempt is not None:
        attempt.run = run


@contextmanager
def with_spark(settings: Settings) -> Iterator[None]:
    """Add the resource use of the Spark server to the attempt, if this platform runs the server."""
    attempt, pid = _going_on.get(), None
    if attempt is not None:
        try:
            pid = _spark_server(settings)
        except Exception as problem:
            _log.warning("the Spark server is not measured: %r", problem)
    if attempt is None or pid is None:
        yield
        return
    with watched(pid) as usages:
        yield
    attempt.servers += usages


def _begin() -> _Attempt | None:
    try:
        context = get_current_context()
    except RuntimeError:  # not called in a task
        return None
    try:
        stage = stage_of(context["ti"].dag_id)
        if stage is None:
            return None
        run = Run.of(stage, context) if window_key(context) else None
        return _Attempt(context, run)
    except Exception as problem:
        _log.warning("the task is not measured: %r", problem)
        return None


def _spark_server(settings: Settings) -> int | None:
    """Return the process id of the Spark server of this platform, None if jobs use another."""
    from embedded.platform import read_status

    remote = settings.spark.remote
    if remote is None or f":{settings.port('spark')}/" not in remote.get_secret_value():
        return None
    status = read_status(settings)
    state = status["services"].get("spark")
    return state["pid"] or None if status["running"] and state else None


def _record(attempt: _Attempt, outcome: str) -> None:
    """Record the attempt; log errors as warnings."""
    from warehouse.ledger import record_task

    try:
        run, instance, usage = attempt.run, attempt.context["ti"], attempt.meter.read()
        if run is None:
            _log.warning("the window is unknown: the task is not recorded in staging.run_tasks")
            return
        servers = attempt.servers
        record = TaskAttempt(
            run_id=run.run_id,
            stage=run.stage,
            window=run.window,
            task=instance.task_id,
            attempt=instance.try_number,
            outcome=outcome,
            started_at=attempt.started_at,
            finished_at=datetime.now(UTC),
            seconds=usage.seconds,
            cpu_seconds=usage.cpu_seconds,
            peak_memory_mib=usage.peak_memory_mib,
            bytes_read=usage.bytes_read,
            bytes_written=usage.bytes_written,
            spark_cpu_seconds=sum(s.cpu_seconds for s in servers) if servers else None,
            spark_peak_memory_mib=max((s.peak_memory_mib for s in servers), default=None),
        )
        record_task(connections.warehouse("loader"), record)
    except Exception as problem:
        _log.warning("the task is not recorded in staging.run_tasks: %r", problem)
