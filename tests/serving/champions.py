"""A small champion that has learnt from the sample, and its registration in MLflow."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from contracts.features import FEATURE_NAMES
from ml import artefact, candidates, tracking
from ml.champion import Champion
from ml.matrix import to_matrix
from ml.onnx_export import convert
from ml.onnx_model import OnnxModel
from ml.reasons import typical_values
from ml.threshold import Bands
from tests.serving.sample import features_of_all


def learnt(payments: pa.Table, labels: pa.Table) -> Champion:
    """Return a model of all features that the sample has."""
    features = features_of_all(payments, labels)
    frauds = set(labels.filter(labels["is_fraud"])["event_id"].to_pylist())
    matrix = to_matrix(features).dropna(axis="columns", how="all")
    model = candidates.xgboost(matrix).set_params(n_estimators=30)
    model.fit(matrix, [event_id in frauds for event_id in features["event_id"].to_pylist()])
    passport = artefact.Passport(
        Bands(0.05, 0.2, 0.9),
        typical_values(matrix),
        {name: 0.0 for name in FEATURE_NAMES if name in matrix},
        payments["event_date"][0].as_py(),
    )
    onnx = OnnxModel(convert(model, passport.inputs), passport.inputs)
    return Champion(tracking.model_name("sparkov"), 1, model, passport, onnx)


def registered(champion: Champion, onnx: bytes | None = None) -> int:
    """Register a model as training does, or with other content as ONNX; return its version."""
    import mlflow

    mlflow.set_experiment(champion.name)
    with mlflow.start_run(), TemporaryDirectory() as folder:
        file = Path(folder) / artefact.ONNX_FILE
        file.write_bytes(onnx or convert(champion.model, champion.passport.inputs))
        info: Any = mlflow.sklearn.log_model(
            champion.model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(artefact.TRUSTED_TYPES),
            pip_requirements=artefact.requirements(),
            metadata=champion.passport.to_dict(),
            registered_model_name=champion.name,
            await_registration_for=0,
            extra_files=[str(file)],
        )
    return int(info.registered_model_version)
