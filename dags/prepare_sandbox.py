"""### Processed → Sandbox

Computes the point-in-time features of `contracts/features.py` with Spark (only from data that was
known at the time of the payment) and a masked one-in-ten sample for analysts.

| | |
| --- | --- |
| **When** | each time `process_transactions` publishes a window; manually with a window |
| **In** | the Processed snapshots that the run ledger names for the window |
| **Out** | `lake.sandbox.features`, `lake.sandbox.transactions_masked`, gated on a branch |
| **Then** | `load_staging` runs for the same window |

Late rows change features of later dates: the run recomputes up to 37 days after each touched date
and reports the dates that it wrote.

**Run it again**: safe; the run replaces its dates.

**When it fails**
- `prepare`: Spark or a store was unavailable (retried automatically), or the window was never
  processed.
- `gate_sandbox`: the branch was dropped, and the published features are unchanged. Read the
  report, fix the cause, then *Clear* the run from `prepare`.
- `publish` with *main moved*: *Clear* the run from `prepare`.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DAG_OF_STAGE, PROCESSED, SANDBOX
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.PREPARE],
    description="Point-in-time features and a masked sample",
    doc_md=__doc__,
    schedule=after(PROCESSED),
    params=window_params("Business dates to prepare, processed before"),
    tags=tags(Stage.PREPARE, "processed", "sandbox"),
    **DAG_OPTIONS,
):

    @task
    def prepare(**context: Any) -> dict[str, Any]:
        """Write features and sample to the audit branch of the Sandbox tables."""
        from tollgate_airflow.stages import prepare as stage

        return stage.write(context)

    @task
    def gate_sandbox(written: dict[str, Any]) -> str:
        """Check the audit branch; drop it when the gate closes."""
        from tollgate_airflow.stages import prepare as stage

        return stage.gate(written)

    @task(outlets=[ASSET[SANDBOX]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Fast-forward `main` to the audit branch."""
        from tollgate_airflow.stages import prepare as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[SANDBOX]].add_partitions(window)
        return window

    written = prepare()
    gate_sandbox(written) >> publish(written)
