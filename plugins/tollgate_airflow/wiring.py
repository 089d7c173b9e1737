"""What a DAG file is made of: assets, the window parameters and the defaults of every task.

Imported at each parse, so nothing heavier than Airflow's task SDK belongs here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk import Asset, Context, Param, PartitionedAssetTimetable

from contracts import assets
from contracts.reasons import RejectReason
from contracts.stages import Stage
from contracts.windows import SPAN_PATTERN
from sources.registry import DEFAULT_SOURCE, names

ASSET: Final = {name: Asset(name=name) for name in assets.ASSETS}


def tell(context: Context) -> None:
    """Say in one sentence what failed (see `failures`)."""
    from tollgate_airflow.failures import tell as tell_failure

    tell_failure(context)


# Every task has them. Whether an error heals is decided where it is raised: `failures.guarded`
# turns what cannot heal into AirflowFailException, which no retry follows.
TASK_DEFAULTS: Final[dict[str, Any]] = {
    "owner": "tollgate",
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=2),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": tell,
}

DAG_OPTIONS: Final[dict[str, Any]] = {
    # No start date: a schedule begins when it is unpaused (see `NEXT_TIME`), never with the past.
    "catchup": False,
    # Two windows must not write the same tables together.
    "max_active_runs": 1,
    "default_args": TASK_DEFAULTS,
    "fail_fast": False,
}

NEXT_TIME: Final = timedelta(0)
"""For `run_immediately`: a DAG that is unpaused waits for the next time of its schedule."""


def after(asset: str) -> PartitionedAssetTimetable:
    """Return a schedule: once for each window of `asset`."""
    return PartitionedAssetTimetable(assets=ASSET[asset])


def window_params(what: str) -> dict[str, Param]:
    """Return the parameters that name the window when no partition key does."""
    return {
        "source": Param(
            DEFAULT_SOURCE,
            type="string",
            enum=names(),
            title="Source",
            description="Source system of the window; a partition key that names one wins.",
        ),
        "window": Param(
            None,
            type=["null", "string"],
            pattern=f"^{SPAN_PATTERN}$",
            title="Window",
            description=(
                f"{what}: one day as 2024-03-01, or an inclusive range as 2024-01-01--2024-04-30."
                " Leave empty when the run has a partition key."
            ),
        ),
    }


def count_param(default: int, title: str, description: str) -> Param:
    """Return a parameter that is a whole number, one or more."""
    return Param(default, type="integer", minimum=1, title=title, description=description)


def redrive_params() -> dict[str, Param]:
    """Return the parameters of a redrive: which quarantined rows, and whether in earnest."""
    reasons = [str(reason) for reason in RejectReason]
    return {
        **window_params("Business dates whose quarantined rows are tried again"),
        "reasons": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": reasons},
            examples=reasons,
            title="Reasons",
            description="Only rows refused for one of these reasons; all of them when empty.",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="Say what would happen and write nothing.",
        ),
    }


def tags(stage: Stage, *more: str) -> list[str]:
    """Return the tags of a stage's DAG: its place in the line and the stores it joins."""
    return [f"{list(Stage).index(stage) + 1} {stage}", *more]
