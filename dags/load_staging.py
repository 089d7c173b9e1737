"""### Lake → STAGING

Copies the touched dates of the window from the lake into Postgres shadow tables by binary COPY,
reconciles them with the lake by day (rows and sums), and in one transaction swaps them in as
partitions and merges customers and merchants by key.

| | |
| --- | --- |
| **When** | each time `prepare_sandbox` publishes a window; manually with a window |
| **In** | the Processed and Sandbox snapshots that the run ledger names for the window |
| **Out** | `staging.transactions`, `labels`, `features`, `customers`, `merchants`, `quarantine` |
| **Then** | `build_production` runs for the same window |

**Run it again**: safe; complete days are replaced, never by an older snapshot.

**When it fails**
- `load`: Postgres or the lake was unavailable (retried automatically), an earlier stage is missing,
  or an earlier version recorded its result: run the stage that the message names.
- `gate_staging`: the shadow tables do not reconcile with the lake; they were dropped, and STAGING
  is unchanged. The report names table, day and measure. Fix the cause, then *Clear* the run from
  `load`.
- `publish`: a reader locked a table for too long (retried automatically).
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, SANDBOX, STAGING
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.LOAD],
    description="Copy touched dates from the lake into Postgres and reconcile them",
    doc_md=__doc__,
    schedule=after(SANDBOX),
    params=window_params("Business dates to load, prepared before"),
    tags=tags(Stage.LOAD, "sandbox", "staging"),
    **DAG_OPTIONS,
):

    @task
    def load(**context: Any) -> dict[str, Any]:
        """Copy the touched dates into shadow tables of STAGING."""
        from tollgate_airflow.stages import load as stage

        return stage.write(context)

    @task
    def gate_staging(written: dict[str, Any]) -> str:
        """Check the shadow tables against the lake; drop them when the gate closes."""
        from tollgate_airflow.stages import load as stage

        return stage.gate(written)

    @task(outlets=[ASSET[STAGING]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Attach the shadow tables as partitions, in one transaction."""
        from tollgate_airflow.stages import load as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[STAGING]].add_partitions(window)
        return window

    written = load()
    gate_staging(written) >> publish(written)
