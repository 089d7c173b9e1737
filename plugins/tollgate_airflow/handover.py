"""Results of stages, which the DAG of the next stage reads from the run ledger in STAGING."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from contracts.stage_results import StageResult
from tollgate_airflow import connections
from tollgate_airflow.runs import Run

_R = TypeVar("_R", bound=StageResult)


def previous(kind: type[_R], run: Run) -> _R:
    """Return the last result of this kind that was recorded for the window.

    Raises:
        LedgerError: when the window never passed that stage.
    """
    from warehouse.ledger import latest

    return latest(connections.warehouse("loader"), kind, run.window)


def recorded(kind: type[_R], run: Run) -> _R | None:
    """Return the last result of this kind for the window; None when there is none."""
    from warehouse.ledger import LedgerError

    try:
        return previous(kind, run)
    except LedgerError:
        return None


def record(run: Run, result: StageResult) -> None:
    """Write a published result into the ledger, where the next stage reads it."""
    from warehouse.ledger import record as write

    dsn, finished_at = connections.warehouse("loader"), datetime.now(UTC)
    write(dsn, result.check(), run.started_at, finished_at, run.started_by)
