"""The champion: find it, load it once."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import artefact, tracking
from ml.errors import NoChampion

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Champion:
    """A loaded model and what travels with it."""

    name: str
    version: int
    model: Any
    passport: artefact.Passport

    @property
    def title(self) -> str:
        """Return how reports call it."""
        return f"{self.name} version {self.version}"


def load_champion(client: MlflowClient, source: str) -> Champion:
    """Return the model behind the alias `champion` of a source system.

    Raises:
        NoChampion: when none was ever promoted.
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
            " for it; if it ran, its gate closed, and staging.gate_results says why."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        # Through the version, not the alias, which could move between the two calls.
        local = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{name}/{version.version}", dst_path=folder
        )
        model, passport = artefact.load(Path(local))
    return Champion(name, int(version.version), model, passport)
