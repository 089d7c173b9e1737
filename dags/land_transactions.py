"""### Land payments in Raw

Copies the files of a window of business dates from a source system to the S3 bucket Raw, unchanged,
and writes a manifest with the bytes, rows and SHA-256 of each object.

| | |
| --- | --- |
| **When** | every day for the day before, once unpaused; manually for any day or range |
| **In** | the deliveries of the source |
| **Out** | `<source>/transactions/…` and `<source>/manifests/<window>/…` in Raw, immutable |
| **Then** | `process_transactions` runs for the same window |

**Run it manually**: *Trigger*, choose the source, enter the window: `2024-05-01`, or a range
as `2024-05-01--2024-08-29`.

**A closed day**: a day on which the source has no payments needs no file. Enter it under *Closed
days*, or declare the days on which this happens regularly as `closed_days` of the source.

**Sources**: each source has a DAG with this schedule, `land_transactions_<source>`; that of the
default source is `land_transactions`, which also lands windows of other sources manually. Backfill
the dates of a source with its DAG: Airflow backfills a date of a DAG once. After a backfill, the
schedule also lands yesterday, since Airflow counts a backfill as runs of the schedule.

**Run it again**: safe; landing the same delivery twice adds nothing.

**When it fails**
- `land`: the delivery is missing, or the object store is unavailable or denied access; the message
  names the cause. Connection errors are retried automatically. Fix the cause, then *Clear* the
  task.
- `gate_raw`: the delivery is invalid (a truncated file, a renamed column, too few rows). No later
  stage runs. The message names the report. Ask the source for a new delivery, then land the window
  again. Raw keeps the refused objects as evidence.
- `gate_raw` is skipped: the days of the window are declared as closed. There is nothing to do.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import RAW, landing_dag
from contracts.stages import Stage
from sources.registry import DEFAULT_SOURCE, names
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, day_before, landing_params, tags


@task
def land(**context: Any) -> dict[str, Any]:
    """Write the objects and the manifest of the window to Raw."""
    from tollgate_airflow.stages import land as stage

    return stage.write(context)


@task(outlets=[ASSET[RAW]])
def gate_raw(landed: dict[str, Any], **context: Any) -> str:
    """Check that the delivery is complete; trigger Processed."""
    from tollgate_airflow.stages import land as stage

    window = stage.gate(context, landed)
    context["outlet_events"][ASSET[RAW]].add_partitions(window)
    return window


for source in names():
    with DAG(
        landing_dag(source, DEFAULT_SOURCE),
        description=f"Copy the deliveries of {source} into Raw, unchanged",
        doc_md=__doc__,
        schedule=day_before("0 0 * * *"),
        params=landing_params(source),
        tags=tags(Stage.LAND, "raw"),
        **DAG_OPTIONS,
    ):
        gate_raw(land())
