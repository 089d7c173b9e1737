"""The application that the plugin mounts in Airflow's web server."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI

from contracts.settings import get_settings
from tollgate_ui.guard import LoginGuard
from tollgate_ui.mlflow_proxy import MLflowProxy, Upstream
from tollgate_ui.static import Pages

DOCS_PREFIX: Final = "/tollgate"
MLFLOW_PREFIX: Final = "/mlflow"
DBT: Final = f"{DOCS_PREFIX}/dbt/index.html"
DATA_DOCS: Final = f"{DOCS_PREFIX}/gx/index.html"
# Without this path, MLflow opens a page about language models.
MLFLOW: Final = f"{MLFLOW_PREFIX}/#/experiments"


def _guarded_app(title: str) -> FastAPI:
    app = FastAPI(title=title, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(LoginGuard)
    return app


def docs_app(docs: Path) -> FastAPI:
    """Return the generated pages under `docs`, behind Airflow's login."""
    app = _guarded_app("Tollgate documentation")
    app.mount("/dbt", Pages(docs / "dbt", "The dbt docs appear after the first window."))
    app.mount("/gx", Pages(docs / "gx", "The data docs appear after the first window."))
    return app


def _upstream() -> Upstream:
    mlflow = get_settings().mlflow
    return Upstream(mlflow.tracking_uri, mlflow.reader_username, mlflow.reader_password)


def mlflow_app() -> FastAPI:
    """Return a proxy to MLflow as its read-only user, behind Airflow's login."""
    app = _guarded_app("MLflow")
    app.mount("/", MLflowProxy(_upstream))
    return app
