"""The run, stage and window of a task, from Airflow's context."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from airflow.sdk import Context

from contracts.assets import landing_dag
from contracts.stages import Stage
from contracts.windows import Window, WindowError
from sources.registry import DEFAULT_SOURCE


@dataclass(frozen=True)
class Run:
    """One run of a stage. `run_id` is the same when its tasks are retried or cleared."""

    stage: Stage
    window: Window
    run_id: str
    started_at: datetime
    started_by: str | None = None

    @classmethod
    def of(cls, stage: Stage, context: Context, default: Window | None = None) -> Self:
        """Read the run from a task's context.

        Raises:
            WindowError: when there is no window, or it is malformed.
        """
        dag_run, key = context["dag_run"], window_key(context)
        window = Window.parse(key) if key else default
        if window is None:
            raise WindowError(
                f"{dag_run.dag_id} was started without a window: set the parameter `window`,"
                " for example to 2024-03-01, or trigger it with a partition key."
            )
        if stage is Stage.LAND and key and not context["params"].get("window"):
            _require_own_schedule(dag_run.dag_id, window.source)
        return cls(
            stage=stage,
            window=window,
            run_id=_run_id(stage, window, dag_run.run_id),
            started_at=dag_run.start_date or datetime.now(UTC),
            started_by=dag_run.triggering_user_name,
        )


def window_key(context: Context) -> str | None:
    """Return the key of the window of a run, not validated.

    The parameter `window` of a manual run takes precedence over the partition key. The key of a
    scheduled run is a date, and its source is the parameter `source`.
    """
    params = context["params"]
    key: str | None = params.get("window") or context["dag_run"].partition_key
    return f"{params['source']}@{key}" if key and "@" not in key else key


def _require_own_schedule(dag_id: str, source: str) -> None:
    """Refuse a schedule or backfill of one source in the DAG of another.

    Airflow would skip the dates that the DAG has run for the other source without a word.
    """
    own = landing_dag(source, DEFAULT_SOURCE)
    if dag_id != own:
        raise WindowError(f"{dag_id} does not backfill {source}: backfill it with the DAG {own}.")


def _run_id(stage: Stage, window: Window, airflow_run_id: str) -> str:
    """Return an id that is valid in names of branches and tables."""
    days = window.span.replace("--", "_").replace("-", "")
    return (
        f"{stage}_{window.source}_{days}_{hashlib.sha256(airflow_run_id.encode()).hexdigest()[:8]}"
    )
