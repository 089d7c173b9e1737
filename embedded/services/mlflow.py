"""MLflow's tracking server, with a Postgres backend, artefacts in S3, and a login."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from contracts.settings import HOST, Settings
from embedded import secrets
from embedded.places import python
from embedded.services.common import environment, http_ok, owns_port
from embedded.supervisor import Launch, Service

PREFIX = "/mlflow"
"""Path prefix of pages and API, the same as in Airflow's proxy."""


def _database(settings: Settings, name: str) -> str:
    password = quote(secrets.read(settings.secrets_dir, "mlflow_db"), safe="")
    return f"postgresql+psycopg2://mlflow:{password}@{HOST}:{settings.port('postgres')}/{name}"


def _launch(settings: Settings) -> Launch:
    home = settings.state_dir / "mlflow"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    login = home / "auth.ini"
    database = _database(settings, "mlflow_auth").replace("%", "%%")
    secrets.write_private(
        login,
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {database}\n"
        f"admin_username = {settings.mlflow.username}\n"
        "authorization_function = embedded.mlflow_login:authenticate\n",
    )
    access, secret = settings.s3.keys("platform")
    port = settings.port("mlflow")
    variables = {
        "MLFLOW_AUTH_CONFIG_PATH": str(login),
        "MLFLOW_AUTH_ADMIN_PASSWORD": settings.mlflow.password.get_secret_value(),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.read(settings.secrets_dir, "mlflow_session_key"),
        "MLFLOW_BACKEND_STORE_URI": _database(settings, "mlflow"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": settings.s3.endpoint,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.s3.region,
    }
    argv = [
        *(python(), "-m", "mlflow", "server", "--app-name", "basic-auth"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--static-prefix", PREFIX, "--x-frame-options", "SAMEORIGIN"),
        *("--artifacts-destination", f"s3://{settings.s3.artifacts_bucket}"),
        *("--allowed-hosts", f"{HOST}:{port},localhost:{port}"),
    ]
    return Launch(argv, environment(settings, variables), home)


def _ready(settings: Settings, pid: int, started: float) -> bool:
    healthy = http_ok(f"{settings.mlflow.tracking_uri}/health") is not None
    return healthy and owns_port(pid, started, settings.port("mlflow"))


def _call(settings: Settings, path: str, body: dict[str, Any] | None = None) -> int:
    """Call the API as admin and return the status."""
    login = f"{settings.mlflow.username}:{settings.mlflow.password.get_secret_value()}"
    request = urllib.request.Request(  # noqa: S310  loopback
        f"{settings.mlflow.tracking_uri}/api/2.0/mlflow/users/{path}",
        data=json.dumps(body).encode() if body else None,
        headers={
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310  loopback
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        return problem.code


def _after_ready(settings: Settings) -> None:
    """Create the read-only user if it does not exist."""
    reader = settings.mlflow.reader_username
    if _call(settings, f"get?username={reader}") == 200:
        return
    password = settings.mlflow.reader_password.get_secret_value()
    status = _call(settings, "create", {"username": reader, "password": password})
    if status != 200:
        raise RuntimeError(f"MLflow answered {status} when its reader was created")


def service(settings: Settings) -> Service:
    """Declare MLflow."""
    return Service(
        name="mlflow",
        launch=lambda: _launch(settings),
        ready=lambda pid, started: _ready(settings, pid, started),
        needs=("postgres", "s3"),
        after_ready=lambda: _after_ready(settings),
        port=settings.port("mlflow"),
        url=f"{settings.mlflow.tracking_uri}/#/experiments",
    )
