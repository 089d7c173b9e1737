"""The run ledger in STAGING hands the result of one stage to the DAG of the next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from contracts.stage_results import StageResult
from tollgate_airflow import connections
from tollgate_airflow.runs import Run

_R = TypeVar("_R", bound=StageResult)


def previous(kind: type[_R], run: Run) -> _R:
    """Return what the stage of this result recorded for this window.

    Raises:
        LedgerError: when the window never passed that stage.
    """
    from warehouse.ledger import latest

    return latest(connections.warehouse("loader"), kind, run.window)


def record(run: Run, result: StageResult) -> None:
    """Write a published result into the ledger; from now on the next stage can read it."""
    from warehouse.ledger import record as write

    dsn, finished_at = connections.warehouse("loader"), datetime.now(UTC)
    write(dsn, result.check(), run.started_at, finished_at, run.started_by)
