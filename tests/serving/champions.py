"""A small champion that has learnt from the sample, and its registration in MLflow."""

from typing import Any

import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier

from contracts.features import FEATURE_NAMES
from ml import artefact, tracking
from ml.champion import Champion
from ml.matrix import to_matrix
from ml.reasons import typical_values
from ml.threshold import Bands
from tests.serving.sample import features_of_all


def learnt(payments: pa.Table, labels: pa.Table) -> Champion:
    """Return a model of all features that the sample has."""
    features = features_of_all(payments, labels)
    frauds = set(labels.filter(labels["is_fraud"])["event_id"].to_pylist())
    matrix = to_matrix(features).dropna(axis="columns", how="all")
    model = HistGradientBoostingClassifier(max_iter=30, random_state=7)
    model.fit(matrix, [event_id in frauds for event_id in features["event_id"].to_pylist()])
    passport = artefact.Passport(
        Bands(0.05, 0.2, 0.9),
        typical_values(matrix),
        {name: 0.0 for name in FEATURE_NAMES if name in matrix},
        payments["event_date"][0].as_py(),
    )
    return Champion(tracking.model_name("sparkov"), 1, model, passport)


def registered(champion: Champion) -> int:
    """Register a model as training does; return its version."""
    import mlflow

    mlflow.set_experiment(champion.name)
    with mlflow.start_run():
        info: Any = mlflow.sklearn.log_model(
            champion.model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(artefact.TRUSTED_TYPES),
            pip_requirements=artefact.requirements(),
            metadata=champion.passport.to_dict(),
            registered_model_name=champion.name,
            await_registration_for=0,
        )
    return int(info.registered_model_version)
