"""MLflow's logins, on the test platform."""

import httpx
import pytest

from contracts.settings import Settings

pytestmark = pytest.mark.stack


def _post(settings: Settings, path: str, login: tuple[str, str]) -> int:
    url = f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/experiments/{path}"
    body = {"max_results": 1} if path == "search" else {"name": "of the login test"}
    return httpx.post(url, json=body, auth=login, timeout=30).status_code


def test_the_reader_reads_and_changes_nothing(mlflow: Settings) -> None:
    reader = (mlflow.mlflow.reader_username, mlflow.mlflow.reader_password.get_secret_value())
    assert _post(mlflow, "search", reader) == 200
    assert _post(mlflow, "create", reader) == 403


def test_the_admin_creates_and_a_stranger_is_refused(mlflow: Settings) -> None:
    admin = (mlflow.mlflow.username, mlflow.mlflow.password.get_secret_value())
    # A name that exists is a 400: either way the admin was let in.
    assert _post(mlflow, "create", admin) in {200, 400}
    assert _post(mlflow, "search", (admin[0], "wrong")) == 401
    pages = httpx.get(f"{mlflow.mlflow.tracking_uri}/", timeout=30)
    assert pages.status_code == 401
