"""Where runs and models are kept: the MLflow server of the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from contracts.settings import Settings

MODEL_PREFIX: Final = "fraud_detector"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"


def model_name(source: str) -> str:
    """Return the registered name of a source's model, which is also its experiment's.

    Columns, currencies and frauds differ between sources, and so does the meaning of a score. Each
    source therefore has its own champion.
    """
    return f"{MODEL_PREFIX}_{source}"


def connect(settings: Settings, *, reads_only: bool = False) -> MlflowClient:
    """Point MLflow at the platform's server and return a client, of the reading user if asked.

    The login goes through MLflow's own configuration objects, never into the server's address,
    which MLflow prints. Retries are few: the orchestrator retries the whole task.
    """
    import mlflow
    from mlflow import environment_variables as options

    login = settings.mlflow
    user, password = (
        (login.reader_username, login.reader_password)
        if reads_only
        else (login.username, login.password)
    )
    options.MLFLOW_TRACKING_USERNAME.set(user)
    options.MLFLOW_TRACKING_PASSWORD.set(password.get_secret_value())
    options.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(2)
    options.MLFLOW_HTTP_REQUEST_TIMEOUT.set(30)
    options.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    options.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    mlflow.set_tracking_uri(settings.mlflow.tracking_uri)
    mlflow.set_registry_uri(settings.mlflow.tracking_uri)
    return mlflow.MlflowClient()
