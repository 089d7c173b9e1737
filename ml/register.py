"""Log a training run to MLflow and register its model once; `promote` moves the alias."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.features import FEATURE_LIST_VERSION, FEATURES, KnownAt
from ml import artefact, drift, plots, reasons, tracking
from ml.evaluate import calibration_table
from ml.training import Trained

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_RANKING = (
    "average_precision",
    "auc",
    "card_precision_100",
    "card_precision_ceiling",
    "recall_at_budget",
    "prevalence",
)
"""Metrics of any ranking; the other metrics need a probability and a threshold."""
_EXPLAINED = 1000
"""Payments of the plot of contributions, chosen at random from the test fold."""
_REPOSITORY = Path(__file__).resolve().parent.parent


def code_version() -> str:
    """Return the commit of this code, with `-changed` when files differ, or `unknown`."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=-changed", "--exclude=*"],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"


def record(
    trained: Trained,
    client: MlflowClient,
    snapshots: Mapping[str, int],
    *,
    source: str,
    run_id: str,
    as_of: str,
    importances: Mapping[str, float],
    onnx: bytes | None,
) -> tuple[str, int]:
    """Log the run, its candidates as nested runs, and register the source's model as challenger.

    `onnx` is the model as ONNX, stored with it; None when it could not be converted.

    A retry of the run continues what it began, if it learnt from the same snapshots: its MLflow run
    and its version, so that no retry registers another one.

    The server checks the password at each request, so requests are combined: the model is logged
    before the metrics (otherwise MLflow fetches each metric to copy it to the model), and files as
    one folder.

    Returns the MLflow run id and the registered version.
    """
    import mlflow

    name = tracking.model_name(source)
    common = {
        "source": source,
        "as_of": as_of,
        "feature_list_version": FEATURE_LIST_VERSION,
        **{f"snapshot_{table}": str(snapshot) for table, snapshot in snapshots.items()},
    }
    tags = {"run_id": run_id, "code_version": code_version(), **common}
    experiment = mlflow.set_experiment(name).experiment_id
    begun = _begun(client, experiment, tags)
    with mlflow.start_run(run_id=begun, run_name=run_id, tags=tags) as run:
        parent = run.info.run_id
        version = _registered(client, name, begun) or _log_model(trained, name, onnx)
        mlflow.log_params({**common, "candidate": trained.name, **_plan_params(trained)})
        mlflow.log_metrics(headline(trained))
        with tempfile.TemporaryDirectory() as folder:
            _write_files(trained, importances, Path(folder))
            mlflow.log_artifacts(folder)
        _log_candidates(trained, client, experiment, parent, run_id)
    client.set_registered_model_alias(name, tracking.CHALLENGER, str(version))
    return parent, version


def _begun(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> str | None:
    """Return the MLflow run that an earlier attempt with the same tags began, if any."""
    query = f"tags.run_id = '{tags['run_id']}'"
    for run in client.search_runs([experiment], query, order_by=["attributes.start_time"]):
        if all(run.data.tags.get(name) == value for name, value in tags.items()):
            return str(run.info.run_id)
    return None


def _registered(client: MlflowClient, name: str, begun: str | None) -> int | None:
    """Return the version of a model that an MLflow run has registered, if any."""
    if begun is None:
        return None
    versions = client.search_model_versions(f"run_id = '{begun}'")
    return max((int(version.version) for version in versions if version.name == name), default=None)


def promote(client: MlflowClient, source: str, version: int) -> None:
    """Make a version the champion of the source, after its evidence is recorded."""
    name = tracking.model_name(source)
    client.set_registered_model_alias(name, tracking.CHAMPION, str(version))


def headline(trained: Trained) -> dict[str, float]:
    """Return the metrics of the test fold by name; names with `_with_known` cover all customers."""
    return {
        **trained.test.to_dict(),
        **{
            f"{name}_with_known": value
            for name, value in trained.everyone.to_dict().items()
            if name != "threshold"
        },
        "score_stability_index": drift.stability_index(
            drift.describe(trained.validation.score), trained.test_payments.score
        ),
        "rows_train": trained.rows_train,
        "frauds_train": trained.frauds_train,
    }


def _plan_params(trained: Trained) -> dict[str, str]:
    last, test = trained.plan.folds[-1], trained.plan.test
    return {
        "train_before": str(test.train_end),
        "validation": f"{last.start} to {last.end}, end excluded",
        "test": f"{test.start} to {test.end}, end excluded",
        **{f"band_{name}": f"{value:.6f}" for name, value in asdict(trained.bands).items()},
    }


def _write_files(trained: Trained, importances: Mapping[str, float], folder: Path) -> None:
    def write(name: str, content: Any) -> None:
        (folder / name).write_text(json.dumps(content, indent=1))

    payments = trained.test_payments
    known = {feature.name: feature.known for feature in FEATURES}
    known |= dict.fromkeys(trained.source_features, KnownAt.EVENT)
    write(
        "features.json",
        [
            {"name": name, "known": when.value, "is_used": name in trained.null_share}
            for name, when in known.items()
        ],
    )
    write("calibration.json", [asdict(line) for line in calibration_table(payments)])
    if not payments.is_fraud.any():
        return
    write("importances.json", dict(importances))
    explained = trained.test_matrix.sample(min(_EXPLAINED, len(payments.score)), random_state=0)
    contributions = reasons.contributions(trained.model, explained, trained.typical)
    for name, figure in (
        ("precision_recall", plots.precision_recall(payments, trained.bands.high, trained.name)),
        ("calibration", plots.calibration(payments, trained.name)),
        ("importances", plots.importances(dict(importances), trained.name)),
        ("contributions", plots.contributions(contributions, explained, trained.name)),
    ):
        figure.savefig(folder / f"{name}.png", dpi=100)


def _log_candidates(
    trained: Trained, client: MlflowClient, experiment: str, parent: str, run_id: str
) -> None:
    from mlflow.entities import Metric
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
    from mlflow.utils.time import get_current_time_millis

    logged = client.search_runs([experiment], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'")
    for name, trial in trained.trials.items():
        if name in {run.data.tags.get("candidate") for run in logged}:
            continue
        run = client.create_run(
            experiment,
            tags={MLFLOW_PARENT_RUN_ID: parent, "candidate": name},
            run_name=f"{run_id}_{name}",
        )
        figures = {
            "validation_average_precision_mean": trial.mean,
            "validation_average_precision_sd": trial.deviation,
            "training_average_precision": trial.training_average_precision,
            **{
                f"test_{key}": value
                for key, value in trial.test.to_dict().items()
                if key in _RANKING
            },
        }
        now = get_current_time_millis()
        client.log_batch(
            run.info.run_id, metrics=[Metric(key, value, now, 0) for key, value in figures.items()]
        )
        client.set_terminated(run.info.run_id)


def _log_model(trained: Trained, name: str, onnx: bytes | None) -> int:
    import mlflow

    sample = trained.test_matrix.head(5)
    signature = mlflow.models.infer_signature(sample, trained.model.predict_proba(sample))
    passport = artefact.Passport(
        trained.bands,
        trained.typical,
        trained.null_share,
        trained.first_date,
        distributions=trained.distributions,
        source_features=trained.source_features,
        scores=drift.describe(trained.validation.score),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / artefact.ONNX_FILE
        if onnx is not None:
            file.write_bytes(onnx)
        info: Any = mlflow.sklearn.log_model(
            trained.model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(artefact.TRUSTED_TYPES),
            pip_requirements=artefact.requirements(),
            signature=signature,
            metadata=passport.to_dict(),
            pyfunc_predict_fn="predict_proba",
            registered_model_name=name,
            await_registration_for=0,
            extra_files=None if onnx is None else [str(file)],
        )
    return int(info.registered_model_version)
