"""### STAGING → PRODUCTION

Runs dbt in the task process. dbt builds and tests the core marts (`dim_*`, `fct_transactions`,
`fct_fraud_labels`, `rpt_fraud_*`) and the operations marts (quarantined rows, runs, tasks, gates)
for the touched dates in an audit schema. After the gate, one transaction publishes them to readers.

| | |
| --- | --- |
| **When** | each time `load_staging` publishes a window; manually with a window |
| **In** | schema `staging`; the run ledger names the dates |
| **Out** | schema `production` |
| **Then** | `score_transactions` runs for the same window |

**Run it again**: safe; the run replaces its dates.

**When it fails**
- `build`: a model or a dbt test failed; the message names it. Nothing is visible to readers.
- `gate_production`: the marts do not reconcile with STAGING; the audit schema was reset. Read the
  report, fix the cause, then *Clear* the run from `build`.
- `publish`: Postgres was unavailable (retried automatically). *Replaced by another run*: *Clear*
  the run from `build`.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, PRODUCTION, STAGING
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.BUILD],
    description="Core marts, built by dbt and gated before readers see them",
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
        """Check the audit schema against STAGING; reset it when the gate closes."""
        from tollgate_airflow.stages import build as stage

        return stage.gate(written)

    @task(outlets=[ASSET[PRODUCTION]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Publish the build to readers in one transaction."""
        from tollgate_airflow.stages import build as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[PRODUCTION]].add_partitions(window)
        return window

    written = build()
    gate_production(written) >> publish(written)
