"""### Train the fraud model

Trains logistic regression, XGBoost and Isolation Forest on the features of a source, with the
labels known at the end of the window and a split by time that respects the label delay. Metrics,
plots, feature importances, contributions, signature and data snapshot are logged to MLflow. The
best candidate is converted to ONNX and registered as challenger, and becomes the champion of the
source if it passes the model gate (decision 25).

| | |
| --- | --- |
| **When** | Mondays at 03:00 UTC, once unpaused; manually at any time |
| **In** | `lake.sandbox.features` and `lake.processed.labels` at recorded snapshots |
| **Out** | a version of `fraud_detector_<source>` in MLflow and `dim_models`; maybe `champion` |

**Source**: each source has a separate model and champion. Features that are null in all training
rows are excluded from the model, and the run lists them.

**Window**: training uses the data of 365 days up to the end of the window that was known then. The
default is the last date of the source with features.

**Run it again**: safe; each new run registers a version, a retry or cleared run continues its own.
The champion changes only if the gate passes, after the evidence is recorded.

**When it fails**
- `train` with *not enough history*: land more days first (34 days and 20 known frauds at least).
- `train`: MLflow, Postgres or the lake was unavailable (retried automatically).
- `gate_model` *skipped*: not an error. The new version did not pass the gate; the task log names
  the failed checks, MLflow has the metrics, and scoring continues with the previous champion.
  `onnx_scores_equal` has the difference between the scores of the ONNX model and of the model, or
  the cause why the model could not be converted.
"""

from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, task

from contracts.assets import CHAMPION, DAG_OF_STAGE
from contracts.stages import Stage
from tollgate_airflow.wiring import ASSET, DAG_OPTIONS, NEXT_TIME, tags, window_params

with DAG(
    DAG_OF_STAGE[Stage.TRAIN],
    description="Train candidates, register a challenger, promote it if the gate passes",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 3 * * 1", timezone="UTC", run_immediately=NEXT_TIME),
    params=window_params("Prepared window at whose end the model is trained"),
    tags=tags(Stage.TRAIN, "sandbox", "mlflow"),
    **DAG_OPTIONS,
):

    @task
    def train(**context: Any) -> dict[str, Any]:
        """Train the candidates, register the best, promote it if the gate passes."""
        from tollgate_airflow.stages import train as stage

        return stage.write(context)

    @task(outlets=[ASSET[CHAMPION]])
    def gate_model(trained: dict[str, Any], **context: Any) -> str:
        """Publish `dim_models`; skipped when the champion does not change."""
        from tollgate_airflow.stages import train as stage

        return stage.gate(context, trained)

    gate_model(train())
