"""### STAGING → PRODUCTION

Runs dbt once, in process: the core marts (`dim_*`, `fct_transactions`, `fct_fraud_labels`,
`rpt_fraud_*`) and those of operations (refused rows, runs, tasks, gates) are built and tested
for the touched dates in an audit schema, judged there, and shown to readers in one transaction.

| | |
| --- | --- |
| **When** | each time `load_staging` swaps a window in; by hand with a window |
| **In** | schema `staging`; the run ledger names the dates |
| **Out** | schema `production` |
| **Then** | `score_transactions` runs for the same window |

**Run it again**: safe; the dates replace themselves.

**When it fails**
- `build`: a model or a dbt test failed; the message names it. Nothing is visible to readers.
- `gate_production`: the marts disagree with STAGING; the audit schema was set back. Read the
  report, mend, then *Clear* the run from `build`.
- `publish`: Postgres was away (tried again by itself). *Waits no more*: another run, or a
  rebuild, came between; *Clear* the run from `build`.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, PRODUCTION, STAGING
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.BUILD],
    description="The core marts by dbt, audited before readers see them",
    doc_md=__doc__,
    schedule=after(STAGING),
    params=window_params("Business dates to build, loaded before"),
    tags=tags(Stage.BUILD, "staging", "production"),
    **DAG_OPTIONS,
):

    @task
    def build(**context: Any) -> dict[str, Any]:
        """Build and test the core marts in the audit schema."""
        from tollgate_airflow.stages import build as stage

        return stage.write(context)

    @task
    def gate_production(written: dict[str, Any]) -> str:
        """Judge the audit schema against STAGING; a refused build is undone."""
        from tollgate_airflow.stages import build as stage

        return stage.gate(written)

    @task(outlets=[ASSET[PRODUCTION]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Show the build to readers in one transaction."""
        from tollgate_airflow.stages import build as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[PRODUCTION]].add_partitions(window)
        return window

    written = build()
    gate_production(written) >> publish(written)
