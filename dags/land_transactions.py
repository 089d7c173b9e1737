"""### Land payments in Raw

Takes a window of business dates from a source system and writes its files to the S3 bucket Raw
exactly as they arrived, with a manifest that lists each object's bytes, rows and SHA-256.

| | |
| --- | --- |
| **When** | every day for the day before, once unpaused; by hand for any day or range |
| **In** | the source's deliveries |
| **Out** | `<source>/transactions/…` and `<source>/manifests/<window>/…` in Raw, immutable |
| **Then** | `process_transactions` runs for the same window |

**Run it by hand**: *Trigger*, choose the source, fill in the window: `2024-05-01`, or a range
as `2024-05-01--2024-08-29`.

**Run it again**: as often as you like; landing the same delivery twice adds nothing.

**When it fails**
- `land`: the delivery is missing, or the object store refused or was away; the message says which.
  Connection troubles are tried again by themselves. Mend the cause, then *Clear* the task.
- `gate_raw`: the window arrived broken (a file cut off, a renamed column, too few rows). Nothing
  went further. The report is named in the message; ask the source for a new delivery, then land
  the window again. Raw keeps the refused objects as evidence.
"""

from typing import Any

from airflow.sdk import DAG, CronPartitionTimetable, task

from contracts.assets import DAG_OF_STAGE, RAW
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, NEXT_TIME, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.LAND],
    description="A window of a source into Raw, exactly as it arrived",
    doc_md=__doc__,
    schedule=CronPartitionTimetable(
        "0 0 * * *",
        timezone="UTC",
        key_format="%Y-%m-%d",
        run_offset=-1,
        run_immediately=NEXT_TIME,
    ),
    params=window_params("Business dates to land"),
    tags=tags(Stage.LAND, "raw"),
    **DAG_OPTIONS,
):

    @task
    def land(**context: Any) -> dict[str, Any]:
        """Write the window's objects and their manifest to Raw."""
        from tollgate_airflow.stages import land as stage

        return stage.write(context)

    @task(outlets=[ASSET[RAW]])
    def gate_raw(landed: dict[str, Any], **context: Any) -> str:
        """Ask whether the window arrived whole; open the way to Processed."""
        from tollgate_airflow.stages import land as stage

        window = stage.gate(context, landed)
        context["outlet_events"][ASSET[RAW]].add_partitions(window)
        return window

    gate_raw(land())
