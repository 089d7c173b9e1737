"""### Maintain the lake's tables

Maintains the Iceberg tables of Processed and Sandbox: compacts small files of a partition, rewrites
manifests when there are many, drops audit branches of failed runs, expires old snapshots, and
removes orphan files. No row changes. The result of `maintain` lists the changes of each table in
files and bytes.

| | |
| --- | --- |
| **When** | Sundays at 04:00 UTC, once unpaused; manually at any time, first with `dry_run` |
| **In** | all tables of the lake; the run ledger names the snapshots that unfinished windows read |
| **Out** | the same rows in fewer files, without old snapshots |
| **Kept** | snapshots that are tagged (training data), young, newest, or of unfinished windows |

`await_quiet_line` waits up to six hours until no run writes the lake. The files of a table with an
audit branch in use are not changed until the next run.

**Run it again**: safe; finished work is not repeated, and the work of a killed run is completed.

**When it fails**
- `await_quiet_line`: runs were active for six hours, or one hangs. Check `process_transactions`,
  `prepare_sandbox` and `redrive_quarantine`, then *Clear*.
- `maintain`: Spark, Postgres or the object store was unavailable (retried automatically).
- A publish of another DAG with *main moved*: it started while this DAG ran; *Clear* that run from
  its first task.
- A stage reports an expired snapshot: run the window again from `process_transactions`.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from contracts.assets import MAINTENANCE_DAG
from tollgate_airflow.wiring import DAG_OPTIONS, NEXT_TIME, count_param

with DAG(
    MAINTENANCE_DAG,
    description="Compaction, snapshot expiry and orphan removal; no row changes",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC", run_immediately=NEXT_TIME),
    params={
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Change nothing; the result lists the changes that a run would make.",
        ),
        "keep_days": count_param(14, "Keep, days", "Snapshots that are not older are kept."),
        "keep_last": count_param(20, "Keep at least", "This number of newest snapshots is kept."),
        "in_flight_days": count_param(90, "In flight, days", "Older unscored windows are ignored."),
        "branch_days": count_param(2, "Branches, days", "Older audit branches are dropped."),
        "orphan_days": count_param(3, "Orphans, days", "Older orphan files are removed."),
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
        """Compact, expire and remove orphans by table; return the changes."""
        from tollgate_airflow.stages import maintain as stage

        return stage.maintain(context)

    await_quiet_line() >> maintain()
