"""### Raw → Processed

Reads the Raw objects of the window with Spark, casts every column, validates each row against
a closed list of reasons, replaces direct identifiers by keyed tokens, coarsens places, and writes
transactions, labels, customers, merchants and quarantine as Iceberg tables.

| | |
| --- | --- |
| **When** | each time gate raw of `land_transactions` passes; manually with a window |
| **In** | the newest manifest of the window in Raw |
| **Out** | `lake.processed.*`, on an audit branch until the gate passes |
| **Then** | `prepare_sandbox` runs for the same window |

**Run it again**: safe; the run replaces the rows of its window and keeps other rows on the same
dates.

**When it fails**
- `process`: Spark or a store was unavailable (retried automatically), or the manifest cannot be
  read.
- `gate_processed`: a check failed; the audit branch was dropped, and the published tables are
  unchanged. Read the report, fix the cause, then *Clear* the run from `process`.
- `publish` with *main moved*: another run has published since; *Clear* the run from `process`.
- Missing rows are in `processed.quarantine`, with the reason and the Raw object.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, PROCESSED, RAW
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.PROCESS],
    description="Typed, validated, pseudonymised payments; bad rows quarantined",
    doc_md=__doc__,
    schedule=after(RAW),
    params=window_params("Business dates to process, landed before"),
    tags=tags(Stage.PROCESS, "raw", "processed"),
    **DAG_OPTIONS,
):

    @task
    def process(**context: Any) -> dict[str, Any]:
        """Write the window to the audit branch of the Processed tables."""
        from tollgate_airflow.stages import process as stage

        return stage.write(context)

    @task
    def gate_processed(written: dict[str, Any], **context: Any) -> str:
        """Check the audit branch; drop it when the gate closes."""
        from tollgate_airflow.stages import process as stage

        return stage.gate(context, written)

    @task(outlets=[ASSET[PROCESSED]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Fast-forward `main` to the audit branch."""
        from tollgate_airflow.stages import process as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[PROCESSED]].add_partitions(window)
        return window

    written = process()
    gate_processed(written) >> publish(written)
