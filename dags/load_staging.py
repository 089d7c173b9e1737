"""### Lake → STAGING

Copies the dates that the window touched from the lake into fresh Postgres tables by binary COPY,
reconciles them with the lake by day (rows and sums), and swaps them in as partitions, all at once.

| | |
| --- | --- |
| **When** | each time `prepare_sandbox` publishes a window; by hand with a window |
| **In** | the Processed and Sandbox snapshots that the run ledger names for the window |
| **Out** | `staging.transactions`, `labels`, `features`, `customers`, `merchants`, `quarantine` |
| **Then** | `build_production` runs for the same window |

**Run it again**: safe; days are replaced whole, and never by an older snapshot.

**When it fails**
- `load`: Postgres or the lake was away (tried again by itself), or an earlier stage is missing.
- `gate_staging`: something was lost on the way; the fresh tables were dropped and STAGING is as
  before. The report names table, day and measure. Then *Clear* the run from `load`.
- `publish`: a reader held a lock for too long (tried again by itself).
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, SANDBOX, STAGING
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.LOAD],
    description="The touched dates from the lake into Postgres, reconciled",
    doc_md=__doc__,
    schedule=after(SANDBOX),
    params=window_params("Business dates to load, prepared before"),
    tags=tags(Stage.LOAD, "sandbox", "staging"),
    **DAG_OPTIONS,
):

    @task
    def load(**context: Any) -> dict[str, Any]:
        """Copy the touched dates into fresh tables beside STAGING."""
        from tollgate_airflow.stages import load as stage

        return stage.write(context)

    @task
    def gate_staging(written: dict[str, Any]) -> str:
        """Judge the fresh tables against the lake; refused ones are dropped."""
        from tollgate_airflow.stages import load as stage

        return stage.gate(written)

    @task(outlets=[ASSET[STAGING]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Swap the fresh tables in, in one transaction."""
        from tollgate_airflow.stages import load as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[STAGING]].add_partitions(window)
        return window

    written = load()
    gate_staging(written) >> publish(written)
