"""### Land the feedback of analysts in Raw

Writes the feedback of the decision API to Raw as labels, beside the payments that it names: an
object for each date of payments with new feedback, in a new manifest of the window that landed the
date. The window then goes through the batch line, and the label counts from the time at which it
became known.

| | |
| --- | --- |
| **When** | every day at 02:00 UTC, once unpaused; manually at any time |
| **In** | `serving.feedback`, the run ledger |
| **Out** | `<source>/feedback/<date>/…` and `<source>/manifests/<window>/…` in Raw, immutable |
| **Then** | `process_transactions` runs for each window with new feedback |

**A payment that has not landed**: its feedback waits until the batch line has landed its date.

**Run it again**: safe; feedback that has landed adds nothing.

**When it fails**
- `land`: the object store or Postgres was unavailable (retried automatically). No feedback is lost:
  the next run lands what has not landed.
- `gate_raw`: an object of the window has changed or is missing. No later stage runs for this
  window. The message names the report.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from contracts.assets import FEEDBACK_DAG, RAW
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, NEXT_TIME, tags


@task
def land(**context: Any) -> list[dict[str, Any]]:
    """Write the feedback to Raw, and a manifest of each window with new feedback."""
    from tollgate_airflow.stages import land_feedback as stage

    return stage.land(context)


@task(outlets=[ASSET[RAW]])
def gate_raw(landed: dict[str, Any], **context: Any) -> str:
    """Check that the window is complete in Raw; trigger Processed."""
    from tollgate_airflow.stages import land as stage

    window = stage.gate(context, landed)
    context["outlet_events"][ASSET[RAW]].add_partitions(window)
    return window


with DAG(
    FEEDBACK_DAG,
    description="Write the feedback of analysts to Raw as labels of their payments",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC", run_immediately=NEXT_TIME),
    tags=tags(Stage.LAND, "raw", "serving"),
    **DAG_OPTIONS,
):
    # Airflow takes no documentation of a mapped task from its function.
    gate_raw.override(doc_md=gate_raw.function.__doc__).expand(landed=land())
