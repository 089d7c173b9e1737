"""### Score with the champion

Scores the payments of the window with the champion model of the source. A score has a risk level,
reasons, the model version and the feature snapshot. Payments of other sources on the same dates are
not scored. dbt then publishes the score marts: scores, alerts with outcomes, daily metrics of the
model. The last task refreshes the docs and the run marts.

| | |
| --- | --- |
| **When** | each time `build_production` publishes a window; manually with a window |
| **In** | `lake.sandbox.features` at the snapshot that the run ledger names for the window |
| **Out** | `staging.scores`, the score marts in `production` |

**No champion yet?** The tasks are skipped with a message: run `train_fraud_model` for the source,
then trigger this DAG manually for the skipped windows.

**Run it again**: safe; published scores never change, and a new model version adds scores.

**When it fails**
- `score`: MLflow, Postgres or the lake was unavailable (retried automatically). The ONNX model of
  the champion *cannot be loaded* or reads other features: run `train_fraud_model`.
- `gate_scores`: a payment has no score or two, an input of the model is always null, or the
  distribution of the scores is unusual; the scores were dropped. Read the report, fix the cause or
  retrain, then *Clear* the run from `score`.
- `publish`: a score mart failed its dbt tests; the message names it.
- `refresh_reports`: only the docs are stale; *Clear* the task.
"""

from typing import Any

from airflow.sdk import DAG, task, teardown

from contracts.assets import DAG_OF_STAGE, PRODUCTION, SCORES
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, after, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.SCORE],
    description="Scores, alerts and model performance of a window",
    doc_md=__doc__,
    schedule=after(PRODUCTION),
    params=window_params("Business dates to score, built before"),
    tags=tags(Stage.SCORE, "sandbox", "staging", "production"),
    **DAG_OPTIONS,
):

    @task
    def score(**context: Any) -> dict[str, Any]:
        """Score the window into a shadow table; skipped without a champion."""
        from tollgate_airflow.stages import score as stage

        return stage.write(context)

    @task
    def gate_scores(written: dict[str, Any]) -> str:
        """Check the scores; drop them when the gate closes."""
        from tollgate_airflow.stages import score as stage

        return stage.gate(written)

    @task(outlets=[ASSET[SCORES]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Publish the scores to STAGING and their marts to PRODUCTION."""
        from tollgate_airflow.stages import score as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[SCORES]].add_partitions(window)
        return window

    @teardown
    def refresh_reports(**context: Any) -> None:
        """Refresh run marts and docs, also after a failure; never decides the run's state."""
        from tollgate_airflow.stages import report

        report.refresh(context)

    written = score()
    gate_scores(written) >> publish(written) >> refresh_reports()
