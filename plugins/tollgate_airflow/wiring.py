"""Parts of a DAG file: assets, the window parameters and the defaults of every task.

Airflow imports this module at each parse, so it imports only Airflow's task SDK and contracts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk import (
    Asset,
    Context,
    CronPartitionTimetable,
    Param,
    PartitionedAssetTimetable,
)

from contracts import assets
from contracts.reasons import RejectReason
from contracts.stages import Stage
from contracts.windows import SPAN_PATTERN
from sources.registry import DEFAULT_SOURCE, names

ASSET: Final = {name: Asset(name=name) for name in assets.ASSETS}


def on_failure(context: Context) -> None:
    """Log and post the failure message (see `failures`)."""
    from tollgate_airflow.failures import report_failure

    report_failure(context)


# Defaults of every task. `failures.guarded` turns errors that are not transient into
# AirflowFailException, which Airflow does not retry.
TASK_DEFAULTS: Final[dict[str, Any]] = {
    "owner": "tollgate",
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": on_failure,
}

DAG_OPTIONS: Final[dict[str, Any]] = {
    # No start date: a schedule starts when the DAG is unpaused (see `NEXT_TIME`), without catch-up.
    "catchup": False,
    # Two windows must not write the same tables concurrently.
    "max_active_runs": 1,
    "default_args": TASK_DEFAULTS,
    "fail_fast": False,
}

NEXT_TIME: Final = timedelta(0)
"""For `run_immediately`: an unpaused DAG waits for the next time of its schedule."""


def after(asset: str) -> PartitionedAssetTimetable:
    """Return a schedule: once for each window of `asset`."""
    return PartitionedAssetTimetable(assets=ASSET[asset])


def day_before(cron: str, key_format: str = "%Y-%m-%d") -> CronPartitionTimetable:
    """Return a daily schedule, whose partition key is the date before the run."""
    return CronPartitionTimetable(
        cron, timezone="UTC", key_format=key_format, run_offset=-1, run_immediately=NEXT_TIME
    )


def window_params(dates: str, source: str = DEFAULT_SOURCE) -> dict[str, Param]:
    """Return the parameters for the window of a run without a partition key.

    A DAG of a source other than the default one takes windows of this source only.
    """
    return {
        "source": Param(
            source,
            type="string",
            enum=names() if source == DEFAULT_SOURCE else [source],
            title="Source",
            description="Source system of the window; ignored if the partition key names one.",
        ),
        "window": Param(
            None,
            type=["null", "string"],
            pattern=f"^{SPAN_PATTERN}$",
            title="Window",
            description=(
                f"{dates}: one day as 2024-03-01, or an inclusive range as 2024-01-01--2024-04-30."
                " Leave empty when the run has a partition key."
            ),
        ),
    }


def landing_params(source: str) -> dict[str, Param]:
    """Return the parameters of a landing: the window, and its days that need no file."""
    return {
        **window_params("Business dates to land", source),
        "closed_days": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "format": "date"},
            title="Closed days",
            description=(
                "Dates without payments, as 2024-12-25, beside those that the source declares: such"
                " a day needs no file."
            ),
        ),
    }


def count_param(default: int, title: str, description: str) -> Param:
    """Return a parameter that is an integer, at least 1."""
    return Param(default, type="integer", minimum=1, title=title, description=description)


def redrive_params() -> dict[str, Param]:
    """Return the parameters of a redrive: the quarantined rows, and whether it is a dry run."""
    reasons = [str(reason) for reason in RejectReason]
    return {
        **window_params("Business dates whose quarantined rows are processed again"),
        "reasons": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": reasons},
            examples=reasons,
            title="Reasons",
            description="Only rows with one of these reasons; all rows when empty.",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="Report the outcome and write nothing.",
        ),
    }


def tags(stage: Stage, *more: str) -> list[str]:
    """Return the tags of the DAG of a stage: its position in the pipeline, and `more`."""
    return [f"{list(Stage).index(stage) + 1} {stage}", *more]
