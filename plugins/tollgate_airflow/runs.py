"""Which run of which stage over which window: the values that a task takes from Airflow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from airflow.sdk import Context

from contracts.stages import Stage
from contracts.windows import Window, WindowError


@dataclass(frozen=True)
class Run:
    """One run of a stage; `run_id` stays the same when its tasks are retried or cleared."""

    stage: Stage
    window: Window
    run_id: str
    started_at: datetime
    started_by: str | None = None

    @classmethod
    def of(cls, stage: Stage, context: Context, default: Window | None = None) -> Self:
        """Read the run from a task's context.

        Raises:
            WindowError: when there is no window, or it cannot be read.
        """
        dag_run, key = context["dag_run"], window_key(context)
        window = Window.parse(key) if key else default
        if window is None:
            raise WindowError(
                f"{dag_run.dag_id} was started without a window: set the parameter `window`,"
                " for example to 2024-03-01, or trigger it with a partition key."
            )
        return cls(
            stage=stage,
            window=window,
            run_id=_run_id(stage, window, dag_run.run_id),
            started_at=dag_run.start_date or datetime.now(UTC),
            started_by=dag_run.triggering_user_name,
        )


def window_key(context: Context) -> str | None:
    """Return the key of the window that a run was started for, as it was asked for.

    The parameters `source` and `window` are what somebody asked for by hand and win over the
    partition key; the key of a schedule is a date alone and takes its source from them too.
    """
    params = context["params"]
    asked: str | None = params.get("window") or context["dag_run"].partition_key
    return f"{params['source']}@{asked}" if asked and "@" not in asked else asked


def _run_id(stage: Stage, window: Window, airflow_run_id: str) -> str:
    """Return an id that can stand in branch and table names."""
    days = window.span.replace("--", "_").replace("-", "")
    return (
        f"{stage}_{window.source}_{days}_{hashlib.sha256(airflow_run_id.encode()).hexdigest()[:8]}"
    )
