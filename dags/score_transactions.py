"""### Score with the champion

The champion of the window's source scores its payments: score, risk level, reasons, model version
and feature snapshot. Payments of other sources on the same dates are not touched. dbt then
publishes the score marts: scores, alerts with their outcomes, how the model did, by day. At the end
of the line the docs and the run marts are brought up to date.

| | |
| --- | --- |
| **When** | each time `build_production` publishes a window; by hand with a window |
| **In** | `lake.sandbox.features` at the snapshot that the run ledger names for the window |
| **Out** | `staging.scores`, the score marts in `production` |

**No champion yet?** The tasks are skipped and say so: run `train_fraud_model` for the source, then
trigger this DAG by hand for the windows that were skipped.

**Run it again**: safe; a score that was issued is never changed, a new model version adds its own.

**When it fails**
- `score`: MLflow, Postgres or the lake was away (tried again by itself).
- `gate_scores`: a payment is missing or scored twice, an input of the model is null throughout, or
  the distribution is one we do not know; the scores were dropped. Read the report, mend or retrain,
  then *Clear* the run from `score`.
- `publish`: a score mart failed its dbt tests; the message names it.
- `refresh_reports`: only docs are stale; *Clear* the task.
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
        """Score the window into a table beside STAGING; skipped without a champion."""
        from tollgate_airflow.stages import score as stage

        return stage.write(context)

    @task
    def gate_scores(written: dict[str, Any]) -> str:
        """Judge the scores; refused ones are dropped."""
        from tollgate_airflow.stages import score as stage

        return stage.gate(written)

    @task(outlets=[ASSET[SCORES]])
    def publish(written: dict[str, Any], **context: Any) -> str:
        """Put the scores into STAGING and their marts into PRODUCTION."""
        from tollgate_airflow.stages import score as stage

        window = stage.publish(context, written)
        context["outlet_events"][ASSET[SCORES]].add_partitions(window)
        return window

    @teardown
    def refresh_reports(**context: Any) -> None:
        """Bring run marts and docs up to date, whatever happened; does not decide the run."""
        from tollgate_airflow.stages import report

        report.refresh(context)

    written = score()
    gate_scores(written) >> publish(written) >> refresh_reports()
