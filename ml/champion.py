"""The champion model, loaded once."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml import artefact, tracking
from ml.errors import NoChampion, UnreadableModel
from ml.onnx_model import OnnxModel

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """A loaded model and its metadata.

    Attributes:
        model: explains scores.
        onnx: gives scores; None for a version of an earlier release, whose `model` gives them.
    """

    name: str
    version: int
    model: Any
    passport: artefact.Passport
    onnx: OnnxModel | None = None

    @property
    def title(self) -> str:
        """Return the name of the model in reports."""
        return f"{self.name} version {self.version}"

    def score(self, matrix: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the score of each row; an input that `matrix` lacks is null."""
        if self.onnx is not None:
            return self.onnx.score(matrix)
        inputs = matrix.reindex(columns=list(self.passport.inputs))
        return np.asarray(self.model.predict_proba(inputs)[:, 1], dtype=np.float64)


def load_champion(client: MlflowClient, source: str, alias: str = tracking.CHAMPION) -> Champion:
    """Return the model behind an alias of a source system.

    Raises:
        NoChampion: when no model was ever promoted.
        UnreadableModel: when its ONNX model cannot be loaded, or reads other features.
    """
    from mlflow.exceptions import MlflowException

    name = tracking.model_name(source)
    try:
        version = client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise NoChampion(
            f"{source} has no {alias} yet (model {name}): run the DAG train_fraud_model"
            " for it. If it has run, its gate closed: staging.gate_results has the reason."
        ) from error
    # By version, not by alias, which could move between the two calls.
    return load_version(name, int(version.version))


def load_version(name: str, version: int) -> Champion:
    """Return a registered version of a model; MLflow is that of the last `tracking.connect`.

    Raises:
        MlflowException: when there is no such version.
        UnreadableModel: when its ONNX model cannot be loaded, or reads other features.
    """
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        local = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{name}/{version}", dst_path=folder
        )
        try:
            champion = Champion(name, version, *artefact.load(Path(local)))
        except UnreadableModel as error:
            raise UnreadableModel(f"{name} version {version}: {error}") from error
    if champion.onnx is None:
        _log.warning(
            "%s has no ONNX model, scikit-learn scores: run train_fraud_model.", champion.title
        )
    return champion
