"""### Train the fraud model

Trains logistic regression, boosted trees and Isolation Forest on a source's features in the
Sandbox, with the labels known by then and a split by time that respects the label delay. Metrics,
plots, feature importances, signature and data snapshot go to MLflow; the best is registered as
challenger and becomes the source's champion only if it passes the model gate.

| | |
| --- | --- |
| **When** | Mondays at 03:00 UTC, once unpaused; by hand at any time |
| **In** | `lake.sandbox.features` and `lake.processed.labels` at recorded snapshots |
| **Out** | a version of `fraud_detector_<source>` in MLflow and `dim_models`; maybe `champion` |

**Source**: each has a model and a champion of its own. A feature that was null in every training
row is left out of the model, and the run says which.

**Window**: training knows what was known when it ended. Empty means the source's last date with
features.

**Run it again**: each run registers one more version; the champion changes only through the gate.

**When it fails**
- `train` with *not enough history*: land more days first (34 days and 20 known frauds at least).
- `train`: MLflow, Postgres or the lake was away (tried again by itself).
- `gate_model` *skipped*: no failure. The new version did not beat the gate; the checks are named in
  the task's log, the metrics are in MLflow, and scoring goes on with the champion it had.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from contracts.assets import CHAMPION, DAG_OF_STAGE
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, NEXT_TIME, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.TRAIN],
    description="Candidates, a challenger, and a champion if the gate opens",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 3 * * 1", timezone="UTC", run_immediately=NEXT_TIME),
    params=window_params("Prepared window at whose end training stands"),
    tags=tags(Stage.TRAIN, "sandbox", "mlflow"),
    **DAG_OPTIONS,
):

    @task
    def train(**context: Any) -> dict[str, Any]:
        """Train the candidates, register the best, promote it if the gate opens."""
        from tollgate_airflow.stages import train as stage

        return stage.write(context)

    @task(outlets=[ASSET[CHAMPION]])
    def gate_model(trained: dict[str, Any], **context: Any) -> str:
        """Publish `dim_models`, say who is champion; skipped when that stays who it was."""
        from tollgate_airflow.stages import train as stage

        return stage.gate(context, trained)

    gate_model(train())
