"""The champion model, loaded once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml import artefact, tracking
from ml.errors import NoChampion

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Champion:
    """A loaded model and its metadata."""

    name: str
    version: int
    model: Any
    passport: artefact.Passport

    @property
    def title(self) -> str:
        """Return the name of the model in reports."""
        return f"{self.name} version {self.version}"

    def score(self, matrix: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Return the score of each row; an input that `matrix` lacks is null."""
        inputs = matrix.reindex(columns=list(self.passport.inputs))
        return np.asarray(self.model.predict_proba(inputs)[:, 1], dtype=np.float64)


def load_champion(client: MlflowClient, source: str) -> Champion:
    """Return the model behind the alias `champion` of a source system.

    Raises:
        NoChampion: when no model was ever promoted.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    name = tracking.model_name(source)
    try:
        version = client.get_model_version_by_alias(name, tracking.CHAMPION)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise NoChampion(
            f"{source} has no {tracking.CHAMPION} yet (model {name}): run the DAG train_fraud_model"
            " for it. If it has run, its gate closed: staging.gate_results has the reason."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        # By version, not by alias, which could move between the two calls.
        local = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{name}/{version.version}", dst_path=folder
        )
        model, passport = artefact.load(Path(local))
    return Champion(name, int(version.version), model, passport)
