"""### Record and publish the decisions of the API

Lands the decisions of a closed UTC day from the log of the decision API in Raw, and publishes them
as the mart `fct_decisions`.

| | |
| --- | --- |
| **When** | every day at 00:15 UTC for the day before, once unpaused; manually for closed days |
| **In** | `serving.decisions` |
| **Out** | `decision_log/decisions/…` in Raw, immutable; `staging.decisions`, `fct_decisions` |

**Run it again**: safe; a day that has landed adds nothing.

**When it fails** (tasks are retried automatically while a service is unavailable)
- `land`: the day is not over. It is skipped for a day without decisions.
- `gate_raw`: the decisions differ from those that landed before, or an object has changed; STAGING
  is unchanged. `python -m serving.audit verify` names the row of the log.
- `gate_staging`: the rows that `load` copied are not those of Raw; they were dropped.
- `publish`: a mart failed its dbt tests; the message names it.
"""

from typing import Any

from airflow.sdk import DAG, task

from contracts.assets import DECISION_LOG, DECISIONS, DECISIONS_DAG
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, day_before, window_params

with DAG(
    DECISIONS_DAG,
    description="Decisions of the API into Raw, STAGING and PRODUCTION",
    doc_md=__doc__,
    schedule=day_before("15 0 * * *", f"{DECISION_LOG}@%Y-%m-%d"),
    params=window_params("UTC dates of the decisions", DECISION_LOG),
    tags=["raw", "staging", "production", "serving"],
    **DAG_OPTIONS,
):

    @task
    def land(**context: Any) -> dict[str, Any]:
        """Write the decisions of the day and a manifest to Raw; skipped without a decision."""
        from tollgate_airflow.stages import decisions as stage

        return stage.land(context)

    @task
    def gate_raw(landed: dict[str, Any]) -> str:
        """Check that Raw has the decisions of the log, once and unchanged."""
        from tollgate_airflow.stages import decisions as stage

        return stage.gate_raw(landed)

    @task
    def load(landed: dict[str, Any]) -> str:
        """Copy the decisions from Raw into a shadow table of STAGING."""
        from tollgate_airflow.stages import decisions as stage

        return stage.load(landed)

    @task
    def gate_staging(landed: dict[str, Any], name: str) -> str:
        """Check the shadow table against Raw; drop it when the gate closes."""
        from tollgate_airflow.stages import decisions as stage

        return stage.gate_staging(landed, name)

    @task(outlets=[ASSET[DECISIONS]])
    def publish(landed: dict[str, Any], name: str, **context: Any) -> str:
        """Add the decisions to STAGING and build their mart."""
        from tollgate_airflow.stages import decisions as stage

        window = stage.publish(landed, name)
        context["outlet_events"][ASSET[DECISIONS]].add_partitions(window)
        return window

    landed = land()
    name = load(landed)
    gate_raw(landed) >> name
    gate_staging(landed, name) >> publish(landed, name)
