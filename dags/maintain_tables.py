"""### Maintain the lake's tables

Keeps the Iceberg tables of Processed and Sandbox small and quick to read: joins small files that
share a partition, rewrites manifests when there are many, drops audit branches of dead runs,
expires old snapshots, and removes files that nothing names. No row changes. What was done is the
result of `maintain`, by table, in files and bytes.

| | |
| --- | --- |
| **When** | Sundays at 04:00 UTC, once unpaused; by hand at any time, first with `dry_run` |
| **In** | all tables of the lake; the run ledger says what windows in flight still read |
| **Out** | the same rows in fewer files; older snapshots are gone |
| **Kept** | what is tagged (each model's training data), young, newest, or in flight |

`await_quiet_line` waits up to six hours until no run writes the lake. A table that still has an
audit branch in work keeps its files as they are until the next time.

**Run it again**: safe; what was done is not done twice, what a kill left is done then.

**When it fails**
- `await_quiet_line`: runs went on for six hours, or one hangs. Look at `process_transactions`,
  `prepare_sandbox` and `redrive_quarantine`, then *Clear*.
- `maintain`: Spark, Postgres or the object store was away (tried again by itself).
- A publish of another DAG with *main moved*: it began while this one ran; *Clear* that run from its
  first task.
- A stage that reads an expired snapshot says so: run the window from `process_transactions`.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from contracts.assets import MAINTENANCE_DAG
from tollgate_airflow.wiring import DAG_OPTIONS, NEXT_TIME, count_param

with DAG(
    MAINTENANCE_DAG,
    description="Fewer files, fewer snapshots, no leftovers; no row changes",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC", run_immediately=NEXT_TIME),
    params={
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Change nothing; the result says what would be done.",
        ),
        "keep_days": count_param(14, "Keep, days", "Snapshots not older than this stay."),
        "keep_last": count_param(20, "Keep at least", "So many newest snapshots stay anyway."),
        "in_flight_days": count_param(90, "In flight, days", "Unscored for longer: given up."),
        "branch_days": count_param(2, "Branches, days", "Older audit branches are leftovers."),
        "orphan_days": count_param(3, "Orphans, days", "Files that nothing names go after this."),
    },
    tags=["maintenance", "processed", "sandbox"],
    **DAG_OPTIONS,
):

    @task.sensor(poke_interval=60, timeout=6 * 3600, mode="reschedule")
    def await_quiet_line(**context: Any) -> bool:
        """Wait until no run writes the lake."""
        from tollgate_airflow.stages import maintain as stage

        return stage.is_quiet(context)

    @task
    def maintain(**context: Any) -> list[dict[str, Any]]:
        """Compact, expire and sweep table by table; return what was done."""
        from tollgate_airflow.stages import maintain as stage

        return stage.maintain(context)

    await_quiet_line() >> maintain()
