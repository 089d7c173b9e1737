"""Add dbt docs, Great Expectations data docs, MLflow and the decision API to Airflow's menu."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from contracts.settings import get_settings
from tollgate_ui import app


def _view(name: str, href: str, route: str) -> dict[str, Any]:
    return {"name": name, "href": href, "destination": "nav", "url_route": route}


class TollgatePlugin(AirflowPlugin):
    """Pages inside Airflow, for logged-in users."""

    name = "tollgate"
    fastapi_apps: ClassVar[list[Any]] = [
        {
            "app": app.docs_app(get_settings().state_dir / "docs"),
            "url_prefix": app.DOCS_PREFIX,
            "name": "Tollgate documentation",
        },
        {"app": app.mlflow_app(), "url_prefix": app.MLFLOW_PREFIX, "name": "MLflow"},
    ]
    external_views: ClassVar[list[Any]] = [
        _view("dbt docs", app.DBT, "dbt-docs"),
        _view("Data docs", app.DATA_DOCS, "data-docs"),
        _view("MLflow", app.MLFLOW, "mlflow-experiments"),
        # Without a route it opens beside Airflow: the API has another address and its own users.
        {"name": "Decision API", "href": f"{get_settings().api.url}/docs", "destination": "nav"},
    ]
