"""### Raw → Processed

Reads the window's Raw objects with Spark, gives every column its type, validates each row against
a closed list of reasons, replaces direct identifiers by keyed tokens, coarsens places, and writes
transactions, labels, customers, merchants and quarantine as Iceberg tables.

| | |
| --- | --- |
| **When** | each time `land_transactions` lets a window through; by hand with a window |
| **In** | the newest manifest of the window in Raw |
| **Out** | `lake.processed.*`, on an audit branch until the gate has judged it |
| **Then** | `prepare_sandbox` runs for the same window |

**Run it again**: safe; the window's rows replace themselves, other rows on the same dates stay.

**When it fails**
- `process`: Spark or a store was away (tried again by itself), or the manifest cannot be read.
- `gate_processed`: what was written broke a rule; the audit branch was dropped, readers still see
  the tables as they were. Read the report, mend, then *Clear* the run from `process`.
- `publish` with *main moved*: somebody else published in between; *Clear* the run from `process`.
- Rows you miss are in `processed.quarantine`, with the reason and the Raw object.
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
        """Judge the audit branch; a refused one never reaches a reader."""
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
