"""### Land the stream of payments in Raw

Spark Structured Streaming reads the validated and rejected messages that have arrived since the
last run, and writes them to immutable objects of Raw, by business date, partition and range of
offsets. A rejected message lands as its source sent it: the batch line quarantines it with the same
reason, and a redrive can take it up. When the newest payment is an hour past the end of a day, the
day has a manifest, and the batch line takes it to PRODUCTION.

| | |
| --- | --- |
| **When** | every five minutes, once unpaused; manually at any time |
| **In** | the topics `transactions.validated`, `transactions.rejected` and `transactions` |
| **Out** | `<source>/stream/<date>/…` and `<source>/manifests/<date>/…` in Raw, immutable |
| **Then** | `process_transactions` runs for each complete day |

**Late messages** of a day that has landed follow when the next day is complete.

**Run it again**: safe; an interrupted batch is repeated with the same messages.

**When it fails**
- `land`: Kafka, the object store or Spark is unavailable, or messages wait for validation; it is
  retried automatically. If gate raw closes, messages have no outcome: the message of the task names
  the report, and docs/stream.md (Landing) the way on.
- `gate_raw`: an object of the day has changed or is missing. No later stage runs for this day.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, task

from contracts.assets import RAW, STREAM_DAG
from contracts.stages import Stage
from sources.registry import names
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, NEXT_TIME, tags


@task
def land(**context: Any) -> list[dict[str, Any]]:
    """Write the messages to Raw, and a manifest of each day that is complete."""
    from tollgate_airflow.stages import land_stream as stage

    return stage.land(context)


@task(outlets=[ASSET[RAW]])
def gate_raw(landed: dict[str, Any], **context: Any) -> str:
    """Check that the day is complete in Raw; trigger Processed."""
    from tollgate_airflow.stages import land as stage

    window = stage.gate(context, landed)
    context["outlet_events"][ASSET[RAW]].add_partitions(window)
    return window


with DAG(
    STREAM_DAG,
    description="Write validated and rejected messages to Raw, and complete days to the batch line",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC", run_immediately=NEXT_TIME),
    params={
        "source": Param(
            "simulator",
            type="string",
            enum=names(),
            title="Source",
            description="Source system of the messages.",
        )
    },
    tags=tags(Stage.LAND, "raw", "stream"),
    **DAG_OPTIONS,
):
    # Airflow takes no documentation of a mapped task from its function.
    gate_raw.override(doc_md=gate_raw.function.__doc__).expand(landed=land())
